//! The HTTP API in process, over a fresh database: JSON in, JSON out.

use crate::support::{Database, context};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use registrar::api::{ApiSettings, AppState, router};
use registrar::auth::permissions::ADMINISTRATOR;
use registrar::auth::{Authenticator, PasswordHasher, Permission, TokenRequest};
use registrar::node::Node;
use registrar::publisher::PublisherStatus;
use registrar_aggregates::admin::{Admin, AdminCommand, Granter, Person, Registration};
use registrar_aggregates::values::{AdminId, PartyId, PersonId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

pub const ISSUER: &str = "http://registrar.test";
pub const ADMINS: &str = "/api/ecg-admins";
pub const NOBODY: &str = "3f0c9e6a-0000-4000-8000-000000000000";

/// A server, and the administrator who calls it.
pub struct App {
    pub state: AppState,
    routes: Router,
    pub token: String,
    /// Identifier of the calling admin.
    pub caller: String,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The stream version at the start of its entity tag.
    pub fn version(&self) -> u64 {
        let tag = self.header("etag");
        let (version, _) = tag.trim_matches('"').split_once('-').unwrap_or_else(|| panic!("{tag} names no version"));
        version.parse().unwrap()
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// The dialect's error body, whose shape is checked.
    #[track_caller]
    pub fn refused(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        let mut body = self.json();
        assert_eq!(body["statusCode"], status, "{body}");
        assert_eq!(body["error"].as_str(), self.status.canonical_reason(), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!(self.header("content-type"), "application/json");
        body["message"].take()
    }
}

/// A request under construction.
pub struct Call<'a> {
    app: &'a App,
    request: axum::http::request::Builder,
    token: Option<String>,
    body: Body,
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    /// Sets the address of the peer.
    pub fn peer(mut self, address: &str) -> Self {
        let peer: std::net::SocketAddr = address.parse().unwrap();
        self.request = self.request.extension(axum::extract::ConnectInfo(peer));
        self
    }

    /// Replaces the administrator's token.
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    pub fn bytes(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    pub async fn send(self) -> Answer {
        let request = match self.token {
            Some(token) => self.request.header("authorization", format!("Bearer {token}")),
            None => self.request,
        };
        let response = self.app.routes.clone().oneshot(request.body(self.body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

impl App {
    pub async fn open(database: &Database) -> Self {
        Self::over(database.open().await, ApiSettings::default()).await
    }

    pub async fn over(node: Arc<Node>, settings: ApiSettings) -> Self {
        let authenticator = Arc::new(Authenticator::open(&node, ISSUER.into()).await.unwrap());
        let passwords = Arc::new(PasswordHasher::new(1, 8));
        let state = AppState::new(node, authenticator, passwords, PublisherStatus::default(), settings);
        let routes = router(state.clone());
        let mut app = App { state, routes, token: String::new(), caller: String::new() };
        app.caller = app.register(vec![ADMINISTRATOR.id.into()]).await.to_string();
        app.token = app.token_of(&app.caller, None).await;
        app
    }

    /// Registers an admin past the API.
    pub async fn register(&self, policies: Vec<String>) -> Uuid {
        let id = Uuid::now_v7();
        let person = Person {
            salutation: None,
            first_name: "Grace".into(),
            last_name: "Hopper".into(),
            suffix: None,
            email_address: None,
        };
        let command = AdminCommand::Register(
            Box::new(Registration {
                id: AdminId(id),
                person_id: PersonId(Uuid::new_v4()),
                party_id: PartyId(Uuid::new_v4()),
                policies,
                custom_permissions: vec![],
                person,
                legacy_identifier: None,
                addresses: vec![],
                phone_numbers: vec![],
                account: None,
            }),
            Granter::System,
        );
        self.state.node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await.unwrap();
        id
    }

    pub async fn token_of(&self, admin: &str, permissions: Option<Vec<Permission>>) -> String {
        let admin_id = AdminId(admin.parse().unwrap());
        let request = TokenRequest { admin_id, ttl: Duration::from_secs(600), organization: None, permissions };
        self.state.authenticator.issue(&self.state.node, &context(), request).await.unwrap()
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let request = Request::builder().method(method).uri(path);
        Call { app: self, request, token: Some(self.token.clone()), body: Body::empty() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send().await
    }

    pub async fn patch(&self, admin: &Value, steps: &Value) -> Answer {
        self.call("PATCH", &path_of(admin)).json(steps).send().await
    }

    /// Registers an admin over the API.
    pub async fn create(&self, body: &Value) -> Value {
        let answer = self.post(ADMINS, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()
    }

    pub async fn head(&self) -> u64 {
        self.state.node.journal.head().await.unwrap().position
    }

    /// Sends a request that must be refused and must store nothing.
    pub async fn refused(&self, call: Call<'_>, status: u16) -> Value {
        let before = self.head().await;
        let message = call.send().await.refused(status);
        assert_eq!(self.head().await, before, "something was stored: {message}");
        message
    }
}

/// Path of a displayed admin.
pub fn path_of(admin: &Value) -> String {
    format!("{ADMINS}/{}", admin["person"]["id"].as_str().unwrap())
}

/// A body with the required members only.
pub fn minimal(first_name: &str, last_name: &str) -> Value {
    json!({"person": {"firstName": first_name, "lastName": last_name}, "addresses": [], "phoneNumbers": []})
}

/// The sample of the published page.
pub fn sample() -> Value {
    let contract: Value = serde_json::from_str(include_str!("../contracts/ecg-admins.openapi.json")).unwrap();
    let body = "/paths/~1api~1ecg-admins/post/requestBody/content/application~1json/example";
    contract.pointer(body).unwrap().clone()
}

/// A copy with one element replaced, added, or, by null, removed.
pub fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.into(), value)),
    }
    changed
}
