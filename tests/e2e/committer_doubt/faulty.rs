//! An executor over a database whose connections break as planned.

use crate::support::*;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use registrar::committer::heads;
use registrar::committer::{Committer, Progress};
use registrar::executor::Executor;
use registrar::journal::{
    Batch, Committed, Head, Journal, JournalError, JournalResult, JournalWriter, Portion, PublishProgress,
    StoredAnswer, StoredEvent, StoredSnapshot, StreamId,
};
use registrar::node::Node;
use registrar::store::{
    ArchiveProbe, Body, Condition, DocumentRows, EventSearch, FirstEvent, IndexCondition, JournalStore,
    MatchedPositions, PortionRows, StreamRows,
};
use registrar::vault::Vault;
use registrar_projections::CollectionId;
use std::collections::{HashMap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The next fault of a writer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// The connection breaks after the commit.
    AfterCommit,
    /// The connection breaks before the commit.
    BeforeCommit,
    /// The writer cannot connect.
    Connect,
    /// The writer panics.
    Panic,
    /// The commit waits until the gate opens.
    Gate,
    /// No fault.
    Fine,
}

/// The fault of the next read of a stream's version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ReadFault {
    /// The connection breaks.
    Break,
    /// The answer waits until the gate opens.
    Gate,
    /// The answer waits until the gate opens, then the connection breaks.
    GateThenBreak,
}

/// A closed gate that lets waiting tasks through one by one.
#[derive(Clone)]
pub(super) struct Gate {
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

    pub(super) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(super) fn let_one_through(&self) {
        self.open.add_permits(1);
    }
}

/// The planned faults of commits and reads, in order.
#[derive(Clone)]
pub(super) struct Plan {
    commits: Arc<Mutex<VecDeque<Fault>>>,
    pub(super) reads: Arc<Mutex<VecDeque<ReadFault>>>,
    pub(super) commit_gate: Gate,
    pub(super) read_gate: Gate,
}

impl Plan {
    pub(super) fn new(commits: &[Fault], reads: &[ReadFault]) -> Self {
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

/// A second executor over the node's database whose commits fail as planned.
pub(super) async fn executor(database: &Database, node: &Node, plan: &[Fault]) -> Executor {
    planned(database, node, &Plan::new(plan, &[])).await
}

pub(super) async fn planned(database: &Database, node: &Node, plan: &Plan) -> Executor {
    let journal = Journal::over(Arc::new(FaultyDatabase { inner: node.store.journal_store(), plan: plan.clone() }));
    let vault = Vault::open(&database.master, &node.store).await.unwrap();
    let vault = Arc::new(vault);
    let generation = Arc::new(AtomicU64::new(node.status().generation));
    let progress =
        Progress { heads: heads::channel(0).0, generation, cache: Arc::default(), histories: Arc::default() };
    let (committer, _) = Committer::start(journal.clone(), Arc::clone(&node.read_store), Arc::clone(&vault), progress);
    Executor::new(committer, journal, vault)
}

/// A database whose writers fail as planned.
struct FaultyDatabase {
    inner: Arc<dyn JournalStore>,
    plan: Plan,
}

struct FaultyWriter {
    inner: Box<dyn JournalWriter>,
    plan: Plan,
}

#[async_trait]
impl EventSearch for FaultyDatabase {
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<Option<u64>> {
        self.inner.position_at(time).await
    }

    async fn sequence_at(&self, aggregate_type: &str, id: &str, position: u64) -> JournalResult<u64> {
        self.inner.sequence_at(aggregate_type, id, position).await
    }

    async fn places(
        &self,
        driver: &IndexCondition<'_>,
        others: &[Condition<'_>],
        range: Range<u64>,
        limit: usize,
    ) -> JournalResult<MatchedPositions> {
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
impl JournalStore for FaultyDatabase {
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

    async fn published(&self) -> JournalResult<Option<PublishProgress>> {
        self.inner.published().await
    }

    async fn note_published(&self, published: PublishProgress) -> JournalResult<()> {
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
