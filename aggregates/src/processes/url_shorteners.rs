//! Short links of an organization: a retired one gets no further links, those of a deleted one are unknown.

use super::organizations::{check_takes_additions, exists};
use super::{Step, Streams, check_version, refused};
use crate::url_shortener::{
    Amendment, Limits, NewLink, ShortCode, UrlShortener, UrlShortenerCommand, UrlShortenerError,
};
use crate::values::{OrganizationId, UrlShortenerId};

/// A short link with its organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The link.
    pub id: UrlShortenerId,
}

/// Creates a link.
///
/// # Errors
/// `Invalid`; `NotFound` and `Retired` of the organization.
pub fn create(streams: &mut Streams, new: &NewLink, code: &ShortCode, limits: &Limits) -> Step<()> {
    let command = UrlShortenerCommand::Create { new: new.clone(), code: code.clone(), limits: limits.clone() };
    streams.execute::<UrlShortener>(new.id, command)?;
    check_takes_additions(streams, new.organization_id)
}

/// Changes a link, also of a retired organization.
///
/// # Errors
/// `NotFound`, `Invalid`; `OtherVersion` if the link is not at the `expected` version.
pub fn amend(
    streams: &mut Streams,
    link: LinkRef,
    amendment: &Amendment,
    limits: &Limits,
    expected: Option<u64>,
) -> Step<()> {
    if !exists(streams, link.organization)? {
        return refused(UrlShortenerError::NotFound);
    }
    check_version::<UrlShortener>(streams, link.id, expected)?;
    let command = UrlShortenerCommand::Amend { amendment: amendment.clone(), limits: limits.clone() };
    streams.execute::<UrlShortener>(link.id, command)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::OrganizationError;
    use crate::processes::testing::*;
    use crate::url_shortener::target::{LinkHosts, Target};
    use crate::url_shortener::{Link, UrlShortenerEvent};
    use crate::values::Problem;
    use uuid::Uuid;

    const LINK: LinkRef = LinkRef { organization: ACME, id: UrlShortenerId(Uuid::from_u128(1)) };

    fn limits() -> Limits {
        Limits { hosts: LinkHosts::parse("links.example.org").expect("a host"), now: at(0) }
    }

    fn new(netloc: &str) -> NewLink {
        let (netloc, full_path) = (netloc.to_owned(), "/a".to_owned());
        NewLink { id: LINK.id, organization_id: ACME, netloc, full_path, expires_at: None }
    }

    fn created() -> History {
        let target = Target { netloc: "links.example.org".into(), full_path: "/a".into() };
        let link = Link { organization_id: ACME, code: ShortCode::of(1), target, expires_at: None };
        events::<UrlShortener>(LINK.id, [UrlShortenerEvent::Created { id: LINK.id, link }])
    }

    fn create_at(organizations: impl IntoIterator<Item = History>, netloc: &str) -> ProcessOutcome {
        given(organizations).when(|streams| create(streams, &new(netloc), &ShortCode::of(1), &limits()))
    }

    fn ended_tomorrow() -> Amendment {
        Amendment { expires_at: Some(Some(at(86_400))), ..Amendment::default() }
    }

    #[test]
    fn an_organization_gets_a_link_until_it_ends() {
        create_at([organization(ACME)], "links.example.org").then([created()]);
        create_at([retired(ACME)], "links.example.org").then_refused(OrganizationError::Retired);
        create_at([deleted(ACME)], "links.example.org").then_refused(OrganizationError::NotFound);
        create_at([], "links.example.org").then_refused(OrganizationError::NotFound);
    }

    #[test]
    fn an_invalid_target_is_refused_before_the_end_of_an_organization() {
        let refusal = UrlShortenerError::Invalid(vec![Problem::UnlistedHost.of("netloc")]);
        create_at([retired(ACME)], "evil.example").then_refused(refusal);
    }

    #[test]
    fn a_link_is_amended_until_its_organization_is_deleted() {
        let amend_in = |organization| {
            given([organization, created()]).when(|streams| amend(streams, LINK, &ended_tomorrow(), &limits(), Some(1)))
        };
        let target = Target { netloc: "links.example.org".into(), full_path: "/a".into() };
        let amended = UrlShortenerEvent::Amended { target, expires_at: Some(at(86_400)) };
        amend_in(organization(ACME)).then([events::<UrlShortener>(LINK.id, [amended.clone()])]);
        amend_in(retired(ACME)).then([events::<UrlShortener>(LINK.id, [amended])]);
        amend_in(deleted(ACME)).then_refused(UrlShortenerError::NotFound);
    }

    #[test]
    fn a_link_is_amended_in_the_version_that_the_caller_names() {
        given([organization(ACME), created()])
            .when(|streams| amend(streams, LINK, &ended_tomorrow(), &limits(), Some(2)))
            .then_other_version();
    }
}
