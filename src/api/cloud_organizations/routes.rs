//! The five operations on the organization and its activities.

use super::activities::{self, Log};
use super::envelope::{self, request_id};
use super::guard::{Tenant, keyed};
use super::parameters::{ActivityPath, OrganizationPath, Period};
use super::refusals::{BadRequest, Forbidden, InternalError, NotFound, TooManyRequests, Unauthorized};
use super::requests::{OrganizationPatchRequest, PatchOrganization};
use super::responses::{
    ActivityListResponse, ActivityResponse, Organization, OrganizationListResponse, OrganizationResponse,
};
use crate::api::AppState;
use crate::api::common::commit::Write;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::guard::denied;
use crate::api::common::json::Body;
use crate::api::common::precondition::IfMatch;
use crate::api::common::query::Parameters;
use crate::api::common::refusal::not_committed;
use crate::api::common::{ApiError, Caller};
use crate::auth::Permission;
use crate::committer::idempotency::Answer;
use crate::executor::{ExecuteError, Outcome};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::organization::{self, OrganizationCommand, OrganizationError, Stamp};
use registrar_projections::OrganizationDocument;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TAG: &str = "Organization";

/// The operations, each with its required permission.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(keyed(Permission::OrganizationsRead, routes!(list_organizations)))
        .routes(keyed(Permission::OrganizationsRead, routes!(get_organization)))
        .routes(keyed(Permission::OrganizationsWrite, routes!(patch_organization)))
        .routes(keyed(Permission::OrganizationsAudit, routes!(list_activities)))
        .routes(keyed(Permission::OrganizationsAudit, routes!(get_activity)))
}

/// Returns a list with exactly one entry, the organization the calling key belongs to.
#[utoipa::path(
    get,
    path = "/v1/organizations",
    operation_id = "organizationGetList",
    tag = TAG,
    summary = "List the organizations of the key",
    responses(
        (status = 200, description = "The list.", body = OrganizationListResponse),
        Unauthorized,
        Forbidden,
        TooManyRequests,
        InternalError,
    )
)]
async fn list_organizations(caller: Caller, tenant: Tenant) -> Result<PositionedResponse<Answer>, ApiError> {
    let list = [Organization::from(&*tenant.organization)];
    Ok(PositionedResponse(tenant.position, envelope::answer(request_id(&caller), &list, None)?))
}

/// Returns the organization, provided the calling key belongs to it.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}",
    operation_id = "organizationGet",
    tag = TAG,
    summary = "Read an organization",
    params(OrganizationPath),
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn get_organization(caller: Caller, tenant: Tenant) -> Result<PositionedResponse<Answer>, ApiError> {
    Ok(PositionedResponse(tenant.position, display(request_id(&caller), &tenant.organization)?))
}

/// Changes the members sent and returns the organization as it is afterwards. The key needs the role ADMIN.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organizationId}",
    operation_id = "organizationUpdate",
    tag = TAG,
    summary = "Change an organization",
    params(OrganizationPath),
    request_body = OrganizationPatchRequest,
    responses(
        (status = 200, description = "The organization after the change.", body = OrganizationResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn patch_organization(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    if_match: IfMatch,
    Body(PatchOrganization { name }): Body<PatchOrganization>,
) -> Result<Response, ApiError> {
    let expected = if_match.expected(&*tenant.organization)?;
    let Some(name) = name else { return Ok(get_organization(caller, tenant).await?.into_response()) };
    let id = tenant.organization.id.to_string();
    let command = OrganizationCommand::Rename { name, stamp: Stamp::at(Utc::now()) };
    let request = request_id(&caller).to_owned();
    let write = Write::answered_with(&caller.context, move |outcome| changed(&request, outcome));
    let committed = write.execute::<organization::Organization>(&app, &id, command, expected).await;
    if let Some(response) = committed.map_err(|error| refusal(error, expected))?.response() {
        return Ok(response);
    }
    // Nothing changed. The document read before may be older than the state of the decision, so it is read again.
    let found = app.node.documents.find::<OrganizationDocument>(&id).await?;
    let organization = found.value.ok_or(ApiError::NotFound("organization not found"))?;
    Ok(PositionedResponse(found.position, display(request_id(&caller), &organization)?).into_response())
}

/// Returns the whole activity log of the organization, newest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/activities",
    operation_id = "activityGetList",
    tag = TAG,
    summary = "List the activities of an organization",
    params(OrganizationPath, Period),
    responses(
        (status = 200, description = "The activities.", body = ActivityListResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn list_activities(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    Parameters(period): Parameters<Period>,
) -> Result<Response, ApiError> {
    let log = Log::new(Arc::clone(&app.node), tenant.organization.id, period);
    let (position, body) = log.body(request_id(&caller)).await?;
    Ok(PositionedResponse(position, ([(CONTENT_TYPE, "application/json")], body)).into_response())
}

/// Returns one entry of the organization's activity log.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/activities/{activityId}",
    operation_id = "activityGet",
    tag = TAG,
    summary = "Read one activity",
    params(OrganizationPath, ActivityPath),
    responses(
        (status = 200, description = "The activity.", body = ActivityResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn get_activity(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    ActivityPath(id): ActivityPath,
) -> Result<PositionedResponse<Answer>, ApiError> {
    let (position, activity) = activities::find(&app.node, tenant.organization.id, &id).await?;
    Ok(PositionedResponse(position, envelope::answer(request_id(&caller), &activity, None)?))
}

fn changed(request_id: &str, outcome: &Outcome) -> Option<Answer> {
    display(request_id, outcome.document()?).ok()
}

fn display(request_id: &str, organization: &OrganizationDocument) -> Result<Answer, ApiError> {
    envelope::answer(request_id, &Organization::from(organization), Some(organization.into()))
}

/// Maps a refusal of the organization, or of the journal, to the client's error.
fn refusal(error: ExecuteError<OrganizationError>, expected: Option<u64>) -> ApiError {
    match error {
        ExecuteError::Refused(refused) => match refused {
            OrganizationError::NotFound => ApiError::NotFound("organization not found"),
            OrganizationError::Invalid(findings) => {
                ApiError::Invalid(findings.iter().map(|finding| format!("name {}", finding.problem)).collect())
            }
            OrganizationError::AlreadyRegistered
            | OrganizationError::Superseded(_)
            | OrganizationError::ActiveStudy
            | OrganizationError::Retired => ApiError::Conflict(refused.to_string()),
            OrganizationError::EndNotAllowed => denied(Permission::OrganizationsEnd.name()),
        },
        ExecuteError::Journal(error) => not_committed(error, expected),
    }
}
