//! Pending addresses: which one signs in meanwhile, which accounts they identify, when they count as taken, and how the
//! wait ends. Also the rules for names, addresses and preferences.

use crate::app::{Identity, creation, ids, refusal, token};
use crate::on_both_stores;
use crate::sign_in::{attempt, sign_in, with_password};
use chrono::TimeDelta;
use registrar::executor::RequestContext;
use registrar::processes::accounts::{self, Contact, WAIT_MAX};
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::{user_by_id, user_by_sign_in_name, user_by_verified_email, user_by_verified_phone};
use registrar_aggregates::user::{Amendment, Phone, Role};
use registrar_aggregates::values::{EmailAddress, OrganizationId, SessionId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

fn path(id: Uuid) -> String {
    format!("/v1/users/{id}/")
}

fn change(id: Uuid, attributes: &Value) -> Value {
    json!({ "data": { "type": "users", "id": id, "attributes": attributes } })
}

fn to(email: &str) -> Value {
    json!({ "email": email })
}

fn contact(email: &str) -> Contact {
    Contact::Email(EmailAddress::parse(email).unwrap())
}

fn add(email: &str) -> Value {
    json!({ "data": { "type": "organizations", "attributes": { "email": email } } })
}

async fn is_no_name(identity: &Identity, name: &str) {
    let body = json!({ "username": name, "password": crate::app::PASSWORD });
    refusal(&attempt(identity, &body).await, 401, "bad-credentials");
}

/// A user as a system admin reads it.
async fn shown(identity: &Identity, id: Uuid) -> Value {
    identity.get(&identity.system, &path(id)).await["data"]["attributes"].take()
}

on_both_stores! {
    async fn the_old_address_is_the_name_until_the_new_one_is_confirmed(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Member, |_| {}).await;
        let change_email = format!("{}change-email/", path(id));
        identity.post(&identity.admin, &change_email, &to("new.doctor@b.example")).await;
        let user = shown(&identity, id).await;
        assert_eq!((&user["email"], &user["email-verified"]), (&json!("new.doctor@b.example"), &json!(false)));
        assert_eq!(user["username"], "ada@example.com");
        is_no_name(&identity, "new.doctor@b.example").await;
        let session = sign_in(&identity, "ada@example.com").await;

        // The pending address identifies no user, neither for admins elsewhere nor for lists of addresses.
        let add_user = format!("/v1/organizations/{}/add-user/", identity.other);
        identity.post_refused(&identity.other_admin, &add_user, &add("new.doctor@b.example"), 400, "validation-error").await;
        let node = identity.node();
        assert!(user_by_verified_email(node, "new.doctor@b.example").await.unwrap().is_none());
        assert!(user_by_sign_in_name(node, "new.doctor@b.example").await.unwrap().is_none());
        assert_eq!(user_by_verified_email(node, "ADA@example.com").await.unwrap().unwrap().profile.id.0, id);
        // The user still counts as verified and is in the list of verified users.
        let list = identity.get(&identity.system, "/v1/users/?filter[include-participants]=true").await;
        assert!(ids(&list).contains(&id.to_string()));

        // The requesting session goes on, others end.
        let (system, asking) = (RequestContext::system(), session["session-id"].as_str().unwrap());
        let asking = SessionId(Uuid::try_parse(asking).unwrap());
        let before = token(&identity.app, id).await;
        let done = accounts::confirm_contact(node, &system, UserId(id), Some(asking), contact("New.Doctor@b.example")).await.unwrap();
        assert_eq!(done.events[0].metadata.organization_id, Some(identity.acme.to_string()));
        let call = |token: &str| identity.app.call("GET", &path(id)).token(Some(token));
        assert_eq!(call(&before).send().await.status, 401);
        assert_eq!(call(session["access-token"].as_str().unwrap()).send().await.status, 200);
        assert_eq!(sign_in(&identity, "new.doctor@b.example").await["username"], "new.doctor@b.example");
        is_no_name(&identity, "ada@example.com").await;
        identity.post(&identity.other_admin, &add_user, &add("new.doctor@b.example")).await;
        // The former address is free again.
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        sign_in(&identity, "ada@example.com").await;
    }

    async fn a_pending_address_is_taken_and_a_replaced_one_is_free(database) {
        let identity = Identity::open(&database).await;
        let (provider, admin) = (&identity.provider, &identity.admin);
        let own = format!("{}change-email/", path(provider.id));
        let other = format!("{}change-email/", path(admin.id));
        identity.post(provider, &own, &to("new@example.com")).await;
        for taken in ["NEW@example.com", "provider@example.com"] {
            identity.post_refused(admin, &other, &to(taken), 409, "conflict").await;
        }
        identity.post(provider, &own, &to("newer@example.com")).await;
        identity.post(admin, &other, &to("new@example.com")).await;
        identity.post_refused(admin, &other, &to("newer@example.com"), 409, "conflict").await;
        // Going back to the verified address needs no code and frees the pending one.
        identity.post(provider, &own, &to("Provider@example.com")).await;
        let user = shown(&identity, provider.id).await;
        assert_eq!((&user["email"], &user["email-verified"]), (&json!("provider@example.com"), &json!(true)));
        identity.post(admin, &other, &to("newer@example.com")).await;
        assert_eq!(shown(&identity, admin.id).await["username"], "admin@example.com");
    }

    async fn an_address_that_waits_for_a_day_is_reverted(database) {
        let identity = Identity::open(&database).await;
        let (node, id) = (identity.node(), identity.provider.id);
        let verified = with_password(&identity, "ada@example.com", Role::Provider, |creation| {
            creation.contacts.phone = Phone::parse("+12025550123").ok();
            creation.contacts.phone_verified = true;
        }).await;
        identity.post(&identity.provider, &format!("{}change-email/", path(id)), &to("new@example.com")).await;
        identity.patch(&identity.admin, &path(verified), &change(verified, &json!({ "phone": "+12025550124" }))).await;
        assert_eq!(user_by_verified_phone(node, "+12025550123").await.unwrap().unwrap().profile.id.0, verified);
        assert!(user_by_verified_phone(node, "+12025550124").await.unwrap().is_none());
        let head = identity.head().await;
        assert_eq!(accounts::revert_overdue(node, WAIT_MAX).await.unwrap(), 0);
        assert_eq!(identity.head().await, head);
        assert_eq!(accounts::revert_overdue(node, TimeDelta::zero()).await.unwrap(), 2);
        assert_eq!(identity.head().await, head + 2);
        assert_eq!(accounts::revert_overdue(node, TimeDelta::zero()).await.unwrap(), 0);
        assert_eq!(identity.head().await, head + 2);
        let user = shown(&identity, id).await;
        assert_eq!((&user["email"], &user["email-verified"]), (&json!("provider@example.com"), &json!(true)));
        let user = shown(&identity, verified).await;
        assert_eq!((&user["phone"], &user["phone-verified"]), (&json!("+12025550123"), &json!(true)));
        // Sessions go on, and the pending address is free again.
        identity.get(&identity.provider, &path(id)).await;
        identity.post(&identity.admin, &format!("{}change-email/", path(identity.admin.id)), &to("new@example.com")).await;
    }

    async fn the_address_in_other_letters_is_no_change(database) {
        let identity = Identity::open(&database).await;
        let id = identity.provider.id;
        let head = identity.head().await;
        identity.post(&identity.provider, &format!("{}change-email/", path(id)), &to("PROVIDER@Example.com")).await;
        identity.patch(&identity.provider, &path(id), &change(id, &json!({ "email": "Provider@example.com" }))).await;
        assert_eq!(identity.head().await, head);
        let user = shown(&identity, id).await;
        assert_eq!((&user["email"], &user["email-verified"]), (&json!("provider@example.com"), &json!(true)));
        assert!(ids(&identity.get(&identity.admin, "/v1/users/").await).contains(&id.to_string()));
    }

    async fn a_verified_number_beside_an_unverified_address_is_listed(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |creation| {
            creation.contacts.email_verified = false;
            creation.contacts.phone = Phone::parse("+12025550123").ok();
            creation.contacts.phone_verified = true;
        }).await;
        assert!(ids(&identity.get(&identity.admin, "/v1/users/").await).contains(&id.to_string()));
        let verified = identity.get(&identity.admin, "/v1/users/?filter[email-verified]=true").await;
        assert!(!ids(&verified).contains(&id.to_string()));
        // She signs in with the verified number.
        sign_in(&identity, "+12025550123").await;
        is_no_name(&identity, "ada@example.com").await;
    }

    async fn an_unverified_address_identifies_its_user_at_sign_in_alone(database) {
        let identity = Identity::open(&database).await;
        let unverified = |creation: &mut registrar_aggregates::user::Creation| creation.contacts.email_verified = false;
        with_password(&identity, "ada@example.com", Role::Provider, unverified).await;
        let add_user = format!("/v1/organizations/{}/add-user/", identity.other);
        identity.post_refused(&identity.other_admin, &add_user, &add("ada@example.com"), 400, "validation-error").await;
        assert!(user_by_verified_email(identity.node(), "ada@example.com").await.unwrap().is_none());
        sign_in(&identity, "ada@example.com").await;
    }

    async fn an_account_has_the_home_that_it_was_created_through(database) {
        let identity = Identity::open(&database).await;
        let (node, system) = (identity.node(), RequestContext::system());
        let home = async |id: Uuid| user_by_id(node, UserId(id)).await.unwrap().unwrap().home().map(|home| home.0);
        assert_eq!(home(identity.system.id).await, None);
        let id = identity.provider.id;
        assert_eq!(home(id).await, Some(identity.acme));
        let [acme, other] = [identity.acme, identity.other].map(OrganizationId);
        membership::join(node, &system, &registrar_aggregates::granting::Granter::system(), UserId(id), other, None).await.unwrap();
        assert_eq!(home(id).await, Some(identity.acme));
        membership::leave(node, &system, UserId(id), acme).await.unwrap();
        assert_eq!(home(id).await, Some(identity.other));
        membership::leave(node, &system, UserId(id), other).await.unwrap();
        assert_eq!(home(id).await, None);
        membership::join(node, &system, &registrar_aggregates::granting::Granter::system(), UserId(id), acme, None).await.unwrap();
        assert_eq!(home(id).await, None);
        // A home in the creation is ignored: the membership decides.
        let mut of_other = creation("ada@example.com", None);
        of_other.home = Some(registrar_aggregates::user::Home::of(other));
        let ada = of_other.id.0;
        membership::create(node, &system, of_other, Some(FirstGrant::Member(acme, None))).await.unwrap();
        assert_eq!(home(ada).await, Some(identity.acme));
        // Events of the account belong to the home organization.
        let renamed = Amendment { first_name: Some("Augusta".into()), ..Amendment::default() };
        let done = accounts::amend(node, &system, UserId(ada), renamed, None).await.unwrap();
        assert_eq!(done.events[0].metadata.organization_id, Some(identity.acme.to_string()));
    }

    async fn preferences_are_answered_as_they_are_kept(database) {
        let identity = Identity::open(&database).await;
        let (id, caller) = (identity.provider.id, &identity.provider);
        let body = format!(
            r#"{{"data":{{"type":"users","id":"{id}","attributes":{{"communication-preferences":{{"sms":{{"n":[1e2,-0.0,100.0,0.1,9007199254740992]}}}}}}}}}}"#
        );
        let call = identity.call(caller, "PATCH", &path(id)).json(&serde_json::from_str::<Value>(&body).unwrap());
        let answer = call.send().await;
        let kept = r#"{"sms":{"n":[100,0,100,0.1,9007199254740992]}}"#;
        assert!(answer.status == 200 && answer.text.contains(kept), "{answer:?}");
        assert!(identity.call(caller, "GET", &path(id)).send().await.text.contains(kept));
        // A second node folds the preferences from the journal.
        let node = database.open().await;
        let (_, state) = node.executor.state::<registrar_aggregates::user::User>(&id.to_string()).await.unwrap();
        let preferences = &state.profile().unwrap().preferences;
        assert_eq!(serde_json::to_string(preferences).unwrap(), kept);
        let deep = (0..8).fold(json!(true), |inner, _| json!({ "a": inner }));
        let many: serde_json::Map<_, _> = (0..101).map(|number| (format!("m{number}"), json!(1))).collect();
        for wishes in [
            json!({ "a": "x".repeat(16 * 1024) }), json!({ "a": 9_007_199_254_740_993_u64 }), json!({ "a": 1e300 }),
            json!(many), deep,
        ] {
            let body = change(id, &json!({ "communication-preferences": { "email": wishes } }));
            let error = identity.patch_refused(caller, &path(id), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/communication-preferences");
        }
    }

    async fn names_with_invisible_characters_are_refused(database) {
        let identity = Identity::open(&database).await;
        let id = identity.provider.id;
        for hidden in ['\u{200b}', '\u{ad}', '\u{202e}', '\u{feff}', '\u{2066}', '\u{61c}'] {
            let like = |text: &str| text.replacen('o', &format!("o{hidden}"), 1);
            for (name, value) in [("email", like("someone@example.com")), ("first-name", like("Doe")), ("last-name", like("Doe"))] {
                let error = identity.patch_refused(&identity.provider, &path(id), &change(id, &json!({ name: value })), 400, "validation-error").await;
                assert_eq!(error["source"]["pointer"], format!("/data/attributes/{name}"));
            }
            let group = crate::groups::new_group_with(identity.acme, &like("North"), &json!({}));
            identity.post_refused(&identity.admin, "/v1/individual-groups/", &group, 400, "validation-error").await;
            let named = json!({ "data": { "type": "organizations", "attributes": { "name": like("other-one"), "display-name": "Other" } } });
            identity.post_refused(&identity.system, "/v1/organizations/", &named, 400, "validation-error").await;
        }
        for feature in [".", ".."] {
            let body = json!({ "data": { "type": "features", "id": feature, "attributes": { "global-enabled": true } } });
            identity.post_refused(&identity.system, "/v1/features/", &body, 400, "validation-error").await;
        }
    }

    async fn names_that_differ_at_their_very_end_are_told_apart(database) {
        let identity = Identity::open(&database).await;
        let [one, other] = ["a", "b"].map(|end| format!("{}{end}", "\u{1d49c}".repeat(200)));
        let group = identity.ward(&one).await;
        identity.ward(&other).await;
        let encoded: String = one.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let found = identity.get(&identity.admin, &format!("/v1/individual-groups/?name={encoded}")).await;
        assert_eq!(ids(&found), [group]);
    }
}
