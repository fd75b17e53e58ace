//! The guards of a sign-in attempt: whether it is allowed, and the effects of its success or failure.

use super::{MissingStream, Step, Streams};
use crate::session::guard::{Guard, GuardCommand, GuardError, Subject};
use chrono::{DateTime, Utc};

/// Counters of one attempt, by the digests that name their streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Counter of the name in all networks.
    pub name: String,
    /// Counter of the name in the network.
    pub pair: String,
    /// Counter of the network.
    pub network: String,
}

/// One value for each of an attempt's [`Counters`]: of the name, of the name in the network, of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The name in all networks.
    pub name: Guard,
    /// The name in the network.
    pub pair: Guard,
    /// The network.
    pub network: Guard,
}

impl Counters {
    /// Refuses an attempt after too many failures: those `recorded` in events, and `further` ones.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check(&self, recorded: &Counts, further: &Counts, now: DateTime<Utc>) -> Result<(), GuardError> {
        recorded.pair.check_with(&further.pair, Subject::NameInNetwork, now)?;
        // Attackers cannot lock the owner of a name out of networks that the owner has used.
        if recorded.name.knows(&self.network, now) {
            return Ok(());
        }
        recorded.name.check_with(&further.name, Subject::Name, now)?;
        recorded.network.check_with(&further.network, Subject::Network, now)
    }

    /// Records a success; its network is known from then on. Returns whether it was [new](Guard::is_new) to the name.
    /// Refused if concurrent failures are too many.
    ///
    /// # Errors
    /// `Locked`.
    pub fn pass(&self, streams: &mut Streams, now: DateTime<Utc>) -> Step<bool> {
        streams.prefetch([&self.pair, &self.name].map(MissingStream::of::<Guard>))?;
        streams.execute::<Guard>(&self.pair, GuardCommand::Admit { subject: Subject::NameInNetwork, now })?;
        let is_new = streams.state::<Guard>(&self.name)?.is_new(&self.network, now);
        streams.execute::<Guard>(&self.name, GuardCommand::Pass { network: self.network.clone(), now })?;
        Ok(is_new)
    }

    /// Records a failure of an account, and `counted` failures of the network with it. A name without an account leaves
    /// no event.
    ///
    /// # Errors
    /// `Locked`, if there are too many failures already.
    pub fn fail(&self, streams: &mut Streams, account: bool, counted: u32, now: DateTime<Utc>) -> Step<()> {
        let counters = [&self.network, &self.pair, &self.name];
        streams.prefetch(counters[..if account { 3 } else { 1 }].iter().map(MissingStream::of::<Guard>))?;
        let count = GuardCommand::Count { subject: Subject::Network, failures: counted, now };
        streams.execute::<Guard>(&self.network, count)?;
        if account {
            fail(streams, &self.pair, Subject::NameInNetwork, now)?;
            fail(streams, &self.name, Subject::Name, now)?;
        }
        Ok(())
    }
}

/// Records a failure, unless there are too many already.
///
/// # Errors
/// `Locked`.
pub fn fail(streams: &mut Streams, counter: &str, subject: Subject, now: DateTime<Utc>) -> Step<()> {
    streams.execute::<Guard>(counter, GuardCommand::Fail { subject, now })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::session::guard::{GuardEvent, KNOWN, WINDOW};

    fn counters() -> Counters {
        Counters { name: "name".into(), pair: "pair".into(), network: "network".into() }
    }

    fn failed(subject: Subject, locked: bool) -> GuardEvent {
        GuardEvent::Failed { subject, at: at(0), locked }
    }

    fn guard(counter: &str, happened: impl IntoIterator<Item = GuardEvent>) -> History {
        events::<Guard>(counter, happened)
    }

    fn failures(subject: Subject, failures: u32) -> GuardEvent {
        GuardEvent::FailuresCounted { subject, failures, at: at(0) }
    }

    fn locked() -> GuardError {
        GuardError::Locked { until: at(0) + WINDOW }
    }

    fn after(counter: &str, happened: impl IntoIterator<Item = GuardEvent>) -> Guard {
        state_of(guard(counter, happened))
    }

    #[test]
    fn a_failure_of_an_account_counts_by_name_and_by_name_in_the_network() {
        given([]).when(|streams| counters().fail(streams, true, 0, at(0))).then([
            guard("pair", [failed(Subject::NameInNetwork, false)]),
            guard("name", [failed(Subject::Name, false)]),
        ]);
    }

    #[test]
    fn a_failure_counts_against_its_network_with_or_without_an_account() {
        let network = || guard("network", [failures(Subject::Network, 12)]);
        given([]).when(|streams| counters().fail(streams, true, 12, at(0))).then([
            network(),
            guard("pair", [failed(Subject::NameInNetwork, false)]),
            guard("name", [failed(Subject::Name, false)]),
        ]);
        given([]).when(|streams| counters().fail(streams, false, 12, at(0))).then([network()]);
    }

    #[test]
    fn a_name_that_is_locked_in_a_network_fails_and_passes_no_more() {
        let pair = || guard("pair", [failures(Subject::NameInNetwork, 10)]);
        given([pair()]).when(|streams| counters().fail(streams, true, 12, at(0))).then_refused(locked());
        given([pair()]).when(|streams| counters().pass(streams, at(0))).then_refused(locked());
    }

    #[test]
    fn the_last_failure_before_the_lock_says_so() {
        given([guard("pair", [failures(Subject::NameInNetwork, 9)])])
            .when(|streams| counters().fail(streams, true, 0, at(0)))
            .then([
                guard("pair", [failed(Subject::NameInNetwork, true)]),
                guard("name", [failed(Subject::Name, false)]),
            ]);
    }

    #[test]
    fn a_success_makes_the_network_known_once_a_day() {
        let passed = || guard("name", [GuardEvent::Passed { network: "network".into(), at: at(0) }]);
        given([]).when(|streams| counters().pass(streams, at(0))).then([passed()]);
        given([passed()]).when(|streams| counters().pass(streams, at(60))).then_nothing();
    }

    #[test]
    fn a_network_is_new_to_a_name_that_has_used_others_alone() {
        let passed = |network: &str| GuardEvent::Passed { network: network.into(), at: at(0) };
        let is_new = |happened: Vec<GuardEvent>, seconds: i64| after("name", happened).is_new("network", at(seconds));
        assert!(!is_new(vec![], 0), "the first sign-in of all is no news");
        assert!(is_new(vec![passed("other")], 0));
        assert!(!is_new(vec![passed("other"), passed("network")], KNOWN.num_seconds() - 1));
        assert!(is_new(vec![passed("other"), passed("network")], KNOWN.num_seconds()));
        let first = std::cell::Cell::new(true);
        let pass = |streams: &mut Streams| counters().pass(streams, at(0)).map(|is_new| first.set(is_new));
        given([guard("name", [passed("other")])]).when(pass).then([guard("name", [passed("network")])]);
        assert!(first.get());
        given([guard("name", [passed("network")])]).when(pass).then_nothing();
        assert!(!first.get());
    }

    #[test]
    fn wrong_passwords_of_a_session_are_counted_until_it_is_locked() {
        given([])
            .when(|streams| fail(streams, "session", Subject::Session, at(0)))
            .then([guard("session", [failed(Subject::Session, false)])]);
        given([guard("session", [failures(Subject::Session, 10)])])
            .when(|streams| fail(streams, "session", Subject::Session, at(0)))
            .then_refused(locked());
    }

    #[test]
    fn failures_in_events_and_further_ones_count_together() {
        let five = || Counts { pair: after("pair", [failures(Subject::NameInNetwork, 5)]), ..Counts::default() };
        assert_eq!(counters().check(&five(), &Counts::default(), at(0)), Ok(()));
        assert_eq!(counters().check(&five(), &five(), at(0)), Err(locked()));
    }

    #[test]
    fn a_known_network_is_judged_by_the_failures_of_the_name_in_it_alone() {
        let network = after("network", [failures(Subject::Network, 60)]);
        let stranger = Counts { network: network.clone(), ..Counts::default() };
        assert_eq!(counters().check(&stranger, &Counts::default(), at(0)), Err(locked()));
        let name = after("name", [GuardEvent::Passed { network: "network".into(), at: at(0) }]);
        let known = Counts { name, network, ..Counts::default() };
        assert_eq!(counters().check(&known, &Counts::default(), at(0)), Ok(()));
        let pair = after("pair", [failures(Subject::NameInNetwork, 10)]);
        assert_eq!(counters().check(&Counts { pair, ..known }, &Counts::default(), at(0)), Err(locked()));
    }

    #[test]
    fn a_name_that_fails_everywhere_is_slowed_down() {
        let name = after("name", [failures(Subject::Name, 50)]);
        let slow = Counts { name, ..Counts::default() };
        let until = at(1);
        assert_eq!(counters().check(&slow, &Counts::default(), at(0)), Err(GuardError::Locked { until }));
        assert_eq!(counters().check(&slow, &Counts::default(), until), Ok(()));
    }
}
