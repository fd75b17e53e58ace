//! Placements: the groups of one organization that one individual is in.
//!
//! The stream is `<organization>/<individual>`. An enrolled individual is in `all_participants`, and in `unassigned`
//! exactly as long as in no regular group; both follow from this state, so that they can never disagree with it.

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
    /// Not enrolled.
    #[default]
    Absent,
    /// Enrolled.
    Present(Place),
}

/// The regular groups of an enrolled individual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The individual.
    pub individual_id: IndividualId,
    /// The regular groups.
    pub groups: BTreeSet<GroupId>,
}

/// Commands of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementCommand {
    /// Enrols the individual in the organization.
    Enroll {
        /// The organization.
        organization_id: OrganizationId,
        /// The individual.
        individual_id: IndividualId,
    },
    /// Adds the individual to a group, and removes it from another one in the same commit.
    Join {
        /// A regular group of the organization that contains people: checked by the caller, and it never changes.
        group: GroupId,
        /// Group that the individual leaves.
        instead_of: Option<GroupId>,
    },
    /// Removes the individual from a group.
    Leave {
        /// The group.
        group: GroupId,
    },
    /// Ends the enrolment, with all places.
    Release,
}

/// Events of a placement. Each implies the change of `unassigned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum PlacementEvent {
    /// An individual was enrolled in an organization: it is in `all_participants` and `unassigned`.
    #[serde(rename = "individual-placement.enrolled")]
    Enrolled {
        /// The organization.
        organization_id: OrganizationId,
        /// The individual.
        individual_id: IndividualId,
    },
    /// An individual was added to a group.
    #[serde(rename = "individual-placement.joined")]
    Joined {
        /// The group.
        group: GroupId,
        /// Whether this is its first group, so that it leaves `unassigned`.
        first: bool,
    },
    /// An individual was removed from a group.
    #[serde(rename = "individual-placement.removed")]
    Removed {
        /// The group.
        group: GroupId,
        /// Whether this was its last group, so that it enters `unassigned`.
        last: bool,
    },
    /// An individual left an organization and all of its groups.
    #[serde(rename = "individual-placement.released")]
    Released {
        /// The regular groups that it left; empty for an individual that was `unassigned`.
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

/// Refusals of a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The individual is not enrolled in the organization.
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
    /// The place of an enrolled individual.
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
            // Recorded events are never refused.
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
    // In between the individual is in both, so that a move between groups never leaves it unassigned.
    events.extend(leaves.map(|group| PlacementEvent::Removed { group, last: false }));
    Ok(events)
}

aggregate!(Placement, "individual-placement", PlacementCommand, PlacementEvent, PlacementError);
