//! The read models of documents that people agree to.

use crate::given::*;
use registrar_aggregates::service_document::{Publication, ServiceDocumentEvent, Translation};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{OrganizationId, ServiceDocumentId};
use registrar_projections::service_documents::{CurrentDocuments, DocumentTexts, PublishedDocument, Title, owner_key};
use uuid::Uuid;

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(10));

fn id(number: u128) -> ServiceDocumentId {
    ServiceDocumentId(Uuid::from_u128(number))
}

fn version(id: ServiceDocumentId, name: &str, version: u32) -> Publication {
    let text = |locale, title: &str| Translation { locale, title: title.into(), html: format!("<p>{title}</p>") };
    Publication {
        id,
        organization_id: None,
        name: name.into(),
        version,
        binding: true,
        translations: vec![text(Locale::EnUs, "Terms"), text(Locale::EsUs, "Condiciones")],
    }
}

fn folded(publications: impl IntoIterator<Item = Publication>) -> Folded {
    let mut recorder = Recorder::default();
    history(publications.into_iter().map(|publication| {
        let id = publication.id.to_string();
        recorder.record(&id, ServiceDocumentEvent::Published(Box::new(publication)))
    }))
}

/// Names and identifiers of the current versions of an owner.
fn current(folded: &Folded, owner: Option<OrganizationId>) -> Vec<(String, ServiceDocumentId)> {
    let documents: Option<CurrentDocuments> = folded.get(&owner_key(owner));
    let versions = documents.map(|documents| documents.versions).unwrap_or_default();
    versions.into_iter().map(|(name, version)| (name, version.id)).collect()
}

#[test]
fn the_current_version_is_the_one_with_the_highest_number() {
    let folded = folded([
        version(id(1), "terms", 9),
        version(id(2), "terms", 10),
        version(id(3), "terms", 2),
        version(id(4), "privacy", 1),
        Publication { organization_id: Some(ORGANIZATION), ..version(id(5), "terms", 1) },
    ]);
    assert_eq!(current(&folded, None), [("privacy".to_owned(), id(4)), ("terms".to_owned(), id(2))]);
    assert_eq!(current(&folded, Some(ORGANIZATION)), [("terms".to_owned(), id(5))]);
    assert!(current(&folded, Some(OrganizationId(Uuid::nil()))).is_empty());
}

#[test]
fn a_later_version_that_is_not_binding_replaces_a_binding_one() {
    let folded = folded([version(id(1), "terms", 1), Publication { binding: false, ..version(id(2), "terms", 2) }]);
    let documents: CurrentDocuments = folded.get("system").expect("documents for all people");
    assert!(documents.versions.values().all(|version| version.id == id(2) && !version.binding));
}

#[test]
fn a_text_is_found_by_its_language_or_is_the_main_one() {
    let folded =
        folded([version(id(1), "terms", 1), Publication { translations: vec![], ..version(id(2), "bare", 1) }]);
    let texts: DocumentTexts = folded.get(&id(1).to_string()).expect("texts");
    let title = |wanted| texts.text(wanted).map(|text| text.title.as_str());
    assert_eq!(title(Some("es_US")), Some("Condiciones"));
    for main in [None, Some("en_US"), Some("de_AT"), Some("")] {
        assert_eq!(title(main), Some("Terms"), "{main:?}");
    }
    let bare: DocumentTexts = folded.get(&id(2).to_string()).expect("a document without texts");
    assert_eq!(bare.text(Some("en_US")), None);
    let document: PublishedDocument = folded.get(&id(1).to_string()).expect("a document");
    let title = |locale, title: &str| Title { locale, title: title.to_owned() };
    assert_eq!(document.titles, [title(Locale::EnUs, "Terms"), title(Locale::EsUs, "Condiciones")]);
}
