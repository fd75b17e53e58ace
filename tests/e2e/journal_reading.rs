//! Reads of the journal: order, gaps, guards, hashes.

use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration, SubsecRound, Utc};
use registrar::committer::ExpectedVersion;
use registrar::journal::selection::EventFilter;
use registrar::journal::{Committed, JournalError, Portion, codec};
use registrar::merkle::{Hash, leaf_hash, node_hash};
use registrar::node::Node;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, ListEdit};
use registrar_aggregates::values::check_name;
use registrar_projections::AdminDocument;
use serde_json::{Value, json};
use uuid::Uuid;

/// Appends `count` events to streams `r0`, `r1`, `r2` in turn, in batches of up to 1,000.
async fn fill(node: &Node, count: u64) {
    let mut writer = node.journal.writer().await.unwrap();
    let streams: Vec<_> = (0..3).map(|n| access_stream(&format!("r{n}"))).collect();
    for from in (0..count).step_by(1000) {
        let events: Vec<_> = (from..count.min(from + 1000)).map(|n| (&streams[n as usize % 3], n / 3 + 1)).collect();
        let batch = batch(&node.journal.head().await.unwrap(), &events);
        assert_eq!(writer.commit(&batch).await.unwrap(), Committed::Yes);
    }
}

/// The tree's root by the definition of RFC 9162 2.1.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => unreachable!("no test has an empty tree"),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// SQL that forges an event at `position`, with `sequence` in the stream `r0`.
fn forged(verb: &str, position: u64, sequence: u64) -> String {
    format!(
        "{verb} INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata, leaf_hash) SELECT {position}, recorded_at, aggregate_type, 'r0', {sequence}, event_type, \
         event_version, payload, metadata, leaf_hash FROM events WHERE position = 1"
    )
}

on_both_stores! {
    async fn pages_follow_each_other_without_gap_or_overlap(database) {
        let node = database.open().await;
        fill(&node, 101).await;
        for limit in [1, 2, 7, 100, 101, 1000] {
            let (mut seen, mut after) = (Vec::new(), 0);
            loop {
                let page = node.journal.read(after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = last.position;
                seen.extend(page.iter().map(|event| event.position));
            }
            assert_eq!(seen, (1..=101).collect::<Vec<u64>>(), "pages of {limit}");
        }
    }

    async fn behind_the_end_there_is_nothing_to_read(database) {
        let node = database.open().await;
        assert!(node.journal.read(0, 10).await.unwrap().is_empty());
        fill(&node, 3).await;
        for after in [3, 4, 1_000_000] {
            assert!(node.journal.read(after, 10).await.unwrap().is_empty(), "after {after}");
        }
        assert!(node.journal.read(0, 0).await.unwrap().is_empty());
    }

    async fn a_hole_is_an_error_and_not_an_early_end(database) {
        let node = database.open().await;
        fill(&node, 10).await;
        let mut sql = database.sql().await;
        for statement in match sql {
            Sql::Sqlite(_) => vec!["DROP TRIGGER events_no_delete", "DELETE FROM events WHERE position = 5"],
            Sql::Postgres(_) => vec!["ALTER TABLE events DISABLE TRIGGER USER", "DELETE FROM events WHERE position = 5"],
        } {
            sql.run(statement).await.unwrap();
        }
        assert_eq!(node.journal.read(0, 4).await.unwrap().len(), 4);
        for after in 0..5 {
            let error = refusal(node.journal.read(after, 100).await);
            assert!(matches!(error, JournalError::Corrupt(_)), "after {after}: {error:?}");
        }
        assert_eq!(node.journal.read(5, 100).await.unwrap().len(), 5);
    }

    async fn a_cut_off_end_is_an_error_and_not_an_early_end(database) {
        let node = database.open().await;
        fill(&node, 10).await;
        let mut sql = database.sql().await;
        for statement in match sql {
            Sql::Sqlite(_) => vec!["DROP TRIGGER events_no_delete", "DELETE FROM events WHERE position > 7"],
            Sql::Postgres(_) => vec!["ALTER TABLE events DISABLE TRIGGER USER", "DELETE FROM events WHERE position > 7"],
        } {
            sql.run(statement).await.unwrap();
        }
        assert!(matches!(refusal(node.journal.read(7, 10).await), JournalError::Corrupt(_)));
        assert!(matches!(refusal(node.journal.read(0, 10).await), JournalError::Corrupt(_)));
        assert_eq!(node.journal.read(0, 7).await.unwrap().len(), 7);
    }

    async fn a_stream_longer_than_any_page_is_read_whole(database) {
        let node = database.open().await;
        fill(&node, 3_600).await;
        let stream = node.journal.stream("audit-access", "r1", 0).await.unwrap();
        assert_eq!(stream.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=1_200).collect::<Vec<u64>>());
        assert!(stream.windows(2).all(|pair| pair[0].position < pair[1].position));
        assert_eq!(node.journal.stream("audit-access", "r1", 1_195).await.unwrap().len(), 5);
        assert!(node.journal.stream("audit-access", "nobody", 0).await.unwrap().is_empty());
        assert!(node.journal.stream("admin", "r1", 0).await.unwrap().is_empty());
    }

    async fn the_database_refuses_to_change_events(database) {
        let node = database.open().await;
        fill(&node, 3).await;
        let before = node.all_events().await;
        let mut sql = database.sql().await;
        let mut attempts = vec![
            "UPDATE events SET payload = payload".to_owned(),
            "UPDATE events SET position = 9 WHERE position = 3".to_owned(),
            "UPDATE events SET metadata = metadata WHERE position = 99".to_owned(),
            "DELETE FROM events".to_owned(),
            "DELETE FROM events WHERE position = 3".to_owned(),
            forged("INSERT", 3, 99),
            forged("INSERT", 99, 1),
        ];
        let more = match sql {
            // SQLite runs triggers per row, so a statement without rows is not refused.
            Sql::Sqlite(_) => {
                attempts.remove(2);
                vec![forged("INSERT OR REPLACE", 3, 99), forged("INSERT OR REPLACE", 99, 1), forged("REPLACE", 1, 1)]
            }
            Sql::Postgres(_) => vec![
                "TRUNCATE events".to_owned(),
                "TRUNCATE events, streams CASCADE".to_owned(),
                forged("INSERT", 3, 99) + " ON CONFLICT (position) DO UPDATE SET payload = excluded.payload",
            ],
        };
        attempts.extend(more);
        for attempt in attempts {
            assert!(sql.run(&attempt).await.is_err(), "{attempt}");
        }
        assert_eq!(node.all_events().await, before);
    }

    async fn the_commit_time_never_goes_back_even_if_the_clock_does(database) {
        let node = database.open().await;
        let ahead = (Utc::now() + Duration::hours(5)).trunc_subsecs(3);
        // The head as a node with a wrong clock leaves it.
        let stamp = format!("UPDATE journal_head SET recorded_at = '{}'", codec::timestamp(ahead));
        database.sql().await.run(&stamp).await.unwrap();
        drop(node);
        let node = database.open().await;
        // Once on the first node, once on a node that has just started.
        for node in [node, database.open().await] {
            let id = Uuid::now_v7();
            let outcome = node.admin(id, registration(id, None)).await.unwrap();
            assert_eq!(outcome.events[0].recorded_at, ahead);
            assert_eq!(outcome.document::<AdminDocument>().unwrap().audit_info.created_at, ahead);
        }
        let times: Vec<_> = database.open().await.all_events().await.iter().map(|event| event.recorded_at).collect();
        assert_eq!(times, [ahead; 2]);
    }

    async fn the_head_has_the_root_of_all_leaves_and_every_leaf_is_that_of_its_event(database) {
        let node = database.open().await;
        for n in 0..9 {
            let id = Uuid::now_v7();
            node.admin(id, registration(id, Some(&format!("ada{n}@example.org")))).await.unwrap();
            node.executor.record(&request_of(id), "r", vec![read_of(n)]).await.unwrap();
            let stored = node.all_events().await;
            let leaves: Vec<Hash> = stored.iter().map(|event| event.leaf_hash).collect();
            assert_eq!(node.journal.head().await.unwrap().frontier.root(), naive_root(&leaves));
        }
        for event in node.all_events().await {
            assert_eq!(event.leaf_hash, codec::leaf_hash(&event));
            let entry = json!({
                "position": event.position, "recordedAt": codec::timestamp(event.recorded_at),
                "aggregateType": event.aggregate_type, "aggregateId": event.aggregate_id, "sequence": event.sequence,
                "eventType": event.event_type, "eventVersion": event.event_version,
                "payload": serde_json::from_str::<Value>(&event.payload).unwrap(),
                "metadata": serde_json::from_str::<Value>(&event.metadata).unwrap(),
            });
            assert_eq!(event.leaf_hash, leaf_hash(codec::canonical(&entry).unwrap().as_bytes()));
        }
    }

    async fn payload_and_metadata_are_stored_as_they_were_hashed(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        let mut reason = request_of(id);
        reason.metadata.reason = Some("two\nlines, \"quoted\", \\ and 𝄞".into());
        node.executor.record(&reason, "r", vec![read_of(1)]).await.unwrap();
        let mut sql = database.sql().await;
        let raw = sql.texts("SELECT CAST(payload AS text) FROM events ORDER BY position").await;
        let raw_metadata = sql.texts("SELECT CAST(metadata AS text) FROM events ORDER BY position").await;
        for (event, (payload, metadata)) in node.all_events().await.iter().zip(raw.iter().zip(&raw_metadata)) {
            assert_eq!((&event.payload, &event.metadata), (payload, metadata));
            for text in [payload, metadata] {
                assert_eq!(&codec::canonical(&serde_json::from_str(text).unwrap()).unwrap(), text);
            }
        }
    }

    async fn odd_text_survives_in_events_and_documents(database) {
        let node = database.open().await;
        let odd = [
            "\"quoted\"", "'single'", "back\\slash", "{braces}", "[brackets], commas", "$1 %s ?", "two\nlines\ttab\r",
            "\u{1}\u{1f}\u{7f}", "ZWJ 👩‍👩‍👧 𝄞 \u{10ffff}", "е\u{301} ÅÄÖ ß ﬁ", "NULL", "-- ; DROP TABLE events", "1e3", "\u{feff}", "{}", "\\u0000",
        ];
        for text in odd {
            let id = Uuid::now_v7();
            node.admin(id, registration(id, None)).await.unwrap();
            let policies = AdminChange::Policies(ListEdit::Set(vec![text.into(), "p".into()]));
            node.admin(id, AdminCommand::Amend(vec![policies], Granter::System)).await.unwrap();
            // Names have no invisible characters; other texts may have them.
            let name = if check_name(text).is_ok() { text } else { "Ada" };
            node.admin(id, rename(name)).await.unwrap();
            let (_, state) = database.open().await.executor.state::<Admin>(&id.to_string()).await.unwrap();
            let profile = state.profile().unwrap();
            assert_eq!((profile.person.first_name.as_str(), profile.policies[0].as_str()), (name, text));
            let document = node.find(id).await;
            assert_eq!((document.person.first_name.as_str(), document.policies[0].as_str()), (name, text));
            let stream = access_stream(text);
            node.append(vec![(stream, ExpectedVersion::Exact(0), vec![trail_read(text)])]).await.unwrap();
            assert_eq!(node.journal.stream("audit-access", text, 0).await.unwrap().len(), 1);
        }
    }

    async fn a_large_event_is_stored_and_read_back(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let long: String = "Ünïcödé \"and\" more ".chars().cycle().take(100_000).collect();
        node.admin(id, rename(&long)).await.unwrap();
        assert_eq!(node.find(id).await.person.first_name, long.trim());
        let events = node.all_events().await;
        assert_eq!(events[1].leaf_hash, codec::leaf_hash(&events[1]));
    }

    async fn a_portion_ends_with_the_event_that_fills_it(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        for letter in ["a", "b", "c", "d", "e", "f"] {
            node.admin(id, rename(&letter.repeat(100_000))).await.unwrap();
        }
        let head = node.journal.head().await.unwrap().position;
        let filters = [
            EventFilter::default(),
            EventFilter { aggregate_type: Some("admin".into()), aggregate_id: Some(id.to_string()), ..EventFilter::default() },
        ];
        for filter in filters {
            let portion = Portion { events: 100, bytes: 150_000 };
            let (mut after, mut sizes, mut positions) = (0, Vec::new(), Vec::new());
            while after < head {
                let page = node.journal.select(&filter, after, head, portion).await.unwrap();
                assert_eq!(portion.is_full(&page.events), page.looked_until < head || positions.len() + page.events.len() == 7);
                sizes.push(page.events.len());
                positions.extend(page.events.iter().map(|event| event.position));
                after = page.looked_until;
            }
            assert_eq!(sizes, [3, 2, 2], "the first is small, two of the others are more than a portion");
            assert_eq!(positions, (1..=head).collect::<Vec<_>>());
        }
        let small = node.journal.read_portion(0, Portion { events: 100, bytes: 1 }).await.unwrap();
        assert_eq!(small.len(), 1, "there is always one");
    }

    async fn a_malformed_journal_head_is_refused(database) {
        let node = database.open().await;
        fill(&node, 3).await;
        let empty = if database.settings.database_url.is_some() { "'\\x'" } else { "x''" };
        database.sql().await.run(&format!("UPDATE journal_head SET frontier = {empty}")).await.unwrap();
        assert!(matches!(refusal(node.journal.head().await), JournalError::Corrupt(_)));
    }
}

fn read_of(n: i32) -> registrar_aggregates::audit_access::AuditAccessEvent {
    let filters = [("searchTerm".to_owned(), format!("\"{n}\" ∈ ℕ"))].into();
    registrar_aggregates::audit_access::AuditAccessEvent::TrailRead { trail: "ecg-admins".into(), filters }
}
