//! Short links of organizations, kept by their admins and by programs. [`crate::api::redirects`] follows them.

use super::call::{Attributes, Call, HandlerResult, Parameters, Parsed, QueryExt, nullable};
use super::documents::{Reply, Resource};
use super::times;
use crate::access::resource::OrganizationAct;
use crate::api::common::error::Source;
use crate::api::redirects;
use crate::processes::DirectoryError;
use crate::processes::url_shorteners::{self, LinkRef};
use chrono::{DateTime, Utc};
use registrar_aggregates::url_shortener::{Amendment, Limits, NewLink};
use registrar_aggregates::values::{OrganizationId, UrlShortenerId};
use registrar_projections::url_shorteners::{BY_CREATION, CODE, ORGANIZATION_ID, UrlShortenerDocument};
use registrar_projections::{Direction, OrganizationDocument, Query};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Filters {
    code: Option<String>,
    organization_id: Option<OrganizationId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Creation {
    organization_id: OrganizationId,
    netloc: String,
    full_path: String,
    expires_at: Option<Parsed<DateTime<Utc>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    netloc: Option<String>,
    full_path: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<Parsed<DateTime<Utc>>>>,
}

/// Links of the organization in the query, else all that the caller keeps.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<Filters>) -> HandlerResult {
    let query = Query::<UrlShortenerDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .when(filters.code, |query, code| query.equal(&CODE, code));
    let query = match filters.organization_id {
        Some(id) => {
            let found = call.rightful::<OrganizationDocument>(&id.to_string(), OrganizationAct::KeepLinks).await?;
            let Some(found) = found else { return call.nothing() };
            query.equal(&ORGANIZATION_ID, found.id.to_string())
        }
        None => {
            call.require(call.holder.is_admin_anywhere() || call.holder.is_service())?;
            call.access().only_url_shorteners(query, &call.holder).await?
        }
    };
    call.list(query, renderer(&call)).await
}

pub(super) async fn create(call: Call, Attributes(creation): Attributes<Creation>) -> HandlerResult {
    let at = Source::attribute("organization-id");
    let (owner, act) = (creation.organization_id, OrganizationAct::KeepLinks);
    let organization_id = call.named::<OrganizationDocument>(at, owner, act).await?.id;
    let Creation { netloc, full_path, expires_at, .. } = creation;
    let (id, expires_at) = (UrlShortenerId(Uuid::now_v7()), expires_at.map(|Parsed(end)| end));
    let new = NewLink { id, organization_id, netloc, full_path, expires_at };
    let limits = limits(&call);
    call.commit_document::<UrlShortenerDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        renderer(&call),
        |node, context| url_shorteners::create(node, context, new, limits),
    )
    .await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(renderer(&call)(&*call.load::<UrlShortenerDocument>(()).await?)))
}

pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let entry = call.load::<UrlShortenerDocument>(()).await?;
    let expected = call.expected(&*entry)?;
    let Changes { netloc, full_path, expires_at } = changes;
    let expires_at = expires_at.map(|end| end.map(|Parsed(end)| end));
    let amendment = Amendment { netloc, full_path, expires_at };
    let (link, limits) = (LinkRef { organization: entry.link.organization_id, id: entry.id }, limits(&call));
    call.commit_document::<UrlShortenerDocument, DirectoryError, _>(
        entry.id.to_string(),
        Reply::found,
        renderer(&call),
        |node, context| url_shorteners::amend(node, context, link, amendment, limits, expected),
    )
    .await
}

fn limits(call: &Call) -> Limits {
    Limits { hosts: call.app.settings.link_hosts.clone(), now: Utc::now() }
}

/// Renders links with the addresses of this server.
fn renderer(call: &Call) -> impl Fn(&UrlShortenerDocument) -> Resource + Clone + Send + Sync + use<> {
    let public_url = call.app.authenticator.public_url().to_owned();
    move |entry: &UrlShortenerDocument| {
        let link = &entry.link;
        let attributes = json!({
            "code": link.code,
            "created-at": times::write(entry.created_at),
            "expires-at": link.expires_at.map(times::write),
            "full-path": link.target.full_path,
            "netloc": link.target.netloc,
            "organization-id": link.organization_id,
            "redirect-count": entry.visits,
            "redirect-url": link.target.url(),
            "short-url": format!("{public_url}{}", redirects::path(&link.code)),
        });
        Resource::new("url-shorteners", entry.id, attributes).at(entry)
    }
}
