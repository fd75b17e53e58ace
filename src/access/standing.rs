//! Memberships of users in organizations that still exist, and rights in those that are not retired.

use crate::journal::JournalResult;
use crate::read_store::Documents;
use futures::future::try_join_all;
use registrar_aggregates::organization::Status;
use registrar_aggregates::user::{Home, Profile};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::{OrganizationDocument, UserDocument};
use std::collections::BTreeSet;
use std::sync::Arc;

fn oldest_membership(user: &Profile) -> Option<OrganizationId> {
    let oldest = user.memberships.iter().min_by_key(|(_, membership)| membership.number);
    oldest.map(|(organization, _)| *organization)
}

/// The user with an identifier, for display: without memberships in deleted organizations. Deleting an organization
/// does not end memberships, since there may be more members than one commit can write; a member whose default
/// organization it was gets the oldest remaining one.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find_user(documents: &Documents, id: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Some(user) = documents.find::<UserDocument>(id).await?.value else { return Ok(None) };
    standing_user(documents, user).await.map(Some)
}

/// As [`find_user`], for users whose documents are already loaded, in their order.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn standing_users(
    documents: &Documents,
    users: impl IntoIterator<Item = Arc<UserDocument>>,
) -> JournalResult<Vec<Arc<UserDocument>>> {
    try_join_all(users.into_iter().map(|user| standing_user(documents, user))).await
}

async fn standing_user(documents: &Documents, user: Arc<UserDocument>) -> JournalResult<Arc<UserDocument>> {
    let deleted = where_none_holds(documents, &user, |found| found.is_some()).await?;
    Ok(without(user, &deleted))
}

/// The user with an identifier, for access decisions: also without memberships in retired organizations, where only
/// roles in the whole system grant anything.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find_acting_user(documents: &Documents, id: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Some(user) = documents.find::<UserDocument>(id).await?.value else { return Ok(None) };
    let ended = where_none_holds(documents, &user, is_in_force).await?;
    Ok(Some(without(user, &ended)))
}

/// Whether memberships in an organization grant anything.
pub(crate) fn is_in_force(organization: Option<&OrganizationDocument>) -> bool {
    organization.is_some_and(|found| found.status != Status::Retired)
}

/// Organizations of a user for which `counts` is false.
async fn where_none_holds(
    documents: &Documents,
    user: &UserDocument,
    counts: fn(Option<&OrganizationDocument>) -> bool,
) -> JournalResult<BTreeSet<OrganizationId>> {
    let looked_up = user.memberships.keys().map(|organization| async move {
        let found = documents.find::<OrganizationDocument>(&organization.to_string()).await?.value;
        JournalResult::Ok((!counts(found.as_deref())).then_some(*organization))
    });
    Ok(try_join_all(looked_up).await?.into_iter().flatten().collect())
}

/// Removes a user's memberships in some organizations. Posts end with the membership.
fn without(user: Arc<UserDocument>, organizations: &BTreeSet<OrganizationId>) -> Arc<UserDocument> {
    if organizations.is_empty() {
        return user;
    }
    let mut user = Arc::unwrap_or_clone(user);
    user.profile.memberships.retain(|organization, _| !organizations.contains(organization));
    user.posts.retain(|organization, _| !organizations.contains(organization));
    if user.home().is_some_and(|home| organizations.contains(&home)) {
        user.profile.home = Some(oldest_membership(&user).map_or(Home::SYSTEM, Home::of));
    }
    if user.default_organization.is_some_and(|default| organizations.contains(&default)) {
        user.profile.default_organization = oldest_membership(&user);
    }
    Arc::new(user)
}
