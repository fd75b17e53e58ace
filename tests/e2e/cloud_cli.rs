//! `registrar api-key`, run as the real program.

use crate::cloud_app::{Key, basic, register};
use crate::on_both_stores;
use crate::process::{Server, fail, registrar, run};
use crate::support::Database;
use serde_json::{Value, json};
use uuid::Uuid;

async fn organization(database: &Database) -> String {
    let node = database.open_as_program().await;
    let organization = register(&node, "Acme").await.to_string();
    node.close().await;
    organization
}

fn create(database: &Database, organization: &str, more: &[&str]) -> Key {
    let arguments = [&["api-key", "create", "--organization", organization], more].concat();
    printed(&run(&database.settings, &arguments))
}

/// Parses one line of JSON with two members and nothing else.
fn printed(text: &str) -> Key {
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{text}");
    let json: Value = serde_json::from_str(line).unwrap();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["keyId", "keySecret"]);
    Key::of(&json)
}

async fn call(server: &Server, key: &Key, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/v1/organizations{path}", server.url);
    let request = reqwest::Client::new().request(method.parse().unwrap(), url);
    let request = request.header("authorization", basic(&format!("{}:{}", key.id, key.secret)));
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

on_both_stores! {
    async fn a_key_is_made_used_and_given_another_secret(database) {
        let organization = organization(&database).await;
        let server = Server::start(&database.settings);
        let key = create(&database, &organization, &["--role", "admin"]);
        let path = format!("/{organization}");
        let (status, renamed) = call(&server, &key, "PATCH", &path, json!({"name": "Acme Corp"})).await;
        assert_eq!((status, &renamed["result"]["name"]), (200, &json!("Acme Corp")));
        let (_, activities) = call(&server, &key, "GET", &format!("{path}/activities"), json!({})).await;
        let told: Vec<_> = (0..2).map(|index| (&activities["result"][index]["type"], &activities["result"][index]["actorType"])).collect();
        assert_eq!(told, [(&json!("organization_update_name"), &json!("api")), (&json!("key_create"), &json!("system"))]);

        let rolled = printed(&run(&database.settings, &["api-key", "roll", "--key", &key.id]));
        assert_eq!(rolled.id, key.id);
        assert_eq!(call(&server, &key, "GET", &path, json!({})).await.0, 401);
        assert_eq!(call(&server, &rolled, "GET", &path, json!({})).await.0, 200);
    }

    async fn a_key_has_the_roles_the_name_and_the_end_that_were_asked_for(database) {
        let organization = organization(&database).await;
        let admin = create(&database, &organization, &["--role", "admin"]);
        let more = ["--role", "developer", "--role", "query_endpoints", "--name", "Nightly", "--expire-at", "2999-01-01T00:00:00+01:00"];
        let key = create(&database, &organization, &more);
        let server = Server::start(&database.settings);
        let (_, read) = call(&server, &admin, "GET", &format!("/{organization}/keys/{}", key.id), json!({})).await;
        let read = &read["result"];
        assert_eq!((&read["name"], &read["roles"]), (&json!("Nightly"), &json!(["developer", "query_endpoints"])));
        assert_eq!(read["expireAt"], "2998-12-31T23:00:00.000Z");
    }
}

#[tokio::test]
async fn an_impossible_command_fails_with_one_line() {
    let database = Database::sqlite();
    let organization = organization(&database).await;
    let told = |arguments: &[&str]| fail(registrar(&database.settings, arguments));
    let nobody = Uuid::new_v4().to_string();
    let create = ["api-key", "create", "--role", "admin", "--organization"];
    assert_eq!(told(&[&create[..], &[&nobody]].concat()), format!("registrar: there is no organization {nobody}\n"));
    assert_eq!(told(&["api-key", "roll", "--key", &nobody]), format!("registrar: there is no API key {nobody}\n"));
    let blank = told(&[&create[..], &[&organization, "--name", " "]].concat());
    assert!(
        blank.starts_with("registrar: no key for organization ") && blank.contains("name should not be empty"),
        "{blank}"
    );
    let past = told(&[&create[..], &[&organization, "--expire-at", "2020-01-01T00:00:00Z"]].concat());
    assert!(past.contains("must expire in the future"), "{past}");
}

/// Arguments are checked before a database is opened.
#[test]
fn arguments_that_are_wrong_are_named() {
    let database = Database::sqlite();
    let nobody = Uuid::new_v4().to_string();
    for (arguments, named) in [
        (vec!["--organization", nobody.as_str(), "--role", "root"], "there are admin, developer, query_endpoints"),
        (vec!["--organization", nobody.as_str()], "--role <ROLE>"),
        (vec!["--organization", "acme", "--role", "admin"], "must be a UUID"),
        (vec!["--role", "admin"], "--organization <ID>"),
        (vec!["--organization", nobody.as_str(), "--role", "admin", "--expire-at", "tomorrow"], "2027-01-01T00:00:00Z"),
    ] {
        let output =
            registrar(&database.settings, &[&["api-key", "create"], &arguments[..]].concat()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
        assert!(told.contains(named), "{told}");
    }
    assert!(std::fs::read_dir(&database.settings.data).unwrap().next().is_none());
}
