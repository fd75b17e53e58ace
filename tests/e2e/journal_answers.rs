//! Answers of idempotent requests: stored with their events or not at all.

use crate::on_both_stores;
use crate::support::*;
use chrono::{DateTime, Duration, Utc};
use futures::future::join_all;
use registrar::committer::ExpectedVersion;
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::executor::{ExecuteError, Outcome, RequestContext};
use registrar::journal::{JournalError, JournalResult};
use registrar::node::Node;
use registrar_aggregates::admin::{Admin, AdminError};
use std::sync::Arc;
use uuid::Uuid;

fn slot(key: &str, expires_at: DateTime<Utc>) -> Arc<AnswerSlot> {
    let slot = AnswerSlot::new(key.into(), b"fingerprint".into(), expires_at);
    slot.answer_with(|outcome| Some(answer(&format!("at {}", outcome.position))));
    Arc::new(slot)
}

fn answer(body: &str) -> Answer {
    Answer { status: 201, headers: vec![("location".into(), "/there".into())], body: body.into() }
}

fn tomorrow() -> DateTime<Utc> {
    Utc::now() + Duration::days(1)
}

async fn register(node: &Node, slot: &Arc<AnswerSlot>) -> Result<Outcome, ExecuteError<AdminError>> {
    let id = Uuid::now_v7();
    let context = RequestContext { answer: Some(Arc::clone(slot)), ..context() };
    node.executor.execute::<Admin>(&context, &id.to_string(), registration(id, None), None).await
}

async fn remembered(node: &Node, key: &str) -> Option<(Vec<u8>, Answer)> {
    node.remembered(key.as_bytes()).await.unwrap()
}

on_both_stores! {
    async fn an_answer_is_remembered_with_its_events(database) {
        let node = database.open().await;
        assert_eq!(remembered(&node, "k").await, None);
        let slot = slot("k", tomorrow());
        register(&node, &slot).await.unwrap();
        assert!(slot.is_remembered());
        let expected = Some((b"fingerprint".to_vec(), answer("at 1")));
        assert_eq!(remembered(&node, "k").await, expected);
        assert_eq!(remembered(&*database.open().await, "k").await, expected);
    }

    async fn a_second_request_with_the_key_stores_nothing(database) {
        let node = database.open().await;
        register(&node, &slot("k", tomorrow())).await.unwrap();
        for node in [&node, &database.open().await] {
            let again = slot("k", tomorrow());
            let refused = register(node, &again).await;
            assert!(matches!(refused, Err(ExecuteError::Journal(JournalError::AlreadyAnswered))), "{refused:?}");
            assert!(!again.is_remembered());
        }
        assert_eq!(node.position().await, 1);
        assert_eq!(remembered(&node, "k").await.unwrap().1, answer("at 1"));
    }

    async fn one_of_two_requests_with_one_key_in_a_batch_wins(database) {
        let node = database.open().await;
        let slots: Vec<_> = (0..5).map(|_| slot("k", tomorrow())).collect();
        let other = slot("other", tomorrow());
        let (answers, beside) = while_commits_wait(&node, async {
            futures::join!(join_all(slots.iter().map(|slot| register(&node, slot))), register(&node, &other))
        }).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, ExecuteError::Journal(JournalError::AlreadyAnswered)), "{refused:?}");
        }
        beside.unwrap();
        assert_eq!(node.position().await, 2);
        assert_eq!(slots.iter().filter(|slot| slot.is_remembered()).count(), 1);
    }

    async fn one_of_two_requests_with_one_key_on_two_nodes_wins(database) {
        let (a, b) = (database.open().await, database.open().await);
        for round in 0..5 {
            let key = format!("k{round}");
            let (one, two) = (slot(&key, tomorrow()), slot(&key, tomorrow()));
            let (one, two) = tokio::join!(register(&a, &one), register(&b, &two));
            assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
            assert_eq!(a.position().await, round + 1);
        }
    }

    /// The repeated job also has a taken e-mail and an outdated stream version, both because of the first.
    async fn a_request_that_comes_twice_is_told_so_and_nothing_else(database) {
        let (a, b) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        let register = async |node: &Node| {
            let context = RequestContext { answer: Some(slot("k", tomorrow())), ..context() };
            let append = (admin_stream(id), ExpectedVersion::Exact(0), vec![admin_registered(id, Some("ada@example.org"))]);
            node.executor.append(&context, vec![append]).await
        };
        register(&a).await.unwrap();
        for node in [a, b] {
            let again = register(&node).await;
            assert!(matches!(again, Err(JournalError::AlreadyAnswered)), "{again:?}");
        }
    }

    async fn an_expired_key_can_be_used_again(database) {
        let node = database.open().await;
        let expired = slot("k", Utc::now() - Duration::seconds(1));
        register(&node, &expired).await.unwrap();
        assert_eq!(remembered(&node, "k").await, None);
        register(&node, &slot("k", tomorrow())).await.unwrap();
        assert_eq!(remembered(&node, "k").await.unwrap().1, answer("at 2"));
    }

    async fn expired_answers_are_forgotten_and_others_kept(database) {
        let node = database.open().await;
        register(&node, &slot("later", tomorrow())).await.unwrap();
        assert_eq!(node.journal.forget_answers().await.unwrap(), 0);
        register(&node, &slot("soon", Utc::now() - Duration::milliseconds(1))).await.unwrap();
        assert_eq!(node.journal.forget_answers().await.unwrap(), 1);
        assert_eq!(remembered(&node, "soon").await, None);
        assert!(remembered(&node, "later").await.is_some());
    }

    async fn a_refused_command_remembers_nothing(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        let slot = slot("k", tomorrow());
        let context = RequestContext { answer: Some(Arc::clone(&slot)), ..context() };
        let other = Uuid::now_v7();
        let refused = node.executor.execute::<Admin>(&context, &other.to_string(), registration(other, Some("ada@example.org")), None).await;
        assert!(refused.is_err());
        assert!(!slot.is_remembered());
        assert_eq!(remembered(&node, "k").await, None);
    }

    async fn an_answer_without_events_is_remembered_alone(database) {
        let node = database.open().await;
        let remember = |text: &'static str| {
            let node = &node;
            async move { node.remember_answer(&slot("k", tomorrow()), &answer(text)).await }
        };
        remember("first").await.unwrap();
        let second: JournalResult<()> = remember("second").await;
        assert!(matches!(second, Err(JournalError::AlreadyAnswered)), "{second:?}");
        assert_eq!(remembered(&node, "k").await.unwrap().1, answer("first"));
        assert_eq!(node.position().await, 0);
    }

    async fn an_answer_is_kept_sealed_and_bound_to_its_key(database) {
        let node = database.open().await;
        register(&node, &slot("k", tomorrow())).await.unwrap();
        let mut sql = database.sql().await;
        for row in sql.rows("idempotency_keys").await {
            assert!(!row.contains(&hex(b"/there")) && !row.contains("/there"), "{row}");
        }
        let other = if database.settings.database_url.is_some() { "'other'::bytea" } else { "CAST('other' AS BLOB)" };
        sql.run(&format!("UPDATE idempotency_keys SET key = {other}")).await.unwrap();
        assert!(matches!(node.remembered(b"other").await, Err(JournalError::Corrupt(_))));
    }
}
