//! Addresses, homes and pending contacts in the `users` read model.

use crate::given::*;
use registrar_aggregates::user::{Contacts, Creation, Home, Locale, Names, Phone, UserEvent, UserState, Username};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::stamped::time_key;
use registrar_projections::{Document, KeyValue, UserDocument, users};
use uuid::Uuid;

pub const ID: Uuid = Uuid::from_u128(0xAB);

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn phone() -> Phone {
    Phone::parse("+12025550123").expect("a number")
}

pub fn created_with(edit: impl FnOnce(&mut Creation)) -> UserEvent {
    let mut creation = Creation {
        id: UserId(ID),
        state: UserState::Confirmed,
        names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
        birth_date: None,
        home: Some(Home::SYSTEM),
        sign_up_code: None,
        contacts: Contacts { email: Some(email("Ada@example.com")), email_verified: true, ..Contacts::default() },
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: None,
        password_expires_at: None,
    };
    edit(&mut creation);
    UserEvent::Created(Box::new(creation))
}

fn created() -> UserEvent {
    created_with(|_| {})
}

fn amended(former: Option<&str>, to: &str) -> UserEvent {
    UserEvent::EmailAmended { former: former.map(email), email: email(to), kept: Some(email("Ada@example.com")) }
}

fn document(changes: impl IntoIterator<Item = UserEvent>) -> UserDocument {
    let mut recorder = Recorder::default();
    let events: Vec<_> = changes.into_iter().map(|event| recorder.record(&ID.to_string(), event)).collect();
    history(events).get(&ID.to_string()).expect("a document")
}

fn key(document: &UserDocument, name: &str) -> String {
    let index = UserDocument::COLLECTION.keys.iter().position(|key| key.name == name).expect("a key");
    match document.keys().swap_remove(index) {
        KeyValue::Text(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn the_key_of_the_verified_address_is_the_kept_one_while_another_waits() {
    let name = users::VERIFIED_EMAIL.name();
    assert_eq!(key(&document([created()]), name), "ada@example.com");
    let waiting = document([created(), amended(None, "king@example.com")]);
    assert_eq!(key(&waiting, name), "ada@example.com");
    assert_eq!((key(&waiting, "email"), key(&waiting, "email_verified")), ("king@example.com".into(), "false".into()));
    assert_eq!((key(&waiting, "verified"), waiting.username_text()), ("true".into(), "Ada@example.com"));
    let confirmed = UserEvent::EmailConfirmed {
        former: Some(email("Ada@example.com")),
        email: email("king@example.com"),
        ends_sessions: true,
    };
    let confirmed = document([created(), amended(None, "king@example.com"), confirmed]);
    assert_eq!((key(&confirmed, name), key(&confirmed, "email_verified")), ("king@example.com".into(), "true".into()));
    let unverified = document([created_with(|creation| creation.contacts.email_verified = false)]);
    assert_eq!((key(&unverified, name), key(&unverified, "verified")), (String::new(), "false".into()));
}

#[test]
fn a_verified_number_beside_an_unverified_address_counts_as_verified() {
    let one = document([created_with(|creation| {
        creation.contacts.email_verified = false;
        (creation.contacts.phone, creation.contacts.phone_verified) = (Some(phone()), true);
    })]);
    assert_eq!((key(&one, "verified"), key(&one, "email_verified")), ("true".into(), "false".into()));
    assert_eq!(one.username_text(), "+12025550123");
}

#[test]
fn a_wait_begins_with_the_address_that_waits_and_ends_with_it() {
    let since = |events: Vec<UserEvent>| key(&document(events), users::WAITING_SINCE.name());
    assert_eq!(since(vec![created()]), "");
    let waiting = || vec![created(), amended(None, "king@example.com")];
    assert_eq!(since(waiting()), time_key(time(2)));
    let named = UserEvent::NamesAmended { names: Names { first_name: "Augusta".into(), last_name: "King".into() } };
    assert_eq!(since([waiting(), vec![named]].concat()), time_key(time(2)));
    // Another address restarts the wait.
    let again = amended(Some("king@example.com"), "byron@example.com");
    assert_eq!(since([waiting(), vec![again]].concat()), time_key(time(3)));
    let number =
        UserEvent::PhoneAmended { former: None, phone: phone(), kept: Some(Phone::parse("+12025550124").unwrap()) };
    assert_eq!(since([waiting(), vec![number]].concat()), time_key(time(2)));
    let ends = [
        UserEvent::EmailConfirmed { former: None, email: email("king@example.com"), ends_sessions: true },
        UserEvent::EmailRestored { former: email("king@example.com"), email: email("Ada@example.com") },
        UserEvent::Archived {
            email: Some(email("king@example.com")),
            phone: None,
            kept_email: Some(email("Ada@example.com")),
            kept_phone: None,
        },
    ];
    for end in ends {
        assert_eq!(since([waiting(), vec![end]].concat()), "");
    }
    // A first number has no verified predecessor, so it does not wait.
    assert_eq!(since(vec![created(), UserEvent::PhoneAmended { former: None, phone: phone(), kept: None }]), "");
}

#[test]
fn the_home_is_told_with_the_profile() {
    let organization = OrganizationId(Uuid::from_u128(7));
    let of = created_with(|creation| creation.home = Some(Home::of(organization)));
    assert_eq!(document([of]).home(), Some(organization));
    let changed = UserEvent::HomeChanged { organization_id: Some(organization) };
    assert_eq!(document([created(), changed]).home(), Some(organization));
    assert_eq!(document([created()]).home(), None);
}

#[test]
fn names_that_differ_beyond_the_cut_have_different_keys() {
    let [one, other] = ["a", "b"]
        .map(|end| document([created_with(|creation| creation.names.last_name = format!("{}{end}", "𝒜".repeat(254)))]));
    assert_ne!(key(&one, "last_name"), key(&other, "last_name"));
    assert_eq!(key(&one, "last_name"), users::name_key(&one.names.last_name));
}

#[test]
fn the_time_of_a_password_of_support_is_kept_until_another_one_is_set() {
    let password = |state| UserEvent::PasswordChanged { password_hash: "hash".into(), state, ends_sessions: true };
    let set = document([created(), password(UserState::ForceResetPassword)]);
    assert_eq!(set.reset_at, Some(set.updated_at));
    let renamed = UserEvent::UsernameChosen { username: Username::Phone };
    let later = document([created(), password(UserState::ForceResetPassword), renamed]);
    assert!(later.reset_at.is_some_and(|at| at < later.updated_at));
    let changed = [UserState::ForceResetPassword, UserState::Confirmed].map(password);
    assert_eq!(document([vec![created()], changed.into()].concat()).reset_at, None);
}
