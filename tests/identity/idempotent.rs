//! `Idempotency-Key` on every write of every dialect: a repeated request gets the first answer and changes nothing,
//! even if the first answer never reached the caller. The requests are those of the matrix.

use crate::matrix::operations::{self, Operation};
use crate::matrix::table::{self, Line};
use crate::matrix::world::{Request, Response, World};
use crate::matrix::{request, world};
use crate::on_both_stores;
use axum::Router;
use futures::poll;
use registrar::node::Node;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use uuid::Uuid;

/// Candidate senders of a write; the first permitted one is used.
const SENDERS: [&str; 8] =
    ["anonymous", "system", "admin", "key-admin", "service", "leader", "participant", "stranger"];
/// Writes that end their own session: the repeated request is unauthenticated.
const LAST_OF_ITS_SESSION: [&str; 2] = ["logout", "remove-organization-user:oneself"];

/// Writes of senders who sign them and have no account. A report is stored once by its content; see `email_logs`.
const SIGNED: [&str; 2] = ["receiveSesReport", "receiveTextStatus"];

/// A write with a permitted sender and their authorization.
struct Write {
    variant: String,
    operation: Operation,
    sender: &'static str,
}

impl Write {
    /// Every request of the matrix that changes state or could, sent by a permitted caller.
    fn all() -> Vec<Write> {
        let operations = operations::all();
        let write = |line: Line| {
            let operation = operations.iter().find(|operation| operation.name == line.operation())?.clone();
            // A write about one person is sent by that person, even if others are permitted.
            let owned = ["enable-totp-configuration", "change-user-password:oneself"].contains(&line.variant.as_str());
            let allowed = SENDERS.into_iter().find(|sender| (200..300).contains(&line.status(sender)));
            let sender = allowed.or(owned.then_some("system"))?;
            operation.is_write().then_some(Write { variant: line.variant, operation, sender })
        };
        table::lines().into_iter().filter_map(write).collect()
    }

    async fn request(&self, world: &World) -> Request {
        let caller = world.caller(self.sender);
        let request = request(world, &self.variant, caller).await;
        let authorization = [&request.owner, &request.authorization, &caller.authorization];
        let authorization = authorization.into_iter().flatten().next().cloned();
        Request { authorization, ..request }
    }

    /// Violations when a request is sent twice, and then once more with another body.
    async fn problems(&self, world: &World) -> Vec<String> {
        let (key, sent) = (Uuid::new_v4().to_string(), self.request(world).await);
        let first = self.send(world, world.routes(), &sent, &key).await;
        world.settled(&first).await;
        if !first.is_success() {
            return vec![format!("the first time: {}", describe(&first))];
        }
        let head = world.head().await;
        let mut problems = Vec::new();
        let again = self.send(world, world.routes(), &sent, &key).await;
        if LAST_OF_ITS_SESSION.contains(&self.variant.as_str()) {
            if again.status != 401 {
                problems.push(format!("again, in a session that is over: {}", describe(&again)));
            }
            return problems;
        }
        if !again.replayed {
            problems.push(format!("again, not replayed: {}", describe(&again)));
        } else if (again.status, &again.text) != (first.status, &first.text) {
            problems.push(format!("again: {} instead of {}", describe(&again), describe(&first)));
        }
        if world.head().await != head {
            problems.push("again: something was stored".to_owned());
        }
        if let Some(body) = &sent.body {
            let other = self.request(world).await.body.filter(|other| other != body);
            let other = Request { body: Some(other.unwrap_or_else(|| format!("{body} "))), ..sent.clone() };
            let head = world.head().await;
            let answer = self.send(world, world.routes(), &other, &key).await;
            if self.operation.public {
                // Without a caller the key belongs to one body: another body is another request.
                if answer.status == 422 || answer.status >= 500 || answer.replayed {
                    problems.push(format!("another body: {}", describe(&answer)));
                }
            } else if answer.status != 422 {
                problems.push(format!("another body: {}", describe(&answer)));
            } else if self.operation.path.ends_with('/') && !answer.text.contains("\"idempotency-mismatch\"") {
                problems.push(format!("another body, another code: {}", describe(&answer)));
            } else if world.head().await != head {
                problems.push("another body: something was stored".to_owned());
            }
        }
        problems
    }

    /// Violations when a request is repeated on another node, after the first was dropped as soon as its events were
    /// committed. Empty if it commits nothing.
    async fn problems_after_a_crash(&self, world: &World, other_node: &Router, observer: &Node) -> Vec<String> {
        let head = async || observer.journal.head().await.unwrap().position;
        let (key, sent) = (Uuid::new_v4().to_string(), self.request(world).await);
        let before = head().await;
        {
            let mut first = pin!(self.send(world, world.routes(), &sent, &key));
            // The request future is not polled between two reads of the head, so that it gets no further than its
            // commit. It may hold all connections of its node meanwhile, so another node reads. No notification of the
            // head is available here, so the loop reads it until it moves.
            while head().await == before {
                if let Poll::Ready(answer) = poll!(&mut first) {
                    let told = format!("the first time: {}", describe(&answer));
                    return if answer.is_success() { vec![] } else { vec![told] };
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let stored = head().await;
        let again = self.send(world, other_node, &sent, &key).await;
        if LAST_OF_ITS_SESSION.contains(&self.variant.as_str()) && again.status == 401 {
            return vec![];
        }
        let mut problems = Vec::new();
        if !again.replayed || !again.is_success() {
            problems.push(format!("again, not replayed: {}", describe(&again)));
        }
        if head().await != stored {
            problems.push("again: something was stored".to_owned());
        }
        problems
    }

    async fn send(&self, world: &World, routes: &Router, request: &Request, key: &str) -> Response {
        let headers = [("idempotency-key", key)];
        world.send_to(routes, &self.operation.method, request, request.authorization.as_deref(), &headers).await
    }
}

fn describe(sent: &world::Response) -> String {
    format!("{} {}", sent.status, sent.text.chars().take(140).collect::<String>())
}

fn assert_none(problems: &[(String, Vec<String>)]) {
    let rows = problems.iter().flat_map(|(variant, problems)| problems.iter().map(move |told| (variant, told)));
    let rows: Vec<_> = rows.map(|(variant, told)| format!("{variant:<45}{told}")).collect();
    assert!(rows.is_empty(), "{} problems:\n{}", rows.len(), rows.join("\n"));
}

on_both_stores! {
    async fn every_write_is_carried_out_once_for_a_key(database) {
        let world = World::open(&database).await;
        let mut problems = Vec::new();
        for write in Write::all() {
            problems.push((write.variant.clone(), write.problems(&world).await));
        }
        assert_none(&problems);
    }

    async fn an_answer_is_committed_with_what_it_tells_of(database) {
        let world = World::open(&database).await;
        let (other_node, observer) = (world.other_node(&database).await, database.open().await);
        let mut problems = Vec::new();
        for write in Write::all() {
            let told = write.problems_after_a_crash(&world, &other_node, &observer).await;
            problems.push((write.variant.clone(), told));
        }
        assert_none(&problems);
    }
}

#[test]
fn every_write_has_a_permitted_sender() {
    let sent: Vec<_> = Write::all().into_iter().map(|write| write.operation.name).collect();
    let writes = operations::all().into_iter().filter(Operation::is_write).map(|operation| operation.name);
    let missing: Vec<_> = writes.filter(|write| !sent.contains(write) && !SIGNED.contains(&write.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
