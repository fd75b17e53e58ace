//! The circumstances of commands.

use crate::committer::idempotency::AnswerSlot;
use registrar_aggregates::Metadata;
use registrar_aggregates::values::OrganizationId;
use std::sync::Arc;

/// The circumstances of a command.
#[derive(Clone)]
pub struct RequestContext {
    /// Metadata recorded with every event.
    pub metadata: Metadata,
    /// Slot for the stored answer, for a request with an idempotency key.
    pub answer: Option<Arc<AnswerSlot>>,
}

impl RequestContext {
    /// A context for an act of the server itself, with a new request id.
    #[must_use]
    pub fn system() -> Self {
        RequestContext { metadata: Metadata::system(uuid::Uuid::now_v7().to_string()), answer: None }
    }

    /// Whether the actor represents another principal. Such actors change no address, password, second factor or role:
    /// [`Executor::append`](super::Executor::append) refuses the events.
    #[must_use]
    pub fn acts_for_another(&self) -> bool {
        self.metadata.on_behalf_of.is_some()
    }

    /// The context of a command on a resource of an organization: its events are the organization's, even if the
    /// caller acts in another one.
    #[must_use]
    pub fn within(&self, organization: OrganizationId) -> Self {
        self.belonging_to(Some(organization))
    }

    /// As [`RequestContext::within`], for a resource that may belong to the system.
    #[must_use]
    pub fn belonging_to(&self, organization: Option<OrganizationId>) -> Self {
        let mut context = self.clone();
        context.metadata.organization_id = organization.map(|organization| organization.to_string());
        context
    }
}
