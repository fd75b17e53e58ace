//! The parser of AsyncAPI accepts the AsyncAPI document.

use registrar_aggregates::DomainEvent;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[test]
fn the_parser_of_asyncapi_reads_the_document() {
    // The parser is an npm package.
    let npm = std::env::var("REGISTRAR_TEST_NPM").unwrap_or_default();
    if npm.is_empty() {
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut parser = Command::new("node");
    parser.env("NODE_PATH", Path::new(&npm).join("node_modules"));
    parser.arg(repository.join("tests/e2e/publishing/parse_asyncapi.cjs"));
    let output = parser.arg(repository.join("docs/asyncapi.json")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found, json!({ "channels": 2, "messages": DomainEvent::event_types().count() }));
}
