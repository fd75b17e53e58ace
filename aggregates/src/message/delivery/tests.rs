//! Given, when, then for messages.

use super::*;
use crate::facts::{EventFacts, EventTypes};
use crate::message::Kind;
use crate::message::report::tests::{bare, bounce};
use crate::message::report::{Outcome, ReportSource};
use crate::message::template::LINE_LENGTH_MAX;
use crate::samples::Samples;
use crate::user::Locale;
use crate::values::{MessageId, OrganizationId, Problem};
use chrono::TimeDelta;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

const ID: MessageId = MessageId(Uuid::from_u128(12));
const RECIPIENT: RecipientId = RecipientId(Uuid::from_u128(1));

/// So many seconds after the composition.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
}

/// An e-mail, with every member.
pub(crate) fn email() -> Composition {
    let content = Content {
        subject: Some("Welcome, Ada".into()),
        text: "Your code is 123456.".into(),
        html: Some("<p>Your code is <b>123456</b>.</p>".into()),
        code: Some("123456".into()),
        link: Some("https://app.example.com/confirm?code=123456".into()),
    };
    Composition {
        id: ID,
        channel: Channel::Email,
        kind: Kind::VerifyEmail,
        locale: Locale::EnUs,
        organization_id: Some(OrganizationId(Uuid::from_u128(10))),
        recipient: RECIPIENT,
        about: About { kind: AboutKind::OnboardingRequest, id: Uuid::from_u128(14) },
        to: "ada@example.com".into(),
        content,
        composed_at: at(0),
    }
}

fn text_message() -> Composition {
    let content = Content { subject: None, text: "654321".into(), html: None, code: Some("654321".into()), link: None };
    let (channel, kind, to) = (Channel::Sms, Kind::Verify, "+12025550123".into());
    Composition { channel, kind, to, organization_id: None, content, ..email() }
}

fn compose(composition: Composition) -> MessageCommand {
    MessageCommand::Compose { composition: Box::new(composition), captured: false }
}

fn composed() -> MessageEvent {
    MessageEvent::Composed(Box::new(email()))
}

fn started(number: u32, at: DateTime<Utc>) -> MessageEvent {
    MessageEvent::AttemptStarted { recipient: RECIPIENT, number, at }
}

fn deferred(number: u32, obstacle: Obstacle, next_at: DateTime<Utc>) -> MessageEvent {
    MessageEvent::Deferred { recipient: RECIPIENT, number, obstacle, answer: None, next_at }
}

fn sent(number: u32) -> MessageEvent {
    MessageEvent::Sent { recipient: RECIPIENT, number, answer: 250 }
}

fn failed(number: u32, obstacle: Obstacle) -> MessageEvent {
    MessageEvent::Failed { recipient: RECIPIENT, number, obstacle, answer: None }
}

fn captured() -> MessageEvent {
    MessageEvent::Captured { recipient: RECIPIENT }
}

fn reported(report: Report) -> MessageEvent {
    MessageEvent::Reported { recipient: RECIPIENT, report: Box::new(report) }
}

fn record(report: Report) -> MessageCommand {
    MessageCommand::RecordReport(Box::new(report))
}

fn start(number: u32, at: DateTime<Utc>) -> MessageCommand {
    MessageCommand::StartAttempt { number, at }
}

fn record_sent(number: u32) -> MessageCommand {
    MessageCommand::RecordSent { number, answer: 250 }
}

fn fail(number: u32, obstacle: Obstacle, at: DateTime<Utc>) -> MessageCommand {
    MessageCommand::RecordFailure { number, failure: obstacle.into(), at }
}

fn given(events: impl IntoIterator<Item = MessageEvent>) -> AggregateTestExecutor<Message> {
    TestFramework::with(()).given(events.into_iter().collect())
}

/// A message that waits for its second attempt from the second on.
fn waiting_again() -> [MessageEvent; 3] {
    [composed(), started(1, at(0)), deferred(1, Obstacle::Unreachable, at(2))]
}

impl Samples for MessageEvent {
    fn samples() -> Vec<Self> {
        vec![
            composed(),
            started(1, at(1)),
            sent(1),
            MessageEvent::Deferred {
                recipient: RECIPIENT,
                number: 1,
                obstacle: Obstacle::Postponed,
                answer: Some(451),
                next_at: at(2),
            },
            MessageEvent::Failed { recipient: RECIPIENT, number: 1, obstacle: Obstacle::Rejected, answer: Some(550) },
            captured(),
            reported(bounce()),
        ]
    }

    fn alternatives() -> Vec<Self> {
        vec![MessageEvent::Composed(Box::new(text_message()))]
    }
}

#[test]
fn a_message_is_composed_once() {
    given([]).when(compose(email())).then_expect_events(vec![composed()]);
    given([composed()]).when(compose(email())).then_expect_error(MessageError::AlreadyExists);
    given([]).when(compose(text_message())).then_expect_events(vec![MessageEvent::Composed(Box::new(text_message()))]);
}

#[test]
fn a_message_without_a_server_is_captured_with_its_composition_or_later() {
    let compose = MessageCommand::Compose { composition: Box::new(email()), captured: true };
    given([]).when(compose).then_expect_events(vec![composed(), captured()]);
    given([composed()]).when(MessageCommand::Capture).then_expect_events(vec![captured()]);
    given(waiting_again()).when(MessageCommand::Capture).then_expect_events(vec![captured()]);
    given([composed(), captured()]).when(MessageCommand::Capture).then_expect_events(vec![]);
    given([composed(), started(1, at(0))]).when(MessageCommand::Capture).then_expect_error(MessageError::OtherAttempt);
}

#[test]
fn a_message_that_no_server_could_take_is_not_composed() {
    let edited = |edit: fn(&mut Composition)| {
        let mut composition = email();
        edit(&mut composition);
        compose(composition)
    };
    for (command, problem, field) in [
        (edited(|it| it.to = "ada".into()), Problem::NotAnEmail, "to"),
        (edited(|it| it.to = "a@example.com\r\nBcc: b@example.com".into()), Problem::NotAnEmail, "to"),
        (edited(|it| it.kind = Kind::Verify), Problem::UnknownCode, "kind"),
        (edited(|it| it.content.text = " \n".into()), Problem::Blank, "text"),
        (edited(|it| it.content.html = None), Problem::Blank, "html"),
        (edited(|it| it.content.subject = None), Problem::Blank, "subject"),
        (edited(|it| it.content.subject = Some("a\r\nBcc: b@example.com".into())), Problem::Control, "subject"),
        (edited(|it| it.content.subject = Some("a\u{2028}b".into())), Problem::Control, "subject"),
        (
            edited(|it| it.content.subject = Some("x".repeat(LINE_LENGTH_MAX + 1))),
            Problem::TooLong { max: LINE_LENGTH_MAX },
            "subject",
        ),
        (
            edited(|it| it.content.text = "\"".repeat(CONTENT_BYTES_MAX / 2)),
            Problem::TooLarge { max: CONTENT_BYTES_MAX },
            "content",
        ),
    ] {
        given([]).when(command).then_expect_error(problem.of(field).into());
    }
    for (composition, problem, field) in [
        (Composition { to: "0123".into(), ..text_message() }, Problem::NotAPhone, "to"),
        (Composition { content: email().content, ..text_message() }, Problem::UnknownCode, "subject"),
        (Composition { channel: Channel::Sms, to: "+12025550123".into(), ..email() }, Problem::UnknownCode, "kind"),
    ] {
        given([]).when(compose(composition)).then_expect_error(problem.of(field).into());
    }
}

#[test]
fn an_attempt_is_started_once_and_only_when_it_is_due() {
    given([composed()]).when(start(1, at(0))).then_expect_events(vec![started(1, at(0))]);
    for number in [0, 2] {
        given([composed()]).when(start(number, at(0))).then_expect_error(MessageError::OtherAttempt);
    }
    for number in [1, 2] {
        let history = [composed(), started(1, at(0))];
        given(history).when(start(number, at(9))).then_expect_error(MessageError::OtherAttempt);
    }
    given(waiting_again()).when(start(2, at(1))).then_expect_error(MessageError::NotDue);
    given(waiting_again()).when(start(2, at(2))).then_expect_events(vec![started(2, at(2))]);
    given([]).when(start(1, at(0))).then_expect_error(MessageError::NotFound);
}

#[test]
fn a_clock_that_was_set_back_keeps_no_message_back() {
    let day = 24 * 60 * 60;
    for earlier in [-1, -day] {
        given([composed()]).when(start(1, at(earlier))).then_expect_events(vec![started(1, at(earlier))]);
    }
    given(waiting_again()).when(start(2, at(-day))).then_expect_events(vec![started(2, at(-day))]);
}

#[test]
fn a_message_is_sent_by_any_of_its_attempts() {
    given([composed(), started(1, at(0))]).when(record_sent(1)).then_expect_events(vec![sent(1)]);
    // The attempt was taken for cut off, and then its node was heard of again.
    let [composed, started_once, cut_off] = waiting_again();
    let again = started(2, at(2));
    given(waiting_again()).when(record_sent(1)).then_expect_events(vec![sent(1)]);
    given([composed, started_once, cut_off, again]).when(record_sent(1)).then_expect_events(vec![sent(1)]);
    for number in [0, 2] {
        given(waiting_again()).when(record_sent(number)).then_expect_error(MessageError::OtherAttempt);
    }
}

#[test]
fn a_passing_failure_defers_a_message_twice_as_long_each_time() {
    let first = [composed(), started(1, at(0))];
    let (postponed, unreachable) = (Obstacle::Postponed, Obstacle::Unreachable);
    given(first.clone()).when(fail(1, postponed, at(5))).then_expect_events(vec![deferred(1, postponed, at(6))]);
    let second = waiting_again().into_iter().chain([started(2, at(2))]);
    given(second).when(fail(2, unreachable, at(3))).then_expect_events(vec![deferred(2, unreachable, at(5))]);
    let failure = Failure { obstacle: postponed, answer: Some(451) };
    let answered = MessageEvent::Deferred {
        recipient: RECIPIENT,
        number: 1,
        obstacle: postponed,
        answer: Some(451),
        next_at: at(1),
    };
    let command = MessageCommand::RecordFailure { number: 1, failure, at: at(0) };
    given(first).when(command).then_expect_events(vec![answered]);
}

#[test]
fn a_final_failure_and_a_day_of_passing_ones_end_a_message() {
    let day = 24 * 60 * 60;
    for (obstacle, seconds) in [
        (Obstacle::Rejected, 0),
        (Obstacle::Undeliverable, 0),
        (Obstacle::Erased, 0),
        (Obstacle::Unreadable, 0),
        (Obstacle::TimedOut, day),
    ] {
        let history = [composed(), started(1, at(0))];
        given(history).when(fail(1, obstacle, at(seconds))).then_expect_events(vec![failed(1, obstacle)]);
    }
    let late = [composed(), started(1, at(day - 1))];
    let last = deferred(1, Obstacle::CutOff, at(day));
    given(late).when(fail(1, Obstacle::CutOff, at(day - 1))).then_expect_events(vec![last]);
}

#[test]
fn the_failure_of_a_former_attempt_changes_nothing() {
    let interrupted = |number| fail(number, Obstacle::Interrupted, at(9));
    given(waiting_again()).when(interrupted(1)).then_expect_events(vec![]);
    let second = || waiting_again().into_iter().chain([started(2, at(2))]);
    for number in [0, 1, 3] {
        given(second()).when(interrupted(number)).then_expect_events(vec![]);
    }
    given([composed()]).when(interrupted(1)).then_expect_events(vec![]);
}

#[test]
fn late_news_of_a_message_that_has_ended_change_nothing() {
    for end in [sent(1), failed(1, Obstacle::Rejected), captured()] {
        let ended = || [composed(), started(1, at(0)), end.clone()];
        for command in [record_sent(1), fail(1, Obstacle::Rejected, at(9)), MessageCommand::Capture] {
            given(ended()).when(command).then_expect_events(vec![]);
        }
        given(ended()).when(start(2, at(9))).then_expect_error(MessageError::Ended);
    }
    given([]).when(record_sent(1)).then_expect_error(MessageError::NotFound);
}

#[test]
fn a_report_is_recorded_once_before_and_after_the_end_of_a_message() {
    let ended = [composed(), started(1, at(0)), sent(1)];
    for history in [vec![composed()], vec![composed(), started(1, at(0))], ended.to_vec(), vec![composed(), captured()]]
    {
        given(history.clone()).when(record(bounce())).then_expect_events(vec![reported(bounce())]);
        let again = history.iter().cloned().chain([reported(bounce())]);
        given(again).when(record(bounce())).then_expect_events(vec![]);
        let other = Report { id: "b3RoZXI".into(), ..bounce() };
        let before = history.into_iter().chain([reported(bounce())]);
        given(before).when(record(other.clone())).then_expect_events(vec![reported(other)]);
    }
    given([]).when(record(bounce())).then_expect_error(MessageError::NotFound);
}

#[test]
fn a_report_of_another_form_or_about_the_other_channel_is_not_recorded() {
    let unfit = Report { class: Some("no such user".into()), ..bounce() };
    let error = MessageError::Unfit(Problem::NotAnIdentifier.of("class"));
    given([composed()]).when(record(unfit)).then_expect_error(error);
    let text = bare("a", ReportSource::Sms, Outcome::Delivered, 9);
    given([composed()]).when(record(text.clone())).then_expect_events(vec![]);
    let history = [MessageEvent::Composed(Box::new(text_message()))];
    given(history.clone()).when(record(bounce())).then_expect_events(vec![]);
    given(history).when(record(text.clone())).then_expect_events(vec![reported(text)]);
}

#[test]
fn no_more_reports_of_a_message_are_recorded_than_the_bound_says() {
    let report = |number: usize| bare(&format!("r{number}"), ReportSource::Dsn, Outcome::Delayed, 9);
    let history = |count| [composed()].into_iter().chain((0..count).map(|number| reported(report(number))));
    let last = report(REPORTS_MAX);
    given(history(REPORTS_MAX - 1)).when(record(last.clone())).then_expect_events(vec![reported(last.clone())]);
    given(history(REPORTS_MAX)).when(record(last)).then_expect_events(vec![]);
}

#[test]
fn reports_change_nothing_about_the_attempts() {
    given([composed(), reported(bounce())]).when(start(1, at(0))).then_expect_events(vec![started(1, at(0))]);
    let attempting = [composed(), started(1, at(0)), reported(bounce())];
    given(attempting.clone()).when(record_sent(1)).then_expect_events(vec![sent(1)]);
    let deferral = deferred(1, Obstacle::Interrupted, at(2));
    given(attempting).when(fail(1, Obstacle::Interrupted, at(1))).then_expect_events(vec![deferral]);
    let ended = [composed(), started(1, at(0)), sent(1), reported(bounce())];
    given(ended).when(start(2, at(9))).then_expect_error(MessageError::Ended);
}

#[test]
fn a_message_is_settled_by_the_latest_report_of_an_end() {
    let settled = |outcomes: &[(Outcome, i64)]| {
        let mut message = Message::default();
        message.evolve(composed());
        for (number, (outcome, seconds)) in outcomes.iter().enumerate() {
            message.evolve(reported(bare(&format!("r{number}"), ReportSource::Dsn, *outcome, *seconds)));
        }
        message.settled_at()
    };
    assert_eq!(settled(&[]), None);
    assert_eq!(settled(&[(Outcome::Delayed, 5), (Outcome::Undetermined, 6)]), None);
    assert_eq!(settled(&[(Outcome::Bounced, 5), (Outcome::Delayed, 6)]), Some(at(5)));
    assert_eq!(settled(&[(Outcome::Complained, 7), (Outcome::Delivered, 3)]), Some(at(7)));
}

#[test]
fn a_message_is_sealed_for_its_recipient_and_its_texts_are_never_shown() {
    let composed = composed();
    let payload = serde_json::to_value(&composed).expect("JSON");
    let mut personal = composed.declared().disclosure.personal(&payload);
    personal.sort();
    let content = ["/content/code", "/content/html", "/content/link", "/content/subject", "/content/text"];
    let expected: Vec<_> = content.into_iter().chain(["/to"]).collect();
    assert_eq!(personal, expected);
    let mut secret = composed.secret_fields().to_vec();
    secret.sort_unstable();
    assert_eq!(secret, content);
    for event in MessageEvent::samples() {
        assert_eq!(event.subject("stream"), Some(RECIPIENT.to_string()));
    }
    let reported = reported(bounce());
    let payload = serde_json::to_value(&reported).expect("JSON");
    let mut personal = reported.declared().disclosure.personal(&payload);
    personal.sort();
    assert_eq!(personal, ["/report/destination", "/report/raw", "/report/sender", "/report/subject"]);
}
