use super::*;
use crate::api::common::routes::undeclared;
use std::collections::BTreeSet;

#[test]
fn every_route_declares_a_permission_or_that_it_is_public() {
    for name in DOCUMENTS {
        assert_eq!(undeclared(&openapi(name).unwrap()), Vec::<String>::new(), "{name}");
    }
}

/// A route that stands in no document would escape the test above; the router's own list of paths has them all.
#[test]
fn every_route_stands_in_a_document() {
    for name in DOCUMENTS {
        let (routes, document) = dialect(name).unwrap().split_for_parts();
        let listed = format!("{routes:?}");
        let (_, paths) = listed.split_once("Node { paths: {").unwrap();
        let (paths, _) = paths.split_once("\"}").unwrap();
        let routed: BTreeSet<_> = paths.split('"').skip(1).step_by(2).collect();
        let described: BTreeSet<_> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routed, described, "{name}");
    }
}
