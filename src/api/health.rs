//! Whether the server lives and is ready, its figures, and the keys that its tokens are signed with.

use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::routes::public;
use crate::publisher::PublisherReport;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TAG: &str = "Operation";
/// How long the database may take to answer before the server is not ready.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The operations, all of them public: probes, scrapers and those who check tokens have no account here.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(public(routes!(check_health)))
        .routes(public(routes!(check_readiness)))
        .routes(public(routes!(read_metrics)))
        .routes(public(routes!(list_keys)))
}

/// Whether the process answers at all.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Whether this node can serve, and what it knows of itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    /// `ready` or `not ready`.
    status: &'static str,
    /// What is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// `postgresql` or `sqlite`.
    store: &'static str,
    /// Position of the last event known to be on disk.
    position: u64,
    /// Generation of documents that is served.
    generation: u64,
    /// What a rebuild is doing or why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
    /// How publishing to NATS goes; being away from it does not make a node unready.
    #[schema(value_type = Object)]
    nats: PublisherReport,
}

/// Answers as long as the process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "checkHealth", tag = TAG,
    responses((status = 200, description = "The process lives.", body = Health)))]
async fn check_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Says whether this node can serve: the database answers and holds documents that this release reads.
#[utoipa::path(get, path = "/readyz", operation_id = "checkReadiness", tag = TAG,
    responses(
        (status = 200, description = "The node can serve.", body = Readiness),
        (status = 503, description = "It cannot.", body = Readiness),
    ))]
async fn check_readiness(State(app): State<AppState>) -> Response {
    let status = app.node.status();
    let reason = obstacle(&app, status.generation).await;
    let readiness = Readiness {
        status: if reason.is_none() { "ready" } else { "not ready" },
        reason,
        store: status.store,
        position: status.position,
        generation: status.generation,
        rebuild: status.rebuild,
        nats: app.publisher.report(),
    };
    let code = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

async fn obstacle(app: &AppState, generation: u64) -> Option<&'static str> {
    match tokio::time::timeout(DATABASE_TIMEOUT, app.node.journal.head()).await {
        Ok(Ok(head)) if head.generation == generation => None,
        Ok(Ok(_)) => Some("the documents belong to another release of Registrar"),
        Ok(Err(_)) => Some("the database cannot be reached"),
        Err(_) => Some("the database does not answer"),
    }
}

/// Figures in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "readMetrics", tag = TAG,
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain; version=0.0.4")))]
async fn read_metrics(State(app): State<AppState>) -> Result<Response, ApiError> {
    let handle = app.settings.metrics.as_ref().ok_or(ApiError::NoSuchPath)?;
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 events")]
    metrics::gauge!("registrar_journal_position").set(app.node.status().position as f64);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()).into_response())
}

/// The public keys that tokens are checked with, as a JSON Web Key Set (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "listKeys", tag = TAG,
    responses((status = 200, description = "The keys.", body = Object)))]
async fn list_keys(State(app): State<AppState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.authenticator.jwks(&app.node).await?))
}
