//! A valid request for each operation of the identity dialect about groups, individuals and features. The leader of the
//! world leads these groups.

use super::world::{Request, World, amendment, document};
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

const V1: &str = "/v1/individual-groups/";
const V2: &str = "/v2/individual-groups/";

pub async fn request(world: &World, operation: &str) -> Option<Request> {
    if let Some(request) = of_groups(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_people(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_individuals(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_features(world, operation).await {
        return Some(request);
    }
    of_settings(world, operation).await
}

impl World {
    /// Creates a group of A with further attributes.
    pub async fn group(&self, more: Value) -> String {
        let mut attributes = json!({
            "name": self.name("Ward"), "organization-id": self.identity.acme, "type": "regular", "leader-ids": [self.leader],
        });
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.made_id(V1, document("individual-groups", attributes)).await
    }

    /// Creates a feature that may be set for any subject.
    pub async fn feature(&self) -> String {
        let name = self.name("feature");
        let attributes = json!({ "id": name, "stage": "alpha", "assignable": true });
        self.made_id("/v1/features/", document("features", attributes)).await
    }
}

async fn of_groups(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "list-individual-groups-v1" => Request::to(format!("{V1}?organization-id={acme}")),
        "list-individual-groups" => Request::to(format!("{V2}?organization-id={acme}")),
        "create-individual-group" => {
            let attributes = json!({ "name": world.name("Ward"), "organization-id": acme, "type": "regular" });
            Request::to(V1).json(document("individual-groups", attributes))
        }
        "get-individual-group-v1" => Request::to(format!("{V1}{}/", world.group(json!({})).await)),
        "get-individual-group" => Request::to(format!("{V2}{}/", world.group(json!({})).await)),
        "update-individual-group" => {
            let group = world.group(json!({})).await;
            let change = amendment("individual-groups", &group, json!({ "name": world.name("Renamed") }));
            Request::to(format!("{V1}{group}/")).json(change)
        }
        "move-individual-group" => {
            let group = world.group(json!({})).await;
            let division = world.group(json!({ "node-type": "division", "leader-ids": [] })).await;
            Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": division }))
        }
        "move-individual-group:unseen" => {
            let group = world.group(json!({})).await;
            let attributes = json!({
                "name": world.name("Ward"), "organization-id": world.identity.other, "type": "regular", "node-type": "division",
            });
            let elsewhere = world.made_id(V1, document("individual-groups", attributes)).await;
            Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": elsewhere }))
        }
        "add-group-leaders:unseen" => {
            let path = format!("{V1}{}/add-leaders/", world.group(json!({})).await);
            Request::to(path).json(json!({ "user-ids": [world.outsider().await.id] }))
        }
        "get-task" => {
            let group = world.group(json!({})).await;
            let division = world.group(json!({ "node-type": "division", "leader-ids": [] })).await;
            let admin = world.caller("admin").authorization.clone();
            let start = Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": division }));
            let moved = world.send("POST", &start, admin.as_deref(), &[]).await;
            world.settled(&moved).await;
            let body: Value = serde_json::from_str(&moved.text).unwrap();
            Request::to(format!("/v1/tasks/{}/", body["data"]["task-id"].as_str().unwrap()))
        }
        "list-individual-group-individuals" => of_group(world, "individual-group-individuals").await,
        "list-individual-group-leaders" => of_group(world, "individual-group-leaders").await,
        "list-individual-group-logs" => of_group(world, "individual-group-logs").await,
        "list-eligible-group-members" => {
            Request::to(format!("{V1}{}/eligible-members/?member-type=member", world.group(json!({})).await))
        }
        _ => return None,
    })
}

async fn of_group(world: &World, list: &str) -> Request {
    Request::to(format!("/v1/{list}/?individual-group-id={}", world.group(json!({})).await))
}

async fn of_people(world: &World, operation: &str) -> Option<Request> {
    let act = |group: &str, act: &str, body: Value| Request::to(format!("{V1}{group}/{act}/")).json(body);
    Some(match operation {
        "add-group-individuals" => {
            let individual = world.identity.individual(world.identity.acme).await;
            act(&world.group(json!({})).await, "add-individuals", json!({ "individual-ids": [individual] }))
        }
        "remove-group-individuals" => {
            let individual = world.identity.individual(world.identity.acme).await;
            let group = world.group(json!({ "individual-ids": [individual] })).await;
            act(&group, "remove-individuals", json!({ "individual-ids": [individual] }))
        }
        "add-group-leaders" | "add-group-members" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let post = operation.trim_start_matches("add-group-");
            act(&world.group(json!({})).await, &format!("add-{post}"), json!({ "user-ids": [person.id] }))
        }
        "remove-group-leaders" | "remove-group-members" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let post = operation.trim_start_matches("remove-group-");
            let (group, body) = (world.group(json!({})).await, json!({ "user-ids": [person.id] }));
            world.made("POST", &format!("{V1}{group}/add-{post}/"), body.clone()).await;
            act(&group, &format!("remove-{post}"), body)
        }
        _ => return None,
    })
}

async fn of_individuals(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "create-individual" => {
            let attributes = json!({ "individual-id": Uuid::now_v7(), "owner-id": acme });
            Request::to("/v1/individuals/").json(document("individuals", attributes))
        }
        "get-individual" => Request::to(format!("/v1/individuals/{}/", world.identity.individual(acme).await)),
        "list-user-checkins" => {
            let person = world.shared_person(Some(Role::Member)).await;
            Request::to(format!("/v1/user-checkins/?individual-id={}", person.individual.unwrap()))
        }
        "create-user-checkin" => {
            let attributes =
                json!({ "source": "web", "app-version": "1", "model": world.name("model"), "os-version": "2" });
            Request::to("/v1/user-checkins/").json(document("user-checkins", attributes))
        }
        _ => return None,
    })
}

async fn of_features(world: &World, operation: &str) -> Option<Request> {
    Some(match operation {
        "list-features" => Request::to("/v1/features/"),
        "list-features:user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/features/?filter[user-id]={}", person.id))
        }
        "create-feature" => {
            let attributes = json!({ "id": world.name("feature"), "stage": "beta" });
            Request::to("/v1/features/").json(document("features", attributes))
        }
        "get-feature" => Request::to(format!("/v1/features/{}/", world.feature().await)),
        "update-feature" => {
            let feature = world.feature().await;
            let change = amendment("features", &feature, json!({ "description": world.name("what it does") }));
            Request::to(format!("/v1/features/{feature}/")).json(change)
        }
        "add-feature-users" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let path = format!("/v1/features/{}/add-users/", world.feature().await);
            Request::to(path).json(json!({ "user-ids": [person.id] }))
        }
        "remove-feature-users" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let (path, body) = (format!("/v1/features/{}/", world.feature().await), json!({ "user-ids": [person.id] }));
            world.made("POST", &format!("{path}add-users/"), body.clone()).await;
            Request::to(format!("{path}remove-users/")).json(body)
        }
        _ => return None,
    })
}

async fn of_settings(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    let (organizations, users) = ("/v1/organization-features/", "/v1/user-features/");
    let switched = json!({ "state": "disabled" });
    Some(match operation {
        "list-organization-features" => Request::to(format!("{organizations}?organization-id={acme}")),
        "create-organization-feature" => Request::to(organizations).json(of_organization(world).await),
        "get-organization-feature" => {
            let id = world.made_id(organizations, of_organization(world).await).await;
            Request::to(format!("{organizations}{id}/"))
        }
        "update-organization-feature" => {
            let id = world.made_id(organizations, of_organization(world).await).await;
            Request::to(format!("{organizations}{id}/")).json(amendment("organization-features", &id, switched))
        }
        "list-user-features" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("{users}?user-id={}", person.id))
        }
        "create-user-feature" => Request::to(users).json(of_user(world).await),
        "get-user-feature" => {
            let id = world.made_id(users, of_user(world).await).await;
            Request::to(format!("{users}{id}/"))
        }
        "update-user-feature" => {
            let id = world.made_id(users, of_user(world).await).await;
            Request::to(format!("{users}{id}/")).json(amendment("user-features", &id, switched))
        }
        _ => return None,
    })
}

async fn of_organization(world: &World) -> Value {
    let feature = world.feature().await;
    let attributes = json!({ "feature-name": feature, "organization-id": world.identity.acme, "state": "enabled" });
    document("organization-features", attributes)
}

/// Creates a general setting for a user.
async fn of_user(world: &World) -> Value {
    let person = world.shared_person(Some(Role::Provider)).await;
    let attributes = json!({ "feature-name": world.feature().await, "user-id": person.id, "state": "enabled" });
    document("user-features", attributes)
}
