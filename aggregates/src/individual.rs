//! The Individual aggregate: the subject of records. Records live elsewhere; this is only the ownership of the
//! individual, and for one of an organization the person whose individual it is.

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

/// Life cycle of an individual. The owner never changes. The person of an individual that a user owns is that user.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Individual {
    /// Not recorded.
    #[default]
    Absent,
    /// Recorded.
    Present {
        /// Owner of the individual.
        owner: Owner,
        /// The user to whom an organization assigned the individual.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<UserId>,
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
    /// Assigns an individual of an organization to its person.
    Assign(UserId),
    /// Takes it back from the person.
    Unassign(UserId),
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
    /// An individual of an organization was assigned to its person.
    #[serde(rename = "individual.assigned")]
    Assigned {
        /// The person.
        user_id: UserId,
    },
    /// An individual of an organization has no person any more.
    #[serde(rename = "individual.unassigned")]
    Unassigned {
        /// The former person.
        user_id: UserId,
    },
}

event_names!(IndividualEvent {
    Recorded => "individual.recorded" @ "1.0" Insert, clear ["/id", "/owner/user", "/owner/organization"];
    Assigned => "individual.assigned" @ "1.0" Update, clear ["/userId"];
    Unassigned => "individual.unassigned" @ "1.0" Withdraw, clear ["/userId"];
});

impl EventFacts for IndividualEvent {}

/// Refusals of an individual.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndividualError {
    /// Another owner has the individual.
    #[error("the individual has another owner")]
    OtherOwner,
    /// Another person has the individual.
    #[error("the individual belongs to another person")]
    OtherPerson,
    /// No individual is recorded under the identifier.
    #[error("names no individual")]
    NotFound,
}

impl Refuse for IndividualError {
    fn kind(&self) -> RefusalKind {
        match self {
            IndividualError::OtherOwner => RefusalKind::Taken { field: "owner" },
            IndividualError::OtherPerson => RefusalKind::Taken { field: "patient" },
            IndividualError::NotFound => RefusalKind::invalid("patient", self),
        }
    }
}

impl Individual {
    /// The owner, unless absent.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Individual::Present { owner, .. } => Some(*owner),
            Individual::Absent => None,
        }
    }

    /// The person whose individual it is: the user who owns it, or to whom an organization assigned it.
    #[must_use]
    pub fn person(&self) -> Option<UserId> {
        match self {
            Individual::Present { owner: Owner::User(user), .. } => Some(*user),
            Individual::Present { owner: Owner::Organization(_), person } => *person,
            Individual::Absent => None,
        }
    }

    fn evolve(&mut self, event: IndividualEvent) {
        match (&mut *self, event) {
            (state, IndividualEvent::Recorded { owner, .. }) => *state = Individual::Present { owner, person: None },
            (Individual::Present { person, .. }, IndividualEvent::Assigned { user_id }) => *person = Some(user_id),
            (Individual::Present { person, .. }, IndividualEvent::Unassigned { .. }) => *person = None,
            // Recorded events are never refused.
            (Individual::Absent, _) => {}
        }
    }
}

impl Decide for Individual {
    fn decide(&self, command: IndividualCommand) -> Result<Vec<IndividualEvent>, IndividualError> {
        match (self, command) {
            (Individual::Absent, IndividualCommand::Record { id, owner }) => {
                Ok(vec![IndividualEvent::Recorded { id, owner }])
            }
            (Individual::Present { owner: known, .. }, IndividualCommand::Record { owner, .. }) if *known == owner => {
                Ok(vec![])
            }
            (Individual::Present { .. }, IndividualCommand::Record { .. }) => Err(IndividualError::OtherOwner),
            (Individual::Absent, IndividualCommand::Assign(_) | IndividualCommand::Unassign(_)) => {
                Err(IndividualError::NotFound)
            }
            (Individual::Present { .. }, IndividualCommand::Assign(user_id)) => match self.person() {
                None => Ok(vec![IndividualEvent::Assigned { user_id }]),
                Some(person) if person == user_id => Ok(vec![]),
                Some(_) => Err(IndividualError::OtherPerson),
            },
            (Individual::Present { person, .. }, IndividualCommand::Unassign(user_id)) => {
                let assigned = *person == Some(user_id);
                Ok(if assigned { vec![IndividualEvent::Unassigned { user_id }] } else { vec![] })
            }
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
            let user_id = UserId(Uuid::from_u128(1));
            vec![
                IndividualEvent::Recorded { id: IndividualId(Uuid::from_u128(3)), owner },
                IndividualEvent::Assigned { user_id },
                IndividualEvent::Unassigned { user_id },
            ]
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

    #[test]
    fn an_individual_of_an_organization_belongs_to_one_person_at_a_time() {
        let id = IndividualId(Uuid::from_u128(1));
        let [ada, bob] = [2, 3].map(|number| UserId(Uuid::from_u128(number)));
        let owner = Owner::Organization(OrganizationId(Uuid::from_u128(4)));
        let recorded = || IndividualEvent::Recorded { id, owner };
        let (assigned, unassigned) =
            (|| IndividualEvent::Assigned { user_id: ada }, || IndividualEvent::Unassigned { user_id: ada });
        let given = |events| TestFramework::<Individual>::with(()).given(events);
        let (assign, unassign) = (IndividualCommand::Assign, IndividualCommand::Unassign);
        given(vec![]).when(assign(ada)).then_expect_error(IndividualError::NotFound);
        given(vec![recorded()]).when(assign(ada)).then_expect_events(vec![assigned()]);
        given(vec![recorded()]).when(unassign(ada)).then_expect_events(vec![]);
        let taken = || vec![recorded(), assigned()];
        given(taken()).when(assign(ada)).then_expect_events(vec![]);
        given(taken()).when(assign(bob)).then_expect_error(IndividualError::OtherPerson);
        given(taken()).when(unassign(bob)).then_expect_events(vec![]);
        given(taken()).when(unassign(ada)).then_expect_events(vec![unassigned()]);
        let free = vec![recorded(), assigned(), unassigned()];
        given(free).when(assign(bob)).then_expect_events(vec![IndividualEvent::Assigned { user_id: bob }]);
    }

    #[test]
    fn an_individual_that_a_user_owns_belongs_to_that_user() {
        let id = IndividualId(Uuid::from_u128(1));
        let [ada, bob] = [2, 3].map(|number| UserId(Uuid::from_u128(number)));
        let recorded = || vec![IndividualEvent::Recorded { id, owner: Owner::User(ada) }];
        let given = || TestFramework::<Individual>::with(()).given(recorded());
        given().when(IndividualCommand::Assign(ada)).then_expect_events(vec![]);
        given().when(IndividualCommand::Assign(bob)).then_expect_error(IndividualError::OtherPerson);
        given().when(IndividualCommand::Unassign(ada)).then_expect_events(vec![]);
    }
}
