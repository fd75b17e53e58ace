use super::*;
use crate::api::common::routes::undeclared;
use std::collections::BTreeSet;

#[test]
fn every_route_declares_a_permission_or_that_it_is_public() {
    for name in DOCUMENTS {
        assert_eq!(undeclared(&openapi(name).unwrap()), Vec::<String>::new(), "{name}");
    }
}

/// A route missing from all documents would escape the test above; the router's own list of paths has them all.
#[test]
fn every_route_stands_in_a_document() {
    for name in DOCUMENTS {
        let (routes, document) = dialect(name, true).unwrap().split_for_parts();
        let listed = format!("{routes:?}");
        let (_, paths) = listed.split_once("Node { paths: {").unwrap();
        let (paths, _) = paths.split_once("\"}").unwrap();
        let routed: BTreeSet<_> = paths.split('"').skip(1).step_by(2).collect();
        let described: BTreeSet<_> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routed, described, "{name}");
    }
}

/// Files of the HTTP layer that may reach the slot of a remembered response: the one way to carry out a write, the
/// replay, the guard that hands the slot over, and the identity dialect's own way.
const REMEMBERING: [&str; 5] =
    ["common/commit.rs", "common/idempotency.rs", "common/guard.rs", "identity/call/mod.rs", "identity/call/write.rs"];

#[test]
fn handlers_carry_out_writes_by_the_way_that_remembers_their_answers() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let (mut folders, mut seen, mut found) = (vec![root.clone()], 0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below it").to_string_lossy().replace('\\', "/");
            if !name.ends_with(".rs") || name.ends_with("tests.rs") || REMEMBERING.contains(&name.as_str()) {
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).expect("a text");
            let mut ways = vec!["answer_with(", ".slot()", "context.answer"];
            // The identity dialect commits by processes of the directory, which take the context of a request: its own
            // way hands these out, and nothing else makes them.
            if name.starts_with("identity/") {
                ways.extend(["RequestContext::", "RequestContext {"]);
            } else {
                ways.extend(["executor.execute", "executor.append", "execute_process", "execute_informed"]);
            }
            found.extend(ways.iter().filter(|way| text.contains(**way)).map(|way| format!("{name}: {way}")));
        }
    }
    assert!(seen > 50 && found.is_empty(), "{seen} files; {found:?}");
}
