//! The read models of documents that people agree to: the published versions ([`PublishedDocument`]), their texts
//! ([`DocumentTexts`]), and the current versions of each owner ([`CurrentDocuments`]), by which sign-in goes: one small
//! document for all people, and one for each organization that has published any.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use crate::state_document;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::service_document::{Publication, ServiceDocumentEvent, Translation};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{OrganizationId, ServiceDocumentId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The owner of documents as a key: the identifier of the organization, or `system` for documents for all people.
#[must_use]
pub fn owner_key(organization: Option<OrganizationId>) -> String {
    organization.map_or_else(|| "system".to_owned(), |organization| organization.to_string())
}

/// A published version, without its texts: lists do not read them.
pub type PublishedDocument = Stamped<PublishedVersion>;

crate::collection! {
    "service_documents" of PublishedDocument, hot: false, id: |document| document.id.to_string();
    keys {
        /// Finds the documents of an owner, by its [`owner_key`].
        pub OWNER: Text = |document| owner_key(document.organization_id);
        CREATED_AT: Text = |document| time_key(document.created_at);
    }
    indexes { [OWNER, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedVersion {
    /// Identifier of the version.
    pub id: ServiceDocumentId,
    /// The organization whose people the document is for; `None` for all people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Name of the document, the same in all its versions.
    pub name: String,
    /// Number of the version.
    pub number: u32,
    /// Whether agreement is required to go on.
    pub binding: bool,
    /// Titles by language, that of the main language first.
    pub titles: Vec<Title>,
}

/// The title of a document in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Title {
    /// Language of the text.
    pub locale: Locale,
    /// The title.
    pub title: String,
}

impl AggregateState for PublishedVersion {
    type Event = ServiceDocumentEvent;

    fn create(_: &RecordedEvent, change: &ServiceDocumentEvent) -> Option<Self> {
        let ServiceDocumentEvent::Published(publication) = change;
        let title = |text: &Translation| Title { locale: text.locale, title: text.title.clone() };
        Some(PublishedVersion {
            id: publication.id,
            organization_id: publication.organization_id,
            name: publication.name.clone(),
            number: publication.version,
            binding: publication.binding,
            titles: publication.translations.iter().map(title).collect(),
        })
    }

    fn change(self, _: &RecordedEvent, _: &ServiceDocumentEvent) -> Option<Self> {
        // A version has one event.
        Some(self)
    }
}

crate::collection! { "service_document_texts" of DocumentTexts, hot: false, id: |texts| texts.id.to_string(); }

/// The texts of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentTexts {
    /// Identifier of the version.
    pub id: ServiceDocumentId,
    /// The text in each language, the main language first.
    pub translations: Vec<Translation>,
}

impl DocumentTexts {
    /// The text in the wanted language, else in the main one; `None` for a document without a text.
    #[must_use]
    pub fn text(&self, wanted: Option<&str>) -> Option<&Translation> {
        let found = self.translations.iter().find(|text| Some(text.locale.name()) == wanted);
        found.or_else(|| self.translations.first())
    }
}

crate::collection! {
    "current_service_documents" of CurrentDocuments, hot: false, id: |current| owner_key(current.organization_id);
}

/// The current versions of an owner's documents: of each name the one with the highest number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentDocuments {
    /// The organization whose people the documents are for; `None` for all people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// The current versions by the names of their documents.
    pub versions: BTreeMap<String, CurrentVersion>,
}

/// The current version of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentVersion {
    /// Identifier of the version.
    pub id: ServiceDocumentId,
    /// Number of the version.
    pub number: u32,
    /// Whether agreement is required to go on.
    pub binding: bool,
}

impl CurrentDocuments {
    /// Takes note of a version, which may be older than the known one.
    fn publish(&mut self, publication: &Publication) {
        let Publication { id, name, version: number, binding, .. } = publication;
        if self.versions.get(name).is_none_or(|known| known.number < *number) {
            let version = CurrentVersion { id: *id, number: *number, binding: *binding };
            self.versions.insert(name.clone(), version);
        }
    }
}

fn published(event: &RecordedEvent) -> Option<&Publication> {
    match &*event.event {
        DomainEvent::ServiceDocument(ServiceDocumentEvent::Published(publication)) => Some(publication),
        _ => None,
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let owner = published(event).map(|publication| owner_key(publication.organization_id));
    owner.map(DocumentKey::of::<CurrentDocuments>).into_iter().collect()
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let Some(publication) = published(event) else { return Ok(()) };
    state_document::fold::<PublishedDocument>(event, documents)?;
    documents.insert(DocumentTexts { id: publication.id, translations: publication.translations.clone() })?;
    let (organization_id, owner) = (publication.organization_id, owner_key(publication.organization_id));
    if documents.get::<CurrentDocuments>(&owner)?.is_none() {
        documents.insert(CurrentDocuments { organization_id, versions: BTreeMap::new() })?;
    }
    documents.update::<CurrentDocuments>(&owner, |current| current.publish(publication))
}
