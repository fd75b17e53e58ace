//! Batches: a rejected job fails alone, and the committer verifies its cached state at commit.

use crate::on_both_stores;
use crate::support::*;
use futures::FutureExt;
use futures::future::{join_all, try_join_all};
use registrar::committer::ExpectedVersion;
use registrar::journal::{Committed, JournalError, JournalResult};
use registrar::node::Node;
use registrar_aggregates::admin::{AdminCommand, AdminEvent, Granter};
use registrar_projections::admins::{BY_NAME, SEARCH};
use registrar_projections::{AdminDocument, CollectionId, Direction, Query};
use std::time::Duration;
use uuid::Uuid;

/// Registers an admin without a load, so that the command is queued at once.
async fn register(node: &Node, id: Uuid, email: Option<&str>) -> JournalResult<u64> {
    let append = (admin_stream(id), ExpectedVersion::Exact(0), vec![admin_registered(id, email)]);
    Ok(node.append(vec![append]).await?.events[0].position)
}

async fn assert_dense(node: &Node, count: usize) {
    let positions: Vec<u64> = node.all_events().await.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=count as u64).collect::<Vec<u64>>());
    assert_eq!(node.position().await, count as u64);
}

async fn admins(node: &Node) -> u64 {
    let all = Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending);
    node.documents.page(all).await.unwrap().value.total
}

on_both_stores! {
    async fn losers_of_claims_fall_one_by_one_and_the_rest_is_committed(database) {
        let node = database.open().await;
        register(&node, Uuid::now_v7(), Some("taken@example.org")).await.unwrap();
        let emails: Vec<String> = (0..60).map(|n| match n % 3 {
            0 => format!("free-{n}@example.org"),
            1 => "Taken@Example.org".to_owned(),
            _ => format!("twice-{}@example.org", n / 6),
        }).collect();
        let answers = while_commits_wait(&node, join_all(emails.iter().map(|email| register(&node, Uuid::now_v7(), Some(email))))).await;
        for (kind, winners) in [(0, 20), (1, 0), (2, 10)] {
            let of_kind: Vec<_> = answers.iter().skip(kind).step_by(3).collect();
            assert_eq!(of_kind.iter().filter(|answer| answer.is_ok()).count(), winners, "kind {kind}");
            for refused in of_kind.into_iter().filter_map(|answer| answer.as_ref().err()) {
                assert!(matches!(refused, JournalError::ClaimTaken { field: "account.email" }), "{refused:?}");
            }
        }
        assert_dense(&node, 31).await;
        assert_eq!(admins(&node).await, 31);
    }

    async fn losers_of_streams_fall_one_by_one_and_the_rest_is_committed(database) {
        let node = database.open().await;
        let taken = Uuid::now_v7();
        register(&node, taken, None).await.unwrap();
        let ids: Vec<Uuid> = (0..40).map(|n| if n % 4 == 0 { taken } else { Uuid::now_v7() }).collect();
        let answers = while_commits_wait(&node, join_all(ids.iter().map(|id| register(&node, *id, None)))).await;
        for (id, answer) in ids.iter().zip(&answers) {
            match answer {
                Ok(_) => assert_ne!(*id, taken),
                Err(error) => assert!(*id == taken && matches!(error, JournalError::VersionConflict), "{error:?}"),
            }
        }
        assert_dense(&node, 31).await;
    }

    async fn a_job_that_cannot_be_folded_falls_alone(database) {
        let node = database.open().await;
        let misfit = |n| (admin_stream(Uuid::now_v7()), ExpectedVersion::Exact(n), vec![AdminEvent::Deactivated {}.into()]);
        let (good, bad) = while_commits_wait(&node, async {
            let good = join_all((0..10).map(|_| register(&node, Uuid::now_v7(), None)));
            let bad = join_all((0..10).map(|_| node.append(vec![misfit(0)])));
            futures::join!(good, bad)
        }).await;
        assert!(good.iter().all(Result::is_ok));
        assert!(bad.iter().all(|answer| matches!(answer, Err(JournalError::NotFoldable(_)))));
        assert_dense(&node, 10).await;
    }

    async fn a_job_that_the_database_refuses_falls_alone(database) {
        let node = database.open().await;
        let poisoned = Uuid::now_v7();
        // A key row for a person who is not registered yet: the insert of the real key then violates a constraint,
        // which aborts the whole statement.
        let statement = format!("INSERT INTO subject_keys (subject_id, wrapped_key) VALUES ('{poisoned}', NULL)");
        database.sql().await.run(&statement).await.unwrap();
        let ids: Vec<Uuid> = (0..9).map(|n| if n == 4 { poisoned } else { Uuid::now_v7() }).collect();
        let answers = while_commits_wait(&node, join_all(ids.iter().map(|id| register(&node, *id, None)))).await;
        for (id, answer) in ids.iter().zip(answers) {
            assert_eq!(answer.is_err(), *id == poisoned);
            assert!(!matches!(answer, Err(JournalError::Unavailable(_))));
        }
        assert_dense(&node, 8).await;
        register(&node, Uuid::now_v7(), None).await.unwrap();
    }

    async fn commands_in_one_batch_see_each_other_in_the_documents(database) {
        let node = database.open().await;
        let ids: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
        while_commits_wait(&node, try_join_all(ids.iter().map(|id| register(&node, *id, None)))).await.unwrap();
        let entries = node.read_store.dump(node.status().generation, CollectionId::AuditEntries).await.unwrap();
        let mut sequences: Vec<u64> = entries.iter().map(|(_, body)| {
            serde_json::from_str::<serde_json::Value>(body).unwrap()["sequence"].as_u64().unwrap()
        }).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=20).collect::<Vec<u64>>());
    }

    async fn more_commands_than_a_batch_takes_are_all_carried_out(database) {
        let node = database.open().await;
        let appends = (0..1_500).map(|n| node.append(vec![(access_stream(&format!("r{}", n % 7)), ExpectedVersion::Any, vec![trail_read("t")])]));
        let answers = while_commits_wait(&node, join_all(appends)).await;
        let mut positions: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().events[0].position).collect();
        positions.sort_unstable();
        assert_eq!(positions, (1..=1_500).collect::<Vec<u64>>());
    }

    async fn closing_a_node_finishes_what_was_handed_in(database) {
        let node = database.open().await;
        let ids: Vec<Uuid> = (0..30).map(|_| Uuid::now_v7()).collect();
        let (answers, ()) = while_commits_wait(&node, async {
            futures::join!(join_all(ids.iter().map(|id| register(&node, *id, None))), node.close())
        }).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_dense(&node, 30).await;
    }

    async fn a_caller_who_stops_waiting_takes_nothing_back(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let mut holder = node.journal.writer().await.unwrap();
        holder.lock().await.unwrap();
        {
            let given_up = std::pin::pin!(register(&node, id, None));
            assert!(given_up.now_or_never().is_none());
        }
        holder.unlock().await.unwrap();
        // A later job in the queue is committed later.
        register(&node, Uuid::now_v7(), None).await.unwrap();
        assert_eq!(node.find(id).await.version, 1);
    }

    async fn a_job_folds_upon_what_other_nodes_wrote_meanwhile(database) {
        let (a, b) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        a.admin(id, registration(id, None)).await.unwrap();
        for round in 0..4 {
            let name = format!("Ada {round}");
            b.admin(id, rename(&name)).await.unwrap();
            let outcome = a.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap();
            let document = outcome.document::<AdminDocument>().unwrap();
            assert_eq!((document.person.first_name.as_str(), document.active), (name.as_str(), false));
            b.admin(id, AdminCommand::Activate(Granter::System)).await.unwrap();
            let found = Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).search(&SEARCH, &name);
            assert_eq!(a.documents.page(found).await.unwrap().value.items, [a.find(id).await]);
        }
    }

    async fn a_node_that_missed_thousands_of_events_goes_on(database) {
        let (a, b) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        a.admin(id, registration(id, None)).await.unwrap();
        b.admin(id, rename("Augusta")).await.unwrap();
        let mut writer = a.journal.writer().await.unwrap();
        let reader = access_stream("r");
        for round in 0..6 {
            let events: Vec<_> = (round * 1_000 + 1..=round * 1_000 + 1_000).map(|sequence| (&reader, sequence)).collect();
            let batch = batch(&a.journal.head().await.unwrap(), &events);
            assert_eq!(writer.commit(&batch).await.unwrap(), Committed::Yes);
        }
        let outcome = a.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap();
        assert_eq!(outcome.document::<AdminDocument>().unwrap().person.first_name, "Augusta");
        assert_eq!(outcome.events[0].position, 6_003);
        let open = b.append(vec![(reader, ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        assert_eq!((open.events[0].position, open.events[0].sequence), (6_004, 6_001));
    }

    async fn every_head_is_announced_in_order(database) {
        let (a, b) = (database.open().await, database.open().await);
        let heads = b.heads.clone();
        let watched = tokio::spawn(async move {
            let mut seen = vec![heads.position()];
            while let Some(last) = seen.last().filter(|last| **last < 20) {
                seen.push(heads.reach(last + 1).await.unwrap());
            }
            seen
        });
        for _ in 0..10 {
            register(&a, Uuid::now_v7(), None).await.unwrap();
            register(&b, Uuid::now_v7(), None).await.unwrap();
        }
        let seen = watched.await.unwrap();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        a.wait_for(20, Duration::from_secs(5)).await.unwrap();
        let refused = a.wait_for(21, Duration::from_millis(20)).await;
        assert!(matches!(refused, Err(JournalError::Unavailable(_))));
    }
}
