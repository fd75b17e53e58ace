//! Reads of archives: rebuilds and followers go through the whole history, including the part in files.

use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::process::{Server, fail, registrar, run};
use crate::support::*;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar::archives::{History, HistoryError};
use registrar::followers::{self, RebuildError};
use registrar::journal::{JournalError, StoredEvent};
use registrar::journal_files::archive;
use registrar::node::{Node, StoreSettings};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A journal of some 700 events with the first 256 in one archive and the next 256 in another.
struct Archives {
    node: Arc<Node>,
    events: Vec<StoredEvent>,
    folder: tempfile::TempDir,
}

async fn archives(database: &Database) -> Archives {
    small_partitions(database).await;
    let node = filled(database).await;
    let folder = tempfile::tempdir().unwrap();
    let events = node.all_events().await;
    assert_eq!(archived(&node, 257, &folder.path().join("one")).await.unwrap(), (1, 256));
    assert_eq!(archived(&node, u64::MAX, &folder.path().join("two")).await.unwrap(), (257, 512));
    Archives { node, events, folder }
}

impl Archives {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The error of a rebuild that must be refused and must not change the serving generation.
    async fn refused(&self) -> String {
        let (generation, served) = (self.node.journal.head().await.unwrap().generation, documents(&self.node).await);
        let refused = followers::rebuild(&self.node, &|_, _| {}).await.unwrap_err();
        assert!(matches!(refused, RebuildError::History(_)), "{refused:?}");
        assert_eq!(self.node.journal.head().await.unwrap().generation, generation);
        assert_eq!(documents(&self.node).await, served);
        let id = uuid::Uuid::now_v7();
        self.node.admin(id, registration(id, None)).await.unwrap();
        refused.to_string()
    }
}

type Edit = Box<dyn Fn(&str) -> String>;

/// Edits one line of a file.
fn edited(path: &Path, line: usize, edit: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().map(|(n, text)| if n == line { edit(text) } else { format!("{text}\n") });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}

/// A node of the same database that searches `folder` for archives too.
async fn looking_in(database: &Database, folder: &Path) -> Arc<Node> {
    let settings = StoreSettings { archives: Some(folder.to_owned()), ..database.settings.clone() };
    Arc::new(Node::open(&settings, &database.master).await.unwrap())
}

on_both_stores! {
    async fn a_rebuild_after_archives_gives_the_bytes_that_were_written_live(database) {
        let archives = archives(&database).await;
        let node = &archives.node;
        let served = documents(node).await;
        let told = Mutex::new(Vec::new());
        let generation = followers::rebuild(node, &|done, total| told.lock().unwrap().push((done, total))).await.unwrap();
        assert_eq!(generation, 2);
        assert_eq!(told.into_inner().unwrap()[..3].iter().map(|(done, _)| *done).collect::<Vec<_>>(), [0, 256, 512]);
        let node = database.open().await;
        // The followers of the new generation have started over, from the files.
        follow(&node).await;
        assert_eq!(documents(&node).await, served);
        assert_eq!(node.read_store.generations().await.unwrap().len(), 1);
    }

    async fn history_is_the_same_wherever_it_is_kept(database) {
        let archives = archives(&database).await;
        let mut history = History::of(&archives.node);
        assert_eq!(history.archived_until().await.unwrap(), 512);
        // Pages from within a file, backwards, and across its end.
        for (after, limit, until) in [(0, 100, 100), (100, 10, 110), (200, 3, 203), (203, 1, 204), (7, 2, 9), (250, 100, 256), (256, 300, 512), (511, 5, 512), (512, 20, 532), (300, usize::MAX, 512)] {
            let events = history.read(after, limit).await.unwrap();
            assert_eq!(events, archives.events[after as usize..until], "after {after}");
        }
        assert_eq!(history.read(archives.events.len() as u64, 10).await.unwrap(), []);
    }

    async fn a_rebuild_goes_on_where_a_file_was_missing(database) {
        let archives = archives(&database).await;
        let served = documents(&archives.node).await;
        std::fs::rename(archives.path("two"), archives.path("away")).unwrap();
        let refused = followers::rebuild(&archives.node, &|_, _| {}).await.unwrap_err();
        assert!(matches!(refused, RebuildError::History(HistoryError::Missing { first: 257, last: 512, .. })), "{refused:?}");
        assert_eq!(documents(&archives.node).await, served);
        std::fs::rename(archives.path("away"), archives.path("two")).unwrap();
        let told = Mutex::new(Vec::new());
        followers::rebuild(&archives.node, &|done, _| told.lock().unwrap().push(done)).await.unwrap();
        assert_eq!(told.into_inner().unwrap()[..2], [256, 512]);
        let node = database.open().await;
        follow(&node).await;
        assert_eq!(documents(&node).await, served);
    }

    async fn a_missing_archive_is_named_and_found_in_another_folder(database) {
        let archives = archives(&database).await;
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::rename(archives.path("one"), elsewhere.path().join("one")).unwrap();
        let one = archives.path("one");
        let told = format!("the archive of the events 1 to 256 is missing: there is no {}\nPut it back, or name the folder it is in with --archives or REGISTRAR_ARCHIVES.", one.display());
        assert_eq!(archives.refused().await, told);
        let wrong = tempfile::tempdir().unwrap();
        let node = looking_in(&database, wrong.path()).await;
        let refused = followers::rebuild(&node, &|_, _| {}).await.unwrap_err().to_string();
        let looked = format!("there is no {} and no {}\n", one.display(), wrong.path().join("one").display());
        assert!(refused.contains(&looked), "{refused}");
        let node = looking_in(&database, elsewhere.path()).await;
        followers::rebuild(&node, &|_, _| {}).await.unwrap();
    }

    async fn an_altered_archive_is_refused_at_the_altered_position(database) {
        let archives = archives(&database).await;
        let (two, kept) = (archives.path("two"), archives.path("kept"));
        std::fs::copy(&two, &kept).unwrap();
        let altered = |position: u64| format!("the archive {} was altered: the event at position {position} is not the one that was stored there\nUse the file as it was archived.", two.display());
        let short = |position: u64| format!("the archive {} is not whole: the event at position {position} is missing\nUse the file as it was archived.", two.display());
        let line = |text: &str| format!("{text}\n");
        let cases: Vec<(usize, Edit, String)> = vec![
            (40, Box::new(move |text| line(&text.replacen("\"trail\":\"", "\"trail\":\"x", 1))), altered(297)),
            (41, Box::new(|_| "no event\n".into()), altered(298)),
            (42, Box::new(|_| String::new()), altered(299)),
            (43, Box::new(|text| format!("{text}\n{text}\n")), altered(301)),
            (255, Box::new(|_| String::new()), short(512)),
            (255, Box::new(|text| text[..20].into()), short(512)),
        ];
        for (at, edit, told) in cases {
            std::fs::copy(&kept, &two).unwrap();
            edited(&two, at, edit);
            assert_eq!(archives.refused().await, told);
        }
        // A complete archive with the wrong events.
        std::fs::copy(archives.path("one"), &two).unwrap();
        assert_eq!(archives.refused().await, altered(257));
        // An altered event with a matching leaf hash.
        std::fs::copy(&kept, &two).unwrap();
        let mut forged = archives.events[299].clone();
        forged.event_type = "forged".into();
        forged.leaf_hash = registrar::journal::codec::leaf_hash(&forged);
        edited(&two, 43, |text| {
            let hash = |event: &StoredEvent| BASE64.encode(event.leaf_hash);
            let (old, new) = (hash(&archives.events[299]), hash(&forged));
            line(&text.replace(&archives.events[299].event_type, "forged").replace(&old, &new))
        });
        assert_eq!(archives.refused().await, altered(300));
        std::fs::copy(&kept, &two).unwrap();
        followers::rebuild(&archives.node, &|_, _| {}).await.unwrap();
    }

    async fn a_new_release_rebuilds_out_of_archives_when_it_starts(database) {
        let archives = archives(&database).await;
        let served = documents(&archives.node).await;
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::rename(archives.path("two"), elsewhere.path().join("two")).unwrap();
        archives.node.close().await;
        database.sql().await.run("UPDATE generations SET signature = 'admins:0'").await.unwrap();
        // Without the file nothing is served, and the status names the cause.
        let node = database.open().await;
        assert!(node.needs_rebuild());
        tokio::spawn(followers::keep_documents(std::sync::Arc::clone(&node)));
        let told = || node.status().rebuild.is_some_and(|told| told.contains("the archive of the events 257 to 512 is missing"));
        wait_until(told).await;
        assert!(node.needs_rebuild());
        assert!(matches!(node.documents.find::<registrar_projections::AdminDocument>("x").await, Err(JournalError::OtherGeneration)));
        node.close().await;
        let node = looking_in(&database, elsewhere.path()).await;
        tokio::spawn(followers::keep_documents(std::sync::Arc::clone(&node)));
        wait_until(|| !node.needs_rebuild()).await;
        follow(&node).await;
        assert_eq!(documents(&node).await, served);
    }

    async fn the_program_prints_the_next_step_before_and_after_an_archive(database) {
        small_partitions(&database).await;
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, moved) = (folder.path().join("old"), elsewhere.path().join("old"));
        let settings = &database.settings;
        run(settings, &["seed", "--admins", "300"]);
        let archive = ["journal", "archive", "--before", "300", "--output", file.to_str().unwrap()];
        // Log lines of a slow start may precede the message.
        let told = fail(registrar(settings, &archive));
        assert!(told.contains("registrar: the follower event_statistics still needs the events: it has come to position 0, those up to 256 would be archived\nLet a server run"), "{told}");
        let server = Server::start(settings);
        let passed = || run(settings, &["projections", "status"]).lines().any(|line| {
            line.strip_prefix("follower event_statistics: at ").is_some_and(|at| at.parse::<u64>().unwrap() >= 256)
        });
        wait_until(passed).await;
        drop(server);
        let mut unreachable = registrar(settings, &archive);
        unreachable.env("REGISTRAR_NATS_URL", "nats://127.0.0.1:1");
        let told = fail(unreachable);
        assert!(told.contains("registrar: NATS does not say how far the events are published: connecting to NATS"), "{told}");
        assert_eq!(run(settings, &archive), format!("events 1 to 256 in {}\n", file.display()));
        std::fs::rename(&file, &moved).unwrap();
        let told = fail(registrar(settings, &["projections", "rebuild"]));
        let expected = format!("registrar: the archive of the events 1 to 256 is missing: there is no {}\nPut it back, or name the folder it is in with --archives or REGISTRAR_ARCHIVES.\n", file.display());
        assert!(told.ends_with(&expected), "{told}");
        run(settings, &["projections", "rebuild", "--archives", elsewhere.path().to_str().unwrap()]);
        let status = run(settings, &["projections", "status"]);
        assert!(status.contains("generation 2: live"), "{status}");
    }

    async fn an_archive_is_found_from_wherever_it_was_written(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        follow(&node).await;
        // A path relative to the working directory of this process.
        let folder = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(folder.path().file_name().unwrap()).join("old");
        archive(&node, 600, &relative, None, &|_, _| {}).await.unwrap();
        let file = database.sql().await.texts("SELECT file FROM archives").await.remove(0);
        assert_eq!(file, std::env::current_dir().unwrap().join(relative).display().to_string());
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.unwrap();
}
