//! The documented replacement and the operations beside it.

use super::parameters::{ListParameters, OrganizationPath, RemarkParameters, WantsRepresentation};
use super::refusals::{BadRequest, Conflict, Forbidden, NotFound, Unauthorized};
use super::requests::{RetireOrganization, Spelling, WriteOrganization};
use super::responses::{self, OrganizationWithParts, Organizations};
use super::schemas;
use crate::api::AppState;
use crate::api::common::commit::Write;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::guard::denied;
use crate::api::common::json::Body;
use crate::api::common::precondition::{IfMatch, entity_tag};
use crate::api::common::query::Parameters;
use crate::api::common::refusal::not_committed;
use crate::api::common::routes::guarded;
use crate::api::common::{ApiError, Caller};
use crate::auth::Permission;
use crate::committer::idempotency::Answer;
use crate::executor::{ExecuteError, Outcome, RequestContext};
use crate::processes::organizations;
use crate::security::{self, Event};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::organization::{Organization, OrganizationCommand, OrganizationError, Remark, Stamp};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::OrganizationDocument;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

const TAG: &str = "Organizations";
const NOT_FOUND: ApiError = ApiError::NotFound("Organization not found");

/// The operations, each with its required permission.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(guarded(Permission::OrganizationsWrite, routes!(create_organization)))
        .routes(guarded(Permission::OrganizationsRead, routes!(get_organization)))
        .routes(guarded(Permission::OrganizationsWrite, routes!(update_organization)))
        .routes(guarded(Permission::OrganizationsEnd, routes!(delete_organization)))
        .routes(guarded(Permission::OrganizationsEnd, routes!(retire_organization)))
        .routes(guarded(Permission::OrganizationsRead, routes!(list_organizations)))
}

/// Stores a new organization with its modes, addresses and extra values. `organization.id` becomes its identifier; without
/// one the server makes it up.
#[utoipa::path(
    post,
    path = "/ec-site-svc/rest/v1.0/organizations",
    operation_id = "createOrganization",
    tag = TAG,
    summary = "Register an organization",
    request_body = schemas::OrganizationModel,
    responses(
        (status = 201, description = "The stored organization.", body = schemas::OrganizationsSchema),
        BadRequest,
        Unauthorized,
        Forbidden,
        Conflict,
    )
)]
async fn create_organization(
    State(app): State<AppState>,
    caller: Caller,
    Body(request): Body<WriteOrganization>,
) -> Result<Response, ApiError> {
    // A caller narrowed to one organization cannot create another.
    if caller.principal.organization.is_some() {
        return Err(denied(Permission::OrganizationsWrite.name()));
    }
    let id = OrganizationId(request.id.unwrap_or_else(Uuid::now_v7));
    let request = request.about(Some(id));
    let stamp = stamp(&app, request.remark.clone());
    if !request.is_read() {
        return Err(request.refused(&Organization::Absent, &stamp));
    }
    let (context, spelling) = (context(&caller, id, &stamp), Spelling::of(&request));
    let register =
        async |context: &RequestContext| organizations::register(&app.node, context, id, request.content, stamp).await;
    let registered = Write::answered_with(&context, created).carry_out(register).await;
    let committed = registered.map_err(|error| refusal(error, None, &spelling))?;
    committed.response().ok_or_else(|| ApiError::internal("a registration left no document"))
}

/// Returns the current version of an organization with its modes, addresses and extra values.
#[utoipa::path(
    get,
    path = "/ec-site-svc/rest/v1.0/organizations/{id}",
    operation_id = "getOrganization",
    tag = TAG,
    summary = "Read one organization",
    params(OrganizationPath),
    responses(
        (status = 200, description = "The organization.", body = schemas::OrganizationWithPartsSchema),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
    )
)]
async fn get_organization(
    State(app): State<AppState>,
    caller: Caller,
    path: OrganizationPath,
) -> Result<Response, ApiError> {
    let id = path.id()?;
    let (position, document) = find(&app, &caller, id).await?;
    let answer = display(StatusCode::OK, &document, &OrganizationWithParts::from(&*document))?;
    Ok(PositionedResponse(position, answer).into_response())
}

/// Writes a new version of an existing organization with its modes, addresses and extra values. Elements left out of
/// the lists end, elements with a known id are changed, elements without an id are added.
#[utoipa::path(
    put,
    path = "/ec-site-svc/rest/v1.0/organizations/{id}",
    operation_id = "updateOrganization",
    tag = TAG,
    summary = "Replace an organization",
    params(OrganizationPath),
    request_body = schemas::OrganizationModel,
    responses(
        (status = 204, description = "The organization was updated.", body = schemas::OrganizationsSchema),
        (
            status = 200,
            description = "The organization was updated and is returned, because the request carried the header \
                           Prefer: return=representation.",
            body = schemas::OrganizationsSchema
        ),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
    )
)]
async fn update_organization(
    State(app): State<AppState>,
    caller: Caller,
    path: OrganizationPath,
    if_match: IfMatch,
    WantsRepresentation(shown): WantsRepresentation,
    Body(request): Body<WriteOrganization>,
) -> Result<Response, ApiError> {
    let request = request.about(path.0);
    let stamp = stamp(&app, request.remark.clone());
    let Some(id) = path.0 else {
        return Err(request.refused(&Organization::Absent, &stamp));
    };
    within_reach(&caller, id)?;
    if !request.is_read() {
        let (_, organization) = app.node.executor.state::<Organization>(&id.to_string()).await?;
        return Err(request.refused(&organization, &stamp));
    }
    let expected = expected(&app, id, &if_match).await?;
    let (context, spelling) = (context(&caller, id, &stamp), Spelling::of(&request));
    let may_end = caller.principal.may(Permission::OrganizationsEnd);
    let command = OrganizationCommand::Replace { content: Box::new(request.content), stamp, may_end };
    let write = Write::answered_with(&context, move |outcome| updated(outcome.document()?, shown).ok());
    let committed = write.execute::<Organization>(&app, &id.to_string(), command, expected).await;
    if let Some(response) = committed.map_err(|error| refusal(error, expected, &spelling))?.response() {
        return Ok(response);
    }
    // Nothing changed. The document read before may be older than the state of the decision, so it is read again.
    let (position, document) = find(&app, &caller, id).await?;
    Ok(PositionedResponse(position, updated(&document, shown)?).into_response())
}

/// Deletes an organization for good; its history stays. To end its part and keep it, retire it.
#[utoipa::path(
    delete,
    path = "/ec-site-svc/rest/v1.0/organizations/{id}",
    operation_id = "deleteOrganization",
    tag = TAG,
    summary = "Delete an organization",
    params(OrganizationPath, RemarkParameters),
    responses(
        (status = 204, description = "The organization is gone."),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
    )
)]
async fn delete_organization(
    State(app): State<AppState>,
    caller: Caller,
    path: OrganizationPath,
    if_match: IfMatch,
    Parameters(RemarkParameters(remark)): Parameters<RemarkParameters>,
) -> Result<Response, ApiError> {
    end(&app, &caller, &path, &if_match, remark, OrganizationCommand::Delete).await
}

/// Gives an organization the status Retired; doing it twice changes nothing.
#[utoipa::path(
    put,
    path = "/ec-site-svc/rest/v1.0/organizations/deleteOrganization/{id}",
    operation_id = "retireOrganization",
    tag = TAG,
    summary = "Retire an organization",
    params(OrganizationPath),
    request_body = schemas::RetireOrganizationDto,
    responses(
        (status = 204, description = "The organization is retired."),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
    )
)]
async fn retire_organization(
    State(app): State<AppState>,
    caller: Caller,
    path: OrganizationPath,
    if_match: IfMatch,
    Body(request): Body<RetireOrganization>,
) -> Result<Response, ApiError> {
    let RetireOrganization { remark, grounds } = request;
    end(&app, &caller, &path, &if_match, remark, |stamp| OrganizationCommand::Retire { grounds, stamp }).await
}

/// Returns organizations in the order of their names, narrowed by the filters that are given.
#[utoipa::path(
    get,
    path = "/ec-site-svc/rest/v2.0/organizations",
    operation_id = "listOrganizations",
    tag = TAG,
    summary = "List organizations",
    params(ListParameters),
    responses(
        (status = 200, description = "The organizations asked for.", body = schemas::SdfResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
    )
)]
async fn list_organizations(
    State(app): State<AppState>,
    caller: Caller,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<PositionedResponse<Json<Value>>, ApiError> {
    let query = parameters.query(caller.principal.organization.as_deref());
    let found = app.node.documents.page(query).await?;
    Ok(PositionedResponse(
        found.position,
        Json(responses::page(&found.value.items, found.value.total, parameters.offset)),
    ))
}

async fn end(
    app: &AppState,
    caller: &Caller,
    path: &OrganizationPath,
    if_match: &IfMatch,
    remark: Remark,
    command: impl FnOnce(Stamp) -> OrganizationCommand,
) -> Result<Response, ApiError> {
    let id = path.id()?;
    within_reach(caller, id)?;
    let expected = expected(app, id, if_match).await?;
    let stamp = stamp(app, remark);
    let write = Write::answered_with(&context(caller, id, &stamp), |_| Some(empty()));
    let committed = write.execute::<Organization>(app, &id.to_string(), command(stamp), expected).await;
    let committed = committed.map_err(|error| refusal(error, expected, &Spelling::default()))?;
    committed.response().ok_or_else(|| ApiError::internal("an ending has no answer"))
}

/// The version that the command must meet, if the caller set a precondition. The command itself reports an unknown
/// organization.
async fn expected(app: &AppState, id: OrganizationId, if_match: &IfMatch) -> Result<Option<u64>, ApiError> {
    if *if_match == IfMatch::Any {
        return Ok(None);
    }
    let document = app.node.documents.find::<OrganizationDocument>(&id.to_string()).await?.value.ok_or(NOT_FOUND)?;
    if_match.expected(&*document)
}

/// Callers narrowed to one organization do not learn whether another exists.
fn within_reach(caller: &Caller, id: OrganizationId) -> Result<(), ApiError> {
    if caller.principal.reaches(id) {
        return Ok(());
    }
    security::refused(Event::Unseen, "another organization");
    Err(NOT_FOUND)
}

async fn find(
    app: &AppState,
    caller: &Caller,
    id: OrganizationId,
) -> Result<(u64, Arc<OrganizationDocument>), ApiError> {
    within_reach(caller, id)?;
    let found = app.node.documents.find::<OrganizationDocument>(&id.to_string()).await?;
    Ok((found.position, found.value.ok_or(NOT_FOUND)?))
}

fn stamp(app: &AppState, remark: Remark) -> Stamp {
    Stamp { at: Utc::now(), remark, reason_needed: app.settings.reason_mandatory }
}

/// Context of a command: its organization, with the reason and comment of the whole.
fn context(caller: &Caller, id: OrganizationId, stamp: &Stamp) -> RequestContext {
    let mut context = caller.context.within(id);
    context.metadata.reason.clone_from(&stamp.remark.reason);
    context.metadata.comment.clone_from(&stamp.remark.comment);
    context
}

/// Maps a refusal of the organization, or of the journal, to the client's error.
fn refusal(error: ExecuteError<OrganizationError>, expected: Option<u64>, spelling: &Spelling) -> ApiError {
    match error {
        ExecuteError::Refused(refused) => match refused {
            OrganizationError::NotFound => NOT_FOUND,
            OrganizationError::Invalid(findings) => spelling.refused(&findings),
            OrganizationError::AlreadyRegistered => ApiError::ConflictAt {
                fields: vec!["organization.id".into()],
                detail: "An organization with this id is already registered",
            },
            OrganizationError::Superseded(fields) => {
                ApiError::ConflictAt { fields, detail: "The organization was changed in the meantime" }
            }
            OrganizationError::ActiveStudy => {
                ApiError::Conflict("The organization takes part in an active study".into())
            }
            OrganizationError::Retired => ApiError::Conflict("The organization is retired".into()),
            OrganizationError::EndNotAllowed => denied(Permission::OrganizationsEnd.name()),
        },
        ExecuteError::Journal(error) => not_committed(error, expected),
    }
}

fn created(outcome: &Outcome) -> Option<Answer> {
    let document: &OrganizationDocument = outcome.document()?;
    let mut answer = display(StatusCode::CREATED, document, &Organizations::from(document)).ok()?;
    let location = format!("/ec-site-svc/rest/v1.0/organizations/{}", responses::id(document.id.0));
    answer.headers.push((LOCATION.to_string(), location));
    Some(answer)
}

fn updated(document: &OrganizationDocument, shown: bool) -> Result<Answer, ApiError> {
    if shown {
        return display(StatusCode::OK, document, &Organizations::from(document));
    }
    let mut answer = empty();
    answer.headers.push((ETAG.to_string(), entity_tag(document)));
    Ok(answer)
}

fn empty() -> Answer {
    Answer { status: StatusCode::NO_CONTENT.as_u16(), headers: Vec::new(), body: String::new() }
}

fn display(status: StatusCode, document: &OrganizationDocument, body: &impl Serialize) -> Result<Answer, ApiError> {
    let body = serde_json::to_string(body).map_err(ApiError::internal)?;
    let headers =
        vec![(CONTENT_TYPE.to_string(), "application/json".to_owned()), (ETAG.to_string(), entity_tag(document))];
    Ok(Answer { status: status.as_u16(), headers, body })
}
