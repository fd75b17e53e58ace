//! The served documents are valid, stock generators make a client of each, and these clients work.

use crate::cloud_app::register;
use crate::process::{Server, run};
use crate::support::Database;
use registrar::api::DOCUMENTS;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_generators_make_clients_of_every_document_and_these_work() {
    let database = Database::sqlite();
    let node = database.open_as_program().await;
    let organization = register(&node, "Acme").await.to_string();
    node.close().await;
    let arguments = ["api-key", "create", "--organization", &organization, "--role", "admin"];
    let key: Value = serde_json::from_str(&run(&database.settings, &arguments)).unwrap();
    let key = format!("{}:{}", key["keyId"].as_str().unwrap(), key["keySecret"].as_str().unwrap());
    let server = Server::start(&database.settings);
    let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]);

    let venv = std::env::var("REGISTRAR_TEST_VENV").expect("REGISTRAR_TEST_VENV; run the tests with ./scripts/test");
    // The TypeScript generators are npm packages.
    let npm = std::env::var("REGISTRAR_TEST_NPM").unwrap_or_default();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/contract_clients/clients.py");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(format!("{venv}/bin/python"));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).arg(script);
    command.arg(&server.url).arg(folder.path()).args([token.trim_end(), &key, &organization, &npm]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({"documents": DOCUMENTS.len(), "typescript": !npm.is_empty()}));
}
