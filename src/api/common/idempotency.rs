//! `Idempotency-Key` on writes: a repeated request gets the first response and changes nothing.
//!
//! A response to a change is committed with it, so that no crash separates the two (see
//! [`crate::committer::idempotency`]); a response that changed nothing is remembered here, afterwards. Concurrent
//! duplicates at one node wait for the first; between nodes the commit decides.

use crate::api::AppState;
use crate::api::common::boundary::{self, read_body};
use crate::api::common::error::{self, carried};
use crate::api::common::{ApiError, Caller};
use crate::auth::network::network;
use crate::committer::idempotency::{Answer, AnswerSlot};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Request header that makes a write idempotent.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Response header that marks a replay.
pub const REPLAYED: &str = "idempotency-replayed";
/// Lifetime of a remembered response.
const KEPT: TimeDelta = TimeDelta::hours(24);
const KEY_LENGTH_MAX: usize = 255;
/// Headers that belong to a response rather than to its delivery.
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Carries out a request whose response may be remembered.
type Once = Box<dyn FnOnce(Request) -> BoxFuture<'static, Response> + Send>;

/// Replays the response of a write with a known idempotency key, otherwise runs the write and remembers its response.
pub async fn remember(
    request: Request,
    handler: impl FnOnce(Request) -> BoxFuture<'static, Response> + Send + 'static,
) -> Response {
    let write = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if !write || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return handler(request).await;
    }
    answer_once(request, Box::new(handler)).await.unwrap_or_else(IntoResponse::into_response)
}

/// Slot of a request without a caller.
#[derive(Clone)]
pub struct PublicSlot(pub Arc<AnswerSlot>);

async fn answer_once(request: Request, handler: Once) -> Result<Response, ApiError> {
    let key = idempotency_key(request.headers())?.to_owned();
    let (mut parts, body) = request.into_parts();
    let (app, facts) = boundary::passed(&parts.extensions)?;
    let caller = parts.extensions.remove::<Caller>();

    let body = read_body(&parts.extensions, body).await?;
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let fingerprint = app.node.vault.digest("idempotency-body", &[query, &body]).to_vec();
    let (method, path) = (parts.method.as_str().as_bytes(), parts.uri.path().as_bytes());
    let digest = match &caller {
        Some(caller) => {
            let principal = &caller.principal;
            let represented = if principal.acts_for_another() { principal.subject() } else { "" };
            let scope = [principal.actor.id.as_bytes(), represented.as_bytes(), method, path, key.as_bytes()];
            app.node.vault.digest("idempotency-key", &scope)
        }
        // A key without a caller is shared by a network. Another client there that happens to use the same key for
        // another request is answered separately, and learns nothing unless it sends the very same body.
        None => {
            let network = facts.ip_address.as_deref().map(network).unwrap_or_default();
            let scope = [network.as_bytes(), method, path, key.as_bytes(), &fingerprint];
            app.node.vault.digest("idempotency-key-public", &scope)
        }
    };
    let public = caller.is_none();
    let asked = KeyedRequest { app, digest, fingerprint };

    let turn = asked.app.key_locks.of(digest);
    let _first = turn.lock().await;
    if let Some(answer) = asked.remembered().await? {
        return Ok(answer);
    }
    let slot = Arc::new(AnswerSlot::new(digest.to_vec(), asked.fingerprint.clone(), Utc::now() + KEPT));
    match caller {
        Some(mut caller) => {
            caller.context.answer = Some(Arc::clone(&slot));
            parts.extensions.insert(caller);
        }
        None => {
            parts.extensions.insert(PublicSlot(Arc::clone(&slot)));
        }
    }
    let response = handler(Request::from_parts(parts, Body::from(body))).await;
    if let Some(ApiError::AlreadyAnswered) = carried(&response) {
        return asked.remembered().await?.ok_or(ApiError::VersionConflict);
    }
    let status = response.status();
    // Refusals of strangers are not kept: they cost nothing to repeat, and any client could fill the store with them.
    if slot.is_remembered() || !worth_remembering(status) || public && !status.is_success() {
        return Ok(response);
    }
    // The error is rendered here, since the response is remembered as the client sees it.
    let response = error::render(response, facts.shape, &facts.request_id);
    asked.store(&slot, response).await
}

/// Refusals are stable across retries; failures, 401 and 429 may pass.
fn worth_remembering(status: StatusCode) -> bool {
    !(status.is_server_error() || status == StatusCode::UNAUTHORIZED || status == StatusCode::TOO_MANY_REQUESTS)
}

/// A request with an idempotency key.
struct KeyedRequest {
    app: AppState,
    digest: [u8; 32],
    fingerprint: Vec<u8>,
}

impl KeyedRequest {
    /// The remembered response, if any.
    async fn remembered(&self) -> Result<Option<Response>, ApiError> {
        let Some((fingerprint, answer)) = self.app.node.remembered(&self.digest).await? else {
            return Ok(None);
        };
        if fingerprint != self.fingerprint {
            return Err(ApiError::IdempotencyKeyReused);
        }
        let mut response = answer.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    async fn store(&self, slot: &Arc<AnswerSlot>, response: Response) -> Result<Response, ApiError> {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
        let answer = Answer { status: parts.status.as_u16(), headers: kept(&parts.headers), body: text(&body) };
        match self.app.node.remember_answer(slot, &answer).await.map_err(ApiError::from) {
            // Another node won the race; replay its response.
            Err(ApiError::AlreadyAnswered) => self.remembered().await?.ok_or(ApiError::VersionConflict),
            Err(error) => Err(error),
            Ok(()) => Ok(Response::from_parts(parts, Body::from(body))),
        }
    }
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = KEPT_HEADERS.iter().filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)));
    kept.map(|(name, value)| (name.to_string(), value.to_owned())).collect()
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = given.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let well_formed = (1..=KEY_LENGTH_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed && given.next().is_none() {
        Ok(key)
    } else {
        Err(ApiError::invalid("Idempotency-Key must be one text of 1 to 255 visible ASCII characters"))
    }
}

/// Locks that order concurrent requests with one key at one node.
#[derive(Default)]
pub struct KeyLocks(Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>);

impl KeyLocks {
    /// Lock shared by requests with this key.
    fn of(&self, digest: [u8; 32]) -> Arc<tokio::sync::Mutex<()>> {
        let mut key_locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = key_locks.get(&digest).and_then(Weak::upgrade) {
            return turn;
        }
        // Locks no longer in use are swept whenever the table is full, so that it stays small.
        if key_locks.len() == key_locks.capacity() {
            key_locks.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        key_locks.insert(digest, Arc::downgrade(&turn));
        turn
    }
}
