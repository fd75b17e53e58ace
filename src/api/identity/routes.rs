//! Routes of the offered operations: published identifier, gate and handler. Paths, parameters and bodies come from the
//! contract.

use super::call::{Call, Handler, HandlerResult};
use super::contract::{CONTRACT, Operation};
use super::{
    access, activities, checkins, features, group_people, groups, individuals, memberships, organizations, passwords,
    program_tokens, roles, sessions, tasks, totp, users,
};
use crate::access::Holder;
use crate::api::AppState;
use crate::api::common::boundary::RequestFacts;
use crate::api::common::{ApiError, freshness, guard, idempotency};
use crate::auth::Principal;
use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use futures::future::BoxFuture;
use registrar_aggregates::user::SystemRole;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Coarse access to an operation; the handler checks the rights on its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Public, without authentication.
    Public,
    /// Any authenticated caller.
    Session,
    /// Admins and service accounts.
    Admin,
}

impl Audience {
    /// Name in the OpenAPI document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Audience::Public => "public",
            Audience::Session => "identity.session",
            Audience::Admin => "identity.administration",
        }
    }

    fn admits(self, holder: &Holder) -> bool {
        match self {
            Audience::Public | Audience::Session => true,
            Audience::Admin => {
                holder.is_admin_anywhere()
                    || holder.has_system_role(SystemRole::Service)
                    || holder.has_system_role(SystemRole::Support)
            }
        }
    }
}

type HandlerFn = fn(Call) -> BoxFuture<'static, HandlerResult>;

/// An offered operation.
pub struct Route {
    /// Published `operationId`.
    pub operation: &'static str,
    /// Callers admitted.
    pub audience: Audience,
    run: HandlerFn,
}

macro_rules! routes {
    ($($operation:literal: $audience:ident => $module:ident::$handler:ident,)*) => {
        /// All offered operations.
        pub const ROUTES: &[Route] = &[
            $(Route {
                operation: $operation,
                audience: Audience::$audience,
                run: |call| Handler::run($module::$handler, call),
            },)*
        ];
    };
}

routes! {
    "login": Public => sessions::login,
    "refresh-token": Public => sessions::refresh,
    "authenticate": Session => sessions::authenticate,
    "get-session": Session => sessions::get,
    "list-sessions": Session => sessions::list,
    "end-session": Session => sessions::end,
    "end-all-sessions": Session => sessions::end_all,
    "switch-user-organization": Session => sessions::switch,
    "create-synthetic-user-token": Admin => program_tokens::create_synthetic,
    "internal-auth-v1": Public => program_tokens::internal_v1,
    "internal-auth": Public => program_tokens::internal,
    "check-password-strength": Public => passwords::strength,
    "list-totp-configurations": Session => totp::list,
    "create-totp-configuration": Session => totp::create,
    "enable-totp-configuration": Session => totp::enable,
    "disable-totp-configuration": Session => totp::disable,
    "delete-totp-configuration": Session => totp::delete,
    "list-users": Session => users::list,
    "get-user": Session => users::get,
    "update-user": Session => users::update,
    "change-user-email": Session => users::change_email,
    "change-user-password": Session => passwords::change,
    "confirm-user-phone": Admin => users::confirm_phone,
    "disable-user": Admin => users::disable,
    "enable-user": Admin => users::enable,
    "delete-user-service-document-agreements": Admin => users::forget_agreements,
    "list-organizations": Session => organizations::list,
    "create-organization": Admin => organizations::create,
    "get-organization": Session => organizations::get,
    "update-organization": Admin => organizations::update,
    "add-organization-user": Admin => memberships::add,
    "remove-organization-user": Session => memberships::remove,
    "list-user-organizations": Session => memberships::list,
    "create-user-organization": Admin => memberships::create,
    "list-roles": Session => roles::list,
    "list-role-users": Admin => roles::list_users,
    "create-role-user": Admin => roles::create_user,
    "add-role-user": Admin => roles::add_user,
    "remove-role-user": Admin => roles::remove_user,
    "list-features": Session => features::list,
    "create-feature": Admin => features::create,
    "get-feature": Session => features::get,
    "update-feature": Admin => features::update,
    "add-feature-users": Admin => features::add_users,
    "remove-feature-users": Admin => features::remove_users,
    "list-organization-features": Admin => features::list_organization,
    "create-organization-feature": Admin => features::create_organization,
    "get-organization-feature": Admin => features::get_organization,
    "update-organization-feature": Admin => features::update_organization,
    "list-user-features": Session => features::list_user,
    "create-user-feature": Admin => features::create_user,
    "get-user-feature": Session => features::get_user,
    "update-user-feature": Admin => features::update_user,
    "list-individual-groups-v1": Session => groups::list_v1,
    "list-individual-groups": Session => groups::list,
    "create-individual-group": Session => groups::create,
    "get-individual-group-v1": Session => groups::get_v1,
    "get-individual-group": Session => groups::get,
    "update-individual-group": Session => groups::update,
    "move-individual-group": Session => groups::start_move,
    "add-group-individuals": Session => group_people::add_individuals,
    "remove-group-individuals": Session => group_people::remove_individuals,
    "add-group-leaders": Session => group_people::add_leaders,
    "remove-group-leaders": Session => group_people::remove_leaders,
    "add-group-members": Session => group_people::add_members,
    "remove-group-members": Session => group_people::remove_members,
    "list-eligible-group-members": Session => group_people::list_eligible,
    "list-individual-group-individuals": Session => group_people::list_individuals,
    "list-individual-group-leaders": Session => group_people::list_leaders,
    "list-individual-group-logs": Session => group_people::list_logs,
    "create-individual": Admin => individuals::create,
    "get-individual": Session => individuals::get,
    "check-resource-access": Session => access::check,
    "bulk-check-resource-access": Admin => access::check_bulk,
    "list-accessible-resources": Session => access::list_resources,
    "list-authz-individuals": Session => access::list_individuals,
    "list-resource-accessors": Admin => access::list_accessors,
    "get-authz-user-status": Session => access::status,
    "list-user-activities": Admin => activities::list,
    "list-user-checkins": Session => checkins::list,
    "create-user-checkin": Session => checkins::create,
    "logout": Session => sessions::logout,
    "get-task": Session => tasks::get,
}

/// All routes of the dialect, described by `document`.
pub fn routes(document: OpenApi) -> OpenApiRouter<AppState> {
    let mut router = OpenApiRouter::with_openapi(document);
    for route in ROUTES {
        let Some(operation) = CONTRACT.operation(route.operation) else { continue };
        let Ok(filter) = MethodFilter::try_from(operation.method.clone()) else { continue };
        let (audience, run) = (route.audience, route.run);
        let methods = on(filter, move |request: Request| carry_out(operation, run, request))
            .route_layer(from_fn(idempotency::remember))
            .route_layer(from_fn(move |request, next| admit(audience, request, next)));
        router = router.route(&operation.path, methods);
    }
    router
}

async fn carry_out(operation: &'static Operation, run: HandlerFn, request: Request) -> Response {
    match Call::read(operation, request).await {
        Ok(call) => Call::respond(run(call).await),
        Err(error) => error.into_response(),
    }
}

async fn admit(audience: Audience, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (Some(app), Some(facts)) = (extensions.get::<AppState>().cloned(), extensions.get::<RequestFacts>().cloned())
    else {
        return ApiError::internal("the guard stands outside the boundary").into_response();
    };
    let known = app.node.heads.position();
    let (heads, writes) = (app.node.heads.clone(), !request.method().is_safe());
    if audience == Audience::Public {
        let mut response = guard::stranger(request, next).await;
        freshness::note_position(&mut response, heads.position());
        return response;
    }
    let may = move |principal: &Principal| audience.admits(&principal.holder());
    let mut response = guard::admitted(&app, audience.name(), may, request, facts, next).await;
    // A read reflects at least the position known before it; a write its own commit.
    freshness::note_position(&mut response, if writes { heads.position() } else { known });
    response
}

/// Redirect to the same path with a slash, if the path is unknown only for lack of it; method and body stay (RFC 9110,
/// section 15.4.9).
#[must_use]
pub fn with_slash(uri: &Uri) -> Option<Response> {
    let path = format!("{}/", uri.path());
    let known = |template: &str| {
        template.split('/').count() == path.split('/').count()
            && template
                .split('/')
                .zip(path.split('/'))
                .all(|(part, sent)| if part.starts_with('{') { !sent.is_empty() } else { part == sent })
    };
    let offered = ROUTES.iter().filter_map(|route| CONTRACT.operation(route.operation));
    let known = !uri.path().ends_with('/') && offered.into_iter().any(|operation| known(&operation.path));
    known.then(|| {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("{path}{query}"))]).into_response()
    })
}
