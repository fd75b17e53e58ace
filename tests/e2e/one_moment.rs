//! A request reads a consistent snapshot, whatever is written meanwhile.

use crate::ecg_app::{ADMINS, App};
use crate::on_both_stores;
use crate::support::*;
use registrar::api::ApiSettings;
use registrar::auth::permissions::ADMINISTRATOR;
use registrar::committer::ExpectedVersion;
use registrar::node::Node;
use registrar_aggregates::DomainEvent;
use registrar_aggregates::admin::{AdminEvent, Person};
use registrar_projections::AdminDocument;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

fn named(name: &str) -> DomainEvent {
    let person = registered(Uuid::nil(), None).person;
    AdminEvent::PersonAmended { person: Person { last_name: name.into(), ..person } }.into()
}

fn holding(policies: &[&str]) -> DomainEvent {
    let policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
    AdminEvent::GrantsAmended { policies, custom_permissions: vec![] }.into()
}

/// Commits an event of each of two admins in one append.
async fn commit_both(node: &Node, events: [(Uuid, DomainEvent); 2]) {
    let streams = events.map(|(id, event)| (admin_stream(id), ExpectedVersion::Any, vec![event]));
    node.append(streams.into()).await.unwrap();
}

/// A background task that writes until dropped.
struct BackgroundWriter(Arc<AtomicBool>, Option<tokio::task::JoinHandle<()>>);

impl BackgroundWriter {
    fn begin(node: &Arc<Node>, events: impl Fn(u32) -> [(Uuid, DomainEvent); 2] + Send + 'static) -> Self {
        let (node, done) = (Arc::clone(node), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&done);
        let writing = tokio::spawn(async move {
            for n in 0.. {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                commit_both(&node, events(n)).await;
            }
        });
        BackgroundWriter(done, Some(writing))
    }

    async fn end(mut self) {
        self.0.store(true, Ordering::Release);
        if let Some(writing) = self.1.take() {
            writing.await.unwrap();
        }
    }
}

on_both_stores! {
    async fn a_pair_of_look_ups_that_settles_is_of_one_moment(database) {
        let (node, other) = (database.open().await, database.open().await);
        let [a, b] = [Uuid::now_v7(), Uuid::now_v7()];
        for id in [a, b] {
            node.admin(id, registration(id, None)).await.unwrap();
        }
        // Commits of this node update its cache; those of the other node are detected by a look-up.
        for writer in [&node, &other] {
            let writing = BackgroundWriter::begin(writer, move |n| [(a, named(&n.to_string())), (b, named(&n.to_string()))]);
            let (begun, mut settled, mut mixed) = (Instant::now(), 0, 0);
            while settled < 50 || mixed < 10 {
                assert!(begun.elapsed() < PATIENCE, "{settled} settled, {mixed} mixed");
                let documents = node.documents.of_now();
                let one = documents.find::<AdminDocument>(&a.to_string()).await.unwrap();
                if mixed < 10 {
                    // Another commit follows.
                    node.wait_for(one.position + 1, PATIENCE).await.unwrap();
                }
                let two = documents.find::<AdminDocument>(&b.to_string()).await.unwrap();
                let same = one.value.unwrap().person.last_name == two.value.unwrap().person.last_name;
                mixed += u32::from(!same);
                if documents.settle().await.unwrap() {
                    assert!(same, "two moments were taken for one");
                    settled += 1;
                }
            }
            writing.end().await;
        }
    }

    async fn a_reader_who_lost_the_right_sees_no_later_change(database) {
        let app = App::over(database.open().await, ApiSettings::default()).await;
        let (node, other) = (Arc::clone(&app.state.node), database.open().await);
        let target = app.register(vec![]).await;
        let path = format!("{ADMINS}/{}", node.find(target).await.person_id);
        let caller: Uuid = app.caller.parse().unwrap();
        // The permitted view before the first write.
        commit_both(&node, [(caller, holding(&[ADMINISTRATOR.id])), (target, named("Public"))]).await;
        for writer in [&node, &other] {
            let writing = BackgroundWriter::begin(writer, move |n| match n % 2 {
                0 => [(caller, holding(&[])), (target, named("Secret"))],
                _ => [(caller, holding(&[ADMINISTRATOR.id])), (target, named("Public"))],
            });
            let (begun, mut shown, mut refused) = (Instant::now(), 0, 0);
            while shown < 40 || refused < 40 {
                assert!(begun.elapsed() < PATIENCE, "{shown} shown, {refused} refused");
                let answer = app.get(&path).await;
                match answer.status.as_u16() {
                    200 => {
                        assert_eq!(answer.json()["person"]["lastName"], "Public");
                        shown += 1;
                    }
                    403 => refused += 1,
                    // Overtaken by writes on every retry.
                    503 => {}
                    _ => panic!("{answer:?}"),
                }
            }
            writing.end().await;
        }
    }

    async fn a_write_amid_changes_is_stored_once(database) {
        let app = App::over(database.open().await, ApiSettings::default()).await;
        let node = Arc::clone(&app.state.node);
        let [target, beside] = [app.register(vec![]).await, app.register(vec![]).await];
        let path = format!("{ADMINS}/{}", node.find(target).await.person_id);
        let caller: Uuid = app.caller.parse().unwrap();
        let before = node.find(target).await.version;
        let writing = BackgroundWriter::begin(&node, move |n| match n % 2 {
            0 => [(caller, holding(&[])), (beside, named("0"))],
            _ => [(caller, holding(&[ADMINISTRATOR.id])), (beside, named("1"))],
        });
        let (begun, mut stored, mut refused) = (Instant::now(), 0, 0);
        while stored < 20 || refused < 20 {
            assert!(begun.elapsed() < PATIENCE, "{stored} stored, {refused} refused");
            let steps = json!([{"op": "replace", "path": "/person/lastName", "value": format!("Name {stored}")}]);
            let answer = app.call("PATCH", &path).json(&steps).send().await;
            match answer.status.as_u16() {
                200 => {
                    stored += 1;
                    // The caller's own change is visible at once.
                    let seen = node.documents.of_now().find::<AdminDocument>(&target.to_string()).await.unwrap();
                    let seen = seen.value.unwrap();
                    assert_eq!(seen.version, before + stored, "{answer:?}");
                    assert_eq!(json!(seen.person.last_name), answer.json()["person"]["lastName"]);
                }
                403 => refused += 1,
                503 => {}
                _ => panic!("{answer:?}"),
            }
        }
        writing.end().await;
        assert_eq!(node.find(target).await.version, before + stored, "each that was answered, and no other");
    }
}
