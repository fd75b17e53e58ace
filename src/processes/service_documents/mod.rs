//! Documents that people agree to before they go on, such as terms of use: their publication, and the versions that a
//! session asks for.
//!
//! Sign-in and refresh look up two small documents, which are cached: the current versions for all people, and those of
//! the session's organization. The texts are elsewhere.

mod html;
mod import;

pub use html::{FILE_BYTES_MAX, read_file, translation};
pub use import::{ImportError, import, import_once_rebuilt};

use super::{DirectoryError, ProcessResult, Refusal, commit};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::read_store::Documents;
use registrar_aggregates::processes::service_documents as rules;
use registrar_aggregates::service_document::{Publication, ServiceDocumentError};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::UserDocument;
use registrar_projections::service_documents::{CurrentDocuments, CurrentVersion, owner_key};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Publishes versions of documents, all or none.
///
/// # Errors
/// `AlreadyPublished`, `Unfit`; refusals of an organization that does not exist or is retired.
pub async fn publish(node: &Node, context: &RequestContext, publications: &[Publication]) -> ProcessResult {
    match commit(node, context, |streams| rules::publish(streams, publications)).await {
        Err(DirectoryError::Journal(JournalError::ClaimTaken { .. })) => {
            Err(Refusal::ServiceDocument(ServiceDocumentError::AlreadyPublished).into())
        }
        done => done,
    }
}

/// The current versions of the documents that concern a session.
pub struct ServiceDocuments(Vec<Arc<CurrentDocuments>>);

impl ServiceDocuments {
    /// Those for all people, and those of the session's organization.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn of_session(documents: &Documents, organization: Option<OrganizationId>) -> JournalResult<Self> {
        let owners = std::iter::once(None).chain(organization.map(Some)).map(owner_key);
        Ok(ServiceDocuments(documents.find_all(owners).await?))
    }

    /// Whether a current version has this identifier.
    #[must_use]
    pub fn has(&self, id: Uuid) -> bool {
        self.versions().any(|version| version.id.0 == id)
    }

    /// Binding versions that a user has not agreed to, including in this request. Agreement to another version does not
    /// count.
    #[must_use]
    pub fn missing(&self, user: &UserDocument, agreed_now: &BTreeSet<Uuid>) -> Vec<Uuid> {
        self.missing_unless(|id| user.agreements.contains(id) || agreed_now.contains(id))
    }

    /// Binding versions that are not among the agreed ones.
    #[must_use]
    pub fn missing_beside(&self, agreed: &BTreeSet<Uuid>) -> Vec<Uuid> {
        self.missing_unless(|id| agreed.contains(id))
    }

    fn missing_unless(&self, agreed: impl Fn(&Uuid) -> bool) -> Vec<Uuid> {
        let binding = self.versions().filter(|version| version.binding).map(|version| version.id.0);
        binding.filter(|id| !agreed(id)).collect()
    }

    fn versions(&self) -> impl Iterator<Item = &CurrentVersion> {
        self.0.iter().flat_map(|current| current.versions.values())
    }
}
