//! People that a request names. Each that cannot be meant is told by its place in the request; one that the caller does not
//! see is told exactly as one that there is not.

use super::super::call::Call;
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::directory::user_by_email;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::group::staffing::check_eligible;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::{IndividualDocument, UserDocument};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Most people that one request names: what is done with them is one commit.
pub(in crate::api::identity) const NAMED_MAX: usize = 1_000;
/// Most people that are told to be wrong.
const FINDINGS_MAX: usize = 50;
/// Look-ups by e-mail address at a time.
const LOOKUPS_AT_A_TIME: usize = 8;

/// A list of a request that names people.
pub(in crate::api::identity) struct Named<T> {
    pointer: String,
    people: Vec<T>,
}

impl<T> Named<T> {
    /// A list among the attributes of a document.
    ///
    /// # Errors
    /// `Wrong` if it is too long.
    pub(in crate::api::identity) fn in_document(name: &str, people: Vec<T>) -> Result<Self, ApiError> {
        Self::at(format!("/data/attributes/{name}"), people)
    }

    /// A list of a plain body.
    ///
    /// # Errors
    /// `Wrong` if it is too long.
    pub(in crate::api::identity) fn in_body(name: &str, people: Vec<T>) -> Result<Self, ApiError> {
        Self::at(format!("/{name}"), people)
    }

    fn at(pointer: String, people: Vec<T>) -> Result<Self, ApiError> {
        if people.len() > NAMED_MAX {
            let detail = format!("must not have more than {NAMED_MAX} elements");
            return Err(ApiError::Wrong(vec![Wrong::at(Source::Pointer(pointer), detail)]));
        }
        Ok(Named { pointer, people })
    }

    /// Everybody, as they are named.
    pub(in crate::api::identity) fn people(&self) -> &[T] {
        &self.people
    }

    fn told(&self, wrong: &[usize], detail: &str) -> Result<(), ApiError> {
        if wrong.is_empty() {
            return Ok(());
        }
        let at = |index: &usize| Source::Pointer(format!("{}/{index}", self.pointer));
        Err(ApiError::Wrong(wrong.iter().take(FINDINGS_MAX).map(|index| Wrong::at(at(index), detail)).collect()))
    }
}

/// Individuals of an organization, each once.
///
/// # Errors
/// `Wrong` for what is none, or none that the caller sees; `Unavailable`.
pub(in crate::api::identity) async fn individuals(
    call: &Call,
    organization: OrganizationId,
    named: Named<Uuid>,
) -> Result<BTreeSet<IndividualId>, ApiError> {
    let (access, holder) = (&call.access(), &call.holder);
    let ids: BTreeSet<_> = named.people.iter().map(ToString::to_string).collect();
    let found = call.documents().find_all::<IndividualDocument>(ids).await?;
    let own = found.into_iter().filter(|individual| individual.places.contains_key(&organization));
    let seen = own.map(|individual| async move {
        let seen = access.individual_as(holder, &individual).await?;
        Ok::<_, ApiError>(seen.then_some(individual.id))
    });
    let fit: BTreeSet<_> = try_join_all(seen).await?.into_iter().flatten().collect();
    let wrong = indices(&named.people, |id| !fit.contains(&IndividualId(*id)));
    named.told(&wrong, "names no individual of the organization")?;
    Ok(fit)
}

/// Enabled members of an organization, each once, and whichever of `present` are named.
///
/// # Errors
/// `Wrong` for who is none, or none that the caller sees; `Unavailable`.
pub(in crate::api::identity) async fn users(
    call: &Call,
    organization: OrganizationId,
    named: Named<Uuid>,
    present: &BTreeSet<UserId>,
) -> Result<BTreeSet<UserId>, ApiError> {
    let ids: BTreeSet<_> = named.people.iter().map(ToString::to_string).collect();
    let found = call.documents().find_all::<UserDocument>(ids).await?;
    let fits = |user: &UserDocument| present.contains(&user.profile.id) || eligible(call, organization, user);
    let fit: BTreeSet<_> = found.iter().filter(|user| fits(user)).map(|user| user.profile.id).collect();
    let wrong = indices(&named.people, |id| !fit.contains(&UserId(*id)));
    named.told(&wrong, "names no enabled member of the organization")?;
    Ok(fit)
}

/// The same by their e-mail addresses.
///
/// # Errors
/// As [`users`].
pub(in crate::api::identity) async fn users_by_email(
    call: &Call,
    organization: OrganizationId,
    named: Named<String>,
) -> Result<BTreeSet<UserId>, ApiError> {
    let found = by_email(call, &named).await?;
    let fit = |email: &String| found.get(email).filter(|user| eligible(call, organization, user));
    let wrong = indices(&named.people, |email| fit(email).is_none());
    named.told(&wrong, "names no enabled member of the organization")?;
    Ok(named.people.iter().filter_map(fit).map(|user| user.profile.id).collect())
}

/// Those who are known by their e-mail addresses, whoever they are.
///
/// # Errors
/// `Unavailable`.
pub(in crate::api::identity) async fn known_by_email(
    call: &Call,
    named: &Named<String>,
) -> Result<BTreeSet<UserId>, ApiError> {
    Ok(by_email(call, named).await?.into_values().map(|user| user.profile.id).collect())
}

async fn by_email(call: &Call, named: &Named<String>) -> Result<HashMap<String, Arc<UserDocument>>, ApiError> {
    let emails: BTreeSet<_> = named.people.iter().cloned().collect();
    let found = stream::iter(emails).map(|email| async move {
        let user = user_by_email(&call.app.node, &email).await?;
        Ok::<_, ApiError>(user.map(|user| (email, user)))
    });
    let found: Vec<_> = found.buffer_unordered(LOOKUPS_AT_A_TIME).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn eligible(call: &Call, organization: OrganizationId, user: &UserDocument) -> bool {
    call.holder.sees(user) && check_eligible(user, organization).is_ok()
}

fn indices<T>(people: &[T], wrong: impl Fn(&T) -> bool) -> Vec<usize> {
    people.iter().enumerate().filter(|(_, one)| wrong(one)).map(|(index, _)| index).collect()
}
