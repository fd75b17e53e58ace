//! Who belongs to an organization: users added and removed, and the pairs of users and organizations.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource, Window};
use super::organizations::{found, seen};
use super::refusals::{NO_USER, attribute};
use super::roles;
use super::sessions::{existing_user, named_user};
use super::users::Organizations;
use crate::directory::{DirectoryError, Refusal, membership};
use registrar_aggregates::user::UserError;
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::query::{Direction, Query};
use registrar_projections::{UserDocument, users};
use serde_json::json;

/// Adds a user, with a role if one is named.
pub(super) async fn add(mut call: Call) -> Answered {
    let organization = found(&call).await?.profile.id;
    if !call.holder.is_admin(organization) {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    let user = existing_user(&call, &attributes).await?;
    let role = match attributes.uuid("role-id") {
        Some(id) => {
            let role = roles::of_organization(&call, id).await?.filter(|role| role.organization_id == organization);
            Some(role.ok_or_else(|| attribute("role-id", "names no role of the organization"))?.role)
        }
        None => None,
    };
    call.remember(|_| Some(Reply::done()));
    membership::join(&call.app.node, &call.context, user.profile.id, organization, role).await?;
    Ok(Reply::done())
}

/// Removes a user with everything that they are there.
pub(super) async fn remove(mut call: Call) -> Answered {
    let organization = found(&call).await?.profile.id;
    if !call.holder.is_admin(organization) {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    // Who is not there is no member, whichever way they are named.
    let user = named_user(&call, &attributes).await?.ok_or(NO_USER)?;
    call.remember(|_| Some(Reply::done()));
    match membership::leave(&call.app.node, &call.context, user.profile.id, organization).await {
        Ok(_) => Ok(Reply::done()),
        Err(DirectoryError::Refused(Refusal::User(UserError::NotAMember | UserError::NotFound))) => Err(NO_USER),
        Err(error) => Err(error.into()),
    }
}

/// Makes a user a member without a role; one who is a member already is answered as they are.
pub(super) async fn create(mut call: Call) -> Answered {
    let attributes = call.attributes()?;
    let node = &call.app.node;
    let id = attributes.uuid("organization-id").map(OrganizationId);
    let organization = match id {
        Some(id) => seen(&call, id).await?,
        None => None,
    };
    let organization = organization.ok_or_else(|| attribute("organization-id", "names no organization"))?;
    if !call.holder.is_admin(organization.profile.id) {
        return Err(call.forbidden());
    }
    let user = match attributes.uuid("user-id").map(UserId) {
        Some(id) => call.user_by_id(id).await?.filter(|user| call.holder.sees(user)),
        None => None,
    };
    let user = user.ok_or_else(|| attribute("user-id", "names no user"))?;
    let outcome = membership::join(node, &call.context, user.profile.id, organization.profile.id, None).await?;
    let joined = match outcome.document::<UserDocument>() {
        Some(joined) => joined.clone(),
        None => (*call.user_by_id(user.profile.id).await?.ok_or(NO_USER)?).clone(),
    };
    let organizations = Organizations::named(&call, [organization.profile.id].into()).await?;
    let pair = pair(&joined, organization.profile.id, &organizations);
    Ok(Reply::created(pair))
}

/// Pairs of users and organizations, by either or both; one's own without.
pub(super) async fn list(call: Call) -> Answered {
    let window = call.window()?;
    let node = &call.app.node;
    let organization = call.uuid("organization-id").map(OrganizationId);
    let user = match call.uuid("user-id").map(UserId) {
        Some(id) if !call.is(id) => {
            let other = call.user_by_id(id).await?.filter(|other| call.holder.manages(other));
            Some(other.ok_or_else(|| call.forbidden())?)
        }
        None if organization.is_some() => None,
        _ => Some(call.user()?.clone()),
    };
    if let Some(organization) = organization {
        let own = user.as_ref().is_some_and(|user| call.is(user.profile.id)) && call.holder.is_member(organization);
        if !own && !call.holder.is_admin(organization) {
            return Err(call.forbidden());
        }
    }
    match (user, organization) {
        (Some(user), organization) => {
            let organizations = Organizations::of(&call, std::iter::once(&*user)).await?;
            let all = user.memberships.keys().filter(|id| organization.is_none_or(|only| only == **id));
            let pairs: Vec<_> = all.map(|id| pair(&user, *id, &organizations)).collect();
            Ok(part(pairs, window))
        }
        (None, Some(organization)) => {
            let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
                .contains(&users::PLACES, users::member_of(organization))
                .page(window.offset, window.limit);
            let page = node.documents.page(query).await?.value;
            let organizations = Organizations::named(&call, [organization].into()).await?;
            let pairs = page.items.iter().map(|user| pair(user, organization, &organizations));
            Ok(Reply::Page(pairs.collect(), window, page.total))
        }
        (None, None) => Ok(Reply::Page(vec![], window, 0)),
    }
}

/// The part of a list that is at hand as a whole.
pub(super) fn part(rows: Vec<Resource>, window: Window) -> Reply {
    let total = rows.len() as u64;
    let skip = usize::try_from(window.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(window.limit).unwrap_or(usize::MAX);
    Reply::Page(rows.into_iter().skip(skip).take(take).collect(), window, total)
}

fn pair(user: &UserDocument, organization: OrganizationId, organizations: &Organizations) -> Resource {
    let found = organizations.get(organization);
    let attributes = json!({
        "user-id": user.profile.id,
        "organization-id": organization,
        "organization-name": found.map(registrar_projections::OrganizationDocument::handle).unwrap_or_default(),
        "organization-display-name": found.map(|found| found.name.clone()).unwrap_or_default(),
        "organization-count": user.memberships.len(),
    });
    Resource::new("user-organizations", format!("{}_{organization}", user.profile.id), attributes)
}
