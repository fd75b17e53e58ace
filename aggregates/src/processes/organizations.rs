//! Checks of an organization within a process, so that no addition passes a concurrently committed retirement or
//! deletion; and the handles of new organizations.

use super::{Need, Step, Streams};
use crate::organization::Organization;
use crate::text;
use crate::values::OrganizationId;

/// Longest handle made from a name, in characters; a part of the identifier may follow.
const MADE_LENGTH_MAX: usize = 200;

/// Refuses additions to an organization that does not exist or is retired.
///
/// # Errors
/// `NotFound`, `Retired`.
pub(super) fn check_takes_additions(streams: &mut Streams, organization: OrganizationId) -> Step<()> {
    Ok(streams.state::<Organization>(organization)?.check_takes_additions()?)
}

/// Whether the organization exists.
pub(super) fn exists(streams: &mut Streams, organization: OrganizationId) -> Result<bool, Need> {
    Ok(streams.state::<Organization>(organization)?.profile().is_some())
}

/// Candidate handles for a new organization, best first: the given one, or those made from its name, with an increasing
/// part of its identifier. At least one.
#[must_use]
pub fn handles(given: Option<String>, name: &str, id: OrganizationId) -> Vec<String> {
    if let Some(given) = given {
        return vec![given];
    }
    let (made, id) = (handle(name), id.0.simple().to_string());
    let short: String = id.chars().rev().take(8).collect();
    vec![made.clone(), format!("{made}-{short}"), format!("{made}-{id}")]
}

/// A handle made from a name: letters and digits, folded, hyphens for everything else.
fn handle(name: &str) -> String {
    let folded = text::fold(name);
    let words: Vec<_> = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let handle: String = words.join("-").chars().take(MADE_LENGTH_MAX).collect();
    if handle.is_empty() { "organization".to_owned() } else { handle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_handle_is_derived_from_the_name_of_an_organization() {
        assert_eq!(handle("Acme Clinics, Inc."), "acme-clinics-inc");
        assert_eq!(handle("Straße 7"), "strasse-7");
        assert_eq!(handle("  -- "), "organization");
        assert_eq!(handle(&"x".repeat(300)).len(), MADE_LENGTH_MAX);
    }

    #[test]
    fn a_made_handle_that_is_taken_is_followed_by_the_identifier() {
        let id = OrganizationId(Uuid::from_u128(0x1234_5678));
        let made = ["acme", "acme-87654321", "acme-00000000000000000000000012345678"];
        assert_eq!(handles(None, "Acme", id), made);
        assert_eq!(handles(Some("own".into()), "Acme", id), ["own"]);
    }
}
