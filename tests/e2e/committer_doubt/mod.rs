//! Commits whose answer is lost: carried out or not, the client gets the right outcome, and nothing is stored twice.

mod faulty;

use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration, Utc};
use faulty::{Fault, Plan, ReadFault, executor, planned};
use registrar::committer::ExpectedVersion;
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::executor::{Executor, RequestContext};
use registrar::journal::{JournalError, JournalResult};
use registrar_aggregates::admin::Admin;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

async fn record(executor: &Executor) -> JournalResult<u64> {
    record_in(executor, "r").await
}

/// Appends to a stream that the committer does not know, so that it reads the version.
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

    async fn an_unknown_outcome_is_answered_as_unavailable(database) {
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

    async fn batches_drafted_upon_a_failed_batch_are_stored_once(database) {
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
        // A second writer, whose commits move the head meanwhile.
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

    async fn a_writer_that_panics_fails_no_other_job(database) {
        let node = database.open().await;
        // The first commit after a start reads the head; later ones know it.
        let executor = executor(&database, &node, &[Fault::Panic, Fault::Fine, Fault::Panic]).await;
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
        // Far below the time-out of a read.
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

/// One thread, so that both are queued before the committer runs.
#[tokio::test]
async fn jobs_queued_behind_a_failed_batch_fail_with_it() {
    let database = Database::sqlite();
    let node = database.open().await;
    let executor = executor(&database, &node, &[Fault::Connect, Fault::Connect]).await;
    let append = async || {
        let append = (access_stream("r"), ExpectedVersion::Exact(0), vec![trail_read("t")]);
        executor.append(&context(), vec![append]).await
    };
    // Both on one stream, so that they are in different batches.
    let (first, second) = tokio::join!(append(), append());
    for refused in [first, second] {
        assert!(matches!(refused, Err(JournalError::Unavailable(_))), "{refused:?}");
    }
    append().await.unwrap();
}
