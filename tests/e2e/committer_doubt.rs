//! Commits whose answer is lost: carried out or not, the client is told the truth and nothing is stored twice.

use crate::on_both_stores;
use crate::support::*;
use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use registrar::committer::heads;
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::committer::{Committer, ExpectedVersion, Progress};
use registrar::executor::{Executor, RequestContext};
use registrar::journal::{
    Batch, Committed, Head, Journal, JournalError, JournalResult, JournalWriter, Portion, Published, StoredAnswer,
    StoredEvent, StoredSnapshot, StreamId,
};
use registrar::node::Node;
use registrar::store::{
    ArchiveProbe, Body, Condition, DocumentRows, Driver, EventSearch, FirstEvent, JournalStore, Places, PortionRows,
    StreamRows,
};
use registrar::vault::Vault;
use registrar_aggregates::admin::Admin;
use registrar_projections::CollectionId;
use std::collections::{HashMap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The commit is carried out, and then the connection breaks.
    AfterCommit,
    /// The connection breaks first.
    BeforeCommit,
    /// No connection can be made.
    Connect,
    /// Whoever writes panics.
    Panic,
    /// The commit waits until it is let through.
    Gate,
    /// None.
    Fine,
}

/// What goes wrong with the next question for the version of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ReadFault {
    /// The connection breaks.
    Break,
    /// The answer waits until it is let through.
    Gate,
    /// As above, and then the connection breaks.
    GateThenBreak,
}

/// A door that is shut, and who stands before it.
#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Gate { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    fn let_one_through(&self) {
        self.open.add_permits(1);
    }
}

/// What is to go wrong, and when.
#[derive(Clone)]
struct Plan {
    commits: Arc<Mutex<VecDeque<Fault>>>,
    reads: Arc<Mutex<VecDeque<ReadFault>>>,
    commit_gate: Gate,
    read_gate: Gate,
}

impl Plan {
    fn new(commits: &[Fault], reads: &[ReadFault]) -> Self {
        Plan {
            commits: Arc::new(Mutex::new(commits.iter().copied().collect())),
            reads: Arc::new(Mutex::new(reads.iter().copied().collect())),
            commit_gate: Gate::new(),
            read_gate: Gate::new(),
        }
    }
}

fn broken() -> JournalError {
    JournalError::unavailable(std::io::Error::other("broken on purpose"))
}

/// A database whose writers break as planned.
struct Faulty {
    inner: Arc<dyn JournalStore>,
    plan: Plan,
}

struct FaultyWriter {
    inner: Box<dyn JournalWriter>,
    plan: Plan,
}

#[async_trait]
impl EventSearch for Faulty {
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<Option<u64>> {
        self.inner.position_at(time).await
    }

    async fn sequence_at(&self, aggregate_type: &str, id: &str, position: u64) -> JournalResult<u64> {
        self.inner.sequence_at(aggregate_type, id, position).await
    }

    async fn places(
        &self,
        driver: &Driver<'_>,
        others: &[Condition<'_>],
        range: Range<u64>,
        limit: usize,
    ) -> JournalResult<Places> {
        self.inner.places(driver, others, range, limit).await
    }

    async fn events_at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        self.inner.events_at(positions, portion).await
    }

    async fn events_of(&self, organization: &str, range: Range<u64>, limit: usize) -> JournalResult<Vec<FirstEvent>> {
        self.inner.events_of(organization, range, limit).await
    }
}

#[async_trait]
impl JournalStore for Faulty {
    async fn head(&self) -> JournalResult<Head> {
        self.inner.head().await
    }

    async fn stream(&self, stream: (&str, &str), after: u64, limit: usize) -> JournalResult<StreamRows> {
        self.inner.stream(stream, after, limit).await
    }

    async fn portion(&self, after: u64, portion: Portion) -> JournalResult<PortionRows> {
        self.inner.portion(after, portion).await
    }

    async fn archived_until(&self) -> JournalResult<u64> {
        self.inner.archived_until().await
    }

    async fn may_be_archived(&self, probe: &ArchiveProbe<'_>, until: u64) -> JournalResult<bool> {
        self.inner.may_be_archived(probe, until).await
    }

    async fn carried_around(&self, time: DateTime<Utc>, archived_until: u64) -> JournalResult<RangeInclusive<u64>> {
        self.inner.carried_around(time, archived_until).await
    }

    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>> {
        self.inner.carried(position).await
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        self.inner.claim_holder(key).await
    }

    async fn snapshot(&self, aggregate_type: &str, id: &str) -> JournalResult<Option<StoredSnapshot>> {
        self.inner.snapshot(aggregate_type, id).await
    }

    async fn save_snapshot(&self, aggregate_type: &str, id: &str, snapshot: StoredSnapshot) -> JournalResult<()> {
        self.inner.save_snapshot(aggregate_type, id, snapshot).await
    }

    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        self.inner.subject_keys(subject_ids).await
    }

    async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>> {
        self.inner.answer(key).await
    }

    async fn forget_answers(&self) -> JournalResult<u64> {
        self.inner.forget_answers().await
    }

    async fn published(&self) -> JournalResult<Option<Published>> {
        self.inner.published().await
    }

    async fn note_published(&self, published: Published) -> JournalResult<()> {
        self.inner.note_published(published).await
    }

    async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>> {
        self.inner.clock().await
    }

    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        if self.plan.commits.lock().unwrap().pop_front_if(|fault| *fault == Fault::Connect).is_some() {
            return Err(broken());
        }
        Ok(Box::new(FaultyWriter { inner: self.inner.writer().await?, plan: self.plan.clone() }))
    }
}

#[async_trait]
impl JournalWriter for FaultyWriter {
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed> {
        let fault = self.plan.commits.lock().unwrap().pop_front().unwrap_or(Fault::Fine);
        match fault {
            Fault::Fine => self.inner.commit(batch).await,
            Fault::AfterCommit => match self.inner.commit(batch).await? {
                Committed::Yes => Err(broken()),
                not_yet => {
                    self.plan.commits.lock().unwrap().push_front(fault);
                    Ok(not_yet)
                }
            },
            Fault::Gate => {
                self.plan.commit_gate.pass().await;
                self.inner.commit(batch).await
            }
            Fault::Panic => panic!("on purpose"),
            Fault::BeforeCommit | Fault::Connect => Err(broken()),
        }
    }

    async fn lock(&mut self) -> JournalResult<Head> {
        self.inner.lock().await
    }

    async fn unlock(&mut self) -> JournalResult<()> {
        self.inner.unlock().await
    }

    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>> {
        let fault = self.plan.reads.lock().unwrap().pop_front();
        match fault {
            Some(ReadFault::Break) => return Err(broken()),
            Some(ReadFault::Gate) => self.plan.read_gate.pass().await,
            Some(ReadFault::GateThenBreak) => {
                self.plan.read_gate.pass().await;
                return Err(broken());
            }
            None => {}
        }
        self.inner.versions(streams).await
    }

    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, Body>> {
        self.inner.documents(generation, collection, ids).await
    }

    async fn relax(&mut self) -> JournalResult<()> {
        self.inner.relax().await
    }

    async fn tighten(&mut self) -> JournalResult<()> {
        self.inner.tighten().await
    }

    async fn build(&mut self, generation: u64, rows: &DocumentRows, checkpoint: u64) -> JournalResult<()> {
        self.inner.build(generation, rows, checkpoint).await
    }

    async fn swap(&mut self, generation: u64, rows: &DocumentRows) -> JournalResult<()> {
        self.inner.swap(generation, rows).await
    }

    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &DocumentRows,
        checkpoints: (u64, u64),
    ) -> JournalResult<bool> {
        self.inner.follow(generation, follower, rows, checkpoints).await
    }

    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64> {
        self.inner.checkpoint(generation, follower).await
    }
}

/// An executor beside the node's own whose commits go wrong as planned.
async fn executor(database: &Database, node: &Node, plan: &[Fault]) -> Executor {
    planned(database, node, &Plan::new(plan, &[])).await
}

async fn planned(database: &Database, node: &Node, plan: &Plan) -> Executor {
    let journal = Journal::over(Arc::new(Faulty { inner: node.store.journal_store(), plan: plan.clone() }));
    let vault = Vault::open(&database.master, &node.store).await.unwrap();
    let vault = Arc::new(vault);
    let generation = Arc::new(AtomicU64::new(node.status().generation));
    let progress =
        Progress { heads: heads::channel(0).0, generation, recent: Arc::default(), histories: Arc::default() };
    let (committer, _) = Committer::start(journal.clone(), Arc::clone(&node.read_store), Arc::clone(&vault), progress);
    Executor::new(committer, journal, vault)
}

async fn record(executor: &Executor) -> JournalResult<u64> {
    record_in(executor, "r").await
}

/// Of a stream that the committer has not met it must ask the version.
async fn record_in(executor: &Executor, stream: &str) -> JournalResult<u64> {
    let append = (access_stream(stream), ExpectedVersion::Any, vec![trail_read("t")]);
    Ok(executor.append(&context(), vec![append]).await?.events[0].position)
}

on_both_stores! {
    async fn a_commit_whose_answer_was_lost_is_found_on_disk(database) {
        let node = database.open().await;
        let executor = executor(&database, &node, &[Fault::AfterCommit, Fault::Fine, Fault::AfterCommit]).await;
        for position in 1..=4 {
            assert_eq!(record(&executor).await.unwrap(), position);
        }
        assert_eq!(node.all_events().await.len(), 4);
    }

    async fn a_commit_that_did_not_happen_is_tried_again_once(database) {
        let node = database.open().await;
        let plan = [Fault::BeforeCommit, Fault::Fine, Fault::BeforeCommit, Fault::BeforeCommit];
        let executor = executor(&database, &node, &plan).await;
        assert_eq!(record(&executor).await.unwrap(), 1);
        assert!(matches!(record(&executor).await, Err(JournalError::Unavailable(_))));
        assert_eq!(record(&executor).await.unwrap(), 2);
        assert_eq!(node.all_events().await.len(), 2);
    }

    async fn what_nobody_can_find_out_is_answered_as_not_available(database) {
        let node = database.open().await;
        let plan = [Fault::AfterCommit, Fault::Connect, Fault::Fine, Fault::BeforeCommit, Fault::Connect];
        let executor = executor(&database, &node, &plan).await;
        assert!(matches!(record(&executor).await, Err(JournalError::Unavailable(_))));
        assert_eq!(record(&executor).await.unwrap(), 2);
        assert!(matches!(record(&executor).await, Err(JournalError::Unavailable(_))));
        assert_eq!(record(&executor).await.unwrap(), 3);
    }

    async fn a_doubtful_commit_that_others_have_overtaken_is_stored_once(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        for fault in [Fault::AfterCommit, Fault::BeforeCommit] {
            let executor = executor(&database, &node, &[fault]).await;
            let others = async {
                for _ in 0..5 {
                    node.append(vec![(access_stream("other"), ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
                }
            };
            let name = Uuid::new_v4().to_string();
            let id_text = id.to_string();
            let context = context();
            let (outcome, ()) = tokio::join!(executor.execute::<Admin>(&context, &id_text, rename(&name), None), others);
            let outcome = outcome.unwrap();
            assert_eq!(node.find(id).await.person.first_name, name);
            let stored = node.journal.read(outcome.events[0].position - 1, 1).await.unwrap();
            assert_eq!((&stored[0].aggregate_id, stored[0].sequence), (&id_text, outcome.events[0].sequence));
        }
        assert_eq!(node.journal.stream("admin", &id.to_string(), 0).await.unwrap().len(), 3);
    }

    async fn whatever_becomes_of_a_batch_those_drafted_upon_it_are_stored_once(database) {
        const CLIENTS: usize = 8;
        const APPENDS: usize = 20;
        let node = database.open().await;
        let plan = [Fault::Fine, Fault::AfterCommit, Fault::Fine, Fault::Fine, Fault::BeforeCommit, Fault::Fine];
        let executor = Arc::new(executor(&database, &node, &plan.repeat(CLIENTS * APPENDS)).await);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let executor = Arc::clone(&executor);
                tokio::spawn(async move {
                    let mut told = Vec::new();
                    for _ in 0..APPENDS {
                        let stream = access_stream(&format!("client-{client}"));
                        let append = (stream.clone(), ExpectedVersion::Any, vec![trail_read("t")]);
                        let outcome = executor.append(&context(), vec![append]).await.unwrap();
                        told.push((outcome.events[0].position, stream.aggregate_id, outcome.events[0].sequence));
                    }
                    told
                })
            })
            .collect();
        // Another writer, whose commits move the head under them.
        for _ in 0..APPENDS {
            node.append(vec![(access_stream("other"), ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        }
        let mut told = Vec::new();
        for client in clients {
            told.extend(client.await.unwrap());
        }
        told.sort_unstable();
        let stored = node.all_events().await;
        assert_eq!(stored.len(), (CLIENTS + 1) * APPENDS);
        let others = stored.into_iter().filter(|event| event.aggregate_id != "other");
        let stored: Vec<_> = others.map(|event| (event.position, event.aggregate_id, event.sequence)).collect();
        assert_eq!(told, stored);
    }

    async fn a_writer_that_panics_takes_nobody_with_it(database) {
        let node = database.open().await;
        // The first commit after a start is made with more care; those after it by a task of their own.
        let executor = executor(&database, &node, &[Fault::Fine, Fault::Panic]).await;
        for position in 1..=3 {
            assert_eq!(record(&executor).await.unwrap(), position);
        }
        assert_eq!(node.all_events().await.len(), 3);
    }

    async fn a_connection_that_breaks_while_it_reads_is_forgiven_once(database) {
        let node = database.open().await;
        let plan = Plan::new(&[], &[]);
        let executor = planned(&database, &node, &plan).await;
        assert_eq!(record(&executor).await.unwrap(), 1);
        *plan.reads.lock().unwrap() = VecDeque::from([ReadFault::Break]);
        assert_eq!(record_in(&executor, "s").await.unwrap(), 2);
        *plan.reads.lock().unwrap() = VecDeque::from([ReadFault::Break, ReadFault::Break]);
        assert!(matches!(record_in(&executor, "t").await, Err(JournalError::Unavailable(_))));
        assert_eq!(record_in(&executor, "t").await.unwrap(), 3);
        assert_eq!(node.all_events().await.len(), 3);
    }

    async fn reading_for_the_next_batch_may_fail_without_harm_to_either(database) {
        let node = database.open().await;
        let plan = Plan::new(&[Fault::Fine, Fault::Gate], &[]);
        let executor = planned(&database, &node, &plan).await;
        assert_eq!(record(&executor).await.unwrap(), 1);
        *plan.reads.lock().unwrap() = VecDeque::from([ReadFault::GateThenBreak]);
        let first = record(&executor);
        let second = async {
            plan.commit_gate.arrived().await;
            record_in(&executor, "s").await
        };
        let doors = async {
            plan.read_gate.arrived().await;
            plan.read_gate.let_one_through();
            plan.commit_gate.let_one_through();
        };
        let (first, second, ()) = tokio::join!(first, second, doors);
        assert_eq!((first.unwrap(), second.unwrap()), (2, 3));
        assert_eq!(node.all_events().await.len(), 3);
    }

    async fn an_acknowledgement_does_not_wait_for_what_the_next_batch_reads(database) {
        let node = database.open().await;
        let plan = Plan::new(&[Fault::Fine, Fault::Gate], &[]);
        let executor = Arc::new(planned(&database, &node, &plan).await);
        assert_eq!(record(&executor).await.unwrap(), 1);
        *plan.reads.lock().unwrap() = VecDeque::from([ReadFault::Gate]);
        let spawn = |stream: &'static str| {
            let executor = Arc::clone(&executor);
            tokio::spawn(async move { record_in(&executor, stream).await })
        };
        let first = spawn("r");
        plan.commit_gate.arrived().await;
        let second = spawn("s");
        plan.read_gate.arrived().await;
        plan.commit_gate.let_one_through();
        // Far below the time after which reading is given up.
        let first = tokio::time::timeout(std::time::Duration::from_secs(4), first).await;
        assert_eq!(first.expect("answered while the reading hangs").unwrap().unwrap(), 2);
        plan.read_gate.let_one_through();
        assert_eq!(second.await.unwrap().unwrap(), 3);
    }

    async fn an_answer_whose_commit_was_not_answered_is_remembered_once(database) {
        let node = database.open().await;
        let executor = executor(&database, &node, &[Fault::AfterCommit, Fault::BeforeCommit]).await;
        for key in ["k", "l"] {
            let slot = Arc::new(AnswerSlot::new(key.into(), b"fingerprint".into(), Utc::now() + Duration::days(1)));
            slot.answer_with(|_| Some(Answer { status: 204, headers: vec![], body: String::new() }));
            let context = RequestContext { answer: Some(Arc::clone(&slot)), ..context() };
            executor.append(&context, vec![]).await.unwrap();
            assert!(slot.is_remembered());
        }
        assert_eq!(database.sql().await.number("SELECT count(*) FROM idempotency_keys").await, 2);
    }
}

/// On one thread, so that both are in the queue before the committer looks at it.
#[tokio::test]
async fn those_who_wait_behind_a_batch_hear_with_it_that_the_database_is_away() {
    let database = Database::sqlite();
    let node = database.open().await;
    let executor = executor(&database, &node, &[Fault::Connect, Fault::Connect]).await;
    let append = async || {
        let append = (access_stream("r"), ExpectedVersion::Exact(0), vec![trail_read("t")]);
        executor.append(&context(), vec![append]).await
    };
    // Of one stream, so that they are not of one batch.
    let (first, second) = tokio::join!(append(), append());
    for refused in [first, second] {
        assert!(matches!(refused, Err(JournalError::Unavailable(_))), "{refused:?}");
    }
    append().await.unwrap();
}
