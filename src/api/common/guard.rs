//! Authentication and permissions, checked before anything else of a request is read.

use crate::api::AppState;
use crate::api::common::boundary::{self, BODY_MAX_BYTES, BodyLimit, PUBLIC_BODY_MAX_BYTES, RequestFacts};
use crate::api::common::repeat::as_of_one_moment;
use crate::api::common::{ApiError, freshness, idempotency, limits};
use crate::auth::{Permission, Principal};
use crate::committer::idempotency::AnswerSlot;
use crate::executor::RequestContext;
use crate::read_store::Documents;
use crate::security::{self, Event, Line};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use registrar_aggregates::Metadata;
use std::sync::Arc;

/// Authenticated caller of a guarded operation, with permission to call it.
#[derive(Clone)]
pub struct Caller {
    /// Identity and permissions of the caller.
    pub principal: Arc<Principal>,
    /// Context recorded with every change made by the call.
    pub context: RequestContext,
    /// Documents as of the request. Reads after a change elsewhere, by way of another node, use the node's own
    /// documents.
    pub documents: Documents,
}

impl Caller {
    /// The caller with the context of its request.
    #[must_use]
    pub fn new(principal: Principal, facts: &RequestFacts, documents: Documents) -> Self {
        let metadata = Metadata {
            actor: principal.actor.clone(),
            on_behalf_of: principal.on_behalf_of.clone(),
            session: principal.session,
            organization_id: principal.organization.clone(),
            ip_address: facts.ip_address.clone(),
            user_agent: facts.user_agent.clone(),
            request_id: facts.request_id.clone(),
            causation: None,
            reason: None,
            comment: None,
        };
        Caller { principal: Arc::new(principal), context: RequestContext { metadata, answer: None }, documents }
    }

    /// Slot of the remembered response, if the request has an idempotency key.
    #[must_use]
    pub fn slot(&self) -> Option<&AnswerSlot> {
        self.context.answer.as_deref()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| ApiError::internal("the operation asks for its caller and is not guarded"))
    }
}

/// Carries out an admitted request.
pub type Handler<'a> = dyn Fn(Request) -> BoxFuture<'static, Response> + Sync + 'a;

/// Requires `permission`: first 401, then 403, and only then errors of the request itself. Writes honour
/// `Idempotency-Key`.
///
/// # Errors
/// `Internal` if the request did not pass the boundary.
pub async fn guard(permission: Permission, request: Request, next: Next) -> Result<Response, ApiError> {
    let (app, facts) = boundary::passed(request.extensions())?;
    let known = app.node.heads.position();
    let may = move |principal: &Principal| principal.may(permission);
    let handler = |request| remembering(next.clone(), request);
    let mut response = admitted(&app, permission.name(), &may, request, &facts, &handler).await;
    freshness::note_position(&mut response, known);
    Ok(response)
}

/// Runs the rest of a route for an admitted caller.
pub fn remembering(next: Next, request: Request) -> BoxFuture<'static, Response> {
    idempotency::remember(request, move |request| next.run(request).boxed()).boxed()
}

/// Runs a public operation: it counts against the client's network, its body limit is short, and it uses the processor
/// time of strangers.
///
/// # Errors
/// `TooManyRequests`; `PayloadTooLarge` if the headers announce it; `Internal` if the request did not pass the boundary.
pub async fn stranger(
    request: Request,
    handler: impl FnOnce(Request) -> BoxFuture<'static, Response>,
) -> Result<Response, ApiError> {
    stranger_up_to(PUBLIC_BODY_MAX_BYTES, request, handler).await
}

/// As [`stranger`], with another limit of the body.
///
/// # Errors
/// As [`stranger`].
pub async fn stranger_up_to(
    max_bytes: usize,
    mut request: Request,
    handler: impl FnOnce(Request) -> BoxFuture<'static, Response>,
) -> Result<Response, ApiError> {
    let (app, facts) = boundary::passed(request.extensions())?;
    request.extensions_mut().insert(BodyLimit(max_bytes));
    app.limits.stranger(&facts).await?;
    check_length(request.headers(), max_bytes)?;
    let response = app.strangers.answer(handler(request)).await;
    if matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        limits::pause().await;
    }
    Ok(response)
}

/// Decides whether a caller may call an operation.
pub type May = dyn Fn(&Principal) -> bool + Sync;

/// Runs `handler` if the caller has the permission `named`, as of one moment.
pub async fn admitted(
    app: &AppState,
    named: &str,
    may: &May,
    request: Request,
    facts: &RequestFacts,
    handler: &Handler<'_>,
) -> Response {
    as_of_one_moment(app, request, |mut request, documents| async move {
        match admit(app, documents, named, may, request.headers(), facts).await {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                handler(request).await
            }
            Err(error) => error.into_response(),
        }
    })
    .await
}

/// The caller of a request, if it has the permission `named`.
///
/// # Errors
/// `Unauthenticated`, `Forbidden`; `PayloadTooLarge` if the headers announce it; `Unavailable`.
async fn admit(
    app: &AppState,
    documents: Documents,
    named: &str,
    may: &May,
    headers: &HeaderMap,
    facts: &RequestFacts,
) -> Result<Caller, ApiError> {
    let credentials = headers.get(AUTHORIZATION);
    // A header that is not text is no valid token, but credentials were sent.
    let authorization = credentials.map(|value| value.to_str().unwrap_or("Bearer"));
    let principal = match app.authenticator.authenticate(&app.node, &documents, authorization).await {
        Ok(principal) => principal,
        Err(crate::auth::AuthError::Unauthenticated(reason)) => {
            return Err(unrecognised(app, facts, reason, credentials.is_some()).await);
        }
        Err(unavailable) => return Err(unavailable.into()),
    };
    security::recognised(acting(&principal));
    app.limits.caller(&principal)?;
    if !may(&principal) {
        return Err(denied(named));
    }
    check_length(headers, BODY_MAX_BYTES)?;
    if freshness::await_position(app, headers).await? {
        documents.ask_anew();
    }
    Ok(Caller::new(principal, facts, documents))
}

/// The 401 for an unrecognised caller; counts against its network.
pub async fn unrecognised(app: &AppState, facts: &RequestFacts, reason: &str, credentials_sent: bool) -> ApiError {
    security::refused(Event::Authentication, reason);
    app.limits.stranger(facts).await.err().unwrap_or(ApiError::Unauthenticated { credentials_sent })
}

/// The 403 of an operation that requires the permission `named`.
#[must_use]
pub fn denied(named: &str) -> ApiError {
    Line { reason: Some("not allowed"), operation: Some(named), ..Line::default() }.refused(Event::Access);
    ApiError::Forbidden
}

/// The caller in the security log.
#[must_use]
pub fn acting(principal: &Principal) -> security::Actor {
    security::Actor {
        id: principal.actor.id.clone(),
        session: principal.session.map(|session| session.to_string()),
        organization: principal.organization.clone(),
    }
}

/// Refuses a body by its announced length, without waiting for it.
///
/// # Errors
/// `PayloadTooLarge`.
pub fn check_length(headers: &HeaderMap, max_bytes: usize) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > max_bytes) {
        return Err(ApiError::PayloadTooLarge { max_bytes });
    }
    Ok(())
}
