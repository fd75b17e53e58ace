//! Roles, and who holds them.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource, Window};
use super::memberships::part;
use super::refusals::{NO_ROLE, attribute};
use super::sessions::existing_user;
use super::users::Organizations;
use crate::api::common::ApiError;
use crate::directory::{DirectoryError, Refusal, membership};
use crate::executor::Outcome;
use registrar_aggregates::user::{SystemRole, UserError};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::query::{Direction, Query};
use registrar_projections::roles::{self, RoleDocument};
use registrar_projections::{UserDocument, users};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Roles of an organization; those of the system without one.
pub(super) async fn list(call: Call) -> Answered {
    let organization = call.uuid("organization-id").map(OrganizationId);
    let only = call.arguments.text("filter[name]");
    let rows: Vec<_> = match organization {
        None => {
            let all = SystemRole::ALL.into_iter().filter(|role| only.is_none_or(|only| only == role.name()));
            all.map(|role| resource(role.id(), role.name(), None, Value::Null)).collect()
        }
        Some(organization) => {
            if !call.holder.is_member(organization) && !call.holder.holds_everything() {
                return Err(call.forbidden());
            }
            let query = Query::<RoleDocument>::sorted(&roles::BY_NAME, Direction::Ascending)
                .equal(&roles::ORGANIZATION_ID, organization.to_string());
            let found = call.documents().page(query.page(0, 100)).await?.value.items;
            let organizations = Organizations::named(&call, [organization].into()).await?;
            let reference = organizations.get(organization).map_or(
                Value::Null,
                |found| json!({ "id": found.profile.id, "name": found.handle(), "display-name": found.name }),
            );
            let found = found.iter().filter(|found| only.is_none_or(|only| only == found.role.name()));
            found.map(|found| resource(found.id, found.role.name(), Some(organization), reference.clone())).collect()
        }
    };
    let all = Window { limit: rows.len() as u64, offset: 0 };
    Ok(part(rows, all))
}

fn resource(id: Uuid, name: &str, organization: Option<OrganizationId>, reference: Value) -> Resource {
    let attributes = json!({
        "name": name,
        "display-name": super::users::display_name(name),
        "organization-id": organization,
        "organization": reference,
    });
    Resource::new("roles", id, attributes)
}

/// A role of an organization, by its identifier.
pub(super) async fn of_organization(call: &Call, id: Uuid) -> Result<Option<Arc<RoleDocument>>, ApiError> {
    Ok(call.documents().find::<RoleDocument>(&id.to_string()).await?.value)
}

/// Any role.
#[derive(Clone)]
enum Named {
    Organization(Arc<RoleDocument>),
    System(SystemRole),
}

impl Named {
    async fn find(call: &Call, id: Uuid) -> Result<Option<Self>, ApiError> {
        if let Some(role) = SystemRole::ALL.into_iter().find(|role| role.id() == id) {
            return Ok(Some(Named::System(role)));
        }
        Ok(of_organization(call, id).await?.map(Named::Organization))
    }

    fn id(&self) -> Uuid {
        match self {
            Named::Organization(role) => role.id,
            Named::System(role) => role.id(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Named::Organization(role) => role.role.name(),
            Named::System(role) => role.name(),
        }
    }

    /// Whether the caller sees it at all.
    fn is_seen(&self, call: &Call) -> bool {
        match self {
            Named::Organization(role) => call.holder.holds_everything() || call.holder.is_member(role.organization_id),
            Named::System(_) => true,
        }
    }

    /// Whether the caller gives and takes it.
    fn is_managed(&self, call: &Call) -> bool {
        match self {
            Named::Organization(role) => call.holder.is_admin(role.organization_id),
            Named::System(_) => call.holder.holds_everything(),
        }
    }

    async fn grant(&self, call: &Call, user: &UserDocument) -> Result<Outcome, ApiError> {
        let (node, context, id) = (&call.app.node, &call.context, user.profile.id);
        let granted = match self {
            Named::Organization(role) => membership::grant(node, context, id, role.organization_id, role.role).await,
            Named::System(role) => membership::grant_system(node, context, id, *role).await,
        };
        granted.map_err(|error| match error {
            DirectoryError::Refused(Refusal::User(UserError::NotAMember)) => {
                attribute("user-id", "names no member of the role's organization")
            }
            error => error.into(),
        })
    }
}

/// Who holds a role.
pub(super) async fn list_users(call: Call) -> Answered {
    let window = call.window()?;
    let named = match call.uuid("role-id") {
        Some(id) => Named::find(&call, id).await?,
        None => None,
    };
    // A role that there is not is as foreign as any.
    let role = named.filter(|role| role.is_managed(&call)).ok_or_else(|| call.forbidden())?;
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains(&users::PLACES, users::holding(role.id()))
        .page(window.offset, window.limit);
    let page = call.documents().page(query).await?.value;
    let rows = page.items.iter().map(|user| assignment(&role, user));
    Ok(Reply::Page(rows.collect(), window, page.total))
}

/// Gives a role.
pub(super) async fn create_user(mut call: Call) -> Answered {
    let attributes = call.attributes()?;
    let named = match attributes.uuid("role-id") {
        Some(id) => Named::find(&call, id).await?,
        None => None,
    };
    let role = named.filter(|role| role.is_managed(&call)).ok_or_else(|| call.forbidden())?;
    let user = existing_user(&call, &attributes).await?;
    let outcome = role.grant(&call, &user).await?;
    let user = match outcome.document::<UserDocument>() {
        Some(user) => user.clone(),
        None => (*call.user_by_id(user.profile.id).await?.ok_or(super::refusals::NO_USER)?).clone(),
    };
    Ok(Reply::created(assignment(&role, &user)))
}

/// The same, answering nothing.
pub(super) async fn add_user(mut call: Call) -> Answered {
    let role = in_path(&call).await?;
    let attributes = call.attributes()?;
    let user = existing_user(&call, &attributes).await?;
    call.remember(|_| Some(Reply::done()));
    role.grant(&call, &user).await?;
    Ok(Reply::done())
}

/// Takes a role away.
pub(super) async fn remove_user(mut call: Call) -> Answered {
    let role = in_path(&call).await?;
    let attributes = call.attributes()?;
    let user = existing_user(&call, &attributes).await?;
    call.remember(|_| Some(Reply::done()));
    let (node, context, id) = (&call.app.node, &call.context, user.profile.id);
    match &role {
        Named::Organization(role) => membership::revoke(node, context, id, role.organization_id, role.role).await?,
        Named::System(role) => membership::revoke_system(node, context, id, *role).await?,
    };
    Ok(Reply::done())
}

async fn in_path(call: &Call) -> Result<Named, ApiError> {
    let role = Named::find(call, call.path_id(NO_ROLE)?).await?.filter(|role| role.is_seen(call)).ok_or(NO_ROLE)?;
    if role.is_managed(call) { Ok(role) } else { Err(call.forbidden()) }
}

/// Its number is the position of the event that gave it.
fn assignment(role: &Named, user: &UserDocument) -> Resource {
    let number = user.assignments.get(&role.id()).copied().unwrap_or_default();
    let attributes = json!({
        "role": { "id": role.id(), "name": role.name() },
        "user": { "id": user.profile.id, "email": user.contacts.email },
    });
    Resource::numbered("role-users", number, attributes)
}
