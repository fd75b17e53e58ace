//! Registration of organizations: each gets a unique handle.

use super::ProcessResult;
use crate::executor::{ExecuteError, Outcome, RequestContext};
use crate::journal::JournalError;
use crate::node::Node;
use registrar_aggregates::organization::{
    Content, Organization, OrganizationCommand, OrganizationError, Stamp, Tenancy,
};
use registrar_aggregates::processes::organizations::handles;
use registrar_aggregates::values::OrganizationId;

/// Registers an organization. Without a handle it gets one made from its name, with a distinguishing suffix if that is
/// taken.
///
/// # Errors
/// Refusals of the organization; `ClaimTaken` for a given handle that another one has.
pub async fn register(
    node: &Node,
    context: &RequestContext,
    id: OrganizationId,
    mut content: Content,
    stamp: Stamp,
) -> Result<Outcome, ExecuteError<OrganizationError>> {
    let given = content.tenancy.as_ref().and_then(|tenancy| tenancy.handle.clone());
    let candidates = handles(given, &content.name, id);
    let last = candidates.len() - 1;
    for (index, handle) in candidates.into_iter().enumerate() {
        let tenancy = content.tenancy.get_or_insert_with(Tenancy::default);
        tenancy.handle = Some(handle);
        let command = OrganizationCommand::Register { id, content: Box::new(content.clone()), stamp: stamp.clone() };
        match node.executor.execute::<Organization>(context, &id.to_string(), command, None).await {
            Err(ExecuteError::Journal(JournalError::ClaimTaken { .. })) if index < last => {}
            done => return done,
        }
    }
    Err(JournalError::VersionConflict.into())
}

/// Amends an organization as a tenant.
///
/// # Errors
/// Refusals of the organization; `ClaimTaken` for a handle that another one has; `VersionConflict` if it is not at the
/// `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    id: OrganizationId,
    amendment: registrar_aggregates::organization::TenancyAmendment,
    expected: Option<u64>,
) -> ProcessResult {
    let stamp = Stamp::at(chrono::Utc::now());
    let command = OrganizationCommand::AmendTenancy { amendment: Box::new(amendment), stamp };
    Ok(node.executor.execute::<Organization>(&context.within(id), &id.to_string(), command, expected).await?)
}
