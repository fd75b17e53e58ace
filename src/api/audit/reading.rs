//! Reading is an event itself.

use crate::api::AppState;
use crate::api::common::{ApiError, Caller};
use registrar_aggregates::audit_access::AuditAccessEvent;
use std::collections::BTreeMap;

/// Puts on record what `caller` is about to read and with which filters, and returns the position of that fact. Call
/// it once nothing can be refused any more, and before anything is answered.
///
/// # Errors
/// `Unavailable`; nothing may be answered then.
pub async fn record(
    app: &AppState,
    caller: &Caller,
    what: &str,
    filters: BTreeMap<String, String>,
) -> Result<u64, ApiError> {
    let reading = AuditAccessEvent::TrailRead { trail: what.to_owned(), filters };
    let recorded = app.node.executor.record(&caller.context, &caller.principal.actor.id, vec![reading]).await?;
    // The last event of all that were committed together; its own stands at most there.
    Ok(recorded.events.last().map_or(recorded.position, |event| event.position))
}
