//! Outermost handling of every request: it gets an id, a span and a deadline; its response gets its dialect's error
//! shape, its headers and its metrics. Here and nowhere else.

use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::client::{self, REQUEST_ID};
use crate::api::common::error::{self, Shape};
use crate::security::{self, Event, Scope};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;
use uuid::Uuid;

/// Longest request body, in bytes.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Longest request body of public operations: a client sends one as cheaply as we read it.
pub const PUBLIC_BODY_MAX_BYTES: usize = 16 * 1024;
/// Deadline for the start of the response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Browsers use TLS only for a year (RFC 6797).
const STRICT_TRANSPORT: &str = "max-age=31536000";
/// Headers of every response that does not set its own.
const SECURITY_HEADERS: [(header::HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Longest body of a request, in bytes; [`BODY_MAX_BYTES`] where a request carries none.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

impl BodyLimit {
    fn of(extensions: &Extensions) -> usize {
        extensions.get::<BodyLimit>().map_or(BODY_MAX_BYTES, |limit| limit.0)
    }
}

/// Facts about a request known from outside.
#[derive(Debug)]
pub struct RequestFacts {
    /// Request id, a UUID: the caller's, if it sent one.
    pub request_id: String,
    /// Our own request id, which no caller chooses.
    pub own_request_id: String,
    /// Address of the client.
    pub ip_address: Option<String>,
    /// `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// Error shape.
    pub shape: Shape,
}

impl RequestFacts {
    fn of(request: &Request, app: &AppState) -> Self {
        let shape = Shape::of(request.uri().path());
        // The cloud dialect documents the version.
        let make_id = if shape == Shape::Cloud { Uuid::new_v4 } else { Uuid::now_v7 };
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let (own, sent) = (make_id(), client::request_id(request.headers()));
        RequestFacts {
            request_id: sent.unwrap_or(own).to_string(),
            own_request_id: own.to_string(),
            ip_address: client::address(peer, request.headers(), &app.settings.trusted_proxies)
                .map(|address| address.to_string()),
            user_agent: client::user_agent(request.headers()),
            shape,
        }
    }
}

/// The server and the facts of a request, as the boundary left them with it.
///
/// # Errors
/// `Internal` if the request did not pass the boundary.
pub fn passed(extensions: &Extensions) -> Result<(AppState, Arc<RequestFacts>), ApiError> {
    let (app, facts) = (extensions.get::<AppState>(), extensions.get::<Arc<RequestFacts>>());
    let passed = app.cloned().zip(facts.cloned());
    passed.ok_or_else(|| ApiError::internal("the request did not pass the boundary"))
}

/// The outermost layer of the router.
pub async fn boundary(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let facts = Arc::new(RequestFacts::of(&request, &app));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let own = facts.own_request_id.as_str();
    let sent = (own != facts.request_id).then_some(facts.request_id.as_str());
    let span = tracing::info_span!("request", request_id = own, caller_request_id = sent, %method, route);
    let scope = Scope::new(facts.ip_address.clone(), own.to_owned(), sent.map(str::to_owned));
    let strict_transport = app.settings.strict_transport;
    request.extensions_mut().insert(app);
    request.extensions_mut().insert(Arc::clone(&facts));

    let response = async {
        let response = answer(request, next).await;
        witness(&response);
        let response = error::render(response, facts.shape, &facts.request_id);
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let mut response = security::within(scope, response).instrument(span).await;
    finish(response.headers_mut(), &facts.request_id, strict_transport);
    observe(method.as_str(), route, response.status().as_u16(), started.elapsed());
    response
}

async fn answer(request: Request, next: Next) -> Response {
    // A handler that panics holds no lock of ours that unwinding would leave half done.
    let answered = tokio::time::timeout(TIMEOUT, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    let error = match answered {
        Ok(Ok(response)) => return response,
        Ok(Err(_)) => ApiError::internal("a handler panicked"),
        Err(elapsed) => ApiError::Unavailable(Some(Box::new(elapsed))),
    };
    axum::response::IntoResponse::into_response(error)
}

/// Logs malformed and rejected requests: many of them suggest an attack. Denied permissions are logged where they are
/// decided, with their reasons; here all that are not yet logged.
fn witness(response: &Response) {
    let Some(error) = error::carried(response) else { return };
    match error.status() {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => security::refused(Event::Input, error.code()),
        StatusCode::UNAUTHORIZED => security::refused_unless_noted(Event::Authentication, error.code()),
        StatusCode::FORBIDDEN => security::refused_unless_noted(Event::Access, error.code()),
        StatusCode::TOO_MANY_REQUESTS => security::refused_unless_noted(Event::RateLimit, error.code()),
        _ => {}
    }
}

fn finish(headers: &mut HeaderMap, request_id: &str, strict_transport: bool) {
    if strict_transport {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT));
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
}

/// Methods invented by a client must not become time series of their own.
fn observe(method: &str, route: &str, status: u16, elapsed: Duration) {
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method.to_owned(),
        _ => "other".to_owned(),
    };
    let labels = [("method", method), ("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("registrar_http_requests_total", &labels).increment(1);
    metrics::histogram!("registrar_http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
}

/// Reads the whole request body, up to the limit in the extensions.
///
/// # Errors
/// `PayloadTooLarge`; `Invalid` for a truncated body.
pub async fn read_body(extensions: &Extensions, body: Body) -> Result<Bytes, ApiError> {
    let max_bytes = BodyLimit::of(extensions);
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(ApiError::PayloadTooLarge { max_bytes })
        }
        Err(_) => Err(ApiError::invalid("body could not be read to its end")),
    }
}

/// Fallback for methods that a path does not support.
pub async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}
