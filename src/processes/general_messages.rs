//! Acts on general messages of organizations; see [`registrar_aggregates::processes::general_messages`].

use super::{ProcessResult, commit};
use crate::executor::RequestContext;
use crate::node::Node;
use registrar_aggregates::general_message::Message;
use registrar_aggregates::processes::general_messages as rules;

/// Creates a message.
///
/// # Errors
/// Refusals of an organization that takes no additions, and of the message; `ClaimTaken` for a name that the
/// organization has in this locale already.
pub async fn create(node: &Node, context: &RequestContext, new: &Message) -> ProcessResult {
    let context = context.within(new.organization_id);
    commit(node, &context, |streams| rules::create(streams, new)).await
}

/// Replaces the text of a `present` message.
///
/// # Errors
/// `NotFound` if its organization was deleted meanwhile; `Unfit`; `VersionConflict` if it is not at the `expected`
/// version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    present: &Message,
    message: &str,
    expected: Option<u64>,
) -> ProcessResult {
    let context = context.within(present.organization_id);
    commit(node, &context, |streams| rules::amend(streams, present.id, message, expected)).await
}
