//! Another master key for a journal that is served: `registrar keys rewrap`.

use crate::cloud_app::{Key, basic, register};
use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail, fail_after_start, registrar};
use crate::support::*;
use async_trait::async_trait;
use chrono::{Duration, Utc};
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::executor::{ExecuteError, RequestContext};
use registrar::journal::{JournalError, JournalResult};
use registrar::journal_files::{ImportError, import};
use registrar::node::{Node, OpenError, Store};
use registrar::store::StoredKey;
use registrar::store::{DIGEST_KEY_ID, FORMER_KEY_ID, Replacement, WrappedKeys};
use registrar::vault::{MasterKey, MasterKeys, RewrapError, Rewrapped, Vault, VaultError, rewrap};
use registrar_aggregates::ClaimKey;
use registrar_aggregates::admin::Admin;
use registrar_aggregates::values::EmailAddress;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The key that every [`Database`] of the tests begins with.
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const WRONG: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const ADMIN: &str = "admin@registrar.local";

fn key(text: &str) -> MasterKey {
    MasterKey::parse(text, "the test").unwrap()
}

fn keys(configured: &str, former: Option<&str>) -> MasterKeys {
    MasterKeys::new(key(configured), former.map(key)).unwrap()
}

/// `registrar` with these master keys.
fn keyed(database: &Database, arguments: &[&str], configured: &str, former: Option<&str>) -> Command {
    let mut command = registrar(&database.settings, arguments);
    command.env("REGISTRAR_MASTER_KEY", configured).env("REGISTRAR_FORMER_MASTER_KEY", former.unwrap_or_default());
    // A client that goes on and on is no subject of these tests.
    command.env("REGISTRAR_CALLER_RATE", "none");
    command
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn post(server: &Server, path: &str, body: &Value) -> reqwest::Response {
    reqwest::Client::new().post(format!("{}{path}", server.url)).json(body).send().await.unwrap()
}

async fn sign_in(server: &Server, password: &str) -> reqwest::Response {
    post(server, "/v1/login/", &json!({ "username": "ada@example.com", "password": password })).await
}

async fn readiness(server: &Server) -> StatusCode {
    reqwest::get(format!("{}/readyz", server.url)).await.unwrap().status()
}

fn registration_of(name: &str) -> Value {
    json!({"person": {"firstName": "Ada", "lastName": name}, "addresses": [], "phoneNumbers": []})
}

/// Registers an admin under an idempotency key.
async fn create(server: &Server, token: &str, name: &str, key: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}/api/ecg-admins", server.url)).bearer_auth(token);
    request.header("idempotency-key", key).json(&registration_of(name)).send().await.unwrap()
}

/// Registers admins one after the other and reads each at every server, until it is enough; their ids.
async fn write(urls: Vec<String>, token: String, enough: CancellationToken) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut ids = Vec::new();
    while !enough.is_cancelled() {
        for url in &urls {
            let request = client.post(format!("{url}/api/ecg-admins")).bearer_auth(&token);
            let answer = request.json(&registration_of("Lovelace")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED);
            let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
            for url in &urls {
                let read = client.get(format!("{url}/api/ecg-admins/{id}")).bearer_auth(&token).send().await.unwrap();
                assert_eq!(read.status(), StatusCode::OK);
            }
            ids.push(id);
        }
    }
    ids
}

/// Where [`FORMER_KEY_ID`] stands, a replacement has begun and has not ended.
const BEGUN: &str = "SELECT count(*) FROM subject_keys WHERE subject_id = 'vault-former-key'";
const WRAPPED: &str = "SELECT count(*) FROM subject_keys WHERE wrapped_key IS NOT NULL";

/// What is wrapped, as it is stored.
async fn boxes(database: &Database) -> Vec<String> {
    let mut sql = database.sql().await;
    let mut rows = sql.rows("subject_keys").await;
    rows.extend(sql.rows("idempotency_keys").await);
    rows.sort();
    rows
}

on_both_stores! {
    /// Two servers on PostgreSQL, one on SQLite; a client that writes; a replacement that is killed and run again.
    async fn servers_go_on_while_the_master_key_is_replaced(database) {
        let organization = {
            let node = database.open().await;
            let id = register(&node, "Acme").await.to_string();
            node.close().await;
            id
        };
        let server = Server::spawn(keyed(&database, &["serve"], OLD, None));
        let user = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
        let user: Value = serde_json::from_str(&printed(keyed(&database, &user, OLD, None))).unwrap();
        let password = user["password"].as_str().unwrap();
        let make = ["api-key", "create", "--organization", &organization, "--role", "admin"];
        let program = Key::of(&serde_json::from_str(&printed(keyed(&database, &make, OLD, None))).unwrap());
        let token = printed(keyed(&database, &["token", "create", "--admin", ADMIN], OLD, None)).trim().to_owned();
        let session: Value = sign_in(&server, password).await.json().await.unwrap();
        let first = create(&server, &token, "Once", "k1").await;
        assert_eq!(first.status(), StatusCode::CREATED);
        let first = first.text().await.unwrap();
        printed(keyed(&database, &["seed", "--admins", "450"], OLD, None));
        assert!(server.stop().0.success());

        // Every server gets both keys, one after the other; nothing is under the new one yet.
        let on_postgres = database.settings.database_url.is_some();
        let servers: Vec<_> = (0..if on_postgres { 2 } else { 1 })
            .map(|_| Server::spawn(keyed(&database, &["serve"], NEW, Some(OLD))))
            .collect();
        let (enough, urls) = (CancellationToken::new(), servers.iter().map(|server| server.url.clone()).collect());
        let writer = tokio::spawn(write(urls, token.clone(), enough.clone()));

        // SIGKILL after it has begun: it stays so for seconds, whatever it is doing.
        let mut rewrapping = keyed(&database, &["keys", "rewrap"], NEW, Some(OLD));
        let mut rewrapping = rewrapping.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (mut sql, begun) = (database.sql().await, Instant::now());
        while sql.number(BEGUN).await == 0 {
            assert!(begun.elapsed() < PATIENCE && rewrapping.try_wait().unwrap().is_none(), "it does not begin");
        }
        rewrapping.kill().unwrap();
        rewrapping.wait().unwrap();
        assert_eq!(sql.number(BEGUN).await, 1);
        let half = fail(keyed(&database, &["keys", "rotate"], NEW, None));
        assert!(half.starts_with("registrar: the master key") && half.contains("REGISTRAR_FORMER_MASTER_KEY"), "{half}");

        let told = printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        assert!(told.ends_with("wrapped anew: nothing is left under a former master key\n"), "{told}");
        assert_eq!(sql.number(BEGUN).await, 0);
        let wrapped = sql.number(WRAPPED).await;
        enough.cancel();
        let written = writer.await.unwrap();
        assert!(!written.is_empty() && wrapped > 450);
        for server in &servers {
            assert_eq!(sign_in(server, password).await.status(), StatusCode::CREATED);
            assert_eq!(readiness(server).await, StatusCode::OK);
        }
        for server in servers {
            let (status, log) = server.stop();
            assert!(status.success() && !log.iter().any(|line| line.contains("\"ERROR\"")), "{log:?}");
        }

        // The new key alone: everything is as it was.
        let again = printed(keyed(&database, &["keys", "rewrap"], NEW, None));
        assert!(again.starts_with("0 keys and 0 answers"), "{again}");
        let server = Server::spawn(keyed(&database, &["serve"], NEW, None));
        assert_eq!(sign_in(&server, password).await.status(), StatusCode::CREATED);
        assert_eq!(sign_in(&server, "another password").await.status(), StatusCode::UNAUTHORIZED);
        let refreshed = post(&server, "/v1/refresh-token/", &json!({ "refresh-token": session["refresh-token"] })).await;
        assert_eq!(refreshed.status(), StatusCode::CREATED);
        let refreshed: Value = refreshed.json().await.unwrap();
        let client = reqwest::Client::new();
        let get = async |path: String, token: &str| {
            let answer = client.get(format!("{}{path}", server.url)).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            answer.json::<Value>().await.unwrap()
        };
        let person = get(format!("/v1/users/{}/", user["id"].as_str().unwrap()), refreshed["access-token"].as_str().unwrap()).await;
        assert_eq!(person["data"]["attributes"]["email"], "ada@example.com");
        let replayed = create(&server, &token, "Once", "k1").await;
        assert_eq!(replayed.headers()["idempotency-replayed"], "true");
        assert_eq!(replayed.text().await.unwrap(), first);
        let history = get(format!("/audit/admin/{}/history", written[0]), &token).await;
        assert_eq!(history["items"][0]["payload"]["person"]["lastName"], "Lovelace");
        let credentials = basic(&format!("{}:{}", program.id, program.secret));
        let request = client.get(format!("{}/v1/organizations/{organization}", server.url));
        assert_eq!(request.header("authorization", credentials).send().await.unwrap().status(), StatusCode::OK);
        let again = ["user", "create", "--email", "ADA@example.com", "--role", "system.support"];
        let taken = fail(keyed(&database, &again, NEW, None));
        assert!(taken.starts_with("registrar: the user was not created") && taken.contains("already in use"), "{taken}");
        let verified = printed(keyed(&database, &["journal", "verify", "--documents"], NEW, None));
        assert!(verified.contains("nothing was altered"), "{verified}");

        // The old key alone opens nothing.
        let refused = fail(keyed(&database, &["serve"], OLD, None));
        assert!(refused.starts_with("registrar: the master key does not open this database"), "{refused}");
        assert!(refused.contains("REGISTRAR_MASTER_KEY"), "{refused}");
    }

    /// Whatever a server cannot unwrap is not available; it is never said not to be there.
    async fn a_server_without_the_new_key_says_that_it_is_not_ready(database) {
        let server = Server::spawn(keyed(&database, &["serve"], OLD, None));
        let user = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
        let user: Value = serde_json::from_str(&printed(keyed(&database, &user, OLD, None))).unwrap();
        let token = printed(keyed(&database, &["token", "create", "--admin", ADMIN], OLD, None)).trim().to_owned();
        let admin: Value = create(&server, &token, "Before", "k1").await.json().await.unwrap();
        printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        let begun = Instant::now();
        while readiness(&server).await != StatusCode::SERVICE_UNAVAILABLE {
            assert!(begun.elapsed() < PATIENCE, "it does not look");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let head = database_head(&database).await;
        assert_eq!(create(&server, &token, "After", "k2").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let replayed = create(&server, &token, "Before", "k1").await;
        assert_eq!(replayed.status(), StatusCode::SERVICE_UNAVAILABLE);
        let signed_in = sign_in(&server, user["password"].as_str().unwrap()).await;
        assert_eq!(signed_in.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(database_head(&database).await, head, "something was stored");
        let path = format!("{}/audit/admin/{}/history", server.url, admin["id"].as_str().unwrap());
        let read = reqwest::Client::new().get(path).bearer_auth(&token).send().await.unwrap();
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&read.status()), "{}", read.status());
    }

    /// A replacement that ends between any two of its steps: both keys open everything, the new one alone opens everything or
    /// is refused, and so does the old one. Run again, it goes on.
    async fn a_replacement_goes_on_wherever_it_ended(database) {
        let node = with_people(&database).await;
        let digest = node.vault.digest("s", &[b"v"]);
        let (store, people) = (node.store.clone(), people(&node).await);
        let (mut died, mut total) = (0, Rewrapped::default());
        loop {
            let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
            let dying = Dying { inner: store.wrapped_keys(), steps: AtomicI64::new(died) };
            match rewrap(&vault, &dying, &|_, _| {}).await {
                Ok(done) => {
                    total = Rewrapped { keys: total.keys + done.keys, answers: total.answers + done.answers };
                    break;
                }
                Err(error) => assert!(matches!(error, RewrapError::Journal(_)), "{error}"),
            }
            let both = open(&store, keys(NEW, Some(OLD))).await.unwrap();
            assert!(opens_all(&both, &people).await && both.digest("s", &[b"v"]) == digest, "step {died}");
            for alone in [NEW, OLD] {
                match open(&store, keys(alone, None)).await {
                    Ok(vault) => assert!(opens_all(&vault, &people).await, "step {died} with {alone}"),
                    Err(error) => assert!(!matches!(error, VaultError::Journal(_)), "{error}"),
                }
            }
            died += 1;
        }
        assert!(died > 5, "it has more steps than {died}");
        assert!(total.keys <= people.len() as u64 + 1);
        let vault = open(&store, keys(NEW, None)).await.unwrap();
        assert!(opens_all(&vault, &people).await && vault.digest("s", &[b"v"]) == digest);
        assert!(matches!(open(&store, keys(OLD, None)).await, Err(VaultError::WrongMasterKey)));
        let again = rewrap(&vault, &*store.wrapped_keys(), &|_, _| {}).await.unwrap();
        assert_eq!(again, Rewrapped::default());

        // The node that served meanwhile has the old key alone.
        node.vault.look().await.unwrap();
        assert!(!node.vault.has_master_key());
        let id = Uuid::now_v7();
        let refused = node.admin(id, registration(id, None)).await;
        assert!(matches!(refused, Err(ExecuteError::Journal(JournalError::Unavailable(_)))), "{refused:?}");
    }

    async fn a_wrong_former_key_changes_nothing(database) {
        with_people(&database).await.close().await;
        let before = boxes(&database).await;
        for former in [None, Some(WRONG)] {
            let refused = Node::open(&database.settings, keys(NEW, former)).await.err().unwrap();
            assert!(matches!(refused, OpenError::WrongMasterKey), "{refused}");
        }
        let told = fail(keyed(&database, &["keys", "rewrap"], NEW, Some(WRONG)));
        assert!(told.starts_with("registrar: the master key does not open this database"), "{told}");
        assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY"), "{told}");
        assert_eq!(boxes(&database).await, before);

        // Halfway, some are under the one and some under the other.
        let store = Store::open(&database.settings).unwrap();
        let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
        let dying = Dying { inner: store.wrapped_keys(), steps: AtomicI64::new(6) };
        rewrap(&vault, &dying, &|_, _| {}).await.unwrap_err();
        let before = boxes(&database).await;
        for former in [None, Some(WRONG)] {
            let told = fail(keyed(&database, &["keys", "rewrap"], NEW, former));
            assert!(told.starts_with("registrar: the master key of this database is being replaced"), "{told}");
            assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY"), "{told}");
        }
        assert_eq!(boxes(&database).await, before);
    }

    /// A box that neither key opens is named, and the command fails.
    async fn what_cannot_be_wrapped_anew_is_told(database) {
        let node = with_people(&database).await;
        let alien = people(&node).await.into_iter().max().unwrap();
        node.close().await;
        let zeros = "0102030405060708".repeat(8);
        let text = match &database.settings.database_url {
            Some(_) => format!("UPDATE subject_keys SET wrapped_key = '\\x02{zeros}' WHERE subject_id = '{alien}'"),
            None => format!("UPDATE subject_keys SET wrapped_key = x'02{zeros}' WHERE subject_id = '{alien}'"),
        };
        database.sql().await.run(&text).await.unwrap();
        let told = fail_after_start(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        // It has begun by then, and logs so.
        let refusal = format!("registrar: the key of {alien} is wrapped by another master key");
        assert!(told.lines().any(|line| line.starts_with(&refusal)), "{told}");
        assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY") && told.contains("0102030405060708"), "{told}");
    }

    /// Journal files of any moment can be imported with the keys that they are under, and unique values stay so.
    async fn journal_files_move_before_during_and_after(database) {
        let node = with_people(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let before = export_all(&node, folder.path(), "before").await;
        let store = node.store.clone();
        let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
        let dying = Dying { inner: store.wrapped_keys(), steps: AtomicI64::new(6) };
        rewrap(&vault, &dying, &|_, _| {}).await.unwrap_err();
        let both = Node::open(&database.settings, keys(NEW, Some(OLD))).await.unwrap();
        let during = export_all(&both, folder.path(), "during").await;
        rewrap(&vault, &*store.wrapped_keys(), &|_, _| {}).await.unwrap();
        let after = export_all(&both, folder.path(), "after").await;
        let claims = rows(&database, "key || aggregate_id", "claims").await;

        for (path, configured, former, fits) in [
            (&before, OLD, None, true),
            (&before, NEW, Some(OLD), true),
            (&before, NEW, None, false),
            (&during, NEW, Some(OLD), true),
            (&during, NEW, None, false),
            (&during, OLD, None, false),
            (&after, NEW, None, true),
            (&after, OLD, None, false),
        ] {
            let target = Database::sqlite_with_tables();
            let node = Node::open(&target.settings, keys(configured, former)).await.unwrap();
            let imported = import_all(&node, path).await;
            if !fits {
                assert!(matches!(imported, Err(ImportError::MasterKey)), "{path:?} {configured}");
                assert_eq!(node.position().await, 0);
                continue;
            }
            imported.unwrap();
            node.close().await;
            assert_eq!(rows(&target, "key || aggregate_id", "claims").await, claims);
            let node = Node::open(&target.settings, keys(configured, former)).await.unwrap();
            assert!(opens_all(&node.vault, &people(&node).await).await);
            let id = Uuid::now_v7();
            let taken = node.admin(id, registration(id, Some("ADA7@example.org"))).await;
            assert!(matches!(taken, Err(ExecuteError::Journal(JournalError::ClaimTaken { .. }))), "{taken:?}");
        }
    }

    /// Databases and files of earlier releases know no digest key: digests hang on the master key itself there.
    async fn a_journal_of_an_earlier_release_comes_under_another_master_key(database) {
        let store = Store::open(&database.settings).unwrap();
        store.migrate().await.unwrap();
        // A person who was erased before the first start of this release; so it is no new journal.
        database.sql().await.run("INSERT INTO subject_keys (subject_id, wrapped_key) VALUES ('gone', NULL)").await.unwrap();
        let node = with_people(&database).await;
        let claim = |node: &Node| node.vault.claim(&ClaimKey::account_email(&EmailAddress::parse("ada7@example.org").unwrap()));
        let claimed = claim(&node);
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "earlier").await;
        node.close().await;
        // Their boxes name no key, and nothing stands for the digests.
        let boxed = match &database.settings.database_url {
            Some(_) => "'\\x01'::bytea || substring(wrapped_key FROM 10)",
            None => "unhex('01' || substr(hex(wrapped_key), 19))",
        };
        let mut sql = database.sql().await;
        sql.run(&format!("UPDATE subject_keys SET wrapped_key = {boxed} WHERE wrapped_key IS NOT NULL")).await.unwrap();
        sql.run(&format!("DELETE FROM subject_keys WHERE subject_id = '{DIGEST_KEY_ID}'")).await.unwrap();

        let both = Node::open(&database.settings, keys(NEW, Some(OLD))).await.unwrap();
        assert_eq!(claim(&both), claimed);
        let all = people(&both).await;
        assert!(opens_all(&both.vault, &all).await);
        both.close().await;
        let told = printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        assert!(told.ends_with("nothing is left under a former master key\n"), "{told}");
        let alone = Node::open(&database.settings, keys(NEW, None)).await.unwrap();
        assert_eq!(claim(&alone), claimed);
        assert!(opens_all(&alone.vault, &all).await);

        edit_keys(&path, |line| !line.contains(DIGEST_KEY_ID));
        let target = Database::sqlite();
        let node = target.open().await;
        import_all(&node, &path).await.unwrap();
        node.close().await;
        let node = target.open().await;
        assert_eq!(claim(&node), claimed);
        let id = Uuid::now_v7();
        let taken = node.admin(id, registration(id, Some("ada7@example.org"))).await;
        assert!(matches!(taken, Err(ExecuteError::Journal(JournalError::ClaimTaken { .. }))), "{taken:?}");
        let empty = Database::sqlite();
        let node = Node::open(&empty.settings, keys(NEW, None)).await.unwrap();
        assert!(matches!(import(&node, &[path], None, &|_, _| {}).await, Err(ImportError::MasterKey)));
    }
}

async fn database_head(database: &Database) -> i64 {
    database.sql().await.number("SELECT position FROM journal_head").await
}

/// Leaves lines out of the file of keys, and counts the others.
fn edit_keys(path: &Path, takes: impl Fn(&str) -> bool) {
    let path = with(path, ".keys");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("\"count\"") && takes(line)).collect();
    std::fs::write(&path, format!("{}\n{}\n", kept.join("\n"), json!({ "count": kept.len() }))).unwrap();
}

/// A journal under the old key: people with addresses, more than are wrapped at a time, and answers.
async fn with_people(database: &Database) -> Arc<Node> {
    let node = filled(database).await;
    let registered = (0..180).map(|n| {
        let (node, id) = (Arc::clone(&node), Uuid::now_v7());
        tokio::spawn(
            async move { node.admin(id, registration(id, Some(&format!("grace{n}@example.org")))).await.unwrap() },
        )
    });
    for registered in registered.collect::<Vec<_>>() {
        registered.await.unwrap();
    }
    for n in 0..3 {
        let slot = AnswerSlot::new(vec![n], b"fingerprint".into(), Utc::now() + Duration::days(1));
        slot.answer_with(|_| Some(Answer { status: 201, headers: vec![], body: "answer".into() }));
        let (context, id) = (RequestContext { answer: Some(Arc::new(slot)), ..context() }, Uuid::now_v7());
        node.executor.execute::<Admin>(&context, &id.to_string(), registration(id, None), None).await.unwrap();
    }
    node
}

/// Everybody who has a key.
async fn people(node: &Node) -> HashSet<String> {
    let stored = node.store.raw().keys("", 10_000).await.unwrap();
    let people = stored.into_iter().filter(|(_, key)| key.is_some()).map(|(id, _)| id);
    people.filter(|id| id != DIGEST_KEY_ID && id != FORMER_KEY_ID).collect()
}

async fn open(store: &Store, keys: MasterKeys) -> Result<Vault, VaultError> {
    Vault::open(keys, store).await
}

/// Whether a vault opens the keys of all these people.
async fn opens_all(vault: &Vault, people: &HashSet<String>) -> bool {
    match vault.keys_by_subject(people.clone()).await {
        Ok(keys) => keys.len() == people.len() && keys.values().all(Option::is_some),
        Err(_) => false,
    }
}

/// Ends after so many steps, as a process that is killed does.
struct Dying {
    inner: Arc<dyn WrappedKeys>,
    steps: AtomicI64,
}

impl Dying {
    fn step(&self) -> JournalResult<&dyn WrappedKeys> {
        match self.steps.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(&*self.inner),
            _ => Err(JournalError::unavailable(std::io::Error::other("killed"))),
        }
    }
}

#[async_trait]
impl WrappedKeys for Dying {
    async fn any_key(&self) -> JournalResult<Option<StoredKey>> {
        self.step()?.any_key().await
    }

    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        self.step()?.add_key(subject_id, boxed).await
    }

    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        self.step()?.set_key(subject_id, boxed).await
    }

    async fn remove_key(&self, subject_id: &str) -> JournalResult<()> {
        self.step()?.remove_key(subject_id).await
    }

    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64> {
        self.step()?.count_others(prefix).await
    }

    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.step()?.other_keys(prefix, after, limit).await
    }

    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.step()?.other_answers(prefix, after, limit).await
    }

    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        self.step()?.replace_keys(replacements).await
    }

    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        self.step()?.replace_answers(replacements).await
    }
}
