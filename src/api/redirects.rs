//! Redirects of short links, for everybody. Links are created and amended in the identity dialect.

use crate::access::resource::Guarded;
use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::routes::public;
use crate::journal::JournalResult;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::url_shortener::ShortCode;
use registrar_projections::OrganizationDocument;
use registrar_projections::url_shorteners::{CODE, UrlShortenerDocument};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TAG: &str = "Short links";
/// No such code, or one that leads nowhere any more.
const NO_LINK: ApiError = ApiError::NotFound(UrlShortenerDocument::NOT_FOUND);
const EXPIRED: ApiError =
    ApiError::Refused { status: StatusCode::GONE, code: "expired", detail: "the short link has expired", meta: None };

/// The operation, public: links are printed in letters and messages.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(public(routes!(follow_short_link)))
}

/// Path at which a code is followed.
#[must_use]
pub fn path(code: &ShortCode) -> String {
    format!("/s/{code}")
}

/// Leads to the target of a short link. Visits are counted, and shown within seconds; HEAD is no visit.
#[utoipa::path(get, path = "/s/{code}", operation_id = "followShortLink", tag = TAG,
    params(("code" = String, Path, description = "Code of the link; letter case matters.")),
    responses(
        (status = 302, description = "The target is in Location."),
        (status = 404, description = "There is no such link."),
        (status = 410, description = "The link has expired."),
    ))]
async fn follow_short_link(
    State(app): State<AppState>,
    method: Method,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let code = path.ok().and_then(|Path(code)| ShortCode::parse(&code)).ok_or(NO_LINK)?;
    let entry = find(&app, &code).await?.ok_or(NO_LINK)?;
    if entry.link.is_expired(Utc::now()) {
        return Err(EXPIRED);
    }
    if method != Method::HEAD {
        app.visits.count(&entry);
    }
    Ok((StatusCode::FOUND, [(LOCATION, entry.link.target.url())]).into_response())
}

/// The link with a code. It is unknown if its organization was deleted, or if its host is no longer listed: a host that
/// the operator has given up may belong to somebody else.
async fn find(app: &AppState, code: &ShortCode) -> JournalResult<Option<Arc<UrlShortenerDocument>>> {
    // Asks for the end of the journal once.
    let documents = app.node.documents.of_now();
    let found = documents.find_by::<UrlShortenerDocument>(&CODE, code.as_str()).await?.value;
    let hosts = &app.settings.link_hosts;
    let Some(entry) = found.filter(|entry| hosts.contains(&entry.link.target.netloc)) else { return Ok(None) };
    let organization = entry.link.organization_id.to_string();
    Ok(documents.find::<OrganizationDocument>(&organization).await?.value.map(|_| entry))
}
