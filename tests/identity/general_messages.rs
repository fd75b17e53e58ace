//! General messages: texts of an organization, read by its people and written by its admins.

use crate::app::{Identity, Person, ids};
use crate::conformance::resource::Part::Has;
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query, times};
use crate::matrix::world::{Request, World, amendment, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar_aggregates::general_message::{MESSAGE_LENGTH_MAX, NAME_LENGTH_MAX};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const KIND: &str = "organization-general-messages";
const MESSAGES: &str = "/v1/organization-general-messages/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organization-general-messages", people_list_the_messages_of_their_organization_in_all_locales::TEST),
        ("create-organization-general-message", a_message_is_written_by_admins_and_read_by_people::TEST),
        ("get-organization-general-message", a_message_is_written_by_admins_and_read_by_people::TEST),
        ("update-organization-general-message", a_message_is_written_by_admins_and_read_by_people::TEST),
    ],
    table: "
        list-organization-general-messages   200 others
        create-organization-general-message  201 managers, 400 stranger sharing, 403 others
        get-organization-general-message     404 stranger sharing operator auditor, 200 others
        update-organization-general-message  200 managers, 404 stranger sharing, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: KIND,
    caller: "system",
    create: Has(Create {
        operation: "create-organization-general-message",
        listed: Has(|_, data| query(format!("organization-id={}", member(data, "organization-id")))),
    }),
    read: Has("get-organization-general-message"),
    update: Has("update-organization-general-message"),
    list: Has(List {
        operation: "list-organization-general-messages",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-organization-general-message", 3).await;
                format!("organization-id={}", world.identity.acme)
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/name" }),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let new = || message(world.identity.acme, &world.name("contact"), "en_US", "Call us.");
    Some(match operation {
        "create-organization-general-message" => Request::to(MESSAGES).json(new()),
        "update-organization-general-message" => {
            let id = world.made_id(MESSAGES, new()).await;
            Request::to(path(&id)).json(change(&id, &world.name("Write to us at desk")))
        }
        _ => return None,
    })
}

/// The creation of a message.
fn message(organization: Uuid, name: &str, locale: &str, text: &str) -> Value {
    document(KIND, json!({ "organization-id": organization, "name": name, "locale": locale, "message": text }))
}

fn change(id: &str, text: &str) -> Value {
    amendment(KIND, id, json!({ "message": text }))
}

fn path(id: &str) -> String {
    format!("{MESSAGES}{id}/")
}

fn list(organization: Uuid) -> String {
    format!("{MESSAGES}?organization-id={organization}")
}

impl Identity {
    /// Creates a message; answers its identifier.
    async fn general_message(&self, author: &Person, organization: Uuid, name: &str, locale: &str) -> String {
        let created = self.post(author, MESSAGES, &message(organization, name, locale, "Call us.")).await;
        created["data"]["id"].as_str().unwrap().to_owned()
    }
}

on_both_stores! {
    async fn a_message_is_written_by_admins_and_read_by_people(database) {
        let it = Identity::open(&database).await;
        let created = it.post(&it.admin, MESSAGES, &message(it.acme, " contact ", "es_US", "Llámenos.\n☎")).await;
        let (id, shown) = (created["data"]["id"].as_str().unwrap(), &created["data"]["attributes"]);
        assert_eq!(shown["created-time"].as_str().unwrap().len(), 19);
        let expected = json!({
            "created-time": shown["created-time"], "last-modified-time": shown["created-time"], "locale": "es_US",
            "message": "Llámenos.\n☎", "name": "contact", "organization-id": it.acme,
        });
        assert_eq!((&created["data"]["type"], shown), (&json!(KIND), &expected));
        for reader in [&it.participant, &it.provider, &it.admin, &it.service, &it.system] {
            assert_eq!(it.get(reader, &path(id)).await, created);
        }

        let other = change(id, "Escríbanos.");
        let amended = it.patch(&it.admin, &path(id), &other).await;
        let shown = &amended["data"]["attributes"];
        assert_eq!((&shown["message"], &shown["name"]), (&json!("Escríbanos."), &json!("contact")));
        assert_eq!(shown["created-time"], expected["created-time"]);
        assert_eq!(it.get(&it.participant, &path(id)).await, amended);
        let head = it.head().await;
        assert_eq!(it.patch(&it.system, &path(id), &other).await, amended);
        assert_eq!(it.head().await, head, "what is so already is no event");

        // The events belong to the organization, whichever one the caller acts in.
        let of_system = it.general_message(&it.system, it.acme, "welcome", "es_US").await;
        for id in [id, &of_system] {
            let history = format!("/audit/general-message/{id}/history");
            for (auditor, status) in [(&it.admin, 200), (&it.other_admin, 404)] {
                assert_eq!(it.call(auditor, "GET", &history).send().await.status, status);
            }
        }
    }

    async fn people_list_the_messages_of_their_organization_in_all_locales(database) {
        let it = Identity::open(&database).await;
        let mut all = Vec::new();
        for (name, locale) in [("contact", "en_US"), ("contact", "es_US"), ("welcome", "en_US")] {
            all.push(it.general_message(&it.admin, it.acme, name, locale).await);
        }
        let other = it.general_message(&it.other_admin, it.other, "contact", "en_US").await;
        for reader in [&it.participant, &it.provider, &it.admin, &it.service, &it.system] {
            assert_eq!(ids(&it.get(reader, &list(it.acme)).await), all);
        }
        assert_eq!(ids(&it.get(&it.other_admin, &list(it.other)).await), [other]);
        let page = it.get(&it.participant, &format!("{}&page[limit]=1&page[offset]=1", list(it.acme))).await;
        assert_eq!(ids(&page), all[1..2]);
        assert_eq!(page["meta"], json!({ "page[limit]": 1, "page[offset]": 1, "page[total]": 3 }));
        let foreign = it.find_nothing(&it.other_admin, &list(it.acme)).await;
        assert_eq!(it.find_nothing(&it.other_admin, &list(Uuid::now_v7())).await, foreign);
        let error = it.get_refused(&it.participant, MESSAGES, 400, "validation-error").await;
        assert_eq!(error["source"]["parameter"], "organization-id");
    }

    async fn a_name_that_the_organization_has_in_the_locale_is_taken(database) {
        let it = Identity::open(&database).await;
        it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        for name in ["contact", " Contact "] {
            let again = message(it.acme, name, "en_US", "Write to us.");
            let error = it.post_refused(&it.system, MESSAGES, &again, 409, "conflict").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/name");
        }
    }

    async fn messages_of_another_organization_are_answered_as_unknown_ones(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        let (mut created, mut read, mut amended) = (vec![], vec![], vec![]);
        for (organization, id) in [(it.acme, id), (Uuid::now_v7(), Uuid::now_v7().to_string())] {
            let new = message(organization, "contact", "en_US", "Write to us.");
            created.push(it.post_refused(&it.other_admin, MESSAGES, &new, 400, "validation-error").await);
            read.push(it.get_refused(&it.other_admin, &path(&id), 404, "not-found").await);
            let change = change(&id, "Write to us.");
            amended.push(it.patch_refused(&it.other_admin, &path(&id), &change, 404, "not-found").await);
        }
        assert_eq!(created[0]["source"]["pointer"], "/data/attributes/organization-id");
        for told in [created, read, amended] {
            assert_eq!(told[0], told[1]);
        }
    }

    async fn people_other_than_admins_write_no_messages(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        for caller in [&it.participant, &it.provider, &it.service] {
            let new = message(it.acme, "welcome", "en_US", "Welcome.");
            it.post_refused(caller, MESSAGES, &new, 403, "forbidden").await;
            it.patch_refused(caller, &path(&id), &change(&id, "Write to us."), 403, "forbidden").await;
        }
    }

    async fn an_unfit_name_locale_or_text_is_refused(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        let (long_name, long_text) = ("x".repeat(NAME_LENGTH_MAX + 1), "x".repeat(MESSAGE_LENGTH_MAX + 1));
        let refused = async |new: Value, member: &str| {
            let error = it.post_refused(&it.admin, MESSAGES, &new, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{member}"), "{new}");
        };
        for name in ["", " ", "con\u{200b}tact", "\u{202e}contact", &long_name] {
            refused(message(it.acme, name, "es_US", "Call us."), "name").await;
        }
        refused(message(it.acme, "contact", "de_DE", "Call us."), "locale").await;
        for text in ["", " \n\u{200b}", "Call\u{202e}us.", &long_text] {
            refused(message(it.acme, "contact", "es_US", text), "message").await;
            let change = change(&id, text);
            let error = it.patch_refused(&it.admin, &path(&id), &change, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/message", "{text:?}");
        }
    }

    async fn name_locale_and_organization_of_a_message_are_fixed(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        let other = it.other.to_string();
        for (name, value) in [("name", "welcome"), ("locale", "es_US"), ("organization-id", other.as_str())] {
            let mut change = change(&id, "Write to us.");
            change["data"]["attributes"][name] = json!(value);
            let error = it.patch_refused(&it.system, &path(&id), &change, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{name}"));
        }
        let contradicting = change(&Uuid::now_v7().to_string(), "Write to us.");
        it.patch_refused(&it.admin, &path(&id), &contradicting, 409, "conflict").await;
    }

    async fn a_retired_organization_keeps_its_messages_and_gets_no_new_ones(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        it.retire(OrganizationId(it.acme)).await;
        let new = message(it.acme, "welcome", "en_US", "Welcome.");
        let error = it.post_refused(&it.system, MESSAGES, &new, 409, "conflict").await;
        assert_eq!(error["detail"], "the organization is retired");
        let amended = it.patch(&it.system, &path(&id), &change(&id, "We are closed.")).await;
        assert_eq!(it.get(&it.service, &path(&id)).await, amended);
        assert_eq!(ids(&it.get(&it.system, &list(it.acme)).await), [id]);
    }

    async fn messages_of_a_deleted_organization_are_unknown_to_every_caller(database) {
        let it = Identity::open(&database).await;
        let id = it.general_message(&it.admin, it.acme, "contact", "en_US").await;
        it.delete(OrganizationId(it.acme)).await;
        for caller in [&it.system, &it.service] {
            it.get_refused(caller, &path(&id), 404, "not-found").await;
            it.find_nothing(caller, &list(it.acme)).await;
            it.patch_refused(caller, &path(&id), &change(&id, "We are closed."), 404, "not-found").await;
            let new = message(it.acme, "welcome", "en_US", "Welcome.");
            let error = it.post_refused(caller, MESSAGES, &new, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/organization-id");
        }
    }
}
