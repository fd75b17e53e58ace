//! The `deleted_organizations` read model: one document per deleted organization. Groups and individuals of such an
//! organization are not removed with it, since they may be more than one commit can write; lists across all
//! organizations use this collection to exclude them.

use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::organization::OrganizationEvent;
use registrar_aggregates::values::OrganizationId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "deleted_organizations" of DeletedOrganizationDocument, hot: false, id: |organization| organization.id.to_string();
    sorts {
        /// By identifier.
        pub BY_ID = [];
    }
}

/// A deleted organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedOrganizationDocument {
    /// The organization.
    pub id: OrganizationId,
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let DomainEvent::Organization(OrganizationEvent::Deleted { .. }) = &*event.event else { return Ok(()) };
    match Uuid::try_parse(&event.aggregate_id) {
        Ok(id) => documents.insert(DeletedOrganizationDocument { id: OrganizationId(id) }),
        // The identifiers of organizations are UUIDs; another one has no document.
        Err(_) => Ok(()),
    }
}
