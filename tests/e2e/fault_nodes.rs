//! Two nodes on one PostgreSQL: neither answers stale data, and broken connections lose nothing.

use crate::support::*;
use futures::future::join_all;
use registrar::committer::ExpectedVersion;
use registrar::executor::ExecuteError;
use registrar::journal::{JournalError, JournalResult, StoredEvent};
use registrar::node::Node;
use registrar_aggregates::admin::{Admin, AdminCommand, AdminError, AdminEvent, Granter};
use registrar_projections::admins::{BY_NAME, SEARCH};
use registrar_projections::audit_trail::{AGGREGATE_ID, BY_TIME};
use registrar_projections::{AdminDocument, AuditEntry, Direction, Query};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Interval between checks of the nodes' progress; shorter ones would take processor time from the nodes.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(1);

async fn two_nodes() -> (Database, Arc<Node>, Arc<Node>) {
    let database = Database::postgres().await;
    let (a, b) = tokio::join!(database.open(), database.open());
    (database, a, b)
}

/// Registers an inactive admin and records a read, in one append of three events to two streams.
pub async fn register_at_once(node: &Node, id: Uuid) -> JournalResult<Vec<u64>> {
    let events = vec![admin_registered(id, Some(&format!("{id}@example.org"))), AdminEvent::Deactivated {}.into()];
    let registered = (admin_stream(id), ExpectedVersion::Exact(0), events);
    let recorded = (access_stream(&id.to_string()), ExpectedVersion::Any, vec![trail_read("t")]);
    let outcome = node.append(vec![registered, recorded]).await?;
    Ok(outcome.events.iter().map(|event| event.position).collect())
}

/// Outcomes of [`register_at_once`] as clients saw them.
#[derive(Default)]
pub struct AppendOutcomes {
    pub stored: HashMap<Uuid, Vec<u64>>,
    pub unknown: HashSet<Uuid>,
}

impl AppendOutcomes {
    /// Keeps registering until `done`; the only expected error is an unavailable database.
    pub async fn keep_registering(node: &Node, done: &AtomicBool, answered: &AtomicUsize) -> Self {
        let mut told = AppendOutcomes::default();
        while !done.load(Ordering::Acquire) {
            let id = Uuid::now_v7();
            match register_at_once(node, id).await {
                Ok(positions) => {
                    told.stored.insert(id, positions);
                    answered.fetch_add(1, Ordering::AcqRel);
                }
                Err(JournalError::Unavailable(_)) => {
                    told.unknown.insert(id);
                    // A real client would wait before its retry, too.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        told
    }

    pub fn extend(&mut self, other: AppendOutcomes) {
        self.stored.extend(other.stored);
        self.unknown.extend(other.unknown);
    }

    /// Checks the journal: every acknowledged event is stored once at its position, with its documents; every other
    /// append is stored whole or not at all; nothing else is stored.
    pub async fn assert_true(&self, node: &Node) {
        let stored = node.all_events().await;
        assert!(stored.iter().map(|event| event.position).eq(1..=node.position().await), "positions are not dense");
        let mut of_aggregate: HashMap<Uuid, Vec<&StoredEvent>> = HashMap::new();
        for event in &stored {
            of_aggregate.entry(event.aggregate_id.parse().unwrap()).or_default().push(event);
        }
        for (id, positions) in &self.stored {
            let found: Vec<u64> = of_aggregate[id].iter().map(|event| event.position).collect();
            assert_eq!(&found, positions, "an acknowledged write is not where it was");
        }
        for (id, events) in &of_aggregate {
            assert!(self.stored.contains_key(id) || self.unknown.contains(id), "nobody asked for this");
            assert_eq!(events.len(), 3, "a write is there in part");
            let entries =
                Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending).equal(&AGGREGATE_ID, id.to_string());
            assert_eq!(node.documents.page(entries).await.unwrap().value.total, 3);
            let document = node.find(*id).await;
            assert_eq!((document.version, document.active), (2, false));
        }
        let all = Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).page(0, 1);
        assert_eq!(node.documents.page(all).await.unwrap().value.total, of_aggregate.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_two_nodes_share_one_dense_order() {
    let (_database, a, b) = two_nodes().await;
    let clients = (0..16).map(|n| {
        let node = if n % 2 == 0 { Arc::clone(&a) } else { Arc::clone(&b) };
        tokio::spawn(async move {
            let mut told = AppendOutcomes::default();
            for _ in 0..25 {
                let id = Uuid::now_v7();
                told.stored.insert(id, register_at_once(&node, id).await.unwrap());
            }
            told
        })
    });
    let mut told = AppendOutcomes::default();
    for client in join_all(clients).await {
        told.extend(client.unwrap());
    }
    assert_eq!(a.position().await, 16 * 25 * 3);
    told.assert_true(&a).await;
    told.assert_true(&b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_answered_by_one_node_is_read_at_once_on_the_other() {
    let (_database, a, b) = two_nodes().await;
    let id = Uuid::now_v7();
    a.admin(id, registration(id, None)).await.unwrap();
    for round in 0..40 {
        let (writes, reads) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let name = format!("Ada {round}");
        let outcome = writes.admin(id, rename(&name)).await.unwrap();
        let written = outcome.document::<AdminDocument>().unwrap();
        let read = reads.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
        assert_eq!((read.position, read.value.as_deref()), (outcome.position, Some(written)));
        let found = Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).search(&SEARCH, &name);
        assert_eq!(reads.documents.page(found).await.unwrap().value.items, std::slice::from_ref(written));
        let trail = Query::<AuditEntry>::sorted(&BY_TIME, Direction::Descending).equal(&AGGREGATE_ID, id.to_string());
        assert_eq!(reads.documents.page(trail.page(0, 1)).await.unwrap().value.items[0].position, outcome.position);
        let (version, state) = reads.executor.state::<Admin>(&id.to_string()).await.unwrap();
        assert_eq!((version, state.profile().unwrap().person.first_name.as_str()), (written.version, name.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_would_change_nothing_looks_at_the_journal_first() {
    let (_database, a, b) = two_nodes().await;
    let id = Uuid::now_v7();
    a.admin(id, registration(id, None)).await.unwrap();
    // Both nodes have the active admin in their cache.
    assert!(b.admin(id, AdminCommand::Activate(Granter::System)).await.unwrap().events.is_empty());
    for _ in 0..3 {
        assert_eq!(a.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap().events.len(), 1);
        assert_eq!(b.admin(id, AdminCommand::Activate(Granter::System)).await.unwrap().events.len(), 1);
        assert_eq!(a.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap().events.len(), 1);
        assert!(b.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap().events.is_empty());
        assert_eq!(b.admin(id, AdminCommand::Activate(Granter::System)).await.unwrap().events.len(), 1);
    }
    assert!(a.find(id).await.active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_looks_at_the_journal_first() {
    let (_database, a, b) = two_nodes().await;
    let id = Uuid::now_v7();
    let refused = b.admin(id, rename("Augusta")).await;
    assert!(matches!(refused, Err(ExecuteError::Refused(AdminError::NotFound))));
    a.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
    b.admin(id, rename("Augusta")).await.unwrap();
    let again = a.admin(id, registration(id, None)).await;
    assert!(matches!(again, Err(ExecuteError::Refused(AdminError::AlreadyRegistered))));
    let other = Uuid::now_v7();
    let taken = b.admin(other, registration(other, Some("ADA@example.org"))).await;
    assert!(matches!(taken, Err(ExecuteError::Journal(JournalError::ClaimTaken { .. }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_a_client_expects_is_compared_with_the_journal() {
    let (_database, a, b) = two_nodes().await;
    let id = Uuid::now_v7();
    a.admin(id, registration(id, None)).await.unwrap();
    b.own(id, rename("Augusta"), Some(1)).await.unwrap();
    // Node `a` has cached version 1 only; the client has seen version 2 of the other node.
    assert_eq!(a.own(id, rename("Grace"), Some(2)).await.unwrap().events[0].sequence, 3);
    let late = b.own(id, rename("Mary"), Some(2)).await;
    assert!(matches!(late, Err(ExecuteError::Journal(JournalError::VersionConflict))));
}

/// Terminates the backends of the database of `sql` that match `condition`; answers their number.
async fn terminate(sql: &mut Sql, condition: &str) -> i64 {
    let ended = format!(
        "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}) t"
    );
    sql.number(&ended).await
}

async fn under_load_of_two_nodes(condition: &str, rounds: usize) -> AppendOutcomes {
    let (database, a, b) = two_nodes().await;
    let done = Arc::new(AtomicBool::new(false));
    // Counted per node: a batch whose connection breaks twice fails.
    let answered: [Arc<AtomicUsize>; 2] = Default::default();
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let node = if n % 2 == 0 { Arc::clone(&a) } else { Arc::clone(&b) };
            let (done, answered) = (Arc::clone(&done), Arc::clone(&answered[n % 2]));
            tokio::spawn(async move { AppendOutcomes::keep_registering(&node, &done, &answered).await })
        })
        .collect();
    let further_answers = async || {
        for answered in &answered {
            let before = answered.load(Ordering::Acquire);
            while answered.load(Ordering::Acquire) < before + 20 {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        }
    };
    // This connection belongs to no node, so it is not among the terminated ones.
    let mut sql = database.sql().await;
    for _ in 0..rounds {
        further_answers().await;
        while terminate(&mut sql, condition).await == 0 {
            tokio::task::yield_now().await;
        }
    }
    further_answers().await;
    done.store(true, Ordering::Release);
    let mut told = AppendOutcomes::default();
    for client in clients {
        told.extend(client.await.unwrap());
    }
    told.assert_true(&a).await;
    told.assert_true(&b).await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committer_whose_connection_is_killed_reconnects_unnoticed() {
    let told = under_load_of_two_nodes("query LIKE 'WITH head AS%'", 8).await;
    assert_eq!(told.unknown.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_connections_are_all_killed_go_on() {
    under_load_of_two_nodes("application_name = 'registrar'", 5).await;
}

/// A node that is cut off from the database, or frozen, right after it locked the head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_freezes_while_it_holds_the_head_does_not_stop_the_others() {
    let (_database, a, b) = two_nodes().await;
    let mut frozen = a.journal.writer().await.unwrap();
    frozen.lock().await.unwrap();
    let begun = Instant::now();
    let id = Uuid::now_v7();
    b.admin(id, registration(id, None)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    let head = b.journal.head().await.unwrap();
    let woken = frozen.commit(&batch(&head, &[(&access_stream("r"), 1)])).await;
    assert!(matches!(woken, Err(JournalError::Unavailable(_))), "{woken:?}");
    assert_eq!(b.position().await, 1);
}
