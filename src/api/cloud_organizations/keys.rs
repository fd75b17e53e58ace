//! The five operations on the API keys of the organization.

use super::envelope::{self, request_id};
use super::guard::{Tenant, keyed};
use super::key_requests::{ApiKeyPatchRequest, ApiKeyPostRequest, CreateKey, PatchKey};
use super::key_responses::{
    ApiKey as Display, ApiKeyCreateResponse, ApiKeyListResponse, ApiKeyPostResponse, ApiKeyResponse, DoneResponse,
};
use super::parameters::{KeyPath, OrganizationPath};
use super::refusals::{BadRequest, Forbidden, InternalError, NotFound, TooManyRequests, Unauthorized};
use crate::api::AppState;
use crate::api::common::commit::Write;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::json::Body;
use crate::api::common::precondition::IfMatch;
use crate::api::common::refusal::not_committed;
use crate::api::common::{ApiError, Caller};
use crate::auth::Permission;
use crate::auth::api_keys::{self, Credentials, KeyError, KeyRequest};
use crate::committer::idempotency::Answer;
use crate::executor::{Outcome, RequestContext};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::api_key::{ApiKey, ApiKeyCommand, ApiKeyError};
use registrar_aggregates::values::ApiKeyId;
use registrar_projections::ApiKeyDocument;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

const TAG: &str = "Keys";
const NOT_FOUND: ApiError = ApiError::NotFound("API key not found");

/// The operations, each with its required permission.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(keyed(Permission::ApiKeysRead, routes!(list_api_keys)))
        .routes(keyed(Permission::ApiKeysWrite, routes!(create_api_key)))
        .routes(keyed(Permission::ApiKeysRead, routes!(get_api_key)))
        .routes(keyed(Permission::ApiKeysWrite, routes!(patch_api_key)))
        .routes(keyed(Permission::ApiKeysWrite, routes!(delete_api_key)))
}

/// Returns all keys of the organization, oldest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/keys",
    operation_id = "openapiKeyGetList",
    tag = TAG,
    summary = "List the keys of an organization",
    params(OrganizationPath),
    responses(
        (status = 200, description = "The keys.", body = ApiKeyListResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn list_api_keys(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
) -> Result<PositionedResponse<Answer>, ApiError> {
    let (position, keys) = api_keys::of_organization(&app.node, tenant.organization.id).await?;
    let keys: Vec<_> = keys.iter().map(Display::from).collect();
    Ok(PositionedResponse(position, envelope::answer(request_id(&caller), &keys, None)?))
}

/// Creates a key and returns its secret, this once. An organization has 100 keys at most. The calling key needs the
/// role ADMIN.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organizationId}/keys",
    operation_id = "openapiKeyCreate",
    tag = TAG,
    summary = "Create a key",
    params(OrganizationPath),
    request_body = ApiKeyPostRequest,
    responses(
        (status = 200, description = "The new key and its secret.", body = ApiKeyCreateResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn create_api_key(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    Body(CreateKey { name, roles, expires_at, enabled }): Body<CreateKey>,
) -> Result<Response, ApiError> {
    let credentials = Credentials::generate(ApiKeyId(Uuid::now_v7()));
    let request = KeyRequest { organization_id: tenant.organization.id, name, roles, enabled, expires_at };
    let create = async |context: &RequestContext| api_keys::create(&app.node, context, &request, &credentials).await;
    let (told, request_id) = (credentials.clone(), request_id(&caller).to_owned());
    let write = Write::answered_with(&caller.context, move |outcome| created(&request_id, &told, outcome));
    let committed = write.carry_out(create).await.map_err(|error| refusal(error, None))?;
    committed.response().ok_or_else(|| ApiError::internal("a creation left no document"))
}

/// Returns one key of the organization.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/keys/{keyId}",
    operation_id = "openapiKeyGet",
    tag = TAG,
    summary = "Read a key",
    params(OrganizationPath, KeyPath),
    responses(
        (status = 200, description = "The key.", body = ApiKeyResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn get_api_key(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    KeyPath(id): KeyPath,
) -> Result<PositionedResponse<Answer>, ApiError> {
    let (position, key) = find(&app, &tenant, id).await?;
    Ok(PositionedResponse(position, display(request_id(&caller), &key)?))
}

/// Changes the members sent, all of them or none, and returns the key as it is afterwards. A change counts from the
/// next request on. The calling key needs the role ADMIN.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organizationId}/keys/{keyId}",
    operation_id = "openapiKeyUpdate",
    tag = TAG,
    summary = "Change a key",
    params(OrganizationPath, KeyPath),
    request_body = ApiKeyPatchRequest,
    responses(
        (status = 200, description = "The key after the change.", body = ApiKeyResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn patch_api_key(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    KeyPath(id): KeyPath,
    if_match: IfMatch,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, key) = find(&app, &tenant, id).await?;
    let expected = if_match.expected(&*key)?;
    // The body is read last, so that an unknown key is reported first.
    let Body(PatchKey(amendment)) = Body::from_request(request, &()).await?;
    let command = ApiKeyCommand::Amend { amendment, now: Utc::now() };
    let request = request_id(&caller).to_owned();
    let write = Write::answered_with(&caller.context, move |outcome| changed(&request, outcome));
    let committed = write.execute::<ApiKey>(&app, &id.to_string(), command, expected).await;
    if let Some(response) = committed.map_err(|error| refusal(error.into(), expected))?.response() {
        return Ok(response);
    }
    // Nothing changed. The document read before may be older than the state of the decision, so it is read again.
    let (position, key) = find(&app, &tenant, id).await?;
    Ok(PositionedResponse(position, display(request_id(&caller), &key)?).into_response())
}

/// Deletes a key; it is refused from the next request on. The key that asks needs the role ADMIN and cannot delete
/// itself.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organizationId}/keys/{keyId}",
    operation_id = "openapiKeyDelete",
    tag = TAG,
    summary = "Delete a key",
    params(OrganizationPath, KeyPath),
    responses(
        (status = 200, description = "The key is gone.", body = DoneResponse),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooManyRequests,
        InternalError,
    )
)]
async fn delete_api_key(
    State(app): State<AppState>,
    caller: Caller,
    tenant: Tenant,
    KeyPath(id): KeyPath,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let (_, key) = find(&app, &tenant, id).await?;
    let expected = if_match.expected(&*key)?;
    let command = ApiKeyCommand::Delete { by: caller.principal.actor.id.clone() };
    let request_id = request_id(&caller).to_owned();
    let write = Write::answered_with(&caller.context, move |_| envelope::done(&request_id).ok());
    let committed = write.execute::<ApiKey>(&app, &id.to_string(), command, expected).await;
    let committed = committed.map_err(|error| refusal(error.into(), expected))?;
    committed.response().ok_or_else(|| ApiError::internal("a deletion has no answer"))
}

/// The key, if it belongs to the caller's organization. Keys of other organizations are not disclosed.
async fn find(app: &AppState, tenant: &Tenant, id: ApiKeyId) -> Result<(u64, Arc<ApiKeyDocument>), ApiError> {
    let found = app.node.documents.find::<ApiKeyDocument>(&id.to_string()).await?;
    let key = found.value.filter(|key| key.organization_id == tenant.organization.id);
    Ok((found.position, key.ok_or(NOT_FOUND)?))
}

fn created(request_id: &str, credentials: &Credentials, outcome: &Outcome) -> Option<Answer> {
    let key = ApiKeyPostResponse::new(outcome.document()?, credentials);
    envelope::answer(request_id, &key, None).ok()
}

fn changed(request_id: &str, outcome: &Outcome) -> Option<Answer> {
    display(request_id, outcome.document()?).ok()
}

fn display(request_id: &str, key: &ApiKeyDocument) -> Result<Answer, ApiError> {
    envelope::answer(request_id, &Display::from(key), Some(key.into()))
}

/// Maps a refusal of the key, or of the journal, to the client's error.
fn refusal(error: KeyError, expected: Option<u64>) -> ApiError {
    match error {
        KeyError::Refused(refused) => match refused {
            ApiKeyError::NotFound => NOT_FOUND,
            ApiKeyError::UnfitName(_) => ApiError::invalid(refused.to_string()),
            ApiKeyError::NoRole => ApiError::invalid("roles should not be empty"),
            ApiKeyError::PastExpiry => ApiError::invalid("expireAt must be in the future"),
            ApiKeyError::OwnDeletion => ApiError::invalid(refused.to_string()),
            ApiKeyError::AlreadyExists | ApiKeyError::NoSuchPlace => ApiError::Conflict(refused.to_string()),
        },
        KeyError::NoPlaceLeft => ApiError::invalid(error.to_string()),
        KeyError::Journal(error) => not_committed(error, expected),
    }
}
