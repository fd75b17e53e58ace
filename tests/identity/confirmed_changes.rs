//! Changes that require the password again, where the setting says so.

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::on_both_stores;
use crate::sign_in::{sign_in, with_password};
use crate::support::Database;
use registrar::api::ApiSettings;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

async fn confirming(database: &Database, confirm_changes: bool) -> Identity {
    Identity::with(database, ApiSettings { confirm_changes, ..ApiSettings::default() }).await
}

async fn signed_in(identity: &Identity, id: Uuid) -> (Person, String) {
    let info = sign_in(identity, "ada@example.com").await;
    let token = info["access-token"].as_str().unwrap().to_owned();
    let session = info["session-id"].as_str().unwrap().to_owned();
    (Person { id, email: "ada@example.com".into(), individual: None, token }, session)
}

/// The changes of sign-in data, each with the pointer of the password in the request body.
fn changes(id: Uuid) -> [(&'static str, String, Value, &'static str); 4] {
    let patch = |attributes: Value| json!({ "data": { "type": "users", "id": id, "attributes": attributes } });
    let own = format!("/v1/users/{id}/");
    [
        ("POST", format!("{own}change-email/"), json!({ "email": "king@example.com" }), "/password"),
        ("PATCH", own.clone(), patch(json!({ "email": "countess@example.com" })), "/meta/password"),
        ("PATCH", own.clone(), patch(json!({ "phone": "+12025550123" })), "/meta/password"),
        ("PATCH", own, patch(json!({ "username": "phone" })), "/meta/password"),
    ]
}

fn with(body: &Value, pointer: &str, password: &str) -> Value {
    let mut body = body.clone();
    match pointer {
        "/meta/password" => body["meta"] = json!({ "password": password }),
        _ => body["password"] = json!(password),
    }
    body
}

on_both_stores! {
    async fn changes_of_sign_in_data_require_the_password(database) {
        let identity = confirming(&database, true).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (ada, _) = signed_in(&identity, id).await;
        for (method, path, body, pointer) in changes(id) {
            let missing = identity.refused(identity.call(&ada, method, &path).json(&body), 400, "validation-error").await;
            assert_eq!(missing["source"]["pointer"], pointer);
            let wrong = identity.call(&ada, method, &path).json(&with(&body, pointer, "wrong")).send().await;
            refusal(&wrong, 403, "bad-credentials");
            let right = identity.call(&ada, method, &path).json(&with(&body, pointer, PASSWORD)).send().await;
            assert!(right.status.is_success(), "{right:?}");
        }
        // Other changes need no password, nor does an admin of the home organization who changes the account.
        let names = json!({ "data": { "type": "users", "id": id, "attributes": { "last-name": "King" } } });
        let path = format!("/v1/users/{id}/");
        assert_eq!(identity.call(&ada, "PATCH", &path).json(&names).send().await.status, 200);
        let by_admin = json!({ "email": "ada.king@example.com" });
        identity.post(&identity.admin, &format!("{path}change-email/"), &by_admin).await;
    }

    async fn ending_other_sessions_requires_the_password(database) {
        let identity = confirming(&database, true).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let ((_, first), (ada, second)) = (signed_in(&identity, id).await, signed_in(&identity, id).await);
        let (end, all) = (|session: &str| format!("/v1/sessions/{session}/end/"), "/v1/sessions/end-all/");
        for path in [end(&first).as_str(), all] {
            identity.post_refused(&ada, path, &json!({}), 400, "validation-error").await;
            let wrong = identity.call(&ada, "POST", path).json(&json!({ "password": "wrong" })).send().await;
            refusal(&wrong, 403, "bad-credentials");
        }
        assert_eq!(identity.get(&ada, "/v1/sessions/").await["data"].as_array().unwrap().len(), 2);
        identity.post(&ada, &end(&first), &json!({ "password": PASSWORD })).await;
        identity.post(&ada, all, &json!({ "password": PASSWORD, "keep-current": true })).await;
        assert_eq!(identity.get(&ada, "/v1/sessions/").await["data"].as_array().unwrap().len(), 1);
        // Signing out needs no password.
        identity.post(&ada, &end(&second), &json!({})).await;
        let over = identity.call(&ada, "GET", "/v1/organizations/").send().await;
        refusal(&over, 401, "unauthenticated");
    }

    async fn without_the_setting_the_password_may_be_left_out_and_must_be_right_if_sent(database) {
        let identity = confirming(&database, false).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (ada, _) = signed_in(&identity, id).await;
        for (method, path, body, pointer) in changes(id) {
            let wrong = identity.call(&ada, method, &path).json(&with(&body, pointer, "wrong")).send().await;
            refusal(&wrong, 403, "bad-credentials");
            let without = identity.call(&ada, method, &path).json(&body).send().await;
            assert!(without.status.is_success(), "{without:?}");
        }
        identity.post(&ada, "/v1/sessions/end-all/", &json!({ "keep-current": true })).await;
    }
}
