//! Organizations as places of sessions: which of them can be entered, and the rights of a membership there.
//!
//! An organization may have a sign-in of its own. Its staff (admins and providers) act there only in sessions opened by
//! that sign-in; in every other session their membership grants nothing. Participants are not concerned.

use crate::access::is_in_force;
use crate::journal::JournalResult;
use crate::read_store::Documents;
use futures::future::try_join_all;
use registrar_aggregates::group::staffing::keeps_posts;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::{OrganizationDocument, UserDocument};
use std::sync::Arc;

/// Whether a session can act in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryStatus {
    /// The session can act in the organization.
    Usable,
    /// The session must be opened at this address.
    SignInElsewhere(String),
    /// The organization is retired.
    Retired,
    /// The organization was deleted or never existed.
    Gone,
}

/// Whether a session of `user` that was opened by the sign-in of `via` can act in an organization.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(crate) async fn entry_status(
    documents: &Documents,
    user: &UserDocument,
    organization: OrganizationId,
    via: Option<OrganizationId>,
) -> JournalResult<EntryStatus> {
    let found = documents.find::<OrganizationDocument>(&organization.to_string()).await?.value;
    Ok(match found {
        None => EntryStatus::Gone,
        Some(found) if !is_in_force(Some(&found)) => EntryStatus::Retired,
        Some(found) => match &found.tenancy.sign_in_url {
            Some(url) if via != Some(organization) && keeps_posts(user, organization) => {
                EntryStatus::SignInElsewhere(url.clone())
            }
            Some(_) | None => EntryStatus::Usable,
        },
    })
}

/// The user with the memberships that count in a session opened by the sign-in of `via`: none in deleted or retired
/// organizations, and none of staff in organizations with another sign-in of their own. System roles stay.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(crate) async fn counting(
    documents: &Documents,
    user: &Arc<UserDocument>,
    via: Option<OrganizationId>,
) -> JournalResult<Arc<UserDocument>> {
    let looked_up = try_join_all(user.memberships.keys().copied().map(|organization| async move {
        let found = entry_status(documents, user, organization, via).await?;
        JournalResult::Ok((found != EntryStatus::Usable).then_some(organization))
    }));
    let mut lost = looked_up.await?.into_iter().flatten().peekable();
    if lost.peek().is_none() {
        return Ok(Arc::clone(user));
    }
    let mut rights = (**user).clone();
    lost.for_each(|organization| drop(rights.profile.memberships.remove(&organization)));
    Ok(Arc::new(rights))
}
