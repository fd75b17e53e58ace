//! Activities: the audit trail of an organization, in the vocabulary of the published log.
//!
//! Entries without a name in that vocabulary are left out; auditors see them in the journal.

use super::envelope;
use super::parameters::Period;
use super::responses::{Activity, ActivityType, ActorType, KeyUpdateType, time};
use crate::api::common::ApiError;
use crate::api::common::query::time_key;
use crate::journal::JournalResult;
use crate::node::Node;
use crate::read_store::Read;
use axum::body::{Body, Bytes};
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use registrar_aggregates::{ActorType as Kind, values::OrganizationId};
use registrar_projections::audit_trail::{Action, AuditEntry, BY_POSITION, ORGANIZATION_ID, POSITION, RECORDED_AT};
use registrar_projections::{Direction, Query};
use std::sync::Arc;
use uuid::{Builder, Uuid, Version};

/// Entries read at once: bounds the memory per reader of the whole log, however long it is.
const PAGE: u64 = 100;
/// Bits of an identifier that hold the position.
const POSITION_BITS: u128 = (1 << 62) - 1;

/// The log of an organization, read page by page while it is sent.
pub(super) struct Log {
    node: Arc<Node>,
    organization: OrganizationId,
    period: Period,
}

impl Log {
    pub(super) fn new(node: Arc<Node>, organization: OrganizationId, period: Period) -> Self {
        Log { node, organization, period }
    }

    /// Response body with the log, newest first, and the position that it reflects. Entries never change, so pages read
    /// one after the other belong to one moment.
    ///
    /// # Errors
    /// As [`crate::read_store::Documents::page`] if the first page cannot be read; a later failure aborts the body.
    pub(super) async fn body(self, request_id: &str) -> JournalResult<(u64, Body)> {
        let first = self.page(None).await?;
        let opening = envelope::list_opening(request_id);
        let state = ActivityStream {
            log: self,
            next: Some(NextChunk::Page(first.value)),
            opening: Some(opening),
            separator: "",
        };
        let chunks = stream::unfold(state, |mut reading| async move {
            let chunk = reading.chunk().await?;
            if let Err(error) = &chunk {
                let error: &dyn std::error::Error = error;
                tracing::warn!(error, "a list of activities breaks off");
                reading.next = None;
            }
            Some((chunk, reading))
        });
        Ok((first.position, Body::from_stream(chunks.boxed())))
    }

    /// The entries before `before`, newest first.
    async fn page(&self, before: Option<&AuditEntry>) -> JournalResult<Read<Vec<AuditEntry>>> {
        let mut query = Query::<AuditEntry>::sorted(&BY_POSITION, Direction::Descending)
            .equal(&ORGANIZATION_ID, self.organization.to_string());
        if let Some(from) = self.period.from {
            query = query.at_least(&RECORDED_AT, time_key(from));
        }
        query = match (before, self.period.to) {
            // The time narrows the range to search for the position.
            (Some(before), _) => query
                .at_most(&RECORDED_AT, time_key(before.recorded_at))
                .number_below(&POSITION, i64::try_from(before.position).unwrap_or(i64::MAX)),
            (None, Some(to)) => query.at_most(&RECORDED_AT, time_key(to)),
            (None, None) => query,
        };
        let read = self.node.documents.page(query.uncounted().page(0, PAGE)).await?;
        Ok(Read { position: read.position, value: read.value.items })
    }
}

enum NextChunk {
    /// Entries read and not yet sent.
    Page(Vec<AuditEntry>),
    /// Entries before this one, not yet read.
    Before(Box<AuditEntry>),
}

struct ActivityStream {
    log: Log,
    /// Next piece to send; `None` at the end.
    next: Option<NextChunk>,
    opening: Option<String>,
    separator: &'static str,
}

impl ActivityStream {
    async fn chunk(&mut self) -> Option<Result<Bytes, ApiError>> {
        let page = match self.next.take()? {
            NextChunk::Page(page) => page,
            NextChunk::Before(entry) => match self.log.page(Some(&entry)).await {
                Ok(page) => page.value,
                Err(error) => return Some(Err(error.into())),
            },
        };
        Some(self.write(page))
    }

    fn write(&mut self, mut page: Vec<AuditEntry>) -> Result<Bytes, ApiError> {
        let is_last = (page.len() as u64) < PAGE;
        let last = page.pop();
        let mut text = self.opening.take().unwrap_or_default();
        for activity in page.iter().chain(&last).filter_map(activity) {
            text.push_str(std::mem::replace(&mut self.separator, ","));
            text.push_str(&serde_json::to_string(&activity).map_err(ApiError::internal)?);
        }
        match last {
            Some(last) if !is_last => self.next = Some(NextChunk::Before(Box::new(last))),
            Some(_) | None => text.push_str("]}"),
        }
        Ok(text.into())
    }
}

/// One activity of an organization, and the position that it reflects.
///
/// # Errors
/// `NotFound`, `Unavailable`.
pub(super) async fn find(node: &Node, organization: OrganizationId, id: &str) -> Result<(u64, Activity), ApiError> {
    const NOT_FOUND: ApiError = ApiError::NotFound("activity not found");
    let (position, recorded_at) = place(id).ok_or(NOT_FOUND)?;
    let query = Query::<AuditEntry>::sorted(&BY_POSITION, Direction::Descending)
        .equal(&ORGANIZATION_ID, organization.to_string())
        .equal(&RECORDED_AT, time_key(recorded_at))
        .number_at_least(&POSITION, position)
        .number_below(&POSITION, position + 1)
        .uncounted();
    let read = node.documents.page(query).await?;
    let activity = read.value.items.iter().find_map(activity).ok_or(NOT_FOUND)?;
    Ok((read.position, activity))
}

/// Identifier of the activity at a position: time and position in the form of a UUID version 7, so that identifiers
/// sort by time and a rebuild yields the same ones.
fn id(recorded_at: DateTime<Utc>, position: u64) -> Uuid {
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&position.to_be_bytes());
    Builder::from_unix_timestamp_millis(u64::try_from(recorded_at.timestamp_millis()).unwrap_or_default(), &rest)
        .into_uuid()
}

/// Position and time of the activity with this identifier; `None` if [`id`] never makes it.
fn place(text: &str) -> Option<(i64, DateTime<Utc>)> {
    let given = Uuid::try_parse(text).ok().filter(|id| id.get_version() == Some(Version::SortRand))?;
    let position = u64::try_from(given.as_u128() & POSITION_BITS).ok()?;
    let recorded_at = DateTime::from_timestamp_millis(i64::try_from(given.as_u128() >> 80).ok()?)?;
    (id(recorded_at, position) == given && given.to_string() == text)
        .then(|| Some((i64::try_from(position).ok()?, recorded_at)))?
}

/// The entry as an activity, if the log has a name for it.
fn activity(entry: &AuditEntry) -> Option<Activity> {
    let kind = kind(entry)?;
    let is_update = kind == ActivityType::OpenapiKeyUpdate;
    let actor_type = match entry.actor_type {
        Kind::User => ActorType::User,
        Kind::Api => ActorType::Api,
        Kind::System => ActorType::System,
        Kind::Support => ActorType::Support,
    };
    let is_somebody = matches!(actor_type, ActorType::User | ActorType::Api);
    Some(Activity {
        id: id(entry.recorded_at, entry.position).to_string(),
        created_at: time(entry.recorded_at),
        kind,
        actor_type,
        actor_id: entry.actor_id.clone(),
        actor_details: entry.actor_name.clone(),
        actor_ip_address: entry.ip_address.clone().filter(|_| is_somebody),
        organization_id: entry.organization_id.clone().unwrap_or_default(),
        service_id: None,
        user_agent: entry.user_agent.clone().filter(|_| is_somebody),
        target_key_id: is_update.then(|| entry.aggregate_id.clone()),
        key_update_type: is_update.then(|| key_update(entry)).flatten(),
    })
}

fn kind(entry: &AuditEntry) -> Option<ActivityType> {
    match (entry.trail.as_str(), entry.action) {
        ("organization", Action::Insert) => Some(ActivityType::CreateOrganization),
        ("organization", Action::Update) => changes(entry, "/name").then_some(ActivityType::OrganizationUpdateName),
        ("user", Action::Update) => membership(entry),
        ("api-key", Action::Insert) => Some(ActivityType::KeyCreate),
        ("api-key", Action::Update) => Some(ActivityType::OpenapiKeyUpdate),
        ("api-key", Action::Delete) => Some(ActivityType::KeyDelete),
        _ => None,
    }
}

/// Activity type of a change of membership in the entry's organization.
fn membership(entry: &AuditEntry) -> Option<ActivityType> {
    let own = format!("/memberships/{}/", entry.organization_id.as_deref()?);
    let mut within = entry.changes.iter().filter_map(|change| Some((change.path.strip_prefix(&own)?, change)));
    within.find_map(|(part, change)| match part.split('/').next()? {
        "number" if change.old_value.is_null() => Some(ActivityType::OrganizationMemberAdd),
        "number" if change.new_value.is_null() => Some(ActivityType::OrganizationMemberDelete),
        "roles" => Some(ActivityType::OrganizationMemberUpdateRole),
        _ => None,
    })
}

fn key_update(entry: &AuditEntry) -> Option<KeyUpdateType> {
    const UPDATES: [(&str, KeyUpdateType); 4] = [
        ("/name", KeyUpdateType::NameChanged),
        ("/roles", KeyUpdateType::RoleChanged),
        ("/enabled", KeyUpdateType::StateChanged),
        ("/expiresAt", KeyUpdateType::DateChanged),
    ];
    UPDATES.iter().find(|(path, _)| changes(entry, path)).map(|(_, update)| *update)
}

fn changes(entry: &AuditEntry, path: &str) -> bool {
    entry.changes.iter().any(|change| change.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn an_identifier_tells_the_place_of_its_activity() {
        for (millis, position) in [(0, 1), (1_772_644_025_123, 4_294_967_297), (253_402_300_799_999, (1 << 62) - 1)] {
            let id = id(at(millis), position);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(place(&id.to_string()), Some((i64::try_from(position).unwrap(), at(millis))));
        }
    }

    #[test]
    fn identifiers_are_in_the_order_of_their_activities() {
        let ids = [(1, 9), (1, 10), (2, 11), (1_000, 4_000), (1_000, 4_294_967_297)].map(|(ms, at_)| id(at(ms), at_));
        assert!(ids.is_sorted());
    }

    #[test]
    fn no_other_text_names_an_activity() {
        let known = id(at(1_772_644_025_123), 7).to_string();
        assert!(place(&known).is_some());
        for other in [
            known.to_uppercase(),
            known.replace('-', ""),
            format!("{{{known}}}"),
            known.replacen("-7000-", "-7001-", 1),
            known.replacen("-7000-", "-4000-", 1),
            "act0000000000000000001".into(),
            Uuid::nil().to_string(),
            Uuid::max().to_string(),
        ] {
            assert_eq!(place(&other), None, "{other}");
        }
    }
}
