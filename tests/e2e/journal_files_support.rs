//! Test support for journal files.

use crate::support::*;
use registrar::checkpoint::signer;
use registrar::committer::ExpectedVersion;
use registrar::followers::{self, following};
use registrar::journal_files::{
    ArchiveError, ExportError, ExportFilter, ExportSize, Format, ImportError, ImportSummary, archive, export, import,
};
use registrar::node::{Node, Store};
use registrar_projections::CollectionId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A journal of some 700 events: people with accounts, a rename, reads, API keys.
pub async fn filled(database: &Database) -> Arc<Node> {
    let node = database.open().await;
    for n in 0..40 {
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some(&format!("ada{n}@example.org")))).await.unwrap();
        node.own(id, rename(&format!("Augusta {n}")), None).await.unwrap();
    }
    signer(&node).await.unwrap();
    for n in 0..6 {
        let events = (0..100).map(|n| trail_read(&n.to_string())).collect();
        node.append(vec![(access_stream(&format!("r{n}")), ExpectedVersion::Any, events)]).await.unwrap();
    }
    node
}

/// Exports the whole journal to `name` in a folder.
pub async fn export_all(node: &Node, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    export_to(node, &path, ExportFilter::all(Format::Ndjson)).await.unwrap();
    path
}

pub async fn export_to(node: &Node, path: &Path, selection: ExportFilter) -> Result<ExportSize, ExportError> {
    export(node, path, selection, &|_, _| {}).await
}

/// Imports a journal and rebuilds the read models.
pub async fn import_all(node: &Node, path: &Path) -> Result<ImportSummary, ImportError> {
    let imported = import(node, &[path.to_owned()], None, &|_, _| {}).await?;
    followers::rebuild(node, &|_, _| {}).await.unwrap();
    Ok(imported)
}

/// Every document that a node serves.
pub async fn documents(node: &Node) -> Vec<(&'static str, Vec<(String, String)>)> {
    let generation = node.journal.head().await.unwrap().generation;
    let mut all = Vec::new();
    for id in CollectionId::ALL {
        all.push((id.collection().name, node.read_store.dump(generation, *id).await.unwrap()));
    }
    all
}

/// The rows of a table that both stores write alike, sorted.
pub async fn rows(database: &Database, columns: &str, table: &str) -> Vec<String> {
    let mut texts = database.sql().await.texts(&format!("SELECT {columns} FROM {table}")).await;
    texts.sort();
    texts
}

pub async fn note(node: &Node) -> String {
    signer(node).await.unwrap().sign(&node.journal.head().await.unwrap().frontier)
}

/// A copy of an export, to be altered.
pub fn copy(export: &Path, name: &str) -> PathBuf {
    let to = export.with_file_name(name);
    for suffix in ["", ".checkpoint", ".proofs", ".keys"] {
        std::fs::copy(with(export, suffix), with(&to, suffix)).unwrap();
    }
    to
}

pub fn with(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Sets partitions of 256 positions from the next one on.
pub async fn small_partitions(database: &Database) {
    // Migrates without a vault, since the program's master key differs from that of the tests.
    Store::open(&database.settings).unwrap().migrate().await.unwrap();
    if database.settings.database_url.is_some() {
        let mut sql = database.sql().await;
        sql.run("UPDATE journal_settings SET partition_size = 256").await.unwrap();
        // The first partition was created by the migrations and is empty.
        sql.run("ALTER TABLE events DETACH PARTITION events_from_1").await.unwrap();
        sql.run("DROP TABLE events_from_1").await.unwrap();
        sql.run("DELETE FROM event_partitions").await.unwrap();
        sql.run("UPDATE journal_head SET partitioned_until = 0").await.unwrap();
    }
}

/// Archives the events before `before` once every follower has passed them.
pub async fn archived(node: &Arc<Node>, before: u64, path: &Path) -> Result<(u64, u64), ArchiveError> {
    follow(node).await;
    archive(node, before, path, None, &|_, _| {}).await.map(|archived| (archived.first, archived.last))
}

/// Waits until every follower has reached the head.
pub async fn follow(node: &Arc<Node>) {
    let (shutdown, head) = (CancellationToken::new(), node.position().await);
    following::start(node, &shutdown);
    for projection in registrar_projections::FOLLOWING {
        following::wait_for(node, projection, head, Duration::from_secs(30)).await.unwrap();
    }
    shutdown.cancel();
}
