//! Short links: codes are drawn here, and links created and amended. Their visits are in [`super::visits`].

pub use registrar_aggregates::processes::url_shorteners::LinkRef;

use super::{DirectoryError, ProcessResult, commit};
use crate::executor::RequestContext;
use crate::journal::JournalError;
use crate::node::Node;
use crate::vault::random;
use registrar_aggregates::processes::url_shorteners as rules;
use registrar_aggregates::url_shortener::{Amendment, Limits, NewLink, ShortCode};

/// Draws of a code. Beside a million links one draw in a hundred million meets the code of another link.
const DRAWS_MAX: usize = 8;

/// Creates a link with a new code.
///
/// # Errors
/// `Invalid`; refusals of an organization that takes no additions.
pub async fn create(node: &Node, context: &RequestContext, new: NewLink, limits: Limits) -> ProcessResult {
    let context = context.within(new.organization_id);
    for _ in 0..DRAWS_MAX {
        let code = ShortCode::of(u64::from_ne_bytes(random()));
        match commit(node, &context, |streams| rules::create(streams, &new, &code, &limits)).await {
            Err(DirectoryError::Journal(JournalError::ClaimTaken { .. })) => {}
            done => return done,
        }
    }
    Err(JournalError::VersionConflict.into())
}

/// Changes the target or the end of a link.
///
/// # Errors
/// `NotFound`, `Invalid`; `VersionConflict` if the link is not at the `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    link: LinkRef,
    amendment: Amendment,
    limits: Limits,
    expected: Option<u64>,
) -> ProcessResult {
    let context = context.within(link.organization);
    commit(node, &context, |streams| rules::amend(streams, link, &amendment, &limits, expected)).await
}
