//! A node: the store, the committer and all other services, without HTTP.

pub(crate) mod priority;
mod watched_head;

pub use crate::store::{OpenError, Store, StoreSettings};

use crate::committer::heads::{self, Heads};
use crate::committer::history::Histories;
use crate::committer::idempotency::{Answer, AnswerSlot};
use crate::committer::{Append, Committer, Progress};
use crate::executor::{Executor, RequestContext};
use crate::journal::tree::Tree;
use crate::journal::{Journal, JournalError, JournalResult};
use crate::read_store::{Documents, NOT_SERVED};
use crate::store::DocumentStore;
use crate::vault::{MasterKeys, Vault, VaultError};
use futures::StreamExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use watched_head::WatchedHead;

/// Interval for polling the head, where it is not announced or an announcement was lost.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Most events without stored tree nodes: few enough for a proof to read their hashes.
const LEAVES_BEHIND_MAX: u64 = 4_096;
/// Pause after a failed extension of the tree.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Interval for checking whether the master key was replaced.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval for deleting expired answers.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Status report of a node.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// `postgresql` or `sqlite`.
    pub store: &'static str,
    /// Position of the last event known to be on disk.
    pub position: u64,
    /// Generation of the served documents.
    pub generation: u64,
    /// State of a rebuild or the reason why it stopped, if one was started.
    pub rebuild: Option<String>,
}

/// All services of a node.
pub struct Node {
    /// Carries out commands.
    pub executor: Executor,
    /// Answers queries.
    pub documents: Documents,
    /// The journal.
    pub journal: Journal,
    /// The store of the documents.
    pub read_store: Arc<dyn DocumentStore>,
    /// Encryption keys.
    pub vault: Arc<Vault>,
    /// The known head of the journal; wakes its followers.
    pub heads: Heads,
    /// The store itself.
    pub store: Store,
    /// Folder with archives that were moved from where they were written.
    pub archives: Option<PathBuf>,
    committer: Committer,
    progress: Progress,
    watched: Arc<WatchedHead>,
    rebuild: Mutex<Option<String>>,
    background: CancellationToken,
    failed: CancellationToken,
    /// Whether the node only reads: no background tasks run, and writes fail.
    looks: bool,
}

impl Node {
    /// Opens the database, migrates it, and starts to serve it.
    ///
    /// # Errors
    /// [`OpenError`], which says how to fix it.
    pub async fn open(settings: &StoreSettings, masters: impl Into<MasterKeys>) -> Result<Self, OpenError> {
        let (masters, store) = (masters.into(), Store::open(settings)?);
        store.migrate().await?;
        if store.journal().head().await?.generation == 0 {
            store.document_store().create_generation(&crate::read_store::signature()).await?;
        }
        let node = Self::start(store, settings.archives.clone(), masters).await?;
        forget_answers(node.journal.clone(), node.background.clone());
        extend_tree(node.store.tree(), node.heads.clone(), node.background.clone());
        watch_keys(Arc::clone(&node.vault), &node.background);
        watch_head(&node.store, Arc::clone(&node.watched), &node.background);
        Ok(node)
    }

    /// Opens a database for reading, where it may only be read: by a role without the right to write, on a standby, or
    /// in a copy. It is not migrated.
    ///
    /// # Errors
    /// [`OpenError`], which says how to fix it.
    pub async fn look(settings: &StoreSettings, masters: impl Into<MasterKeys>) -> Result<Self, OpenError> {
        let (masters, store) = (masters.into(), Store::open_to_look(settings)?);
        store.look().await?;
        let mut node = Self::start(store, settings.archives.clone(), masters).await?;
        node.looks = true;
        Ok(node)
    }

    async fn start(store: Store, archives: Option<PathBuf>, masters: MasterKeys) -> Result<Self, OpenError> {
        let (journal, read_store) = (store.journal(), store.document_store());
        let vault = Arc::new(Vault::open(masters, &store).await?);
        let generation = served_generation(&journal, &*read_store).await?;
        let position = journal.head().await?.position;
        let (sender, heads) = heads::channel(position);
        let generation = Arc::new(AtomicU64::new(generation));
        let progress = Progress { heads: sender, generation, cache: Arc::default(), histories: Arc::default() };
        let (committer, committing) =
            Committer::start(journal.clone(), Arc::clone(&read_store), Arc::clone(&vault), progress.clone());
        let background = CancellationToken::new();
        let failed = CancellationToken::new();
        supervise(committing, failed.clone());
        let executor = Executor::new(committer.clone(), journal.clone(), Arc::clone(&vault));
        let (aggregates, keys) = (executor.aggregates(), Arc::clone(&vault));
        progress.histories.forgetting(move || {
            aggregates.clear();
            keys.forget();
        });
        let watched = Arc::new(WatchedHead::new(progress.clone(), journal.head().await?));
        Ok(Node {
            executor,
            documents: Documents::new(
                Arc::clone(&read_store),
                Arc::clone(&vault),
                Arc::clone(&progress.generation),
                Arc::clone(&progress.cache),
            ),
            journal,
            read_store,
            vault,
            heads,
            store,
            archives,
            committer,
            progress,
            watched,
            rebuild: Mutex::new(None),
            background,
            failed,
            looks: false,
        })
    }

    /// Stops the background tasks. Commands already queued are still committed.
    pub async fn close(&self) {
        self.background.cancel();
        if self.looks {
            return;
        }
        // An empty append goes through the same queue: once it is answered, everything before it is on disk.
        let metadata = RequestContext::system().metadata;
        let last = Append {
            streams: Vec::new(),
            reads: Vec::new(),
            metadata: Arc::new(metadata),
            metadata_text: String::new(),
            subject_keys: Vec::new(),
            keys: std::collections::HashMap::new(),
            answer: None,
            history: self.progress.histories.current(),
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), self.committer.append(last)).await;
        if let Err(error) = self.store.settle().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database is more than one file for now");
        }
    }

    /// Waits until the journal is known to have reached `position`.
    ///
    /// # Errors
    /// `Unavailable` if it has not within `timeout`.
    pub async fn wait_for(&self, position: u64, timeout: Duration) -> JournalResult<()> {
        let head = self.journal.head().await?.position;
        if head < self.heads.position() {
            // Another writer has committed in between, or the known head is outdated.
            self.watched.look(&self.journal).await?;
        }
        self.progress.advance(head);
        match tokio::time::timeout(timeout, self.heads.reach(position)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(closed)) => Err(JournalError::unavailable(closed)),
            Err(elapsed) => Err(JournalError::unavailable(elapsed)),
        }
    }

    /// The status of the node.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            store: self.store.name(),
            position: self.heads.position(),
            generation: self.progress.generation.load(Ordering::Acquire),
            rebuild: self.rebuild.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Whether the node only reads, see [`Node::look`].
    #[must_use]
    pub fn looks(&self) -> bool {
        self.looks
    }

    /// The histories that this node has seen.
    #[must_use]
    pub fn histories(&self) -> &Arc<Histories> {
        &self.progress.histories
    }

    /// Cancelled when the committing task has failed, after which nothing can be committed.
    #[must_use]
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Whether the documents in the database are of another release.
    #[must_use]
    pub fn needs_rebuild(&self) -> bool {
        self.progress.generation.load(Ordering::Acquire) == NOT_SERVED
    }

    /// Serves another generation from now on: one that this release's projections have just made.
    pub fn serve(&self, generation: u64) {
        self.progress.generation.store(generation, Ordering::Release);
    }

    /// Sets the state of a rebuild, for operators to see.
    pub fn note_rebuild(&self, state: Option<String>) {
        *self.rebuild.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The stored answer for an idempotency key, decrypted, with the digest of its request.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn remembered(&self, key: &[u8]) -> JournalResult<Option<(Vec<u8>, Answer)>> {
        let Some(stored) = self.journal.answer(key).await? else { return Ok(None) };
        let plain = self.vault.open_answer(key, &stored.answer)?;
        let answer = serde_json::from_slice(&plain).map_err(JournalError::corrupt)?;
        Ok(Some((stored.fingerprint, answer)))
    }

    /// Stores the answer of a request without events.
    ///
    /// # Errors
    /// `AlreadyAnswered` if another request with the key was first; `Unavailable`.
    pub async fn remember_answer(&self, slot: &Arc<AnswerSlot>, answer: &Answer) -> JournalResult<()> {
        let answer = answer.clone();
        slot.answer_with(move |_| Some(answer.clone()));
        let context = RequestContext { answer: Some(Arc::clone(slot)), ..RequestContext::system() };
        self.executor.append(&context, Vec::new()).await.map(drop)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.background.cancel();
    }
}

/// The served generation; [`NOT_SERVED`] if its documents are of another release: until they are rebuilt every query
/// and command is answered as unavailable.
async fn served_generation(journal: &Journal, read_store: &dyn DocumentStore) -> JournalResult<u64> {
    let signature = crate::read_store::signature();
    let served = journal.head().await?.generation;
    match read_store.signature(served).await? {
        Some(stored) if stored == signature => Ok(served),
        Some(_) | None => Ok(NOT_SERVED),
    }
}

/// Watches the committing task. It ends with its node, when all senders are gone; any other end is a failure.
fn supervise(committing: tokio::task::JoinHandle<()>, failed: CancellationToken) {
    tokio::spawn(async move {
        if let Err(error) = committing.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the committing task has failed");
            failed.cancel();
        }
    });
}

/// Polls the head, and reads it whenever another node announces one, where nodes do.
fn watch_head(store: &Store, watched: Arc<WatchedHead>, background: &CancellationToken) {
    let (journal, polled) = (store.journal(), Arc::clone(&watched));
    let polling = async move {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // A database outage is reported to the callers that it affects.
            let _ = polled.look(&journal).await;
        }
    };
    tokio::spawn(background.clone().run_until_cancelled_owned(polling));
    let store = store.clone();
    let listening = async move {
        // The poll goes on meanwhile, so a lost connection only makes wake-ups slower.
        while !matches!(listen(&store, &watched).await, Ok(ListenOutcome::Nothing)) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::spawn(background.clone().run_until_cancelled_owned(listening));
}

/// Result of listening for heads.
enum ListenOutcome {
    /// The store does not announce heads.
    Nothing,
    /// The connection has ended.
    Ended,
}

/// Reads each head that another node announces; ends with the connection.
async fn listen(store: &Store, watched: &WatchedHead) -> JournalResult<ListenOutcome> {
    let Some(mut announcements) = store.announcements().await? else { return Ok(ListenOutcome::Nothing) };
    let journal = store.journal();
    watched.look(&journal).await?;
    while let Some(announced) = announcements.next().await {
        // Heads of this node's own commits are known already.
        if announced?.is_some_and(|announced| announced > watched.known()) {
            watched.look(&journal).await?;
        }
    }
    Ok(ListenOutcome::Ended)
}

impl From<VaultError> for OpenError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::WrongMasterKey => OpenError::WrongMasterKey,
            VaultError::FormerKeyMissing => OpenError::FormerKeyMissing,
            VaultError::Journal(error) => OpenError::Journal(error),
        }
    }
}

/// Checks periodically whether the journal has another master key, and drops keys that were unwrapped long ago.
fn watch_keys(vault: Arc<Vault>, background: &CancellationToken) {
    let watching = async move {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // A database outage is reported to the callers that it affects.
            let _ = vault.look().await;
            vault.forget_old();
        }
    };
    tokio::spawn(background.clone().run_until_cancelled_owned(watching));
}

/// Stores nodes of the tree after the commits, so that proofs find them. A delay only makes proofs more expensive.
fn extend_tree(tree: Tree, heads: Heads, background: CancellationToken) {
    let extended = async move {
        let mut covered = 0;
        loop {
            match tree.extend().await {
                Ok(leaves) => covered = leaves,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the tree was not extended");
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
            if heads.reach(covered + LEAVES_BEHIND_MAX).await.is_err() {
                return;
            }
        }
    };
    tokio::spawn(background.run_until_cancelled_owned(extended));
}

fn forget_answers(journal: Journal, background: CancellationToken) {
    let forgotten = async move {
        loop {
            tokio::time::sleep(FORGET_INTERVAL).await;
            if let Err(error) = journal.forget_answers().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "expired answers were not forgotten");
            }
        }
    };
    tokio::spawn(background.run_until_cancelled_owned(forgotten));
}
