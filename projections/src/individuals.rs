//! The `individuals` read model: one document per individual, with its owner and its placements in the groups of
//! organizations, so that one look-up decides who may see it.

use crate::document::DocumentKey;
use crate::query::TextKey;
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::group::placement::PlacementEvent;
use registrar_aggregates::individual::{IndividualEvent, Owner};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// Finds individuals by identifier.
pub const ID: TextKey<IndividualDocument> = TextKey::ID;

crate::collection! {
    "individuals" of IndividualDocument, hot: true, id: |individual| individual.id.to_string();
    keys {
        CREATED_AT: Text = |individual| time_key(individual.created_at);
        /// Owner, as [`owner_key`] writes it.
        pub OWNER: Text = |individual| owner_key(individual.owner);
        /// Groups, system groups included, and the owner and the person as [`owner_key`] writes them.
        pub SCOPES: Texts = |individual| {
            let groups = individual.groups().map(|group| group.to_string());
            let person = individual.assigned_to.map(|person| owner_key(Owner::User(person)));
            groups.chain([owner_key(individual.owner)]).chain(person).collect()
        };
    }
    indexes { [CREATED_AT], [OWNER], [SCOPES] }
    counts { [] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
        /// By identifier.
        pub BY_ID = [];
    }
}

/// An owner, as keys hold it.
#[must_use]
pub fn owner_key(owner: Owner) -> String {
    match owner {
        Owner::User(user) => format!("user:{user}"),
        Owner::Organization(organization) => format!("organization:{organization}"),
    }
}

/// The present state of an individual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndividualDocument {
    /// The individual.
    pub id: IndividualId,
    /// Owner of the individual.
    pub owner: Owner,
    /// The user to whom the organization that owns the individual assigned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<UserId>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// The organizations of its enrolments, each with its regular groups there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<OrganizationId, BTreeSet<GroupId>>,
}

impl IndividualDocument {
    /// The person whose individual it is: the user who owns it, or to whom an organization assigned it.
    #[must_use]
    pub fn person(&self) -> Option<UserId> {
        match self.owner {
            Owner::User(user) => Some(user),
            Owner::Organization(_) => self.assigned_to,
        }
    }

    /// All groups of the individual, system groups included.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.places.keys().flat_map(|organization| self.groups_in(*organization))
    }

    /// The groups of the individual in one organization, system groups included.
    pub fn groups_in(&self, organization: OrganizationId) -> impl Iterator<Item = GroupId> + '_ {
        self.places.get(&organization).into_iter().flat_map(move |groups| {
            let unassigned = groups.is_empty().then(|| SystemGroup::Unassigned.id(organization));
            let all = SystemGroup::AllParticipants.id(organization);
            std::iter::once(all).chain(unassigned).chain(groups.iter().copied())
        })
    }
}

/// The organization and the individual of a placement's stream.
pub(crate) fn placed(event: &RecordedEvent) -> Option<(OrganizationId, IndividualId)> {
    let (organization, individual) = event.aggregate_id.split_once('/')?;
    Some((OrganizationId(Uuid::try_parse(organization).ok()?), IndividualId(Uuid::try_parse(individual).ok()?)))
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    match &*event.event {
        DomainEvent::Placement(_) => placed(event)
            .map(|(_, individual)| DocumentKey::of::<IndividualDocument>(individual.to_string()))
            .into_iter()
            .collect(),
        DomainEvent::Individual(IndividualEvent::Assigned { .. } | IndividualEvent::Unassigned { .. }) => {
            vec![DocumentKey::of::<IndividualDocument>(&event.aggregate_id)]
        }
        _ => vec![],
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    match &*event.event {
        DomainEvent::Individual(IndividualEvent::Recorded { id, owner }) => documents.insert(IndividualDocument {
            id: *id,
            owner: *owner,
            assigned_to: None,
            created_at: event.recorded_at,
            places: BTreeMap::new(),
        }),
        DomainEvent::Individual(IndividualEvent::Assigned { user_id }) => {
            let person = Some(*user_id);
            documents.update(&event.aggregate_id, |document: &mut IndividualDocument| document.assigned_to = person)
        }
        DomainEvent::Individual(IndividualEvent::Unassigned { .. }) => {
            documents.update(&event.aggregate_id, |document: &mut IndividualDocument| document.assigned_to = None)
        }
        DomainEvent::Placement(change) => {
            let Some((organization, individual)) = placed(event) else { return Ok(()) };
            documents.update::<IndividualDocument>(&individual.to_string(), |document| {
                let groups = document.places.entry(organization).or_default();
                match change {
                    PlacementEvent::Enrolled { .. } => {}
                    PlacementEvent::Joined { group, .. } => {
                        groups.insert(*group);
                    }
                    PlacementEvent::Removed { group, .. } => {
                        groups.remove(group);
                    }
                    PlacementEvent::Released { .. } => {
                        document.places.remove(&organization);
                    }
                }
            })
        }
        _ => Ok(()),
    }
}
