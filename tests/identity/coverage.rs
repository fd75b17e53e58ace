//! Every operation of the offered groups has a test, and every route belongs to one of them. A group is offered if one
//! of its operations is served.

use crate::SUITES;
use registrar::api::identity::routes::ROUTES;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Served operations whose groups are not offered; the offered groups depend on them.
const BESIDES: [&str; 1] = ["get-task"];

/// Operations of these groups that are not offered yet: both need file storage.
const LATER: [&str; 2] = ["create-organization-logo-upload", "process-organization-logo"];

#[test]
fn every_operation_that_is_offered_has_a_test() {
    let mut tests = BTreeMap::new();
    for (operation, test) in SUITES.iter().flat_map(|suite| suite.tests) {
        let other = tests.insert((*operation).to_owned(), *test);
        assert!(other.is_none(), "{operation} has two tests, {other:?} and {test}");
    }
    let tested: BTreeSet<String> = tests.into_keys().collect();
    let routes: BTreeSet<String> = ROUTES.iter().map(|route| route.operation.to_owned()).collect();
    let mut expected = offered(&routes);
    for later in LATER {
        assert!(expected.remove(later), "{later} is not published");
    }
    expected.extend(BESIDES.map(str::to_owned));
    let differing = |one: &BTreeSet<String>| one.symmetric_difference(&tested).cloned().collect::<Vec<_>>();
    assert_eq!(differing(&expected), [""; 0], "published or tested, not both");
    assert_eq!(differing(&routes), [""; 0], "served or tested, not both");
}

/// The published operations of the groups of these routes.
fn offered(routes: &BTreeSet<String>) -> BTreeSet<String> {
    let published = published();
    let routes = routes.iter().filter(|route| !BESIDES.contains(&route.as_str()));
    let groups: BTreeSet<&String> = routes.filter_map(|route| published.get(route)).flatten().collect();
    let operations = published.iter().filter(|(_, tags)| tags.iter().any(|tag| groups.contains(tag)));
    operations.map(|(operation, _)| operation.clone()).collect()
}

/// The published operations with their groups, which are their tags.
fn published() -> BTreeMap<String, Vec<String>> {
    let contract: Value = serde_json::from_str(include_str!("../../src/api/identity/contract.json")).unwrap();
    let items = contract["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let named = operations.filter_map(|operation| {
        let tags = operation["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Some((operation["operationId"].as_str()?.to_owned(), tags.map(str::to_owned).collect()))
    });
    named.collect()
}
