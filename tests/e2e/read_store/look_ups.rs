//! Look-ups by key, many at once and given up.

use super::person;
use crate::on_both_stores;
use crate::support::*;
use futures::FutureExt;
use registrar_projections::document::HasCollection;
use registrar_projections::{AdminDocument, AuditEntry};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_both_stores! {
    async fn a_look_up_that_was_given_up_is_no_answer_to_the_next(database) {
        let node = database.open().await;
        let people = [person(&node, "Ada", "Same", "").await, person(&node, "Grace", "Same", "").await];
        let [given_up, asked] = people.map(|id| id.to_string());
        let generation = node.read_store.moment().await.unwrap().generation;
        for steps in (0..12).cycle().take(120) {
            {
                let wanted = [given_up.as_str()];
                let mut look_up = node.read_store.look_up(generation, AdminDocument::ID, "id", &wanted);
                for _ in 0..steps {
                    if futures::poll!(&mut look_up).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let found = node.read_store.look_up(generation, AdminDocument::ID, "id", &[&asked]).await.unwrap().unwrap();
            assert_eq!(found.found.keys().collect::<Vec<_>>(), [&asked]);
            assert_eq!(node.read_store.moment().await.unwrap(), found.moment);
        }
        node.close().await;
    }

    async fn concurrent_look_ups_each_get_their_own_document(database) {
        const PEOPLE: usize = 20;
        let node = database.open().await;
        let mut ids = Vec::new();
        for n in 0..PEOPLE {
            ids.push(person(&node, &format!("N{n}"), "Same", "").await.to_string());
        }
        let look_up = |n: usize| {
            let (node, id) = (Arc::clone(&node), ids[n % PEOPLE].clone());
            tokio::spawn(async move {
                match n % 10 {
                    // No document has such an id, and PostgreSQL has no such text.
                    7 => assert_eq!(node.documents.find::<AdminDocument>("\0").await.unwrap().value, None),
                    8 => assert_eq!(node.documents.find::<AdminDocument>(&format!("{id}x")).await.unwrap().value, None),
                    // An id of one collection is unknown in another.
                    9 => assert_eq!(node.documents.find::<AuditEntry>(&id).await.unwrap().value, None),
                    _ => {
                        let found = node.documents.find::<AdminDocument>(&id).await.unwrap();
                        assert_eq!((found.value.unwrap().id.to_string(), found.position), (id, PEOPLE as u64));
                    }
                }
            })
        };
        for round in futures::future::join_all((0..400).map(look_up)).await {
            round.unwrap();
        }
    }

    async fn a_caller_who_gives_up_a_look_up_does_not_cancel_it_for_others(database) {
        let node = database.open().await;
        let id = person(&node, "Ada", "Lovelace", "").await.to_string();
        for _ in 0..20 {
            let impatient = (0..20).map(|_| node.documents.find::<AdminDocument>(&id));
            // Each look-up is polled once, which starts the statement, and dropped, mostly before its answer.
            impatient.for_each(|find| drop(find.now_or_never()));
            assert!(node.documents.find::<AdminDocument>(&id).await.unwrap().value.is_some());
        }
    }

    async fn no_look_up_is_answered_with_an_earlier_state(database) {
        let node = database.open().await;
        let id = person(&node, "Ada", "Lovelace", "").await;
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (node, done) = (Arc::clone(&node), Arc::clone(&done));
                tokio::spawn(async move {
                    while !done.load(Ordering::Acquire) {
                        node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
                    }
                })
            })
            .collect();
        for n in 0..100 {
            let written = node.admin(id, rename(&format!("Ada{n}"))).await.unwrap().position;
            let read = node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
            assert!(read.position >= written);
            assert_eq!(read.value.unwrap().person.first_name, format!("Ada{n}"));
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.await.unwrap();
        }
    }
}
