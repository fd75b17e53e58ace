//! Refusals of the cloud dialect that the schemas of its documents allow.

use super::{Dialect, Request, Rule, RunningServer};
use crate::cloud_app::{Key, register};
use crate::process::{Server, registrar, run};
use crate::support::Database;
use serde_json::Value;

pub(super) const ORGANIZATIONS: Dialect = Dialect {
    contract: include_str!("../../contracts/cloud-organizations.openapi.json"),
    file: "cloud-organizations.openapi.json",
    document: "cloud-organizations",
    rules: &RULES,
    messages,
    excused: &[],
    scarce: &[],
    serve,
};

/// These operations have no published contract.
pub(super) const KEYS: Dialect = Dialect { contract: "", file: "", document: "cloud-keys", ..ORGANIZATIONS };

/// A server with an organization with data, for a caller with its API key.
fn serve(database: &Database) -> RunningServer {
    // Creates the master key that both processes use.
    run(&database.settings, &["seed", "--admins", "0"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let organization = runtime.block_on(async {
        let node = database.open_as_program().await;
        let organization = register(&node, "Acme").await.to_string();
        node.close().await;
        organization
    });
    let arguments = ["api-key", "create", "--organization", &organization, "--role", "admin"];
    let key = Key::of(&serde_json::from_str(&run(&database.settings, &arguments)).unwrap());
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_API_KEY_RATE", "10000/1s");
    let server = Server::spawn(command);
    let url = format!("{}/v1/organizations/{organization}/activities", server.url);
    let activities: Value = runtime.block_on(async {
        let client = reqwest::Client::new();
        client.get(url).header("authorization", key.header()).send().await.unwrap().json().await.unwrap()
    });
    let activity = activities["result"][0]["id"].as_str().unwrap().to_owned();
    let variables = vec![("REGISTRAR_TEST_ORGANIZATION", organization), ("REGISTRAR_TEST_ACTIVITY", activity)];
    RunningServer { server, authorization: key.header(), variables }
}

fn messages(answer: &Value) -> Option<Vec<String>> {
    let error = answer["error"].as_str()?.strip_prefix("BAD_REQUEST: ")?;
    Some(error.split("; ").map(str::to_owned).collect())
}

const RULES: [Rule; 10] = [
    Rule {
        name: "the all-zero UUID names nothing",
        message: ("Invalid ", " id"),
        deserved: |request| request.uri.contains("00000000-0000-0000-0000-000000000000"),
    },
    Rule {
        name: "an activity has an id of 20 characters or more",
        message: ("length is too small: ", " < 20"),
        deserved: |request| request.operation.ends_with("/{activityId}"),
    },
    Rule {
        name: "a period does not end before it starts",
        message: ("from_date must not be later than to_date", ""),
        deserved: |request| request.query("from_date").is_some() && request.query("to_date").is_some(),
    },
    Rule {
        name: "U+0000 is not stored, so it is not looked for either",
        message: ("query must be percent-encoded UTF-8 without U+0000", ""),
        deserved: |request| request.uri.contains("%00"),
    },
    Rule {
        name: "U+0000 is not stored",
        message: ("", " must not contain the character U+0000"),
        deserved: |request| request.body.contains(r"\u0000"),
    },
    Rule {
        name: "organizations have no private endpoints here",
        message: ("privateEndpoints.add cannot be used: ", ""),
        deserved: |request| request.json()["privateEndpoints"]["add"].as_array().is_some_and(|added| !added.is_empty()),
    },
    Rule {
        name: "a key ends in the future",
        message: ("expireAt must be in the future", ""),
        deserved: |request| request.json()["expireAt"].is_string(),
    },
    Rule {
        name: "an organization has a hundred keys",
        message: ("an organization has 100 API keys at most", ""),
        deserved: |request| request.operation.starts_with("POST "),
    },
    Rule {
        name: "a key does not delete itself",
        message: ("an API key cannot delete itself", ""),
        deserved: |request: &Request| request.operation.starts_with("DELETE "),
    },
    Rule {
        name: "a key keeps a role",
        message: ("roles should not be empty", ""),
        deserved: |request| request.json()["roles"].as_array().is_some_and(Vec::is_empty),
    },
];
