//! The authorization matrix: every operation of every dialect, sent by a caller of every kind, with the expected
//! status. Its lines and requests stand in the suites.

pub mod operations;
pub mod other_dialects;
pub mod table;
pub mod world;

use crate::{SUITES, on_both_stores};
use futures::future::BoxFuture;
use operations::Operation;
use std::collections::BTreeSet;
use std::fmt::Write;
use table::Line;
use world::{Caller, Request, World};

/// A valid request of an operation on a new resource. `variant` is the name of the operation; where it has several
/// requests, the name of the request follows after a colon.
pub async fn request(world: &World, variant: &str, caller: &Caller) -> Request {
    for suite in SUITES {
        if let Some(request) = (suite.request)(world, variant, caller).await {
            return request;
        }
    }
    declared(world, variant).await.unwrap_or_else(|| panic!("no request is known of {variant}"))
}

/// A read of a new resource, or its list, as its declaration says.
fn declared<'a>(world: &'a World, variant: &'a str) -> BoxFuture<'a, Option<Request>> {
    Box::pin(async move {
        let path = operations::all().into_iter().find(|operation| operation.name == variant)?.path;
        for resource in SUITES.iter().flat_map(|suite| suite.resources) {
            if let Some(list) = resource.list.get().filter(|list| list.operation == variant) {
                return Some(Request::to(format!("{path}?{}", (list.rows)(world).await)));
            }
            let is_read = resource.read.get().is_some_and(|read| *read == variant);
            if let Some(create) = resource.create.get().filter(|_| is_read) {
                let caller = world.caller(resource.caller);
                let create = request(world, create.operation, caller).await;
                let created = world.send("POST", &create, caller.authorization.as_deref(), &[]).await.json();
                return Some(Request::to(path.replace("{id}", created["data"]["id"].as_str()?)));
            }
        }
        None
    })
}

/// A cell whose status differs from the expected one.
struct Difference {
    variant: String,
    caller: &'static str,
    problem: String,
}

impl Line {
    /// Sends the request of this line as every caller. Its subject is created again after each change.
    async fn differences(&self, world: &World, operation: &Operation) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut at_hand: Option<Request> = None;
        for (caller, expected) in world.callers.iter().zip(&self.expected) {
            let request = match at_hand.take() {
                Some(request) => request,
                None => request(world, &self.variant, caller).await,
            };
            assert!(operation.has_path(&request.path), "{} is not sent to {}", self.variant, request.path);
            let authorization = request.authorization.as_deref().or(caller.authorization.as_deref());
            let before = world.head().await;
            let sent = world.send(&operation.method, &request, authorization, &[]).await;
            world.settled(&sent).await;
            let stored = world.head().await != before;
            let mut note = |problem| {
                differences.push(Difference { variant: self.variant.clone(), caller: caller.name, problem });
            };
            if sent.status != *expected {
                let detail: String = sent.text.chars().filter(|letter| *letter != '\n').take(120).collect();
                note(format!("{expected:>8} {:>5}   {detail}", sent.status));
            }
            if stored && sent.status >= 400 {
                note(format!("{expected:>8} {:>5}   something was stored", sent.status));
            }
            at_hand = (!stored && !request.personal).then_some(request);
        }
        differences
    }
}

fn describe(differences: &[Difference]) -> String {
    let mut text = format!("{} cells differ:\n", differences.len());
    writeln!(text, "{:<45}{:<15}expected   got", "operation", "caller").unwrap();
    for Difference { variant, caller, problem } in differences {
        writeln!(text, "{variant:<45}{caller:<15}{problem}").unwrap();
    }
    text
}

on_both_stores! {
    async fn every_caller_may_do_what_the_table_says_and_nothing_else(database) {
        let world = World::open(&database).await;
        let operations = operations::all();
        let mut differences = Vec::new();
        for line in table::lines() {
            let operation = operations.iter().find(|operation| operation.name == line.operation());
            // `every_operation_has_a_line_and_every_line_an_operation` reports lines without an operation.
            if let Some(operation) = operation {
                differences.extend(line.differences(&world, operation).await);
            }
        }
        assert!(differences.is_empty(), "{}", describe(&differences));
    }
}

#[test]
fn every_operation_has_a_line_and_every_line_an_operation() {
    let all = operations::all();
    let served: BTreeSet<&str> = all.iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(served.len(), all.len(), "two operations have one name");
    let lines = table::lines();
    let variants: BTreeSet<&str> = lines.iter().map(|line| line.variant.as_str()).collect();
    assert_eq!(variants.len(), lines.len(), "a line stands there twice");
    let decided: BTreeSet<&str> = lines.iter().map(Line::operation).collect();
    let missing: Vec<_> = served.difference(&decided).collect();
    assert!(missing.is_empty(), "nothing is said of {missing:?}");
    let unknown: Vec<_> = decided.difference(&served).collect();
    assert!(unknown.is_empty(), "nobody serves {unknown:?}");
}
