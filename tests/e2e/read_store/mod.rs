//! Documents and queries, alike on both stores. `properties` compares random data with a model.

mod filters;
mod look_ups;
mod pages;
mod search;

use crate::support::*;
use registrar::node::Node;
use registrar_aggregates::admin::{AdminCommand, Granter, Registration};
use registrar_projections::admins::{BY_NAME, SEARCH};
use registrar_projections::{AdminDocument, Direction, Query};
use uuid::Uuid;

/// Registers an admin with a name and, unless it is empty, a contact e-mail.
async fn person(node: &Node, first: &str, last: &str, email: &str) -> Uuid {
    with(node, |registration| {
        registration.person.first_name = first.into();
        registration.person.last_name = last.into();
        registration.person.email_address = (!email.is_empty()).then(|| email.to_owned());
    })
    .await
}

async fn with(node: &Node, change: impl FnOnce(&mut Registration)) -> Uuid {
    let id = Uuid::now_v7();
    let mut registration = registered(id, None);
    change(&mut registration);
    node.admin(id, AdminCommand::Register(Box::new(registration), Granter::System)).await.unwrap();
    id
}

fn by_name() -> Query<AdminDocument> {
    Query::sorted(&BY_NAME, Direction::Ascending)
}

async fn found(node: &Node, term: &str) -> Vec<String> {
    let page = node.documents.page(by_name().search(&SEARCH, term)).await.unwrap().value;
    assert_eq!(page.total, page.items.len() as u64, "{term:?}");
    page.items.iter().map(AdminDocument::full_name).collect()
}

async fn names(node: &Node, query: Query<AdminDocument>) -> Vec<String> {
    node.documents.page(query).await.unwrap().value.items.iter().map(AdminDocument::full_name).collect()
}
