//! The Individual aggregate: whom records are about. Records live elsewhere; here is only whose the individual is.

use crate::event::{EventFacts, event_names};
use crate::values::{IndividualId, OrganizationId, UserId};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Whose an individual is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// A user's.
    User(UserId),
    /// An organization's.
    Organization(OrganizationId),
}

/// An individual's life. Its owner never changes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Individual {
    /// Not known.
    #[default]
    Absent,
    /// Known.
    Present {
        /// Whose it is.
        owner: Owner,
    },
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndividualCommand {
    /// Notes that there is such an individual.
    Record {
        /// The individual.
        id: IndividualId,
        /// Whose it is.
        owner: Owner,
    },
}

/// Facts of an individual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum IndividualEvent {
    /// There is such an individual.
    #[serde(rename = "individual.recorded")]
    Recorded {
        /// The individual.
        id: IndividualId,
        /// Whose it is.
        owner: Owner,
    },
}

event_names!(IndividualEvent {
    Recorded => "individual.recorded" @ "1.0", clear ["/id", "/owner/user", "/owner/organization"];
});

impl EventFacts for IndividualEvent {}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndividualError {
    /// It is somebody else's.
    #[error("the individual has another owner")]
    OtherOwner,
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
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

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
