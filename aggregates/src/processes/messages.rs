//! Messages to people: composed in the commit of the act that causes them, and followed on their way. An invitation
//! learns of each step of its message in the commit of that step.

use super::{Step, Stop, Streams, onboarding};
use crate::message::delivery::{About, AboutKind, Composition, Message, MessageCommand};
use crate::message::report::{Outcome, Report};
use crate::onboarding::InvitationStatus;
use crate::values::{MessageId, OnboardingRequestId};
use chrono::{DateTime, Utc};

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
        tell(streams, composition.id, InvitationStatus::Sent, None, composition.composed_at)?;
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
            tell(streams, id, InvitationStatus::Sent, None, at)?;
        }
        MessageCommand::RecordFailure { failure, .. } => {
            tell(streams, id, InvitationStatus::Failed, Some(failure.obstacle.name()), at)?;
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
            let (status, has_reason) = match report.outcome {
                Outcome::Delivered => (InvitationStatus::Delivered, false),
                Outcome::Complained => (InvitationStatus::Delivered, true),
                Outcome::Bounced => (InvitationStatus::Failed, true),
                // A server has accepted the message, and goes on trying.
                Outcome::Delayed | Outcome::Undetermined => (InvitationStatus::Sent, true),
            };
            let reason = has_reason.then(|| report.reason());
            tell(streams, id, status, reason.as_deref(), report.at)?;
        }
    }
    Ok(())
}

/// Tells the invitation that a message belongs to, if it does. An invitation that has ended, or that another message has
/// replaced, does not keep the message's own event back.
fn tell(
    streams: &mut Streams,
    id: MessageId,
    status: InvitationStatus,
    reason: Option<&str>,
    at: DateTime<Utc>,
) -> Step<()> {
    let about = streams.state::<Message>(id)?.about();
    let Some(About { kind: AboutKind::OnboardingRequest, id: request }) = about else { return Ok(()) };
    match onboarding::note_delivery(streams, OnboardingRequestId(request), id, status, reason, at) {
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
    use crate::processes::testing::*;
    use crate::user::{User, UserCommand};
    use crate::values::Problem;

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
}
