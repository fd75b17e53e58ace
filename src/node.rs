//! A node: the store, the committer and everything else that serves, without HTTP.

use crate::committer::{Append, Committer, Progress};
use crate::config::clear_text::is_this_machine;
use crate::executor::{Executor, RequestContext};
use crate::heads::{self, Heads};
use crate::history::{Histories, Watched};
use crate::idempotency::{Answer, AnswerSlot};
use crate::journal::postgres::{self, PostgresStore};
use crate::journal::raw::RawJournal;
use crate::journal::sqlite::{self, RELEASE_MIN, SqliteStore};
use crate::journal::tree::{Tree, TreeStore};
use crate::journal::wrapped::WrappedKeys;
use crate::journal::{Journal, JournalError, JournalResult, assembled};
use crate::read_store::{Documents, NOT_SERVED, ReadStore};
use crate::vault::{MasterKeys, Vault, VaultError};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnection;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// File of the embedded database in the data folder.
const SQLITE_FILE: &str = "registrar.sqlite3";
/// How often the head is looked at where nothing announces it, or in case an announcement was lost.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// So many events may be without kept nodes of the tree: few enough for a proof to read their hashes.
const LEAVES_BEHIND_MAX: u64 = 4_096;
/// How long to wait when the tree cannot be extended.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How often a node looks whether the master key was replaced.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often expired answers are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Where a node keeps its data.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `postgres://...`; without it SQLite in the data folder.
    pub database_url: Option<String>,
    /// Folder of the embedded database.
    pub data: PathBuf,
    /// Folder with archives that are no longer where they were written.
    pub archives: Option<PathBuf>,
}

/// Why a node cannot start. Reads as what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that Registrar can use.
    #[error("the database URL is not usable: {0}\nIt must look like postgres://user:password@host:5432/database.")]
    Url(String),
    /// The database does not answer.
    #[error("the database cannot be reached: {0}\nCheck that it runs and that REGISTRAR_DATABASE_URL is right.")]
    Unreachable(String),
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {reason}\nChoose another one with --data or make it writable.")]
    DataFolder {
        /// The folder.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The database cannot keep every text.
    #[error("the database keeps texts in {0}\nCreate it with ENCODING 'UTF8'.")]
    Encoding(String),
    /// The embedded database has one table.
    #[error("the embedded database has no partitions\nLeave --partition-size out, or name a PostgreSQL database.")]
    NoPartitions,
    /// The embedded database is a file.
    #[error("the embedded database has no roles\nLeave --server-role out, or name a PostgreSQL database.")]
    NoRoles,
    /// There is nothing to look at.
    #[error("there is no database in {0}\nName the data folder with --data, or the database with --database-url.")]
    NoDatabase(String),
    /// The tables are not those of this release, and are only looked at.
    #[error(
        "the database must be brought up to date first\nRun `registrar migrate` with the role that owns the tables."
    )]
    NotMigrated,
    /// A newer release has migrated the database.
    #[error(
        "the database is newer than this release of Registrar (it has migration {0})\nUse the release that made it, or a later one."
    )]
    NewerDatabase(i64),
    /// The role may not migrate.
    #[error(
        "the database must be brought up to date, and this role may not: {0}\nRun `registrar migrate` with the role that owns the tables."
    )]
    MayNotMigrate(String),
    /// A migration failed.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// The SQLite that is linked is too old.
    #[error(
        "SQLite {0} is linked, which can corrupt a database that is written and tidied up at the same moment\nBuild Registrar with SQLite {RELEASE_MIN} or later, as it is built unless told otherwise."
    )]
    OldSqlite(String),
    /// The master key is not the one that the database is under.
    #[error(
        "the master key does not open this database\nSet REGISTRAR_MASTER_KEY to the key that it is under. While that is replaced, set REGISTRAR_FORMER_MASTER_KEY too."
    )]
    WrongMasterKey,
    /// The master key is being replaced, and the former one is not there.
    #[error(
        "the master key of this database is being replaced, and the former one is still needed\nSet REGISTRAR_FORMER_MASTER_KEY to it until `registrar keys rewrap` has finished."
    )]
    FormerKeyMissing,
    /// Anything else that the database said.
    #[error("the database cannot be used: {0}")]
    Journal(#[from] JournalError),
}

/// The two stores.
#[derive(Clone)]
pub enum Store {
    /// A PostgreSQL database, which other nodes may share.
    Postgres(PostgresStore),
    /// A file of this machine.
    Sqlite(SqliteStore),
}

impl Store {
    /// Prepares the store that the settings name; nothing is opened yet.
    ///
    /// # Errors
    /// `Url`, `DataFolder`.
    pub fn prepare(settings: &StoreSettings) -> Result<Self, OpenError> {
        match &settings.database_url {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
                Ok(Store::Postgres(PostgresStore::new(verified(url, options).application_name("registrar"))))
            }
            Some(_) => Err(OpenError::Url("only postgres:// URLs are known; leave it out for SQLite".into())),
            None => {
                check_folder(&settings.data)?;
                Ok(Store::Sqlite(SqliteStore::new(&settings.data.join(SQLITE_FILE))))
            }
        }
    }

    /// Prepares to look at the store that the settings name, without a change to it or beside it.
    ///
    /// # Errors
    /// `Url`, `NoDatabase`.
    pub fn prepare_to_look(settings: &StoreSettings) -> Result<Self, OpenError> {
        if settings.database_url.is_some() {
            return Store::prepare(settings);
        }
        let path = settings.data.join(SQLITE_FILE);
        if !path.exists() {
            return Err(OpenError::NoDatabase(settings.data.display().to_string()));
        }
        Ok(Store::Sqlite(SqliteStore::to_look_at(&path)))
    }

    /// What operators know it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Store::Postgres(_) => "postgresql",
            Store::Sqlite(_) => "sqlite",
        }
    }

    /// Its journal.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Its journal as it is stored, unchecked.
    #[must_use]
    pub fn raw(&self) -> Arc<dyn RawJournal> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Where hashes of its Merkle tree are kept.
    #[must_use]
    pub fn tree_store(&self) -> Arc<dyn TreeStore> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// What hangs on the master key.
    #[must_use]
    pub fn wrapped_keys(&self) -> Arc<dyn WrappedKeys> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// The Merkle tree over the events of its journal.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::new(self.journal(), self.tree_store())
    }

    /// Its documents.
    #[must_use]
    pub fn read_store(&self) -> Arc<dyn ReadStore> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Sees whether the tables are those of this release.
    ///
    /// # Errors
    /// `Unreachable`, `OldSqlite`, `NewerDatabase`, `NotMigrated`.
    pub async fn look(&self) -> Result<(), OpenError> {
        const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
        let (applied, migrations) = match self {
            Store::Postgres(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                (sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await, &postgres::MIGRATIONS)
            }
            Store::Sqlite(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                check_release(&mut connection).await?;
                (sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await, &sqlite::MIGRATIONS)
            }
        };
        let applied: Vec<i64> = match applied {
            Ok(applied) => applied,
            Err(error) if is_without_table(&error) => return Err(OpenError::NotMigrated),
            Err(error) => return Err(unreachable(error.into())),
        };
        let known: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
        if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
            return Err(OpenError::NewerDatabase(*newer));
        }
        if known.iter().all(|version| applied.contains(version)) { Ok(()) } else { Err(OpenError::NotMigrated) }
    }

    /// Whether the journal can be written to: not on a standby, in a copy, or by a role that may only read.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn may_be_written(&self) -> Result<bool, OpenError> {
        const WRITABLE: &str = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' \
             AND has_table_privilege('events', 'INSERT')";
        match self {
            Store::Postgres(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                let asked = sqlx::query_scalar(WRITABLE).fetch_one(&mut connection).await;
                asked.map_err(|error| unreachable(error.into()))
            }
            Store::Sqlite(store) => Ok(store.may_be_written()),
        }
    }

    /// Brings the tables up to date, one process at a time.
    ///
    /// # Errors
    /// `Unreachable`, `OldSqlite`, `NewerDatabase`, `Migration`.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Store::Postgres(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
                    .fetch_one(&mut connection)
                    .await
                    .map_err(|error| unreachable(error.into()))?;
                if encoding != "UTF8" {
                    return Err(OpenError::Encoding(encoding));
                }
                // The migrator takes an advisory lock of its own.
                postgres::MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(migration_error)
            }
            Store::Sqlite(store) => {
                let path = store.options.get_filename().with_extension("lock");
                let failed = |error: std::io::Error| OpenError::Migration(format!("{}: {error}", path.display()));
                let file = std::fs::File::create(&path).map_err(failed)?;
                let locked = file.try_clone().map_err(failed)?;
                tokio::task::spawn_blocking(move || locked.lock())
                    .await
                    .map_err(std::io::Error::other)
                    .map_err(failed)?
                    .map_err(failed)?;
                let mut connection = store.connect().await.map_err(unreachable)?;
                check_release(&mut connection).await?;
                let migrated =
                    sqlite::MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(migration_error);
                drop(file);
                migrated
            }
        }
    }

    /// Gives the role of servers what they need, and nothing by which the journal could be changed. It is made if there is
    /// none; `password` is set if given.
    ///
    /// # Errors
    /// `NoRoles` for the embedded store; `Unreachable`, `Journal` where the database refuses.
    pub async fn grant_server(&self, role: &str, password: Option<&str>) -> Result<(), OpenError> {
        match self {
            Store::Postgres(store) => postgres::roles::grant(store, role, password).await.map_err(unreachable),
            Store::Sqlite(_) => Err(OpenError::NoRoles),
        }
    }

    /// Sets how many positions a partition of events has. Partitions with events stay as they are, empty ones are made anew.
    ///
    /// # Errors
    /// `NoPartitions` for the embedded store; `Unreachable`, `Journal` where the database refuses.
    pub async fn set_partition_size(&self, positions: u32) -> Result<(), OpenError> {
        let Store::Postgres(store) = self else { return Err(OpenError::NoPartitions) };
        let mut connection = store.connect().await.map_err(unreachable)?;
        let statement = assembled(format!(
            "DO $$ DECLARE v_head bigint; v_table text; BEGIN \
             SELECT position INTO v_head FROM journal_head FOR UPDATE; \
             IF (SELECT partition_size FROM journal_settings) = {positions} THEN RETURN; END IF; \
             UPDATE journal_settings SET partition_size = {positions}; \
             FOR v_table IN SELECT table_name FROM event_partitions WHERE first_position > v_head LOOP \
             EXECUTE format('ALTER TABLE events DETACH PARTITION %I', v_table); \
             EXECUTE format('DROP TABLE %I', v_table); \
             DELETE FROM event_partitions WHERE table_name = v_table; END LOOP; \
             UPDATE journal_head SET partitioned_until = \
             (SELECT coalesce(max(last_position), 0) FROM event_partitions); \
             PERFORM partition_events(v_head); END $$"
        ));
        sqlx::raw_sql(statement).execute(&mut connection).await.map_err(|error| unreachable(error.into()))?;
        Ok(())
    }
}

/// Asks the library itself, since a build may be told to link the one of the system.
async fn check_release(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let release = sqlite::release(connection).await.map_err(unreachable)?;
    if sqlite::is_sound(&release) { Ok(()) } else { Err(OpenError::OldSqlite(release)) }
}

/// Whether a statement names a table that is not there.
fn is_without_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

fn unreachable(error: JournalError) -> OpenError {
    match error {
        JournalError::Unavailable(source) => OpenError::Unreachable(source.to_string()),
        other => OpenError::Journal(other),
    }
}

fn migration_error(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(version) => OpenError::NewerDatabase(version),
        other => {
            let text = other.to_string();
            let refused = ["permission denied", "must be owner"].iter().any(|words| text.contains(words));
            if refused { OpenError::MayNotMigrate(text) } else { OpenError::Migration(text) }
        }
    }
}

/// A database beyond this machine is spoken to over TLS, with its certificate checked, unless the URL or `PGSSLMODE` says
/// otherwise.
fn verified(url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let environment = std::env::var_os("PGSSLMODE").is_some_and(|mode| !mode.is_empty());
    verified_unless(environment, url, options)
}

fn verified_unless(environment_says: bool, url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let here = host.starts_with('/') || is_this_machine(host) || options.get_socket().is_some();
    let said = environment_says || ["sslmode=", "ssl-mode="].iter().any(|name| url.contains(name));
    if here || said { options } else { options.ssl_mode(PgSslMode::VerifyFull) }
}

/// Finds out now, and with a clear word, what SQLite would report as "unable to open database file".
fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let failed =
        |error: std::io::Error| OpenError::DataFolder { path: folder.display().to_string(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// `postgresql` or `sqlite`.
    pub store: &'static str,
    /// Position of the last event known to be on disk.
    pub position: u64,
    /// Generation of documents that is served.
    pub generation: u64,
    /// What a rebuild is doing or why it stopped, if there is one.
    pub rebuild: Option<String>,
}

/// Everything that serves.
pub struct Node {
    /// Carries out commands.
    pub executor: Executor,
    /// Answers queries.
    pub documents: Documents,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The documents' store.
    pub read_store: Arc<dyn ReadStore>,
    /// Keys.
    pub vault: Arc<Vault>,
    /// The end of the journal as far as it is known; wakes whoever follows.
    pub heads: Heads,
    /// The store itself.
    pub store: Store,
    /// Folder with archives that are no longer where they were written.
    pub archives: Option<PathBuf>,
    committer: Committer,
    progress: Progress,
    watched: Arc<Watched>,
    rebuild: Mutex<Option<String>>,
    background: CancellationToken,
    failed: CancellationToken,
    /// Whether it only looks: nothing runs in the background, and what would be changed fails.
    looks: bool,
}

impl Node {
    /// Opens the database, bringing it up to date, and starts to serve it.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub async fn open(settings: &StoreSettings, masters: impl Into<MasterKeys>) -> Result<Self, OpenError> {
        let (masters, store) = (masters.into(), Store::prepare(settings)?);
        store.migrate().await?;
        if store.journal().head().await?.generation == 0 {
            store.read_store().create_generation(&crate::read_store::signature()).await?;
        }
        let node = Self::start(store, settings.archives.clone(), masters).await?;
        forget_answers(Arc::clone(&node.journal), node.background.clone());
        extend_tree(node.store.tree(), node.heads.clone(), node.background.clone());
        watch_keys(Arc::clone(&node.vault), &node.background);
        watch_head(&node.store, Arc::clone(&node.watched), &node.background);
        Ok(node)
    }

    /// Opens a database to look at it, where it may only be read: by a role without the right to write, on a standby, or in
    /// a copy. Nothing is brought up to date.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub async fn look(settings: &StoreSettings, masters: impl Into<MasterKeys>) -> Result<Self, OpenError> {
        let (masters, store) = (masters.into(), Store::prepare_to_look(settings)?);
        store.look().await?;
        let mut node = Self::start(store, settings.archives.clone(), masters).await?;
        node.looks = true;
        Ok(node)
    }

    async fn start(store: Store, archives: Option<PathBuf>, masters: MasterKeys) -> Result<Self, OpenError> {
        let (journal, read_store) = (store.journal(), store.read_store());
        let vault = Arc::new(Vault::open(masters, Arc::clone(&journal), &*store.wrapped_keys()).await?);
        let generation = served_generation(&*journal, &*read_store).await?;
        let position = journal.head().await?.position;
        let (sender, heads) = heads::channel(position);
        let generation = Arc::new(AtomicU64::new(generation));
        let progress = Progress { heads: sender, generation, recent: Arc::default(), histories: Arc::default() };
        let (committer, committing) =
            Committer::start(Arc::clone(&journal), Arc::clone(&read_store), Arc::clone(&vault), progress.clone());
        let background = CancellationToken::new();
        let failed = CancellationToken::new();
        supervise(committing, failed.clone());
        let executor = Executor::new(committer.clone(), Arc::clone(&journal), Arc::clone(&vault));
        let (aggregates, keys) = (executor.aggregates(), Arc::clone(&vault));
        progress.histories.forgetting(move || {
            aggregates.clear();
            keys.forget();
        });
        let watched = Arc::new(Watched::new(progress.clone(), journal.head().await?));
        Ok(Node {
            executor,
            documents: Documents::new(
                Arc::clone(&read_store),
                Arc::clone(&vault),
                Arc::clone(&progress.generation),
                Arc::clone(&progress.recent),
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

    /// Stops what runs in the background. Commands that were handed in are still committed.
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
        if let Store::Sqlite(store) = &self.store
            && let Err(error) = store.settle().await
        {
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
            // Another commit has come in between, or what was known is lost.
            self.watched.look(&*self.journal).await?;
        }
        self.progress.advance(head);
        match tokio::time::timeout(timeout, self.heads.reach(position)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(closed)) => Err(JournalError::unavailable(closed)),
            Err(elapsed) => Err(JournalError::unavailable(elapsed)),
        }
    }

    /// What the node says of itself.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            store: self.store.name(),
            position: self.heads.position(),
            generation: self.progress.generation.load(Ordering::Acquire),
            rebuild: self.rebuild.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Whether it only looks, see [`Node::look`].
    #[must_use]
    pub fn looks(&self) -> bool {
        self.looks
    }

    /// The histories that this node has seen.
    #[must_use]
    pub fn histories(&self) -> &Arc<Histories> {
        &self.progress.histories
    }

    /// Cancelled when the committing task has failed: nothing can be committed any more.
    #[must_use]
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Whether the documents in the database are not those of this release.
    #[must_use]
    pub fn needs_rebuild(&self) -> bool {
        self.progress.generation.load(Ordering::Acquire) == NOT_SERVED
    }

    /// Serves another generation from now on: one that this release's projections have just made.
    pub fn serve(&self, generation: u64) {
        self.progress.generation.store(generation, Ordering::Release);
    }

    /// Notes what a rebuild is doing, for operators to see.
    pub fn note_rebuild(&self, state: Option<String>) {
        *self.rebuild.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The answer remembered for an idempotency key, opened, with the digest of the request that it belongs to.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn remembered(&self, key: &[u8]) -> JournalResult<Option<(Vec<u8>, Answer)>> {
        let Some(stored) = self.journal.answer(key).await? else { return Ok(None) };
        let plain = self.vault.open_answer(key, &stored.answer)?;
        let answer = serde_json::from_slice(&plain).map_err(JournalError::corrupt)?;
        Ok(Some((stored.fingerprint, answer)))
    }

    /// Remembers the answer of a request that stored nothing else.
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

impl From<VaultError> for OpenError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::WrongMasterKey => OpenError::WrongMasterKey,
            VaultError::FormerKeyMissing => OpenError::FormerKeyMissing,
            VaultError::Journal(error) => OpenError::Journal(error),
        }
    }
}

/// The generation that is served; [`NOT_SERVED`] if its documents are not this release's:
/// until they are rebuilt every query and command answers that it is not available.
async fn served_generation(journal: &dyn Journal, read_store: &dyn ReadStore) -> JournalResult<u64> {
    let signature = crate::read_store::signature();
    let served = journal.head().await?.generation;
    match read_store.signature(served).await? {
        Some(stored) if stored == signature => Ok(served),
        Some(_) | None => Ok(NOT_SERVED),
    }
}

/// The committing task ends with its node, when nobody is left who could bring anything. Whatever else ends it is a failure.
fn supervise(committing: tokio::task::JoinHandle<()>, failed: CancellationToken) {
    tokio::spawn(async move {
        if let Err(error) = committing.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the committing task has failed");
            failed.cancel();
        }
    });
}

/// Looks at the head now and then, and, on PostgreSQL, whenever another node announces one.
fn watch_head(store: &Store, watched: Arc<Watched>, background: &CancellationToken) {
    let (journal, polled) = (store.journal(), Arc::clone(&watched));
    let polling = async move {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // A database that is away is told to those who ask it for something.
            let _ = polled.look(&*journal).await;
        }
    };
    tokio::spawn(background.clone().run_until_cancelled_owned(polling));
    let journal = store.journal();
    if let Store::Postgres(store) = store.clone() {
        let listening = async move {
            loop {
                // The poll goes on meanwhile, so a lost connection only makes wake-ups slower.
                let _ = postgres::listen(&store, &watched, &*journal).await;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::spawn(background.clone().run_until_cancelled_owned(listening));
    }
}

/// Looks now and then whether the journal has come under another master key, and forgets keys that were unwrapped long ago.
fn watch_keys(vault: Arc<Vault>, background: &CancellationToken) {
    let watching = async move {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // A database that is away is told to those who ask it for something.
            let _ = vault.look().await;
            vault.forget_old();
        }
    };
    tokio::spawn(background.clone().run_until_cancelled_owned(watching));
}

/// Keeps nodes of the tree behind the commits, so that proofs find them. Once it is late there is much to compute for
/// a proof, and nothing else.
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

fn forget_answers(journal: Arc<dyn Journal>, background: CancellationToken) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_beyond_this_machine_is_verified_unless_somebody_says_otherwise() {
        let mode = |url: &str, environment_says: bool| {
            let options = PgConnectOptions::from_str(url).expect("a URL").ssl_mode(PgSslMode::Prefer);
            // What the URL says is kept as the driver read it.
            let options = match url.contains("sslmode=disable") || url.contains("ssl-mode=disable") {
                true => options.ssl_mode(PgSslMode::Disable),
                false => options,
            };
            format!("{:?}", verified_unless(environment_says, url, options).get_ssl_mode())
        };
        for (url, expected) in [
            ("postgres://u:p@db.example.org/d", "VerifyFull"),
            ("postgresql://u:p@db.example.org:5433/d?application_name=x", "VerifyFull"),
            ("postgres://u:p@192.0.2.7/d", "VerifyFull"),
            ("postgres://u:p@[2001:db8::1]/d", "VerifyFull"),
            ("postgres://u:p@localhost.example.org/d", "VerifyFull"),
            ("postgres://u:p@localhost/d", "Prefer"),
            ("postgres://u:p@127.0.0.1:5432/d", "Prefer"),
            ("postgres://u:p@127.8.0.1/d", "Prefer"),
            ("postgres://u:p@[::1]/d", "Prefer"),
            ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d", "Prefer"),
            ("postgres:///d?host=/var/run/postgresql", "Prefer"),
            ("postgres://u:p@db.example.org/d?sslmode=disable", "Disable"),
            ("postgres://u:p@db.example.org/d?ssl-mode=disable", "Disable"),
        ] {
            assert_eq!(mode(url, false), expected, "{url}");
        }
        assert_eq!(mode("postgres://u:p@db.example.org/d", true), "Prefer", "PGSSLMODE says so");
    }
}
