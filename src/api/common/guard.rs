//! Who asks, and may they: settled before anything else of a request is looked at.

use crate::api::AppState;
use crate::api::common::boundary::{BODY_MAX_BYTES, BodyLimit, PUBLIC_BODY_MAX_BYTES, RequestFacts};
use crate::api::common::repeat::as_of_one_moment;
use crate::api::common::{ApiError, freshness};
use crate::auth::{Permission, Principal};
use crate::committer::idempotency::AnswerSlot;
use crate::executor::RequestContext;
use crate::read_store::Documents;
use crate::security::{self, Event, Line};
use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use registrar_aggregates::Metadata;
use std::sync::Arc;

/// The caller of a guarded operation: known, and permitted to call it.
#[derive(Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// What is recorded with whatever the call changes.
    pub context: RequestContext,
    /// Documents as of the request, for whatever it reads; what it reads after it changed something elsewhere, by way of
    /// another node, is asked of the node's own.
    pub documents: Documents,
}

impl Caller {
    /// The caller of a request.
    #[must_use]
    pub fn new(principal: Principal, facts: RequestFacts, documents: Documents) -> Self {
        let metadata = Metadata {
            actor: principal.actor.clone(),
            on_behalf_of: principal.on_behalf_of.clone(),
            session: principal.session,
            organization_id: principal.organization.clone(),
            ip_address: facts.ip_address,
            user_agent: facts.user_agent,
            request_id: facts.request_id,
            causation: None,
            reason: None,
            comment: None,
        };
        Caller { principal: Arc::new(principal), context: RequestContext { metadata, answer: None }, documents }
    }

    /// Where the answer is remembered, for a request with an idempotency key.
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

/// Lets those pass who have `permission`: first 401, then 403, and only then whatever the request says.
pub async fn guard(permission: Permission, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (Some(app), Some(facts)) = (extensions.get::<AppState>().cloned(), extensions.get::<RequestFacts>().cloned())
    else {
        return ApiError::internal("the guard stands outside the boundary").into_response();
    };
    let known = app.node.heads.position();
    let may = move |principal: &Principal| principal.may(permission);
    let mut response = admitted(&app, permission.name(), may, request, facts, next).await;
    freshness::note_position(&mut response, known);
    response
}

/// Answers a request whose caller need not be known: it counts for its network, its body is short, and it takes from the
/// time of strangers.
pub async fn stranger(mut request: Request, next: Next) -> Response {
    let extensions = request.extensions_mut();
    let (Some(app), Some(facts)) = (extensions.get::<AppState>().cloned(), extensions.get::<RequestFacts>().cloned())
    else {
        return ApiError::internal("the guard stands outside the boundary").into_response();
    };
    extensions.insert(BodyLimit(PUBLIC_BODY_MAX_BYTES));
    let admitted = app.limits.stranger(&facts).await;
    match admitted.and_then(|()| check_length(request.headers(), PUBLIC_BODY_MAX_BYTES)) {
        Ok(()) => app.strangers.answer(next.run(request)).await,
        Err(error) => error.into_response(),
    }
}

/// Answers a request by `next` if its caller may what is `named`, as of one moment.
pub async fn admitted(
    app: &AppState,
    named: &str,
    may: impl Fn(&Principal) -> bool,
    request: Request,
    facts: RequestFacts,
    next: Next,
) -> Response {
    as_of_one_moment(app, request, |mut request, documents| {
        let (facts, next, may) = (facts.clone(), next.clone(), &may);
        async move {
            match admit(app, documents, named, may, request.headers(), facts).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    next.run(request).await
                }
                Err(error) => error.into_response(),
            }
        }
    })
    .await
}

/// The caller of a request, if it may what is `named`.
///
/// # Errors
/// `Unauthenticated`, `Forbidden`; `PayloadTooLarge` by what the headers say; `Unavailable`.
async fn admit(
    app: &AppState,
    documents: Documents,
    named: &str,
    may: impl FnOnce(&Principal) -> bool,
    headers: &HeaderMap,
    facts: RequestFacts,
) -> Result<Caller, ApiError> {
    let credentials = headers.get(AUTHORIZATION);
    // What is no text is no token either, but it was sent.
    let authorization = credentials.map(|value| value.to_str().unwrap_or("Bearer"));
    let principal = match app.authenticator.authenticate(&app.node, &documents, authorization).await {
        Ok(principal) => principal,
        Err(crate::auth::AuthError::Unauthenticated(reason)) => {
            return Err(unrecognised(app, &facts, reason, credentials.is_some()).await);
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

/// The refusal of a caller that is not recognised; it counts for its network.
pub async fn unrecognised(app: &AppState, facts: &RequestFacts, reason: &str, credentials_sent: bool) -> ApiError {
    security::refused(Event::Authentication, reason);
    app.limits.stranger(facts).await.err().unwrap_or(ApiError::Unauthenticated { credentials_sent })
}

/// The refusal of an operation that needs what is `named`.
#[must_use]
pub fn denied(named: &str) -> ApiError {
    Line { reason: Some("not allowed"), operation: Some(named), ..Line::default() }.refused(Event::Access);
    ApiError::Forbidden
}

/// The caller as the security log names it.
#[must_use]
pub fn acting(principal: &Principal) -> security::Actor {
    security::Actor {
        id: principal.actor.id.clone(),
        session: principal.session.map(|session| session.to_string()),
        organization: principal.organization.clone(),
    }
}

/// A body that says it is too long is not waited for.
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
