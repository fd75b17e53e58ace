//! Memberships: users added to organizations and removed, and the pairs of users and organizations.

use super::call::{Attributes, Call, HandlerResult, Parameters};
use super::documents::Reply;
use super::named::UserReference;
use super::refusals::{NO_USER, attribute, into_api_error};
use super::users::Viewer;
use crate::access::resource::{AnyRole, OrganizationAct, UserAct};
use crate::api::common::error::Source;
use crate::processes::{DirectoryError, Refusal, membership};
use registrar_aggregates::user::UserError;
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::query::{Direction, Query};
use registrar_projections::{OrganizationDocument, UserDocument, users};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Addition {
    #[serde(flatten)]
    user: UserReference,
    role_id: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewPair {
    user_id: UserId,
    organization_id: OrganizationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MembershipFilters {
    user_id: Option<UserId>,
    organization_id: Option<OrganizationId>,
}

/// Adds a user, with a role if the request names one.
pub(super) async fn add(call: Call, Attributes(addition): Attributes<Addition>) -> HandlerResult {
    let organization = call.load::<OrganizationDocument>(OrganizationAct::Administer).await?.id;
    let user = addition.user.existing(&call).await?;
    let role = match addition.role_id {
        Some(id) => match call.seen::<AnyRole>(id).await?.as_deref() {
            Some(AnyRole::Organization(of, role)) if *of == organization => Some(*role),
            _ => return Err(attribute("role-id", "names no role of the organization")),
        },
        None => None,
    };
    let (granter, composer) = (call.holder.granter(), &call.app.settings.composer);
    call.commit(Reply::done(), |node, context| {
        membership::add(node, context, composer, &granter, &user, organization, role)
    })
    .await
}

/// Removes a user with all roles and posts there. Every user may leave without further rights.
pub(super) async fn remove(call: Call, Attributes(user): Attributes<UserReference>) -> HandlerResult {
    let organization = call.load::<OrganizationDocument>(OrganizationAct::See).await?;
    // An unknown user is not a member, by identifier or by address.
    let user = user.find(&call).await?.ok_or(NO_USER);
    let oneself = user.as_ref().is_ok_and(|user| call.is(user.profile.id));
    call.require(oneself || call.may(&*organization, OrganizationAct::Administer).await?)?;
    let (user, organization) = (user?.profile.id, organization.id);
    call.commit(Reply::done(), |node, context| async move {
        membership::leave(node, context, user, organization).await.map_err(|error| match error {
            DirectoryError::Refused(Refusal::User(UserError::NotAMember | UserError::NotFound)) => NO_USER,
            error => into_api_error(error),
        })
    })
    .await
}

/// Makes a user a member without a role; an existing pair is answered as it is.
pub(super) async fn create(call: Call, Attributes(new): Attributes<NewPair>) -> HandlerResult {
    let (at, id, act) = (Source::attribute("organization-id"), new.organization_id, OrganizationAct::Administer);
    let organization = call.named::<OrganizationDocument>(at, id, act).await?;
    let user = call.named::<UserDocument>(Source::attribute("user-id"), new.user_id, UserAct::See).await?;
    let viewer = Viewer::of(&call, std::slice::from_ref(&*user)).await?.with(organization);
    let (viewer, granter, composer) = (Arc::new(viewer), call.holder.granter(), &call.app.settings.composer);
    call.commit_document::<UserDocument, DirectoryError, _>(
        user.profile.id.to_string(),
        Reply::created,
        move |joined| viewer.pair(joined, id),
        |node, context| membership::add(node, context, composer, &granter, &user, id, None),
    )
    .await
}

/// Pairs of users and organizations, filtered by either or both; without filters the caller's own.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<MembershipFilters>) -> HandlerResult {
    let organization = match filters.organization_id {
        Some(id) => match call.seen::<OrganizationDocument>(id).await? {
            Some(organization) => Some(organization),
            None => return call.nothing(),
        },
        None => None,
    };
    let user = match filters.user_id {
        Some(id) if !call.is(id) => match call.seen::<UserDocument>(id).await? {
            Some(user) => Some(user),
            None => return call.nothing(),
        },
        None if organization.is_some() => None,
        // An admin who is not a user has no memberships.
        _ => match call.holder.as_user() {
            Some(own) => Some(Arc::clone(own)),
            None => return call.nothing(),
        },
    };
    match user {
        Some(user) => of_user(&call, &user, organization.map(|organization| organization.id)).await,
        None => match organization {
            Some(organization) => of_organization(&call, &organization).await,
            None => call.nothing(),
        },
    }
}

async fn of_organization(call: &Call, organization: &OrganizationDocument) -> HandlerResult {
    call.require(call.holder.sees_everybody() || call.may(organization, OrganizationAct::Administer).await?)?;
    let id = organization.id;
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains(&users::PLACES, users::member_of(id));
    let page = call.page(query).await?;
    let viewer = Viewer::of(call, &page.items).await?;
    Ok(page.show(|user| viewer.pair(user, id)))
}

/// Memberships of another user, limited to organizations that the caller administers.
async fn of_user(call: &Call, user: &UserDocument, only: Option<OrganizationId>) -> HandlerResult {
    let unlimited = call.is(user.profile.id) || call.holder.sees_everybody();
    let viewer = Viewer::of(call, std::slice::from_ref(user)).await?;
    let known = viewer.memberships(user).map(|(organization, _)| organization.id);
    let known: Vec<_> = known.filter(|id| unlimited || call.holder.is_admin(*id)).collect();
    call.require(unlimited || !known.is_empty())?;
    call.require(unlimited || only.is_none_or(|only| known.contains(&only)))?;
    let pairs = known.into_iter().filter(|id| only.is_none_or(|only| only == *id));
    call.part(pairs.map(|id| viewer.pair(user, id)).collect())
}
