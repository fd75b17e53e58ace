//! The eight operations of the dialect.

use super::parameters::{AdminPath, ListParameters, NO_ADMIN};
use super::patch::PatchEcgAdmin;
use super::refusals::{BadRequest, Conflict, Forbidden, NotFound, Unauthorized};
use super::requests::{AddAccount, AddEcgAdmin, new_address, new_phone_number};
use super::responses::{BooleanResult, EcgAdminDisplayModel, PagedAuditTrails, PagedEcgAdmins};
use super::schemas::{AddEcgAdminDto, PatchEcgAdminRequest};
use super::trails::TrailParameters;
use crate::api::AppState;
use crate::api::common::commit::Write;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::json::Body;
use crate::api::common::precondition::{IfMatch, entity_tag};
use crate::api::common::query::Parameters;
use crate::api::common::refusal::{RefusalMessages, answer_to, not_committed};
use crate::api::common::routes::guarded;
use crate::api::common::{ApiError, Caller};
use crate::auth::{Permission, Permissions, passwords};
use crate::committer::idempotency::Answer;
use crate::executor::{ExecuteError, Outcome};
use crate::processes::passwords::{PasswordError, Rules, accept};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::Violation;
use registrar_aggregates::admin::{Account, Admin, AdminCommand, AdminError, Registration};
use registrar_aggregates::values::{AccountId, AdminId, PartyId, PersonId};
use registrar_projections::AdminDocument;
use registrar_projections::admins::{BY_NAME, SEARCH};
use registrar_projections::query::Query;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

const TAG: &str = "ECG Admins";

/// The operations, each with its required permission.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(guarded(Permission::EcgAdminsRead, routes!(list_ecg_admins)))
        .routes(guarded(Permission::EcgAdminsCreate, routes!(create_ecg_admin)))
        .routes(guarded(Permission::EcgAdminsAudit, routes!(list_all_ecg_admin_audit_trails)))
        .routes(guarded(Permission::EcgAdminsRead, routes!(get_ecg_admin)))
        .routes(guarded(Permission::EcgAdminsUpdate, routes!(patch_ecg_admin)))
        .routes(guarded(Permission::EcgAdminsUpdate, routes!(activate_ecg_admin)))
        .routes(guarded(Permission::EcgAdminsUpdate, routes!(deactivate_ecg_admin)))
        .routes(guarded(Permission::EcgAdminsAudit, routes!(list_ecg_admin_audit_trails)))
}

/// Returns the admins page by page, active and inactive alike, optionally narrowed by a search text.
#[utoipa::path(
    get,
    path = "/api/ecg-admins",
    operation_id = "listEcgAdmins",
    tag = TAG,
    summary = "List ECG Admins",
    params(ListParameters),
    responses((status = 200, description = "The page asked for.", body = PagedEcgAdmins), BadRequest, Unauthorized, Forbidden)
)]
async fn list_ecg_admins(
    State(app): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<PositionedResponse<Json<PagedEcgAdmins>>, ApiError> {
    let ListParameters { page, search_term } = parameters;
    let query = Query::<AdminDocument>::sorted(&BY_NAME, page.direction)
        .search(&SEARCH, search_term.as_deref().unwrap_or_default())
        .page(page.records_skipped(), page.take);
    let found = app.node.documents.page(query).await?;
    let admins = found.value.items.iter().map(EcgAdminDisplayModel::from).collect();
    Ok(PositionedResponse(found.position, Json(PagedEcgAdmins::new(admins, page, found.value.total))))
}

/// Stores the person, the addresses, the telephone numbers, the grants and, when asked for, the sign-in account, in one
/// step.
#[utoipa::path(
    post,
    path = "/api/ecg-admins",
    operation_id = "createEcgAdmin",
    tag = TAG,
    summary = "Register an ECG Admin",
    request_body = AddEcgAdminDto,
    responses(
        (status = 201, description = "The stored admin.", body = EcgAdminDisplayModel),
        BadRequest,
        Unauthorized,
        Forbidden,
        Conflict,
    )
)]
async fn create_ecg_admin(
    State(app): State<AppState>,
    caller: Caller,
    Body(request): Body<AddEcgAdmin>,
) -> Result<Response, ApiError> {
    let registration = registration(&app, request).await?;
    let id = registration.id.to_string();
    let command = AdminCommand::Register(Box::new(registration), caller.principal.granter());
    let write = Write::answered_with(&caller.context, created);
    let committed = write.execute::<Admin>(&app, &id, command, None).await.map_err(|error| refusal(error, None))?;
    committed.response().ok_or_else(|| ApiError::internal("a registration left no document"))
}

/// Returns the audit entries of every admin page by page, filtered by action and by time.
#[utoipa::path(
    get,
    path = "/api/ecg-admins/audit-trails",
    operation_id = "listAllEcgAdminAuditTrails",
    tag = TAG,
    summary = "Audit trail of all ECG Admins",
    params(TrailParameters),
    responses((status = 200, description = "The page asked for.", body = PagedAuditTrails), BadRequest, Unauthorized, Forbidden)
)]
async fn list_all_ecg_admin_audit_trails(
    State(app): State<AppState>,
    caller: Caller,
    Parameters(parameters): Parameters<TrailParameters>,
) -> Result<PositionedResponse<Json<PagedAuditTrails>>, ApiError> {
    trail(&app, &caller, &parameters, None).await
}

/// Returns the admin behind a person, active or not.
#[utoipa::path(
    get,
    path = "/api/ecg-admins/{personId}",
    operation_id = "getEcgAdmin",
    tag = TAG,
    summary = "Read one ECG Admin",
    params(AdminPath),
    responses((status = 200, description = "The admin.", body = EcgAdminDisplayModel), Unauthorized, Forbidden, NotFound)
)]
async fn get_ecg_admin(caller: Caller, path: AdminPath) -> Result<Response, ApiError> {
    let (position, admin) = path.find(&caller.documents).await?;
    Ok(PositionedResponse(position, display(StatusCode::OK, &admin)?).into_response())
}

/// Applies the steps in order on a copy, checks the result as a whole and stores it, or changes nothing.
#[utoipa::path(
    patch,
    path = "/api/ecg-admins/{personId}",
    operation_id = "patchEcgAdmin",
    tag = TAG,
    summary = "Change parts of an ECG Admin",
    params(AdminPath),
    request_body(content((PatchEcgAdminRequest = "application/json"), (PatchEcgAdminRequest = "application/json-patch+json"))),
    responses(
        (status = 200, description = "The admin as it is now.", body = EcgAdminDisplayModel),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
    )
)]
async fn patch_ecg_admin(
    State(app): State<AppState>,
    caller: Caller,
    path: AdminPath,
    if_match: IfMatch,
    Body(PatchEcgAdmin(changes)): Body<PatchEcgAdmin>,
) -> Result<Response, ApiError> {
    let (_, admin) = path.find(&caller.documents).await?;
    let expected = if_match.expected(&*admin)?;
    let command = AdminCommand::Amend(changes, caller.principal.granter());
    let id = admin.id.to_string();
    let write = Write::answered_with(&caller.context, amended);
    let committed = write.execute::<Admin>(&app, &id, command, expected).await;
    if let Some(response) = committed.map_err(|error| refusal(error, expected))?.response() {
        return Ok(response);
    }
    // Nothing changed. The document read before may be older than the state of the decision, so it is read again.
    let (position, admin) = path.find(&app.node.documents).await?;
    Ok(PositionedResponse(position, display(StatusCode::OK, &admin)?).into_response())
}

/// Puts the admin in force; doing it twice changes nothing and still answers true.
#[utoipa::path(
    post,
    path = "/api/ecg-admins/{personId}/activate",
    operation_id = "activateEcgAdmin",
    tag = TAG,
    summary = "Activate an ECG Admin",
    params(AdminPath),
    responses((status = 200, description = "The admin is active.", body = BooleanResult), Unauthorized, Forbidden, NotFound)
)]
async fn activate_ecg_admin(
    State(app): State<AppState>,
    caller: Caller,
    path: AdminPath,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    switch(&app, &caller, &path, &if_match, AdminCommand::Activate(caller.principal.granter())).await
}

/// Puts the admin out of force and ends its sign-in; doing it twice changes nothing and still answers true. Callers may
/// not deactivate themselves.
#[utoipa::path(
    post,
    path = "/api/ecg-admins/{personId}/deactivate",
    operation_id = "deactivateEcgAdmin",
    tag = TAG,
    summary = "Deactivate an ECG Admin",
    params(AdminPath),
    responses(
        (status = 200, description = "The admin is inactive.", body = BooleanResult),
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
    )
)]
async fn deactivate_ecg_admin(
    State(app): State<AppState>,
    caller: Caller,
    path: AdminPath,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let command = AdminCommand::Deactivate(caller.principal.granter());
    switch(&app, &caller, &path, &if_match, command).await
}

/// Returns the audit entries of one admin: its account, person, party, addresses and telephone numbers, those removed
/// since included.
#[utoipa::path(
    get,
    path = "/api/ecg-admins/{personId}/audit-trails",
    operation_id = "listEcgAdminAuditTrails",
    tag = TAG,
    summary = "Audit trail of one ECG Admin",
    params(AdminPath, TrailParameters),
    responses(
        (status = 200, description = "The page asked for.", body = PagedAuditTrails),
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
    )
)]
async fn list_ecg_admin_audit_trails(
    State(app): State<AppState>,
    caller: Caller,
    path: AdminPath,
    Parameters(parameters): Parameters<TrailParameters>,
) -> Result<PositionedResponse<Json<PagedAuditTrails>>, ApiError> {
    let (_, admin) = path.find(&caller.documents).await?;
    trail(&app, &caller, &parameters, Some(&admin.id.to_string())).await
}

/// Records the reading, then reads the trail.
async fn trail(
    app: &AppState,
    caller: &Caller,
    parameters: &TrailParameters,
    admin_id: Option<&str>,
) -> Result<PositionedResponse<Json<PagedAuditTrails>>, ApiError> {
    let reading = parameters.reading(admin_id);
    app.node.executor.record(&caller.context, &caller.principal.actor.id, vec![reading]).await?;
    let query = parameters.query(admin_id, Utc::now(), app.settings.calendar);
    let found = app.node.documents.page(query).await?;
    let entries = found.value.items.into_iter().map(Into::into).collect();
    Ok(PositionedResponse(found.position, Json(PagedAuditTrails::new(entries, parameters.page, found.value.total))))
}

async fn switch(
    app: &AppState,
    caller: &Caller,
    path: &AdminPath,
    if_match: &IfMatch,
    command: AdminCommand,
) -> Result<Response, ApiError> {
    let (_, admin) = path.find(&caller.documents).await?;
    let expected = if_match.expected(&*admin)?;
    let write = Write::answered_with(&caller.context, |_| switched().ok());
    let committed = write.execute::<Admin>(app, &admin.id.to_string(), command, expected).await;
    let committed = committed.map_err(|error| refusal(error, expected))?;
    committed.response().ok_or_else(|| ApiError::internal("a switch has no answer"))
}

async fn registration(app: &AppState, request: AddEcgAdmin) -> Result<Registration, ApiError> {
    let account = match request.account {
        Some(account) => {
            let permissions = Permissions::granted(&request.policies, &request.custom_permissions);
            let names = [request.person.first_name.as_str(), request.person.last_name.as_str()];
            let rules = Rules::of_admin(permissions, names, account.email.as_str());
            Some(open_account(app, account, rules).await?)
        }
        None => None,
    };
    Ok(Registration {
        id: AdminId(Uuid::now_v7()),
        person_id: PersonId(Uuid::now_v7()),
        party_id: PartyId(Uuid::now_v7()),
        policies: request.policies,
        custom_permissions: request.custom_permissions,
        person: request.person,
        legacy_identifier: request.legacy_identifier,
        addresses: request.addresses.into_iter().map(new_address).collect(),
        phone_numbers: request.phone_numbers.into_iter().map(new_phone_number).collect(),
        account,
    })
}

async fn open_account(app: &AppState, account: AddAccount, rules: Rules) -> Result<Account, ApiError> {
    let password = account.password.unwrap_or_else(passwords::generate);
    let hash = accept(&app.passwords, app.settings.pwned.as_ref(), password, rules).await;
    let password_hash = hash.map_err(|error| match error {
        PasswordError::Weak(weak) => ApiError::invalid(format!("account.password {weak}")),
        PasswordError::Busy(busy) => busy.into(),
        PasswordError::NotLookedUp => ApiError::Unavailable(None),
    })?;
    let password_expires_at = Some(Utc::now() + app.settings.first_password_life.0);
    Ok(Account { id: AccountId(Uuid::now_v7()), email: account.email, password_hash, password_expires_at })
}

/// Maps a refusal of the admin, or of the journal, to the client's error.
fn refusal(error: ExecuteError<AdminError>, expected: Option<u64>) -> ApiError {
    match error {
        ExecuteError::Refused(refused) => answer_to(&refused, &EcgAdminMessages),
        ExecuteError::Journal(error) => not_committed(error, expected),
    }
}

/// Messages of this dialect.
struct EcgAdminMessages;

impl RefusalMessages<AdminError> for EcgAdminMessages {
    fn missing(&self, _: &AdminError) -> Option<&'static str> {
        Some(NO_ADMIN)
    }

    fn invalid(&self, refusal: &AdminError, violations: &[Violation]) -> ApiError {
        let finding = |Violation { field, detail }: &Violation| match refusal {
            AdminError::AmendmentRefused(_) => format!("operations{field}: {detail}"),
            _ => format!("{field} {detail}"),
        };
        ApiError::Invalid(violations.iter().map(finding).collect())
    }
}

fn created(outcome: &Outcome) -> Option<Answer> {
    display(StatusCode::CREATED, outcome.document()?).ok()
}

fn amended(outcome: &Outcome) -> Option<Answer> {
    display(StatusCode::OK, outcome.document()?).ok()
}

fn switched() -> Result<Answer, ApiError> {
    answer(StatusCode::OK, &BooleanResult { value: true })
}

/// Response with an admin: with its entity tag, and with its location if it is new.
fn display(status: StatusCode, admin: &AdminDocument) -> Result<Answer, ApiError> {
    let mut answer = answer(status, &EcgAdminDisplayModel::from(admin))?;
    answer.headers.push((ETAG.to_string(), entity_tag(admin)));
    if status == StatusCode::CREATED {
        answer.headers.push((LOCATION.to_string(), format!("/api/ecg-admins/{}", admin.person_id)));
    }
    Ok(answer)
}

fn answer(status: StatusCode, body: &impl Serialize) -> Result<Answer, ApiError> {
    let body = serde_json::to_string(body).map_err(ApiError::internal)?;
    let headers = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
    Ok(Answer { status: status.as_u16(), headers, body })
}
