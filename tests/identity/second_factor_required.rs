//! The second factor where a setting requires it: the right password alone lets the user set one up, and nothing else.

use crate::app::{Identity, PASSWORD, Person, register_admin};
use crate::on_both_stores;
use crate::shapes;
use crate::sign_in::{attempt, sign_in, with_password};
use crate::support::Database;
use crate::totp::code;
use registrar::api::ApiSettings;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::second_factor::Requirement;
use registrar_aggregates::user::{Role, SystemRole};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const LOGIN: &str = "/v1/login/";

async fn requiring(database: &Database, second_factor: Requirement) -> Identity {
    Identity::with(database, ApiSettings { second_factor, ..ApiSettings::default() }).await
}

fn credentials(email: &str, more: &Value) -> Value {
    let mut body = json!({ "username": email, "password": PASSWORD });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn refused(identity: &Identity, body: &Value, status: u16, code: &str) -> Value {
    identity.refused(identity.app.call("POST", LOGIN).token(None).json(body), status, code).await
}

/// Starts the setup; answers the secret for the device.
async fn begin(identity: &Identity, email: &str) -> String {
    let begun = attempt(identity, &credentials(email, &json!({ "totp-setup": true }))).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let answer = begun.json();
    assert!(answer.get("access-token").is_none() && answer.get("refresh-token").is_none(), "{answer}");
    answer["totp-secret"]["shared-secret-key"].as_str().unwrap().to_owned()
}

fn finishing(email: &str, secret: &str) -> Value {
    credentials(email, &json!({ "totp-setup-codes": [code(secret, -1), code(secret, 0)] }))
}

async fn set_up(identity: &Identity, email: &str) -> (Value, String) {
    let secret = begin(identity, email).await;
    let finished = attempt(identity, &finishing(email, &secret)).await;
    assert_eq!(finished.status, 201, "{finished:?}");
    (finished.json(), secret)
}

on_both_stores! {
    async fn the_right_password_alone_opens_the_way_to_a_second_factor_and_nothing_else(database) {
        let identity = requiring(&database, Requirement::Everybody).await;
        let email = "ada@example.com";
        with_password(&identity, email, Role::Provider, |_| {}).await;
        let told = refused(&identity, &credentials(email, &json!({})), 403, "totp-setup-required").await;
        assert!(told["detail"].as_str().unwrap().contains("totp-setup"), "{told}");
        for wrong in [json!({ "totp-setup": true }), json!({ "totp-setup-codes": ["000000", "000001"] })] {
            let mut body = credentials(email, &wrong);
            body["password"] = json!("wrong");
            let answer = attempt(&identity, &body).await;
            crate::app::refusal(&answer, 401, "bad-credentials");
        }

        // Each setup replaces the previous one, which a thief of the password may have started. A lost answer is
        // replayed.
        let former = begin(&identity, email).await;
        let beginning = credentials(email, &json!({ "totp-setup": true }));
        let call = || identity.app.call("POST", LOGIN).token(None).header("idempotency-key", "begin").json(&beginning);
        let begun = call().send().await;
        assert_eq!(call().send().await.text, begun.text);
        let secret = begun.json()["totp-secret"]["shared-secret-key"].as_str().unwrap().to_owned();
        assert_ne!(secret, former);
        crate::app::refusal(&attempt(&identity, &finishing(email, &former)).await, 401, "totp-invalid");
        refused(&identity, &credentials(email, &json!({})), 403, "totp-setup-required").await;
        let (before, now) = (code(&secret, -1), code(&secret, 0));
        for codes in [json!([now, before]), json!([now, now]), json!(["000000", "111111"])] {
            let answer = attempt(&identity, &credentials(email, &json!({ "totp-setup-codes": codes }))).await;
            crate::app::refusal(&answer, 401, "totp-invalid");
        }
        for codes in [json!([now]), json!([]), json!("x")] {
            refused(&identity, &credentials(email, &json!({ "totp-setup-codes": codes })), 400, "validation-error").await;
        }

        let finishing = finishing(email, &secret);
        let call = || identity.app.call("POST", LOGIN).token(None).header("idempotency-key", "set-up").json(&finishing);
        let finished = call().send().await;
        shapes::check("POST", LOGIN, &finished);
        assert_eq!(finished.status, 201, "{finished:?}");
        assert_eq!(call().send().await.text, finished.text, "an answer that was lost is given again");
        let info = finished.json();
        assert_eq!(info["recovery-codes"].as_array().unwrap().len(), 10);
        let token = info["access-token"].as_str().unwrap().to_owned();
        let ada = Person { id: info["user-id"].as_str().unwrap().parse().unwrap(), email: email.into(), individual: None, token };
        assert_eq!(identity.get(&ada, "/v1/mfa-totp/").await["data"][0]["attributes"]["enabled"], json!(true));

        // From now on a code is required, and the setup by sign-in is closed.
        refused(&identity, &credentials(email, &json!({})), 401, "totp-required").await;
        refused(&identity, &credentials(email, &json!({ "totp-setup": true })), 400, "validation-error").await;
        refused(&identity, &finishing, 400, "validation-error").await;
        assert_eq!(attempt(&identity, &credentials(email, &json!({ "totp-code": code(&secret, 1) }))).await.status, 201);
        let recovery = info["recovery-codes"][0].clone();
        assert_eq!(attempt(&identity, &credentials(email, &json!({ "totp-code": recovery }))).await.status, 201);
    }

    async fn a_session_whose_person_lacks_it_gets_no_further_tokens(database) {
        let identity = requiring(&database, Requirement::Everybody).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (info, _) = set_up(&identity, "ada@example.com").await;
        let token = info["access-token"].as_str().unwrap().to_owned();
        let id: uuid::Uuid = info["user-id"].as_str().unwrap().parse().unwrap();
        let ada = Person { id, email: "ada@example.com".into(), individual: None, token };
        let refresh = || {
            let body = json!({ "refresh-token": info["refresh-token"] });
            identity.app.call("POST", "/v1/refresh-token/").token(None).json(&body)
        };
        assert_eq!(refresh().send().await.status, 201);
        let device = identity.get(&ada, "/v1/mfa-totp/").await["data"][0]["id"].as_str().unwrap().to_owned();
        identity.post(&ada, &format!("/v1/mfa-totp/{device}/disable/"), &json!({ "password": PASSWORD })).await;
        identity.refused(refresh(), 403, "totp-setup-required").await;
        let switch = json!({ "organization-id": identity.acme, "set-default": false });
        let path = format!("/v1/users/{id}/switch-organization/");
        identity.post_refused(&ada, &path, &switch, 403, "totp-setup-required").await;
        set_up(&identity, "ada@example.com").await;
        assert_eq!(refresh().send().await.status, 201);
    }

    async fn a_password_of_support_and_a_second_factor_are_set_in_one_sign_in(database) {
        let identity = requiring(&database, Requirement::Everybody).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let support = json!({ "context": "carium-support", "new-password": "staple battery correct horse" });
        identity.post(&identity.system, &format!("/v1/users/{id}/change-password/"), &support).await;
        let with = |more: Value| {
            let mut body = credentials("ada@example.com", &more);
            body["password"] = json!("staple battery correct horse");
            body
        };
        refused(&identity, &with(json!({})), 403, "password-reset-required").await;
        refused(&identity, &with(json!({ "totp-setup": true })), 403, "password-reset-required").await;
        let new = json!("a new word for everything");
        refused(&identity, &with(json!({ "new-password": new })), 403, "totp-setup-required").await;
        let begun = attempt(&identity, &with(json!({ "new-password": new, "totp-setup": true }))).await;
        let secret = begun.json()["totp-secret"]["shared-secret-key"].as_str().unwrap().to_owned();
        // The password changes only together with the second factor.
        refused(&identity, &with(json!({})), 403, "password-reset-required").await;
        let codes = json!([code(&secret, -1), code(&secret, 0)]);
        let finished = attempt(&identity, &with(json!({ "new-password": new, "totp-setup-codes": codes }))).await;
        assert_eq!(finished.status, 201, "{finished:?}");
        let body = json!({ "username": "ada@example.com", "password": new, "totp-code": code(&secret, 1) });
        assert_eq!(attempt(&identity, &body).await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_required_of_the_accounts_that_the_setting_names() {
    let everybody = ["root@example.com", "support@example.com", "boss@example.com", "ada@example.com"];
    for (requirement, asked) in
        [(Requirement::Nobody, 0), (Requirement::Privileged, 2), (Requirement::Admins, 3), (Requirement::Everybody, 4)]
    {
        let database = Database::sqlite_with_tables();
        let identity = requiring(&database, requirement).await;
        let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        register_admin(identity.node(), everybody[0], &hash).await;
        let support = crate::app::creation(everybody[1], Some(hash));
        let part = Some(FirstGrant::System(SystemRole::Support));
        membership::create(identity.node(), &RequestContext::system(), support, part).await.unwrap();
        with_password(&identity, everybody[2], Role::Admin, |_| {}).await;
        with_password(&identity, everybody[3], Role::Provider, |_| {}).await;
        for (number, email) in everybody.into_iter().enumerate() {
            if number < asked {
                refused(&identity, &credentials(email, &json!({})), 403, "totp-setup-required").await;
                set_up(&identity, email).await;
            } else {
                sign_in(&identity, email).await;
                let not_needed = credentials(email, &json!({ "totp-setup": true }));
                let refused = refused(&identity, &not_needed, 400, "validation-error").await;
                assert_eq!(refused["source"]["pointer"], "/totp-setup");
            }
        }
    }
}
