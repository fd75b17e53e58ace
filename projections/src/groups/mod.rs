//! The read models of groups: the nodes ([`GroupDocument`]), the hierarchy of an organization's nodes
//! ([`TreeDocument`]), the number of individuals in a group ([`CountDocument`]), and the log of additions and removals
//! ([`LogDocument`]).

mod log;
mod tree;

pub use log::{
    AT, Author, Change, GROUP_ID, INDIVIDUAL_ID, LATEST_FIRST, LogDocument, ORGANIZATION_ID as LOG_ORGANIZATION_ID,
    Subject,
};
pub use tree::{Parents, TreeDocument};

use crate::collection::exact;
use crate::document::DocumentKey;
use crate::query::TextKey;
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::state_document::{self, StateDocument};
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::group::placement::PlacementEvent;
use registrar_aggregates::group::{GroupEvent, GroupKind, NodeType, SystemGroup};
use registrar_aggregates::organization::OrganizationEvent;
use registrar_aggregates::processes::groups::GroupRef;
use registrar_aggregates::text::fold as fold_text;
use registrar_aggregates::values::{GroupId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// Finds groups by identifier.
pub const ID: TextKey<GroupDocument> = TextKey::ID;

crate::collection! {
    "groups" of GroupDocument, hot: true, id: |group| group.id.to_string();
    keys {
        CREATED_AT: Text = |group| time_key(group.created_at);
        /// Time of the last change.
        pub UPDATED_AT: Text = |group| time_key(group.updated_at);
        /// Finds the groups of an organization.
        pub ORGANIZATION_ID: Text = |group| group.organization_id.to_string();
        /// The parent division; empty at the top.
        pub PARENT: Text = |group| group.parent.map(|parent| parent.to_string()).unwrap_or_default();
        /// Kind of the group, by name.
        pub KIND: Text = |group| group.kind.name().to_owned();
        /// `division` or `group`.
        pub NODE_TYPE: Text = |group| node_type_key(group.node_type).to_owned();
        /// `true` for a node without children.
        pub LEAF: Text = |group| (group.children == 0).to_string();
        /// Name, folded.
        pub NAME: Text = |group| exact(fold_text(&group.name));
        /// Tags of the group.
        pub TAGS: Texts = |group| group.tags.iter().cloned().collect();
        /// The group and its organization, by their identifiers.
        pub SCOPES: Texts = |group| vec![group.id.to_string(), group.organization_id.to_string()];
        /// Name, folded.
        pub SEARCH: Search = |group| fold_text(&group.name);
    }
    indexes { [CREATED_AT], [ORGANIZATION_ID, CREATED_AT], [PARENT], [NAME], [TAGS], [SCOPES] }
    counts { [] }
    sorts {
        /// By identifier.
        pub BY_ID = [];
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// Kind of content of a node, as the key holds it.
fn node_type_key(node_type: NodeType) -> &'static str {
    match node_type {
        NodeType::Division => "division",
        NodeType::Group => "group",
    }
}

/// The people that a group accepts, system groups included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Individuals and their providers.
    Regular,
    /// No individuals.
    ProviderOnly,
    /// Every individual of the organization; a system group.
    AllParticipants,
    /// Every individual in no regular group; a system group.
    Unassigned,
}

impl Kind {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Regular => "regular",
            Kind::ProviderOnly => "provider_only",
            Kind::AllParticipants => SystemGroup::AllParticipants.name(),
            Kind::Unassigned => SystemGroup::Unassigned.name(),
        }
    }

    /// Whether only the system creates, changes and fills the group.
    #[must_use]
    pub const fn is_system(self) -> bool {
        matches!(self, Kind::AllParticipants | Kind::Unassigned)
    }
}

impl From<GroupKind> for Kind {
    fn from(kind: GroupKind) -> Self {
        match kind {
            GroupKind::Regular => Kind::Regular,
            GroupKind::ProviderOnly => Kind::ProviderOnly,
        }
    }
}

impl From<SystemGroup> for Kind {
    fn from(system: SystemGroup) -> Self {
        match system {
            SystemGroup::AllParticipants => Kind::AllParticipants,
            SystemGroup::Unassigned => Kind::Unassigned,
        }
    }
}

/// The present state of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupDocument {
    /// The group.
    pub id: GroupId,
    /// The organization of its tree.
    pub organization_id: OrganizationId,
    /// Display name.
    pub name: String,
    /// People that the group accepts.
    pub kind: Kind,
    /// Whether the node contains nodes or people.
    pub node_type: NodeType,
    /// Tags for filtering.
    pub tags: BTreeSet<String>,
    /// The parent division; absent at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GroupId>,
    /// Number of child nodes.
    pub children: u64,
    /// Stream version that the document reflects; 0 for system groups, which have no stream.
    pub version: u64,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl GroupDocument {
    fn of_system(system: SystemGroup, organization_id: OrganizationId, event: &RecordedEvent) -> Self {
        GroupDocument {
            id: system.id(organization_id),
            organization_id,
            name: system.name().to_owned(),
            kind: system.into(),
            node_type: NodeType::Group,
            tags: BTreeSet::new(),
            parent: None,
            children: 0,
            version: 0,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        }
    }
}

impl StateDocument for GroupDocument {
    type Event = GroupEvent;
    /// Children have entries of their own.
    const UNLISTED: &'static [&'static str] = &["children", "version", "createdAt", "updatedAt"];

    fn create(event: &RecordedEvent, change: &GroupEvent) -> Option<Self> {
        let GroupEvent::Created(node) = change else { return None };
        Some(GroupDocument {
            id: node.id,
            organization_id: node.organization_id,
            name: node.name.clone(),
            kind: node.kind.into(),
            node_type: node.node_type,
            tags: node.tags.clone(),
            parent: node.parent,
            children: 0,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &GroupEvent) -> Option<Self> {
        match change {
            // Leaders are stored with the users.
            GroupEvent::Created(_) | GroupEvent::LeadersReplaced { .. } => {}
            GroupEvent::Renamed { to, .. } => self.name.clone_from(to),
            GroupEvent::Tagged { tags } => self.tags.clone_from(tags),
            GroupEvent::Moved { to, .. } => self.parent = *to,
        }
        self.version = event.sequence;
        self.updated_at = event.recorded_at;
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

crate::collection! { "group_counts" of CountDocument, hot: true, id: |count| count.id.to_string(); }

/// Number of individuals in a group, without its subtree. Separate from the group, since it changes with every
/// addition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountDocument {
    /// The group.
    pub id: GroupId,
    /// Number of individuals.
    pub individuals: u64,
}

/// Groups whose number of individuals an event changes, and whether it grows.
fn counted(event: &RecordedEvent, change: &PlacementEvent) -> Vec<(GroupId, bool)> {
    log::moves(event, change).into_iter().map(|(group, change)| (group, change == Change::Add)).collect()
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let key = |group: &GroupId| DocumentKey::of::<GroupDocument>(group.to_string());
    match &*event.event {
        DomainEvent::Group(change) => {
            let mut wanted = state_document::wants::<GroupDocument>(event);
            if let GroupEvent::Moved { from, to, .. } = change {
                wanted.extend(from.iter().chain(to).map(key));
            }
            wanted
        }
        DomainEvent::Organization(OrganizationEvent::Deleted { .. }) => {
            let organization = Uuid::try_parse(&event.aggregate_id).map(OrganizationId).ok();
            let groups =
                organization.into_iter().flat_map(|organization| SystemGroup::ALL.map(|group| group.id(organization)));
            groups.map(|group| key(&group)).collect()
        }
        DomainEvent::Placement(change) => counted(event, change)
            .into_iter()
            .map(|(group, _)| DocumentKey::of::<CountDocument>(group.to_string()))
            .collect(),
        DomainEvent::Tree(_) => tree::wants(event),
        _ => vec![],
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    match &*event.event {
        DomainEvent::Group(change) => {
            state_document::fold::<GroupDocument>(event, documents)?;
            if let GroupEvent::Moved { from, to, .. } = change {
                let mut hang = |division: &Option<GroupId>, change: fn(u64) -> u64| match division {
                    Some(division) => documents.update::<GroupDocument>(&division.to_string(), |division| {
                        division.children = change(division.children);
                    }),
                    None => Ok(()),
                };
                hang(from, |children| children.saturating_sub(1))?;
                hang(to, |children| children + 1)?;
            }
            Ok(())
        }
        DomainEvent::Organization(OrganizationEvent::Registered(profile)) => SystemGroup::ALL
            .into_iter()
            .try_for_each(|system| documents.insert(GroupDocument::of_system(system, profile.id, event))),
        DomainEvent::Organization(OrganizationEvent::Deleted { .. }) => {
            wants(event).into_iter().try_for_each(|key| documents.remove::<GroupDocument>(&key.id))
        }
        DomainEvent::Placement(change) => {
            for (group, grows) in counted(event, change) {
                let id = group.to_string();
                match documents.get::<CountDocument>(&id)? {
                    None => documents.insert(CountDocument { id: group, individuals: u64::from(grows) })?,
                    Some(_) => documents.update::<CountDocument>(&id, |count| {
                        count.individuals =
                            if grows { count.individuals + 1 } else { count.individuals.saturating_sub(1) };
                    })?,
                }
            }
            log::of_placement(event, change, documents)
        }
        DomainEvent::Staffing(change) => log::of_staffing(event, change, documents),
        DomainEvent::Tree(change) => tree::fold(event, change, documents),
        _ => Ok(()),
    }
}

impl From<&GroupDocument> for GroupRef {
    fn from(group: &GroupDocument) -> Self {
        GroupRef { organization: group.organization_id, id: group.id }
    }
}
