//! A directory with a caller of every kind, and the ways they send requests.

mod callers;
mod requests;

pub use callers::{CALLERS, Caller};
pub use requests::{Request, Response, amendment, document};

use crate::app::{self, Identity, PASSWORD, Person};
use crate::cloud_app::{self, PLENTY};
use crate::support::Database;
use crate::url_shorteners;
use axum::Router;
use metrics_exporter_prometheus::PrometheusBuilder;
use registrar::api::ApiSettings;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::api_key::Role as KeyRole;
use registrar_aggregates::user::{Phone, Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::json;
use sha2::{Digest, Sha512};
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The token of the program at internal authentication.
pub const WORKLOAD_TOKEN: &str = "records' token";

/// Organization A is `identity.acme`, which is open; B is `identity.other`, which is restricted and has members of A.
pub struct World {
    pub identity: Identity,
    pub callers: Vec<Caller>,
    /// Leader of the groups that requests are about.
    pub leader: Uuid,
    pub hash: String,
    routes: Router,
    count: AtomicU32,
    _folder: tempfile::TempDir,
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
            link_hosts: url_shorteners::hosts(),
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
        let part = Some(FirstGrant::System(SystemRole::Service));
        membership::create(world.identity.node(), &RequestContext::system(), creation, part).await.unwrap();
        world.callers = world.all_callers().await;
        world.leader = world.caller("leader").id;
        world
    }

    pub fn caller(&self, name: &str) -> &Caller {
        self.callers.iter().find(|caller| caller.name == name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// The next unused number.
    pub fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// An unused name.
    pub fn name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next())
    }

    /// Creates a person whose home is A, with this role there, and who is a member of B as well.
    pub async fn shared_person(&self, role: Option<Role>) -> Person {
        self.person_of(self.identity.acme, role, self.identity.other).await
    }

    /// Creates a person whose home is B and who is a member of A as well.
    pub async fn guest(&self) -> Person {
        self.person_of(self.identity.other, Some(Role::Provider), self.identity.acme).await
    }

    /// Creates a person who is a member of B alone.
    pub async fn outsider(&self) -> Person {
        let email = format!("{}@example.com", self.name("outsider"));
        let part = FirstGrant::Member(OrganizationId(self.identity.other), Some(Role::Provider));
        self.identity.person_as(&email, Some(part)).await
    }

    async fn person_of(&self, home: Uuid, role: Option<Role>, other: Uuid) -> Person {
        let (node, number) = (self.identity.node(), self.next());
        let email = format!("person-{number}@example.com");
        let mut creation = app::creation(&email, Some(self.hash.clone()));
        creation.contacts.phone = Some(Phone::parse(&format!("+1202{:07}", 5_550_000 + number)).unwrap());
        let (id, system) = (creation.id, RequestContext::system());
        let part = FirstGrant::Member(OrganizationId(home), role);
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

    /// Creates a person who belongs to A and B and has just signed in.
    pub async fn signed_in_person(&self) -> Person {
        let person = self.shared_person(Some(Role::Provider)).await;
        Person { token: app::token(&self.identity.app, person.id).await, ..person }
    }

    /// Creates an API key of A; answers its identifier.
    pub async fn api_key(&self) -> String {
        cloud_app::key_of(self.identity.node(), self.identity.acme, KeyRole::Developer).await.id
    }

    /// Creates an admin of Registrar without permissions.
    pub async fn ecg_admin(&self) -> Uuid {
        self.identity.app.register(vec![]).await
    }

    pub fn routes(&self) -> &Router {
        &self.routes
    }

    /// A second node over the same database.
    pub async fn other_node(&self, database: &Database) -> Router {
        let link_hosts = url_shorteners::hosts();
        let settings = ApiSettings { api_key_rate: PLENTY, link_hosts, ..ApiSettings::default() };
        let app = crate::ecg_app::App::over(database.open().await, settings).await;
        registrar::api::router(app.state.clone())
    }

    pub async fn head(&self) -> u64 {
        self.identity.head().await
    }
}
