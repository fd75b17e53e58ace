//! A server with organizations, users of every kind, and their tokens.

use crate::ecg_app::{Answer, App, Call};
use crate::shapes;
use crate::support::Database;
use chrono::Utc;
use registrar::api::ApiSettings;
use registrar::executor::RequestContext;
use registrar::messages::inbox::{CapturedMessage, InboxReader};
use registrar::node::Node;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::sessions::{self, Person as Whose, SessionRequest};
use registrar::processes::{organizations, sign_up, user_by_id, user_who_holds};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::organization::{Authorization, Content, Stamp, Tenancy};
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Contacts, Creation, Locale, Names, Role, SystemRole, UserState, Username};
use registrar_aggregates::values::{EmailAddress, IndividualId, OrganizationId, UserId};
use registrar_projections::UserDocument;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// A server with two organizations, `Acme`, which is open, and `Other`, which is restricted; and a user of every kind.
pub struct Identity {
    pub app: App,
    pub acme: Uuid,
    pub other: Uuid,
    /// A user with the admin role of the system.
    pub system: Person,
    /// A service account.
    pub service: Person,
    /// Admin of Acme.
    pub admin: Person,
    /// Provider in Acme.
    pub provider: Person,
    /// Participant in Acme.
    pub participant: Person,
    /// Admin of Other.
    pub other_admin: Person,
}

/// A user with a session.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: Uuid,
    pub email: String,
    /// The primary individual; participants only.
    pub individual: Option<Uuid>,
    pub token: String,
}

/// Password of every user of these tests. Its hash is cheap, so that tests are fast.
pub const PASSWORD: &str = "correct horse battery staple";

impl Identity {
    pub async fn open(database: &Database) -> Self {
        Self::with(database, ApiSettings::default()).await
    }

    pub async fn with(database: &Database, settings: ApiSettings) -> Self {
        let app = App::over(database.open().await, settings).await;
        let acme = organize(&app.state.node, "Acme", Authorization::Open).await;
        let other = organize(&app.state.node, "Other", Authorization::Restricted).await;
        let system = person(&app, "system@example.com", Some(FirstGrant::System(SystemRole::Admin))).await;
        let service = person(&app, "service@example.com", Some(FirstGrant::System(SystemRole::Service))).await;
        let of = |organization, role| Some(FirstGrant::Member(OrganizationId(organization), Some(role)));
        let admin = person(&app, "admin@example.com", of(acme, Role::Admin)).await;
        let provider = person(&app, "provider@example.com", of(acme, Role::Provider)).await;
        let participant = person(&app, "participant@example.com", of(acme, Role::Member)).await;
        let other_admin = person(&app, "admin@other.example.com", of(other, Role::Admin)).await;
        Identity { app, acme, other, system, service, admin, provider, participant, other_admin }
    }

    pub fn node(&self) -> &Node {
        &self.app.state.node
    }

    /// Creates a user with the address `name@example.com`.
    pub async fn person(&self, name: &str, organization: Uuid, role: Option<Role>) -> Person {
        let part = FirstGrant::Member(OrganizationId(organization), role);
        person(&self.app, &format!("{name}@example.com"), Some(part)).await
    }

    /// Creates a user with any kind of membership.
    pub async fn person_as(&self, email: &str, part: Option<FirstGrant>) -> Person {
        person(&self.app, email, part).await
    }

    /// Creates an organization.
    pub async fn organization(&self, name: &str, authorization: Authorization) -> Uuid {
        organize(self.node(), name, authorization).await
    }

    /// Creates an individual that an organization owns.
    pub async fn individual(&self, organization: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        let owner = Owner::Organization(OrganizationId(organization));
        let context = RequestContext::system();
        membership::record_individual(self.node(), &context, IndividualId(id), owner).await.unwrap();
        id
    }

    pub fn call(&self, caller: &Person, method: &str, path: &str) -> Call<'_> {
        self.app.call(method, path).token(Some(&caller.token))
    }

    /// Sends a read that must succeed; answers the body.
    pub async fn get(&self, caller: &Person, path: &str) -> Value {
        let answer = self.call(caller, "GET", path).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        shapes::check("GET", path, &answer);
        answer.json()
    }

    /// Sends a command that must succeed; answers the body.
    pub async fn post(&self, caller: &Person, path: &str, body: &Value) -> Value {
        let answer = self.call(caller, "POST", path).json(body).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        shapes::check("POST", path, &answer);
        answer.json()
    }

    /// Sends a partial change that must succeed; answers the body.
    pub async fn patch(&self, caller: &Person, path: &str, body: &Value) -> Value {
        let answer = self.call(caller, "PATCH", path).json(body).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        shapes::check("PATCH", path, &answer);
        answer.json()
    }

    pub async fn head(&self) -> u64 {
        self.app.head().await
    }

    /// The captured messages to an address in any spelling, newest last, in the form of `registrar inbox`.
    pub async fn messages_to(&self, address: &str) -> Vec<Value> {
        self.app.messages_to(address).await
    }

    /// The kinds of the captured messages to an address, in order.
    pub async fn kinds_to(&self, address: &str) -> Vec<String> {
        let messages = self.messages_to(address).await;
        messages.iter().map(|message| message["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// The code in the last captured message to an address.
    pub async fn inbox_code(&self, address: &str) -> String {
        let messages = self.messages_to(address).await;
        let code = messages.last().and_then(|message| message["code"].as_str());
        code.unwrap_or_else(|| panic!("no code for {address}: {messages:?}")).to_owned()
    }

    /// The code in the link of the last captured invitation to an address.
    pub async fn referral_code(&self, address: &str) -> String {
        let messages = self.messages_to(address).await;
        let links = messages.iter().filter_map(|message| message["link"].as_str());
        let mut codes = links.filter_map(|link| link.split_once("/sign-up?referral-code="));
        codes.next_back().unwrap_or_else(|| panic!("no invitation of {address}: {messages:?}")).1.to_owned()
    }

    /// The account that holds an e-mail address or a telephone number, verified or not.
    pub async fn account(&self, address: &str) -> Option<Arc<UserDocument>> {
        let contact = sign_up::address(address).unwrap();
        user_who_holds(self.node(), &contact.claim()).await.unwrap()
    }

    /// Names of the events after a position, in order.
    pub async fn events_since(&self, position: u64) -> Vec<String> {
        let events = self.node().journal.read(position, usize::MAX).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }

    /// Sends a request that must be refused and must store nothing; answers the first error.
    pub async fn refused(&self, call: Call<'_>, status: u16, code: &str) -> Value {
        let before = self.head().await;
        let error = refusal(&call.send().await, status, code);
        assert_eq!(self.head().await, before, "something was stored: {error}");
        error
    }

    /// Sends a read that must be refused.
    pub async fn get_refused(&self, caller: &Person, path: &str, status: u16, code: &str) -> Value {
        self.refused(self.call(caller, "GET", path), status, code).await
    }

    /// Requests a list that must be empty, since its filter is unknown or names something that the caller does not see.
    pub async fn find_nothing(&self, caller: &Person, path: &str) -> Value {
        let page = self.get(caller, path).await;
        assert_eq!(page["data"], serde_json::json!([]), "{path}");
        page
    }

    /// Sends a command that must be refused.
    pub async fn post_refused(&self, caller: &Person, path: &str, body: &Value, status: u16, code: &str) -> Value {
        self.refused(self.call(caller, "POST", path).json(body), status, code).await
    }

    /// Sends a partial change that must be refused.
    pub async fn patch_refused(&self, caller: &Person, path: &str, body: &Value, status: u16, code: &str) -> Value {
        self.refused(self.call(caller, "PATCH", path).json(body), status, code).await
    }
}

impl App {
    /// See [`Identity::messages_to`].
    pub async fn messages_to(&self, address: &str) -> Vec<Value> {
        let (mut reader, mut found) = (InboxReader::default(), Vec::new());
        loop {
            let page = reader.next(&self.state.node).await.unwrap();
            if page.is_empty() {
                return found;
            }
            found.extend(page.iter().filter(|message| message.is_to(address)).map(CapturedMessage::to_json));
        }
    }
}

/// The first error of an answer whose shape is checked.
#[track_caller]
pub fn refusal(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors: {body}"));
    for error in errors {
        assert_eq!(error["status"], status, "{body}");
        assert!(error["code"].is_string() && error["detail"].is_string(), "{body}");
    }
    assert_eq!(errors[0]["code"], code, "{body}");
    errors[0].clone()
}

/// Identifiers of the rows of a list, in order.
pub fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

pub async fn organize(node: &Node, name: &str, authorization: Authorization) -> Uuid {
    let id = OrganizationId(Uuid::now_v7());
    let tenancy = Some(Tenancy { authorization, ..Tenancy::default() });
    let content = Content { name: name.into(), tenancy, ..Content::default() };
    let context = RequestContext::system().within(id);
    organizations::register(node, &context, id, content, Stamp::at(Utc::now())).await.unwrap();
    id.0
}

/// A creation with an e-mail address and nothing else.
pub fn creation(email: &str, password_hash: Option<String>) -> Creation {
    let (first, _) = email.split_once('@').unwrap();
    Creation {
        id: UserId(Uuid::now_v7()),
        state: UserState::Confirmed,
        names: Names { first_name: first.into(), last_name: "Example".into() },
        birth_date: None,
        home: None,
        sign_up_code: None,
        contacts: Contacts {
            email: Some(EmailAddress::parse(email).unwrap()),
            email_verified: true,
            ..Contacts::default()
        },
        username: Username::Email,
        locale: Locale::EnUs,
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash,
        password_expires_at: None,
    }
}

async fn person(app: &App, email: &str, part: Option<FirstGrant>) -> Person {
    let node = &app.state.node;
    let creation = creation(email, None);
    let id = creation.id;
    membership::create(node, &RequestContext::system(), creation, part).await.unwrap();
    let user = user_by_id(node, id).await.unwrap().unwrap();
    let individual = user.individuals.first().map(|individual| individual.0);
    Person { id: id.0, email: email.into(), individual, token: token(app, id.0).await }
}

/// A token of a new session of a user.
pub async fn token(app: &App, user: Uuid) -> String {
    let node = &app.state.node;
    let user = user_by_id(node, UserId(user)).await.unwrap().unwrap();
    let (whose, wish) = (Whose::User(user), SessionRequest::plain(Origin::SignIn));
    let opened = sessions::open(node, &app.state.authenticator, &RequestContext::system(), &whose, &wish).await;
    opened.unwrap().tokens.access
}

/// The session that a token belongs to.
pub fn session_of(token: &str) -> String {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sid"].as_str().unwrap().to_owned()
}

/// Registers an admin with an account and every permission; answers the id of the person.
pub async fn register_admin(node: &Node, email: &str, password_hash: &str) -> Uuid {
    use registrar_aggregates::admin::{Admin, AdminCommand, Granter};
    let id = Uuid::now_v7();
    let mut registration = crate::support::registered(id, Some(email));
    registration.policies = vec![registrar::auth::permissions::ADMINISTRATOR.id.to_owned()];
    if let Some(account) = &mut registration.account {
        account.password_hash = password_hash.to_owned();
    }
    let person = registration.person_id.0;
    let command = AdminCommand::Register(Box::new(registration), Granter::System);
    node.executor.execute::<Admin>(&RequestContext::system(), &id.to_string(), command, None).await.unwrap();
    person
}
