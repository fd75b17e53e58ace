//! The callers, and others who hold the same rights.

use super::World;
use crate::app::{self, Person};
use crate::cloud_app;
use registrar::auth::TokenRequest;
use registrar::auth::permissions::{ADMINISTRATOR, AUDITOR, OPERATOR, Policy};
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::sessions::{self, SessionRequest};
use registrar_aggregates::admin::{Admin, AdminCommand};
use registrar_aggregates::api_key::Role as KeyRole;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{AdminId, OrganizationId, UserId};
use std::time::Duration;
use uuid::Uuid;

/// The callers. Organization A is open; the subjects of requests belong to it and are new. B is restricted.
///
/// | caller | |
/// |---|---|
/// | `anonymous` | no authorization |
/// | `stranger` | org.admin of an organization unrelated to A |
/// | `participant` | org.member of A |
/// | `provider` | org.provider of A |
/// | `leader` | org.provider of A, leader of the group in the request |
/// | `admin` | org.admin of A |
/// | `sharing` | org.admin of B; the person in the request is a member of A (home) and B |
/// | `support`, `service`, `system` | holders of system.support, system.service, system.admin |
/// | `administrator`, `operator`, `auditor` | ECG admins with an account and one built-in policy |
/// | `narrowed` | a token of the administrator, narrowed to A |
/// | `key-...` | API keys of A by role, sent as HTTP Basic, which only the cloud dialect accepts |
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

/// A caller; anonymous ones have no authorization.
pub struct Caller {
    pub name: &'static str,
    pub authorization: Option<String>,
    /// Identifier of the user or admin.
    pub id: Uuid,
}

impl Caller {
    fn user(name: &'static str, person: &Person) -> Self {
        Caller { name, authorization: Some(format!("Bearer {}", person.token)), id: person.id }
    }
}

impl World {
    pub(super) async fn all_callers(&self) -> Vec<Caller> {
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
            let part = FirstGrant::Member(OrganizationId(organization), Some(role));
            callers.push(Caller::user(name, &self.person_with(name, part).await));
        }
        for (name, role) in
            [("support", SystemRole::Support), ("service", SystemRole::Service), ("system", SystemRole::Admin)]
        {
            callers.push(Caller::user(name, &self.person_with(name, FirstGrant::System(role)).await));
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

    async fn person_with(&self, name: &str, part: FirstGrant) -> Person {
        let email = format!("{name}@callers.example.com");
        let creation = app::creation(&email, Some(self.hash.clone()));
        let id = creation.id.0;
        membership::create(self.identity.node(), &RequestContext::system(), creation, Some(part)).await.unwrap();
        Person { id, email, individual: None, token: app::token(&self.identity.app, id).await }
    }

    /// Registers an admin with an account and a policy.
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

    /// The authorization of a new user of the same kind as a caller, for requests that end all sessions; `None` for
    /// callers without any.
    pub async fn another(&self, caller: &Caller) -> Option<String> {
        let member = |organization, role| Some(FirstGrant::Member(OrganizationId(organization), Some(role)));
        let (a, b) = (self.identity.acme, self.identity.other);
        let part = match caller.name {
            "stranger" | "sharing" => member(b, Role::Admin),
            "participant" => member(a, Role::Member),
            "provider" | "leader" => member(a, Role::Provider),
            "admin" => member(a, Role::Admin),
            "support" => Some(FirstGrant::System(SystemRole::Support)),
            "service" => Some(FirstGrant::System(SystemRole::Service)),
            "system" => Some(FirstGrant::System(SystemRole::Admin)),
            _ => None,
        };
        if let Some(part) = part {
            let person = self.person_with(&self.name(caller.name), part).await;
            return Some(format!("Bearer {}", person.token));
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

    /// A new organization in which a caller has the same role as in A, and the authorization for it.
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
        let wish = SessionRequest { organization: Some(OrganizationId(id)), ..SessionRequest::plain(Origin::SignIn) };
        let authenticator = &self.identity.app.state.authenticator;
        let opened = sessions::open(node, authenticator, &system, &whose, &wish).await.unwrap();
        (id, Some(format!("Bearer {}", opened.tokens.access)))
    }
}
