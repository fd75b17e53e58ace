//! Where one individual stands in the groups of one organization.
//!
//! The stream is `<organization>/<individual>`. Whoever is enrolled is in `all_participants`, and in `unassigned` exactly as
//! long as in no regular group; both follow from what stands here, so that they can never disagree with it.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{GroupId, IndividualId, OrganizationId};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most groups of one organization that one individual is in.
pub const GROUPS_MAX: usize = 1_000;

/// One individual in one organization.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// Not one of the organization's.
    #[default]
    Absent,
    /// One of the organization's.
    Present(Place),
}

/// The regular groups of an individual that is one of the organization's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The individual.
    pub individual_id: IndividualId,
    /// The groups.
    pub groups: BTreeSet<GroupId>,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementCommand {
    /// Makes the individual one of the organization's.
    Enroll {
        /// The organization.
        organization_id: OrganizationId,
        /// The individual.
        individual_id: IndividualId,
    },
    /// Puts it into a group, and takes it out of another one in the same moment.
    Join {
        /// A regular group of the organization that holds people: whoever asks has seen to it, and it never changes.
        group: GroupId,
        /// Group that it leaves.
        instead_of: Option<GroupId>,
    },
    /// Takes it out of a group.
    Leave {
        /// The group.
        group: GroupId,
    },
    /// Ends its being one of the organization's, with all its places.
    Release,
}

/// Facts of a placement. Each says what became of `unassigned` as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum PlacementEvent {
    /// An individual is one of an organization's: in `all_participants` and `unassigned`.
    #[serde(rename = "individual-placement.enrolled")]
    Enrolled {
        /// The organization.
        organization_id: OrganizationId,
        /// The individual.
        individual_id: IndividualId,
    },
    /// An individual is in a group.
    #[serde(rename = "individual-placement.joined")]
    Joined {
        /// The group.
        group: GroupId,
        /// Whether it is its first one, so that it is `unassigned` no longer.
        first: bool,
    },
    /// An individual is in a group no longer.
    #[serde(rename = "individual-placement.removed")]
    Removed {
        /// The group.
        group: GroupId,
        /// Whether it was its last one, so that it is `unassigned` from now on.
        last: bool,
    },
    /// An individual is none of an organization's any more, and in none of its groups.
    #[serde(rename = "individual-placement.released")]
    Released {
        /// The regular groups that it was in; if in none, it was `unassigned`.
        groups: BTreeSet<GroupId>,
    },
}

event_names!(PlacementEvent {
    Enrolled => "individual-placement.enrolled" @ "1.0" Insert, clear ["/organizationId", "/individualId"];
    Joined => "individual-placement.joined" @ "1.0" Update, clear ["/group"];
    Removed => "individual-placement.removed" @ "1.0" Withdraw, clear ["/group"];
    Released => "individual-placement.released" @ "1.0" Delete, clear ["/groups/*"];
});

impl EventFacts for PlacementEvent {}

/// Why a placement refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The individual is none of the organization's.
    #[error("the individual does not belong to the organization")]
    NotEnrolled,
    /// More groups than one individual may be in.
    #[error("an individual is in {GROUPS_MAX} groups of an organization at most")]
    TooManyGroups,
}

impl Refuse for PlacementError {
    fn kind(&self) -> RefusalKind {
        match self {
            PlacementError::NotEnrolled | PlacementError::TooManyGroups => RefusalKind::Conflict,
        }
    }
}

/// The stream of an individual in an organization.
#[must_use]
pub fn stream(organization: OrganizationId, individual: IndividualId) -> String {
    format!("{organization}/{individual}")
}

impl Placement {
    /// The place, of one of the organization's.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Placement::Present(place) => Some(place),
            Placement::Absent => None,
        }
    }

    fn evolve(&mut self, event: PlacementEvent) {
        match (&mut *self, event) {
            (Placement::Absent, PlacementEvent::Enrolled { organization_id, individual_id }) => {
                *self = Placement::Present(Place { organization_id, individual_id, groups: BTreeSet::new() });
            }
            (Placement::Present(place), PlacementEvent::Joined { group, .. }) => {
                place.groups.insert(group);
            }
            (Placement::Present(place), PlacementEvent::Removed { group, .. }) => {
                place.groups.remove(&group);
            }
            (Placement::Present(_), PlacementEvent::Released { .. }) => *self = Placement::Absent,
            // What happened, happened.
            (Placement::Absent, _) | (Placement::Present(_), PlacementEvent::Enrolled { .. }) => {}
        }
    }
}

impl Decide for Placement {
    fn decide(&self, command: PlacementCommand) -> Result<Vec<PlacementEvent>, PlacementError> {
        use PlacementCommand::{Enroll, Join, Leave, Release};
        match (self, command) {
            (Placement::Absent, Enroll { organization_id, individual_id }) => {
                Ok(vec![PlacementEvent::Enrolled { organization_id, individual_id }])
            }
            (Placement::Present(_), Enroll { .. }) | (Placement::Absent, Leave { .. } | Release) => Ok(vec![]),
            (Placement::Absent, Join { .. }) => Err(PlacementError::NotEnrolled),
            (Placement::Present(place), Join { group, instead_of }) => join(&place.groups, group, instead_of),
            (Placement::Present(place), Leave { group }) if place.groups.contains(&group) => {
                Ok(vec![PlacementEvent::Removed { group, last: place.groups.len() == 1 }])
            }
            (Placement::Present(_), Leave { .. }) => Ok(vec![]),
            (Placement::Present(place), Release) => Ok(vec![PlacementEvent::Released { groups: place.groups.clone() }]),
        }
    }
}

fn join(
    groups: &BTreeSet<GroupId>,
    group: GroupId,
    instead_of: Option<GroupId>,
) -> Result<Vec<PlacementEvent>, PlacementError> {
    let mut events = Vec::new();
    let leaves = instead_of.filter(|left| *left != group && groups.contains(left));
    if !groups.contains(&group) {
        if groups.len() - usize::from(leaves.is_some()) >= GROUPS_MAX {
            return Err(PlacementError::TooManyGroups);
        }
        events.push(PlacementEvent::Joined { group, first: groups.is_empty() });
    }
    // In between it is in both, so that nobody who goes from one to another was ever unassigned.
    events.extend(leaves.map(|group| PlacementEvent::Removed { group, last: false }));
    Ok(events)
}

aggregate!(Placement, "individual-placement", PlacementCommand, PlacementEvent, PlacementError);
