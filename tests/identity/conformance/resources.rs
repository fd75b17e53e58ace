//! The resources of the dialect, each with its operations and the reasons for missing ones.

use super::group_resources;
use crate::matrix::request;
use crate::matrix::world::{Request, World, document};
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
pub struct Conflict {
    pub method: &'static str,
    pub request: for<'w> fn(&'w World) -> BoxFuture<'w, Request>,
    pub pointer: &'static str,
}

use Part::{Has, Lacks};

const READS_ALL: &str = "the catalogue is for everybody";
pub const LISTED_ONLY: &str = "only listed";
const NOT_CHANGED: &str = "is never changed";

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

fn member<'d>(data: &'d Value, name: &str) -> &'d str {
    data["attributes"][name].as_str().unwrap_or_default()
}

/// All resources.
pub fn all() -> Vec<Resource> {
    vec![
        users(),
        organizations(),
        features(),
        organization_features(),
        user_features(),
        group_resources::groups(),
        group_resources::groups_alone(),
        group_resources::individuals(),
        roles(),
        role_users(),
        user_organizations(),
        checkins(),
        second_factors(),
        activities(),
        group_resources::group_individuals(),
        group_resources::group_leaders(),
        group_resources::group_logs(),
    ]
}

fn users() -> Resource {
    Resource {
        kind: "users",
        caller: "system",
        create: Lacks("people come by invitation and by command line"),
        read: Has("get-user"),
        update: Has("update-user"),
        list: Has(List {
            operation: "list-users",
            rows: |world| {
                Box::pin(async move {
                    people(world, 3).await;
                    format!("organization-id={}", world.identity.acme)
                })
            },
            paged: Has(()),
            scope: Has("organization-id"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "PATCH",
            request: |world| {
                Box::pin(async move {
                    let taken = world.shared_person(None).await.email;
                    let request = request(world, "update-user", world.caller("system")).await;
                    let mut body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
                    body["data"]["attributes"] = json!({ "email": taken });
                    request.json(body)
                })
            },
            pointer: "/data/attributes/email",
        }),
    }
}

fn organizations() -> Resource {
    Resource {
        kind: "organizations",
        caller: "system",
        create: Has(Create {
            operation: "create-organization",
            listed: Has(|_, data| query(format!("filter[name]={}", member(data, "name")))),
        }),
        read: Has("get-organization"),
        update: Has("update-organization"),
        list: Has(List {
            operation: "list-organizations",
            rows: |_| query(String::new()),
            paged: Has(()),
            scope: Lacks("everybody has their own"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| Box::pin(again(world, "create-organization")),
            pointer: "/data/attributes/name",
        }),
    }
}

fn features() -> Resource {
    Resource {
        kind: "features",
        caller: "system",
        create: Has(Create { operation: "create-feature", listed: Has(|_, _| query(String::new())) }),
        read: Has("get-feature"),
        update: Has("update-feature"),
        list: Has(List {
            operation: "list-features",
            rows: |world| {
                Box::pin(async move {
                    times(world, "create-feature", 3).await;
                    String::new()
                })
            },
            paged: Has(()),
            scope: Lacks(READS_ALL),
        }),
        hidden: Lacks(READS_ALL),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| Box::pin(again(world, "create-feature")),
            pointer: "/data/attributes/id",
        }),
    }
}

fn organization_features() -> Resource {
    Resource {
        kind: "organization-features",
        caller: "system",
        create: Has(Create {
            operation: "create-organization-feature",
            listed: Has(|_, data| query(format!("filter[feature-name]={}", member(data, "feature-name")))),
        }),
        read: Has("get-organization-feature"),
        update: Has("update-organization-feature"),
        list: Has(List {
            operation: "list-organization-features",
            rows: |world| {
                Box::pin(async move {
                    times(world, "create-organization-feature", 3).await;
                    format!("organization-id={}", world.identity.acme)
                })
            },
            paged: Has(()),
            scope: Has("organization-id"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| Box::pin(again(world, "create-organization-feature")),
            pointer: "/data/attributes/feature-name",
        }),
    }
}

fn user_features() -> Resource {
    Resource {
        kind: "user-features",
        caller: "system",
        create: Has(Create {
            operation: "create-user-feature",
            listed: Has(|_, data| query(format!("user-id={}", member(data, "user-id")))),
        }),
        read: Has("get-user-feature"),
        update: Has("update-user-feature"),
        list: Has(List {
            operation: "list-user-features",
            rows: |world| {
                Box::pin(async move {
                    let person = world.shared_person(Some(Role::Provider)).await.id;
                    for _ in 0..3 {
                        let feature = world.feature().await;
                        let setting = json!({ "feature-name": feature, "user-id": person, "state": "enabled" });
                        world.made("POST", "/v1/user-features/", document("user-features", setting)).await;
                    }
                    format!("user-id={person}")
                })
            },
            paged: Has(()),
            scope: Has("user-id"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| Box::pin(again(world, "create-user-feature")),
            pointer: "/data/attributes/feature-name",
        }),
    }
}

fn roles() -> Resource {
    Resource {
        kind: "roles",
        caller: "system",
        create: Lacks("roles are built in"),
        read: Lacks(LISTED_ONLY),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-roles",
            rows: |world| query(format!("organization-id={}", world.identity.acme)),
            paged: Lacks("there are three"),
            scope: Has("organization-id"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks("roles are built in"),
    }
}

fn role_users() -> Resource {
    Resource {
        kind: "role-users",
        caller: "system",
        create: Has(Create {
            operation: "create-role-user",
            listed: Has(|_, data| {
                query(format!("role-id={}", data["attributes"]["role"]["id"].as_str().unwrap_or_default()))
            }),
        }),
        read: Lacks(LISTED_ONLY),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-role-users",
            rows: |world| {
                Box::pin(async move {
                    people(world, 3).await;
                    let acme = registrar_aggregates::values::OrganizationId(world.identity.acme);
                    format!("role-id={}", Role::Provider.id(acme))
                })
            },
            paged: Has(()),
            scope: Has("role-id"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks("a role that is given twice is given once"),
    }
}

fn user_organizations() -> Resource {
    Resource {
        kind: "user-organizations",
        caller: "system",
        create: Has(Create {
            operation: "create-user-organization",
            listed: Has(|_, data| query(format!("user-id={}", member(data, "user-id")))),
        }),
        read: Lacks(LISTED_ONLY),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-user-organizations",
            rows: |world| {
                Box::pin(async move {
                    people(world, 3).await;
                    format!("organization-id={}", world.identity.acme)
                })
            },
            paged: Has(()),
            scope: Has("organization-id"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks("a member who is made one again stays one"),
    }
}

async fn own_checkins(world: &World) -> String {
    let path = format!("/v1/users/{}/", world.caller("participant").id);
    let user = world.made("GET", &path, Value::Null).await;
    format!("individual-id={}", user["data"]["attributes"]["primary-individual-id"].as_str().unwrap())
}

fn checkins() -> Resource {
    Resource {
        kind: "user-checkins",
        caller: "participant",
        create: Has(Create { operation: "create-user-checkin", listed: Has(|world, _| Box::pin(own_checkins(world))) }),
        read: Lacks(LISTED_ONLY),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-user-checkins",
            rows: |world| {
                Box::pin(async move {
                    let participant = world.caller("participant");
                    for _ in 0..3 {
                        let create = request(world, "create-user-checkin", participant).await;
                        world.send("POST", &create, participant.authorization.as_deref(), &[]).await;
                    }
                    own_checkins(world).await
                })
            },
            paged: Has(()),
            scope: Has("individual-id"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks("every check-in is a new one"),
    }
}

fn second_factors() -> Resource {
    Resource {
        kind: "mfa-totp",
        caller: "provider",
        create: Has(Create { operation: "create-totp-configuration", listed: Has(|_, _| query(String::new())) }),
        read: Lacks(LISTED_ONLY),
        update: Lacks("switched by commands"),
        list: Has(List {
            operation: "list-totp-configurations",
            rows: |world| query(format!("filter[user-id]={}", world.caller("provider").id)),
            paged: Lacks("there is one, or two"),
            scope: Has("filter[user-id]"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks("a pending one is replaced"),
    }
}

fn activities() -> Resource {
    Resource {
        kind: "user-activities",
        caller: "system",
        create: Lacks("is written by signing in"),
        read: Lacks(LISTED_ONLY),
        update: Lacks(NOT_CHANGED),
        list: Has(List {
            operation: "list-user-activities",
            rows: |world| {
                Box::pin(async move {
                    let login = request(world, "login", world.caller("anonymous")).await;
                    let mut user = Value::Null;
                    for _ in 0..3 {
                        user = world.send("POST", &login, None, &[]).await.json()["user-id"].take();
                    }
                    format!("filter[user-id]={}", user.as_str().unwrap())
                })
            },
            paged: Has(()),
            scope: Lacks("only programs and the system list them"),
        }),
        hidden: Lacks(LISTED_ONLY),
        conflict: Lacks(NOT_CHANGED),
    }
}
