//! Exports, and their verification with nothing but the files and the public key.

use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::process::{fail, registrar, run};
use crate::support::*;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use registrar::checkpoint::signer;
use registrar::journal_files::{ExportError, ExportFilter, Format};
use serde_json::Value;
use signed_note::{Note, StandardVerifier, VerifierList};
use std::path::Path;
use tlog_tiles::{Hash, check_record, record_hash};

/// Verifies one line of an export as an auditor does, without any code of Registrar.
fn verify_alone(line: &str, proof: &str, note: &str, verifier_key: &str) -> Result<u64, String> {
    let verifier = StandardVerifier::new(verifier_key).map_err(|error| error.to_string())?;
    let note = Note::from_bytes(note.as_bytes()).map_err(|error| error.to_string())?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(|error| error.to_string())?;
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|_| "no checkpoint")?;
    let mut event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let proof: Value = serde_json::from_str(proof).map_err(|error| error.to_string())?;
    event.as_object_mut().unwrap().remove("leafHash");
    let leaf = record_hash(&serde_json_canonicalizer::to_vec(&event).unwrap());
    let position = event["position"].as_u64().unwrap();
    assert_eq!(proof["position"], position);
    let hash = |hash: &Value| Hash(BASE64.decode(hash.as_str().unwrap()).unwrap().try_into().unwrap());
    let hashes = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
    check_record(&hashes, checkpoint.size(), *checkpoint.hash(), position - 1, leaf)
        .map_err(|error| error.to_string())?;
    Ok(position)
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

fn selection(change: impl FnOnce(&mut ExportFilter)) -> ExportFilter {
    let mut selection = ExportFilter::all(Format::Ndjson);
    change(&mut selection);
    selection
}

on_both_stores! {
    async fn every_exported_event_is_verified_without_registrar(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            use std::os::unix::fs::PermissionsExt;
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
        let key = signer(&node).await.unwrap().verifier().text();
        let note = std::fs::read_to_string(with(&path, ".checkpoint")).unwrap();
        let (events, proofs) = (lines(&path), lines(&with(&path, ".proofs")));
        assert_eq!((events.len() as u64, proofs.len() as u64), (node.position().await, node.position().await));
        for (expected, (event, proof)) in (1..).zip(events.iter().zip(&proofs)) {
            assert_eq!(verify_alone(event, proof, &note, &key), Ok(expected));
        }
        let altered = events[300].replacen("trail-read", "trail-reed", 1);
        assert!(verify_alone(&altered, &proofs[300], &note, &key).is_err());
        assert!(verify_alone(&events[300], &proofs[301].replace("302", "301"), &note, &key).is_err());
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
    }

    async fn a_part_is_proved_against_the_whole(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let key = signer(&node).await.unwrap().verifier().text();
        let head = node.position().await;
        for (name, selection, expected) in [
            ("range", selection(|s| (s.after, s.until) = (100, Some(130))), (101..=130).collect::<Vec<u64>>()),
            ("tail", selection(|s| s.after = head - 3), (head - 2..=head).collect()),
            ("one", selection(|s| (s.after, s.until) = (511, Some(512))), vec![512]),
            ("none", selection(|s| (s.after, s.until) = (7, Some(7))), vec![]),
            ("type", selection(|s| (s.aggregate_type, s.until) = (Some("admin".into()), Some(6))), (1..=6).collect()),
            ("name", selection(|s| (s.event_type, s.until) = (Some("admin.registered".into()), Some(6))), vec![1, 3, 5]),
            ("aggregate", selection(|s| (s.aggregate_id, s.after) = (Some("r5".into()), head - 2)), vec![head - 1, head]),
            ("nobody", selection(|s| s.organization_id = Some("o1".into())), vec![]),
        ] {
            let path = folder.path().join(name);
            let exported = export_to(&node, &path, selection).await.unwrap();
            assert_eq!((exported.events, exported.tree_size), (expected.len() as u64, head), "{name}");
            let note = std::fs::read_to_string(with(&path, ".checkpoint")).unwrap();
            let proofs = lines(&with(&path, ".proofs"));
            let verified = lines(&path).iter().zip(&proofs).map(|(event, proof)| verify_alone(event, proof, &note, &key).unwrap()).collect::<Vec<_>>();
            assert_eq!((verified, proofs.len()), (expected.clone(), expected.len()), "{name}");
        }
    }

    async fn only_the_keys_of_those_in_it_go_with_a_part(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let keys = |path: &Path| lines(&with(path, ".keys")).iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        let whole = keys(&export_all(&node, folder.path(), "whole").await);
        assert_eq!(whole.last().unwrap()["count"], 42);
        let path = folder.path().join("part");
        export_to(&node, &path, selection(|s| s.until = Some(2))).await.unwrap();
        let part = keys(&path);
        assert_eq!((part.len(), &part[1]["count"]), (2, &Value::from(1)));
        assert_eq!(part[0]["subjectId"].as_str(), Some(node.all_events().await[0].aggregate_id.as_str()));
        assert!(whole.contains(&part[0]));
        let raw = std::fs::read_to_string(with(&path, ".keys")).unwrap() + &std::fs::read_to_string(&path).unwrap();
        assert!(!raw.contains("Lovelace") && !raw.contains("Marked"));
    }

    async fn csv_and_parquet_hold_the_same_events(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let events = node.all_events().await;
        let csv_path = folder.path().join("events.csv");
        export_to(&node, &csv_path, ExportFilter::all(Format::Csv)).await.unwrap();
        let mut reader = csv::Reader::from_path(&csv_path).unwrap();
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), ["position", "recordedAt", "aggregateType", "aggregateId", "sequence", "eventType", "eventVersion", "payload", "metadata", "leafHash"]);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), events.len());
        for (record, event) in records.iter().zip(&events) {
            let expected = [event.position.to_string(), registrar::journal::codec::timestamp(event.recorded_at), event.aggregate_type.clone(), event.aggregate_id.clone(), event.sequence.to_string(), event.event_type.clone(), event.event_version.clone(), event.payload.clone(), event.metadata.clone(), BASE64.encode(event.leaf_hash)];
            assert_eq!(record.iter().collect::<Vec<_>>(), expected);
        }
        let path = folder.path().join("events.parquet");
        export_to(&node, &path, ExportFilter::all(Format::Parquet)).await.unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), events.len());
        for (row, event) in rows.iter().zip(&events) {
            assert_eq!(row.get_long(0).unwrap() as u64, event.position);
            assert_eq!(row.get_timestamp_millis(1).unwrap(), event.recorded_at.timestamp_millis());
            assert_eq!((row.get_string(2).unwrap(), row.get_string(3).unwrap()), (&event.aggregate_type, &event.aggregate_id));
            assert_eq!(row.get_long(4).unwrap() as u64, event.sequence);
            assert_eq!((row.get_string(5).unwrap(), row.get_string(6).unwrap()), (&event.event_type, &event.event_version));
            assert_eq!((row.get_string(7).unwrap(), row.get_string(8).unwrap()), (&event.payload, &event.metadata));
            assert_eq!(row.get_bytes(9).unwrap().data(), event.leaf_hash);
        }
        assert_eq!(lines(&with(&path, ".proofs")), lines(&with(&csv_path, ".proofs")));
    }

    async fn an_empty_journal_is_exported_with_its_key(database) {
        let node = database.open().await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        assert_eq!(lines(&path).len(), 1);
        assert_eq!(lines(&with(&path, ".proofs")), [r#"{"position":1,"hashes":[]}"#]);
    }

    async fn a_failed_export_leaves_nothing_behind(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let head = node.position().await;
        let path = folder.path().join("journal");
        for selection in [selection(|s| (s.after, s.until) = (20, Some(10))), selection(|s| s.until = Some(head + 1)), selection(|s| s.after = head + 1)] {
            let refused = export_to(&node, &path, selection).await;
            assert!(matches!(refused, Err(ExportError::Range { .. })), "{refused:?}");
        }
        std::fs::write(&path, "mine").unwrap();
        let refused = export_to(&node, &path, ExportFilter::all(Format::Ndjson)).await.unwrap_err().to_string();
        assert!(refused.ends_with("is there already"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
        let nowhere = export_to(&node, &folder.path().join("no/such/folder"), ExportFilter::all(Format::Ndjson)).await;
        assert!(matches!(nowhere, Err(ExportError::File(_))), "{nowhere:?}");
        let mut sql = database.sql().await;
        match &mut sql {
            Sql::Postgres(_) => sql.run("SET session_replication_role = replica").await.unwrap(),
            Sql::Sqlite(_) => sql.run("DROP TRIGGER events_no_update").await.unwrap(),
        };
        sql.run("UPDATE events SET event_version = '1.1' WHERE position = 400").await.unwrap();
        let altered = export_to(&node, &path, ExportFilter::all(Format::Ndjson)).await;
        assert!(matches!(altered, Err(ExportError::Altered(400))), "{altered:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    async fn the_program_exports_and_prints_the_key(database) {
        run(&database.settings, &["seed", "--admins", "3"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let file = path.to_str().unwrap();
        let printed = run(&database.settings, &["journal", "export", "--output", file]);
        assert_eq!(printed, format!("6 events of 6 in {file}\n"));
        let key = run(&database.settings, &["journal", "key"]);
        let note = std::fs::read_to_string(with(&path, ".checkpoint")).unwrap();
        let (events, proofs) = (lines(&path), lines(&with(&path, ".proofs")));
        assert_eq!(verify_alone(&events[2], &proofs[2], &note, key.trim()), Ok(3));
        let checked = ["journal", "verify", "--checkpoint", &format!("{file}.checkpoint"), "--key", key.trim()];
        assert!(run(&database.settings, &checked).starts_with("6 events, root "));
        let told = fail(registrar(&database.settings, &["journal", "export", "--output", file]));
        assert!(told.contains("is there already"), "{told}");
        let told = fail(registrar(&database.settings, &["journal", "export", "--output", file, "--after", "9"]));
        assert!(told.contains("there is nothing to export"), "{told}");
    }
}
