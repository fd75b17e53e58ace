//! Appends: expected versions, several writers, several streams.

use crate::on_both_stores;
use crate::support::*;
use futures::FutureExt;
use futures::future::join_all;
use registrar::committer::ExpectedVersion;
use registrar::executor::ExecuteError;
use registrar::journal::{Committed, FailedConditions, JournalError};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::admin::{AdminCommand, AdminError, AdminEvent, Granter};
use uuid::Uuid;

on_both_stores! {
    async fn an_append_that_expects_another_version_is_refused(database) {
        let node = database.open().await;
        for wrong in [1, 2, 100] {
            let appended = node.append(vec![(access_stream("r"), ExpectedVersion::Exact(wrong), vec![trail_read("t")])]);
            assert!(matches!(appended.await, Err(JournalError::VersionConflict)), "{wrong}");
        }
        assert_eq!(node.position().await, 0);
    }

    async fn a_stream_that_exists_is_not_begun_again(database) {
        let node = database.open().await;
        let append = || node.append(vec![(access_stream("r"), ExpectedVersion::Exact(0), vec![trail_read("t")])]);
        append().await.unwrap();
        assert!(matches!(append().await, Err(JournalError::VersionConflict)));
        assert_eq!(node.position().await, 1);
    }

    async fn a_version_that_the_client_expects_is_not_tried_again(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        node.admin(id, rename("Augusta")).await.unwrap();
        let execute = |expected| node.own(id, rename("Grace"), Some(expected));
        for wrong in [0, 1, 3] {
            assert!(matches!(execute(wrong).await, Err(ExecuteError::Journal(JournalError::VersionConflict))), "{wrong}");
        }
        assert_eq!(execute(2).await.unwrap().events[0].sequence, 3);
    }

    async fn one_of_two_clients_that_expect_one_version_wins(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let tries = ["Grace", "Augusta", "Mary"].map(|name| {
            let node = &node;
            async move { node.own(id, rename(name), Some(1)).await }
        });
        let answers = while_commits_wait(&node, join_all(tries)).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(refused, ExecuteError::Journal(JournalError::VersionConflict)), "{refused:?}");
        }
        assert_eq!(node.position().await, 2);
    }

    async fn an_expected_version_counts_even_where_nothing_would_change(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let activate = |expected| node.own(id, AdminCommand::Activate(Granter::System), Some(expected));
        assert!(matches!(activate(7).await, Err(ExecuteError::Journal(JournalError::VersionConflict))));
        assert!(activate(1).await.unwrap().events.is_empty());
    }

    async fn many_writers_of_one_stream_who_expect_nothing_all_succeed(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let names: Vec<String> = (0..40).map(|n| format!("Ada {n}")).collect();
        let answers = while_commits_wait(&node, join_all(names.iter().map(|name| node.admin(id, rename(name))))).await;
        for answer in answers {
            answer.unwrap();
        }
        let events = node.all_events().await;
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=41).collect::<Vec<u64>>());
        assert_eq!(node.find(id).await.version, 41);
    }

    async fn two_nodes_that_write_one_stream_and_expect_nothing_both_succeed(database) {
        let (a, b) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        a.admin(id, registration(id, None)).await.unwrap();
        for round in 0..5 {
            let (first, second) = (rename(&format!("Ada {round}")), rename(&format!("Grace {round}")));
            let (one, two) = tokio::join!(a.admin(id, first), b.admin(id, second));
            let mut positions = [one.unwrap().events[0].position, two.unwrap().events[0].position];
            positions.sort_unstable();
            assert_eq!(positions, [2 + round * 2, 3 + round * 2]);
        }
    }

    async fn one_of_two_registrations_under_one_identifier_wins(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let tries = (0..5).map(|_| node.admin(id, registration(id, None)));
        let answers = while_commits_wait(&node, join_all(tries)).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, ExecuteError::Refused(AdminError::AlreadyRegistered)), "{refused:?}");
        }
    }

    async fn an_append_to_several_streams_is_stored_whole(database) {
        let node = database.open().await;
        let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
        let registered = |id| (admin_stream(id), ExpectedVersion::Exact(0), vec![admin_registered(id, None), AdminEvent::Deactivated {}.into()]);
        let access = (access_stream("r"), ExpectedVersion::Any, vec![trail_read("t")]);
        let outcome = node.append(vec![registered(id), registered(other), access]).await.unwrap();
        assert_eq!(outcome.events.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let stored = node.all_events().await;
        let places: Vec<(&str, u64)> = stored.iter().map(|event| (event.aggregate_id.as_str(), event.sequence)).collect();
        let (one, two) = (id.to_string(), other.to_string());
        assert_eq!(places, [(&*one, 1), (&*one, 2), (&*two, 1), (&*two, 2), ("r", 1)]);
        for id in [id, other] {
            assert!(!node.find(id).await.active);
        }
    }

    async fn an_append_to_several_streams_is_refused_whole(database) {
        let node = database.open().await;
        let taken = Uuid::now_v7();
        node.admin(taken, registration(taken, Some("ada@example.org"))).await.unwrap();
        let fresh = || (access_stream("r"), ExpectedVersion::Exact(0), vec![trail_read("t")]);
        let with = |stream, expected, event: DomainEvent| node.append(vec![fresh(), (stream, expected, vec![event])]);
        let exact = ExpectedVersion::Exact;
        let conflict = with(admin_stream(taken), exact(0), AdminEvent::Deactivated {}.into()).await;
        assert!(matches!(conflict, Err(JournalError::VersionConflict)), "{conflict:?}");
        let id = Uuid::now_v7();
        let claimed = with(admin_stream(id), exact(0), admin_registered(id, Some("ADA@example.org"))).await;
        assert!(matches!(claimed, Err(JournalError::ClaimTaken { .. })), "{claimed:?}");
        // An event of an admin who was never registered has no document to change.
        let misfit = with(admin_stream(Uuid::now_v7()), ExpectedVersion::Any, AdminEvent::Activated {}.into()).await;
        assert!(matches!(misfit, Err(JournalError::NotFoldable(_))), "{misfit:?}");
        assert_eq!(node.position().await, 1);
        assert_eq!(node.append(vec![fresh()]).await.unwrap().position, 2);
    }

    async fn a_batch_for_another_head_writes_nothing(database) {
        let node = database.open().await;
        let stream = access_stream("r");
        let mut writer = node.journal.writer().await.unwrap();
        let empty = node.journal.head().await.unwrap();
        assert_eq!(writer.commit(&batch(&empty, &[(&stream, 1)])).await.unwrap(), Committed::Yes);
        let late = batch(&empty, &[(&access_stream("late"), 1)]);
        assert_eq!(writer.commit(&late).await.unwrap(), Committed::HeadMoved);
        let mut early = batch(&node.journal.head().await.unwrap(), &[(&stream, 2)]);
        early.expected_head += 1;
        assert_eq!(writer.commit(&early).await.unwrap(), Committed::HeadMoved);
        assert_eq!(node.position().await, 1);
    }

    async fn a_batch_names_every_stream_at_another_version(database) {
        let node = database.open().await;
        let (a, b, c) = (access_stream("a"), access_stream("b"), access_stream("c"));
        let mut writer = node.journal.writer().await.unwrap();
        let head = node.journal.head().await.unwrap();
        let lost = writer.commit(&batch(&head, &[(&a, 2), (&b, 1), (&c, 3)])).await.unwrap();
        assert_eq!(lost, Committed::Lost(FailedConditions { streams: vec![0, 2], ..FailedConditions::default() }));
        assert_eq!(node.position().await, 0);
        assert_eq!(writer.commit(&batch(&head, &[(&a, 1), (&b, 1), (&a, 2)])).await.unwrap(), Committed::Yes);
        assert_eq!(writer.versions(&[a, b, c]).await.unwrap(), [2, 1, 0]);
    }

    async fn the_writer_that_holds_the_head_cannot_lose_it(database) {
        let node = database.open().await;
        let mut writer = node.journal.writer().await.unwrap();
        let head = writer.lock().await.unwrap();
        let id = Uuid::now_v7();
        let mut waiting = std::pin::pin!(node.admin(id, registration(id, None)));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(writer.commit(&batch(&head, &[(&access_stream("first"), 1)])).await.unwrap(), Committed::Yes);
        assert_eq!(waiting.await.unwrap().events[0].position, 2);
    }

    async fn an_open_append_finds_the_version_that_an_exact_one_left(database) {
        let node = database.open().await;
        let append = |expected| node.append(vec![(access_stream("r"), expected, vec![trail_read("t")])]);
        for (expected, sequence) in [(ExpectedVersion::Any, 1), (ExpectedVersion::Exact(1), 2), (ExpectedVersion::Any, 3), (ExpectedVersion::Exact(3), 4)] {
            assert_eq!(append(expected).await.unwrap().events[0].sequence, sequence);
        }
    }

    async fn open_appends_to_one_stream_share_a_batch(database) {
        let node = database.open().await;
        let appends = (0..30).map(|n| node.append(vec![(access_stream("r"), ExpectedVersion::Any, vec![trail_read(&n.to_string())])]));
        let answers = while_commits_wait(&node, join_all(appends)).await;
        let mut sequences: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().events[0].sequence).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=30).collect::<Vec<u64>>());
        assert_eq!(node.position().await, 30);
    }
}
