//! Declarations of collections, and queries over them.

use crate::given::{ADMIN, Recorder, given, registered, registration, texts};
use registrar_aggregates::admin::Registration;
use registrar_projections::admins::{BY_NAME, PERSON_ID, POLICIES, SEARCH};
use registrar_projections::collection::{KEY_LENGTH_MAX, exact, sortable};
use registrar_projections::{
    AdminDocument, CollectionId, Direction, FOLLOWING, INLINE, KeyKind, Projection, Query, is_followed,
};
use std::collections::HashSet;

#[test]
fn every_index_and_count_names_keys_of_its_collection() {
    for id in CollectionId::ALL {
        let collection = id.collection();
        let kind = |name: &str| collection.keys.iter().find(|key| key.name == name).map(|key| key.kind);
        for key in collection.indexes.iter().copied().flatten() {
            assert!(kind(key).is_some_and(|kind| kind != KeyKind::Search), "{}: {key}", collection.name);
        }
        for counted in collection.counted {
            for key in counted.keys {
                assert_eq!(kind(key), Some(KeyKind::Text), "{}: {key}", collection.name);
            }
            if let Some(each) = counted.each {
                assert_eq!(kind(each.key), Some(KeyKind::Texts), "{}: {}", collection.name, each.key);
            }
        }
    }
}

/// Names become tables and columns.
#[test]
fn names_are_plain_and_each_stands_once() {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let mut collections = HashSet::new();
    for id in CollectionId::ALL {
        let collection = id.collection();
        assert!(plain(collection.name) && collections.insert(collection.name), "{}", collection.name);
        let mut keys = HashSet::from(["id", "body", "digest", "number"]);
        for key in collection.keys {
            assert!(plain(key.name) && keys.insert(key.name), "{}: {}", collection.name, key.name);
        }
    }
}

#[test]
fn a_document_counts_in_each_facet_of_its_collection() {
    let entry = given([registered(registration())]).last_entry();
    let collection = CollectionId::AuditEntries.collection();
    let facets = collection.facets(&registrar_projections::Document::keys(&entry));
    let named = |values: &[(&'static str, &'static str)]| collection.facet(values.iter().copied());
    assert_eq!(facets, [named(&[("trail", "admin")]), named(&[("trail", "admin"), ("action", "INSERT")])]);
    assert_ne!(facets[0], facets[1]);
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(sortable("short".into()), "short");
    assert_eq!(sortable("a".repeat(KEY_LENGTH_MAX + 1)).len(), KEY_LENGTH_MAX);
    let odd = sortable(format!("a{}", "ä".repeat(KEY_LENGTH_MAX)));
    assert_eq!(odd.len(), KEY_LENGTH_MAX - 1);
    assert!(odd.ends_with('ä'));
}

#[test]
fn texts_that_differ_beyond_the_cut_have_different_keys() {
    let [one, other] = ["a", "b"].map(|end| format!("{}{end}", "ä".repeat(KEY_LENGTH_MAX)));
    assert_eq!(sortable(one.clone()), sortable(other.clone()));
    assert_ne!(exact(one.clone()), exact(other.clone()));
    assert_eq!(exact(one.clone()), exact(one.clone()));
    // The order equals that of the texts, up to the cut.
    assert!(exact(one.clone()).starts_with(&sortable(one.clone())) && exact(one.clone()).len() < KEY_LENGTH_MAX + 64);
    for short in ["short".to_owned(), "a".repeat(KEY_LENGTH_MAX)] {
        assert_eq!(exact(short.clone()), short);
    }
    // A text that looks like a key is not taken for one.
    assert_ne!(exact(exact(one.clone())), exact(one));
}

#[test]
fn a_query_takes_everything_until_it_is_told_otherwise() {
    let query = Query::<AdminDocument>::sorted(&BY_NAME, Direction::Descending);
    assert!(query.filters.is_empty() && query.search.is_none());
    assert_eq!(
        (query.sort, query.direction, query.skip, query.take),
        (&["name"][..], Direction::Descending, 0, u64::MAX)
    );
    let query = query.contains(&POLICIES, "p1").page(20, 10);
    assert_eq!((query.filters.len(), query.skip, query.take), (1, 20, 10));
}

#[test]
fn a_document_fits_a_query_if_every_filter_matches() {
    let admin = given([registered(Registration { policies: texts(&["p1"]), ..registration() })]).admin();
    let (person, policy) = (admin.person_id.to_string(), admin.policies[0].clone());
    let query = || Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending);
    let others = || vec!["a".to_owned(), "b".to_owned()];
    let among = |text: &str| [others(), vec![text.to_owned()]].concat();
    for query in [
        query(),
        query().equal(&PERSON_ID, &person),
        query().at_least(&PERSON_ID, &person).at_most(&PERSON_ID, &person),
        query().above(&PERSON_ID, "").below(&PERSON_ID, "~"),
        query().one_of(&PERSON_ID, among(&person)).none_of(&PERSON_ID, others()),
        query().contains(&POLICIES, &policy).lacks(&POLICIES, "other"),
        query().contains_any(&POLICIES, among(&policy)),
    ] {
        assert!(query.fits(&admin), "{query:?}");
    }
    for query in [
        query().equal(&PERSON_ID, "other"),
        query().above(&PERSON_ID, &person),
        query().below(&PERSON_ID, &person),
        query().at_least(&PERSON_ID, "~"),
        query().at_most(&PERSON_ID, ""),
        query().one_of(&PERSON_ID, others()),
        query().none_of(&PERSON_ID, among(&person)),
        query().contains(&POLICIES, "other"),
        query().lacks(&POLICIES, &policy),
        query().contains_any(&POLICIES, others()),
        // One failing filter is enough.
        query().equal(&PERSON_ID, &person).contains(&POLICIES, "other"),
    ] {
        assert!(!query.fits(&admin), "{query:?}");
    }
}

#[test]
fn a_term_is_trimmed_and_folded_and_a_blank_one_is_none() {
    let search =
        |term| Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).search(&SEARCH, term).search.clone();
    assert_eq!(search("  ÅDA \t"), Some(("search", "åda".to_owned())));
    assert_eq!(search(" \u{a0}\n"), None);
    assert_eq!(search(""), None);
}

#[test]
fn the_signature_names_every_projection_with_its_version() {
    let signature = registrar_projections::signature();
    for part in signature.split(',') {
        let (name, version) = part.split_once(':').expect("name and version");
        assert!(!name.is_empty() && version.parse::<u32>().is_ok_and(|version| version > 0), "{part}");
    }
    assert!(signature.contains("admins:") && signature.contains("audit_trail:"));
}

#[test]
fn collections_are_written_either_with_the_events_or_behind_them() {
    let event = Recorder::default().record(&ADMIN.to_string(), registered(registration()));
    let written = |projections: &[Projection]| -> HashSet<CollectionId> {
        let wanted = projections.iter().flat_map(|projection| (projection.wants)(&event));
        wanted.map(|key| key.collection).collect()
    };
    assert!(written(INLINE).into_iter().all(|collection| !is_followed(collection)));
    let behind = written(FOLLOWING);
    let followed = CollectionId::ALL.iter().copied().filter(|collection| is_followed(*collection));
    assert_eq!(followed.collect::<HashSet<_>>(), behind);
}
