//! Organizations with their API keys, over the HTTP API in process.

use crate::ecg_app::{Answer, App, Call};
use crate::support::Database;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use registrar::api::ApiSettings;
use registrar::auth::Rate;
use registrar::auth::api_keys::{self, Credentials, KeyRequest};
use registrar::executor::RequestContext;
use registrar::node::Node;
use registrar_aggregates::api_key::Role;
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, Stamp};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub const ROOT: &str = "/v1/organizations";
/// A rate limit that no test reaches, except the tests of the limit.
pub const PLENTY: Rate = Rate { requests: Rate::REQUESTS_MAX, window: Duration::from_secs(60) };

/// A server with one organization, `Acme`, and a key of each role.
pub struct Cloud {
    pub app: App,
    pub acme: Uuid,
    pub admin: Key,
    pub developer: Key,
    pub query: Key,
}

/// The credentials of an API key.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

impl Key {
    pub fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Key { id: text("keyId"), secret: text("keySecret") }
    }

    pub fn header(&self) -> String {
        basic(&format!("{}:{}", self.id, self.secret))
    }
}

pub fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// The context of an act by the server in an organization.
pub fn context_of(organization: Uuid) -> RequestContext {
    let mut context = RequestContext::system();
    context.metadata.organization_id = Some(organization.to_string());
    context
}

/// Registers an organization past the API.
pub async fn register(node: &Node, name: &str) -> Uuid {
    let id = Uuid::now_v7();
    let content = Content { name: name.into(), ..Content::default() };
    let stamp = Stamp::at(Utc::now());
    let command = OrganizationCommand::Register { id: OrganizationId(id), content: Box::new(content), stamp };
    node.executor.execute::<Organization>(&context_of(id), &id.to_string(), command, None).await.unwrap();
    id
}

/// Creates a key past the API.
pub async fn key_of(node: &Node, organization: Uuid, role: Role) -> Key {
    key_until(node, organization, role, None).await
}

/// Creates a key with an expiry past the API.
pub async fn key_until(node: &Node, organization: Uuid, role: Role, end: Option<DateTime<Utc>>) -> Key {
    let credentials = Credentials::generate(ApiKeyId(Uuid::now_v7()));
    let request = KeyRequest {
        organization_id: OrganizationId(organization),
        name: role.name().into(),
        roles: [role].into(),
        enabled: true,
        expires_at: end,
    };
    api_keys::create(node, &context_of(organization), &request, &credentials).await.unwrap();
    Key { id: credentials.id.to_string(), secret: credentials.secret.to_string() }
}

impl Cloud {
    pub async fn open(database: &Database) -> Self {
        Self::over(database.open().await, PLENTY).await
    }

    pub async fn over(node: Arc<Node>, api_key_rate: Rate) -> Self {
        let app = App::over(node, ApiSettings { api_key_rate, ..ApiSettings::default() }).await;
        let node = &app.state.node;
        let acme = register(node, "Acme").await;
        let admin = key_of(node, acme, Role::Admin).await;
        let developer = key_of(node, acme, Role::Developer).await;
        let query = key_of(node, acme, Role::QueryEndpoints).await;
        Cloud { acme, admin, developer, query, app }
    }

    pub fn node(&self) -> &Node {
        &self.app.state.node
    }

    /// Path of a resource of Acme, such as `/keys`; the organization itself for an empty `rest`.
    pub fn path(&self, rest: &str) -> String {
        format!("{ROOT}/{}{rest}", self.acme)
    }

    pub fn call(&self, key: &Key, method: &str, path: &str) -> Call<'_> {
        self.app.call(method, path).token(None).header("authorization", key.header())
    }

    /// Reads with the admin key; answers the result.
    pub async fn read(&self, path: &str) -> Value {
        result(self.call(&self.admin, "GET", path).send().await)
    }

    /// Writes with the admin key; answers the result.
    pub async fn write(&self, method: &str, path: &str, body: &Value) -> Value {
        result(self.call(&self.admin, method, path).json(body).send().await)
    }

    pub async fn head(&self) -> u64 {
        self.app.head().await
    }

    /// Sends a request that must be refused and must store nothing.
    pub async fn refused(&self, call: Call<'_>, status: u16) -> String {
        let before = self.head().await;
        let error = refused(call.send().await, status);
        assert_eq!(self.head().await, before, "something was stored: {error}");
        error
    }
}

/// The result in the envelope of a success, whose shape is checked.
#[track_caller]
pub fn result(answer: Answer) -> Value {
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let mut body = answer.json();
    assert_eq!(body["status"], 200, "{body}");
    assert!(body["requestId"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()), "{body}");
    body["result"].take()
}

/// The error of an answer whose shape is checked.
#[track_caller]
pub fn refused(answer: Answer, status: u16) -> String {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["requestId"], answer.header("x-request-id"), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    body["error"].as_str().unwrap().to_owned()
}
