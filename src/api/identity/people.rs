//! People as groups show them: individuals, and users who lead or work there.

use crate::journal::JournalResult;
use crate::read_store::Documents;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::IndividualId;
use registrar_projections::{IndividualDocument, UserDocument};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How far everybody's invitation is, as long as nobody is invited.
pub(super) const INVITATION: &str = "none";

/// Users behind individuals.
pub(super) type Persons = HashMap<IndividualId, Arc<UserDocument>>;

/// The users behind those of the individuals that are somebody's primary one. Of any other individual no more is known
/// here than whose it is.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(super) async fn persons(documents: &Documents, individuals: &[IndividualDocument]) -> JournalResult<Persons> {
    let owners: BTreeSet<String> = individuals
        .iter()
        .filter_map(|individual| match individual.owner {
            Owner::User(user) => Some(user.to_string()),
            Owner::Organization(_) => None,
        })
        .collect();
    let users = documents.find_all::<UserDocument>(owners).await?;
    Ok(users.into_iter().filter_map(|user| Some((*user.individuals.first()?, user))).collect())
}

/// An individual of a group; `person` is the user behind it.
pub(super) fn group_individual(individual: &IndividualDocument, person: Option<&UserDocument>) -> Value {
    let (owner_type, owner) = match individual.owner {
        Owner::User(user) => ("user", user.to_string()),
        Owner::Organization(organization) => ("organization", organization.to_string()),
    };
    json!({
        "id": individual.id,
        "name": person.map(UserDocument::full_name).unwrap_or_default(),
        "first-name": person.map_or("", |person| &person.names.first_name),
        "last-name": person.map_or("", |person| &person.names.last_name),
        "preferred-name": null,
        "birth-date": person.and_then(|person| person.birth_date.as_ref()),
        "communication-preferences": preferences(person),
        "email-verified": person.is_some_and(|person| person.contacts.email_verified),
        "phone-verified": person.is_some_and(|person| person.contacts.phone_verified),
        "verified": person.is_some_and(UserDocument::is_verified),
        "registered": person.is_some_and(UserDocument::is_registered),
        "registration-invite": INVITATION,
        "tz": person.and_then(|person| person.time_zone.as_ref()),
        "owner": { "type": owner_type, "id": owner },
    })
}

/// A user who works with the people of a group.
pub(super) fn group_member(user: &UserDocument) -> Value {
    let contacts = &user.contacts;
    json!({
        "id": user.profile.id,
        "first-name": user.names.first_name,
        "last-name": user.names.last_name,
        "email": contacts.email,
        "email-verified": contacts.email_verified,
        "phone-verified": contacts.phone_verified,
        "verified": user.is_verified(),
        "registration-invite": INVITATION,
        "individual-id": user.individuals.first(),
        "communication-preferences": user.preferences,
        "created-by-id": null,
    })
}

/// A user who leads a group.
pub(super) fn group_leader(user: &UserDocument) -> Value {
    let mut leader = group_member(user);
    leader["enabled"] = user.state.is_enabled().into();
    leader
}

/// A user who leads a group, in the list of leaders.
pub(super) fn leader_ref(user: &UserDocument) -> Value {
    json!({
        "id": user.profile.id,
        "first-name": user.names.first_name,
        "last-name": user.names.last_name,
        "username": user.username_text(),
    })
}

/// Somebody who could come to a group, as `member_type`; `id` is what it is added by.
pub(super) fn eligible_user(user: &UserDocument, member_type: &str) -> Value {
    eligible(json!(user.profile.id), json!(user.individuals.first()), Some(user), member_type)
}

/// An individual that could come to a group; `person` is the user behind it.
pub(super) fn eligible_individual(
    individual: &IndividualDocument,
    person: Option<&UserDocument>,
    member_type: &str,
) -> Value {
    eligible(json!(individual.id), json!(individual.id), person, member_type)
}

fn eligible(id: Value, individual: Value, person: Option<&UserDocument>, member_type: &str) -> Value {
    json!({
        "id": id,
        "individual-id": individual,
        "first-name": person.map_or("", |person| &person.names.first_name),
        "last-name": person.map_or("", |person| &person.names.last_name),
        "email": person.and_then(|person| person.contacts.email.as_ref()),
        "email-verified": person.is_some_and(|person| person.contacts.email_verified),
        "phone-verified": person.is_some_and(|person| person.contacts.phone_verified),
        "verified": person.is_some_and(UserDocument::is_verified),
        "communication-preferences": preferences(person),
        "member-type": member_type,
    })
}

fn preferences(person: Option<&UserDocument>) -> Value {
    person.map_or_else(|| json!({}), |person| json!(person.preferences))
}
