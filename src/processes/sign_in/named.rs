//! Accounts by the names that people sign in with, and by their identifiers.

use crate::journal::JournalResult;
use crate::node::Node;
use crate::processes::sessions::Person;
use crate::processes::{account_of, user_by_id, user_by_sign_in_name};
use registrar_aggregates::admin::Admin;
use registrar_aggregates::values::{AdminId, EmailAddress, UserId};
use registrar_projections::AdminDocument;
use std::sync::Arc;

/// The account that signs in with a name, at present.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn person_named(node: &Node, username: &str) -> JournalResult<Option<Person>> {
    let username = username.trim();
    let account = match EmailAddress::parse(username) {
        Ok(email) => account_of(node, &email).await?,
        Err(_) => None,
    };
    if let Some((_, id)) = account.filter(|(kind, _)| kind == <Admin as cqrs_es::Aggregate>::TYPE) {
        let admin = node.documents.find::<AdminDocument>(&id).await?.value;
        return Ok(admin.filter(|admin| admin.active).map(Person::Admin));
    }
    Ok(user_by_sign_in_name(node, username).await?.map(Person::User))
}

/// The account with an identifier, of either kind.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn person(node: &Node, id: UserId) -> JournalResult<Option<Person>> {
    if let Some(user) = user_by_id(node, id).await? {
        return Ok(Some(Person::User(user)));
    }
    let admin: Option<Arc<AdminDocument>> =
        node.documents.find::<AdminDocument>(&AdminId(id.0).to_string()).await?.value;
    Ok(admin.map(Person::Admin))
}
