use super::*;
use crate::executor::RequestContext;
use crate::node::{Node, StoreSettings};
use crate::vault::MasterKey;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, ListEdit, Person, Registration};
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
    execute(&node, admin, AdminCommand::Register(Box::new(registration))).await;
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
async fn who_brings_no_bearer_token_is_nobody() {
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
    execute(&fixture.node, fixture.admin, AdminCommand::Deactivate { by: "system".into() }).await;
    assert_eq!(reason(fixture.ask(&token).await), "the token's admin is not active");
    let refused = fixture.authenticator.issue(&fixture.node, &RequestContext::system(), fixture.request()).await;
    assert!(matches!(refused, Err(IssueError::Inactive)));
    execute(&fixture.node, fixture.admin, AdminCommand::Activate).await;
    fixture.ask(&token).await.expect("active again");
}

#[tokio::test]
async fn a_change_of_grants_counts_for_tokens_that_are_out() {
    let fixture = fixture(&[permissions::ADMINISTRATOR.id], &[]).await;
    let token = fixture.issue(fixture.request()).await;
    execute(&fixture.node, fixture.admin, AdminCommand::Amend(vec![AdminChange::Policies(ListEdit::Set(vec![]))]))
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
async fn a_token_for_an_organization_carries_nothing_platform_wide() {
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
async fn a_token_for_nobody_is_not_issued() {
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
        rotate(&fixture.node, &RequestContext::system()).await.expect("rotated");
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
async fn unknown_keys_are_looked_for_once_a_second_however_many_ask() {
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
    // All of them waited for one look, or for two if some asked during the first; then came another.
    let taken = started.elapsed();
    assert!(taken > Duration::from_secs(1) && taken < Duration::from_secs(20), "{taken:?}");
}

#[tokio::test]
async fn a_token_of_another_issuer_counts_only_where_the_server_has_no_name() {
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
