//! The declaration of a resource: its operations, and the reasons for missing ones. Each stands in the suite of its
//! operations.

use crate::matrix::request;
use crate::matrix::world::{Request, World};
use futures::future::BoxFuture;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};

/// A part of a declaration, or the reason why the resource lacks it.
pub enum Part<T> {
    Has(T),
    Lacks(&'static str),
}

impl<T> Part<T> {
    pub fn get(&self) -> Option<&T> {
        match self {
            Part::Has(part) => Some(part),
            Part::Lacks(reason) => {
                assert!(!reason.is_empty());
                None
            }
        }
    }
}

/// The query of a list.
pub type Query = for<'w> fn(&'w World) -> BoxFuture<'w, String>;
/// The query of a list that contains a created resource.
pub type QueryOf = for<'w> fn(&'w World, &'w Value) -> BoxFuture<'w, String>;

pub struct Resource {
    pub kind: &'static str,
    /// The caller who creates, changes, reads and lists.
    pub caller: &'static str,
    pub create: Part<Create>,
    /// The operation that reads one resource.
    pub read: Part<&'static str>,
    /// The operation that changes one resource.
    pub update: Part<&'static str>,
    pub list: Part<List>,
    /// Whether strangers get the answer for an unknown resource.
    pub hidden: Part<()>,
    pub conflict: Part<Conflict>,
}

impl Resource {
    /// A record of one event: users create, read and list their own; no operation changes it. The list has no
    /// parameters.
    pub const fn record(kind: &'static str, [create, read, list]: [&'static str; 3]) -> Self {
        Resource {
            kind,
            caller: "participant",
            create: Part::Has(Create { operation: create, listed: Part::Has(|_, _| query(String::new())) }),
            read: Part::Has(read),
            update: Part::Lacks(NOT_CHANGED),
            list: Part::Has(List {
                operation: list,
                rows: |_| query(String::new()),
                paged: Part::Lacks("without parameters the list is its first page"),
                scope: Part::Lacks("callers list their own records"),
            }),
            hidden: Part::Has(()),
            conflict: Part::Lacks("every record is a new one"),
        }
    }
}

pub struct Create {
    pub operation: &'static str,
    /// The list that contains the resource.
    pub listed: Part<QueryOf>,
}

pub struct List {
    pub operation: &'static str,
    /// A query with at least two rows.
    pub rows: Query,
    pub paged: Part<()>,
    /// The parameter of that query that names a resource of A; for strangers the list is empty.
    pub scope: Part<&'static str>,
}

/// A request that conflicts with the present state, and the member that the error names.
pub enum Conflict {
    /// The creation of the resource, sent a second time.
    Repeated {
        pointer: &'static str,
    },
    Sent {
        method: &'static str,
        request: for<'w> fn(&'w World) -> BoxFuture<'w, Request>,
        pointer: &'static str,
    },
}

pub const LISTED_ONLY: &str = "only listed";
pub const NOT_CHANGED: &str = "is never changed";

/// A creation that was already carried out.
pub async fn again(world: &World, operation: &str) -> Request {
    let request = request(world, operation, world.caller("system")).await;
    let system = world.caller("system").authorization.clone();
    let sent = world.send("POST", &request, system.as_deref(), &[]).await;
    assert!(sent.is_success(), "{operation}: {sent:?}");
    request
}

pub async fn times(world: &World, operation: &str, count: usize) {
    for _ in 0..count {
        again(world, operation).await;
    }
}

pub async fn people(world: &World, count: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(json!(world.shared_person(Some(Role::Provider)).await.id));
    }
    ids
}

pub fn query(text: String) -> BoxFuture<'static, String> {
    Box::pin(async move { text })
}

/// A text among the attributes of a resource.
pub fn member<'d>(data: &'d Value, name: &str) -> &'d str {
    data["attributes"][name].as_str().unwrap_or_default()
}
