//! The served documents are valid, stock generators make a client of each, and these clients work.

use crate::cloud_app::register;
use crate::process::{Server, run};
use crate::python;
use crate::support::Database;
use registrar::api::DOCUMENTS;
use serde_json::{Value, json};

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

    // The TypeScript generators are npm packages.
    let npm = std::env::var("REGISTRAR_TEST_NPM").unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python::script("contract_clients/clients.py");
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    command.arg(&server.url).arg(folder.path()).args([token.trim_end(), &key, &organization, &npm]);
    let told: Value = serde_json::from_str(&python::run_aside(command, String::new()).await).unwrap();
    assert_eq!(told, json!({"documents": DOCUMENTS.len(), "typescript": !npm.is_empty()}));
}
