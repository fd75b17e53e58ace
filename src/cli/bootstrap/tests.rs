use super::*;
use crate::auth::{Authenticator, Permission, TokenRequest};
use crate::config::FIRST_PASSWORD_LIFE;
use crate::node::StoreSettings;
use crate::vault::MasterKey;
use registrar_aggregates::ClaimKey;
use std::time::Duration;

struct Fixture {
    node: Node,
    passwords: PasswordHasher,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let master = MasterKey::from_file(&folder.path().join("master.key")).expect("a key");
    let settings = StoreSettings { database_url: None, data: folder.path().to_owned(), archives: None };
    let node = Node::open(&settings, &master).await.expect("a node");
    Fixture { node, passwords: PasswordHasher::new(1, 8), _folder: folder }
}

fn settings(password: Option<&str>) -> FirstAdministrator {
    FirstAdministrator {
        email: EmailAddress::parse("first@example.com").expect("an e-mail"),
        password: password.map(|password| Zeroizing::new(password.to_owned())),
        password_life: FIRST_PASSWORD_LIFE,
    }
}

async fn admins(node: &Node) -> Vec<AdminDocument> {
    let all = Query::sorted(&admins::BY_NAME, Direction::Ascending).page(0, 10);
    node.documents.page(all).await.expect("admins").value.items
}

#[tokio::test]
async fn an_empty_journal_gets_an_administrator_with_every_permission() {
    let Fixture { node, passwords, _folder } = fixture().await;
    let made = first_administrator(&node, &passwords, None, &settings(None)).await.expect("made").expect("generated");
    let admins = admins(&node).await;
    let [admin] = admins.as_slice() else { panic!("one admin, not {}", admins.len()) };
    assert_eq!(admin.account.as_ref().map(|account| &account.email), Some(&made.email));
    assert_eq!(admin.audit_info.created_by, "system");

    let (_, state) = node.executor.state::<Admin>(&admin.id.to_string()).await.expect("loaded");
    let account = state.profile().and_then(|profile| profile.account.clone()).expect("an account");
    assert_eq!(passwords.verify(made.password, Some(account.password_hash)).await, Ok(true));
    let good_for = account.password_expires_at.expect("it is not for ever") - Utc::now();
    assert!(good_for <= FIRST_PASSWORD_LIFE && good_for > FIRST_PASSWORD_LIFE - chrono::TimeDelta::minutes(5));

    let key = node.vault.claim(&ClaimKey::account_email(&made.email));
    let holder = node.journal.claim_holder(&key).await.expect("asked");
    assert_eq!(holder, Some(("admin".to_owned(), admin.id.to_string())));

    let authenticator = Authenticator::open(&node, "http://localhost".into()).await.expect("opened");
    let request =
        TokenRequest { admin_id: admin.id, ttl: Duration::from_secs(60), organization: None, permissions: None };
    let token = authenticator.issue(&node, &RequestContext::system(), request).await.expect("issued");
    let principal =
        authenticator.authenticate(&node, &node.documents, Some(&format!("Bearer {token}"))).await.expect("recognised");
    assert!(Permission::ALL.iter().all(|&permission| principal.may(permission)));
}

#[tokio::test]
async fn a_given_password_is_taken_and_not_given_back() {
    let Fixture { node, passwords, _folder } = fixture().await;
    assert!(
        first_administrator(&node, &passwords, None, &settings(Some("correct horse battery")))
            .await
            .expect("made")
            .is_none()
    );
    let id = admins(&node).await[0].id.to_string();
    let (_, state) = node.executor.state::<Admin>(&id).await.expect("loaded");
    let hash = state.profile().and_then(|profile| profile.account.clone()).expect("an account").password_hash;
    assert_eq!(passwords.verify(Zeroizing::new("correct horse battery".into()), Some(hash)).await, Ok(true));
}

#[tokio::test]
async fn a_weak_password_is_refused_and_nothing_is_registered() {
    let Fixture { node, passwords, _folder } = fixture().await;
    for weak in ["gJ7#pQ2!xyz", "administrator"] {
        let refused = first_administrator(&node, &passwords, None, &settings(Some(weak))).await;
        let told = refused.err().expect("refused").to_string();
        assert!(told.starts_with("REGISTRAR_ADMIN_PASSWORD ") && !told.contains(weak), "{told}");
    }
    assert_eq!(node.journal.head().await.expect("a head").position, 0);
}

#[tokio::test]
async fn a_journal_with_an_admin_is_left_as_it_is() {
    let Fixture { node, passwords, _folder } = fixture().await;
    first_administrator(&node, &passwords, None, &settings(None)).await.expect("made");
    let head = node.journal.head().await.expect("a head").position;
    let other =
        FirstAdministrator { email: EmailAddress::parse("second@example.com").expect("an e-mail"), ..settings(None) };
    assert!(first_administrator(&node, &passwords, None, &other).await.expect("nothing to do").is_none());
    assert_eq!(node.journal.head().await.expect("a head").position, head);
}

#[tokio::test]
async fn of_nodes_that_start_at_once_one_registers_and_the_others_go_on() {
    let Fixture { node, passwords, _folder } = fixture().await;
    let settings = settings(None);
    let tries = (0..4).map(|_| first_administrator(&node, &passwords, None, &settings));
    let made = futures::future::try_join_all(tries).await.expect("nobody fails");
    assert_eq!(made.iter().flatten().count(), 1);
    assert_eq!(admins(&node).await.len(), 1);
}
