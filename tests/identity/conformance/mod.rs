//! Rules of every resource and every list of the dialect: one run checks each resource by its declaration. `idempotent`
//! covers the replay of writes by their key.

mod lists;
mod parameters;
pub mod resource;

use crate::SUITES;
use crate::matrix::operations::{self, Operation};
use crate::matrix::request;
use crate::matrix::world::{Caller, Request, Response, World};
use crate::on_both_stores;
use resource::{Conflict, Create, Resource, again};
use serde_json::{Value, json};
use uuid::Uuid;

/// A run over one resource.
struct Run<'w> {
    world: &'w World,
    operations: &'w [Operation],
    resource: &'w Resource,
    problems: Vec<String>,
}

impl<'w> Run<'w> {
    fn caller(&self) -> &'w Caller {
        self.world.caller(self.resource.caller)
    }

    /// Records the answer as a violation unless `right`.
    fn expect(&mut self, right: bool, rule: &str, sent: &Response) {
        if !right {
            let told: String = sent.text.chars().take(150).collect();
            self.problems.push(format!("{:<30}{rule:<50}{} {told}", self.resource.kind, sent.status));
        }
    }

    fn operation(&self, name: &str) -> &'w Operation {
        self.operations.iter().find(|operation| operation.name == name).unwrap()
    }

    async fn send(&self, method: &str, request: &Request) -> Response {
        self.send_with(method, request, &[]).await
    }

    async fn send_with(&self, method: &str, request: &Request, headers: &[(&str, &str)]) -> Response {
        self.world.send(method, request, self.caller().authorization.as_deref(), headers).await
    }

    async fn get(&self, path: &str) -> Response {
        self.send("GET", &Request::to(path)).await
    }

    async fn get_as_stranger(&self, path: &str) -> Response {
        let stranger = self.world.caller("stranger").authorization.as_deref();
        self.world.send("GET", &Request::to(path), stranger, &[]).await
    }

    /// Sends a request that must be refused and must store nothing.
    async fn refused(&mut self, method: &str, request: &Request, rule: &str, status: u16, pointer: &str) {
        let before = self.world.head().await;
        let sent = self.send(method, request).await;
        let named = sent.json()["errors"][0]["source"]["pointer"] == pointer || pointer.is_empty();
        self.expect(sent.status == status && named, rule, &sent);
        let stored = self.world.head().await != before;
        self.expect(!stored, &format!("{rule}: nothing is stored"), &sent);
    }

    async fn created(&mut self, create: &Create) {
        let collection = self.operation(create.operation);
        let request = request(self.world, create.operation, self.caller()).await;
        let key = Uuid::new_v4().to_string();
        let sent = self.send_with("POST", &request, &[("idempotency-key", &key)]).await;
        let data = sent.json()["data"].take();
        self.expect(sent.status == 201 && data["type"] == self.resource.kind, "is created", &sent);
        if let Some(read) = self.resource.read.get() {
            let path = self.operation(read).path.replace("{id}", data["id"].as_str().unwrap_or_default());
            let read = self.get(&path).await;
            self.expect(read.json()["data"] == data, "what was created is read", &read);
        }
        if let Some(listed) = create.listed.get() {
            let query = listed(self.world, &data).await;
            let list = self.get(&format!("{}?{query}{}", collection.path, self.whole_list())).await;
            let rows = list.json()["data"].as_array().cloned().unwrap_or_default();
            let same = rows.iter().any(|row| row["id"] == data["id"] && carries(row, &data));
            self.expect(same, "what was created is listed", &list);
        }
        let again = self.send_with("POST", &request, &[("idempotency-key", &key)]).await;
        self.expect(again.replayed && again.text == sent.text, "a creation is replayed by its key", &again);
        let body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
        if !body["data"].is_null() {
            let mut other = body;
            other["data"]["type"] = json!("somethings");
            let request = request.json(other);
            self.refused("POST", &request, "another type is a conflict", 409, "/data/type").await;
        }
    }

    /// The query for the longest page.
    fn whole_list(&self) -> String {
        let list = self.resource.list.get().unwrap();
        match list.paged.get() {
            Some(()) => format!("&page[limit]={}", lists::most(list.operation)),
            None => String::new(),
        }
    }

    async fn changed(&mut self, update: &str) {
        let request = request(self.world, update, self.caller()).await;
        let first = self.send("PATCH", &request).await;
        self.expect(first.status == 200, "is changed", &first);
        let head = self.world.head().await;
        let again = self.send("PATCH", &request).await;
        let unmoved = self.world.head().await == head;
        self.expect(again.status == 200 && unmoved, "a change of nothing stores nothing", &again);

        let body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
        for (name, value) in [("type", "somethings".to_owned()), ("id", Uuid::new_v4().to_string())] {
            let mut other = body.clone();
            other["data"][name] = json!(value);
            let (pointer, rule) = (format!("/data/{name}"), format!("another {name} is a conflict"));
            self.refused("PATCH", &request.clone().json(other), &rule, 409, &pointer).await;
        }
        let unknown = Uuid::new_v4().to_string();
        let mut other = body.clone();
        other["data"]["id"] = json!(unknown);
        // A malformed identifier is refused before the body is compared with it.
        for (unknown, body) in [(unknown.as_str(), other), ("no-such", body)] {
            let path = self.operation(update).path.replace("{id}", unknown);
            self.refused("PATCH", &Request::to(path).json(body), "an unknown one is not changed", 404, "").await;
        }
    }

    /// Checks `If-Match`: a change with the current version or `*` succeeds, with another version it is refused.
    async fn changed_as_seen(&mut self, update: &str) {
        let change = request(self.world, update, self.caller()).await;
        let seen = self.get(&change.path).await;
        let tag = seen.etag.clone().unwrap_or_default();
        self.expect(tag.starts_with('"') && tag.len() > 2, "one has an ETag", &seen);
        let before = self.world.head().await;
        let stale = self.send_with("PATCH", &change, &[("if-match", "\"no-such-version\"")]).await;
        let stored = self.world.head().await != before;
        self.expect(stale.status == 412 && !stored, "another version is not changed", &stale);
        if !tag.is_empty() {
            let sent = self.send_with("PATCH", &change, &[("if-match", &tag)]).await;
            self.expect(sent.status == 200, "the version that was seen is changed", &sent);
            let now = self.get(&change.path).await;
            self.expect(now.etag != seen.etag, "what was changed has another ETag", &now);
            let other = self.other_change(update, &change).await;
            let sent = self.send_with("PATCH", &other, &[("if-match", &tag)]).await;
            self.expect(sent.status == 412, "the version before is not changed", &sent);
        }
        let sent = self.send_with("PATCH", &change, &[("if-match", "*")]).await;
        self.expect(sent.status == 200, "any version is changed", &sent);
    }

    /// A second change of the resource that `change` is about.
    async fn other_change(&self, update: &str, change: &Request) -> Request {
        let other = request(self.world, update, self.caller()).await;
        let mut body: Value = serde_json::from_str(other.body.as_deref().unwrap()).unwrap();
        let first: Value = serde_json::from_str(change.body.as_deref().unwrap()).unwrap();
        body["data"]["id"] = first["data"]["id"].clone();
        change.clone().json(body)
    }

    async fn read(&mut self, read: &str) {
        let template = &self.operation(read).path;
        let unknown = self.get(&template.replace("{id}", &Uuid::new_v4().to_string())).await;
        self.expect(unknown.status == 404, "an unknown identifier", &unknown);
        for malformed in ["no-such", "01234567-89ab-cdef-0123-456789abcdeg", "%20"] {
            let sent = self.get(&template.replace("{id}", malformed)).await;
            self.expect(sent.status == 404, "an identifier that is none", &sent);
        }
        let path = request(self.world, read, self.caller()).await.path;
        let sent = self.get(&path).await;
        self.expect(sent.status == 200, "is read", &sent);
        if self.resource.hidden.get().is_some() {
            let foreign = self.get_as_stranger(&path).await;
            let same = (foreign.status, &foreign.text) == (404, &unknown.text);
            self.expect(same, "to strangers as unknown", &foreign);
        }
    }

    async fn contradicted(&mut self, conflict: &Conflict) {
        let (method, request, pointer) = match conflict {
            Conflict::Repeated { pointer } => {
                let create = self.resource.create.get().expect("a resource that is created");
                ("POST", again(self.world, create.operation).await, pointer)
            }
            Conflict::Sent { method, request, pointer } => (*method, request(self.world).await, pointer),
        };
        self.refused(method, &request, "a conflict names the member", 409, pointer).await;
    }
}

/// Whether `row` has every value of `created`; it may have more.
fn carries(row: &Value, created: &Value) -> bool {
    let attributes = created["attributes"].as_object().into_iter().flatten();
    row["type"] == created["type"] && attributes.into_iter().all(|(name, value)| row["attributes"][name] == *value)
}

on_both_stores! {
    async fn every_resource_keeps_to_the_rules(database) {
        let world = World::open(&database).await;
        let operations = operations::all();
        let mut problems = Vec::new();
        for resource in SUITES.iter().flat_map(|suite| suite.resources) {
            let mut run = Run { world: &world, operations: &operations, resource, problems: vec![] };
            if let Some(create) = resource.create.get() {
                run.created(create).await;
            }
            if let Some(read) = resource.read.get() {
                run.read(read).await;
            }
            if let Some(update) = resource.update.get() {
                run.changed(update).await;
                run.changed_as_seen(update).await;
            }
            if let Some(conflict) = resource.conflict.get() {
                run.contradicted(conflict).await;
            }
            problems.append(&mut run.problems);
        }
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    }

    async fn every_list_keeps_to_the_rules(database) {
        let world = World::open(&database).await;
        let operations = operations::all();
        let mut problems = Vec::new();
        for resource in SUITES.iter().flat_map(|suite| suite.resources) {
            let mut run = Run { world: &world, operations: &operations, resource, problems: vec![] };
            if let Some(list) = resource.list.get() {
                run.listed(list).await;
            }
            problems.append(&mut run.problems);
        }
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    }
}
