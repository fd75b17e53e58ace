//! Templates of messages: create and change them.

use super::{ProcessResult, commit};
use crate::executor::RequestContext;
use crate::messages::templates::check;
use crate::node::Node;
use registrar_aggregates::message::template::{Amendment, Owner, Template};
use registrar_aggregates::processes::templates as rules;
use registrar_aggregates::values::MessageTemplateId;
use registrar_projections::message_templates::MessageTemplateDocument;

/// Creates a template.
///
/// # Errors
/// `NotFound` and `Retired` for its organization; `Unfit`; `ClaimTaken` if the owner has one for this purpose.
pub async fn create(node: &Node, context: &RequestContext, id: MessageTemplateId, template: Template) -> ProcessResult {
    let context = belonging(context, template.owner);
    commit(node, &context, |streams| rules::create(streams, id, &template, check)).await
}

/// Changes a template.
///
/// # Errors
/// `Unfit`; `ClaimTaken` if the owner has one for this purpose; `VersionConflict` if the template is not at the
/// `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    template: &MessageTemplateDocument,
    amendment: Amendment,
    expected: Option<u64>,
) -> ProcessResult {
    let context = belonging(context, template.template.owner);
    commit(node, &context, |streams| rules::amend(streams, template.id, &amendment, expected, check)).await
}

/// Templates of an organization belong to it, those of a theme to the system.
fn belonging(context: &RequestContext, owner: Owner) -> RequestContext {
    context.belonging_to(match owner {
        Owner::Organization(organization) => Some(organization),
        Owner::Theme(_) => None,
    })
}
