//! Individuals: recorded once, visible according to the access engine.

use crate::app::Identity;
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, Resource, again};
use crate::matrix::world::{Request, World, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const INDIVIDUALS: &str = "/v1/individuals/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("create-individual", an_individual_is_recorded_once::TEST),
        ("get-individual", an_individual_is_recorded_once::TEST),
    ],
    table: "
        create-individual  201 administrator service system, 403 others
        get-individual     200 provider leader managers, 404 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "individuals",
    caller: "system",
    create: Has(Create { operation: "create-individual", listed: Lacks("there is no list of them") }),
    read: Has("get-individual"),
    update: Lacks("the owner never changes"),
    list: Lacks("individuals are listed by the questions of access"),
    hidden: Has(()),
    conflict: Has(Conflict::Sent {
        method: "POST",
        request: |world| {
            Box::pin(async move {
                let request = again(world, "create-individual").await;
                let mut body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
                body["data"]["attributes"]["owner-id"] = json!(world.identity.other);
                request.json(body)
            })
        },
        pointer: "/data/attributes/owner-id",
    }),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "create-individual" => {
            let attributes = json!({ "individual-id": Uuid::now_v7(), "owner-id": acme });
            Request::to("/v1/individuals/").json(document("individuals", attributes))
        }
        "get-individual" => Request::to(format!("/v1/individuals/{}/", world.identity.individual(acme).await)),
        _ => return None,
    })
}

fn individual(id: Uuid, owner: Uuid) -> Value {
    json!({ "data": { "type": "individuals", "attributes": { "individual-id": id, "owner-id": owner } } })
}

on_both_stores! {
    async fn an_individual_is_recorded_once(database) {
        let it = Identity::open(&database).await;
        let id = Uuid::now_v7();
        let created = it.post(&it.service, INDIVIDUALS, &individual(id, it.acme)).await;
        let expected = json!({ "data": { "type": "individuals", "id": id, "attributes": { "owner-id": it.acme } } });
        assert_eq!(created, expected);
        assert_eq!(it.get(&it.provider, &format!("{INDIVIDUALS}{id}/")).await, created);
        let head = it.head().await;
        assert_eq!(it.post(&it.system, INDIVIDUALS, &individual(id, it.acme)).await, created);
        assert_eq!(it.head().await, head, "the same again is no event");
        for other in [it.other, it.participant.id] {
            it.post_refused(&it.service, INDIVIDUALS, &individual(id, other), 409, "conflict").await;
        }
        let unowned = individual(Uuid::now_v7(), Uuid::now_v7());
        let error = it.post_refused(&it.service, INDIVIDUALS, &unowned, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/owner-id");
        let none = json!({ "data": { "type": "individuals", "attributes": { "owner-id": it.acme } } });
        it.post_refused(&it.service, INDIVIDUALS, &none, 400, "validation-error").await;
        for caller in [&it.admin, &it.provider, &it.participant] {
            it.post_refused(caller, INDIVIDUALS, &individual(Uuid::now_v7(), it.acme), 403, "forbidden").await;
        }
    }

    async fn an_individual_of_a_person_is_one_of_the_organizations_of_the_person(database) {
        let it = Identity::open(&database).await;
        let id = Uuid::now_v7();
        let created = it.post(&it.service, INDIVIDUALS, &individual(id, it.participant.id)).await;
        assert_eq!(created["data"]["attributes"]["owner-id"], json!(it.participant.id));
        let at = format!("{INDIVIDUALS}{id}/");
        for caller in [&it.participant, &it.provider, &it.admin, &it.system] {
            assert_eq!(it.get(caller, &at).await, created);
        }
        let mut told = vec![it.get_refused(&it.other_admin, &at, 404, "not-found").await];
        for unknown in [Uuid::now_v7().to_string(), "nonsense".into()] {
            let at = format!("{INDIVIDUALS}{unknown}/");
            told.push(it.get_refused(&it.other_admin, &at, 404, "not-found").await);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }

    async fn an_individual_is_in_the_groups_that_the_system_fills(database) {
        let it = Identity::open(&database).await;
        let id = Uuid::now_v7();
        it.post(&it.service, INDIVIDUALS, &individual(id, it.other)).await;
        for group in SystemGroup::ALL.map(|group| group.id(OrganizationId(it.other))) {
            let query = format!("user-id={}&operation=read&filter[group-id]={group}", it.other_admin.id);
            let found = it.get(&it.service, &format!("/v1/authz-individuals/?{query}")).await;
            assert_eq!(found["resource-ids"], json!([id]));
        }
    }

    async fn an_individual_is_recorded_with_its_answer(database) {
        let it = Identity::open(&database).await;
        let body = individual(Uuid::now_v7(), it.acme);
        let send = async || {
            let call = it.call(&it.service, "POST", INDIVIDUALS).json(&body);
            let answer = call.header("idempotency-key", "k").send().await;
            (answer.status.as_u16(), answer.json())
        };
        let first = send().await;
        assert_eq!(first.0, 201);
        let head = it.head().await;
        assert_eq!(send().await, first);
        assert_eq!(it.head().await, head);
    }
}
