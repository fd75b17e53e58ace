//! Test support for the auditor's API.

use crate::ecg_app::{Answer, App, Call};
use crate::support::*;
use registrar::auth::{Permission, TokenRequest};
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar_aggregates::admin::AdminEvent;
use registrar_aggregates::values::AdminId;
use registrar_aggregates::{Actor, ActorType, Metadata};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// The context of a request by `actor` within an organization, or within none.
pub fn within(actor: &str, organization: Option<&str>) -> RequestContext {
    let metadata = Metadata {
        actor: Actor { kind: ActorType::User, id: actor.into(), name: None },
        organization_id: organization.map(str::to_owned),
        ..context().metadata
    };
    RequestContext { metadata, answer: None }
}

/// A token of the calling admin, narrowed to an organization.
pub async fn narrowed(app: &App, organization: &str) -> String {
    let request = TokenRequest {
        admin_id: AdminId(app.caller.parse().unwrap()),
        ttl: Duration::from_secs(600),
        organization: Some(organization.to_owned()),
        permissions: Some(vec![Permission::AuditRead]),
    };
    app.state.authenticator.issue(&app.state.node, &context(), request).await.unwrap()
}

/// Registers an admin in an organization, or in none, past the API.
pub async fn registered_within(app: &App, id: Uuid, organization: Option<&str>) {
    let events = vec![(admin_stream(id), ExpectedVersion::Exact(0), vec![admin_registered(id, None)])];
    app.state.node.executor.append(&within("ann", organization), events).await.unwrap();
}

/// Sets the legacy identifier of an admin in an organization, or in none, past the API and without a decision.
pub async fn amended_within(app: &App, id: Uuid, organization: Option<&str>, to: &str) {
    let event = AdminEvent::PartyAmended { legacy_identifier: Some(to.into()) };
    let events = vec![(admin_stream(id), ExpectedVersion::Any, vec![event.into()])];
    app.state.node.executor.append(&within("bob", organization), events).await.unwrap();
}

pub fn lines(answer: &Answer) -> Vec<Value> {
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert!(answer.text.is_empty() || answer.text.ends_with('\n'));
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub async fn lines_of(app: &App, path: &str) -> Vec<Value> {
    lines(&app.call("GET", path).header("accept", "application/x-ndjson").send().await)
}

pub fn items(body: &Value) -> Vec<Value> {
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    body["items"].as_array().unwrap().clone()
}

/// All pages of a list, concatenated; `path` has a query.
pub async fn all_pages(app: &App, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}&limit={limit}{next}")).await.ok();
        let found = items(&page);
        assert!(found.len() <= limit, "{page}");
        all.extend(found);
        match page["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => return all,
        }
    }
}

pub fn positions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

/// Sends a request that must be refused as problem details and must store nothing; answers the detail.
pub async fn refused(app: &App, call: Call<'_>, status: u16) -> String {
    let before = app.head().await;
    let answer = call.send().await;
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!((&body["status"], &body["type"]), (&status.into(), &"about:blank".into()), "{body}");
    assert_eq!(body["requestId"], answer.header("x-request-id"));
    assert_eq!(app.head().await, before, "something was stored: {body}");
    body["detail"].as_str().unwrap().to_owned()
}
