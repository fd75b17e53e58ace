//! Sessions over HTTP: refreshed, moved to another organization, and ended by every cause.

mod suite;

pub use suite::SUITE;

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::on_both_stores;
use crate::shapes;
use crate::sign_in::{attempt, sign_in, with_password};
use crate::support::Database;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use registrar::api::ApiSettings;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use uuid::Uuid;

/// A person who has just signed in.
struct SignedInPerson {
    person: Person,
    info: Value,
}

async fn signed_in(identity: &Identity, email: &str) -> SignedInPerson {
    let info = sign_in(identity, email).await;
    let text = |name: &str| info[name].as_str().unwrap().to_owned();
    let person = Person {
        id: text("user-id").parse().unwrap(),
        email: email.into(),
        individual: None,
        token: text("access-token"),
    };
    SignedInPerson { person, info }
}

impl SignedInPerson {
    async fn refresh(&self, identity: &Identity) -> crate::ecg_app::Answer {
        let body = json!({ "refresh-token": self.info["refresh-token"] });
        let answer = identity.app.call("POST", "/v1/refresh-token/").token(None).json(&body).send().await;
        shapes::check("POST", "/v1/refresh-token/", &answer);
        answer
    }

    async fn is_over(&self, identity: &Identity) {
        let read = identity.call(&self.person, "GET", "/v1/organizations/").send().await;
        refusal(&read, 401, "unauthenticated");
        let head = identity.head().await;
        refusal(&self.refresh(identity).await, 401, "unauthenticated");
        assert_eq!(identity.head().await, head);
    }

    async fn goes_on(&self, identity: &Identity) {
        identity.get(&self.person, "/v1/organizations/").await;
        assert_eq!(self.refresh(identity).await.status, 201);
    }

    /// The claims of the token.
    fn claims(&self) -> Value {
        claims(&self.person.token)
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL.decode(payload).unwrap()).unwrap()
}

fn digest(token: &str) -> String {
    Sha512::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server with two configured programs, and the account that one of them acts as.
async fn with_workloads(database: &Database) -> (Identity, Uuid) {
    let account = Uuid::now_v7();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workloads.json");
    let listed = json!([
        { "namespace": "clinic", "name": "records", "token-sha512": digest("records' token"), "user": account },
        { "namespace": "clinic", "name": "idle", "token-sha512": digest("idle's token") },
    ]);
    crate::support::write_private(&file, &listed.to_string());
    let workloads = registrar::auth::workloads::Workloads::read(&file).unwrap();
    let identity = Identity::with(database, ApiSettings { workloads, ..ApiSettings::default() }).await;
    let mut creation = crate::app::creation("records@example.com", None);
    creation.id = UserId(account);
    let part = Some(FirstGrant::System(SystemRole::Service));
    membership::create(identity.node(), &RequestContext::system(), creation, part).await.unwrap();
    (identity, account)
}

on_both_stores! {
    async fn a_session_is_refreshed_any_number_of_times(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let session = signed_in(&identity, "ada@example.com").await;
        for _ in 0..2 {
            let refreshed = session.refresh(&identity).await.ok();
            assert!(refreshed.get("refresh-token").is_none());
            assert_eq!(refreshed["session-id"], session.info["session-id"]);
            let token = refreshed["access-token"].as_str().unwrap();
            assert_eq!(identity.app.call("GET", "/v1/organizations/").token(Some(token)).send().await.status, 200);
        }
        session.goes_on(&identity).await;
        let shown = session.info["refresh-token"].as_str().unwrap();
        let other = format!("{}.{}", shown.split('.').next().unwrap(), BASE64URL.encode([7; 32]));
        for wrong in ["", "x", "a.b", &other, &session.person.token, &format!("{}.x", Uuid::now_v7())] {
            let call = identity.app.call("POST", "/v1/refresh-token/").token(None).json(&json!({ "refresh-token": wrong }));
            identity.refused(call, 401, "unauthenticated").await;
        }
    }

    async fn sessions_have_the_requested_lifetimes(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let life = |token: &Value| {
            let claims = claims(token.as_str().unwrap());
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
        };
        for (sticky, refreshed_life) in [(true, 60), (false, 3600)] {
            let body = json!({
                "username": "ada@example.com", "password": PASSWORD, "access-token-expiration-seconds": 60,
                "sticky-access-token-expiration": sticky, "refresh-token-expiration-seconds": 100_000_000,
            });
            let info = attempt(&identity, &body).await.ok();
            assert_eq!(life(&info["access-token"]), 60);
            let refresh = json!({ "refresh-token": info["refresh-token"] });
            let again = identity.app.call("POST", "/v1/refresh-token/").token(None).json(&refresh).send().await.ok();
            assert_eq!(life(&again["access-token"]), refreshed_life);
        }
        assert_eq!(life(&sign_in(&identity, "ada@example.com").await["access-token"]), 3600);
        // A whole number may have a decimal point; a fraction or a number out of bounds is refused, not clamped.
        let login = |name: &str, seconds: &str| {
            let body = format!(r#"{{"username":"ada@example.com","password":"{PASSWORD}","{name}":{seconds}}}"#);
            identity.app.call("POST", "/v1/login/").token(None).header("content-type", "application/json").bytes(body)
        };
        let (access, refresh) = ("access-token-expiration-seconds", "refresh-token-expiration-seconds");
        let info = login(access, "60.0").send().await.ok();
        assert_eq!(life(&info["access-token"]), 60);
        for (name, seconds) in [(access, "1.5"), (refresh, "1.5"), (refresh, "18446744073709551616"), (refresh, "1e300")] {
            let error = identity.refused(login(name, seconds), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/{name}"));
        }
    }

    async fn a_session_ends_when_its_user_signs_out(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (one, other) = (signed_in(&identity, "ada@example.com").await, signed_in(&identity, "ada@example.com").await);
        identity.post(&one.person, "/v1/logout/", &json!({})).await;
        one.is_over(&identity).await;
        other.goes_on(&identity).await;
        identity.refused(identity.app.call("POST", "/v1/logout/").json(&json!({})), 409, "conflict").await;
    }

    async fn sessions_end_when_their_user_is_disabled_removed_or_archived(database) {
        let identity = Identity::open(&database).await;
        let node = identity.node();
        let system = RequestContext::system();
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let before = signed_in(&identity, "ada@example.com").await;
        let path = format!("/v1/users/{id}/disable/");
        identity.post(&identity.admin, &path, &json!({})).await;
        before.is_over(&identity).await;
        identity.post(&identity.admin, &format!("/v1/users/{id}/enable/"), &json!({})).await;
        before.is_over(&identity).await;
        // A member who was removed and comes back has to sign in again.
        let before = signed_in(&identity, "ada@example.com").await;
        let removal = json!({ "data": { "type": "organizations", "attributes": { "user-id": id } } });
        identity.post(&identity.admin, &format!("/v1/organizations/{}/remove-user/", identity.acme), &removal).await;
        before.is_over(&identity).await;
        membership::join(node, &system, &Granter::system(), UserId(id), OrganizationId(identity.acme), Some(Role::Provider)).await.unwrap();
        before.is_over(&identity).await;
        let before = signed_in(&identity, "ada@example.com").await;
        before.goes_on(&identity).await;
        membership::archive(node, &system, UserId(id)).await.unwrap();
        before.is_over(&identity).await;
    }

    async fn a_role_that_was_taken_away_is_not_used_again(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Admin, |_| {}).await;
        let session = signed_in(&identity, "ada@example.com").await;
        let (acme, node) = (OrganizationId(identity.acme), identity.node());
        let roles = format!("/v1/role-users/?role-id={}", Role::Admin.id(acme));
        identity.get(&session.person, &roles).await;
        // The other dialects check the role as well.
        let keys = format!("/ec-site-svc/rest/v1.0/organizations/{}", identity.acme.simple());
        assert_eq!(identity.call(&session.person, "GET", &keys).send().await.status, 200);
        membership::revoke(node, &RequestContext::system(), UserId(id), acme, Role::Admin).await.unwrap();
        identity.get_refused(&session.person, &roles, 403, "forbidden").await;
        assert_eq!(identity.call(&session.person, "GET", &keys).send().await.status, 403);
        session.goes_on(&identity).await;
    }

    async fn a_session_goes_to_another_organization_of_its_user(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (node, other) = (identity.node(), OrganizationId(identity.other));
        let session = signed_in(&identity, "ada@example.com").await;
        let path = format!("/v1/users/{id}/switch-organization/");
        let to = |organization: Uuid, set_default: bool| json!({ "organization-id": organization, "set-default": set_default });
        identity.post_refused(&session.person, &path, &to(identity.other, false), 403, "forbidden").await;
        membership::join(node, &RequestContext::system(), &Granter::system(), UserId(id), other, Some(Role::Admin)).await.unwrap();
        let tokens = identity.post(&session.person, &path, &to(identity.other, false)).await;
        let switched = Person { token: tokens["access-token"].as_str().unwrap().into(), ..session.person.clone() };
        let who = identity.post(&switched, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["organization-id"], json!(identity.other));
        assert_eq!(who["data"]["roles"], json!(["org.admin"]));
        assert_eq!(who["data"]["session-id"], session.info["session-id"]);
        let user = identity.get(&switched, &format!("/v1/users/{id}/")).await;
        assert_eq!(user["data"]["attributes"]["default-organization-id"], json!(identity.acme));
        identity.post(&switched, &path, &to(identity.other, true)).await;
        let user = identity.get(&switched, &format!("/v1/users/{id}/")).await;
        assert_eq!(user["data"]["attributes"]["default-organization-id"], json!(identity.other));
        // A further refresh token of the same session; the previous one stays valid.
        for token in [&tokens["refresh-token"], &session.info["refresh-token"]] {
            let body = json!({ "refresh-token": token });
            let refreshed = identity.app.call("POST", "/v1/refresh-token/").token(None).json(&body).send().await.ok();
            assert_eq!(refreshed["session-id"], session.info["session-id"]);
        }
        let foreign = format!("/v1/users/{}/switch-organization/", identity.admin.id);
        identity.post_refused(&session.person, &foreign, &to(identity.acme, false), 403, "forbidden").await;
        let unknown = format!("/v1/users/{}/switch-organization/", Uuid::now_v7());
        identity.post_refused(&session.person, &unknown, &to(identity.acme, false), 404, "not-found").await;
        let half = json!({ "organization-id": identity.acme });
        identity.post_refused(&session.person, &path, &half, 400, "validation-error").await;
    }

    async fn a_session_is_shown_to_its_owner_and_to_programs(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let session = signed_in(&identity, "ada@example.com").await;
        let path = format!("/v1/sessions/{}/", session.info["session-id"].as_str().unwrap());
        for caller in [&session.person, &identity.service, &identity.system] {
            let shown = identity.get(caller, &format!("{path}?include-login-info=true")).await;
            let info = &shown["data"]["attributes"]["login-info"];
            assert_eq!(info["email"], "ada@example.com");
            assert!(info.get("access-token").is_none() && info.get("refresh-token").is_none());
        }
        assert!(identity.get(&session.person, &path).await["data"]["attributes"].get("login-info").is_none());
        identity.get_refused(&identity.admin, &path, 404, "not-found").await;
        identity.get_refused(&identity.system, "/v1/sessions/x/", 404, "not-found").await;
        identity.post(&session.person, "/v1/logout/", &json!({})).await;
        identity.get_refused(&identity.service, &path, 404, "not-found").await;
    }

    async fn a_program_gets_a_token_for_a_user(database) {
        let identity = Identity::open(&database).await;
        let path = "/v1/synthetic-user-tokens/";
        let body = |edit: Value| {
            let mut data = json!({ "user-id": identity.provider.id, "organization-id": identity.acme });
            data.as_object_mut().unwrap().extend(edit.as_object().unwrap().clone());
            json!({ "data": data })
        };
        let additional = json!({ "additional-claims": [{ "claim": "purpose", "value": "report" }], "expiration-secs": 60 });
        let made = identity.post(&identity.service, path, &body(additional)).await;
        let token = made["data"]["access-token"].as_str().unwrap();
        assert_eq!(claims(token)["purpose"], "report");
        assert_eq!(made["data"]["expiration-secs"], 60);
        let who = identity.app.call("POST", "/v1/authenticate/").token(Some(token)).json(&json!({})).send().await.ok();
        assert_eq!(who["data"]["user-id"], json!(identity.provider.id));
        assert_eq!(who["data"]["session-id"], made["data"]["session-id"]);
        assert_eq!(identity.post(&identity.service, path, &body(json!({}))).await["data"]["expiration-secs"], 1800);
        for (edit, pointer) in [
            (json!({ "additional-claims": [{ "claim": "sub", "value": "x" }] }), "/data/additional-claims/0/claim"),
            (json!({ "expiration-secs": 0 }), "/data/expiration-secs"),
            (json!({ "expiration-secs": 3601 }), "/data/expiration-secs"),
            (json!({ "organization-id": identity.other }), "/data/organization-id"),
            (json!({ "user-id": Uuid::now_v7() }), "/data/user-id"),
        ] {
            let error = identity.post_refused(&identity.service, path, &body(edit), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer);
        }
        for caller in [&identity.admin, &identity.provider] {
            identity.post_refused(caller, path, &body(json!({})), 403, "forbidden").await;
        }
        // The token does not outlast its user's rights.
        identity.post(&identity.admin, &format!("/v1/users/{}/disable/", identity.provider.id), &json!({})).await;
        let read = identity.app.call("GET", "/v1/organizations/").token(Some(token)).send().await;
        refusal(&read, 401, "unauthenticated");
        identity.post_refused(&identity.service, path, &body(json!({})), 400, "validation-error").await;
    }

    async fn a_workload_is_known_by_its_token(database) {
        let (identity, account) = with_workloads(&database).await;
        let v1 = |namespace: &str, name: &str, token: &str| {
            let body = json!({ "namespace": namespace, "sa-name": name, "sa-token-sha512": digest(token) });
            identity.app.call("POST", "/v1/internal-auth/").token(None).json(&body)
        };
        let answer = v1("clinic", "records", "records' token").send().await;
        shapes::check("POST", "/v1/internal-auth/", &answer);
        let tokens = answer.ok();
        assert_eq!((&tokens["user-id"], &tokens["token-type"]), (&json!(account), &json!("Bearer")));
        let refresh = json!({ "refresh-token": tokens["refresh-token"] });
        assert_eq!(identity.app.call("POST", "/v1/refresh-token/").token(None).json(&refresh).send().await.status, 201);
        for (namespace, name, token) in [
            ("other", "records", "records' token"), ("clinic", "other", "records' token"), ("clinic", "records", "guess"),
            ("clinic", "idle", "idle's token"),
        ] {
            identity.refused(v1(namespace, name, token), 401, "bad-credentials").await;
        }
        let v2 = |token: &str| {
            let body = json!({ "data": { "type": "internal-auths", "attributes": { "token": token } } });
            identity.app.call("POST", "/v2/internal-auth/").token(None).json(&body)
        };
        let answer = v2("records' token").send().await;
        shapes::check("POST", "/v2/internal-auth/", &answer);
        let token = answer.ok()["data"]["attributes"]["access-token"].as_str().unwrap().to_owned();
        let who = identity.app.call("POST", "/v1/authenticate/").token(Some(&token)).json(&json!({})).send().await.ok();
        assert_eq!(who["data"]["roles"], json!(["system.service"]));
        identity.refused(v2("guess"), 401, "bad-credentials").await;
        identity.refused(v2("idle's token"), 403, "forbidden").await;
        let empty = json!({ "data": { "type": "internal-auths", "attributes": {} } });
        let call = identity.app.call("POST", "/v2/internal-auth/").token(None).json(&empty);
        identity.refused(call, 400, "validation-error").await;
        let wrong = json!({ "namespace": "x".repeat(513), "sa-name": "a", "sa-token-sha512": "b", "self-token-name": "A" });
        let call = identity.app.call("POST", "/v1/internal-auth/").token(None).json(&wrong);
        identity.refused(call, 400, "validation-error").await;
    }

    async fn wrong_digests_lock_a_programs_name_in_the_network_and_no_other(database) {
        let (identity, account) = with_workloads(&database).await;
        let v1 = |name: &str, token: &str, peer: &str| {
            let body = json!({ "namespace": "clinic", "sa-name": name, "sa-token-sha512": digest(token) });
            identity.app.call("POST", "/v1/internal-auth/").token(None).peer(peer).json(&body)
        };
        let (here, elsewhere) = ("10.0.0.1:4711", "10.0.1.1:4711");
        for _ in 0..10 {
            identity.refused(v1("records", "guess", here), 401, "bad-credentials").await;
        }
        identity.refused(v1("records", "records' token", here), 429, "rate-limited").await;
        identity.refused(v1("idle", "idle's token", here), 401, "bad-credentials").await;
        assert_eq!(v1("records", "records' token", elsewhere).send().await.ok()["user-id"], json!(account));
    }

    async fn forged_tokens_are_refused(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let session = signed_in(&identity, "ada@example.com").await;
        let token = session.person.token.clone();
        let [header, payload, signature] = <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
        let encode = |json: &Value| BASE64URL.encode(json.to_string());
        let none = encode(&json!({ "alg": "none", "typ": "JWT" }));
        let hs256 = encode(&json!({ "alg": "HS256", "kid": "x", "typ": "JWT" }));
        let mut other = session.claims();
        other["sub"] = json!(identity.system.id);
        let other = encode(&other);
        let id_token = session.info["id-token"].as_str().unwrap().to_owned();
        for forged in [
            format!("{none}.{payload}."), format!("{hs256}.{payload}.{signature}"), format!("{header}.{other}.{signature}"),
            format!("{header}.{payload}."), format!("{header}.{payload}"), id_token, "x.y.z".into(), String::from("x"),
        ] {
            let call = identity.app.call("GET", "/v1/organizations/").token(Some(&forged));
            identity.refused(call, 401, "unauthenticated").await;
        }
        identity.refused(identity.app.call("GET", "/v1/organizations/").token(None), 401, "unauthenticated").await;
    }
}
