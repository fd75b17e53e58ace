//! Checkpoints of the journal, and proofs against them: inclusion and consistency.
//!
//! These operations return digests only, never the content of events; so unlike other readings they are not recorded,
//! and watching does not grow the journal. A caller narrowed to an organization gets proofs of its events only.

use super::{BadRequest, Forbidden, Gone, NotFound, TAG, Unauthorized, Unavailable};
use crate::api::AppState;
use crate::api::common::query::{FromQuery, Parameters, Query, WHOLE_MAX};
use crate::api::common::{ApiError, Caller};
use crate::checkpoint;
use crate::journal::Portion;
use crate::journal::selection::EventFilter;
use crate::merkle::Hash;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Serialize;
use utoipa::ToSchema;

const NOT_REACHED: &str = "The journal has not reached this position";

/// That an event is in the tree (RFC 9162 2.1.3).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Place of the event in the order of all events.
    position: u64,
    /// Index of its leaf: one less than the position.
    leaf_index: u64,
    /// Number of events in the tree.
    tree_size: u64,
    /// Root of the tree, base64; the checkpoint of that size has the same.
    root_hash: String,
    /// Hashes of the sibling subtrees from the leaf upwards, base64.
    hashes: Vec<String>,
}

/// That a tree is the beginning of another (RFC 9162 2.1.4).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyProof {
    /// Number of events in the earlier tree.
    from: u64,
    /// Number of events in the later tree.
    to: u64,
    /// Root of the earlier tree, base64.
    from_root_hash: String,
    /// Root of the later tree, base64.
    to_root_hash: String,
    /// Hashes of subtrees, base64, in the order of RFC 9162.
    hashes: Vec<String>,
}

/// A leaf and the tree it is proved in.
pub(super) struct InclusionParameters {
    position: u64,
    tree_size: Option<u64>,
}

impl FromQuery for InclusionParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        let position = required(query, "position");
        let tree_size = optional(query, "treeSize");
        let (position, tree_size) = (position?, tree_size?);
        if tree_size.is_some_and(|size| position > size) {
            query.findings.add("position", "must not be greater than treeSize");
            return None;
        }
        Some(InclusionParameters { position, tree_size })
    }
}

/// The two trees to compare.
pub(super) struct ConsistencyParameters {
    from: u64,
    to: Option<u64>,
}

impl FromQuery for ConsistencyParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        let from = required(query, "from");
        let to = optional(query, "to");
        let (from, to) = (from?, to?);
        if to.is_some_and(|to| from > to) {
            query.findings.add("from", "must not be greater than to");
            return None;
        }
        Some(ConsistencyParameters { from, to })
    }
}

/// A required whole number, at least 1.
fn required(query: &mut Query, name: &str) -> Option<u64> {
    if query.first(name).is_none() {
        query.findings.add(name, "must be given");
        return None;
    }
    query.whole(name, 0, 1, WHOLE_MAX)
}

/// An optional whole number, at least 1.
fn optional(query: &mut Query, name: &str) -> Option<Option<u64>> {
    let given = query.first(name).is_some();
    query.whole(name, 0, u64::from(given), WHOLE_MAX).map(|number| given.then_some(number))
}

fn encoded(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| BASE64.encode(hash)).collect()
}

fn text(body: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], body).into_response()
}

/// Returns a signed checkpoint of the journal as it is now.
#[utoipa::path(get, path = "/audit/checkpoint", operation_id = "readCheckpoint", tag = TAG,
    responses(
        (status = 200, description = "A signed note (C2SP tlog-checkpoint): origin, number of events, root hash in \
            base64, an empty line, signatures.", content_type = "text/plain", body = String),
        Unauthorized, Forbidden, Unavailable,
    ))]
pub(super) async fn read_checkpoint(State(app): State<AppState>, _caller: Caller) -> Result<Response, ApiError> {
    let signer = checkpoint::signer(&app.node).await?;
    let head = app.node.journal.head().await?;
    Ok(text(signer.sign(&head.frontier)))
}

/// Returns the key that checkpoints are verified with. It never changes.
#[utoipa::path(get, path = "/audit/checkpoint/key", operation_id = "readCheckpointKey", tag = TAG,
    responses(
        (status = 200, description = "A verifier key (C2SP signed-note): `name+hexid+base64`.",
            content_type = "text/plain", body = String),
        Unauthorized, Forbidden, Unavailable,
    ))]
pub(super) async fn read_checkpoint_key(State(app): State<AppState>, _caller: Caller) -> Result<Response, ApiError> {
    let signer = checkpoint::signer(&app.node).await?;
    Ok(text(format!("{}\n", signer.verifier().text())))
}

/// Proves that an event is in the tree.
#[utoipa::path(get, path = "/audit/proofs/inclusion", operation_id = "proveInclusion", tag = TAG,
    params(
        ("position" = u64, Query, minimum = 1, description = "Place of the event in the order of all events."),
        ("treeSize" = Option<u64>, Query, minimum = 1, description = "Number of events in the tree, as a checkpoint \
            names it; all there are without."),
    ),
    responses((status = 200, description = "The proof.", body = InclusionProof),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable))]
pub(super) async fn prove_inclusion(
    State(app): State<AppState>,
    caller: Caller,
    Parameters(asked): Parameters<InclusionParameters>,
) -> Result<Json<InclusionProof>, ApiError> {
    let head = app.node.journal.head().await?;
    let (position, tree_size) = (asked.position, asked.tree_size.unwrap_or(head.position));
    if position > head.position || tree_size > head.position {
        return Err(ApiError::NotFound(NOT_REACHED));
    }
    if let Some(organization) = &caller.principal.organization {
        belongs_to(&app, position, organization).await?;
    }
    let tree = app.node.store.tree();
    let root = if tree_size == head.position { head.frontier } else { tree.frontier(tree_size).await? }.root();
    let hashes = tree.inclusion(position - 1, tree_size).await?;
    Ok(Json(InclusionProof {
        position,
        leaf_index: position - 1,
        tree_size,
        root_hash: BASE64.encode(root),
        hashes: encoded(&hashes),
    }))
}

/// Proves that the tree of the first events is the beginning of a later one, so that nothing was changed in between.
#[utoipa::path(get, path = "/audit/proofs/consistency", operation_id = "proveConsistency", tag = TAG,
    params(
        ("from" = u64, Query, minimum = 1, description = "Number of events in the earlier tree."),
        ("to" = Option<u64>, Query, minimum = 1, description = "Number of events in the later tree; all there are without."),
    ),
    responses((status = 200, description = "The proof.", body = ConsistencyProof),
        BadRequest, Unauthorized, Forbidden, NotFound, Unavailable))]
pub(super) async fn prove_consistency(
    State(app): State<AppState>,
    _caller: Caller,
    Parameters(asked): Parameters<ConsistencyParameters>,
) -> Result<Json<ConsistencyProof>, ApiError> {
    let head = app.node.journal.head().await?;
    let (from, to) = (asked.from, asked.to.unwrap_or(head.position));
    if from > head.position || to > head.position {
        return Err(ApiError::NotFound(NOT_REACHED));
    }
    let tree = app.node.store.tree();
    let (from_root, to_root) = (tree.frontier(from).await?.root(), tree.frontier(to).await?.root());
    let hashes = tree.consistency(from, to).await?;
    Ok(Json(ConsistencyProof {
        from,
        to,
        from_root_hash: BASE64.encode(from_root),
        to_root_hash: BASE64.encode(to_root),
        hashes: encoded(&hashes),
    }))
}

/// Tenancy follows the organization that the event carried when it was written.
async fn belongs_to(app: &AppState, position: u64, organization: &str) -> Result<(), ApiError> {
    let theirs = EventFilter { organization_id: Some(organization.to_owned()), ..EventFilter::default() };
    let one = Portion { events: 1, bytes: usize::MAX };
    let found = app.node.journal.select(&theirs, position - 1, position, one).await?;
    if found.events.is_empty() { Err(ApiError::NotFound("There is no such event")) } else { Ok(()) }
}
