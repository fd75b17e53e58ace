//! Documents that people agree to before they go on, such as terms of use: published by the operator, as a file that is
//! read at start.

use registrar_aggregates::values::OrganizationId;
use registrar_projections::UserDocument;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use uuid::Uuid;

/// One version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceDocument {
    /// Identifier of this version.
    pub id: Uuid,
    /// Name of the document, the same in all its versions.
    pub name: String,
    /// Number of the version; the highest one counts.
    pub version: u32,
    /// Whether agreement is required to go on.
    #[serde(default)]
    pub binding: bool,
    /// The organization whose people it is for; `None` for all people.
    #[serde(default)]
    pub organization_id: Option<Uuid>,
}

/// All documents, in their latest versions.
#[derive(Debug, Clone, Default)]
pub struct ServiceDocuments(BTreeMap<(Option<Uuid>, String), ServiceDocument>);

impl ServiceDocuments {
    /// Reads the documents from a file: a JSON array.
    ///
    /// # Errors
    /// A text that describes the defect of the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let documents: Vec<ServiceDocument> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(documents.into_iter().collect())
    }

    /// Whether a latest version has this identifier.
    #[must_use]
    pub fn has(&self, id: Uuid) -> bool {
        self.0.values().any(|document| document.id == id)
    }

    /// Binding documents that a user has not agreed to, including in this request.
    #[must_use]
    pub fn missing(&self, user: &UserDocument, agreed_now: &BTreeSet<Uuid>) -> Vec<Uuid> {
        let concerns = |document: &ServiceDocument| {
            let member = |id| user.memberships.contains_key(&OrganizationId(id));
            document.binding && document.organization_id.is_none_or(member)
        };
        let agreed = |id: &Uuid| user.agreements.contains(id) || agreed_now.contains(id);
        self.0.values().filter(|document| concerns(document) && !agreed(&document.id)).map(|found| found.id).collect()
    }
}

impl FromIterator<ServiceDocument> for ServiceDocuments {
    fn from_iter<I: IntoIterator<Item = ServiceDocument>>(documents: I) -> Self {
        let mut latest: BTreeMap<_, ServiceDocument> = BTreeMap::new();
        for document in documents {
            let key = (document.organization_id, document.name.clone());
            if latest.get(&key).is_none_or(|known| known.version < document.version) {
                latest.insert(key, document);
            }
        }
        ServiceDocuments(latest)
    }
}
