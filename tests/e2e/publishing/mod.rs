//! Guarantees of the stream: every position once, in order, whatever fails on the way, and without personal data.

use crate::on_both_stores;
use crate::python;
use crate::support::*;
use futures::future::join_all;
use harness::{NatsServer, Publisher, commit, eventually, position};
use registrar::committer::ExpectedVersion;
use registrar::node::Node;
use registrar::publisher::{NatsSettings, STREAM};
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, PersonText};
use registrar_aggregates::key_ring::{KEY_RING_ID, KeyRingEvent, SigningKey};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

pub mod harness;

async fn opened() -> (Database, Arc<Node>) {
    let database = Database::sqlite();
    let node = database.open().await;
    (database, node)
}

async fn register(node: &Node, id: Uuid) {
    let command = registration(id, Some(&format!("{id}@secret.example")));
    node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_published_as_a_cloud_event_under_its_own_subject() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    let id = Uuid::now_v7();
    register(&node, id).await;
    publisher.reached(1).await;
    let message = nats.messages().await.remove(0);
    assert_eq!(message.subject.as_str(), format!("registrar.events.admin.{id}.registered"));
    assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), "1");
    assert_eq!(message.headers.get("Content-Type").unwrap().as_str(), "application/cloudevents+json");
    let event: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!((&event["id"], &event["type"]), (&json!("1"), &json!("registrar.admin.registered")));
    assert_eq!((&event["actor"], &event["data"]["id"]), (&json!("system"), &json!(id)));
    let report = publisher.status.report();
    assert!(report.connected && report.configured && report.error.is_none() && report.lag == 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_stopped_anywhere_is_followed_by_one_that_goes_on_there() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let head = commit(&node, 4_000).await;
    for stop_at in [1, 700, 1_500, 1_501] {
        let publisher = Publisher::start(&node, nats.settings());
        publisher.reached(stop_at).await;
        publisher.stop().await;
    }
    let publisher = Publisher::start(&node, nats.settings());
    publisher.reached(head).await;
    nats.assert_holds_every_position(head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_broker_finds_too_large_waits_until_it_takes_more() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    let head = commit(&node, 3).await;
    publisher.reached(head).await;
    nats.limit(4_096).await;
    let large = vec![trail_read(&"t".repeat(8_192))];
    node.append(vec![(access_stream("large"), ExpectedVersion::Any, large)]).await.unwrap();
    let head = commit(&node, 2).await;
    let told = eventually(async || {
        publisher
            .status
            .report()
            .error
            .is_some_and(|error| error.contains("max_payload") && error.contains("position 4"))
    });
    assert!(told.await, "{:?}", publisher.status.report());
    assert_eq!(publisher.status.report().lag, head - 3);
    nats.limit(65_536).await;
    publisher.reached(head).await;
    nats.assert_holds_every_position(head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_publishers_at_once_publish_every_event_once() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publishers = [(); 2].map(|()| Publisher::start(&node, nats.settings()));
    let mut head = 0;
    for count in [1_500, 1, 1, 600, 1] {
        head = commit(&node, count).await;
        join_all(publishers.iter().map(|publisher| publisher.reached(head / 2))).await;
    }
    join_all(publishers.iter().map(|publisher| publisher.reached(head))).await;
    nats.assert_holds_every_position(head).await;
}

on_both_stores! {
    async fn one_of_two_nodes_publishes_and_the_other_takes_over(database) {
        let nats = NatsServer::start();
        let (one, other) = (database.open().await, database.open().await);
        let first = Publisher::of_node(&one, nats.settings());
        first.reached(commit(&other, 10).await).await;
        let second = Publisher::of_node(&other, nats.settings());
        let head = commit(&other, 10).await;
        // The standby publisher reports the position of the stream as well.
        join_all([&first, &second].map(|publisher| publisher.reached(head))).await;
        first.stop().await;
        let head = commit(&one, 10).await;
        second.reached(head).await;
        nats.assert_holds_every_position(head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_go_on_without_nats_and_are_published_when_it_comes() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    nats.kill();
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.failed("connecting to NATS").await;
    let head = commit(&node, 300).await;
    let report = publisher.status.report();
    assert!(!report.connected && report.position == 0, "{report:?}");
    nats.start_again();
    publisher.reached(head).await;
    nats.assert_holds_every_position(head).await;
    assert_eq!(publisher.status.report().error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_tail_is_filled_again() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    let head = commit(&node, 20).await;
    publisher.reached(head).await;
    publisher.stop().await;
    let stream = nats.stream().await;
    for sequence in 15..=20 {
        stream.delete_message(sequence).await.unwrap();
    }
    let publisher = Publisher::of_node(&node, nats.settings());
    let refilled = || async { nats.messages().await.len() == 20 };
    assert!(eventually(refilled).await);
    nats.assert_holds_every_position(head).await;
    // The stream sequence is ahead of the position from now on, which must make no difference.
    let head = commit(&node, 5).await;
    publisher.reached(head).await;
    nats.assert_holds_every_position(head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_publisher_notices_that_the_stream_was_purged_or_removed() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    let head = commit(&node, 20).await;
    publisher.reached(head).await;
    let refilled =
        || async { nats.jetstream().await.get_stream(STREAM).await.is_ok() && nats.messages().await.len() == 20 };
    nats.stream().await.purge().await.unwrap();
    assert!(eventually(refilled).await, "{:?}", publisher.status.report());
    nats.assert_holds_every_position(head).await;
    nats.jetstream().await.delete_stream(STREAM).await.unwrap();
    assert!(eventually(refilled).await, "{:?}", publisher.status.report());
    nats.assert_holds_every_position(head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_noticed_while_events_come() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 20).await).await;
    nats.stream().await.purge().await.unwrap();
    // The publisher is never idle long enough for a periodic check.
    let begun = std::time::Instant::now();
    let mut head = commit(&node, 1).await;
    publisher.reached(head).await;
    let refilled = || async { nats.messages().await.first().map(position) == Some(1) };
    while !refilled().await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", publisher.status.report());
        head = commit(&node, 1).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    publisher.reached(head).await;
    let all = || async { nats.messages().await.len() as u64 == head };
    assert!(eventually(all).await, "{:?}", publisher.status.report());
    nats.assert_holds_every_position(head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_messages_are_not_published_again() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let context = nats.jetstream().await;
    let mut stream = context.create_stream(stream_with(&["registrar.events.>"])).await.unwrap();
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 20).await).await;
    publisher.stop().await;
    let emptied = || async { nats.stream().await.cached_info().state.messages == 0 };
    assert!(eventually(emptied).await);
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 2).await).await;
    assert_eq!(stream.info().await.unwrap().state.last_sequence, 22);
}

/// A stream as an operator might create it; messages expire after a second.
fn stream_with(subjects: &[&str]) -> async_nats::jetstream::stream::Config {
    async_nats::jetstream::stream::Config {
        name: STREAM.into(),
        subjects: subjects.iter().map(|&subject| subject.into()).collect(),
        max_age: std::time::Duration::from_secs(1),
        duplicate_window: std::time::Duration::from_millis(500),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_does_not_stop_the_publisher() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 3).await).await;
    nats.jetstream().await.publish("registrar.events.intruder", "hello".into()).await.unwrap().await.unwrap();
    let head = commit(&node, 3).await;
    publisher.reached(head).await;
    let all = nats.messages().await;
    let ours: Vec<u64> =
        all.iter().filter(|message| message.subject.as_str() != "registrar.events.intruder").map(position).collect();
    assert_eq!((all.len(), ours), (7, (1..=head).collect()));
}

/// Foreign messages are recognised whatever their number or name, also in a stream that was used before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_others_leave_no_event_unpublished() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let jetstream = nats.jetstream().await;
    jetstream.create_stream(stream_with(&["registrar.events.>"])).await.unwrap();
    for number in 1..=12_u64 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", number.to_string().as_str());
        let sent = jetstream.publish_with_headers("registrar.events.stray", headers, "hello".into());
        sent.await.unwrap().await.unwrap();
    }
    let head = commit(&node, 5).await;
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(head).await;
    publisher.stop().await;
    let stream = nats.stream().await;
    assert_eq!(stream.cached_info().state.last_sequence, 12 + head);

    // The foreign messages have expired, and no event of this journal was published yet.
    let (_other_database, other) = opened().await;
    let emptied = || async { nats.stream().await.cached_info().state.messages == 0 };
    assert!(eventually(emptied).await);
    let other_head = commit(&other, 3).await;
    let publisher = Publisher::of_node(&other, nats.settings());
    publisher.reached(other_head).await;
    assert_eq!(nats.stream().await.cached_info().state.last_sequence, 12 + head + other_head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_another_journal_is_left_alone() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 10).await).await;
    publisher.stop().await;

    let (_older_database, older) = opened().await;
    commit(&older, 5).await;
    let publisher = Publisher::of_node(&older, nats.settings());
    publisher.failed("restored from an older backup").await;
    commit(&older, 10).await;
    publisher.failed("it belongs to another journal").await;
    nats.assert_holds_every_position(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_hold_the_events_is_refused_and_used_once_it_can() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let context = nats.jetstream().await;
    context.create_stream(stream_with(&["registrar.events.admin.>"])).await.unwrap();
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.failed("its subjects do not cover registrar.events.>").await;
    context.update_stream(stream_with(&["registrar.>"])).await.unwrap();
    publisher.reached(commit(&node, 3).await).await;
    assert_eq!(nats.stream().await.cached_info().config.max_age.as_secs(), 1, "the operator's setting stays");
}

/// Every personal value and secret in the journal of [`personal_events`].
const PERSONAL: [&str; 6] = ["Ada", "Lovelace", "ada@example.org", "Augusta", "secret.example", "Registrar Operator"];
const SECRET: [&str; 2] = ["$argon2id$", "private-key-bytes"];

async fn personal_events(node: &Node) -> u64 {
    let id = Uuid::now_v7();
    register(node, id).await;
    let mut by_herself = context();
    by_herself.metadata.actor.kind = registrar_aggregates::ActorType::User;
    by_herself.metadata.actor.id = id.to_string();
    by_herself.metadata.actor.name = Some("Registrar Operator".into());
    by_herself.metadata.ip_address = Some("192.0.2.77".into());
    let rename = AdminCommand::Amend(
        vec![AdminChange::PersonText(PersonText::FirstName, Some("Augusta".into()))],
        Granter::System,
    );
    node.executor.execute::<Admin>(&by_herself, &id.to_string(), rename, None).await.unwrap();
    let key = SigningKey {
        key_id: "k1".into(),
        public_key: "public".into(),
        private_key: "private-key-bytes".into(),
        verifies_until: None,
    };
    node.executor.record(&context(), KEY_RING_ID, vec![KeyRingEvent::KeyAdded { key }]).await.unwrap().position
}

async fn published(publish_personal: bool) -> String {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    let head = personal_events(&node).await;
    let settings = NatsSettings::parse(&nats.url, publish_personal).unwrap();
    let publisher = Publisher::of_node(&node, settings);
    publisher.reached(head).await;
    nats.messages()
        .await
        .iter()
        .map(|message| format!("{message:?}\n{}\n", String::from_utf8_lossy(&message.payload)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_tells_anything_of_a_person_or_a_secret() {
    let everything = published(false).await;
    for told in PERSONAL.iter().chain(&SECRET).chain(&["192.0.2.77", "\"sealed\""]) {
        assert!(!everything.contains(told), "{told} in {everything}");
    }
    assert!(everything.contains("[redacted]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_values_are_published_where_the_configuration_says_so_and_secrets_never() {
    let everything = published(true).await;
    for told in ["Ada", "Lovelace", "Augusta", "secret.example", "***"] {
        assert!(everything.contains(told), "{told} not in {everything}");
    }
    for told in SECRET.iter().chain(&["Registrar Operator", "192.0.2.77", "\"sealed\""]) {
        assert!(!everything.contains(told), "{told} in {everything}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_reads_the_stream_as_the_asyncapi_document_describes_it() {
    let (nats, (_database, node)) = (NatsServer::start(), opened().await);
    personal_events(&node).await;
    let head = commit(&node, 1).await;
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(head).await;
    let mut client = python::script("publishing/stock_client.py");
    client.arg(&nats.url).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asyncapi.json"));
    let read = python::run_aside(client, String::new()).await;
    let positions: Vec<String> =
        read.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(positions, (1..=head).map(|position| format!("{position} {position}")).collect::<Vec<_>>());
    assert!(read.lines().all(|line| line.contains(" registrar.events.")), "{read}");
}
