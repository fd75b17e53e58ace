//! Sign-up codes of organizations: they are created, amended, and found by the people who know one.

mod enrollment;

pub use enrollment::{check_enrollment, check_schema};

use super::{ProcessResult, commit};
use crate::access::is_in_force;
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::node::Node;
use chrono::Utc;
use registrar_aggregates::organization_code::{Amendment, CodeSpelling, OrganizationCodeId, Terms};
use registrar_aggregates::processes::organization_codes as rules;
use registrar_projections::OrganizationDocument;
use registrar_projections::organization_codes::OrganizationCodeDocument;
use std::sync::Arc;

/// Creates a code.
///
/// # Errors
/// `AlreadyExists`; `UnknownGroup`, `UnfitGroup`, `UnfitForm`; refusals of an organization that takes no additions.
pub async fn create(node: &Node, context: &RequestContext, spelling: CodeSpelling, terms: Terms) -> ProcessResult {
    let context = context.within(terms.organization_id);
    commit(node, &context, |streams| rules::create(streams, &spelling, &terms, check_schema)).await
}

/// Changes a code for later sign-ups.
///
/// # Errors
/// `NotFound`; `UnknownGroup`, `UnfitGroup`, `UnfitForm`; `VersionConflict` if the code is not at the `expected`
/// version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    code: &OrganizationCodeDocument,
    amendment: Amendment,
    expected: Option<u64>,
) -> ProcessResult {
    let context = context.within(code.terms.organization_id);
    commit(node, &context, |streams| rules::amend(streams, &code.id, &amendment, expected, check_schema)).await
}

/// The code that a text spells in any case, if people may sign up by it: it has not expired, and its organization is
/// neither retired nor deleted.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn open(node: &Node, code: &str) -> JournalResult<Option<Arc<OrganizationCodeDocument>>> {
    let Ok(id) = OrganizationCodeId::parse(code) else { return Ok(None) };
    // Asks for the end of the journal once.
    let documents = node.documents.of_now();
    let found = documents.find::<OrganizationCodeDocument>(id.as_str()).await?.value;
    let Some(code) = found.filter(|code| code.terms.is_open(Utc::now())) else { return Ok(None) };
    let organization = code.terms.organization_id.to_string();
    let organization = documents.find::<OrganizationDocument>(&organization).await?.value;
    Ok(is_in_force(organization.as_deref()).then_some(code))
}
