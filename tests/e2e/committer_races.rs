//! Races: a command whose decision rested on a state that changed is decided again, and losers get a conflict.

use crate::cloud_app::Cloud;
use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration, Utc};
use futures::future::join_all;
use registrar::api::common::ApiError;
use registrar::committer::ExpectedVersion;
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::executor::{ExecuteError, Outcome, RequestContext};
use registrar::journal::{Committed, FailedConditions, JournalError, PAYLOAD_BYTES_MAX, ReadStep, StreamId};
use registrar::node::Node;
use registrar_aggregates::Refusal;
use registrar_aggregates::admin::{Admin, AdminCommand, AdminError, AdminEvent, Granter};
use registrar_aggregates::individual::{IndividualEvent, Owner};
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, OrganizationError, Stamp};
use registrar_aggregates::processes::{MissingStream, Step, Streams};
use registrar_aggregates::values::{IndividualId, OrganizationId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Barrier;
use uuid::Uuid;

fn read(stream: &StreamId, version: u64) -> ReadStep {
    ReadStep { stream: stream.clone(), version }
}

/// Deactivates one admin unless the other one is inactive. Waits for `decided` between the first load of both and the
/// commit.
async fn deactivate_unless(
    node: &Node,
    one: Uuid,
    other: Uuid,
    decided: &Barrier,
) -> Result<(usize, Outcome), ExecuteError<Refusal>> {
    let tries = AtomicUsize::new(0);
    let both = [one, other].map(MissingStream::of::<Admin>);
    let wait = || async {
        if tries.fetch_add(1, Ordering::AcqRel) == 0 {
            decided.wait().await;
        }
        Ok(())
    };
    let decide = |streams: &mut Streams, (): &()| {
        if matches!(streams.state::<Admin>(other)?, Admin::Active(_)) {
            streams.execute::<Admin>(one, AdminCommand::Deactivate(Granter::System))?;
        }
        Ok(())
    };
    let ((), outcome) = node.executor.execute_informed(&context(), &both, wait, decide).await?;
    Ok((tries.load(Ordering::Acquire), outcome))
}

/// Deactivates each of two admins concurrently, depending on the state of the other.
async fn skew(a: &Node, b: &Node) {
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    for id in [one, other] {
        a.admin(id, registration(id, None)).await.unwrap();
    }
    let decided = Barrier::new(2);
    let before = a.position().await;
    let (first, second) =
        tokio::join!(deactivate_unless(a, one, other, &decided), deactivate_unless(b, other, one, &decided));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.1.events.len() + second.1.events.len(), 1, "one comes after the other");
    assert_eq!(first.0 + second.0, 3, "the loser is decided anew, once");
    assert_eq!(a.position().await, before + 1);
}

async fn register_organization(node: &Node) -> Uuid {
    let id = Uuid::now_v7();
    let content = Box::new(Content { name: format!("Clinic {id}"), ..Content::default() });
    let command = OrganizationCommand::Register { id: OrganizationId(id), content, stamp: Stamp::at(Utc::now()) };
    node.executor.execute::<Organization>(&context(), &id.to_string(), command, None).await.unwrap();
    id
}

async fn delete_organization(
    node: &Node,
    id: Uuid,
    expected: Option<u64>,
) -> Result<Outcome, ExecuteError<OrganizationError>> {
    let command = OrganizationCommand::Delete(Stamp::at(Utc::now()));
    node.executor.execute::<Organization>(&context(), &id.to_string(), command, expected).await
}

on_both_stores! {
    async fn a_batch_names_every_read_at_another_version(database) {
        let node = database.open().await;
        let [a, b, c] = ["a", "b", "c"].map(access_stream);
        let mut writer = node.journal.writer().await.unwrap();
        let first = batch(&node.journal.head().await.unwrap(), &[(&a, 1), (&a, 2)]);
        assert_eq!(writer.commit(&first).await.unwrap(), Committed::Yes);
        let head = node.journal.head().await.unwrap();
        let mut stale = batch(&head, &[(&b, 2), (&c, 1)]);
        stale.reads = vec![read(&a, 2), read(&a, 1), read(&access_stream("none"), 1), read(&access_stream("none"), 0)];
        let lost = FailedConditions { streams: vec![0], reads: vec![1, 2], ..FailedConditions::default() };
        assert_eq!(writer.commit(&stale).await.unwrap(), Committed::Lost(lost));
        let mut only_reads = batch(&head, &[]);
        only_reads.reads = vec![read(&b, 1)];
        let lost = FailedConditions { reads: vec![0], ..FailedConditions::default() };
        assert_eq!(writer.commit(&only_reads).await.unwrap(), Committed::Lost(lost));
        assert_eq!(node.position().await, 2);
        let mut good = batch(&head, &[(&b, 1)]);
        good.reads = vec![read(&a, 2), read(&c, 0)];
        assert_eq!(writer.commit(&good).await.unwrap(), Committed::Yes);
        // The reads of a batch do not change versions.
        assert_eq!(writer.versions(&[a, b, c]).await.unwrap(), [2, 1, 0]);
    }

    async fn commands_that_read_what_the_other_changes_come_one_after_the_other(database) {
        let node = database.open().await;
        for _ in 0..5 {
            skew(&node, &node).await;
        }
    }

    async fn commands_of_two_nodes_that_read_what_the_other_changes_come_one_after_the_other(database) {
        let (a, b) = (database.open().await, database.open().await);
        for _ in 0..5 {
            skew(&a, &b).await;
        }
    }

    async fn a_stream_that_was_read_must_not_come_into_being_meanwhile(database) {
        let node = database.open().await;
        let (one, absent) = (Uuid::now_v7(), Uuid::now_v7());
        node.admin(one, registration(one, None)).await.unwrap();
        let tries = AtomicUsize::new(0);
        let both = [one, absent].map(MissingStream::of::<Admin>);
        let meanwhile = || async {
            if tries.fetch_add(1, Ordering::AcqRel) == 0 {
                node.admin(absent, registration(absent, None)).await.unwrap();
            }
            Ok(())
        };
        let context = context();
        let done = node.executor.execute_informed(&context, &both, meanwhile, |streams, (): &()| {
            if streams.state::<Admin>(absent)?.profile().is_none() {
                streams.execute::<Admin>(one, rename("Augusta"))?;
            }
            Step::Ok(())
        });
        assert!(done.await.unwrap().1.events.is_empty());
        assert_eq!(tries.load(Ordering::Acquire), 2);
        assert_eq!(node.position().await, 2);
    }

    /// Both admins change between the loads of the two.
    async fn a_refusal_rests_on_one_moment(database) {
        let node = database.open().await;
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        for id in [one, other] {
            node.admin(id, registration(id, None)).await.unwrap();
        }
        node.admin(other, AdminCommand::Deactivate(Granter::System)).await.unwrap();
        let tries = AtomicUsize::new(0);
        let first = [MissingStream::of::<Admin>(other)];
        let meanwhile = || async {
            if tries.fetch_add(1, Ordering::AcqRel) == 0 {
                node.admin(other, AdminCommand::Activate(Granter::System)).await.unwrap();
                node.admin(one, AdminCommand::Deactivate(Granter::System)).await.unwrap();
            }
            Ok(())
        };
        // At every moment one of the two is active.
        let context = context();
        let done = node.executor.execute_informed(&context, &first, meanwhile, |streams, (): &()| {
            let off = matches!(streams.state::<Admin>(other)?, Admin::Inactive(_));
            if off && matches!(streams.state::<Admin>(one)?, Admin::Inactive(_)) {
                return Err(AdminError::NotFound.into());
            }
            streams.execute::<Admin>(other, rename("Augusta"))?;
            Ok(())
        });
        assert_eq!(done.await.unwrap().1.events.len(), 1);
        assert_eq!(tries.load(Ordering::Acquire), 2);
    }

    async fn readers_of_one_stream_do_not_disturb_each_other(database) {
        let node = database.open().await;
        let shared = Uuid::now_v7();
        node.admin(shared, registration(shared, None)).await.unwrap();
        let tries = AtomicUsize::new(0);
        let register = |id: Uuid| {
            let (node, tries) = (&node, &tries);
            async move {
                let context = context();
                let shared = [MissingStream::of::<Admin>(shared)];
                let done = node.executor.execute_process(&context, |streams| {
                    streams.prefetch(shared.clone())?;
                    tries.fetch_add(1, Ordering::AcqRel);
                    streams.state::<Admin>(&shared[0].stream.aggregate_id)?;
                    streams.execute::<Admin>(id, registration(id, None))?;
                    Step::Ok(())
                });
                done.await.unwrap()
            }
        };
        while_commits_wait(&node, join_all((0..30).map(|_| register(Uuid::now_v7())))).await;
        assert_eq!((tries.load(Ordering::Acquire), node.position().await), (30, 31));
    }

    /// More commands than a single command has retries.
    async fn many_that_change_one_stream_together_with_their_own_all_succeed(database) {
        let node = database.open().await;
        let shared = Uuid::now_v7();
        node.admin(shared, registration(shared, None)).await.unwrap();
        let act = |n: usize| {
            let (node, id) = (&node, Uuid::now_v7());
            async move {
                let context = context();
                let done = node.executor.execute_process(&context, |streams| {
                    streams.execute::<Admin>(id, registration(id, None))?;
                    streams.execute::<Admin>(shared, rename(&format!("Ada {n}")))?;
                    Step::Ok(())
                });
                done.await.map(|((), outcome)| outcome)
            }
        };
        for done in while_commits_wait(&node, join_all((0..40).map(act))).await {
            assert_eq!(done.unwrap().events.len(), 2);
        }
        assert_eq!((node.position().await, node.find(shared).await.version), (81, 41));
    }

    async fn a_process_is_run_once_for_all_streams_that_it_prefetches(database) {
        let (node, other) = (database.open().await, database.open().await);
        let ids: Vec<_> = (0..20).map(|_| Uuid::now_v7()).collect();
        for id in &ids {
            node.admin(*id, registration(*id, None)).await.unwrap();
        }
        let runs = AtomicUsize::new(0);
        let context = context();
        let done = other.executor.execute_process(&context, |streams| {
            runs.fetch_add(1, Ordering::AcqRel);
            streams.prefetch(ids.iter().map(MissingStream::of::<Admin>))?;
            for id in &ids {
                streams.execute::<Admin>(id, rename("Augusta"))?;
            }
            Step::Ok(())
        });
        assert_eq!(done.await.unwrap().1.events.len(), 20);
        assert_eq!(runs.load(Ordering::Acquire), 2, "to find out what is needed, and to decide");
    }

    async fn a_process_that_takes_an_aggregate_for_new_finds_out_that_it_exists(database) {
        let node = database.open().await;
        let (one, new) = (Uuid::now_v7(), Uuid::now_v7());
        node.admin(one, registration(one, Some("one@example.com"))).await.unwrap();
        let (context, before) = (context(), node.position().await);
        let done = node.executor.execute_process(&context, |streams| {
            streams.execute::<Admin>(new, registration(new, None))?;
            streams.execute::<Admin>(one, registration(one, Some("one@example.com")))?;
            Step::Ok(())
        });
        let refused = done.await.unwrap_err();
        assert!(matches!(refused, ExecuteError::Refused(Refusal::Admin(AdminError::AlreadyRegistered))), "{refused:?}");
        assert_eq!(node.position().await, before);
    }

    async fn an_individual_recorded_by_concurrent_commands_is_recorded_once(database) {
        let (a, b) = (database.open().await, database.open().await);
        for _ in 0..3 {
            let before = a.position().await;
            let id = IndividualId(Uuid::now_v7());
            let stream = StreamId { aggregate_type: "individual", aggregate_id: id.to_string() };
            let event = IndividualEvent::Recorded { id, owner: Owner::Organization(OrganizationId(Uuid::now_v7())) };
            let record = |n: usize| {
                let node = if n.is_multiple_of(2) { &a } else { &b };
                node.append(vec![(stream.clone(), ExpectedVersion::Exact(0), vec![event.clone().into()])])
            };
            let answers = while_commits_wait(&a, join_all((0..4).map(record))).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                assert!(matches!(lost, JournalError::VersionConflict), "{lost:?}");
            }
            assert_eq!(a.position().await, before + 1);
        }
    }

    async fn one_of_concurrent_deletions_of_an_organization_is_carried_out(database) {
        let node = database.open().await;
        let id = register_organization(&node).await;
        let answers = while_commits_wait(&node, join_all((0..4).map(|_| delete_organization(&node, id, Some(1))))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(lost, ExecuteError::Journal(JournalError::VersionConflict)), "{lost:?}");
        }
        assert_eq!(node.position().await, 2);

        let id = register_organization(&node).await;
        let answers = while_commits_wait(&node, join_all((0..4).map(|_| delete_organization(&node, id, None)))).await;
        for answer in &answers {
            let refused = matches!(answer, Err(ExecuteError::Refused(_)));
            assert!(refused || answer.is_ok(), "{answer:?}");
        }
        assert_eq!(node.position().await, 4);
    }

    /// A change by one must not cause conflicts for the others, nor an invalid event for a loser.
    async fn conflicts_and_invalid_events_of_one_batch_are_told_apart(database) {
        let node = database.open().await;
        let id = register_organization(&node).await;
        let (answers, (misfit, good)) = while_commits_wait(&node, async {
            let deletions = join_all((0..3).map(|_| delete_organization(&node, id, Some(1))));
            let misfit = (admin_stream(Uuid::now_v7()), ExpectedVersion::Exact(0), vec![AdminEvent::Deactivated {}.into()]);
            let new = Uuid::now_v7();
            let others = async { futures::join!(node.append(vec![misfit]), node.admin(new, registration(new, None))) };
            futures::join!(deletions, others)
        }).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(matches!(misfit, Err(JournalError::NotFoldable(_))), "{misfit:?}");
        good.unwrap();
        assert_eq!(node.position().await, 3);
    }

    async fn one_of_concurrent_deletions_of_a_key_is_carried_out(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path(&format!("/keys/{}", cloud.developer.id));
        let before = cloud.head().await;
        let calls = join_all((0..4).map(|_| cloud.call(&cloud.admin, "DELETE", &path).send()));
        let mut statuses: Vec<u16> =
            while_commits_wait(cloud.node(), calls).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], statuses.iter().all(|status| [200, 404, 409].contains(status))), (200, true), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
        assert_eq!(cloud.head().await, before + 1);
    }

    async fn an_answer_counts_as_remembered_only_if_it_was_stored(database) {
        let node = database.open().await;
        let slot = |key: &str| AnswerSlot::new(key.into(), b"fingerprint".into(), Utc::now() + Duration::days(1));
        let (with, without, declined) = (slot("with"), slot("without"), slot("declined"));
        let answer = Answer { status: 201, headers: vec![], body: "{}".into() };
        let expected = answer.clone();
        with.answer_with(move |_| Some(answer.clone()));
        declined.answer_with(|_| None);
        let slots = [without, with, declined].map(Arc::new);
        let register = |slot: &Arc<AnswerSlot>| {
            let (node, context) = (&node, RequestContext { answer: Some(Arc::clone(slot)), ..context() });
            let id = Uuid::now_v7();
            async move { node.executor.execute::<Admin>(&context, &id.to_string(), registration(id, None), None).await }
        };
        // In one batch, with answers beside jobs without an answer.
        for done in while_commits_wait(&node, join_all(slots.iter().map(register))).await {
            done.unwrap();
        }
        assert_eq!(slots.each_ref().map(|slot| slot.is_remembered()), [false, true, false]);
        for (key, kept) in [("without", None), ("with", Some(expected)), ("declined", None)] {
            let found = node.remembered(key.as_bytes()).await.unwrap();
            assert_eq!(found.map(|(_, answer)| answer), kept);
        }
    }

    async fn an_event_that_would_be_too_large_is_refused_alone(database) {
        let node = database.open().await;
        let register = |policies: usize| {
            let id = Uuid::now_v7();
            let mut new = registered(id, None);
            new.policies = (0..policies).map(|n| format!("{n:064}")).collect();
            node.append(vec![
                (access_stream("r"), ExpectedVersion::Any, vec![trail_read("t")]),
                (admin_stream(id), ExpectedVersion::Exact(0), vec![AdminEvent::Registered(Box::new(new)).into()]),
            ])
        };
        let (small, large, below) =
            while_commits_wait(&node, async { futures::join!(register(1), register(4_000), register(3_800)) }).await;
        small.unwrap();
        below.unwrap();
        let Err(JournalError::EventTooLarge { event_type, bytes }) = large else { panic!("{large:?}") };
        assert!(event_type == "admin.registered" && bytes > PAYLOAD_BYTES_MAX, "{event_type} {bytes}");
        assert_eq!(node.position().await, 4);
        let told = ApiError::from(JournalError::EventTooLarge { event_type, bytes });
        assert_eq!((told.status().as_u16(), told.code()), (400, "too-large"));
        assert!(told.to_string().contains(&PAYLOAD_BYTES_MAX.to_string()));
    }
}
