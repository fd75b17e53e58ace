//! Liveness, readiness, metrics, and the public keys of signed tokens.

use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::error::OLD_RELEASE;
use crate::api::common::routes::{probe, public};
use crate::journal::{CLOCK_AHEAD_MAX_SECS, Head, JournalError, JournalResult};
use crate::messages::DeliveryReport;
use crate::publisher::PublisherReport;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TAG: &str = "Operation";
/// Time for the database to answer before the server counts as not ready.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The operations, all public: probes, scrapers and verifiers of tokens have no account here.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(probe(routes!(check_health)))
        .routes(probe(routes!(check_readiness)))
        .routes(probe(routes!(read_metrics)))
        .routes(public(routes!(list_keys)))
}

/// Liveness of the process.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Readiness of this node, with its details.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    /// `ready` or `not ready`.
    status: &'static str,
    /// Reason why the node is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// `postgresql` or `sqlite`.
    store: &'static str,
    /// Position of the last event known to be on disk.
    position: u64,
    /// Generation of documents that is served.
    generation: u64,
    /// By how many seconds the time of the last event is ahead of this node's clock; absent where it is not. Until then all
    /// events bear its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_ahead_seconds: Option<i64>,
    /// Progress of a rebuild, or the reason why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
    /// State of the publisher to NATS. A node without a connection to NATS is ready all the same.
    #[schema(value_type = Object)]
    nats: PublisherReport,
    /// How long messages to people wait. A node is ready all the same.
    #[schema(value_type = Object)]
    messages: DeliveryReport,
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
    let looked = tokio::time::timeout(DATABASE_TIMEOUT, look(&app)).await;
    let (reason, recorded_at) = match looked {
        Ok(Ok(DatabaseState { head, clock })) => {
            (obstacle(&app, &head, clock, status.generation), Some(head.recorded_at))
        }
        Ok(Err(JournalError::OldRelease)) => (Some(OLD_RELEASE), None),
        Ok(Err(_)) => (Some("the database cannot be reached"), None),
        Err(_) => (Some("the database does not answer"), None),
    };
    let readiness = Readiness {
        status: if reason.is_none() { "ready" } else { "not ready" },
        reason,
        store: status.store,
        position: status.position,
        generation: status.generation,
        journal_ahead_seconds: recorded_at.and_then(ahead_seconds),
        rebuild: status.rebuild,
        nats: app.publisher.report(),
        messages: app.deliveries.report(),
    };
    let code = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

/// State of the database.
struct DatabaseState {
    head: Head,
    /// The database's clock, if it has one.
    clock: Option<DateTime<Utc>>,
}

async fn look(app: &AppState) -> JournalResult<DatabaseState> {
    let (head, clock) = tokio::try_join!(app.node.journal.head(), app.node.journal.clock())?;
    Ok(DatabaseState { head, clock })
}

/// Reason why the server is not ready.
fn obstacle(app: &AppState, head: &Head, clock: Option<DateTime<Utc>>, generation: u64) -> Option<&'static str> {
    let most = TimeDelta::seconds(CLOCK_AHEAD_MAX_SECS);
    if app.node.failed().is_cancelled() {
        Some("nothing can be committed any more")
    } else if !app.node.vault.has_master_key() {
        Some("the master key was replaced, and this node does not have the new one")
    } else if head.generation != generation {
        Some("the documents belong to another release of Registrar")
    } else if clock.is_some_and(|clock| Utc::now() > clock + most) {
        Some("the clock of this node is ahead of the database's")
    } else {
        None
    }
}

fn ahead_seconds(recorded_at: DateTime<Utc>) -> Option<i64> {
    Some((recorded_at - Utc::now()).num_seconds()).filter(|seconds| *seconds > CLOCK_AHEAD_MAX_SECS)
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
