//! The log of groups: a row for each individual or user added or removed.

use crate::individuals::placed;
use crate::recorded::RecordedEvent;
use crate::stamped::{row_id, time_key};
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::ActorType;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::group::placement::PlacementEvent;
use registrar_aggregates::group::staffing::{Post, StaffingEvent};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

crate::collection! {
    "group_logs" of LogDocument, hot: false, id: |row| row.id.to_string();
    keys {
        /// Time of the change.
        pub AT: Text = |row| time_key(row.at);
        /// Finds the rows of a group.
        pub GROUP_ID: Text = |row| row.group_id.to_string();
        /// Finds the rows of an individual.
        pub INDIVIDUAL_ID: Text = |row| match row.subject {
            Subject::Individual(individual) => individual.to_string(),
            Subject::Leader(_) | Subject::Member(_) => String::new(),
        };
        /// Finds the rows of an organization.
        pub ORGANIZATION_ID: Text = |row| row.organization_id.to_string();
    }
    indexes { [GROUP_ID, AT], [INDIVIDUAL_ID, AT], [ORGANIZATION_ID, AT] }
    sorts {
        /// By time; read in descending order.
        pub LATEST_FIRST = [AT];
    }
}

/// Direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Added.
    Add,
    /// Removed.
    Remove,
}

impl Change {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Change::Add => "add",
            Change::Remove => "remove",
        }
    }
}

/// Individual or user who was added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// An individual.
    Individual(IndividualId),
    /// A user, as leader.
    Leader(UserId),
    /// A user, as member.
    Member(UserId),
}

impl Subject {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Individual(_) => "individual",
            Subject::Leader(_) => "leader",
            Subject::Member(_) => "member",
        }
    }
}

/// Author of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// An actor, by the identifier in the metadata of events.
    Somebody(String),
    /// The system.
    System,
}

/// A row of the log: one individual or user added to or removed from a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogDocument {
    /// Derived from the position.
    pub id: Uuid,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The group.
    pub group_id: GroupId,
    /// Individual or user.
    pub subject: Subject,
    /// Direction of the change.
    pub change: Change,
    /// Author of the change.
    pub author: Author,
    /// Time of the change.
    pub at: DateTime<Utc>,
}

/// The groups, system groups included, that an individual enters and leaves by an event.
pub(super) fn moves(event: &RecordedEvent, change: &PlacementEvent) -> Vec<(GroupId, Change)> {
    let Some((organization, _)) = placed(event) else { return vec![] };
    let unassigned = SystemGroup::Unassigned.id(organization);
    let all = SystemGroup::AllParticipants.id(organization);
    match change {
        PlacementEvent::Enrolled { .. } => vec![(all, Change::Add), (unassigned, Change::Add)],
        PlacementEvent::Joined { group, first } => {
            let left = first.then_some((unassigned, Change::Remove));
            std::iter::once((*group, Change::Add)).chain(left).collect()
        }
        PlacementEvent::Removed { group, last } => {
            let came = last.then_some((unassigned, Change::Add));
            std::iter::once((*group, Change::Remove)).chain(came).collect()
        }
        PlacementEvent::Released { groups } => {
            let unassigned = groups.is_empty().then_some(unassigned);
            let left = groups.iter().copied().chain(unassigned).chain([all]);
            left.map(|group| (group, Change::Remove)).collect()
        }
    }
}

pub(super) fn of_placement(
    event: &RecordedEvent,
    change: &PlacementEvent,
    documents: &mut WorkingSet,
) -> Result<(), FoldError> {
    let Some((organization, individual)) = placed(event) else { return Ok(()) };
    let is_system = |group| SystemGroup::of(group, organization).is_some();
    let rows = moves(event, change).into_iter().map(|(group, change)| {
        let author = if is_system(group) { Author::System } else { author(event) };
        (group, Subject::Individual(individual), change, author)
    });
    insert(event, organization, rows, documents)
}

pub(super) fn of_staffing(
    event: &RecordedEvent,
    change: &StaffingEvent,
    documents: &mut WorkingSet,
) -> Result<(), FoldError> {
    let Some((organization, user)) = event.aggregate_id.split_once('/') else { return Ok(()) };
    let (Ok(organization), Ok(user)) = (Uuid::try_parse(organization), Uuid::try_parse(user)) else { return Ok(()) };
    let (post, group, change) = match change {
        StaffingEvent::Appointed { post, group, .. } => (post, *group, Change::Add),
        StaffingEvent::Relieved { post, group } => (post, *group, Change::Remove),
    };
    let subject = match post {
        Post::Leader => Subject::Leader(UserId(user)),
        Post::Member => Subject::Member(UserId(user)),
    };
    insert(event, OrganizationId(organization), std::iter::once((group, subject, change, author(event))), documents)
}

fn author(event: &RecordedEvent) -> Author {
    let actor = &event.metadata.actor;
    if actor.kind == ActorType::System { Author::System } else { Author::Somebody(actor.id.clone()) }
}

fn insert(
    event: &RecordedEvent,
    organization_id: OrganizationId,
    rows: impl Iterator<Item = (GroupId, Subject, Change, Author)>,
    documents: &mut WorkingSet,
) -> Result<(), FoldError> {
    for (number, (group_id, subject, change, author)) in (0..).zip(rows) {
        documents.insert(LogDocument {
            id: row_id(event.position, number),
            organization_id,
            group_id,
            subject,
            change,
            author,
            at: event.recorded_at,
        })?;
    }
    Ok(())
}
