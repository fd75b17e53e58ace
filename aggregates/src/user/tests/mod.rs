//! Given, when, then for every command of a user and of a roster of admins.

mod amendment;
mod belonging;
mod claims;
mod contacts;
mod home;
mod life;
mod preferences;
mod roster;
mod sign_up;

use super::*;
use crate::organization_code::OrganizationCodeId;
use crate::samples::Samples;
use crate::values::Problem;
use crate::{Claim, ClaimKey, EventFacts, EventTypes};
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

fn given(events: impl IntoIterator<Item = UserEvent>) -> AggregateTestExecutor<User> {
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The profile after `events`.
fn profile(events: impl IntoIterator<Item = UserEvent>) -> Profile {
    let mut state = User::default();
    events.into_iter().for_each(|event| state.apply(event));
    state.profile().expect("a user").clone()
}

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn organization(number: u128) -> OrganizationId {
    OrganizationId(Uuid::from_u128(number))
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn phone(text: &str) -> Phone {
    Phone::parse(text).expect("a number")
}

fn creation() -> Creation {
    Creation {
        id: user(1),
        state: UserState::Confirmed,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        home: Some(Home::SYSTEM),
        sign_up_code: None,
        contacts: Contacts { email: Some(email("ada@example.com")), email_verified: true, ..Contacts::default() },
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: Some("hash".into()),
        password_expires_at: None,
    }
}

fn creation_with(edit: impl FnOnce(&mut Creation)) -> Creation {
    let mut creation = creation();
    edit(&mut creation);
    creation
}

fn created() -> UserEvent {
    UserEvent::Created(Box::new(creation()))
}

fn created_with(edit: impl FnOnce(&mut Creation)) -> UserEvent {
    UserEvent::Created(Box::new(creation_with(edit)))
}

fn create(creation: Creation) -> UserCommand {
    UserCommand::Create(Box::new(creation))
}

fn archived() -> UserEvent {
    UserEvent::Archived { email: creation().contacts.email, phone: None, kept_email: None, kept_phone: None }
}

impl Samples for UserEvent {
    fn samples() -> Vec<Self> {
        let organization_id = organization(1);
        vec![
            created_with(|creation| {
                creation.birth_date = BirthDate::parse("1815-12-10").ok();
                creation.sign_up_code = OrganizationCodeId::parse("Spring-2026").ok();
                creation.contacts.phone = Phone::parse("+12025550123").ok();
                creation.time_zone = Some("Europe/London".into());
                creation.classification = Some(Classification::Customer);
                creation.onboarding = Some(OnboardingRequestId(Uuid::from_u128(8)));
                creation.password_expires_at = Some(chrono::DateTime::UNIX_EPOCH);
            }),
            UserEvent::NamesAmended { names: Names { first_name: "Augusta".into(), last_name: "King".into() } },
            UserEvent::BirthDateAmended { birth_date: BirthDate::parse("1815-12-11").expect("a date") },
            UserEvent::EmailAmended {
                former: Some(email("byron@example.com")),
                email: email("king@example.com"),
                kept: Some(email("ada@example.com")),
            },
            UserEvent::PhoneAmended {
                former: Some(phone("+12025550125")),
                phone: phone("+12025550124"),
                kept: Some(phone("+12025550123")),
            },
            UserEvent::PhoneConfirmed { former: Some(phone("+12025550123")), ends_sessions: true },
            UserEvent::SignUpCorrected { former: email("byron@example.com"), email: email("king@example.com") },
            UserEvent::UsernameChosen { username: Username::Phone },
            UserEvent::LocaleChosen { locale: Locale::EsUs },
            UserEvent::TimeZoneChosen { time_zone: "Europe/Paris".into() },
            UserEvent::PreferencesAmended {
                preferences: Preferences::from([(
                    Channel::Sms,
                    [("news".to_owned(), json!(false))].into_iter().collect(),
                )]),
            },
            UserEvent::Classified { classification: Classification::Carium },
            UserEvent::PasswordChanged {
                password_hash: "hash".into(),
                state: UserState::ForceResetPassword,
                ends_sessions: true,
            },
            UserEvent::Registered {
                password_hash: "hash".into(),
                onboarding_id: Some(OnboardingRequestId(Uuid::from_u128(8))),
                at: chrono::DateTime::UNIX_EPOCH,
            },
            UserEvent::SignUpConfirmed {},
            UserEvent::Enrolled { enrollment: sign_up::enrollment() },
            UserEvent::Disabled { state: UserState::Disabled },
            UserEvent::Enabled { state: UserState::Confirmed },
            UserEvent::Archived {
                email: Some(email("king@example.com")),
                phone: Some(phone("+12025550124")),
                kept_email: Some(email("ada@example.com")),
                kept_phone: Some(phone("+12025550123")),
            },
            UserEvent::OrganizationJoined { organization_id, number: 1 },
            UserEvent::OrganizationRemoved { organization_id },
            UserEvent::DefaultOrganizationChanged { organization_id: Some(organization_id) },
            UserEvent::RoleGranted { organization_id, role: Role::Admin },
            UserEvent::RoleRevoked { organization_id, role: Role::Admin },
            UserEvent::SystemRoleGranted { role: SystemRole::Support },
            UserEvent::SystemRoleRevoked { role: SystemRole::Support },
            UserEvent::DocumentsAgreed { documents: [Uuid::from_u128(7)].into() },
            UserEvent::AgreementsDeleted {},
            UserEvent::IndividualAdded { individual_id: IndividualId(Uuid::from_u128(9)) },
            UserEvent::EmailConfirmed {
                former: Some(email("ada@example.com")),
                email: email("king@example.com"),
                ends_sessions: true,
            },
            UserEvent::EmailRestored { former: email("king@example.com"), email: email("ada@example.com") },
            UserEvent::PhoneRestored { former: phone("+12025550124"), phone: phone("+12025550123") },
            UserEvent::HomeChanged { organization_id: Some(organization_id) },
            UserEvent::SessionsEnded {},
            UserEvent::IndividualRemoved { individual_id: IndividualId(Uuid::from_u128(9)) },
            UserEvent::PrimaryIndividualChanged { individual_id: IndividualId(Uuid::from_u128(9)) },
            UserEvent::InvitationNoted { state: InvitationState::Sent },
        ]
    }

    fn alternatives() -> Vec<Self> {
        vec![created_with(|creation| creation.home = Some(Home::of(organization(1))))]
    }
}

#[test]
fn debug_output_shows_no_personal_values_and_snapshots_no_hash() {
    for event in UserEvent::samples() {
        let printed = format!("{event:?}");
        assert!(
            !["hash", "Ada", "King", "example", "1815", "555", "Gussie"].iter().any(|told| printed.contains(told)),
            "{printed}"
        );
    }
    let profile = profile([created()]);
    assert!(!format!("{profile:?} {:?}", creation()).contains("Ada"));
    assert!(!serde_json::to_string(&profile).expect("JSON").contains("hash"));
}

#[test]
fn an_erased_user_is_still_read() {
    for event in UserEvent::samples() {
        let mut payload = serde_json::to_value(&event).expect("JSON");
        let personal = event.declared().disclosure.personal(&payload);
        crate::personal::replace(&mut payload, &personal, crate::personal::ERASED);
        assert!(serde_json::from_value::<UserEvent>(payload.clone()).is_ok(), "{payload}");
    }
}

#[test]
fn telephone_numbers_and_dates_of_birth_have_their_forms() {
    let read = |phone: Result<Phone, Problem>| phone.map(|phone| phone.as_str().to_owned());
    for text in ["+12025550123", "+15551234567", "+442079500000", "+4915112345678", "+390236618300", "+43912345"] {
        assert_eq!(read(Phone::parse(text)), Ok(text.to_owned()));
        assert_eq!(read(Phone::parse_stored(text)), Ok(text.to_owned()));
    }
    // No such code, too few or too many digits for the country. They may have been recorded.
    for text in ["+2101234567", "+99912345678", "+12345678", "+123456789012345", "+4420795000000", "+3312345678"] {
        assert_eq!(Phone::parse(text), Err(Problem::NotAPhone), "{text}");
        assert_eq!(read(Phone::parse_stored(text)), Ok(text.to_owned()));
    }
    for text in
        ["", "+", "12025550123", "+02025550123", "+1202555", "+1234567890123456", "+1202555012x", "+1 2025550123"]
    {
        assert_eq!(Phone::parse(text), Err(Problem::NotAPhone), "{text}");
        assert_eq!(Phone::parse_stored(text), Err(Problem::NotAPhone), "{text}");
    }
    assert!(phone("+12025550123").is_north_american() && !phone("+442079500000").is_north_american());
    assert!(BirthDate::parse("2000-02-29").is_ok());
    for text in ["", "1900-02-29", "2000-1-1", "2000-01-01 ", "01-01-2000"] {
        assert_eq!(BirthDate::parse(text), Err(Problem::NotADate), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_number_or_refused(text in r"\PC*|\+?[0-9]{0,20}|\+[0-9\p{Nd}]{0,16}") {
        let (parsed, stored) = (Phone::parse(&text), Phone::parse_stored(&text));
        prop_assert!(stored.is_ok() || parsed.is_err());
        for phone in [parsed, stored].into_iter().flatten() {
            prop_assert_eq!(phone.as_str(), text.as_str());
        }
    }
}

#[test]
fn roles_have_identifiers_of_their_own_everywhere() {
    let ids: std::collections::BTreeSet<_> = [organization(1), organization(2)]
        .into_iter()
        .flat_map(|organization| Role::ALL.map(|role| role.id(organization)))
        .chain(SystemRole::ALL.map(SystemRole::id))
        .collect();
    assert_eq!(ids.len(), 9);
    for role in Role::ALL {
        assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
    }
    for role in SystemRole::ALL {
        assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
    }
}
