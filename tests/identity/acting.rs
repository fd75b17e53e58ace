//! Actors and the organizations where they act: sessions that programs open on behalf of users, organizations with
//! their own sign-in, and retired and deleted organizations.

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::on_both_stores;
use crate::sign_in::{attempt, sign_in, with_password};
use chrono::Utc;
use registrar::auth::permissions::AUDITOR;
use registrar::auth::{Authenticator, TokenRequest};
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::sessions::{self, Person as Whose, SessionRequest};
use registrar::processes::{organizations, user_by_id};
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, ListEdit};
use registrar_aggregates::organization::{Organization, OrganizationCommand, Stamp, TenancyAmendment};
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{AdminId, OrganizationId, UserId};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const SYNTHETIC: &str = "/v1/synthetic-user-tokens/";
const URL: &str = "https://idp.example.org/start";

fn for_user(user: Uuid) -> Value {
    json!({ "data": { "user-id": user } })
}

/// A session that the service account opens on behalf of `person`.
async fn represented(identity: &Identity, person: &Person) -> Person {
    let made = identity.post(&identity.service, SYNTHETIC, &for_user(person.id)).await;
    Person { token: made["data"]["access-token"].as_str().unwrap().to_owned(), ..person.clone() }
}

/// Metadata of the last event.
async fn last_metadata(identity: &Identity) -> Value {
    let head = identity.head().await;
    identity.app.get(&format!("/audit/events/{head}")).await.ok()["metadata"].clone()
}

/// Gives an organization its own sign-in.
async fn binds(identity: &Identity, organization: Uuid) {
    let amendment = TenancyAmendment { sign_in_url: Some(Some(URL.into())), ..TenancyAmendment::default() };
    let context = RequestContext::system();
    organizations::amend(identity.node(), &context, OrganizationId(organization), amendment, None).await.unwrap();
}

async fn ends(identity: &Identity, organization: Uuid, command: OrganizationCommand) {
    let context = RequestContext::system().within(OrganizationId(organization));
    let executor = &identity.node().executor;
    executor.execute::<Organization>(&context, &organization.to_string(), command, None).await.unwrap();
}

async fn retire(identity: &Identity, organization: Uuid) {
    let command = OrganizationCommand::Retire { grounds: None, stamp: Stamp::at(Utc::now()) };
    ends(identity, organization, command).await;
}

async fn join(identity: &Identity, person: Uuid, organization: Uuid, role: Role) {
    let context = RequestContext::system();
    membership::join(
        identity.node(),
        &context,
        &registrar_aggregates::granting::Granter::system(),
        UserId(person),
        OrganizationId(organization),
        Some(role),
    )
    .await
    .unwrap();
}

/// The person in a session that was opened through the organization's own sign-in.
async fn signed_in_via(identity: &Identity, person: &Person, organization: Uuid) -> Person {
    let authenticator: &Authenticator = &identity.app.state.authenticator;
    let user = user_by_id(identity.node(), UserId(person.id)).await.unwrap().unwrap();
    let organization = Some(OrganizationId(organization));
    let wish = SessionRequest { organization, via: organization, ..SessionRequest::plain(Origin::SignIn) };
    let context = RequestContext::system();
    let opened = sessions::open(identity.node(), authenticator, &context, &Whose::User(user), &wish).await.unwrap();
    Person { token: opened.tokens.access, ..person.clone() }
}

fn switching(organization: Uuid) -> Value {
    json!({ "organization-id": organization, "set-default": false })
}

on_both_stores! {
    async fn events_name_the_session_in_which_they_were_caused(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let info = sign_in(&identity, "ada@example.com").await;
        let opened = last_metadata(&identity).await;
        assert_eq!(opened["session"], info["session-id"]);
        assert_eq!(opened["actor"]["id"], info["user-id"]);
        assert!(opened.get("onBehalfOf").is_none());
        let ada = Person { token: info["access-token"].as_str().unwrap().to_owned(), ..identity.provider.clone() };
        let id = info["user-id"].as_str().unwrap();
        identity.patch(&ada, &format!("/v1/users/{id}/"), &json!({
            "data": { "type": "users", "id": id, "attributes": { "first-name": "Augusta" } }
        })).await;
        assert_eq!(last_metadata(&identity).await["session"], info["session-id"]);
    }

    async fn no_program_acts_as_a_holder_of_a_system_role(database) {
        let identity = Identity::open(&database).await;
        let support = identity.person_as("support@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        for target in [&identity.system, &support, &identity.service] {
            identity.post_refused(&identity.service, SYNTHETIC, &for_user(target.id), 403, "forbidden").await;
        }
        // Nor may it act for a user who was given a system role since.
        let provider = represented(&identity, &identity.provider).await;
        identity.get(&provider, "/v1/organizations/").await;
        let user = UserId(identity.provider.id);
        membership::grant_system(identity.node(), &RequestContext::system(), &registrar_aggregates::granting::Granter::system(), user, SystemRole::Support).await.unwrap();
        identity.get_refused(&provider, "/v1/organizations/", 401, "unauthenticated").await;
    }

    async fn the_program_is_the_actor_and_the_user_the_one_it_acts_for(database) {
        let identity = Identity::open(&database).await;
        let provider = represented(&identity, &identity.provider).await;
        let who = identity.post(&provider, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["user-id"], json!(identity.provider.id));
        let path = format!("/v1/users/{}/", provider.id);
        let body = json!({ "data": { "type": "users", "id": provider.id, "attributes": { "first-name": "Augusta" } } });
        identity.patch(&provider, &path, &body).await;
        let metadata = last_metadata(&identity).await;
        assert_eq!((&metadata["actor"]["type"], &metadata["actor"]["id"]), (&json!("api"), &json!(identity.service.id)));
        assert_eq!(metadata["onBehalfOf"], json!({ "type": "user", "id": identity.provider.id }));
        assert_eq!(metadata["session"], who["data"]["session-id"]);
        // The session has the rights of the user, and no more.
        identity.get_refused(&provider, &format!("/v1/users/{}/", identity.other_admin.id), 404, "not-found").await;
        // Disabling the program ends the sessions that it opened.
        identity.post(&identity.system, &format!("/v1/users/{}/disable/", identity.service.id), &json!({})).await;
        identity.get_refused(&provider, "/v1/organizations/", 401, "unauthenticated").await;
    }

    async fn sessions_that_an_admin_opened_end_with_its_right_to_open_them(database) {
        let identity = Identity::open(&database).await;
        let admin = Person { token: identity.app.token.clone(), ..identity.system.clone() };
        let made = identity.post(&admin, SYNTHETIC, &for_user(identity.provider.id)).await;
        let opened = Person { token: made["data"]["access-token"].as_str().unwrap().to_owned(), ..identity.provider.clone() };
        identity.get(&opened, "/v1/organizations/").await;
        let change = AdminChange::Policies(ListEdit::Set(vec![AUDITOR.id.into()]));
        let command = AdminCommand::Amend(vec![change], Granter::System);
        let context = RequestContext::system();
        identity.node().executor.execute::<Admin>(&context, &identity.app.caller, command, None).await.unwrap();
        identity.get_refused(&opened, "/v1/organizations/", 401, "unauthenticated").await;
    }

    async fn a_token_that_is_narrowed_to_a_retired_organization_administers_nothing(database) {
        let identity = Identity::open(&database).await;
        let request = TokenRequest {
            admin_id: AdminId(identity.app.caller.parse().unwrap()),
            ttl: Duration::from_secs(600),
            organization: Some(identity.acme.to_string()),
            permissions: None,
        };
        let (node, context) = (identity.node(), RequestContext::system());
        let token = identity.app.state.authenticator.issue(node, &context, request).await.unwrap();
        let narrowed = Person { token, ..identity.system.clone() };
        let provider = format!("/v1/users/{}/", identity.provider.id);
        identity.get(&narrowed, &provider).await;
        retire(&identity, identity.acme).await;
        identity.get_refused(&narrowed, &provider, 404, "not-found").await;
        let disable = format!("{provider}disable/");
        identity.post_refused(&narrowed, &disable, &json!({}), 403, "forbidden").await;
    }

    async fn a_program_changes_nothing_of_the_account_it_acts_for(database) {
        let identity = Identity::open(&database).await;
        let admin = represented(&identity, &identity.admin).await;
        let acme = OrganizationId(identity.acme);
        let own = format!("/v1/users/{}/", admin.id);
        let document = |kind: &str, attributes: Value| json!({ "data": { "type": kind, "attributes": attributes } });
        let provider = identity.provider.id;
        let roles = |role: Role| format!("/v1/roles/{}/", role.id(acme));
        let phone = json!({ "data": { "type": "users", "id": admin.id, "attributes": { "phone": "+12025550199" } } });
        identity.patch_refused(&admin, &own, &phone, 403, "forbidden").await;
        for (path, body) in [
            (format!("{own}change-email/"), json!({ "email": "thief@example.com" })),
            (format!("/v1/users/{provider}/change-email/"), json!({ "email": "thief@example.com" })),
            (format!("/v1/users/{provider}/confirm-phone/"), json!({ "phone-number": "+12025550199" })),
            (format!("{own}confirm-contact/"), json!({ "confirmation-code": "123456" })),
            (format!("{own}change-password/"), json!({ "old-password": PASSWORD, "new-password": "gJ7#pQ2!xyzw" })),
            ("/v1/mfa-totp/".into(), json!({})),
            (format!("{}add-user/", roles(Role::Admin)), document("roles", json!({ "user-id": provider }))),
            (format!("{}remove-user/", roles(Role::Provider)), document("roles", json!({ "user-id": provider }))),
            (
                format!("/v1/organizations/{acme}/remove-user/"),
                document("organizations", json!({ "user-id": provider })),
            ),
        ] {
            let before = identity.head().await;
            let answer = identity.call(&admin, "POST", &path).json(&body).send().await;
            assert_eq!(answer.status, 403, "{path}: {answer:?}");
            assert_eq!(identity.head().await, before, "{path}");
        }
        // The session opens no other one, but may end itself.
        identity.post_refused(&admin, SYNTHETIC, &for_user(provider), 403, "forbidden").await;
        identity.post(&admin, "/v1/logout/", &json!({})).await;
        identity.get_refused(&admin, "/v1/organizations/", 401, "unauthenticated").await;
    }

    async fn a_program_sees_no_secret_of_the_user_it_acts_for(database) {
        let identity = Identity::open(&database).await;
        let made = identity.post(&identity.provider, "/v1/mfa-totp/", &json!({})).await;
        assert!(made["data"]["attributes"]["secret"].is_object());
        let provider = represented(&identity, &identity.provider).await;
        let listed = identity.get(&provider, "/v1/mfa-totp/").await;
        assert_eq!(listed["data"][0]["attributes"]["secret"], json!(null));
    }

    async fn staff_enter_an_organization_with_its_own_sign_in_by_that_alone(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        join(&identity, id, identity.other, Role::Provider).await;
        let info = sign_in(&identity, "ada@example.com").await;
        let ada = Person { id, email: "ada@example.com".into(), individual: None, token: info["access-token"].as_str().unwrap().into() };
        let stranger = format!("/v1/users/{}/", identity.other_admin.id);
        identity.get(&ada, &stranger).await;
        binds(&identity, identity.other).await;
        // The default organization stays Acme, and so does the session; roles in the other organization do not count in
        // it.
        identity.get_refused(&ada, &stranger, 404, "not-found").await;
        let switch = format!("/v1/users/{id}/switch-organization/");
        let error = identity.post_refused(&ada, &switch, &switching(identity.other), 403, "sso-required").await;
        assert_eq!(error["meta"]["redirect-url"], URL);
        let synthetic = json!({ "data": { "user-id": id, "organization-id": identity.other } });
        identity.post_refused(&identity.service, SYNTHETIC, &synthetic, 403, "sso-required").await;
        assert_eq!(attempt(&identity, &json!({ "username": "ada@example.com", "password": PASSWORD })).await.status, 201);
        let inside = signed_in_via(&identity, &ada, identity.other).await;
        identity.get(&inside, &stranger).await;
        let who = identity.post(&inside, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["organization-id"], json!(identity.other));
        assert_eq!(who["data"]["roles"], json!(["org.provider"]));
        // Sessions in that organization that were opened elsewhere have ended.
        identity.get_refused(&identity.other_admin, "/v1/organizations/", 401, "unauthenticated").await;
    }

    async fn members_neither_sign_in_nor_switch_into_a_retired_organization(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        with_password(&identity, "grace@example.com", Role::Provider, |_| {}).await;
        join(&identity, id, identity.other, Role::Provider).await;
        let before = sign_in(&identity, "ada@example.com").await;
        let token = before["access-token"].as_str().unwrap().to_owned();
        retire(&identity, identity.acme).await;
        let read = identity.app.call("GET", "/v1/organizations/").token(Some(&token));
        identity.refused(read, 401, "unauthenticated").await;
        let refresh = identity.app.call("POST", "/v1/refresh-token/").token(None);
        identity.refused(refresh.json(&json!({ "refresh-token": before["refresh-token"] })), 401, "unauthenticated").await;
        // The session starts in the oldest remaining membership.
        let after = sign_in(&identity, "ada@example.com").await;
        let token = after["access-token"].as_str().unwrap().to_owned();
        let ada = Person { id, email: "ada@example.com".into(), individual: None, token };
        let who = identity.post(&ada, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["organization-id"], json!(identity.other));
        let switch = format!("/v1/users/{id}/switch-organization/");
        identity.post_refused(&ada, &switch, &switching(identity.acme), 403, "organization-retired").await;
        let login = |password: &str| {
            let body = json!({ "username": "grace@example.com", "password": password });
            identity.app.call("POST", "/v1/login/").token(None).json(&body)
        };
        identity.refused(login(PASSWORD), 403, "organization-retired").await;
        refusal(&login("wrong").send().await, 401, "bad-credentials");
    }

    async fn members_of_a_deleted_organization_sign_in_without_it(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let ada = sign_in(&identity, "ada@example.com").await["access-token"].as_str().unwrap().to_owned();
        ends(&identity, identity.acme, OrganizationCommand::Delete(Stamp::at(Utc::now()))).await;
        identity.refused(identity.app.call("GET", "/v1/organizations/").token(Some(&ada)), 401, "unauthenticated").await;
        let info = sign_in(&identity, "ada@example.com").await;
        let token = info["access-token"].as_str().unwrap().to_owned();
        let ada = Person { id, email: "ada@example.com".into(), individual: None, token };
        assert_eq!(identity.post(&ada, "/v1/authenticate/", &json!({})).await["data"]["organization-id"], json!(null));
    }
}
