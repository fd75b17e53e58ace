//! Users over HTTP: visibility, permissions to change, and every filter of the list.

mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, creation, ids};
use crate::on_both_stores;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::user::{Classification, Phone, Role, SystemRole, User, UserCommand};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

const ROOT: &str = "/v1/users/";

fn path(id: Uuid) -> String {
    format!("{ROOT}{id}/")
}

fn change(id: Uuid, attributes: Value) -> Value {
    json!({ "data": { "type": "users", "id": id, "attributes": attributes } })
}

async fn execute(identity: &Identity, id: Uuid, command: UserCommand) {
    let context = RequestContext::system();
    identity.node().executor.execute::<User>(&context, &id.to_string(), command, None).await.unwrap();
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn those(people: &[&Person]) -> Vec<String> {
    sorted(people.iter().map(|person| person.id.to_string()).collect())
}

on_both_stores! {
    async fn a_user_is_shown_with_everything_but_secrets(database) {
        let identity = Identity::open(&database).await;
        let id = identity.participant.id;
        let shown = identity.get(&identity.admin, &format!("{}?with-roles=true&with-signups=true", path(id))).await;
        let user = &shown["data"]["attributes"];
        assert_eq!((&user["email"], &user["username"]), (&json!("participant@example.com"), &json!("participant@example.com")));
        assert_eq!((&user["state"], &user["enabled"], &user["registered"]), (&json!("confirmed"), &json!(true), &json!(true)));
        assert_eq!(user["primary-individual-id"], json!(identity.participant.individual.unwrap()));
        assert_eq!(user["organization-ids"], json!([identity.acme]));
        assert_eq!(user["organizations"], json!([{ "id": identity.acme, "name": "acme", "display-name": "Acme" }]));
        assert_eq!(user["roles"][0]["name"], "org.member");
        assert_eq!(user["shared-with"][0]["id"], json!(identity.acme));
        assert_eq!((&user["onboarding-requests"], &user["org-code-signup-requests"]), (&json!([]), &json!([])));
        let text = shown.to_string();
        assert!(!text.contains("hash") && !text.contains("argon"), "{text}");
        let plain = identity.get(&identity.participant, &path(id)).await;
        assert!(plain["data"]["attributes"].get("roles").is_none());
        let foreign = format!("{}?with-roles=true&organization-id={}", path(id), identity.other);
        assert_eq!(identity.get(&identity.system, &foreign).await["data"]["attributes"]["roles"], json!([]));
    }

    async fn users_of_another_organization_are_not_found(database) {
        let identity = Identity::open(&database).await;
        identity.get(&identity.provider, &path(identity.participant.id)).await;
        // Participants see providers, and no other participants.
        identity.get(&identity.participant, &path(identity.provider.id)).await;
        let patient = identity.person("patient", identity.acme, Some(Role::Member)).await;
        identity.get_refused(&identity.participant, &path(patient.id), 404, "not-found").await;
        identity.get_refused(&identity.other_admin, &path(identity.provider.id), 404, "not-found").await;
        identity.get_refused(&identity.provider, &path(Uuid::now_v7()), 404, "not-found").await;
        identity.get_refused(&identity.provider, "/v1/users/x/", 404, "not-found").await;
        for caller in [&identity.system, &identity.service] {
            identity.get(caller, &path(identity.provider.id)).await;
        }
    }

    async fn a_user_is_changed_by_itself_and_by_its_admins(database) {
        let identity = Identity::open(&database).await;
        let id = identity.provider.id;
        let attributes = json!({
            "first-name": "Ada", "last-name": "Lovelace", "locale": "es_US", "tz": "Europe/London",
            "communication-preferences": { "sms": { "news": false } }, "phone": "+12025550123",
        });
        let amended = identity.patch(&identity.provider, &path(id), &change(id, attributes.clone())).await;
        let user = &amended["data"]["attributes"];
        for (name, value) in attributes.as_object().unwrap() {
            assert_eq!(&user[name], value, "{name}");
        }
        assert_eq!((&user["locale-explicit"], &user["tz-explicit"], &user["phone-verified"]), (&json!(true), &json!(true), &json!(false)));
        let mut read = identity.get(&identity.admin, &path(id)).await["data"]["attributes"].take();
        read.as_object_mut().unwrap().remove("organizations");
        assert_eq!(read, *user);
        let head = identity.head().await;
        identity.patch(&identity.admin, &path(id), &change(id, attributes)).await;
        assert_eq!(identity.head().await, head);
        identity.patch(&identity.admin, &path(id), &change(id, json!({ "username": "phone" }))).await;
        let email = identity.patch(&identity.admin, &path(id), &change(id, json!({ "email": "Ada@Example.com" }))).await;
        let user = &email["data"]["attributes"];
        // Neither the number nor the new address was confirmed, so the old address remains the sign-in name.
        assert_eq!((&user["email"], &user["email-verified"], &user["username"]), (&json!("Ada@Example.com"), &json!(false), &json!("provider@example.com")));
    }

    async fn impossible_changes_of_a_user_are_refused_and_store_nothing(database) {
        let identity = Identity::open(&database).await;
        let (id, caller) = (identity.provider.id, &identity.provider);
        for (attributes, name) in [
            (json!({ "locale": "de_AT" }), "locale"),
            (json!({ "tz": "Mars/Olympus" }), "tz"),
            (json!({ "phone": "555" }), "phone"),
            (json!({ "phone": "+99912345678" }), "phone"),
            (json!({ "phone": "+120255501234" }), "phone"),
            (json!({ "email": "no address" }), "email"),
            (json!({ "username": "phone" }), "username"),
            (json!({ "username": "fax" }), "username"),
            (json!({ "first-name": "x".repeat(256) }), "first-name"),
            (json!({ "default-organization-id": identity.other }), "default-organization-id"),
            (json!({ "state": "confirmed" }), "state"),
            (json!({ "password": "x" }), "password"),
        ] {
            let error = identity.patch_refused(caller, &path(id), &change(id, attributes), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{name}"), "{error}");
        }
        let taken = change(id, json!({ "email": "ADMIN@example.com" }));
        identity.patch_refused(caller, &path(id), &taken, 409, "conflict").await;
        let mismatch = change(identity.admin.id, json!({ "first-name": "x" }));
        identity.patch_refused(caller, &path(id), &mismatch, 409, "conflict").await;
        let name = |id| change(id, json!({ "first-name": "x" }));
        identity.patch_refused(caller, &path(identity.admin.id), &name(identity.admin.id), 403, "forbidden").await;
        identity.patch_refused(&identity.other_admin, &path(id), &name(id), 404, "not-found").await;
        let reserved = change(id, json!({ "classification": "carium" }));
        identity.patch_refused(&identity.admin, &path(id), &reserved, 403, "forbidden").await;
        let set = identity.patch(&identity.system, &path(id), &reserved).await;
        assert_eq!(set["data"]["attributes"]["classification"], "carium");
        // Only the system changes holders of a system role.
        let part = Some(FirstGrant::SystemIn(OrganizationId(identity.acme), SystemRole::Support));
        let support = identity.person_as("support@example.com", part).await;
        identity.patch_refused(&identity.admin, &path(support.id), &name(support.id), 403, "forbidden").await;
    }

    async fn an_address_is_changed_by_a_command_too(database) {
        let identity = Identity::open(&database).await;
        let to = format!("{}change-email/", path(identity.provider.id));
        assert_eq!(identity.post(&identity.provider, &to, &json!({ "email": "new@example.com" })).await, json!(null));
        let shown = identity.get(&identity.provider, &path(identity.provider.id)).await;
        assert_eq!(shown["data"]["attributes"]["email"], "new@example.com");
        identity.post_refused(&identity.provider, &to, &json!({ "email": "admin@example.com" }), 409, "conflict").await;
        for wrong in [json!({ "email": "x" }), json!({ "email": format!("{}@example.com", "x".repeat(250)) }), json!({})] {
            identity.post_refused(&identity.provider, &to, &wrong, 400, "validation-error").await;
        }
        identity.post_refused(&identity.participant, &to, &json!({ "email": "a@example.com" }), 403, "forbidden").await;
    }

    async fn a_telephone_number_is_confirmed_if_it_is_the_users(database) {
        let identity = Identity::open(&database).await;
        let id = identity.provider.id;
        let to = format!("{}confirm-phone/", path(id));
        let number = |number: &str| json!({ "phone-number": number });
        identity.post_refused(&identity.admin, &to, &number("+12025550123"), 409, "conflict").await;
        identity.patch(&identity.provider, &path(id), &change(id, json!({ "phone": "+12025550123" }))).await;
        identity.post_refused(&identity.admin, &to, &number("+12025550124"), 409, "conflict").await;
        identity.post_refused(&identity.admin, &to, &number("+442079500000"), 400, "validation-error").await;
        identity.post_refused(&identity.provider, &to, &number("+12025550123"), 403, "forbidden").await;
        identity.post(&identity.service, &to, &number("+12025550123")).await;
        // All sessions have ended.
        identity.get_refused(&identity.provider, &path(id), 401, "unauthenticated").await;
        let shown = identity.get(&identity.admin, &path(id)).await;
        assert_eq!(shown["data"]["attributes"]["phone-verified"], true);
        let unknown = format!("{}confirm-phone/", path(Uuid::now_v7()));
        identity.post_refused(&identity.service, &unknown, &number("+12025550123"), 404, "not-found").await;
        // Another number needs its own confirmation.
        let amended = identity.patch(&identity.admin, &path(id), &change(id, json!({ "phone": "+12025550125" }))).await;
        assert_eq!(amended["data"]["attributes"]["phone-verified"], false);
        let taken = change(identity.admin.id, json!({ "phone": "+12025550125" }));
        identity.patch_refused(&identity.admin, &path(identity.admin.id), &taken, 409, "conflict").await;
    }

    async fn a_user_is_disabled_and_enabled_again(database) {
        let identity = Identity::open(&database).await;
        let id = identity.provider.id;
        let (disable, enable) = (format!("{}disable/", path(id)), format!("{}enable/", path(id)));
        let disabled = identity.post(&identity.admin, &disable, &json!({})).await;
        assert_eq!(disabled["data"]["attributes"]["state"], "disabled");
        let head = identity.head().await;
        identity.post(&identity.admin, &disable, &json!({})).await;
        assert_eq!(identity.head().await, head);
        let enabled = identity.post(&identity.admin, &enable, &json!({})).await;
        assert_eq!(enabled["data"]["attributes"]["state"], "confirmed");
        let own = format!("{}disable/", path(identity.admin.id));
        identity.post_refused(&identity.admin, &own, &json!({}), 409, "conflict").await;
        identity.post_refused(&identity.system, &own, &json!({}), 409, "conflict").await;
        identity.post_refused(&identity.other_admin, &disable, &json!({}), 404, "not-found").await;
        identity.post_refused(&identity.participant, &disable, &json!({}), 403, "forbidden").await;
        for body in [json!({ "why": "x" }), json!(null), json!([])] {
            identity.post_refused(&identity.admin, &disable, &body, 400, "validation-error").await;
        }
        // With a second admin the first one may be disabled.
        identity.person("second", identity.acme, Some(Role::Admin)).await;
        identity.post(&identity.system, &own, &json!({})).await;
        membership::archive(identity.node(), &RequestContext::system(), UserId(id)).await.unwrap();
        identity.post_refused(&identity.system, &enable, &json!({}), 409, "conflict").await;
    }

    async fn lists_show_the_visible_users(database) {
        let identity = Identity::open(&database).await;
        let all = "filter[include-participants]=true";
        let Identity { system, service, admin, provider, participant, other_admin, .. } = &identity;
        for (caller, seen) in [
            (system, those(&[system, service, admin, provider, participant, other_admin])),
            (admin, those(&[admin, provider, participant])),
            (provider, those(&[admin, provider, participant])),
            (participant, those(&[admin, provider, participant])),
            (other_admin, those(&[other_admin])),
        ] {
            let list = identity.get(caller, &format!("{ROOT}?{all}")).await;
            assert_eq!(sorted(ids(&list)), seen, "{}", caller.email);
            assert_eq!(list["meta"]["page[total]"], seen.len());
        }
        // Participants are listed only on request.
        assert_eq!(sorted(ids(&identity.get(admin, ROOT).await)), those(&[admin, provider]));
        let foreign = format!("{ROOT}?organization-id={}", identity.other);
        identity.find_nothing(admin, &foreign).await;
        let own = format!("{ROOT}?organization-id={}", identity.acme);
        assert_eq!(sorted(ids(&identity.get(system, &own).await)), those(&[admin, provider]));
    }

    async fn the_members_of_an_organization_are_counted_as_they_come_and_go(database) {
        let identity = Identity::open(&database).await;
        let Identity { system, admin, provider, participant, acme, .. } = &identity;
        // The total of the first list is stored, that of the second is counted.
        let totals = async || {
            let mut totals = Vec::new();
            for participants in ["false", "true"] {
                let list = format!("{ROOT}?organization-id={acme}&filter[include-participants]={participants}");
                for list in [list.clone(), format!("{list}&filter[cmp-last-modified-time]=%3E2000-01-01T00:00:00Z")] {
                    totals.push(identity.get(system, &list).await["meta"]["page[total]"].as_u64().unwrap());
                }
            }
            totals
        };
        assert_eq!(totals().await, [2, 2, 3, 3]);
        execute(&identity, participant.id, UserCommand::Disable { by: UserId(system.id) }).await;
        assert_eq!(totals().await, [2, 2, 2, 2]);
        execute(&identity, participant.id, UserCommand::Enable).await;
        let leaves = json!({ "data": { "type": "organizations", "attributes": { "user-id": provider.id } } });
        identity.post(admin, &format!("/v1/organizations/{acme}/remove-user/"), &leaves).await;
        assert_eq!(totals().await, [1, 1, 2, 2]);
    }

    async fn filters_by_hidden_attributes_find_nothing(database) {
        let identity = Identity::open(&database).await;
        let Identity { admin, provider, participant, .. } = &identity;
        let colleague = identity.person("colleague", identity.acme, Some(Role::Member)).await;
        execute(&identity, provider.id, UserCommand::Amend(Box::new(registrar_aggregates::user::Amendment {
            phone: Phone::parse("+12025550123").ok(),
            ..Default::default()
        }))).await;
        let individual = participant.individual.unwrap();
        let primary = format!("filter[include-participants]=true&filter[primary-individual-ids]={individual}");
        let phones = ["filter[phone-number]=%2B12025550123", "filter[username]=%2B12025550123"];
        let list = async |viewer: &Person, query: &str| ids(&identity.get(viewer, &format!("{ROOT}?{query}")).await);
        for query in phones {
            assert_eq!(list(admin, query).await, those(&[provider]), "{query}");
            assert_eq!(list(provider, query).await, those(&[provider]), "{query}");
            // The participant sees providers, but not their telephone numbers.
            assert_eq!(list(&colleague, query).await, those(&[]), "{query}");
            assert_eq!(list(&colleague, "email=provider@example.com").await, those(&[provider]));
        }
        assert_eq!(list(admin, "text=2025550123").await, those(&[]));
        assert_eq!(list(admin, &primary).await, those(&[participant]));
        assert_eq!(list(&colleague, &primary).await, those(&[]));
    }

    async fn every_filter_of_the_list(database) {
        let identity = Identity::open(&database).await;
        let Identity { system, service, admin, provider, participant, other_admin, .. } = &identity;
        execute(&identity, provider.id, UserCommand::Amend(Box::new(registrar_aggregates::user::Amendment {
            phone: Phone::parse("+12025550123").ok(),
            classification: Some(Classification::CustomerTest),
            last_name: Some("Lovelace".into()),
            ..Default::default()
        }))).await;
        execute(&identity, other_admin.id, UserCommand::Disable { by: UserId(system.id) }).await;
        let mut unknown = creation("unverified@example.com", None);
        unknown.contacts.email_verified = false;
        let unverified = Person { id: unknown.id.0, ..participant.clone() };
        membership::create(identity.node(), &RequestContext::system(), unknown, None).await.unwrap();
        let list = async |query: &str| sorted(ids(&identity.get(system, &format!("{ROOT}?{query}")).await));
        let staff = [system, service, admin, provider];
        assert_eq!(list("").await, those(&staff));
        assert_eq!(list("filter[include-inactive]=true").await, those(&[system, service, admin, provider, other_admin]));
        assert_eq!(list("filter[enabled]=false").await, those(&[other_admin]));
        assert_eq!(list("filter[include-unverified]=true").await, those(&[system, service, admin, provider, &unverified]));
        assert_eq!(list("filter[email-verified]=false").await, those(&[&unverified]));
        assert_eq!(list("email=PROVIDER@example.com").await, those(&[provider]));
        assert_eq!(list("filter[username]=provider@example.com").await, those(&[provider]));
        assert_eq!(list("filter[phone-number]=%2B12025550123").await, those(&[provider]));
        assert_eq!(list("filter[classification]=customer_test").await, those(&[provider]));
        assert_eq!(list("filter[include-tester]=false").await, those(&[system, service, admin]));
        assert_eq!(list("text=lovela").await, those(&[provider]));
        assert_eq!(list("filter[registration-invite]=sent").await, those(&[]));
        assert_eq!(list("filter[registration-invite]=sent&filter[registration-invite]=none").await, those(&staff));
        let individual = participant.individual.unwrap();
        let primary = format!("filter[include-participants]=true&filter[primary-individual-ids]={individual}");
        assert_eq!(list(&primary).await, those(&[participant]));
        let shared = format!("filter[include-participants]=true&shared-with-id={}", identity.acme);
        assert_eq!(list(&shared).await, those(&[participant]));
        let admins = format!("organization-id={}&filter[organization-admin]=true", identity.acme);
        assert_eq!(list(&admins).await, those(&[admin]));
        assert_eq!(list("filter[cmp-last-modified-time]=%3E2000-01-01T00:00:00Z").await, those(&staff));
        assert_eq!(list("filter[cmp-last-modified-time]=%3C2000-01-01T00:00:00Z").await, those(&[]));
        let emails = async |sort: &str| {
            let list = identity.get(system, &format!("{ROOT}?sort-by={sort}")).await;
            let rows = list["data"].as_array().unwrap().clone();
            rows.iter().map(|row| row["attributes"]["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let by_email = emails("email").await;
        assert!(by_email.is_sorted() && by_email.len() == 4, "{by_email:?}");
        assert_eq!(emails("-email").await, by_email.into_iter().rev().collect::<Vec<_>>());
        for sort in ["first-name", "-first-name", "last-name", "-last-name", "id", "-id"] {
            assert_eq!(emails(sort).await.len(), 4);
        }
        for wrong in [
            "sort-by=colour", "sort-by=email&sort-by=id", "filter[organization-admin]=false", "filter[phone-number]=555",
            "filter[cmp-last-modified-time]=%3E%3D2000-01-01T00:00:00Z", "organization-id=x", "page[limit]=0", "colour=red",
            "filter[enabled]=maybe", "filter[cmp-last-modified-time]=a&filter[cmp-last-modified-time]=b&filter[cmp-last-modified-time]=c",
        ] {
            identity.get_refused(system, &format!("{ROOT}?{wrong}"), 400, "validation-error").await;
        }
    }
}
