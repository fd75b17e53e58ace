//! Sign-up codes: who keeps them, what they tell strangers, and the people who signed up by them.

mod people;
mod suite;

pub use suite::SUITE;

use crate::app::{Identity, creation, ids};
use crate::groups::{V1, new_group, system_group};
use crate::matrix::world::{amendment, document};
use crate::{on_both_stores, shapes};
use futures::future::join_all;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::organization_code::OrganizationCodeId;
use registrar_aggregates::user::{Creation, Role, SystemRole};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const CODES: &str = "/v1/organization-codes/";
const INFO: &str = "/v1/organization-code-info/";
const KIND: &str = "organization-codes";

/// A new code of an organization with further attributes.
pub fn code(organization: Uuid, id: &str, attributes: Value) -> Value {
    let mut code = json!({ "id": id, "organization-id": organization });
    code.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    document(KIND, code)
}

fn path(id: &str) -> String {
    format!("{CODES}{id}/")
}

fn info(id: &str) -> String {
    format!("{INFO}{id}/")
}

fn change(id: &str, attributes: Value) -> Value {
    amendment(KIND, id, attributes)
}

fn form() -> Value {
    json!({
        "type": "object",
        "required": ["mrn"],
        "properties": { "mrn": { "type": "string", "pattern": "^[0-9]{6}$" }, "home": { "$ref": "#/$defs/address" } },
        "$defs": { "address": { "type": "object", "properties": { "zip": { "type": "string" } } } },
    })
}

impl Identity {
    /// Creates a code of Acme; answers its resource.
    pub async fn sign_up_code(&self, id: &str, attributes: Value) -> Value {
        self.post(&self.admin, CODES, &code(self.acme, id, attributes)).await["data"].take()
    }

    /// Creates a participant of Acme, `name@example.com`, who signed up by a code.
    async fn signed_up(&self, name: &str, code: &str, edit: impl FnOnce(&mut Creation)) -> String {
        let mut creation = creation(&format!("{name}@example.com"), None);
        creation.sign_up_code = OrganizationCodeId::parse(code).ok();
        edit(&mut creation);
        let id = creation.id.to_string();
        let part = FirstGrant::Member(OrganizationId(self.acme), Some(Role::Member));
        membership::create(self.node(), &RequestContext::system(), creation, Some(part)).await.unwrap();
        id
    }

    /// Requests what a code means, which must be answered like an unknown code; answers the error.
    async fn unknown_code(&self, code: &str) -> Value {
        self.refused(self.app.call("GET", &info(code)).token(None), 404, "not-found").await
    }
}

/// Forms that are refused.
fn unfit_forms() -> Vec<Value> {
    let deep = (0..16).fold(json!({}), |inner, _| json!({ "not": inner }));
    vec![
        json!("text"),
        json!([]),
        json!({ "type": "nonsense" }),
        json!({ "properties": { "age": { "minimum": "ten" } } }),
        json!({ "properties": { "a": { "pattern": "(" } } }),
        json!({ "properties": { "a": { "pattern": "^(?=.*[0-9]).+$" } } }),
        json!({ "properties": { "a": { "$ref": "https://example.com/form.json" } } }),
        json!({ "properties": { "a": { "$ref": "#/$defs/none" } } }),
        json!({ "properties": { "a": { "$ref": "#" } } }),
        json!({ "$schema": "https://example.com/schema" }),
        json!({ "title": "x".repeat(16 * 1024) }),
        json!({ "title": "a\u{202e}b" }),
        json!({ "maximum": 1e300 }),
        deep,
    ]
}

on_both_stores! {
    async fn a_code_is_created_shown_and_amended(database) {
        let it = Identity::open(&database).await;
        let ward = it.ward("Ward 7").await;
        let sent = json!({
            "individual-group-id": ward,
            "expires-at": "2999-01-01T02:00:00+02:00",
            "enrollment-schema": form(),
        });
        let created = it.post(&it.admin, CODES, &code(it.acme, "Spring-2026", sent)).await;
        let mut expected = json!({
            "enrollment-schema": form(),
            "expires-at": "2999-01-01 00:00:00",
            "individual-group": { "id": ward, "name": "Ward 7" },
            "organization": { "id": it.acme, "name": "acme", "display-name": "Acme" },
            "sign-up-requests-count": 0,
        });
        assert_eq!(created["data"]["id"], "Spring-2026");
        assert_eq!(created["data"]["attributes"], expected);
        // Letter case does not matter.
        for (admin, id) in [(&it.admin, "Spring-2026"), (&it.admin, "SPRING-2026"), (&it.system, "spring-2026")] {
            assert_eq!(it.get(admin, &path(id)).await, created);
        }

        let part = json!({ "individual-group-id": null, "expires-at": null });
        let amended = it.patch(&it.admin, &path("spring-2026"), &change("SPRING-2026", part.clone())).await;
        expected["individual-group"] = Value::Null;
        expected["expires-at"] = Value::Null;
        assert_eq!(amended["data"]["id"], "Spring-2026");
        assert_eq!(amended["data"]["attributes"], expected);
        let head = it.head().await;
        assert_eq!(it.patch(&it.system, &path("Spring-2026"), &change("Spring-2026", part)).await, amended);
        assert_eq!(it.head().await, head, "what is so already is no event");
        let rest = json!({ "individual-group-id": ward, "enrollment-schema": null });
        let amended = it.patch(&it.admin, &path("Spring-2026"), &change("Spring-2026", rest)).await;
        expected["individual-group"] = json!({ "id": ward, "name": "Ward 7" });
        expected["enrollment-schema"] = Value::Null;
        assert_eq!(amended["data"]["attributes"], expected);
        assert_eq!(it.get(&it.admin, &path("Spring-2026")).await, amended);
    }

    async fn codes_are_listed_with_the_number_of_people_whom_they_brought(database) {
        let it = Identity::open(&database).await;
        for id in ["Spring", "Autumn"] {
            it.sign_up_code(id, json!({})).await;
        }
        it.post(&it.other_admin, CODES, &code(it.other, "Elsewhere", json!({}))).await;
        let tag = async || it.call(&it.admin, "GET", &path("Spring")).send().await.header("etag").to_owned();
        let before = tag().await;
        for (name, code) in [("ada", "spring"), ("bob", "SPRING")] {
            it.signed_up(name, code, |_| {}).await;
        }
        assert_eq!(tag().await, before, "a code stays as it is when people sign up by it");

        let list = it.get(&it.admin, CODES).await;
        assert_eq!(ids(&list), ["Spring", "Autumn"]);
        let counts = [0_usize, 1].map(|row| list["data"][row]["attributes"]["sign-up-requests-count"].clone());
        assert_eq!(counts, [json!(2), json!(0)]);
        assert_eq!(list["data"][0], it.get(&it.admin, &path("Spring")).await["data"]);
        assert_eq!(list["meta"]["page[total]"], 2);
        assert_eq!(ids(&it.get(&it.other_admin, CODES).await), ["Elsewhere"]);
        assert_eq!(ids(&it.get(&it.system, CODES).await), ["Spring", "Autumn", "Elsewhere"]);
        it.find_nothing(&it.service, CODES).await;
        let error = it.get_refused(&it.admin, &format!("{CODES}?page[limit]=1"), 400, "validation-error").await;
        assert_eq!(error["source"]["parameter"], "page[limit]");
    }

    async fn an_open_code_is_public_and_every_other_one_is_unknown(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({ "enrollment-schema": form(), "expires-at": "2999-01-01 00:00:00" })).await;
        it.sign_up_code("Plain", json!({})).await;
        let shown = |id: &str, form: Value| json!({
            "type": "organization-code-info",
            "id": id,
            "attributes": {
                "enrollment-schema": form,
                "organization": { "display-name": "Acme", "logo-url": "", "name": "acme" },
            },
        });
        for (id, expected) in [
            ("Spring", shown("Spring", form())),
            ("SPRING", shown("Spring", form())),
            ("plain", shown("Plain", Value::Null)),
        ] {
            let answer = it.app.call("GET", &info(id)).token(None).send().await;
            shapes::check("GET", &info(id), &answer);
            assert_eq!(answer.ok()["data"], expected);
        }

        let [retired, deleted] = [
            it.organization("Retired", Authorization::Open).await,
            it.organization("Deleted", Authorization::Open).await,
        ];
        for (id, organization) in [("Retired", retired), ("Deleted", deleted)] {
            it.post(&it.system, CODES, &code(organization, id, json!({}))).await;
            it.app.call("GET", &info(id)).token(None).send().await.ok();
        }
        it.retire(OrganizationId(retired)).await;
        it.delete(OrganizationId(deleted)).await;
        it.sign_up_code("Expired", json!({ "expires-at": "2000-01-01 00:00:00" })).await;
        it.sign_up_code("Closed", json!({})).await;
        it.patch(&it.admin, &path("Closed"), &change("Closed", json!({ "expires-at": "2000-01-01 00:00:00" }))).await;
        let unknown = it.unknown_code("Unknown").await;
        let (long, id) = ("x".repeat(21), Uuid::now_v7().to_string());
        for code in ["Retired", "Deleted", "Expired", "Closed", "expired", "a%20b", "%E2%80%AE", &long, &id] {
            assert_eq!(it.unknown_code(code).await, unknown, "{code}");
        }
        // Their admins see closed codes all the same.
        it.get(&it.admin, &path("Closed")).await;
        it.get(&it.system, &path("Retired")).await;
    }

    async fn wrong_codes_are_counted_for_their_network(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        let sent = async |path: String, address: &str| {
            let call = it.app.call("GET", &path).token(None).peer(&format!("{address}:4711"));
            let answer = call.send().await;
            (answer.status.as_u16(), answer)
        };
        let documents = |code: &str| format!("/v1/service-documents/?latest=true&organization-code={code}");
        for number in 0..60 {
            // Right codes do not count.
            assert_eq!(sent(info("spring"), "192.0.2.1").await.0, 200);
            let guess = format!("guess-{number}");
            let (wrong, status) = if number % 2 == 0 { (info(&guess), 404) } else { (documents(&guess), 200) };
            assert_eq!(sent(wrong, "192.0.2.2").await.0, status);
        }
        for path in [info("spring"), info("guess"), documents("spring"), documents("guess")] {
            let (status, answer) = sent(path, "192.0.2.3").await;
            assert_eq!((status, answer.json()["errors"][0]["code"].clone()), (429, json!("rate-limited")));
            let seconds: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=15 * 60).contains(&seconds), "{seconds}");
        }
        assert_eq!(sent("/v1/service-documents/?latest=true".to_owned(), "192.0.2.3").await.0, 200);
        assert_eq!(sent(info("spring"), "198.51.100.1").await.0, 200);
    }

    async fn codes_are_hidden_from_callers_who_do_not_administer_the_organization(database) {
        let it = Identity::open(&database).await;
        let made = it.sign_up_code("Spring", json!({})).await;
        let support = it.person_as("support@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        let closed = change("Spring", json!({ "expires-at": "2000-01-01 00:00:00" }));
        let (code_path, users) = (path("Spring"), format!("{}users/", path("Spring")));
        for caller in [&it.other_admin, &it.service, &support] {
            let unknown = it.get_refused(caller, &path("Unknown"), 404, "not-found").await;
            assert_eq!(it.get_refused(caller, &code_path, 404, "not-found").await, unknown);
            assert_eq!(it.get_refused(caller, &users, 404, "not-found").await, unknown);
            assert_eq!(it.patch_refused(caller, &code_path, &closed, 404, "not-found").await, unknown);
        }
        let new = |organization: Uuid| code(organization, "Summer", json!({}));
        for caller in [&it.provider, &it.participant] {
            it.get_refused(caller, CODES, 403, "forbidden").await;
            it.get_refused(caller, &code_path, 403, "forbidden").await;
            it.get_refused(caller, &users, 403, "forbidden").await;
            it.patch_refused(caller, &code_path, &closed, 403, "forbidden").await;
            it.post_refused(caller, CODES, &new(it.acme), 403, "forbidden").await;
        }
        // They see the organization and do not administer it.
        for caller in [&it.service, &support] {
            it.post_refused(caller, CODES, &new(it.acme), 403, "forbidden").await;
        }
        let refused = async |organization: Uuid| {
            it.post_refused(&it.other_admin, CODES, &new(organization), 400, "validation-error").await
        };
        let foreign = refused(it.acme).await;
        assert_eq!(foreign, refused(Uuid::now_v7()).await);
        assert_eq!(foreign["source"]["pointer"], "/data/attributes/organization-id");
        assert_eq!(it.get(&it.admin, &code_path).await["data"], made);
    }

    async fn a_code_is_taken_once_in_any_case_by_any_organization(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        for (caller, organization, id) in
            [(&it.admin, it.acme, "Spring"), (&it.admin, it.acme, "SPRING"), (&it.other_admin, it.other, "spring")]
        {
            let error = it.post_refused(caller, CODES, &code(organization, id, json!({})), 409, "conflict").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/id");
        }
        // A caller without the right learns nothing of what is taken.
        it.post_refused(&it.provider, CODES, &code(it.acme, "Spring", json!({})), 403, "forbidden").await;
        let foreign = code(it.acme, "Spring", json!({}));
        it.post_refused(&it.other_admin, CODES, &foreign, 400, "validation-error").await;

        let bodies = [(&it.admin, it.acme, "Summer"), (&it.other_admin, it.other, "SUMMER")].repeat(3);
        let calls = bodies.iter().map(|(caller, organization, id)| {
            it.call(caller, "POST", CODES).json(&code(*organization, id, json!({}))).send()
        });
        let mut statuses: Vec<_> = join_all(calls).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    }

    async fn an_unfit_code_is_refused_by_its_member(database) {
        let it = Identity::open(&database).await;
        let made = it.sign_up_code("Spring", json!({})).await;
        let long = "x".repeat(21);
        for id in ["", " ", "a b", "a.b", "..", "a/b", "caf\u{e9}", "\u{430}cme", "a\u{202e}b", &long] {
            let body = code(it.acme, id, json!({}));
            let error = it.post_refused(&it.admin, CODES, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/id", "{id:?}");
        }
        let mut wrong: Vec<_> = unfit_forms().into_iter().map(|form| ("enrollment-schema", form)).collect();
        wrong.push(("expires-at", json!("tomorrow")));
        wrong.push(("individual-group-id", json!("ward")));
        wrong.push(("sign-up-requests-count", json!(7)));
        for (member, value) in wrong {
            let attributes = json!({ member: value });
            let pointer = format!("/data/attributes/{member}");
            let body = code(it.acme, "Summer", attributes.clone());
            let error = it.post_refused(&it.admin, CODES, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{attributes}");
            let body = change("Spring", attributes.clone());
            let error = it.patch_refused(&it.admin, &path("Spring"), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{attributes}");
        }
        for (member, value) in [("id", json!("Summer")), ("organization-id", json!(it.other))] {
            let body = change("Spring", json!({ member: value }));
            let error = it.patch_refused(&it.admin, &path("Spring"), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{member}"), "is fixed");
        }
        let error = it.patch_refused(&it.admin, &path("Spring"), &change("Summer", json!({})), 409, "conflict").await;
        assert_eq!(error["source"]["pointer"], "/data/id");
        assert_eq!(it.get(&it.admin, &path("Spring")).await["data"], made);
    }

    async fn the_group_of_a_code_takes_individuals_of_its_organization(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Spring", json!({})).await;
        let foreign = it.post(&it.other_admin, V1, &new_group(it.other, "Ward")).await;
        let refused = async |group: &str| {
            let attributes = json!({ "individual-group-id": group });
            let body = code(it.acme, "Summer", attributes.clone());
            let error = it.post_refused(&it.admin, CODES, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/individual-group-id");
            let body = change("Spring", attributes);
            let again = it.patch_refused(&it.admin, &path("Spring"), &body, 400, "validation-error").await;
            assert_eq!(again, error);
            error
        };
        let unknown = refused(&Uuid::now_v7().to_string()).await;
        assert_eq!(refused(foreign["data"]["id"].as_str().unwrap()).await, unknown);
        assert_eq!(refused(&system_group(SystemGroup::Unassigned, it.other)).await, unknown);
        for group in [
            it.new_division("North").await,
            it.new_node("Office", &json!({ "type": "provider_only" })).await,
            system_group(SystemGroup::AllParticipants, it.acme),
            system_group(SystemGroup::Unassigned, it.acme),
        ] {
            refused(&group).await;
        }
        let ward = it.ward("Ward").await;
        it.patch(&it.admin, &path("Spring"), &change("Spring", json!({ "individual-group-id": ward }))).await;
        // System admins see the foreign group, which is none of this organization either.
        let group = json!({ "individual-group-id": foreign["data"]["id"] });
        it.post_refused(&it.system, CODES, &code(it.acme, "Summer", group), 400, "validation-error").await;
    }

    async fn codes_stay_with_a_retired_organization_and_go_with_a_deleted_one(database) {
        let it = Identity::open(&database).await;
        let clinic = it.organization("Clinic", Authorization::Open).await;
        it.post(&it.system, CODES, &code(clinic, "Spring", json!({}))).await;
        it.retire(OrganizationId(clinic)).await;
        let new = code(clinic, "Summer", json!({}));
        let error = it.post_refused(&it.system, CODES, &new, 409, "conflict").await;
        assert_eq!(error["detail"], "the organization is retired");
        let closed = change("Spring", json!({ "expires-at": "2000-01-01 00:00:00" }));
        it.patch(&it.system, &path("Spring"), &closed).await;
        assert_eq!(ids(&it.get(&it.system, CODES).await), ["Spring"]);

        it.delete(OrganizationId(clinic)).await;
        it.get_refused(&it.system, &path("Spring"), 404, "not-found").await;
        it.get_refused(&it.system, &format!("{}users/", path("Spring")), 404, "not-found").await;
        it.patch_refused(&it.system, &path("Spring"), &closed, 404, "not-found").await;
        it.post_refused(&it.system, CODES, &new, 400, "validation-error").await;
        it.find_nothing(&it.system, CODES).await;
        // A printed code leads to no other organization one day.
        it.post_refused(&it.admin, CODES, &code(it.acme, "spring", json!({})), 409, "conflict").await;
    }

    async fn events_of_a_code_carry_its_organization_also_if_a_system_admin_acts(database) {
        let it = Identity::open(&database).await;
        let head = it.head().await;
        it.post(&it.system, CODES, &code(it.acme, "Spring", json!({}))).await;
        let closed = change("Spring", json!({ "expires-at": "2000-01-01 00:00:00" }));
        it.patch(&it.system, &path("Spring"), &closed).await;
        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let names: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(names, ["organization-code.created", "organization-code.amended"]);
        for event in events {
            let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
            assert_eq!((event.aggregate_id.as_str(), &metadata["organizationId"]), ("spring", &json!(it.acme)));
        }
    }
}
