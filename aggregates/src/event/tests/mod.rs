//! Rules for every event type of every aggregate.

mod asyncapi;
mod names;
mod shapes;
#[path = "../../../tests/support/written.rs"]
mod written;

use super::*;
use crate::AnyAggregate;
use crate::samples::Samples;
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! all_samples {
    ($(
        $(#[$doc:meta])* $variant:ident: $aggregate:ty, $event:ty, $source:ident $entity:literal
        $(, refuses $error:ty)?;
    )*) => {
        /// The largest event of every type, in the order of [`DomainEvent::declarations`].
        fn events() -> Vec<DomainEvent> {
            let mut all = Vec::new();
            $(all.extend(<$event>::samples().into_iter().map(DomainEvent::from));)*
            all
        }

        /// Events of types in [`events`], with members that exclude those of the samples there.
        fn alternatives() -> Vec<DomainEvent> {
            let mut all = Vec::new();
            $(all.extend(<$event>::alternatives().into_iter().map(DomainEvent::from));)*
            all
        }
    };
}

every_aggregate!(all_samples);

fn names() -> Vec<&'static str> {
    DomainEvent::event_types().collect()
}

fn payload(event: &DomainEvent) -> Value {
    event.to_payload().expect("every event is JSON")
}

/// Whether `name` is lower-case words joined by single hyphens.
fn is_kebab(name: &str) -> bool {
    name.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[test]
fn the_samples_are_one_event_of_every_type() {
    let types: Vec<_> = events().iter().map(DomainEvent::event_type).collect();
    assert_eq!(types, names());
}

#[test]
fn the_type_in_the_payload_is_the_type_of_the_event() {
    for event in events() {
        assert_eq!(payload(&event)["type"], Value::String(event.event_type()));
    }
}

#[test]
fn an_event_name_is_its_aggregate_and_a_verb_in_the_past_tense() {
    for event in events() {
        let name = event.event_type();
        let (aggregate, happened) = name.split_once('.').expect("a dot");
        assert_eq!(aggregate, event.aggregate_type());
        assert!(is_kebab(aggregate) && is_kebab(happened), "{name}");
        let verb = happened.rsplit('-').next().expect("at least one word");
        assert!(verb.ends_with("ed") || ["read", "sent"].contains(&verb), "{name} is not in the past tense");
    }
}

#[test]
fn no_name_is_given_twice() {
    let names = names();
    assert_eq!(BTreeSet::from_iter(&names).len(), names.len());
}

#[test]
fn every_event_has_a_version_of_two_numbers() {
    for event in events() {
        let version = event.event_version();
        let (major, minor) = version.split_once('.').expect("a dot");
        assert!(major.parse::<u32>().is_ok_and(|major| major > 0) && minor.parse::<u32>().is_ok(), "{version}");
    }
}

#[test]
fn an_event_is_read_back_from_its_payload() {
    for event in events() {
        let read = DomainEvent::from_payload(event.aggregate_type(), payload(&event)).expect("its own shape");
        assert_eq!(read, event);
    }
}

#[test]
fn an_event_is_read_back_from_the_text_of_its_payload() {
    for event in events() {
        let text = payload(&event).to_string();
        let read = DomainEvent::from_payload(event.aggregate_type(), serde_json::from_str(&text).expect("JSON"));
        assert_eq!(read.expect("its own shape"), event);
    }
}

#[test]
fn members_of_payloads_are_written_in_camel_case() {
    fn names_in(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    names.insert(name.clone());
                    names_in(member, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| names_in(item, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut names = BTreeSet::new();
    events().iter().for_each(|event| names_in(&payload(event), &mut names));
    for name in names {
        assert!(
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}"
        );
    }
}

#[test]
fn an_event_of_an_unknown_aggregate_is_an_error() {
    let error = DomainEvent::from_payload("planet", payload(&events()[0])).expect_err("no such aggregate");
    assert!(matches!(&error, UnknownEvent::Aggregate(name) if name == "planet"));
    assert_eq!(error.to_string(), r#"unknown aggregate type "planet""#);
}

#[test]
fn the_name_of_an_aggregate_is_read_letter_for_letter() {
    assert!(matches!(DomainEvent::from_payload("Admin", payload(&events()[0])), Err(UnknownEvent::Aggregate(_))));
}

#[test]
fn a_payload_without_the_shape_of_its_type_is_an_error_that_keeps_its_cause() {
    use serde_json::json;
    use std::error::Error;
    for misshaped in [
        json!({"type": "admin.exploded"}),
        json!({"type": "admin.registered"}),
        json!({"type": "admin.address-added", "address": {}, "index": 0}),
        json!({"type": "admin.address-removed", "addressId": "no uuid"}),
        json!({"type": "admin.party-amended", "legacyIdentifier": 1}),
        json!({"type": 1}),
        json!({}),
        json!([]),
        json!(null),
        json!("admin.activated"),
    ] {
        let error = DomainEvent::from_payload("admin", misshaped.clone()).expect_err("misshaped");
        assert!(
            matches!(&error, UnknownEvent::Payload { aggregate_type, .. } if aggregate_type == "admin"),
            "{misshaped}: {error}"
        );
        assert!(error.source().is_some_and(|source| source.is::<serde_json::Error>()));
    }
}

#[test]
fn an_event_of_another_aggregate_is_misshaped() {
    for event in events() {
        let other = if event.aggregate_type() == "admin" { "key-ring" } else { "admin" };
        let error = DomainEvent::from_payload(other, payload(&event)).expect_err("not of that aggregate");
        assert!(matches!(error, UnknownEvent::Payload { .. }));
    }
}

/// The payload as stored, with a mark in place of personal values.
fn sealed(event: &DomainEvent) -> Value {
    let mut payload = payload(event);
    let personal = event.disclosure().personal(&payload);
    personal::take(&mut payload, &personal);
    payload
}

#[test]
fn secrets_are_personal() {
    for event in events() {
        let personal = event.disclosure().personal(&payload(&event));
        for secret in personal::take(&mut payload(&event), event.secret_fields()).keys() {
            assert!(personal.contains(secret), "{} {secret}", event.event_type());
        }
    }
}

/// Sealing needs a key.
#[test]
fn events_with_personal_values_have_a_subject() {
    for event in events() {
        let personal = event.disclosure().personal(&payload(&event));
        assert!(personal.is_empty() || event.subject("stream").is_some(), "{} {personal:?}", event.event_type());
    }
}

#[test]
fn a_checkin_is_sealed_with_the_key_of_its_user() {
    let checkin = events().into_iter().find(|event| event.event_type() == "user-checkin.recorded").expect("a sample");
    assert_eq!(checkin.subject("stream").as_deref(), Some("00000000-0000-0000-0000-000000000001"));
    assert_eq!(checkin.disclosure().personal(&payload(&checkin)), ["/appVersion", "/model", "/osVersion"]);
}

#[test]
fn the_disclosure_of_an_event_is_found_by_its_type() {
    for event in events() {
        assert_eq!(DomainEvent::disclosure_of(&event.event_type()), Some(event.disclosure()));
    }
    assert_eq!(DomainEvent::disclosure_of("planet.exploded"), None);
}

#[test]
fn the_type_of_an_event_is_never_personal() {
    for event in events() {
        let sealed = sealed(&event);
        assert_eq!(sealed["type"], Value::String(event.event_type()));
    }
}

#[test]
fn a_sealed_event_is_read_as_one_of_its_type() {
    for event in events() {
        let sealed = sealed(&event);
        let read = DomainEvent::from_payload(event.aggregate_type(), sealed).expect("its own shape");
        assert_eq!(read.event_type(), event.event_type());
    }
}

#[test]
fn keys_password_hashes_and_contents_of_messages_are_the_secrets() {
    let secrets: Vec<_> = events().iter().flat_map(|event| event.secret_fields().iter().copied()).collect();
    assert_eq!(
        secrets,
        [
            "/account/passwordHash",
            "/passwordHash",
            "/key/privateKey",
            "/secretDigest",
            "/secretDigest",
            "/key/privateKey",
            "/passwordHash",
            "/passwordHash",
            "/passwordHash",
            "/refreshDigest",
            "/refreshDigest",
            "/spentDigest",
            "/refreshDigest",
            "/secret",
            "/recoveryDigests/*",
            "/digest",
            "/content/subject",
            "/content/text",
            "/content/html",
            "/content/code",
            "/content/link",
            "/invitation/digest",
            "/former",
            "/voided",
        ]
    );
}

#[test]
fn only_listed_events_take_or_release_claims() {
    let claiming: Vec<_> =
        events().iter().filter(|event| !event.claims().is_empty()).map(DomainEvent::event_type).collect();
    assert_eq!(
        claiming,
        [
            "admin.registered",
            "organization.registered",
            "organization.deleted",
            "api-key.created",
            "api-key.deleted",
            "user.created",
            "user.email-amended",
            "user.phone-amended",
            "user.phone-confirmed",
            "user.sign-up-corrected",
            "user.archived",
            "user.email-confirmed",
            "user.email-restored",
            "user.phone-restored",
            "totp-configuration.created",
            "totp-configuration.enabled",
            "totp-configuration.disabled",
            "totp-configuration.deleted",
            "feature-setting.created",
            "feature-setting.removed",
            "general-message.created",
            "organization-theme.created",
            "organization-theme.amended",
            "individual-group.created",
            "individual-group.renamed",
            "individual-group.moved",
            "url-shortener.created",
            "service-document.published",
            "message-template.created",
            "message-template.amended",
            "registration-invitation.created",
            "registration-invitation.claimed",
            "registration-invitation.expired",
            "onboarding-request.created",
            "onboarding-request.invited",
            "onboarding-request.email-amended",
            "onboarding-request.claimed",
            "task.queued",
            "task.finished",
            "task.failed",
        ]
    );
}

/// An organization is no person: its values are never personal.
#[test]
fn organizations_have_no_personal_values() {
    for event in events().iter().filter(|event| event.aggregate_type() == "organization") {
        assert!(event.subject("stream").is_none() && event.disclosure().is_all(), "{}", event.event_type());
    }
}

/// An event type lists the texts that stay unsealed; the listed texts must exist. `aggregates/events.txt` repeats the
/// list, so that no addition goes unnoticed.
#[test]
fn only_listed_texts_stay_in_the_clear() {
    fn texts_in(value: &Value, path: &str, texts: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| texts_in(member, &format!("{path}/{name}"), texts))
            }
            Value::Array(items) => items.iter().for_each(|item| texts_in(item, &format!("{path}/*"), texts)),
            Value::String(text) if text != personal::SEALED => {
                texts.insert(path.to_owned());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let all = events().into_iter().chain(alternatives());
    let of_somebody = all.filter(|event| event.aggregate_type() != "organization");
    let mut lists: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for event in of_somebody {
        let (texts, listed) = lists.entry(event.event_type()).or_default();
        texts_in(&sealed(&event), "", texts);
        texts.remove("/type");
        listed.extend(event.disclosure().clear.iter().map(|pattern| (*pattern).to_owned()));
    }
    for (event_type, (texts, listed)) in lists {
        // A listed subtree has texts at any depth.
        let subtrees: Vec<_> = listed.iter().filter_map(|pattern| pattern.strip_suffix("**")).collect();
        let of_list = |text: String| match subtrees.iter().find(|subtree| text.starts_with(**subtree)) {
            Some(subtree) => format!("{subtree}**"),
            None => text,
        };
        let texts: BTreeSet<_> = texts.into_iter().map(of_list).collect();
        assert_eq!(texts, listed, "{event_type}");
    }
}

#[test]
fn a_masked_event_and_the_states_it_leads_to_show_no_secret() {
    for aggregate_type in AnyAggregate::TYPES {
        let mut state = AnyAggregate::absent(aggregate_type).expect("listed");
        for event in events().into_iter().filter(|event| event.aggregate_type() == *aggregate_type) {
            let secrets = event.secret_fields();
            let masked = event.clone().masked().expect("secrets are texts");
            let mut expected = payload(&event);
            personal::replace(&mut expected, secrets, personal::SECRET);
            assert_eq!(payload(&masked), expected);
            let mut taken = personal::take(&mut payload(&event), secrets);
            taken.retain(|_, secret| secret != personal::SECRET);
            state.apply(masked);
            // A released claim is no longer held, and may be taken again.
            let shown = state.shown().map(|shown| shown.to_string()).unwrap_or_default();
            assert!(taken.values().all(|secret| !shown.contains(&secret.to_string())), "{shown}");
        }
    }
    assert!(AnyAggregate::absent("no-such-type").is_none());
}

#[test]
fn an_event_of_another_aggregate_changes_nothing() {
    for aggregate_type in AnyAggregate::TYPES {
        let mut state = AnyAggregate::absent(aggregate_type).expect("listed");
        let before = state.shown();
        events()
            .into_iter()
            .filter(|event| event.aggregate_type() != *aggregate_type)
            .for_each(|event| state.apply(event));
        assert_eq!(state.shown(), before);
    }
}
