//! The `roles` read model: the built-in roles of every organization, so that a role can be looked up by its identifier.
//! System roles are the same everywhere and are defined in the domain.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::organization::OrganizationEvent;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::OrganizationId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "roles" of RoleDocument, hot: false, id: |role| role.id.to_string();
    keys {
        /// Finds the roles of an organization.
        pub ORGANIZATION_ID: Text = |role| role.organization_id.to_string();
        NAME: Text = |role| role.role.name().to_owned();
    }
    indexes { [ORGANIZATION_ID, NAME] }
    sorts {
        /// By name.
        pub BY_NAME = [NAME];
    }
}

/// A role of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleDocument {
    /// Identifier of the role.
    pub id: Uuid,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The built-in role.
    pub role: Role,
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let DomainEvent::Organization(OrganizationEvent::Deleted { .. }) = &*event.event else { return vec![] };
    let Ok(organization) = Uuid::try_parse(&event.aggregate_id).map(OrganizationId) else { return vec![] };
    Role::ALL.map(|role| DocumentKey::of::<RoleDocument>(role.id(organization).to_string())).into()
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    match &*event.event {
        DomainEvent::Organization(OrganizationEvent::Registered(profile)) => {
            let organization_id = profile.id;
            Role::ALL.into_iter().try_for_each(|role| {
                documents.insert(RoleDocument { id: role.id(organization_id), organization_id, role })
            })
        }
        DomainEvent::Organization(OrganizationEvent::Deleted { .. }) => {
            wants(event).into_iter().try_for_each(|key| documents.remove::<RoleDocument>(&key.id))
        }
        _ => Ok(()),
    }
}
