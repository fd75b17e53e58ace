//! Given, when, then for every command of an API key.

mod amendment;
mod creation;
mod end;

use super::*;
use crate::samples::Samples;
use crate::values::{ApiKeyId, OrganizationId, Problem};
use crate::{Claim, ClaimKey, EventFacts};
use chrono::TimeDelta;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

fn given(events: impl IntoIterator<Item = ApiKeyEvent>) -> AggregateTestExecutor<ApiKey> {
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The state that `events` lead to.
fn state(events: impl IntoIterator<Item = ApiKeyEvent>) -> ApiKey {
    let mut state = ApiKey::default();
    events.into_iter().for_each(|event| state.apply(event));
    state
}

/// The key that `events` lead to.
fn key(events: impl IntoIterator<Item = ApiKeyEvent>) -> Key {
    state(events).key().expect("a key").clone()
}

/// The current time of the tests, or so many seconds later.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000 + seconds)
}

fn roles(roles: &[Role]) -> BTreeSet<Role> {
    roles.iter().copied().collect()
}

fn creation() -> Creation {
    Creation {
        id: ApiKeyId(Uuid::from_u128(1)),
        organization_id: OrganizationId(Uuid::from_u128(2)),
        name: "Nightly".into(),
        roles: roles(&[Role::Admin]),
        enabled: true,
        expires_at: None,
        place: 7,
        secret_digest: "digest".into(),
    }
}

fn creation_with(edit: impl FnOnce(&mut Creation)) -> Creation {
    let mut creation = creation();
    edit(&mut creation);
    creation
}

fn created() -> ApiKeyEvent {
    ApiKeyEvent::Created(creation())
}

fn created_with(edit: impl FnOnce(&mut Creation)) -> ApiKeyEvent {
    ApiKeyEvent::Created(creation_with(edit))
}

fn deleted() -> ApiKeyEvent {
    ApiKeyEvent::Deleted { organization_id: creation().organization_id, place: 7 }
}

fn create(creation: Creation) -> ApiKeyCommand {
    ApiKeyCommand::Create { creation, now: at(0) }
}

fn amend(edit: impl FnOnce(&mut Amendment)) -> ApiKeyCommand {
    let mut amendment = Amendment::default();
    edit(&mut amendment);
    ApiKeyCommand::Amend { amendment, now: at(0) }
}

fn roll(secret_digest: &str) -> ApiKeyCommand {
    ApiKeyCommand::Roll { secret_digest: secret_digest.into() }
}

fn delete_by(actor: &str) -> ApiKeyCommand {
    ApiKeyCommand::Delete { by: actor.into() }
}

impl Samples for ApiKeyEvent {
    fn samples() -> Vec<Self> {
        vec![
            created_with(|creation| creation.expires_at = Some(at(1))),
            ApiKeyEvent::SecretRolled { secret_digest: "digest".into() },
            ApiKeyEvent::Renamed { name: "Weekly".into() },
            ApiKeyEvent::RolesChanged { roles: roles(&Role::ALL) },
            ApiKeyEvent::ExpiryChanged { expires_at: Some(at(1)) },
            ApiKeyEvent::Enabled {},
            ApiKeyEvent::Disabled {},
            deleted(),
        ]
    }
}

#[test]
fn a_role_is_found_by_its_name_and_only_by_it() {
    for role in Role::ALL {
        assert_eq!(role.name().parse(), Ok(role));
        assert_eq!(role.name().to_uppercase().parse::<Role>(), Err(UnknownRole));
        assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
    }
    assert_eq!(UnknownRole.to_string(), "there is no such role; there are admin, developer, query_endpoints");
}

#[test]
fn neither_debug_output_nor_snapshots_show_a_digest() {
    for event in ApiKeyEvent::samples() {
        assert!(!format!("{event:?}").contains("digest"), "{event:?}");
    }
    let state = state([created()]);
    assert!(!format!("{state:?}").contains("digest") && !format!("{:?}", creation()).contains("digest"));
    assert!(!serde_json::to_string(&state).expect("JSON").contains("igest"));
}
