//! Random histories and random queries: the guarantees hold in any order of acts.

use crate::on_both_stores;
use crate::support::*;
use futures::future::join_all;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use registrar::committer::ExpectedVersion;
use registrar::executor::{ExecuteError, Outcome};
use registrar::followers;
use registrar::journal::{JournalError, StoredEvent, codec};
use registrar::node::Node;
use registrar_aggregates::admin::{AdminCommand, AdminEvent, Granter};
use registrar_aggregates::text::fold;
use registrar_aggregates::values::EmailAddress;
use registrar_aggregates::{ClaimKey, DomainEvent};
use registrar_projections::admins::{BY_NAME, POLICIES, SEARCH};
use registrar_projections::audit_trail::{ACTION, Action, BY_TIME, TRAIL};
use registrar_projections::document::HasCollection;
use registrar_projections::{AdminDocument, AuditEntry, CollectionId, Direction, DocumentKey, Query, WorkingSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;
use uuid::Uuid;

/// Runs `test` on random values; needs a runtime of several threads.
fn check<S: Strategy>(cases: u32, strategy: &S, test: impl AsyncFn(S::Value)) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let case = |value| {
        Handle::current().block_on(test(value));
        Ok(())
    };
    let run = || TestRunner::new(config).run(strategy, case);
    tokio::task::block_in_place(run).unwrap();
}

/// An act of a client; admins, e-mail addresses and readers are numbers.
#[derive(Debug, Clone)]
enum Act {
    Register {
        admin: usize,
        email: Option<usize>,
    },
    Rename {
        admin: usize,
        expected: Option<u64>,
    },
    Deactivate {
        admin: usize,
    },
    Activate {
        admin: usize,
    },
    Read {
        reader: usize,
    },
    /// An append to two aggregates, whatever their versions.
    Both {
        admin: usize,
        reader: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let admin = 0..4_usize;
    prop_oneof![
        3 => (admin.clone(), proptest::option::of(0..3_usize)).prop_map(|(admin, email)| Act::Register { admin, email }),
        3 => (admin.clone(), proptest::option::weighted(0.3, 0..6_u64)).prop_map(|(admin, expected)| Act::Rename { admin, expected }),
        1 => admin.clone().prop_map(|admin| Act::Deactivate { admin }),
        1 => admin.clone().prop_map(|admin| Act::Activate { admin }),
        2 => (0..2_usize).prop_map(|reader| Act::Read { reader }),
        2 => (admin, 0..2_usize).prop_map(|(admin, reader)| Act::Both { admin, reader }),
    ]
}

/// The state that the clients of a case share.
struct Stage {
    admins: Vec<Uuid>,
    emails: Vec<String>,
    readers: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let mark = Uuid::now_v7();
        Stage {
            admins: (0..4).map(|_| Uuid::now_v7()).collect(),
            emails: (0..3).map(|n| format!("{n}-{mark}@example.org")).collect(),
            readers: (0..2).map(|n| format!("{n}-{mark}")).collect(),
        }
    }

    /// Plays one act. `None` if it was refused for an expected reason.
    async fn play(&self, node: &Node, act: &Act) -> Option<Outcome> {
        let read = |reader: usize| (access_stream(&self.readers[reader]), ExpectedVersion::Any, vec![trail_read("t")]);
        let executed = match act {
            Act::Register { admin, email } => {
                let id = self.admins[*admin];
                node.admin(id, registration(id, email.map(|n| self.emails[n].as_str()))).await
            }
            Act::Rename { admin, expected } => {
                node.own(self.admins[*admin], rename(&Uuid::new_v4().to_string()), *expected).await
            }
            Act::Deactivate { admin } => {
                node.admin(self.admins[*admin], AdminCommand::Deactivate(Granter::System)).await
            }
            Act::Activate { admin } => node.admin(self.admins[*admin], AdminCommand::Activate(Granter::System)).await,
            Act::Read { reader } => node.append(vec![read(*reader)]).await.map_err(ExecuteError::Journal),
            Act::Both { admin, reader } => {
                let policies = vec![Uuid::new_v4().to_string()];
                let event = AdminEvent::GrantsAmended { policies, custom_permissions: vec![] }.into();
                let amended = (admin_stream(self.admins[*admin]), ExpectedVersion::Any, vec![event]);
                node.append(vec![amended, read(*reader)]).await.map_err(ExecuteError::Journal)
            }
        };
        match (executed, act) {
            (Ok(outcome), _) => Some(outcome),
            (Err(ExecuteError::Refused(_)), _) => None,
            (Err(ExecuteError::Journal(JournalError::ClaimTaken { .. })), Act::Register { email: Some(_), .. }) => None,
            (Err(ExecuteError::Journal(JournalError::VersionConflict)), Act::Rename { expected: Some(_), .. }) => None,
            // The admin is not registered yet.
            (Err(ExecuteError::Journal(JournalError::NotFoldable(_))), Act::Both { .. }) => None,
            (Err(error), act) => panic!("{act:?}: {error:?}"),
        }
    }
}

/// Reads the journal in small pages until `done` and its end is reached.
async fn follow(node: Arc<Node>, from: u64, done: Arc<AtomicBool>) -> Vec<StoredEvent> {
    let (mut seen, mut after) = (Vec::new(), from);
    loop {
        let over = done.load(Ordering::Acquire);
        let page = node.journal.read(after, 3).await.unwrap();
        match page.last() {
            Some(last) => after = last.position,
            None if over => return seen,
            None => tokio::task::yield_now().await,
        }
        seen.extend(page);
    }
}

/// Plays a history on some nodes, with clients spread over them and concurrent readers, and checks the outcome.
async fn check_history(nodes: &[Arc<Node>], clients: Vec<Vec<Act>>) {
    let stage = Stage::new();
    let start = nodes[0].position().await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        nodes.iter().map(|node| tokio::spawn(follow(Arc::clone(node), start, Arc::clone(&done)))).collect();
    let played = clients.iter().enumerate().map(|(n, acts)| {
        let (stage, node) = (&stage, &nodes[n % nodes.len()]);
        async move {
            let mut outcomes = Vec::new();
            for act in acts {
                outcomes.extend(stage.play(node, act).await);
            }
            outcomes
        }
    });
    let outcomes: Vec<Outcome> = join_all(played).await.into_iter().flatten().collect();
    done.store(true, Ordering::Release);
    let stored = nodes[0].journal.read(start, usize::MAX).await.unwrap();

    for reader in readers {
        assert_eq!(reader.await.unwrap(), stored, "a reader saw something else than what is stored");
    }
    assert_stored_once(start, &stored, &outcomes);
    assert_streams_dense(&stored);
    assert_claims_held_once(&nodes[0], &stage, &outcomes).await;
}

fn assert_stored_once(start: u64, stored: &[StoredEvent], outcomes: &[Outcome]) {
    let place = |position, id: &str, sequence| (position, id.to_owned(), sequence);
    let stored: Vec<_> =
        stored.iter().map(|event| place(event.position, &event.aggregate_id, event.sequence)).collect();
    let mut answered: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.events)
        .map(|event| place(event.position, &event.aggregate_id, event.sequence))
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, stored);
    assert!(stored.iter().map(|place| place.0).eq(start + 1..=start + stored.len() as u64));
    for outcome in outcomes {
        assert!(outcome.events.iter().all(|event| event.position <= outcome.position));
        assert!(outcome.events.windows(2).all(|pair| pair[0].position + 1 == pair[1].position));
    }
}

fn assert_streams_dense(stored: &[StoredEvent]) {
    let mut versions: HashMap<(&str, &str), u64> = HashMap::new();
    for event in stored {
        let version = versions.entry((&event.aggregate_type, &event.aggregate_id)).or_default();
        *version += 1;
        assert_eq!(event.sequence, *version);
    }
}

async fn assert_claims_held_once(node: &Node, stage: &Stage, outcomes: &[Outcome]) {
    let mut holders: BTreeMap<String, Uuid> = BTreeMap::new();
    for event in outcomes.iter().flat_map(|outcome| &outcome.events) {
        let DomainEvent::Admin(AdminEvent::Registered(registration)) = &*event.event else { continue };
        if let Some(email) = registration.account_email() {
            assert_eq!(holders.insert(email.to_string(), registration.id.0), None, "two hold one e-mail");
        }
    }
    for email in &stage.emails {
        let key = node.vault.claim(&ClaimKey::account_email(&EmailAddress::parse(email).unwrap()));
        let holder = node.journal.claim_holder(&key).await.unwrap().map(|(_, id)| id);
        assert_eq!(holder, holders.get(email).map(Uuid::to_string));
    }
}

/// Folds the whole journal again and compares the admins with the documents written live.
async fn assert_documents_are_the_fold(node: &Node) {
    let events = codec::decode(&node.vault, &node.all_events().await).await.unwrap();
    let mut documents = WorkingSet::default();
    for event in &events {
        for key in registrar_projections::wants(event) {
            documents.provide(key, None);
        }
        registrar_projections::fold(event, &mut documents).unwrap();
    }
    let ids: HashSet<&String> = events
        .iter()
        .filter(|event| event.event.aggregate_type() == "admin")
        .map(|event| &event.aggregate_id)
        .collect();
    let page = node.documents.page(Query::sorted(&BY_NAME, Direction::Ascending)).await.unwrap();
    assert_eq!((page.value.total, page.position), (ids.len() as u64, events.len() as u64));
    for document in page.value.items {
        let folded = documents.current(&DocumentKey::of::<AdminDocument>(document.id.to_string())).unwrap();
        assert_eq!(AdminDocument::unwrap(&folded), Some(&document));
    }
}

/// Every document that is written with the events.
async fn dump(node: &Node) -> Vec<Vec<(String, String)>> {
    let inline = [CollectionId::Admins, CollectionId::AuditEntries, CollectionId::TrailCounters];
    join_all(inline.map(async |id| node.read_store.dump(node.status().generation, id).await.unwrap())).await
}

/// Compares the stored totals with the number of documents.
async fn assert_counts_are_right(node: &Node) {
    let all = || Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending);
    let entries = node.documents.page(all()).await.unwrap().value;
    assert_eq!(entries.total, entries.items.len() as u64);
    for trail in ["admin", "audit-access", "key-ring"] {
        let of_trail = || entries.items.iter().filter(|entry| entry.trail == trail);
        let total = node.documents.page(all().equal(&TRAIL, trail).page(0, 1)).await.unwrap().value.total;
        assert_eq!(total, of_trail().count() as u64, "{trail}");
        for action in [Action::Insert, Action::Update, Action::Delete] {
            let query = all().equal(&TRAIL, trail).equal(&ACTION, action.name()).page(0, 1);
            let total = node.documents.page(query).await.unwrap().value.total;
            assert_eq!(total, of_trail().filter(|entry| entry.action == action).count() as u64, "{trail} {action:?}");
        }
    }
}

/// An admin in the model in memory.
#[derive(Debug, Clone)]
struct Entry {
    id: Uuid,
    first: String,
    last: String,
    email: String,
    policies: Vec<String>,
}

impl Entry {
    fn name_key(&self) -> String {
        format!("{}\u{1}{}", fold(&self.first), fold(&self.last))
    }

    fn matches(&self, asked: &RandomQuery) -> bool {
        let term = fold(asked.term.trim());
        let name = format!("{} {}", fold(&self.first), fold(&self.last));
        (term.is_empty() || name.contains(&term) || fold(&self.email).contains(&term))
            && asked.policies.iter().all(|policy| self.policies.contains(policy))
    }
}

#[derive(Debug, Clone)]
struct RandomQuery {
    term: String,
    policies: Vec<String>,
    descending: bool,
    skip: u64,
    take: u64,
}

fn word(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let letters = select(vec![
        'a', 'A', 'b', 'ä', 'Ä', 'ß', 's', '\u{301}', 'é', '%', '_', '"', '\'', '\\', '*', ' ', '龍', '𝄞', '-',
    ]);
    proptest::collection::vec(letters, length).prop_map(|letters| letters.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    word(1..6).prop_map(|word| if word.trim().is_empty() { "a".to_owned() } else { word })
}

fn policies(most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(vec!["p1", "p2", "P2", "p,3", "\"4\""], 0..=most)
        .prop_map(|policies| policies.into_iter().map(str::to_owned).collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    (name(), name(), word(0..5), policies(3)).prop_map(|(first, last, email, policies)| Entry {
        id: Uuid::now_v7(),
        first,
        last,
        email,
        policies,
    })
}

fn asked() -> impl Strategy<Value = RandomQuery> {
    (word(0..5), policies(2), any::<bool>(), 0..12_u64, 0..12_u64)
        .prop_map(|(term, policies, descending, skip, take)| RandomQuery { term, policies, descending, skip, take })
}

async fn enter(node: &Node, entry: &Entry) {
    let mut registration = registered(entry.id, None);
    registration.person.first_name.clone_from(&entry.first);
    registration.person.last_name.clone_from(&entry.last);
    registration.person.email_address = Some(entry.email.clone());
    registration.policies.clone_from(&entry.policies);
    node.admin(entry.id, AdminCommand::Register(Box::new(registration), Granter::System)).await.unwrap();
}

async fn assert_answered_alike(node: &Node, entries: &[Entry], asked: &RandomQuery) {
    let direction = if asked.descending { Direction::Descending } else { Direction::Ascending };
    let query = Query::<AdminDocument>::sorted(&BY_NAME, direction).search(&SEARCH, &asked.term);
    let query = asked.policies.iter().fold(query, |query, policy| query.contains(&POLICIES, policy));
    let answer = node.documents.page(query.page(asked.skip, asked.take)).await.unwrap().value;

    let mut expected: Vec<&Entry> = entries.iter().filter(|entry| entry.matches(asked)).collect();
    expected.sort_by_key(|entry| (entry.name_key(), entry.id.to_string()));
    if asked.descending {
        expected.reverse();
    }
    assert_eq!(answer.total, expected.len() as u64, "{asked:?}");
    let expected = expected.iter().skip(asked.skip as usize).take(asked.take as usize).map(|entry| entry.id);
    let answered: Vec<Uuid> = answer.items.iter().map(|admin| admin.id.0).collect();
    assert_eq!(answered, expected.collect::<Vec<_>>(), "{asked:?}");
}

on_both_stores! {
    async fn concurrent_clients_break_no_guarantee_of_the_journal(database) {
        let nodes = [database.open().await, database.open().await];
        let clients = proptest::collection::vec(proptest::collection::vec(act(), 1..15), 1..7);
        check(40, &clients, async |clients| check_history(&nodes, clients).await);
        for node in &nodes {
            assert_documents_are_the_fold(node).await;
            assert_counts_are_right(node).await;
        }
        let live = dump(&nodes[0]).await;
        let generation = followers::rebuild(&nodes[0], &|_, _| {}).await.unwrap();
        nodes[0].serve(generation);
        assert_eq!(dump(&nodes[0]).await, live, "a rebuild gives other bytes");
        assert_counts_are_right(&nodes[0]).await;
    }

    async fn every_query_is_answered_as_by_a_list_in_memory(database) {
        let node = database.open().await;
        let known = tokio::sync::Mutex::new(Vec::new());
        let case = (proptest::collection::vec(entry(), 0..6), proptest::collection::vec(asked(), 1..12));
        check(60, &case, async |(entries, questions)| {
            let mut known = known.lock().await;
            for mut entry in entries {
                // A repeated case registers its own admins.
                entry.id = Uuid::now_v7();
                enter(&node, &entry).await;
                known.push(entry);
            }
            for asked in &questions {
                assert_answered_alike(&node, &known, asked).await;
            }
        });
    }
}
