//! People in groups: individuals, and users who lead or work there. Personal values are shown only to viewers
//! responsible for the account or the care of the person.

use super::call::Call;
use crate::api::common::ApiError;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::user::InvitationState;
use registrar_aggregates::values::{IndividualId, UserId};
use registrar_projections::{IndividualDocument, UserDocument};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Users whose personal values the viewer may see.
#[derive(Debug, Clone, Default)]
pub(super) struct Personal(BTreeSet<UserId>);

impl Personal {
    /// The visible ones among some users.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn of(call: &Call, users: &[UserDocument]) -> Result<Self, ApiError> {
        Ok(Personal(call.access().only_personal(&call.holder, users).await?))
    }

    /// As [`Personal::of`], by identifier.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn among(call: &Call, users: &BTreeSet<UserId>) -> Result<Self, ApiError> {
        let users = call.documents().find_all::<UserDocument>(users.iter().map(ToString::to_string)).await?;
        let users: Vec<_> = users.iter().map(|user| UserDocument::clone(user)).collect();
        Personal::of(call, &users).await
    }

    fn knows(&self, user: &UserDocument) -> bool {
        self.0.contains(&user.profile.id)
    }
}

/// Users by their primary individual.
#[derive(Debug, Clone, Default)]
pub(super) struct Persons(HashMap<IndividualId, Arc<UserDocument>>);

impl Persons {
    /// Users whose primary individual is among the individuals: those who own it, or to whom an organization assigned it.
    /// Of other individuals only the owner is known here. A viewer who may see an individual may know the person behind
    /// it.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn behind(call: &Call, individuals: &[IndividualDocument]) -> Result<Self, ApiError> {
        let persons: BTreeSet<String> =
            individuals.iter().filter_map(|individual| Some(individual.person()?.to_string())).collect();
        let users = call.documents().find_all::<UserDocument>(persons).await?;
        Ok(Persons(users.into_iter().filter_map(|user| Some((*user.individuals.first()?, user))).collect()))
    }

    fn get(&self, individual: IndividualId) -> Option<&UserDocument> {
        self.0.get(&individual).map(AsRef::as_ref)
    }

    /// JSON of an individual in a group.
    pub(super) fn individual(&self, individual: &IndividualDocument) -> Value {
        group_individual(individual, self.get(individual.id))
    }

    /// JSON of an individual eligible for a group.
    pub(super) fn eligible(&self, individual: &IndividualDocument, member_type: &str) -> Value {
        let (id, person) = (json!(individual.id), self.get(individual.id));
        eligible(id.clone(), id, person, preferences(person), member_type)
    }
}

/// JSON of an individual in a group; `person` is the user behind it.
fn group_individual(individual: &IndividualDocument, person: Option<&UserDocument>) -> Value {
    let (owner_type, owner) = match individual.owner {
        Owner::User(user) => ("user", user.to_string()),
        Owner::Organization(organization) => ("organization", organization.to_string()),
    };
    json!({
        "id": individual.id,
        "name": person.map(UserDocument::full_name).unwrap_or_default(),
        "first-name": person.map_or("", |person| &person.names.first_name),
        "last-name": person.map_or("", |person| &person.names.last_name),
        "preferred-name": person.and_then(|person| person.enrollment.as_ref()?.preferred_name.as_ref()),
        "birth-date": person.and_then(|person| person.birth_date.as_ref()),
        "communication-preferences": preferences(person),
        "email-verified": person.is_some_and(|person| person.contacts.email_verified),
        "phone-verified": person.is_some_and(|person| person.contacts.phone_verified),
        "verified": person.is_some_and(UserDocument::is_verified),
        "registered": person.is_some_and(UserDocument::is_registered),
        "registration-invite": person.map_or(InvitationState::None, |person| person.invitation),
        "tz": person.and_then(|person| person.time_zone.as_ref()),
        "owner": { "type": owner_type, "id": owner },
    })
}

/// JSON of a user who works with the people of a group.
pub(super) fn group_member(user: &UserDocument, personal: &Personal) -> Value {
    let known = personal.knows(user);
    let contacts = &user.contacts;
    json!({
        "id": user.profile.id,
        "first-name": user.names.first_name,
        "last-name": user.names.last_name,
        "email": contacts.email,
        "email-verified": contacts.email_verified,
        "phone-verified": contacts.phone_verified,
        "verified": user.is_verified(),
        "registration-invite": user.invitation,
        "individual-id": user.individuals.first().filter(|_| known),
        "communication-preferences": preferences(Some(user).filter(|_| known)),
        "created-by-id": null,
    })
}

/// JSON of a user who leads a group.
pub(super) fn group_leader(user: &UserDocument, personal: &Personal) -> Value {
    let mut leader = group_member(user, personal);
    leader["enabled"] = user.state.is_enabled().into();
    leader
}

/// JSON of a leader in the list of leaders.
pub(super) fn leader_ref(user: &UserDocument) -> Value {
    json!({
        "id": user.profile.id,
        "first-name": user.names.first_name,
        "last-name": user.names.last_name,
        "username": user.username_text(),
    })
}

/// JSON of a user eligible for a group as `member_type`.
pub(super) fn eligible_user(user: &UserDocument, personal: &Personal, member_type: &str) -> Value {
    let known = Some(user).filter(|user| personal.knows(user));
    let individual = json!(known.and_then(|user| user.individuals.first()));
    eligible(json!(user.profile.id), individual, Some(user), preferences(known), member_type)
}

fn eligible(
    id: Value,
    individual: Value,
    person: Option<&UserDocument>,
    preferences: Value,
    member_type: &str,
) -> Value {
    json!({
        "id": id,
        "individual-id": individual,
        "first-name": person.map_or("", |person| &person.names.first_name),
        "last-name": person.map_or("", |person| &person.names.last_name),
        "email": person.and_then(|person| person.contacts.email.as_ref()),
        "email-verified": person.is_some_and(|person| person.contacts.email_verified),
        "phone-verified": person.is_some_and(|person| person.contacts.phone_verified),
        "verified": person.is_some_and(UserDocument::is_verified),
        "communication-preferences": preferences,
        "member-type": member_type,
    })
}

fn preferences(person: Option<&UserDocument>) -> Value {
    person.map_or_else(|| json!({}), |person| json!(person.preferences))
}
