//! Given, when, then for sessions and for the guard in front of them.

use super::guard::{Guard, GuardCommand, GuardError, GuardEvent, Subject, WINDOW};
use super::*;
use crate::samples::Samples;
use chrono::TimeDelta;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

fn given<A>(events: impl IntoIterator<Item = A::Event>) -> AggregateTestExecutor<A>
where
    A: Aggregate<Services = ()>,
{
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The current time of the tests, or so many seconds later.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
}

fn scope(number: u128, membership: u64) -> Scope {
    Scope { organization_id: OrganizationId(Uuid::from_u128(number)), membership }
}

fn opening() -> Opening {
    Opening {
        id: SessionId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(2)),
        account: Account::User,
        epoch: 3,
        scope: Some(scope(4, 5)),
        origin: Origin::SignIn,
        by: Some(Opener { id: UserId(Uuid::from_u128(8)), account: Account::User }),
        via: Some(OrganizationId(Uuid::from_u128(4))),
        expires_at: at(60),
        access_secs: Some(600),
        refresh_digest: Some("digest".into()),
    }
}

fn opened() -> SessionEvent {
    SessionEvent::Opened(Box::new(opening()))
}

fn refreshed() -> SessionEvent {
    SessionEvent::Refreshed {
        user_id: opening().user_id,
        account: Account::User,
        refresh_digest: None,
        spent_digest: None,
    }
}

fn ended() -> SessionEvent {
    SessionEvent::Ended { reason: EndReason::SignedOut }
}

fn refresh(digest: &str, seconds: i64) -> SessionCommand {
    SessionCommand::Refresh { digest: digest.into(), replacement: None, now: at(seconds) }
}

fn switch(scope: Scope, seconds: i64) -> SessionCommand {
    SessionCommand::Switch { scope, digest: None, now: at(seconds) }
}

fn switched(scope: Scope, digest: Option<&str>) -> SessionEvent {
    SessionEvent::Switched { scope, refresh_digest: digest.map(str::to_owned) }
}

impl Samples for SessionEvent {
    fn samples() -> Vec<Self> {
        vec![
            opened(),
            exchanged("digest", "another digest"),
            switched(scope(4, 6), Some("digest")),
            SessionEvent::Renewed { epoch: 4 },
            ended(),
        ]
    }
}

#[test]
fn a_session_begins_once() {
    let open = || SessionCommand::Open(Box::new(opening()));
    given::<Session>([]).when(open()).then_expect_events(vec![opened()]);
    given::<Session>([opened()]).when(open()).then_expect_error(SessionError::AlreadyExists);
    given::<Session>([opened(), ended()]).when(open()).then_expect_error(SessionError::AlreadyExists);
}

#[test]
fn a_session_is_refreshed_by_its_own_token_until_it_expires() {
    given::<Session>([opened()]).when(refresh("digest", 59)).then_expect_events(vec![refreshed()]);
    given::<Session>([opened()]).when(refresh("digest", 60)).then_expect_error(SessionError::Over);
    given::<Session>([opened()]).when(refresh("other", 0)).then_expect_error(SessionError::OtherToken);
    given::<Session>([opened(), ended()]).when(refresh("digest", 0)).then_expect_error(SessionError::Over);
    given::<Session>([]).when(refresh("digest", 0)).then_expect_error(SessionError::Over);
    let without = SessionEvent::Opened(Box::new(Opening { refresh_digest: None, ..opening() }));
    given::<Session>([without]).when(refresh("digest", 0)).then_expect_error(SessionError::OtherToken);
}

fn exchanged(spent: &str, replacement: &str) -> SessionEvent {
    SessionEvent::Refreshed {
        user_id: opening().user_id,
        account: Account::User,
        refresh_digest: Some(replacement.into()),
        spent_digest: Some(spent.into()),
    }
}

#[test]
fn a_refresh_token_that_is_exchanged_is_spent() {
    let exchange = |digest: &str, replacement: &str| SessionCommand::Refresh {
        digest: digest.into(),
        replacement: Some(replacement.into()),
        now: at(0),
    };
    given::<Session>([opened()]).when(exchange("digest", "b")).then_expect_events(vec![exchanged("digest", "b")]);
    let history = || [opened(), exchanged("digest", "b")];
    given::<Session>(history()).when(exchange("b", "c")).then_expect_events(vec![exchanged("b", "c")]);
    for command in [refresh("digest", 0), exchange("digest", "c")] {
        given::<Session>(history()).when(command).then_expect_error(SessionError::OtherToken);
    }
    let mut session = Session::default();
    history().into_iter().for_each(|event| session.apply(event));
    let Session::Open(running) = session else { panic!("it goes on") };
    assert!(running.is_spent("digest") && !running.is_spent("b") && !running.is_spent("c"));
}

#[test]
fn a_session_switches_to_another_organization_or_membership() {
    for other in [scope(7, 1), scope(4, 6)] {
        given::<Session>([opened()]).when(switch(other, 0)).then_expect_events(vec![switched(other, None)]);
        given::<Session>([opened(), switched(other, None)]).when(switch(other, 0)).then_expect_events(vec![]);
        given::<Session>([opened()]).when(switch(other, 60)).then_expect_error(SessionError::Over);
        given::<Session>([opened(), ended()]).when(switch(other, 0)).then_expect_error(SessionError::Over);
    }
}

#[test]
fn a_switch_gives_a_further_refresh_token_and_the_one_before_stays_good() {
    let to = || SessionCommand::Switch { scope: scope(7, 1), digest: Some("further".into()), now: at(0) };
    let further = || switched(scope(7, 1), Some("further"));
    given::<Session>([opened()]).when(to()).then_expect_events(vec![further()]);
    for digest in ["digest", "further"] {
        given::<Session>([opened(), further()]).when(refresh(digest, 0)).then_expect_events(vec![refreshed()]);
    }
    // A session without refresh tokens stays so.
    let without = || SessionEvent::Opened(Box::new(Opening { refresh_digest: None, ..opening() }));
    given::<Session>([without()]).when(to()).then_expect_events(vec![switched(scope(7, 1), None)]);
    given::<Session>([without(), switched(scope(7, 1), None)]).when(to()).then_expect_events(vec![]);
}

#[test]
fn of_too_many_refresh_tokens_the_oldest_goes() {
    let further = |number: usize| switched(scope(4, 5), Some(&number.to_string()));
    let events = || std::iter::once(opened()).chain((1..=REFRESH_TOKENS_MAX).map(further)).collect::<Vec<_>>();
    given::<Session>(events()).when(refresh("digest", 0)).then_expect_error(SessionError::OtherToken);
    for digest in ["1".to_owned(), REFRESH_TOKENS_MAX.to_string()] {
        given::<Session>(events()).when(refresh(&digest, 0)).then_expect_events(vec![refreshed()]);
    }
}

#[test]
fn events_of_former_releases_are_read() {
    let opened: SessionEvent = serde_json::from_str(
        r#"{"type":"session.opened","id":"00000000-0000-0000-0000-000000000001",
            "userId":"00000000-0000-0000-0000-000000000002","epoch":3,"origin":"synthetic",
            "expiresAt":"2026-01-01T00:00:00Z","refreshDigest":"digest"}"#,
    )
    .expect("the former shape");
    let SessionEvent::Opened(opening) = &opened else { panic!("{opened:?}") };
    assert_eq!((opening.by, opening.via), (None, None));
    let text = r#"{"type":"session.switched","scope":{"organizationId":"00000000-0000-0000-0000-000000000004","membership":6}}"#;
    let event: SessionEvent = serde_json::from_str(text).expect("the former shape");
    assert_eq!(event, switched(scope(4, 6), None));
    assert_eq!(serde_json::to_string(&event).expect("JSON"), text);
}

#[test]
fn a_session_ends_once() {
    let end = || SessionCommand::End(EndReason::SignedOut);
    given::<Session>([opened()]).when(end()).then_expect_events(vec![ended()]);
    given::<Session>([opened(), ended()]).when(end()).then_expect_events(vec![]);
    given::<Session>([]).when(end()).then_expect_error(SessionError::Over);
}

#[test]
fn neither_debug_output_nor_snapshots_show_a_digest() {
    for event in SessionEvent::samples() {
        assert!(!format!("{event:?}").contains("digest"), "{event:?}");
    }
    let mut state = Session::default();
    state.apply(opened());
    assert!(!format!("{state:?} {:?}", opening()).contains("digest"));
    assert!(!serde_json::to_string(&state).expect("JSON").contains("igest"));
}

fn fail(subject: Subject, seconds: i64) -> GuardCommand {
    GuardCommand::Fail { subject, now: at(seconds) }
}

fn failed(subject: Subject, seconds: i64, locked: bool) -> GuardEvent {
    GuardEvent::Failed { subject, at: at(seconds), locked }
}

#[test]
fn a_guard_locks_at_its_failure_limit_until_the_oldest_failure_expires() {
    for subject in [Subject::NameInNetwork, Subject::Network, Subject::Session, Subject::Address] {
        let max = i64::try_from(subject.failures_max().expect("a bound")).expect("few");
        let failures = |count| (0..count).map(|second| failed(subject, second, second + 1 == max));
        given::<Guard>(failures(max - 2))
            .when(fail(subject, max))
            .then_expect_events(vec![failed(subject, max, false)]);
        given::<Guard>(failures(max - 1)).when(fail(subject, max)).then_expect_events(vec![failed(subject, max, true)]);
        let locked = || GuardError::Locked { until: at(0) + WINDOW };
        let window = WINDOW.num_seconds();
        for command in [fail(subject, max), fail(subject, window - 1), GuardCommand::Admit { subject, now: at(max) }] {
            given::<Guard>(failures(max)).when(command).then_expect_error(locked());
        }
        given::<Guard>(failures(max - 1))
            .when(GuardCommand::Admit { subject, now: at(max) })
            .then_expect_events(vec![]);
        given::<Guard>(failures(max))
            .when(fail(subject, window))
            .then_expect_events(vec![failed(subject, window, true)]);
        given::<Guard>(failures(max)).when(fail(subject, 2 * window)).then_expect_events(vec![failed(
            subject,
            2 * window,
            false,
        )]);
    }
}

#[test]
fn a_name_is_slowed_down_and_never_locked() {
    let mut guard = Guard::default();
    for second in 0..49 {
        guard.apply(failed(Subject::Name, second, false));
    }
    assert_eq!(guard.check(Subject::Name, at(49)), Ok(()));
    for (failure, pause) in [(50, 1), (51, 2), (52, 4), (53, 8), (54, 16), (55, 30), (56, 30)] {
        guard.apply(failed(Subject::Name, failure, false));
        let until = at(failure + pause);
        assert_eq!(guard.check(Subject::Name, until - TimeDelta::milliseconds(1)), Err(GuardError::Locked { until }));
        assert_eq!(guard.check(Subject::Name, until), Ok(()));
    }
    // A failure is recorded regardless of earlier ones.
    assert!(guard.decide(fail(Subject::Name, 57)).is_ok());
}

#[test]
fn failures_counted_elsewhere_count_as_well() {
    let counted = || GuardEvent::FailuresCounted { subject: Subject::Network, failures: 59, at: at(0) };
    let count = |failures| GuardCommand::Count { subject: Subject::Network, failures, now: at(0) };
    given::<Guard>([]).when(count(59)).then_expect_events(vec![counted()]);
    given::<Guard>([]).when(count(0)).then_expect_events(vec![]);
    let (mut stored, mut local) = (Guard::default(), Guard::default());
    stored.apply(counted());
    assert_eq!(stored.check_with(&local, Subject::Network, at(1)), Ok(()));
    local.note(at(1));
    let locked = GuardError::Locked { until: at(0) + WINDOW };
    assert_eq!(stored.check_with(&local, Subject::Network, at(1)), Err(locked));
}

#[test]
fn a_network_is_known_for_thirty_days_and_noted_once_a_day() {
    let (hour, day) = (3_600, 86_400);
    let pass = |seconds| GuardCommand::Pass { network: "n".into(), now: at(seconds) };
    let passed = |seconds| GuardEvent::Passed { network: "n".into(), at: at(seconds) };
    given::<Guard>([]).when(pass(0)).then_expect_events(vec![passed(0)]);
    given::<Guard>([passed(0)]).when(pass(hour)).then_expect_events(vec![]);
    given::<Guard>([passed(0)]).when(pass(day)).then_expect_events(vec![passed(day)]);
    let mut guard = Guard::default();
    guard.apply(passed(0));
    assert!(guard.knows("n", at(30 * day - 1)) && !guard.knows("n", at(30 * day)) && !guard.knows("m", at(1)));
}

#[test]
fn a_guard_keeps_no_more_than_counts() {
    let mut guard = Guard::default();
    for second in 0..10_000 {
        guard.apply(failed(Subject::Name, 60 * second, false));
        guard.apply(GuardEvent::Passed { network: second.to_string(), at: at(60 * second) });
    }
    let kept = serde_json::to_value(&guard).expect("JSON");
    assert_eq!(kept["failures"].as_array().map(Vec::len), Some(15));
    assert_eq!(kept["networks"].as_object().map(serde_json::Map::len), Some(50));
}

#[test]
fn a_session_continues_in_another_epoch_unless_it_is_over() {
    let renew = || SessionCommand::Renew { epoch: 4 };
    given::<Session>([opened()]).when(renew()).then_expect_events(vec![SessionEvent::Renewed { epoch: 4 }]);
    given::<Session>([opened(), ended()]).when(renew()).then_expect_error(SessionError::Over);
    given::<Session>([]).when(renew()).then_expect_error(SessionError::Over);
}

impl Samples for GuardEvent {
    fn samples() -> Vec<Self> {
        let (subject, at) = (Subject::Network, at(0));
        vec![
            GuardEvent::Failed { subject, at, locked: true },
            GuardEvent::FailuresCounted { subject, failures: 12, at },
            GuardEvent::Passed { network: "digest".into(), at },
        ]
    }
}
