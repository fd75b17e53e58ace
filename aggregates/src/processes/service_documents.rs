//! Publication of versions of documents, all or none.

use super::organizations::check_takes_additions;
use super::{Step, Streams, refused};
use crate::service_document::{Publication, ServiceDocument, ServiceDocumentError};
use std::collections::HashSet;

/// Publishes versions of documents.
///
/// # Errors
/// `AlreadyPublished` for a version or an identifier that is given twice or was published before; `NotFound`, `Retired`
/// of an organization; `Unfit`. A version that another stream has claimed is refused by the commit.
pub fn publish(streams: &mut Streams, publications: &[Publication]) -> Step<()> {
    let mut claims = HashSet::new();
    for publication in publications {
        if !claims.insert(publication.claim()) {
            return refused(ServiceDocumentError::AlreadyPublished);
        }
        if let Some(organization) = publication.organization_id {
            check_takes_additions(streams, organization)?;
        }
        streams.execute::<ServiceDocument>(publication.id, publication.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::OrganizationError;
    use crate::processes::testing::*;
    use crate::service_document::ServiceDocumentEvent;
    use crate::values::{OrganizationId, Problem, ServiceDocumentId};
    use uuid::Uuid;

    fn version(id: u128, organization_id: Option<OrganizationId>, version: u32) -> Publication {
        let (id, name) = (ServiceDocumentId(Uuid::from_u128(id)), "terms".to_owned());
        Publication { id, organization_id, name, version, binding: true, translations: vec![] }
    }

    fn published(publication: Publication) -> History {
        let event = ServiceDocumentEvent::Published(Box::new(publication.clone()));
        events::<ServiceDocument>(publication.id, [event])
    }

    fn publishing(
        streams: impl IntoIterator<Item = History>,
        publications: impl Into<Vec<Publication>>,
    ) -> ProcessOutcome {
        let publications = publications.into();
        given(streams).when(|streams| publish(streams, &publications))
    }

    #[test]
    fn versions_for_all_people_and_for_those_of_an_organization_are_published_at_once() {
        let all = [version(1, None, 1), version(2, None, 2), version(3, Some(ACME), 1)];
        publishing([organization(ACME)], all.clone()).then(all.map(published));
    }

    #[test]
    fn an_organization_that_is_unknown_retired_or_deleted_gets_no_document() {
        let both = [version(1, None, 1), version(2, Some(ACME), 1)];
        publishing([], both.clone()).then_refused(OrganizationError::NotFound);
        publishing([deleted(ACME)], both.clone()).then_refused(OrganizationError::NotFound);
        publishing([retired(ACME)], both).then_refused(OrganizationError::Retired);
    }

    #[test]
    fn a_version_or_an_identifier_that_is_given_twice_is_refused() {
        let spaced = Publication { name: " terms".into(), ..version(2, None, 1) };
        for second in [version(2, None, 1), spaced, version(1, None, 2)] {
            let twice = [version(1, None, 1), second];
            publishing([], twice).then_refused(ServiceDocumentError::AlreadyPublished);
        }
        let again = [version(1, None, 2)];
        publishing([published(version(1, None, 1))], again).then_refused(ServiceDocumentError::AlreadyPublished);
    }

    #[test]
    fn nothing_is_published_beside_an_unfit_version() {
        let nameless = Publication { name: String::new(), ..version(2, None, 1) };
        let finding = Problem::Blank.of("name");
        publishing([], [version(1, None, 1), nameless]).then_refused(ServiceDocumentError::Unfit(finding));
    }
}
