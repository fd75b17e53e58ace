//! Organizations as tenants.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::refusals::{NO_ORGANIZATION, attribute};
use super::times;
use super::users::filters::compared;
use crate::api::common::ApiError;
use crate::directory::{DirectoryError, organizations as directory};
use crate::executor::Outcome;
use chrono::Utc;
use registrar_aggregates::organization::{Authorization, Content, Details, Stamp, Tenancy, TenancyAmendment};
use registrar_aggregates::text;
use registrar_aggregates::user::Classification;
use registrar_aggregates::values::{OrganizationId, Problem};
use registrar_projections::query::{Direction, Query};
use registrar_projections::{OrganizationDocument, organizations};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// The organization in the path, if the caller may see it.
pub(super) async fn found(call: &Call) -> Result<Arc<OrganizationDocument>, ApiError> {
    let id = OrganizationId(call.path_id(NO_ORGANIZATION)?);
    seen(call, id).await?.ok_or(NO_ORGANIZATION)
}

/// An organization, if the caller may see it.
pub(super) async fn seen(call: &Call, id: OrganizationId) -> Result<Option<Arc<OrganizationDocument>>, ApiError> {
    if !call.holder.holds_everything() && !call.holder.is_member(id) {
        return Ok(None);
    }
    Ok(call.documents().find::<OrganizationDocument>(&id.to_string()).await?.value)
}

/// Organizations of the caller; all of them for who administers the system.
pub(super) async fn list(call: Call) -> Answered {
    let window = call.window()?;
    let arguments = &call.arguments;
    let mut query = Query::<OrganizationDocument>::sorted(&organizations::BY_CREATION, Direction::Ascending);
    if !call.holder.holds_everything() {
        let own = call.holder.organizations().map(|organization| organization.to_string());
        query = query.one_of(&organizations::ORGANIZATION_ID, own.collect());
    }
    if arguments.flag("filter[include-inactive]") != Some(true) {
        query = query.equal(&organizations::ACTIVE, "true");
    }
    if let Some(name) = arguments.text("filter[name]") {
        query = query.equal(&organizations::HANDLE, registrar_projections::collection::sortable(text::fold(name)));
    }
    if let Some(part) = arguments.text("filter[name][contains]") {
        query = query.search(&organizations::HANDLE_SEARCH, part);
    }
    let comparisons = call.comparisons("filter[cmp-last-modified-time]", false)?;
    query = compared(query, &organizations::UPDATED_AT, &comparisons);
    let page = call.documents().page(query.page(window.offset, window.limit)).await?.value;
    Ok(Reply::Page(page.items.iter().map(resource).collect(), window, page.total))
}

/// One organization.
pub(super) async fn get(call: Call) -> Answered {
    Ok(Reply::found(resource(&*found(&call).await?)))
}

/// A new organization with its system groups and roles, which follow from its registration.
pub(super) async fn create(mut call: Call) -> Answered {
    if !call.holder.holds_everything() {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    let text = |name: &str| attributes.text(name).map(str::to_owned);
    let handle = text("name").unwrap_or_default().trim().to_owned();
    if handle.is_empty() {
        return Err(attribute("name", Problem::Blank.to_string()));
    }
    let tenancy = Tenancy {
        handle: Some(handle.clone()),
        classification: attributes.word::<Classification>("classification"),
        provider_type: text("provider-type"),
        ..Tenancy::default()
    };
    let content = Content {
        name: text("display-name").filter(|name| !name.trim().is_empty()).unwrap_or(handle),
        details: Details { time_zone: text("timezone"), ..Details::default() },
        tenancy: Some(tenancy),
        ..Content::default()
    };
    let id = OrganizationId(Uuid::now_v7());
    call.remember(|outcome| created(outcome).map(Reply::created));
    let context = call.context.within(id);
    let outcome = directory::register(&call.app.node, &context, id, content, Stamp::at(Utc::now())).await;
    let outcome = outcome.map_err(DirectoryError::from)?;
    let resource = created(&outcome).ok_or_else(|| ApiError::internal("a registration left no document"))?;
    Ok(Reply::created(resource))
}

fn created(outcome: &Outcome) -> Option<Resource> {
    outcome.document::<OrganizationDocument>().map(resource)
}

/// Partial change.
pub(super) async fn update(mut call: Call) -> Answered {
    let organization = found(&call).await?;
    let id = organization.profile.id;
    if !call.holder.is_admin(id) {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    let reserved = ["classification", "authorization-type"].iter().any(|name| attributes.contains_key(*name));
    if reserved && !call.holder.holds_everything() {
        return Err(call.forbidden());
    }
    let theme_id = match attributes.get("theme-id") {
        Some(theme) if theme.is_null() => Some(None),
        // Themes cannot be made yet, so that there is none.
        Some(_) => return Err(attribute("theme-id", "names no theme")),
        None => None,
    };
    let text = |name: &str| attributes.text(name).map(str::to_owned);
    let amendment = TenancyAmendment {
        handle: text("name"),
        name: text("display-name"),
        time_zone: text("timezone"),
        authorization: attributes.word::<Authorization>("authorization-type"),
        classification: attributes.word::<Classification>("classification"),
        provider_type: text("provider-type"),
        theme_id,
        sign_in_url: None,
    };
    call.remember(|outcome| created(outcome).map(Reply::found));
    let outcome = directory::amend(&call.app.node, &call.context, id, amendment).await?;
    match created(&outcome) {
        Some(resource) => Ok(Reply::found(resource)),
        // Nothing was different. What was read before may be older than what the decision saw.
        None => Ok(Reply::found(resource(&*found(&call).await?))),
    }
}

/// An organization as it is shown.
pub(super) fn resource(organization: &OrganizationDocument) -> Resource {
    let tenancy = &organization.tenancy;
    let attributes = json!({
        "authorization-type": tenancy.authorization,
        "classification": tenancy.classification.unwrap_or(Classification::Customer),
        "display-name": organization.name,
        "is-active": organization.is_active(),
        "last-modified-time": times::write(organization.updated_at),
        "logo-ready-to-use": false,
        "name": organization.handle(),
        "provider-type": tenancy.provider_type,
        "theme-id": tenancy.theme_id,
        "timezone": organization.time_zone(),
    });
    Resource::new("organizations", organization.profile.id, attributes)
}
