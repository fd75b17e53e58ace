//! Tasks: progress of work that continues after its response.

use super::call::{Call, HandlerResult};
use super::documents::{Reply, Resource};
use super::times;
use registrar_projections::tasks::TaskDocument;
use serde_json::json;

pub(super) async fn get(call: Call) -> HandlerResult {
    let task = call.load::<TaskDocument>(()).await?;
    let attributes = json!({
        "state": task.progress.name(),
        "created-time": times::write(task.created_at),
        "finished-time": task.finished_at.map(times::write),
        "error": task.error,
    });
    Ok(Reply::found(Resource::new("tasks", task.id, attributes)))
}
