//! Organizations as tenants.

use super::call::{
    Attributes, Call, HandlerResult, Parameters, Parsed, QueryExt, StrictComparison, compared, nullable,
};
use super::documents::{Reply, Resource};
use super::refusals::attribute;
use super::times;
use crate::access::resource::{CatalogueAct, OrganizationAct};
use crate::api::common::error::Source;
use crate::processes::{DirectoryError, organizations as processes};
use chrono::Utc;
use registrar_aggregates::organization::{Authorization, Content, Details, Stamp, Tenancy, TenancyAmendment};
use registrar_aggregates::user::Classification;
use registrar_aggregates::values::{OrganizationId, Problem, ThemeId};
use registrar_projections::query::{Direction, Query};
use registrar_projections::themes::ThemeDocument;
use registrar_projections::{OrganizationDocument, organizations};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
pub(super) struct OrganizationFilters {
    #[serde(rename = "filter[include-inactive]")]
    include_inactive: bool,
    #[serde(rename = "filter[name]")]
    name: Option<String>,
    #[serde(rename = "filter[name][contains]")]
    part: Option<String>,
    #[serde(default, rename = "filter[cmp-last-modified-time]")]
    modified: Vec<Parsed<StrictComparison>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewOrganization {
    name: String,
    display_name: Option<String>,
    classification: Option<Classification>,
    provider_type: Option<String>,
    timezone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    name: Option<String>,
    display_name: Option<String>,
    timezone: Option<String>,
    authorization_type: Option<Authorization>,
    classification: Option<Classification>,
    provider_type: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    theme_id: Option<Option<ThemeId>>,
}

/// Organizations of the caller; all of them for callers who see every user.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<OrganizationFilters>) -> HandlerResult {
    let mut query = Query::<OrganizationDocument>::sorted(&organizations::BY_CREATION, Direction::Ascending)
        .when((!filters.include_inactive).then_some("true"), |query, flag| query.equal(&organizations::ACTIVE, flag))
        .when(filters.name, |query, name| query.equal(&organizations::HANDLE, organizations::text_key(&name)))
        .when(filters.part, |query, part| query.search(&organizations::HANDLE_SEARCH, &part));
    if !call.holder.sees_everybody() {
        let own = call.holder.organizations().map(|organization| organization.to_string());
        query = query.one_of(&organizations::ORGANIZATION_ID, own.collect());
    }
    call.list(compared(query, &organizations::UPDATED_AT, filters.modified), resource).await
}

/// Answers with one organization.
pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<OrganizationDocument>(OrganizationAct::See).await?)))
}

/// Creates an organization; its system groups and roles follow from its registration.
pub(super) async fn create(call: Call, Attributes(new): Attributes<NewOrganization>) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let handle = new.name.trim().to_owned();
    if handle.is_empty() {
        return Err(attribute("name", Problem::Blank.to_string()));
    }
    let tenancy = Tenancy {
        handle: Some(handle.clone()),
        classification: new.classification,
        provider_type: new.provider_type,
        ..Tenancy::default()
    };
    let content = Content {
        name: new.display_name.filter(|name| !name.trim().is_empty()).unwrap_or(handle),
        details: Details { time_zone: new.timezone, ..Details::default() },
        tenancy: Some(tenancy),
        ..Content::default()
    };
    let id = OrganizationId(Uuid::now_v7());
    call.commit_document::<OrganizationDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        resource,
        |node, context| async move {
            Ok(processes::register(node, &context.within(id), id, content, Stamp::at(Utc::now())).await?)
        },
    )
    .await
}

/// Changes the attributes that were sent.
pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let organization = call.load::<OrganizationDocument>(OrganizationAct::Administer).await?;
    let reserved = changes.classification.is_some() || changes.authorization_type.is_some();
    call.require(!reserved || call.may(&*organization, OrganizationAct::Govern).await?)?;
    if let Some(Some(theme)) = changes.theme_id {
        // Themes are never removed, so that one which exists now exists at the commit.
        let at = Source::attribute("theme-id");
        call.named::<ThemeDocument>(at, theme, CatalogueAct::See).await?;
    }
    let amendment = TenancyAmendment {
        handle: changes.name,
        name: changes.display_name,
        time_zone: changes.timezone,
        authorization: changes.authorization_type,
        classification: changes.classification,
        provider_type: changes.provider_type,
        theme_id: changes.theme_id,
        sign_in_url: None,
    };
    let (id, expected) = (organization.id, call.expected(&*organization)?);
    call.commit_document::<OrganizationDocument, DirectoryError, _>(
        id.to_string(),
        Reply::found,
        resource,
        |node, context| processes::amend(node, context, id, amendment, expected),
    )
    .await
}

/// The JSON:API resource of an organization.
fn resource(organization: &OrganizationDocument) -> Resource {
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
    Resource::new("organizations", organization.id, attributes).at(organization)
}
