use super::*;
use crate::access::{Access, AccessQuery};
use crate::executor::RequestContext;
use crate::node::{Node, StoreSettings};
use crate::vault::MasterKey;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, ListEdit, Person, Registration};
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, Stamp};
use registrar_aggregates::values::{PartyId, PersonId};
use std::time::{Duration, Instant};
use uuid::Uuid;

const ISSUER: &str = "https://registrar.example.com";

struct Fixture {
    node: Node,
    authenticator: Authenticator,
    admin: AdminId,
    folder: tempfile::TempDir,
}

async fn node_in(folder: &std::path::Path) -> Node {
    let master = MasterKey::from_file(&folder.join("master.key")).expect("a key");
    let settings = StoreSettings { database_url: None, data: folder.to_owned(), archives: None };
    Node::open(&settings, &master).await.expect("a node")
}

/// A node with one admin who holds the given policy and custom permissions.
async fn fixture(policies: &[&str], custom_permissions: &[&str]) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node_in(folder.path()).await;
    let authenticator = Authenticator::open(&node, ISSUER.into()).await.expect("opened");
    let admin = AdminId(Uuid::now_v7());
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let registration = Registration {
        id: admin,
        person_id: PersonId(Uuid::now_v7()),
        party_id: PartyId(Uuid::now_v7()),
        policies: texts(policies),
        custom_permissions: texts(custom_permissions),
        person: Person {
            salutation: None,
            first_name: "Ada".into(),
            last_name: "L".into(),
            suffix: None,
            email_address: None,
        },
        legacy_identifier: None,
        addresses: Vec::new(),
        phone_numbers: Vec::new(),
        account: None,
    };
    execute(&node, admin, AdminCommand::Register(Box::new(registration), Granter::System)).await;
    Fixture { node, authenticator, admin, folder }
}

async fn execute(node: &Node, admin: AdminId, command: AdminCommand) {
    let context = RequestContext::system();
    node.executor.execute::<Admin>(&context, &admin.to_string(), command, None).await.expect("carried out");
}

impl Fixture {
    fn request(&self) -> TokenRequest {
        TokenRequest { admin_id: self.admin, ttl: Duration::from_secs(600), organization: None, permissions: None }
    }

    async fn issue(&self, request: TokenRequest) -> String {
        self.authenticator.issue(&self.node, &RequestContext::system(), request).await.expect("issued")
    }

    async fn ask(&self, token: &str) -> Result<Principal, AuthError> {
        self.authenticator.authenticate(&self.node, &self.node.documents, Some(&format!("Bearer {token}"))).await
    }
}

fn reason(result: Result<Principal, AuthError>) -> &'static str {
    match result {
        Err(AuthError::Unauthenticated(reason)) => reason,
        Err(AuthError::Unavailable(error)) => panic!("{error}"),
        Ok(principal) => panic!("recognised {}", principal.actor.id),
    }
}

#[tokio::test]
async fn the_bearer_of_a_token_is_its_admin() {
    let fixture = fixture(&[permissions::AUDITOR.id], &["ecg-admins.create"]).await;
    let token = fixture.issue(fixture.request()).await;
    for _ in 0..2 {
        let principal = fixture.ask(&token).await.expect("recognised");
        assert_eq!(principal.admin_id, Some(fixture.admin));
        assert_eq!(principal.actor.id, fixture.admin.to_string());
        assert_eq!(principal.actor.name.as_deref(), Some("Ada L"));
        assert!(principal.may(Permission::AuditRead) && principal.may(Permission::EcgAdminsCreate));
        assert!(!principal.may(Permission::EcgAdminsUpdate));
    }
}

#[tokio::test]
async fn callers_without_a_bearer_token_are_refused() {
    let fixture = fixture(&[], &[]).await;
    let token = fixture.issue(fixture.request()).await;
    let ask = async |header: Option<&str>| {
        reason(fixture.authenticator.authenticate(&fixture.node, &fixture.node.documents, header).await)
    };
    for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YTpi"), Some(&*token)] {
        assert_eq!(ask(header).await, "a bearer token is needed", "{header:?}");
    }
    assert_eq!(ask(Some("Bearer x")).await, "the token is malformed");
    let lower = format!("bearer  {token} ");
    fixture
        .authenticator
        .authenticate(&fixture.node, &fixture.node.documents, Some(&lower))
        .await
        .expect("the scheme's letter case is free");
}

#[tokio::test]
async fn a_token_is_on_record_before_it_is_handed_out() {
    let fixture = fixture(&[], &[]).await;
    let head = fixture.node.journal.head().await.expect("a head").position;
    fixture.issue(TokenRequest { organization: Some("o1".into()), ..fixture.request() }).await;
    let events = fixture.node.journal.read(head, 10).await.expect("events");
    let [event] = events.as_slice() else { panic!("one event, not {}", events.len()) };
    assert_eq!(event.event_type, "access-token.issued");
    assert!(event.payload.contains(&fixture.admin.to_string()) && event.payload.contains("\"o1\""));
}

#[tokio::test]
async fn a_deactivated_admin_is_refused_at_once_and_recognised_again_when_active() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let token = fixture.issue(fixture.request()).await;
    fixture.ask(&token).await.expect("active");
    execute(&fixture.node, fixture.admin, AdminCommand::Deactivate(Granter::System)).await;
    assert_eq!(reason(fixture.ask(&token).await), "the token's admin is not active");
    let refused = fixture.authenticator.issue(&fixture.node, &RequestContext::system(), fixture.request()).await;
    assert!(matches!(refused, Err(IssueError::Inactive)));
    execute(&fixture.node, fixture.admin, AdminCommand::Activate(Granter::System)).await;
    fixture.ask(&token).await.expect("active again");
}

#[tokio::test]
async fn a_change_of_grants_counts_for_tokens_that_are_out() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let token = fixture.issue(fixture.request()).await;
    execute(
        &fixture.node,
        fixture.admin,
        AdminCommand::Amend(vec![AdminChange::Policies(ListEdit::Set(vec![]))], Granter::System),
    )
    .await;
    assert_eq!(fixture.ask(&token).await.expect("recognised").permissions(), Permissions::NONE);
}

#[tokio::test]
async fn a_narrowed_token_is_never_wider_than_its_admin() {
    let fixture = fixture(&[permissions::AUDITOR.id], &[]).await;
    let wanted = vec![Permission::EcgAdminsRead, Permission::EcgAdminsUpdate];
    let token = fixture.issue(TokenRequest { permissions: Some(wanted), ..fixture.request() }).await;
    let held = fixture.ask(&token).await.expect("recognised").permissions();
    assert_eq!(held, Permissions::of(&[Permission::EcgAdminsRead]));

    let token = fixture.issue(TokenRequest { permissions: Some(vec![]), ..fixture.request() }).await;
    assert_eq!(fixture.ask(&token).await.expect("recognised").permissions(), Permissions::NONE);
}

#[tokio::test]
async fn a_token_for_an_organization_carries_no_platform_wide_permission() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let token = fixture.issue(TokenRequest { organization: Some("o1".into()), ..fixture.request() }).await;
    let principal = fixture.ask(&token).await.expect("recognised");
    assert_eq!(principal.organization.as_deref(), Some("o1"));
    assert!(principal.may(Permission::OrganizationsWrite) && principal.may(Permission::AuditRead));
    assert!(
        Permission::ALL.iter().filter(|permission| permission.is_platform_wide()).all(|&wide| !principal.may(wide))
    );
}

#[tokio::test]
async fn only_lives_of_a_second_to_a_day_are_issued() {
    let fixture = fixture(&[], &[]).await;
    for ttl in [Duration::ZERO, Duration::from_millis(999), TTL_MAX + Duration::from_secs(1)] {
        let request = TokenRequest { ttl, ..fixture.request() };
        let refused = fixture.authenticator.issue(&fixture.node, &RequestContext::system(), request).await;
        assert!(matches!(refused, Err(IssueError::LifeOutOfRange)), "{ttl:?}");
    }
    fixture.issue(TokenRequest { ttl: TTL_MAX, ..fixture.request() }).await;
}

#[tokio::test]
async fn a_token_for_an_unknown_admin_is_not_issued() {
    let fixture = fixture(&[], &[]).await;
    let request = TokenRequest { admin_id: AdminId(Uuid::now_v7()), ..fixture.request() };
    let refused = fixture.authenticator.issue(&fixture.node, &RequestContext::system(), request).await;
    assert!(matches!(refused, Err(IssueError::NoSuchAdmin)));
}

#[tokio::test]
async fn tokens_outlive_a_rotation_and_new_ones_are_known_at_once_on_every_node() {
    let fixture = fixture(&[], &[]).await;
    let other = node_in(fixture.folder.path()).await;
    let elsewhere = Authenticator::open(&other, ISSUER.into()).await.expect("opened");
    let before = fixture.issue(fixture.request()).await;
    let mut after = Vec::new();
    for _ in 0..2 {
        rotate(&fixture.node, &RequestContext::system(), FormerKey::LivesOut).await.expect("rotated");
        after.push(fixture.issue(fixture.request()).await);
    }
    for token in [&before, &after[0], &after[1]] {
        fixture.ask(token).await.expect("known here");
        elsewhere.authenticate(&other, &other.documents, Some(&format!("Bearer {token}"))).await.expect("known there");
    }
    let keys = elsewhere.jwks(&other).await.expect("keys");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn unknown_keys_are_looked_up_once_a_second_for_all_callers() {
    let fixture = fixture(&[], &[]).await;
    let foreign = {
        let elsewhere = self::fixture(&[], &[]).await;
        elsewhere.issue(elsewhere.request()).await
    };
    let started = Instant::now();
    let many = (0..200).map(|_| fixture.ask(&foreign));
    for refused in futures::future::join_all(many).await {
        assert_eq!(reason(refused), "the token is signed by an unknown key");
    }
    assert_eq!(reason(fixture.ask(&foreign).await), "the token is signed by an unknown key");
    // All of them waited for one journal read, or for two if some asked during the first; then came another.
    let taken = started.elapsed();
    assert!(taken > Duration::from_secs(1) && taken < Duration::from_secs(20), "{taken:?}");
}

#[tokio::test]
async fn a_token_of_another_issuer_is_accepted_only_by_a_server_without_a_name() {
    let fixture = fixture(&[], &[]).await;
    let named = Authenticator::open(&fixture.node, "https://other.example.com".into()).await.expect("opened");
    let token = format!("Bearer {}", fixture.issue(fixture.request()).await);
    assert_eq!(
        reason(named.authenticate(&fixture.node, &fixture.node.documents, Some(&token)).await),
        "the token is not meant for this server"
    );
    let unnamed = named.accepting_any_issuer();
    unnamed.authenticate(&fixture.node, &fixture.node.documents, Some(&token)).await.expect("the key is ours");
}

#[tokio::test]
async fn nodes_that_start_at_once_sign_with_one_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node_in(folder.path()).await;
    let opened = (0..4).map(|_| Authenticator::open(&node, ISSUER.into()));
    let opened = futures::future::try_join_all(opened).await.expect("opened");
    let keys = opened[0].jwks(&node).await.expect("keys");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
}

/// Every built-in policy alone, and custom sets around the permissions that open the identity API and organizations.
fn sets_of_grants() -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let policies = Policy::ALL.iter().map(|policy| (vec![policy.id.to_owned()], vec![]));
    let single = Permission::ALL.iter().map(|permission| (vec![], vec![permission.name().to_owned()]));
    let sets = [
        texts(&[]),
        texts(&["organizations.write", "organizations.read", "api-keys.write"]),
        texts(&["organizations.write", "identity.admin"]),
        texts(&["identity.admin", "audit.read"]),
    ];
    policies.chain(single).chain(sets.into_iter().map(|set| (vec![], set))).collect()
}

/// Answers of the identity API's gates for a holder about an organization, by question.
fn gates(holder: &Holder, organization: OrganizationId) -> [(&'static str, bool); 5] {
    [
        ("holds everything", holder.holds_everything()),
        ("is an admin of it", holder.holds_everything() || holder.is_admin(organization)),
        ("is an admin of some", holder.holds_everything() || holder.is_admin_anywhere()),
        ("is a provider in it", holder.holds_everything() || holder.is_provider(organization)),
        ("sees all of it", holder.holds_everything() || holder.sees_all_of(organization)),
    ]
}

async fn organization(node: &Node) -> OrganizationId {
    let id = OrganizationId(Uuid::now_v7());
    let content = Box::new(Content { name: "Acme".into(), ..Content::default() });
    let command = OrganizationCommand::Register { id, content, stamp: Stamp::at(chrono::Utc::now()) };
    let context = RequestContext::system();
    node.executor.execute::<Organization>(&context, &id.to_string(), command, None).await.expect("registered");
    id
}

#[tokio::test]
async fn a_narrowed_principal_holds_no_more_than_the_whole_one() {
    let fixture = fixture(&[], &[]).await;
    let (own, other) = (organization(&fixture.node).await, organization(&fixture.node).await);
    let kinds = ["organization", "individual", "group", "system", "app.x"];
    let ids = [own.to_string(), other.to_string(), String::new()];
    let queries = kinds.iter().flat_map(|kind| ids.iter().map(move |id| format!("{kind}:{id}")));
    let queries: Vec<_> = queries
        .flat_map(|about| ["read", "write", "contain"].map(|operation| format!("{about}:{operation}")))
        .filter_map(|text| AccessQuery::parse(&text))
        .collect();
    let access = Access::new(fixture.node.documents.clone());
    let found = fixture.node.documents.find::<AdminDocument>(&fixture.admin.to_string()).await.expect("read").value;
    let mut document = AdminDocument::clone(&found.expect("an admin"));
    let names = [
        None,
        Some(vec![]),
        Some(vec!["organizations.write".to_owned()]),
        Some(vec!["identity.admin".to_owned()]),
        Some(Permissions::ALL.names().into_iter().collect()),
    ];
    for (policies, custom_permissions) in sets_of_grants() {
        (document.policies, document.custom_permissions) = (policies, custom_permissions);
        let whole = Principal::new(&document, None, None);
        let mut wide = Vec::new();
        for query in &queries {
            wide.push(access.allows(&whole.holder(), query).await.expect("decided"));
        }
        for narrowed_to in &names {
            for organization in [None, Some(own.to_string()), Some("no organization".to_owned())] {
                let narrowed = Principal::new(&document, organization.clone(), narrowed_to.as_deref());
                let told = format!("{:?} {narrowed_to:?} {organization:?}", whole.permissions());
                assert_eq!(narrowed.permissions().and(whole.permissions()), narrowed.permissions(), "{told}");
                for asked in [own, other] {
                    let both = gates(&narrowed.holder(), asked).into_iter().zip(gates(&whole.holder(), asked));
                    for ((gate, narrow), (_, wide)) in both {
                        assert!(wide || !narrow, "{told}: {gate}");
                    }
                }
                for (query, wide) in queries.iter().zip(&wide) {
                    let narrow = access.allows(&narrowed.holder(), query).await.expect("decided");
                    assert!(*wide || !narrow, "{told}: {query:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_admin_of_the_identity_api_is_one_of_the_organization_that_it_is_narrowed_to() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let (own, unknown) = (organization(&fixture.node).await, OrganizationId(Uuid::nil()));
    let holder_in = async |organization: OrganizationId| {
        let request = TokenRequest { organization: Some(organization.to_string()), ..fixture.request() };
        fixture.ask(&fixture.issue(request).await).await.expect("recognised").holder()
    };
    let holder = holder_in(own).await;
    assert!(holder.is_admin(own) && !holder.holds_everything() && !holder.is_admin(unknown));
    assert!(!holder_in(unknown).await.is_admin(unknown));
}

#[tokio::test]
async fn an_operator_narrowed_to_an_organization_holds_no_role_in_the_identity_api() {
    let fixture = fixture(&[permissions::OPERATOR.id], &[]).await;
    let own = organization(&fixture.node).await;
    let token = fixture.issue(TokenRequest { organization: Some(own.to_string()), ..fixture.request() }).await;
    let holder = fixture.ask(&token).await.expect("recognised").holder();
    assert!(!holder.is_admin(own) && !holder.is_member(own) && !holder.is_provider(own));
}

#[tokio::test]
async fn a_narrowed_principal_grants_only_its_own_permissions() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let held = async |request: TokenRequest| match fixture.ask(&fixture.issue(request).await).await {
        Ok(principal) => match principal.granter() {
            Granter::Caller { held, .. } => held,
            Granter::System => panic!("a caller is not the system"),
        },
        Err(error) => panic!("{error}"),
    };
    assert_eq!(held(fixture.request()).await, Permissions::ALL.names());
    let named = TokenRequest { permissions: Some(vec![Permission::EcgAdminsCreate]), ..fixture.request() };
    assert_eq!(held(named).await, Permissions::of(&[Permission::EcgAdminsCreate]).names());
    let organization = TokenRequest { organization: Some(Uuid::nil().to_string()), ..fixture.request() };
    assert!(held(organization).await.is_empty());
}
