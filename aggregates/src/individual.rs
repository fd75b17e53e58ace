//! The Individual aggregate: the subject of records. Records live elsewhere; this is only the ownership of the
//! individual.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{IndividualId, OrganizationId, UserId};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Owner of an individual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "IndividualOwner"))]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// Owned by a user.
    User(UserId),
    /// Owned by an organization.
    Organization(OrganizationId),
}

/// Life cycle of an individual. The owner never changes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Individual {
    /// Not recorded.
    #[default]
    Absent,
    /// Recorded.
    Present {
        /// Owner of the individual.
        owner: Owner,
    },
}

/// Commands of an individual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndividualCommand {
    /// Records an individual.
    Record {
        /// The individual.
        id: IndividualId,
        /// Owner of the individual.
        owner: Owner,
    },
}

/// Events of an individual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum IndividualEvent {
    /// An individual was recorded.
    #[serde(rename = "individual.recorded")]
    Recorded {
        /// The individual.
        id: IndividualId,
        /// Owner of the individual.
        owner: Owner,
    },
}

event_names!(IndividualEvent {
    Recorded => "individual.recorded" @ "1.0" Insert, clear ["/id", "/owner/user", "/owner/organization"];
});

impl EventFacts for IndividualEvent {}

/// Refusals of an individual.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndividualError {
    /// Another owner has the individual.
    #[error("the individual has another owner")]
    OtherOwner,
}

impl Refuse for IndividualError {
    fn kind(&self) -> RefusalKind {
        match self {
            IndividualError::OtherOwner => RefusalKind::Taken { field: "owner" },
        }
    }
}

impl Individual {
    fn evolve(&mut self, event: IndividualEvent) {
        let IndividualEvent::Recorded { owner, .. } = event;
        *self = Individual::Present { owner };
    }
}

impl Decide for Individual {
    fn decide(&self, command: IndividualCommand) -> Result<Vec<IndividualEvent>, IndividualError> {
        let IndividualCommand::Record { id, owner } = command;
        match self {
            Individual::Absent => Ok(vec![IndividualEvent::Recorded { id, owner }]),
            Individual::Present { owner: known } if *known == owner => Ok(vec![]),
            Individual::Present { .. } => Err(IndividualError::OtherOwner),
        }
    }
}

aggregate!(Individual, "individual", IndividualCommand, IndividualEvent, IndividualError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    impl Samples for IndividualEvent {
        fn samples() -> Vec<Self> {
            let owner = Owner::User(UserId(Uuid::from_u128(1)));
            vec![IndividualEvent::Recorded { id: IndividualId(Uuid::from_u128(3)), owner }]
        }

        fn alternatives() -> Vec<Self> {
            let owner = Owner::Organization(OrganizationId(Uuid::from_u128(2)));
            vec![IndividualEvent::Recorded { id: IndividualId(Uuid::from_u128(3)), owner }]
        }
    }

    #[test]
    fn an_individual_keeps_its_owner() {
        let id = IndividualId(Uuid::from_u128(1));
        let (owner, other) =
            (Owner::User(UserId(Uuid::from_u128(2))), Owner::Organization(OrganizationId(Uuid::from_u128(2))));
        let recorded = || IndividualEvent::Recorded { id, owner };
        let given = |events| TestFramework::<Individual>::with(()).given(events);
        given(vec![]).when(IndividualCommand::Record { id, owner }).then_expect_events(vec![recorded()]);
        given(vec![recorded()]).when(IndividualCommand::Record { id, owner }).then_expect_events(vec![]);
        let elsewhere = IndividualCommand::Record { id, owner: other };
        given(vec![recorded()]).when(elsewhere).then_expect_error(IndividualError::OtherOwner);
    }
}
