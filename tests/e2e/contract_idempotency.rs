//! Every write of the ECG, site and cloud dialects with an `Idempotency-Key`: a repeated request is replayed, another
//! body under the same key is refused, and nothing is stored again.

use crate::cloud_app::{Cloud, Key};
use crate::ecg_app::{ADMINS, Answer, Call, minimal};
use crate::on_both_stores;
use crate::site_app::{ORGANIZATIONS, named, path};
use registrar::api::openapi;
use registrar_aggregates::api_key::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A write: its operation, the request, and another body.
struct Write {
    operation: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    other: Value,
    status: u16,
    /// The API key of the caller; `None` for the administrator's token.
    key: Option<Key>,
}

/// One row for each write; each changes something.
async fn writes(cloud: &Cloud) -> Vec<Write> {
    let app = &cloud.app;
    let mut admins = Vec::new();
    for name in ["Grace", "Ada", "Eve"] {
        admins.push(app.create(&minimal(name, "L")).await["person"]["id"].as_str().unwrap().to_owned());
    }
    app.call("POST", &format!("{ADMINS}/{}/deactivate", admins[1])).send().await.ok();
    let mut organizations = Vec::new();
    for name in ["A", "B", "C"] {
        organizations.push(app.organize(&named(name)).await);
    }
    let spare = crate::cloud_app::key_of(cloud.node(), cloud.acme, Role::Developer).await;
    let renamed = crate::cloud_app::key_of(cloud.node(), cloud.acme, Role::Developer).await;
    let row = |operation, method, path, body: Value, status| Write {
        operation,
        method,
        path,
        body,
        other: json!({"another": "body"}),
        status,
        key: None,
    };
    let step = |name: &str| json!([{"op": "replace", "path": "/person/firstName", "value": name}]);
    let keyed = |write: Write| Write { key: Some(cloud.admin.clone()), ..write };
    vec![
        row("createEcgAdmin", "POST", ADMINS.into(), minimal("New", "L"), 201),
        row("patchEcgAdmin", "PATCH", format!("{ADMINS}/{}", admins[0]), step("Augusta"), 200),
        row("activateEcgAdmin", "POST", format!("{ADMINS}/{}/activate", admins[1]), json!({}), 200),
        row("deactivateEcgAdmin", "POST", format!("{ADMINS}/{}/deactivate", admins[2]), json!({}), 200),
        row("createOrganization", "POST", ORGANIZATIONS.into(), named("D"), 201),
        row("updateOrganization", "PUT", path(&organizations[0]), named("Other"), 204),
        row("retireOrganization", "PUT", path(&format!("deleteOrganization/{}", organizations[1])), json!({}), 204),
        row("deleteOrganization", "DELETE", path(&organizations[2]), json!({}), 204),
        keyed(row("organizationUpdate", "PATCH", cloud.path(""), json!({"name": "Acme CRO"}), 200)),
        keyed(row("openapiKeyCreate", "POST", cloud.path("/keys"), json!({"name": "k", "roles": ["developer"]}), 200)),
        keyed(row(
            "openapiKeyUpdate",
            "PATCH",
            cloud.path(&format!("/keys/{}", renamed.id)),
            json!({"name": "n"}),
            200,
        )),
        keyed(row("openapiKeyDelete", "DELETE", cloud.path(&format!("/keys/{}", spare.id)), json!({}), 200)),
    ]
}

impl Write {
    fn call<'a>(&self, cloud: &'a Cloud, body: &Value) -> Call<'a> {
        let call = match &self.key {
            Some(key) => cloud.call(key, self.method, &self.path),
            None => cloud.app.call(self.method, &self.path),
        };
        call.header("idempotency-key", self.operation).json(body)
    }
}

/// The parts of an answer that a replay repeats.
fn replayed_parts(answer: &Answer) -> (u16, &str, Vec<Option<&axum::http::HeaderValue>>) {
    let headers = ["content-type", "location", "etag"].map(|name| answer.headers.get(name)).to_vec();
    (answer.status.as_u16(), &answer.text, headers)
}

/// The writes of a document.
fn documented(document: &str) -> BTreeSet<String> {
    let document = serde_json::to_value(openapi(document).unwrap()).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let writes = items.flat_map(|item| ["post", "put", "patch", "delete"].map(|method| &item[method]["operationId"]));
    writes.filter_map(Value::as_str).map(str::to_owned).collect()
}

on_both_stores! {
    async fn every_write_is_carried_out_once_for_one_key(database) {
        let cloud = Cloud::open(&database).await;
        for write in writes(&cloud).await {
            let before = cloud.head().await;
            let first = write.call(&cloud, &write.body).send().await;
            assert_eq!(first.status.as_u16(), write.status, "{}: {first:?}", write.operation);
            assert!(!first.headers.contains_key("idempotency-replayed"), "{}", write.operation);
            let head = cloud.head().await;
            assert!(head > before, "{} changed nothing", write.operation);
            let again = write.call(&cloud, &write.body).send().await;
            assert_eq!(again.header("idempotency-replayed"), "true", "{}", write.operation);
            assert_eq!(replayed_parts(&again), replayed_parts(&first), "{}", write.operation);
            let other = write.call(&cloud, &write.other).send().await;
            assert_eq!(other.status, 422, "{}: {other:?}", write.operation);
            assert_eq!(cloud.head().await, head, "{}", write.operation);
        }
    }

    /// The answer is part of the commit of its events; no later write is needed.
    async fn every_answer_is_committed_with_its_events(database) {
        let cloud = Cloud::open(&database).await;
        let mut writes = writes(&cloud).await;
        let operations: BTreeSet<_> = writes.iter().map(|write| write.operation.to_owned()).collect();
        let documents = ["ecg-admins", "site-organizations", "cloud-organizations", "cloud-keys"];
        assert_eq!(operations, documents.into_iter().flat_map(documented).collect(), "an operation has no row");
        assert!(documented("audit").is_empty());
        // That of a caller is among the writes of `tests/identity/idempotent.rs`; those with a signature store once.
        let reports = ["receiveMailReport", "receiveSesReport", "receiveTextStatus"].map(str::to_owned);
        assert_eq!(documented("registrar"), reports.into());
        // Eight concurrent requests to nodes that share only the store: one is carried out, and all get the same
        // answer.
        let others: Vec<_> = futures::future::join_all(
            (0..3).map(|_| crate::ecg_app::App::over(cloud.app.state.node.clone(), Default::default())),
        ).await;
        for write in writes.drain(..) {
            let before = cloud.head().await;
            let calls = others.iter().map(|other| {
                let call = other.call(write.method, &write.path).header("idempotency-key", write.operation);
                let call = match &write.key {
                    Some(key) => call.token(None).header("authorization", key.header()),
                    None => call.token(Some(&cloud.app.token)),
                };
                call.json(&write.body).send()
            });
            let answers = futures::future::join_all(calls).await;
            assert!(answers.iter().all(|answer| replayed_parts(answer) == replayed_parts(&answers[0])), "{}: {answers:?}", write.operation);
            assert_eq!(answers[0].status.as_u16(), write.status, "{}: {answers:?}", write.operation);
            assert_eq!(cloud.head().await, before + 1, "{}", write.operation);
        }
    }
}
