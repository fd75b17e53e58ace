//! Routes of the offered operations ([`ROUTES`]): published identifier, gate and handler. Paths, parameters and bodies
//! come from the contract.

pub use super::ROUTES;

use super::call::{Call, HandlerResult};
use super::contract::{CONTRACT, Operation};
use crate::access::Holder;
use crate::api::AppState;
use crate::api::common::{ApiError, boundary, freshness, guard, idempotency};
use crate::auth::Principal;
use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use futures::FutureExt;
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

pub(super) type HandlerFn = fn(Call) -> BoxFuture<'static, HandlerResult>;

/// An offered operation.
pub struct Route {
    /// Published `operationId`.
    pub operation: &'static str,
    /// Callers admitted.
    pub audience: Audience,
    pub(super) run: HandlerFn,
}

/// Declares `ROUTES` from the table of the operations. The table stands beside the lines of its modules, so that a group
/// of operations is entered in one file.
macro_rules! operations {
    ($($operation:literal: $audience:ident => $module:ident::$handler:ident,)*) => {
        /// All offered operations.
        pub const ROUTES: &[$crate::api::identity::routes::Route] = &[
            $($crate::api::identity::routes::Route {
                operation: $operation,
                audience: $crate::api::identity::routes::Audience::$audience,
                run: |call| $crate::api::identity::call::Handler::run($module::$handler, call),
            },)*
        ];
    };
}
pub(super) use operations;

/// All routes of the dialect, described by `document`.
pub fn routes(document: OpenApi) -> OpenApiRouter<AppState> {
    let mut router = OpenApiRouter::with_openapi(document);
    for route in ROUTES {
        let Some(operation) = CONTRACT.operation(route.operation) else { continue };
        let Ok(filter) = MethodFilter::try_from(operation.method.clone()) else { continue };
        let (audience, run) = (route.audience, route.run);
        let handler = move |request| carry_out(operation, run, request).boxed();
        let handler = move |request| idempotency::remember(request, handler).boxed();
        router = router.route(&operation.path, on(filter, move |request| admitted(audience, request, handler)));
    }
    router
}

async fn carry_out(operation: &'static Operation, run: HandlerFn, request: Request) -> Response {
    match Call::read(operation, request).await {
        Ok(call) => Call::respond(run(call).await),
        Err(error) => error.into_response(),
    }
}

/// Runs `handler` if its audience admits the caller.
async fn admitted(
    audience: Audience,
    request: Request,
    handler: impl Fn(Request) -> BoxFuture<'static, Response> + Sync,
) -> Result<Response, ApiError> {
    let (app, facts) = boundary::passed(request.extensions())?;
    let known = app.node.heads.position();
    if audience == Audience::Public {
        // Without the position, which would tell strangers whether something was stored: a code for a known name, say.
        return Ok(guard::stranger(request, handler).await.into_response());
    }
    let writes = !request.method().is_safe();
    let may = move |principal: &Principal| audience.admits(&principal.holder());
    let mut response = guard::admitted(&app, audience.name(), &may, request, &facts, &handler).await;
    // A read reflects at least the position known before it; a write its own commit.
    freshness::note_position(&mut response, if writes { app.node.heads.position() } else { known });
    Ok(response)
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
