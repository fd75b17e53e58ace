//! Messages to people: composed in the commit of the act that causes them, and followed on their way. An invitation
//! learns of each step of its message in the commit of that step.

use super::{Step, Stop, Streams, onboarding};
use crate::message::Channel;
use crate::message::delivery::{About, AboutKind, Composition, Message, MessageCommand};
use crate::message::report::{Outcome, Report};
use crate::onboarding::{Bounce, BounceKind, DeliveryReport, InvitationStatus};
use crate::values::{MessageId, OnboardingRequestId};
use chrono::{DateTime, Utc};

/// Subtype of a bounce without one, in the words of mail services.
const GENERAL: &str = "General";

/// Composes a message beside the other decisions of a process, so that it exists exactly if they do. Its texts are
/// rendered before. A message is `captured` at once where its channel has no server; the invitation that it belongs to
/// must know it by then, or it does not learn that it was sent.
///
/// # Errors
/// `Unfit`.
pub fn compose(streams: &mut Streams, composition: &Composition, captured: bool) -> Step<()> {
    let command = MessageCommand::Compose { composition: Box::new(composition.clone()), captured };
    streams.execute::<Message>(composition.id, command)?;
    if captured {
        // A captured message is where its recipient reads it.
        tell(streams, &DeliveryReport::of(composition.id, InvitationStatus::Sent, composition.composed_at))?;
    }
    Ok(())
}

/// Carries out a step of a message's delivery; `false` if it changed nothing.
///
/// # Errors
/// Those of the message.
pub fn deliver(streams: &mut Streams, id: MessageId, step: &MessageCommand, at: DateTime<Utc>) -> Step<bool> {
    let is_settled = streams.state::<Message>(id)?.settled_at().is_some();
    let changed = streams.execute::<Message>(id, step.clone())?;
    let has_ended = streams.state::<Message>(id)?.has_ended();
    // The end of an attempt is recorded late where the database was away: a report knows better.
    if !changed || !has_ended || is_settled {
        return Ok(changed);
    }
    match step {
        MessageCommand::RecordSent { .. } | MessageCommand::Capture => {
            tell(streams, &DeliveryReport::of(id, InvitationStatus::Sent, at))?;
        }
        MessageCommand::RecordFailure { failure, .. } => {
            let failed = DeliveryReport::of(id, InvitationStatus::Failed, at);
            tell(streams, &DeliveryReport { error: Some(failure.obstacle.name().to_owned()), ..failed })?;
        }
        MessageCommand::Compose { .. } | MessageCommand::StartAttempt { .. } | MessageCommand::RecordReport(_) => {}
    }
    Ok(changed)
}

/// Records reports about a message. Those that are known, and those that are not about its channel, change nothing.
///
/// # Errors
/// `NotFound`, `Unfit`.
pub fn report(streams: &mut Streams, id: MessageId, reports: &[Report]) -> Step<()> {
    for report in reports {
        let settled_at = streams.state::<Message>(id)?.settled_at();
        if !streams.execute::<Message>(id, MessageCommand::RecordReport(Box::new(report.clone())))? {
            continue;
        }
        // Reports come in any order: an earlier outcome does not replace a later one, and a delay no outcome.
        if settled_at.is_none_or(|settled_at| report.outcome.settles() && report.at >= settled_at) {
            tell(streams, &told(id, report))?;
        }
    }
    Ok(())
}

/// The report about a message, in the terms of the invitation that it belongs to.
fn told(id: MessageId, report: &Report) -> DeliveryReport {
    let of = |status| DeliveryReport::of(id, status, report.at);
    let error = Some(report.reason());
    match report.outcome {
        Outcome::Delivered => of(InvitationStatus::Delivered),
        Outcome::Complained => DeliveryReport { error, complained: true, ..of(InvitationStatus::Delivered) },
        Outcome::Bounced => {
            let subtype = report.class.clone().unwrap_or_else(|| GENERAL.to_owned());
            let bounce = Bounce { kind: BounceKind::Permanent, subtype };
            let bounce = (report.source.channel() == Channel::Email).then_some(bounce);
            DeliveryReport { error, bounce, ..of(InvitationStatus::Failed) }
        }
        // A server has accepted the message, and goes on trying.
        Outcome::Delayed | Outcome::Undetermined => DeliveryReport { error, ..of(InvitationStatus::Sent) },
    }
}

/// Tells the invitation that a message belongs to, if it does. An invitation that has ended, or that another message has
/// replaced, does not keep the message's own event back.
fn tell(streams: &mut Streams, report: &DeliveryReport) -> Step<()> {
    let about = streams.state::<Message>(report.message)?.about();
    let Some(About { kind: AboutKind::OnboardingRequest, id: request }) = about else { return Ok(()) };
    match onboarding::note_report(streams, OnboardingRequestId(request), report) {
        Err(Stop::Refused(_)) => Ok(()),
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::delivery::tests::email;
    use crate::message::delivery::{MessageError, MessageEvent, Obstacle};
    use crate::message::report::ReportSource;
    use crate::message::report::tests::{bare, bounce};
    use crate::onboarding::{Invitation, OnboardKind, Onboarding, OnboardingEvent, Request};
    use crate::processes::testing::*;
    use crate::user::{Locale, User, UserCommand};
    use crate::values::{EmailAddress, Problem, RecipientId};
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// The request that the message is about.
    const REQUEST: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(14));
    const HOLDER: RecipientId = RecipientId(REQUEST.0);

    fn join(streams: &mut Streams) -> Step<()> {
        streams.execute::<User>(ADA, UserCommand::Join(ACME)).map(drop)
    }

    #[test]
    fn a_message_is_composed_with_the_act_that_causes_it() {
        let message = email();
        let composed = MessageEvent::Composed(Box::new(message.clone()));
        let captured = MessageEvent::Captured { recipient: message.recipient };
        let (stream, joined) = user(ADA, [UserCommand::Join(ACME)]);
        given([user(ADA, [])])
            .when(|streams| join(streams).and_then(|()| compose(streams, &message, true)))
            .then([(stream, joined[1..].to_vec()), events::<Message>(message.id, [composed.clone(), captured])]);
        given([]).when(|streams| compose(streams, &message, false)).then([events::<Message>(message.id, [composed])]);
    }

    #[test]
    fn an_act_whose_message_is_unfit_does_not_happen() {
        let message = Composition { to: "ada".into(), ..email() };
        given([user(ADA, [])])
            .when(|streams| join(streams).and_then(|()| compose(streams, &message, true)))
            .then_refused(MessageError::Unfit(Problem::NotAnEmail.of("to")));
    }

    fn composed() -> MessageEvent {
        MessageEvent::Composed(Box::new(email()))
    }

    fn started() -> MessageEvent {
        MessageEvent::AttemptStarted { recipient: email().recipient, number: 1, at: at(0) }
    }

    fn message(history: impl IntoIterator<Item = MessageEvent>) -> History {
        events::<Message>(email().id, history)
    }

    fn reported(report: Report) -> MessageEvent {
        MessageEvent::Reported { recipient: email().recipient, report: Box::new(report) }
    }

    #[test]
    fn a_step_of_a_delivery_is_recorded_and_says_whether_it_changed_anything() {
        let id = email().id;
        let sent = MessageCommand::RecordSent { number: 1, answer: 250 };
        let recorded = MessageEvent::Sent { recipient: email().recipient, number: 1, answer: 250 };
        let changed = |expected: bool| {
            let sent = sent.clone();
            move |streams: &mut Streams| deliver(streams, id, &sent, at(1)).map(|changed| assert_eq!(changed, expected))
        };
        given([message([composed(), started()])]).when(changed(true)).then([message([recorded.clone()])]);
        given([message([composed(), started(), recorded])]).when(changed(false)).then_nothing();
        let fail = MessageCommand::RecordFailure { number: 1, failure: Obstacle::Rejected.into(), at: at(1) };
        let recipient = email().recipient;
        let failed = MessageEvent::Failed { recipient, number: 1, obstacle: Obstacle::Rejected, answer: None };
        given([message([composed(), started()])])
            .when(|streams| deliver(streams, id, &fail, at(1)))
            .then([message([failed])]);
        let start = MessageCommand::StartAttempt { number: 1, at: at(0) };
        given([message([composed()])]).when(|streams| deliver(streams, id, &start, at(0))).then([message([started()])]);
        given([]).when(|streams| deliver(streams, id, &start, at(0))).then_refused(MessageError::NotFound);
    }

    #[test]
    fn reports_that_say_something_new_are_recorded() {
        let id = email().id;
        let other = bare("b3RoZXI", ReportSource::Dsn, Outcome::Delivered, 1);
        let text = bare("dGV4dA", ReportSource::Sms, Outcome::Delivered, 1);
        let all = [bounce(), bounce(), text, other.clone()];
        given([message([composed()])])
            .when(|streams| report(streams, id, &all))
            .then([message([reported(bounce()), reported(other)])]);
        given([message([composed(), reported(bounce())])])
            .when(|streams| report(streams, id, &[bounce()]))
            .then_nothing();
        given([]).when(|streams| report(streams, id, &[bounce()])).then_refused(MessageError::NotFound);
    }

    /// The request, invited by this message, and what was reported of it.
    fn invited(message: MessageId, told: impl IntoIterator<Item = OnboardingEvent>) -> History {
        let request = Request {
            id: REQUEST,
            organization_id: ACME,
            kind: OnboardKind::Provider,
            individual_id: None,
            email: EmailAddress::parse("ada@example.com").ok(),
            phone: None,
            roles: BTreeSet::new(),
            groups: BTreeSet::new(),
            notifications: vec![Channel::Email],
            auto_confirm: false,
            auto_sign_up: false,
            locale: Locale::EnUs,
            created_by: BOB,
            user_id: None,
            holder: HOLDER,
        };
        let (digest, channel) = ("ZGlnZXN0".to_owned(), Channel::Email);
        let invitation = Invitation { message, channel, digest, at: at(0), expires_at: at(9) };
        let invited = OnboardingEvent::Invited { holder: HOLDER, invitation, former: None };
        let history = [OnboardingEvent::Created(Box::new(request)), invited].into_iter().chain(told);
        events::<Onboarding>(REQUEST, history)
    }

    fn noted(status: InvitationStatus, error: Option<&str>, at: DateTime<Utc>) -> OnboardingEvent {
        OnboardingEvent::DeliveryNoted {
            holder: HOLDER,
            message: email().id,
            channel: Channel::Email,
            status,
            error: error.map(str::to_owned),
            bounce: None,
            complained: false,
            at,
        }
    }

    fn returned(subtype: &str, error: &str, at: DateTime<Utc>) -> OnboardingEvent {
        let OnboardingEvent::DeliveryNoted { holder, message, channel, status, error, complained, at, .. } =
            noted(InvitationStatus::Failed, Some(error), at)
        else {
            unreachable!("a report")
        };
        let bounce = Some(Bounce { kind: BounceKind::Permanent, subtype: subtype.to_owned() });
        OnboardingEvent::DeliveryNoted { holder, message, channel, status, error, bounce, complained, at }
    }

    fn of_request(told: OnboardingEvent) -> History {
        events::<Onboarding>(REQUEST, [told])
    }

    #[test]
    fn an_invitation_learns_that_its_message_was_captured_sent_or_given_up() {
        let (id, recipient) = (email().id, email().recipient);
        let captured = MessageEvent::Captured { recipient };
        given([invited(id, [])]).when(|streams| compose(streams, &email(), true)).then([
            message([composed(), captured]),
            of_request(noted(InvitationStatus::Sent, None, email().composed_at)),
        ]);
        given([invited(id, [])]).when(|streams| compose(streams, &email(), false)).then([message([composed()])]);
        let sent = MessageCommand::RecordSent { number: 1, answer: 250 };
        given([invited(id, []), message([composed(), started()])])
            .when(|streams| deliver(streams, id, &sent, at(2)))
            .then([
                message([MessageEvent::Sent { recipient, number: 1, answer: 250 }]),
                of_request(noted(InvitationStatus::Sent, None, at(2))),
            ]);
        let fail = MessageCommand::RecordFailure { number: 1, failure: Obstacle::Rejected.into(), at: at(2) };
        given([invited(id, []), message([composed(), started()])])
            .when(|streams| deliver(streams, id, &fail, at(2)))
            .then([
                message([MessageEvent::Failed { recipient, number: 1, obstacle: Obstacle::Rejected, answer: None }]),
                of_request(noted(InvitationStatus::Failed, Some(Obstacle::Rejected.name()), at(2))),
            ]);
    }

    #[test]
    fn an_invitation_learns_the_reports_about_its_message() {
        use InvitationStatus::{Delivered, Failed, Sent};
        let id = email().id;
        let on = |told: Vec<OnboardingEvent>, reports: &[Report], earlier: &[Report]| {
            let earlier = earlier.iter().cloned().map(reported);
            let streams = [invited(id, told), message([composed()].into_iter().chain(earlier))];
            given(streams).when(|streams| report(streams, id, reports))
        };
        let dsn = |name: &str, outcome, seconds| bare(name, ReportSource::Dsn, outcome, seconds);
        let [delayed, arrived] = [dsn("ZGVsYXllZA", Outcome::Delayed, 1), dsn("YXJyaXZlZA", Outcome::Delivered, 2)];
        let returns = dsn("cmV0dXJucw", Outcome::Bounced, 3);
        let (was_sent, was_delayed) = (noted(Sent, None, at(0)), noted(Sent, Some("delayed"), delayed.at));
        let has_arrived = noted(Delivered, None, arrived.at);
        let all = [delayed.clone(), arrived.clone()];
        on(vec![was_sent.clone()], &all[..1], &[])
            .then([message([reported(delayed.clone())]), of_request(was_delayed.clone())]);
        on(vec![was_sent.clone(), was_delayed.clone()], &all[1..], &all[..1])
            .then([message([reported(arrived.clone())]), of_request(has_arrived.clone())]);
        // A delay that is told late takes nothing back.
        on(vec![was_sent.clone(), has_arrived.clone()], &all[..1], &all[1..]).then([message([reported(delayed)])]);
        on(vec![was_sent.clone(), has_arrived], std::slice::from_ref(&returns), &all[1..])
            .then([message([reported(returns.clone())]), of_request(returned(GENERAL, "bounced", returns.at))]);
        on(vec![was_sent], &[bounce()], &[])
            .then([message([reported(bounce())]), of_request(returned("General", "bounced: General", bounce().at))]);
        // An earlier outcome is told late.
        on(vec![noted(Failed, Some("bounced"), returns.at)], std::slice::from_ref(&arrived), &[returns])
            .then([message([reported(arrived)])]);
    }

    #[test]
    fn an_invitation_by_another_message_learns_nothing() {
        let id = email().id;
        given([invited(MessageId(Uuid::from_u128(99)), []), message([composed()])])
            .when(|streams| report(streams, id, &[bounce()]))
            .then([message([reported(bounce())])]);
    }
}
