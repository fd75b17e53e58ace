//! Documents of `REGISTRAR_SERVICE_DOCUMENTS`, a file that earlier releases read at every start: published once, with
//! the identifiers that people have agreed to. The documents of the journal count from then on.

use super::{html, publish};
use crate::access::is_in_force;
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::node::Node;
use crate::processes::{DirectoryError, Refusal};
use registrar_aggregates::service_document::{Publication, ServiceDocumentError};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{OrganizationId, ServiceDocumentId};
use registrar_projections::service_documents::{BY_CREATION, PublishedDocument};
use registrar_projections::{Direction, OrganizationDocument, Query};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Interval at which a node looks whether its documents are rebuilt: short, since people sign in from then on.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// Pause after a failed attempt.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Reason why the documents of the file were not published.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be used.
    #[error("REGISTRAR_SERVICE_DOCUMENTS {path} cannot be used: {problem}")]
    File {
        /// The file.
        path: String,
        /// Defect of the file.
        problem: String,
    },
    /// A document was refused, or the journal failed.
    #[error("the documents of REGISTRAR_SERVICE_DOCUMENTS were not published")]
    Directory(#[from] DirectoryError),
}

/// A document of the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ListedDocument {
    id: ServiceDocumentId,
    name: String,
    version: u32,
    #[serde(default)]
    binding: bool,
    #[serde(default)]
    organization_id: Option<OrganizationId>,
    /// The text by language, as HTML; earlier releases had none.
    #[serde(default)]
    html: BTreeMap<Locale, String>,
}

impl From<ListedDocument> for Publication {
    fn from(listed: ListedDocument) -> Self {
        let ListedDocument { id, name, version, binding, organization_id, html } = listed;
        let texts = html.iter().map(|(locale, page)| html::translation(*locale, &name, page));
        let translations = texts.collect();
        Publication { id, organization_id, name, version, binding, translations }
    }
}

/// Publishes the documents of a file, if none was ever published. Otherwise the file is not read.
///
/// Documents of organizations that do not exist or are retired concern no session, and are left out.
///
/// # Errors
/// [`ImportError`]; nothing is published then.
pub async fn import(node: &Node, path: &Path) -> Result<(), ImportError> {
    if is_any_published(node).await.map_err(DirectoryError::from)? {
        tracing::info!("REGISTRAR_SERVICE_DOCUMENTS is ignored: documents were published before");
        return Ok(());
    }
    let listed = read(path).map_err(|problem| ImportError::File { path: path.display().to_string(), problem })?;
    let mut publications = Vec::with_capacity(listed.len());
    for document in listed {
        if concerns_sessions(node, &document).await.map_err(DirectoryError::from)? {
            publications.push(Publication::from(document));
        } else {
            let (document, organization) = (document.id, document.organization_id);
            tracing::warn!(%document, ?organization, "a document of an unknown or retired organization is left out");
        }
    }
    if publications.is_empty() {
        return Ok(());
    }
    match publish(node, &RequestContext::system(), &publications).await {
        Ok(_) => {
            let documents = publications.len();
            tracing::info!(
                documents,
                "the documents of REGISTRAR_SERVICE_DOCUMENTS are published; later it is ignored"
            );
            Ok(())
        }
        Err(error) => {
            let published = Refusal::ServiceDocument(ServiceDocumentError::AlreadyPublished);
            let lost_race = matches!(&error, DirectoryError::Refused(refusal) if *refusal == published);
            // Lost race: another node that starts has published them.
            if lost_race && is_any_published(node).await.map_err(DirectoryError::from)? {
                return Ok(());
            }
            Err(error.into())
        }
    }
}

/// As [`import`], on a node whose read models are of another release: once they are rebuilt, since nothing is looked up
/// or committed before. A failed attempt is repeated, unless the file is at fault.
pub async fn import_once_rebuilt(node: Arc<Node>, path: PathBuf) {
    loop {
        while node.needs_rebuild() {
            tokio::time::sleep(LOOK_AROUND).await;
        }
        match import(&node, &path).await {
            Ok(()) => return,
            Err(error @ (ImportError::File { .. } | ImportError::Directory(DirectoryError::Refused(_)))) => {
                tracing::error!(error = &error as &dyn Error, "the service documents are not published");
                return;
            }
            Err(error) => tracing::warn!(error = &error as &dyn Error, "the service documents are not published yet"),
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

async fn is_any_published(node: &Node) -> JournalResult<bool> {
    let one = Query::<PublishedDocument>::sorted(&BY_CREATION, Direction::Ascending).uncounted().page(0, 1);
    Ok(!node.documents.page(one).await?.value.items.is_empty())
}

async fn concerns_sessions(node: &Node, document: &ListedDocument) -> JournalResult<bool> {
    let Some(organization) = document.organization_id else { return Ok(true) };
    let found = node.documents.find::<OrganizationDocument>(&organization.to_string()).await?.value;
    Ok(is_in_force(found.as_deref()))
}

fn read(path: &Path) -> Result<Vec<ListedDocument>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
