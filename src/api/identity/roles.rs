//! Roles, and the users who hold them.

use super::call::{Attributes, Call, HandlerResult, Parameters, whole};
use super::documents::{Reply, Resource};
use super::named::UserReference;
use super::refusals::{attribute, into_api_error};
use super::users::display_name;
use crate::access::resource::{AnyRole, RoleAct};
use crate::api::common::ApiError;
use crate::api::common::error::Source;
use crate::executor::RequestContext;
use crate::node::Node;
use crate::processes::{DirectoryError, ProcessResult, Refusal, membership};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::user::{SystemRole, UserError};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::query::{Direction, Query};
use registrar_projections::roles::{self, RoleDocument};
use registrar_projections::{OrganizationDocument, UserDocument, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
pub(super) struct RoleFilters {
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    #[serde(rename = "filter[name]")]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Assignments {
    role_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewAssignment {
    role_id: Uuid,
    #[serde(flatten)]
    user: UserReference,
}

/// Roles of an organization; without one those of the system.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<RoleFilters>) -> HandlerResult {
    let named = |name: &str| filters.name.as_deref().is_none_or(|only| only == name);
    let Some(organization) = filters.organization else {
        let all = SystemRole::ALL.into_iter().filter(|role| named(role.name()));
        return Ok(whole(all.map(|role| resource(role.id(), role.name(), None, Value::Null)).collect()));
    };
    let Some(organization) = call.seen::<OrganizationDocument>(organization).await? else {
        return Ok(whole(vec![]));
    };
    let id = organization.id;
    let query = Query::<RoleDocument>::sorted(&roles::BY_NAME, Direction::Ascending)
        .equal(&roles::ORGANIZATION_ID, id.to_string());
    let found = call.documents().page(query.page(0, 100)).await?.value.items;
    let reference = json!({ "id": id, "name": organization.handle(), "display-name": organization.name });
    let found = found.iter().filter(|found| named(found.role.name()));
    Ok(whole(found.map(|found| resource(found.id, found.role.name(), Some(id), reference.clone())).collect()))
}

fn resource(id: Uuid, name: &str, organization: Option<OrganizationId>, reference: Value) -> Resource {
    let attributes = json!({
        "name": name,
        "display-name": display_name(name),
        "organization-id": organization,
        "organization": reference,
    });
    Resource::new("roles", id, attributes)
}

/// Users with a role.
pub(super) async fn list_users(call: Call, Parameters(filters): Parameters<Assignments>) -> HandlerResult {
    let role = call.rightful::<AnyRole>(&filters.role_id.to_string(), RoleAct::Administer).await?;
    let Some(role) = role else { return call.nothing() };
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains(&users::PLACES, users::holding(role.id()));
    call.list(query, |user| assignment(&role, user)).await
}

/// Assigns a role.
pub(super) async fn create_user(call: Call, Attributes(new): Attributes<NewAssignment>) -> HandlerResult {
    let at = Source::attribute("role-id");
    let role = call.named::<AnyRole>(at, new.role_id, RoleAct::Administer).await?;
    let user = new.user.existing(&call).await?.profile.id;
    let (shown, granter) = (Arc::clone(&role), call.holder.granter());
    call.commit_document::<UserDocument, ApiError, _>(
        user.to_string(),
        Reply::created,
        move |user| assignment(&shown, user),
        |node, context| grant(node, context, &granter, &role, user),
    )
    .await
}

/// As [`create_user`], with a null response.
pub(super) async fn add_user(call: Call, Attributes(user): Attributes<UserReference>) -> HandlerResult {
    let role = call.load::<AnyRole>(RoleAct::Administer).await?;
    let user = user.existing(&call).await?.profile.id;
    let granter = call.holder.granter();
    call.commit(Reply::done(), |node, context| grant(node, context, &granter, &role, user)).await
}

/// Revokes a role.
pub(super) async fn remove_user(call: Call, Attributes(user): Attributes<UserReference>) -> HandlerResult {
    let role = call.load::<AnyRole>(RoleAct::Administer).await?;
    let user = user.existing(&call).await?.profile.id;
    call.commit(Reply::done(), |node, context| revoke(node, context, &role, user)).await
}

async fn grant(
    node: &Node,
    context: &RequestContext,
    granter: &Granter,
    role: &AnyRole,
    user: UserId,
) -> Result<crate::executor::Outcome, ApiError> {
    let granted = match role {
        AnyRole::Organization(organization, role) => {
            membership::grant(node, context, granter, user, *organization, *role).await
        }
        AnyRole::System(role) => membership::grant_system(node, context, granter, user, *role).await,
    };
    granted.map_err(|error| match error {
        DirectoryError::Refused(Refusal::User(UserError::NotAMember)) => {
            attribute("user-id", "names no member of the role's organization")
        }
        error => into_api_error(error),
    })
}

async fn revoke(node: &Node, context: &RequestContext, role: &AnyRole, user: UserId) -> ProcessResult {
    match role {
        AnyRole::Organization(organization, role) => {
            membership::revoke(node, context, user, *organization, *role).await
        }
        AnyRole::System(role) => membership::revoke_system(node, context, user, *role).await,
    }
}

/// Resource of an assignment. Its number is the position of the event that assigned the role.
fn assignment(role: &AnyRole, user: &UserDocument) -> Resource {
    let number = user.assignments.get(&role.id()).copied().unwrap_or_default();
    let attributes = json!({
        "role": { "id": role.id(), "name": role.name() },
        "user": { "id": user.profile.id, "email": user.contacts.email },
    });
    Resource::numbered("role-users", number, attributes)
}
