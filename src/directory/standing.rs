//! The state of the organization that a process is about, so that no addition passes a retirement or a deletion that is
//! committed at the same time.

use super::{Step, refused};
use crate::executor::Together;
use registrar_aggregates::organization::Organization;
use registrar_aggregates::values::OrganizationId;

/// Refuses additions to an organization that is not there or retired.
///
/// # Errors
/// `NotFound`, `Retired`.
pub(super) async fn check_takes_additions(together: &mut Together<'_>, organization: OrganizationId) -> Step<()> {
    let state = together.state::<Organization>(&organization.to_string()).await?;
    state.check_takes_additions().or_else(refused)
}

/// Whether there is an organization.
pub(super) async fn exists(together: &mut Together<'_>, organization: OrganizationId) -> Step<bool> {
    Ok(together.state::<Organization>(&organization.to_string()).await?.profile().is_some())
}
