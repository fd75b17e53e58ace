//! Tasks: what became of work that goes on after its request was answered.

use super::call::{Answered, Call};
use super::documents::{Reply, Resource};
use super::times;
use crate::api::common::ApiError;
use registrar_projections::tasks::TaskDocument;
use serde_json::json;

/// There is no such task, or none that the caller may see.
const NO_TASK: ApiError = ApiError::NotFound("Task not found");

pub(super) async fn get(call: Call) -> Answered {
    let id = call.path_id(NO_TASK)?;
    let task = call.documents().find::<TaskDocument>(&id.to_string()).await?.value;
    let task = task.filter(|task| call.access().task(&call.holder, task)).ok_or(NO_TASK)?;
    let attributes = json!({
        "state": task.state.name(),
        "created-time": times::write(task.created_at),
        "finished-time": task.finished_at.map(times::write),
        "error": task.error,
    });
    Ok(Reply::found(Resource::new("tasks", task.id, attributes)))
}
