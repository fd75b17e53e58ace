//! A directory with a caller of every kind, and how they send their requests.

use crate::app::{self, Identity, PASSWORD, Person};
use crate::cloud_app::{self, PLENTY};
use crate::support::Database;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request as HttpRequest;
use metrics_exporter_prometheus::PrometheusBuilder;
use registrar::api::ApiSettings;
use registrar::auth::TokenRequest;
use registrar::auth::permissions::{ADMINISTRATOR, AUDITOR, OPERATOR, Policy};
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, Part};
use registrar::processes::sessions::{self, Wish};
use registrar_aggregates::admin::{Admin, AdminCommand};
use registrar_aggregates::api_key::Role as KeyRole;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Phone, Role, SystemRole};
use registrar_aggregates::values::{AdminId, OrganizationId, UserId};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The callers, in the order of the columns of the table.
pub const CALLERS: [&str; 17] = [
    "anonymous",
    "stranger",
    "participant",
    "provider",
    "leader",
    "admin",
    "sharing",
    "support",
    "service",
    "system",
    "administrator",
    "operator",
    "auditor",
    "narrowed",
    "key-admin",
    "key-developer",
    "key-query",
];

/// The token that the program of the world shows at internal authentication.
pub const WORKLOAD_TOKEN: &str = "records' token";

/// A caller; an anonymous one has no authorization.
pub struct Caller {
    pub name: &'static str,
    pub authorization: Option<String>,
    /// Its identifier: a user, or an admin.
    pub id: Uuid,
}

impl Caller {
    fn user(name: &'static str, person: &Person) -> Self {
        Caller { name, authorization: Some(format!("Bearer {}", person.token)), id: person.id }
    }
}

/// A valid request: what stands in the path and in the body, and how its sender identifies if it is not the caller.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub body: Option<String>,
    pub authorization: Option<String>,
    /// The only one whose request it can be.
    pub owner: Option<String>,
    /// Whether it was made for one caller.
    pub personal: bool,
}

impl Request {
    pub fn to(path: impl Into<String>) -> Self {
        Request { path: path.into(), body: None, authorization: None, owner: None, personal: false }
    }

    pub fn json(self, body: Value) -> Self {
        Request { body: Some(body.to_string()), ..self }
    }

    /// About the caller itself, so that no other sends the same.
    pub fn personal(self) -> Self {
        Request { personal: true, ..self }
    }

    /// Sent with another authorization than usual, if there is one.
    pub fn sent_with(self, authorization: Option<String>) -> Self {
        Request { authorization, personal: true, ..self }
    }

    /// About something that belongs to the holder of this token alone.
    pub fn of(self, token: &str) -> Self {
        Request { owner: Some(format!("Bearer {token}")), ..self }
    }
}

/// The answer.
#[derive(Debug)]
pub struct Sent {
    pub status: u16,
    pub replayed: bool,
    pub etag: Option<String>,
    pub text: String,
}

impl Sent {
    /// The body; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Organization A is `identity.acme`, which is open; B is `identity.other`, which is restricted and shares people with A.
pub struct World {
    pub identity: Identity,
    pub callers: Vec<Caller>,
    /// Leads the groups that requests are about.
    pub leader: Uuid,
    pub hash: String,
    routes: Router,
    count: AtomicU32,
    _folder: tempfile::TempDir,
}

/// A document of JSON:API.
pub fn document(kind: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "attributes": attributes } })
}

/// A partial change of one that has an identifier.
pub fn amendment(kind: &str, id: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "id": id, "attributes": attributes } })
}

impl World {
    pub async fn open(database: &Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = Uuid::now_v7();
        let digest: String = Sha512::digest(WORKLOAD_TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        let listed = json!([{ "namespace": "clinic", "name": "records", "token-sha512": digest, "user": account }]);
        let file = folder.path().join("workloads.json");
        crate::support::write_private(&file, &listed.to_string());
        let settings = ApiSettings {
            workloads: registrar::auth::workloads::Workloads::read(&file).unwrap(),
            api_key_rate: PLENTY,
            metrics: Some(PrometheusBuilder::new().build_recorder().handle()),
            ..ApiSettings::default()
        };
        let identity = Identity::with(database, settings).await;
        let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        let routes = registrar::api::router(identity.app.state.clone());
        let count = AtomicU32::new(0);
        let mut world = World { identity, callers: vec![], leader: Uuid::nil(), hash, routes, count, _folder: folder };
        let mut creation = app::creation("records@example.com", None);
        creation.id = UserId(account);
        let part = Some(Part::System(SystemRole::Service));
        membership::create(world.identity.node(), &RequestContext::system(), creation, part).await.unwrap();
        world.callers = world.all_callers().await;
        world.leader = world.caller("leader").id;
        world
    }

    async fn all_callers(&self) -> Vec<Caller> {
        let identity = &self.identity;
        let (a, b) = (identity.acme, identity.other);
        let c = identity.organization("Strange", Authorization::Open).await;
        let mut callers = vec![Caller { name: "anonymous", authorization: None, id: Uuid::nil() }];
        for (name, organization, role) in [
            ("stranger", c, Role::Admin),
            ("participant", a, Role::Member),
            ("provider", a, Role::Provider),
            ("leader", a, Role::Provider),
            ("admin", a, Role::Admin),
            ("sharing", b, Role::Admin),
        ] {
            let part = Part::Member(OrganizationId(organization), Some(role));
            callers.push(Caller::user(name, &self.somebody(name, part).await));
        }
        for (name, role) in
            [("support", SystemRole::Support), ("service", SystemRole::Service), ("system", SystemRole::Admin)]
        {
            callers.push(Caller::user(name, &self.somebody(name, Part::System(role)).await));
        }
        for (name, policy) in [("administrator", ADMINISTRATOR), ("operator", OPERATOR), ("auditor", AUDITOR)] {
            let id = self.register(name, &policy).await;
            callers.push(self.issued(name, id, None).await);
        }
        let administrator = callers[10].id;
        callers.push(self.issued("narrowed", administrator, Some(a)).await);
        for (name, role) in [
            ("key-admin", KeyRole::Admin),
            ("key-developer", KeyRole::Developer),
            ("key-query", KeyRole::QueryEndpoints),
        ] {
            let key = cloud_app::key_of(identity.node(), a, role).await;
            let id = key.id.parse().unwrap();
            callers.push(Caller { name, authorization: Some(key.header()), id });
        }
        assert!(callers.iter().map(|caller| caller.name).eq(CALLERS));
        callers
    }

    async fn somebody(&self, name: &str, part: Part) -> Person {
        let email = format!("{name}@callers.example.com");
        let creation = app::creation(&email, Some(self.hash.clone()));
        let id = creation.id.0;
        membership::create(self.identity.node(), &RequestContext::system(), creation, Some(part)).await.unwrap();
        Person { id, email, individual: None, token: app::token(&self.identity.app, id).await }
    }

    /// An admin with an account who holds a policy.
    async fn register(&self, name: &str, policy: &Policy) -> Uuid {
        let id = Uuid::now_v7();
        let mut registration = crate::support::registered(id, Some(&format!("{name}@admins.example.com")));
        registration.policies = vec![policy.id.to_owned()];
        if let Some(account) = &mut registration.account {
            account.password_hash.clone_from(&self.hash);
        }
        let command = AdminCommand::Register(Box::new(registration), registrar_aggregates::admin::Granter::System);
        let executor = &self.identity.node().executor;
        executor.execute::<Admin>(&RequestContext::system(), &id.to_string(), command, None).await.unwrap();
        id
    }

    async fn issued(&self, name: &'static str, id: Uuid, organization: Option<Uuid>) -> Caller {
        let organization = organization.map(|organization| organization.to_string());
        let ttl = Duration::from_secs(600);
        let request = TokenRequest { admin_id: AdminId(id), ttl, organization, permissions: None };
        let state = &self.identity.app.state;
        let token = state.authenticator.issue(&state.node, &RequestContext::system(), request).await.unwrap();
        Caller { name, authorization: Some(format!("Bearer {token}")), id }
    }

    /// The authorization of somebody new who is what a caller is, for what ends all sessions; none of callers without any.
    pub async fn another(&self, caller: &Caller) -> Option<String> {
        let member = |organization, role| Some(Part::Member(OrganizationId(organization), Some(role)));
        let (a, b) = (self.identity.acme, self.identity.other);
        let part = match caller.name {
            "stranger" | "sharing" => member(b, Role::Admin),
            "participant" => member(a, Role::Member),
            "provider" | "leader" => member(a, Role::Provider),
            "admin" => member(a, Role::Admin),
            "support" => Some(Part::System(SystemRole::Support)),
            "service" => Some(Part::System(SystemRole::Service)),
            "system" => Some(Part::System(SystemRole::Admin)),
            _ => None,
        };
        if let Some(part) = part {
            let somebody = self.somebody(&self.name(caller.name), part).await;
            return Some(format!("Bearer {}", somebody.token));
        }
        let policy = match caller.name {
            "administrator" => ADMINISTRATOR,
            "operator" => OPERATOR,
            "auditor" => AUDITOR,
            _ => return None,
        };
        let id = self.register(&self.name(caller.name), &policy).await;
        self.issued(caller.name, id, None).await.authorization
    }

    pub fn caller(&self, name: &str) -> &Caller {
        self.callers.iter().find(|caller| caller.name == name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// A number that no other has.
    pub fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A new name.
    pub fn name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next())
    }

    /// A new person whose home is A, with this role there, and who is a member of B as well.
    pub async fn shared_person(&self, role: Option<Role>) -> Person {
        self.person_of(self.identity.acme, role, self.identity.other).await
    }

    /// A new person whose home is B and who is a member of A as well.
    pub async fn guest(&self) -> Person {
        self.person_of(self.identity.other, Some(Role::Provider), self.identity.acme).await
    }

    /// A new person who is a member of B alone.
    pub async fn outsider(&self) -> Person {
        let email = format!("{}@example.com", self.name("outsider"));
        let part = Part::Member(OrganizationId(self.identity.other), Some(Role::Provider));
        self.identity.person_as(&email, Some(part)).await
    }

    async fn person_of(&self, home: Uuid, role: Option<Role>, other: Uuid) -> Person {
        let (node, number) = (self.identity.node(), self.next());
        let email = format!("person-{number}@example.com");
        let mut creation = app::creation(&email, Some(self.hash.clone()));
        creation.contacts.phone = Some(Phone::parse(&format!("+1202{:07}", 5_550_000 + number)).unwrap());
        let (id, system) = (creation.id, RequestContext::system());
        let part = Part::Member(OrganizationId(home), role);
        membership::create(node, &system, creation, Some(part)).await.unwrap();
        membership::join(
            node,
            &system,
            &registrar_aggregates::granting::Granter::system(),
            id,
            OrganizationId(other),
            None,
        )
        .await
        .unwrap();
        let user = registrar::processes::user_by_id(node, id).await.unwrap().unwrap();
        let individual = user.individuals.first().map(|individual| individual.0);
        Person { id: id.0, email, individual, token: String::new() }
    }

    /// A person whom A and B share, who has just signed in.
    pub async fn signed_in_person(&self) -> Person {
        let person = self.shared_person(Some(Role::Provider)).await;
        Person { token: app::token(&self.identity.app, person.id).await, ..person }
    }

    /// The answer to the system administrator, which must be a success.
    pub async fn made(&self, method: &str, path: &str, body: Value) -> Value {
        let system = self.caller("system").authorization.clone();
        let request = Request { body: Some(body.to_string()).filter(|body| body != "null"), ..Request::to(path) };
        let sent = self.send(method, &request, system.as_deref(), &[]).await;
        assert!(sent.is_success(), "{method} {path}: {sent:?}");
        sent.json()
    }

    /// The identifier of a resource that the system administrator made.
    pub async fn made_id(&self, path: &str, body: Value) -> String {
        self.made("POST", path, body).await["data"]["id"].as_str().unwrap().to_owned()
    }

    /// The identifier of a new API key of A.
    pub async fn api_key(&self) -> String {
        cloud_app::key_of(self.identity.node(), self.identity.acme, KeyRole::Developer).await.id
    }

    /// A new admin of Registrar who holds nothing.
    pub async fn ecg_admin(&self) -> Uuid {
        self.identity.app.register(vec![]).await
    }

    /// An organization of its own in which a caller is what it is in A, and how it then identifies.
    pub async fn organization_like_a(&self, caller: &Caller) -> (Uuid, Option<String>) {
        let id = self.identity.organization(&self.name("Ward"), Authorization::Open).await;
        let role = match caller.name {
            "participant" => Role::Member,
            "provider" | "leader" => Role::Provider,
            "admin" => Role::Admin,
            "narrowed" => return (id, self.issued("narrowed", caller.id, Some(id)).await.authorization),
            _ => return (id, None),
        };
        let (node, user, system) = (self.identity.node(), UserId(caller.id), RequestContext::system());
        membership::join(
            node,
            &system,
            &registrar_aggregates::granting::Granter::system(),
            user,
            OrganizationId(id),
            Some(role),
        )
        .await
        .unwrap();
        let whose = sessions::Person::User(registrar::processes::user_by_id(node, user).await.unwrap().unwrap());
        let wish = Wish { organization: Some(OrganizationId(id)), ..Wish::plain(Origin::SignIn) };
        let authenticator = &self.identity.app.state.authenticator;
        let opened = sessions::open(node, authenticator, &system, &whose, &wish).await.unwrap();
        (id, Some(format!("Bearer {}", opened.tokens.access)))
    }

    /// The server.
    pub fn routes(&self) -> &Router {
        &self.routes
    }

    /// Another node over the same database.
    pub async fn other_node(&self, database: &Database) -> Router {
        let settings = ApiSettings { api_key_rate: PLENTY, ..ApiSettings::default() };
        let app = crate::ecg_app::App::over(database.open().await, settings).await;
        registrar::api::router(app.state.clone())
    }

    pub async fn head(&self) -> u64 {
        self.identity.head().await
    }

    /// Sends a request with an authorization and further headers.
    pub async fn send(
        &self,
        method: &str,
        request: &Request,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Sent {
        self.send_to(&self.routes, method, request, authorization, headers).await
    }

    /// The same to a server. The feed of events, which never ends, is not read.
    pub async fn send_to(
        &self,
        routes: &Router,
        method: &str,
        request: &Request,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Sent {
        let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        let mut sent = HttpRequest::builder().method(method).uri(&request.path).extension(ConnectInfo(peer));
        for (name, value) in headers {
            sent = sent.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            sent = sent.header("authorization", authorization);
        }
        let body = match &request.body {
            Some(body) => {
                sent = sent.header("content-type", "application/json");
                Body::from(body.clone())
            }
            None => Body::empty(),
        };
        let response = tower::ServiceExt::oneshot(routes.clone(), sent.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        let endless = content_type.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let bytes = if endless { Default::default() } else { axum::body::to_bytes(body, usize::MAX).await.unwrap() };
        Sent {
            status: parts.status.as_u16(),
            etag: parts.headers.get("etag").map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned()),
            replayed: parts.headers.get("idempotency-replayed").is_some_and(|value| value == "true"),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Waits until a group that was sent on its way has arrived, so that its task changes nothing later. The API has no way
    /// to wait for a task, so it is read again, for ten seconds at most.
    pub async fn settled(&self, moved: &Sent) {
        let Ok(body) = serde_json::from_str::<Value>(&moved.text) else { return };
        let Some(task) = body["data"]["task-id"].as_str() else { return };
        let system = self.caller("system").authorization.clone();
        for _ in 0..1_000 {
            let sent = self.send("GET", &Request::to(format!("/v1/tasks/{task}/")), system.as_deref(), &[]).await;
            if sent.text.contains("\"done\"") || sent.text.contains("\"failed\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the task {task} does not end");
    }
}
