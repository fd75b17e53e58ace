//! What users are in organizations, as far as these still exist.

use crate::journal::JournalResult;
use crate::read_store::Documents;
use futures::future::try_join_all;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::{OrganizationDocument, UserDocument};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The user with an identifier, without what they were in organizations that were deleted. Nobody leaves an organization
/// because it is deleted: there may be more members than one commit can see off, and none of them may hold anything there
/// from that commit on.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find_user(documents: &Documents, id: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Some(user) = documents.find::<UserDocument>(id).await?.value else { return Ok(None) };
    let deleted = deleted(documents, user.memberships.keys().copied()).await?;
    if deleted.is_empty() {
        return Ok(Some(user));
    }
    let mut user = UserDocument::clone(&user);
    user.profile.memberships.retain(|organization, _| !deleted.contains(organization));
    user.profile.default_organization =
        user.default_organization.filter(|organization| !deleted.contains(organization));
    Ok(Some(Arc::new(user)))
}

/// Those organizations that there are no more.
async fn deleted(
    documents: &Documents,
    organizations: impl Iterator<Item = OrganizationId>,
) -> JournalResult<BTreeSet<OrganizationId>> {
    let looked_up = organizations.map(|organization| async move {
        let found = documents.find::<OrganizationDocument>(&organization.to_string()).await?.value;
        JournalResult::Ok(found.is_none().then_some(organization))
    });
    Ok(try_join_all(looked_up).await?.into_iter().flatten().collect())
}
