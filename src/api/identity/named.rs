//! People named in a body, by identifier or by e-mail address: the place where such look-ups are counted. A person
//! hidden from the caller is reported exactly as an unknown one, by the place in the request.

use super::call::Call;
use super::refusals::attribute;
use crate::access::resource::Guarded;
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::journal::JournalResult;
use crate::processes::user_by_verified_email;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::group::staffing::check_eligible;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::{IndividualDocument, UserDocument};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most people per request, since the change is one commit.
const NAMED_MAX: usize = 1_000;
/// Most findings about people in a response.
const FINDINGS_MAX: usize = 50;
/// Concurrent look-ups by e-mail address.
const LOOKUPS_AT_A_TIME: usize = 8;

/// One user, named by identifier or by address, not both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UserReference {
    user_id: Option<UserId>,
    email: Option<String>,
}

impl UserReference {
    /// The named user, if it exists and the caller may name it.
    ///
    /// # Errors
    /// `Wrong` if the user is named in both ways or in neither; `TooManyRequests`; `Unavailable`.
    pub(super) async fn find(&self, call: &Call) -> Result<Option<Arc<UserDocument>>, ApiError> {
        match (self.user_id, &self.email) {
            (Some(id), None) => Ok(call.seen::<UserDocument>(id).await?),
            (None, Some(email)) => by_address(call, email).await,
            _ => Err(attribute("user-id", "or email is required, and not both")),
        }
    }

    /// As [`UserReference::find`], for a required user.
    ///
    /// # Errors
    /// `Wrong` also if the user is not found.
    pub(super) async fn existing(&self, call: &Call) -> Result<Arc<UserDocument>, ApiError> {
        let name = if self.email.is_some() { "email" } else { "user-id" };
        self.find(call).await?.ok_or_else(|| attribute(name, UserDocument::NAMES_NONE))
    }
}

/// The user with this verified address. A user hidden from the caller, or not found, counts as a look-up.
///
/// # Errors
/// `TooManyRequests`; `Unavailable`.
pub(super) async fn by_address(call: &Call, email: &str) -> Result<Option<Arc<UserDocument>>, ApiError> {
    let found = user_by_verified_email(&call.app.node, email).await?;
    if !found.as_ref().is_some_and(|user| call.holder.sees(user)) {
        call.count_lookup()?;
    }
    Ok(found)
}

/// Several users, all named by identifier or all by address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UserReferences {
    user_ids: Option<Vec<UserId>>,
    user_emails: Option<Vec<String>>,
}

/// Names of people in order, each with its user.
struct ResolvedUsers {
    member: &'static str,
    users: Vec<Option<Arc<UserDocument>>>,
}

impl UserReferences {
    /// Looks up every name once.
    async fn resolve(&self, call: &Call) -> Result<ResolvedUsers, ApiError> {
        match (&self.user_ids, &self.user_emails) {
            (Some(ids), _) => {
                bounded("/user-ids", ids.len())?;
                let found = by_id(call, ids.iter().copied()).await?;
                let users = ids.iter().map(|id| found.get(id).cloned()).collect();
                Ok(ResolvedUsers { member: "user-ids", users })
            }
            (None, emails) => {
                let emails = emails.as_deref().unwrap_or_default();
                bounded("/user-emails", emails.len())?;
                let distinct: BTreeSet<_> = emails.iter().cloned().collect();
                let looked_up = stream::iter(distinct).map(|email| async move {
                    let user = by_address(call, &email).await?;
                    Ok::<_, ApiError>((email, user))
                });
                let found: BTreeMap<_, _> = looked_up.buffer_unordered(LOOKUPS_AT_A_TIME).try_collect().await?;
                let users = emails.iter().map(|email| found.get(email).cloned().flatten()).collect();
                Ok(ResolvedUsers { member: "user-emails", users })
            }
        }
    }

    /// Users that must exist, in order, without duplicates.
    ///
    /// # Errors
    /// `Wrong` for each unknown name; `Unavailable`.
    pub(super) async fn existing(&self, call: &Call) -> Result<Vec<UserId>, ApiError> {
        let resolved = self.resolve(call).await?;
        resolved.fit(&format!("/{}", resolved.member), UserDocument::NAMES_NONE, |_| true)?;
        let mut seen = BTreeSet::new();
        Ok(resolved.ids().filter(|id| seen.insert(*id)).collect())
    }

    /// Users eligible for a post in an organization.
    ///
    /// # Errors
    /// `Wrong` for each user who is not, or is hidden from the caller; `Unavailable`.
    pub(super) async fn eligible(
        &self,
        call: &Call,
        organization: OrganizationId,
    ) -> Result<BTreeSet<UserId>, ApiError> {
        let resolved = self.resolve(call).await?;
        resolved.fit(&format!("/{}", resolved.member), INELIGIBLE, |user| eligible(call, organization, user))?;
        Ok(resolved.ids().collect())
    }

    /// Users for a removal: unknown names give no finding, so that a caller does not learn which users exist.
    ///
    /// # Errors
    /// `Wrong` for too many names; `Unavailable`.
    pub(super) async fn known(&self, call: &Call) -> Result<BTreeSet<UserId>, ApiError> {
        if let Some(ids) = &self.user_ids {
            bounded("/user-ids", ids.len())?;
            return Ok(ids.iter().copied().collect());
        }
        Ok(self.resolve(call).await?.ids().collect())
    }
}

const INELIGIBLE: &str = "names no enabled provider or admin of the organization";

impl ResolvedUsers {
    fn ids(&self) -> impl Iterator<Item = UserId> + '_ {
        self.users.iter().flatten().map(|user| user.profile.id)
    }

    fn fit(&self, pointer: &str, detail: &str, fits: impl Fn(&UserDocument) -> bool) -> Result<(), ApiError> {
        let fit = |user: &Option<Arc<UserDocument>>| user.as_ref().is_some_and(|user| fits(user));
        report(pointer, detail, self.users.iter().map(fit))
    }
}

/// Leaders of a group in the attributes of a document: users eligible for the post, and its current leaders.
///
/// # Errors
/// `Wrong` for each user who is not eligible; `Unavailable`.
pub(super) async fn leaders(
    call: &Call,
    organization: OrganizationId,
    ids: &[UserId],
    present: &BTreeSet<UserId>,
) -> Result<BTreeSet<UserId>, ApiError> {
    const POINTER: &str = "/data/attributes/leader-ids";
    bounded(POINTER, ids.len())?;
    let found = by_id(call, ids.iter().copied()).await?;
    let fits =
        |id: &UserId| present.contains(id) || found.get(id).is_some_and(|user| eligible(call, organization, user));
    report(POINTER, INELIGIBLE, ids.iter().map(fits))?;
    Ok(ids.iter().copied().collect())
}

/// Individuals of an organization.
///
/// # Errors
/// `Wrong` at `pointer` for each that is unknown or hidden from the caller; `Unavailable`.
pub(super) async fn individuals(
    call: &Call,
    organization: OrganizationId,
    pointer: &str,
    ids: &[IndividualId],
) -> Result<BTreeSet<IndividualId>, ApiError> {
    bounded(pointer, ids.len())?;
    let distinct: BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
    let found = call.documents().find_all::<IndividualDocument>(distinct).await?;
    let own = found.into_iter().filter(|individual| individual.places.contains_key(&organization));
    let seen = own.map(|individual| async move {
        let seen = call.may(&*individual, ()).await?;
        JournalResult::Ok(seen.then_some(individual.id))
    });
    let fit: BTreeSet<_> = try_join_all(seen).await?.into_iter().flatten().collect();
    report(pointer, "names no individual of the organization", ids.iter().map(|id| fit.contains(id)))?;
    Ok(fit)
}

/// Refuses lists that are too long for one commit.
///
/// # Errors
/// `Wrong`.
pub(super) fn bounded(pointer: &str, length: usize) -> Result<(), ApiError> {
    if length <= NAMED_MAX {
        return Ok(());
    }
    let detail = format!("must not have more than {NAMED_MAX} elements");
    Err(ApiError::Wrong(vec![RequestViolation::at(Source::Pointer(pointer.to_owned()), detail)]))
}

async fn by_id(
    call: &Call,
    ids: impl Iterator<Item = UserId>,
) -> Result<BTreeMap<UserId, Arc<UserDocument>>, ApiError> {
    let distinct: BTreeSet<_> = ids.collect();
    let found = distinct.into_iter().map(|id| async move {
        let user = call.seen::<UserDocument>(id).await?;
        JournalResult::Ok(user.map(|user| (id, user)))
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

fn eligible(call: &Call, organization: OrganizationId, user: &UserDocument) -> bool {
    call.holder.sees(user) && check_eligible(user, organization).is_ok()
}

fn report(pointer: &str, detail: &str, fits: impl Iterator<Item = bool>) -> Result<(), ApiError> {
    let wrong = fits.enumerate().filter(|(_, fit)| !fit).take(FINDINGS_MAX);
    let wrong: Vec<_> =
        wrong.map(|(index, _)| RequestViolation::at(Source::Pointer(format!("{pointer}/{index}")), detail)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::Wrong(wrong)) }
}
