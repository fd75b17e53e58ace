//! Given, when, then for templates of messages.

use super::template::*;
use super::*;
use crate::samples::Samples;
use crate::user::Locale;
use crate::values::{EmailAddress, MessageTemplateId, OrganizationId, Problem, ThemeId};
use crate::{Claim, ClaimKey, EventFacts};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use std::collections::HashSet;
use uuid::Uuid;

const ID: MessageTemplateId = MessageTemplateId(Uuid::from_u128(12));
const ORGANIZATION: Owner = Owner::Organization(OrganizationId(Uuid::from_u128(10)));
const THEME: Owner = Owner::Theme(ThemeId(Uuid::from_u128(13)));

const EMAIL: Purpose = Purpose { kind: Kind::Onboarding, locale: Locale::EnUs, format: Format::Html };
const SMS: Purpose = Purpose { kind: Kind::Verify, locale: Locale::EsUs, format: Format::Sms };

/// A template of a theme, with every member.
pub(crate) fn template() -> Template {
    Template {
        owner: THEME,
        purpose: EMAIL,
        subject: Some("Welcome, {{ first_name }}".into()),
        text: "<p>{{ link }}</p>\n".into(),
        support_email: EmailAddress::parse("help@example.com").ok(),
        support_email_title: Some("Help".into()),
    }
}

fn text_message() -> Template {
    Template {
        owner: THEME,
        purpose: SMS,
        subject: None,
        text: "{{ code }}".into(),
        support_email: None,
        support_email_title: None,
    }
}

pub(crate) fn created() -> TemplateEvent {
    TemplateEvent::Created { id: ID, template: template() }
}

fn create(template: Template) -> TemplateCommand {
    TemplateCommand::Create { id: ID, template }
}

fn given(events: impl IntoIterator<Item = TemplateEvent>) -> AggregateTestExecutor<MessageTemplate> {
    TestFramework::with(()).given(events.into_iter().collect())
}

impl Samples for TemplateEvent {
    fn samples() -> Vec<Self> {
        let template = Template { owner: ORGANIZATION, ..template() };
        let other = Purpose { locale: Locale::EsUs, ..EMAIL };
        vec![
            TemplateEvent::Created { id: ID, template: template.clone() },
            TemplateEvent::Amended { template, former: Some(other) },
        ]
    }

    fn alternatives() -> Vec<Self> {
        vec![
            TemplateEvent::Created { id: ID, template: text_message() },
            TemplateEvent::Amended { template: text_message(), former: None },
        ]
    }
}

#[test]
fn a_template_is_created_once() {
    given([]).when(create(template())).then_expect_events(vec![created()]);
    given([created()]).when(create(template())).then_expect_error(TemplateError::AlreadyExists);
}

#[test]
fn only_changed_members_are_recorded() {
    let amend = TemplateCommand::Amend;
    given([created()]).when(amend(Amendment::default())).then_expect_events(vec![]);
    let same = Amendment { kind: Some(Kind::Onboarding), format: Some(Format::Html), ..Amendment::default() };
    given([created()]).when(amend(same)).then_expect_events(vec![]);
    let cleared = Amendment { support_email: Some(None), support_email_title: Some(None), ..Amendment::default() };
    let template = Template { support_email: None, support_email_title: None, ..template() };
    let amended = TemplateEvent::Amended { template, former: None };
    given([created()]).when(amend(cleared.clone())).then_expect_events(vec![amended]);
    given([]).when(amend(cleared)).then_expect_error(TemplateError::NotFound);
}

#[test]
fn a_template_may_get_another_purpose_of_its_channel() {
    let change = Amendment {
        kind: Some(Kind::VerifyEmail),
        locale: Some(Locale::EsUs),
        format: Some(Format::Txt),
        ..Amendment::default()
    };
    let purpose = Purpose { kind: Kind::VerifyEmail, locale: Locale::EsUs, format: Format::Txt };
    let amended = TemplateEvent::Amended { template: Template { purpose, ..template() }, former: Some(EMAIL) };
    given([created()]).when(TemplateCommand::Amend(change)).then_expect_events(vec![amended.clone()]);
    let key = |purpose| ClaimKey::message_template(THEME, purpose);
    assert_eq!(created().claims(), [Claim::Take(key(EMAIL))]);
    assert_eq!(amended.claims(), [Claim::Release(key(EMAIL)), Claim::Take(key(purpose))]);
    let other_channel = Amendment { format: Some(Format::Sms), ..Amendment::default() };
    given([created()])
        .when(TemplateCommand::Amend(other_channel))
        .then_expect_error(TemplateError::Unfit(Problem::UnknownCode.of("format")));
}

#[test]
fn every_owner_has_one_template_for_a_purpose() {
    let purposes = [EMAIL, SMS, Purpose { format: Format::Txt, ..EMAIL }, Purpose { locale: Locale::EsUs, ..EMAIL }];
    let keys = purposes
        .iter()
        .flat_map(|purpose| [ORGANIZATION, THEME].map(|owner| ClaimKey::message_template(owner, *purpose)));
    assert_eq!(keys.collect::<HashSet<_>>().len(), 8);
}

#[test]
fn a_change_without_another_purpose_takes_no_claim() {
    let amended = TemplateEvent::Amended { template: template(), former: None };
    assert_eq!(amended.claims(), []);
}

#[test]
fn an_unfit_member_is_refused_by_its_name() {
    let long = "x".repeat(LINE_LENGTH_MAX + 1);
    let subject = |text: &str| Template { subject: Some(text.into()), ..template() };
    let body = |text: &str| Template { text: text.into(), ..template() };
    let title = |text: &str| Template { support_email_title: Some(text.into()), ..template() };
    for (unfit, problem, field) in [
        (Template { subject: None, ..template() }, Problem::Blank, "subject"),
        (subject(" \u{200b}"), Problem::Blank, "subject"),
        (subject("a\r\nBcc: b@example.com"), Problem::Control, "subject"),
        (subject("a\u{2028}b"), Problem::Control, "subject"),
        (subject("\u{202e}a"), Problem::Override, "subject"),
        (subject(&long), Problem::TooLong { max: LINE_LENGTH_MAX }, "subject"),
        (body("\n"), Problem::Blank, "template"),
        (body("a\0"), Problem::Nul, "template"),
        (body("a\u{7}"), Problem::Control, "template"),
        (body("\u{2066}a"), Problem::Override, "template"),
        (body(&"ä".repeat(TEXT_BYTES_MAX / 2 + 1)), Problem::TooManyBytes { max: TEXT_BYTES_MAX }, "template"),
        (title("a\nb"), Problem::Control, "supportEmailTitle"),
        (title(&long), Problem::TooLong { max: LINE_LENGTH_MAX }, "supportEmailTitle"),
        (Template { purpose: Purpose { kind: Kind::Verify, ..EMAIL }, ..template() }, Problem::UnknownCode, "type"),
        (
            Template { purpose: Purpose { kind: Kind::PasswordChanged, ..EMAIL }, ..template() },
            Problem::UnknownCode,
            "type",
        ),
    ] {
        given([]).when(create(unfit)).then_expect_error(TemplateError::Unfit(problem.of(field)));
    }
}

#[test]
fn a_text_of_the_largest_size_and_of_several_lines_is_stored_as_written() {
    for text in ["a\r\n\tb 🙁".to_owned(), "\"".repeat(TEXT_BYTES_MAX)] {
        let template = Template { text, ..template() };
        let created = TemplateEvent::Created { id: ID, template: template.clone() };
        given([]).when(create(template)).then_expect_events(vec![created]);
    }
}

#[test]
fn a_text_message_has_no_subject() {
    let created = TemplateEvent::Created { id: ID, template: text_message() };
    given([]).when(create(text_message())).then_expect_events(vec![created]);
}

#[test]
fn the_kinds_with_templates_are_those_of_the_published_contract() {
    let named = |channel| {
        let kinds = Kind::ALL.iter().filter(|kind| kind.has_templates(channel));
        let mut names: Vec<_> = kinds.map(|kind| kind.name()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        named(Channel::Email),
        [
            "forgot-password",
            "messaging-patient",
            "messaging-provider",
            "onboarding",
            "onboarding-provider",
            "reverify-email",
            "verify-email",
        ]
    );
    assert_eq!(named(Channel::Sms), ["onboarding", "onboarding-provider", "reset-password", "verify"]);
    for kind in Kind::ALL {
        for channel in [Channel::Email, Channel::Sms] {
            assert!(!kind.has_templates(channel) || kind.channels().contains(&channel), "{kind:?}");
        }
    }
}
