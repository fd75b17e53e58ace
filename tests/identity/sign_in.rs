//! Sign-in over HTTP: who is admitted, who is refused, and that no refusal reveals whether a name exists.

use crate::app::{Identity, PASSWORD, creation, refusal};
use crate::ecg_app::Answer;
use crate::support::Database;
use crate::{on_both_stores, shapes};
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::organizations;
use registrar_aggregates::organization::TenancyAmendment;
use registrar_aggregates::user::{Phone, Role, UserState, Username};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

const LOGIN: &str = "/v1/login/";

/// Creates a user with a password in Acme, with further changes by `change`.
pub async fn with_password(
    identity: &Identity,
    email: &str,
    role: Role,
    edit: impl FnOnce(&mut registrar_aggregates::user::Creation),
) -> Uuid {
    let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let mut creation = creation(email, Some(hash));
    edit(&mut creation);
    let (id, part) = (creation.id.0, FirstGrant::Member(OrganizationId(identity.acme), Some(role)));
    membership::create(identity.node(), &RequestContext::system(), creation, Some(part)).await.unwrap();
    id
}

pub async fn attempt(identity: &Identity, body: &Value) -> Answer {
    let answer = identity.app.call("POST", LOGIN).token(None).json(body).send().await;
    shapes::check("POST", LOGIN, &answer);
    answer
}

/// Tries to sign in from an address.
async fn from(identity: &Identity, address: &str, body: &Value) -> Answer {
    identity.app.call("POST", LOGIN).token(None).peer(&format!("{address}:4711")).json(body).send().await
}

/// Signs in, which must succeed; answers the body.
pub async fn sign_in(identity: &Identity, email: &str) -> Value {
    let answer = attempt(identity, &json!({ "username": email, "password": PASSWORD })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn credentials(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

on_both_stores! {
    async fn a_user_who_signs_in_gets_tokens_and_a_profile(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let info = sign_in(&identity, " ADA@example.com ").await;
        assert_eq!(info["user-id"], json!(id));
        assert_eq!((&info["email"], &info["username"]), (&json!("ada@example.com"), &json!("ada@example.com")));
        assert_eq!(info["organizations"], json!([identity.acme]));
        assert_eq!(info["multi-organization"], false);
        let token = info["access-token"].as_str().unwrap();
        let who = identity.app.call("POST", "/v1/authenticate/").token(Some(token)).json(&json!({})).send().await;
        shapes::check("POST", "/v1/authenticate/", &who);
        let who = who.ok();
        assert_eq!(who["data"]["user-id"], json!(id));
        assert_eq!(who["data"]["roles"], json!(["org.provider"]));
        assert_eq!(who["data"]["organization-id"], json!(identity.acme));
        assert_eq!(who["data"]["session-id"], info["session-id"]);
        // The sign-in is recorded as an activity, and the account shows its time.
        let user = identity.get(&identity.admin, &format!("/v1/users/{id}/")).await;
        assert!(user["data"]["attributes"]["last-login-time"].is_string());
        let activities = identity.get(&identity.system, &format!("/v1/user-activities/?filter[user-id]={id}")).await;
        assert_eq!(activities["data"][0]["attributes"]["event-type"], "login");
    }

    async fn wrong_names_and_wrong_passwords_read_alike(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let mut texts = vec![];
        for name in ["ada@example.com", "nobody@example.com", "no address", "", "+12025550123"] {
            let answer = attempt(&identity, &credentials(name, "wrong")).await;
            refusal(&answer, 401, "bad-credentials");
            texts.push(answer.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        for body in [json!({}), json!({ "username": "a" }), json!({ "username": 1, "password": "b" })] {
            identity.refused(identity.app.call("POST", LOGIN).token(None).json(&body), 400, "validation-error").await;
        }
        let mut lifetimes = credentials("ada@example.com", PASSWORD);
        for (name, value) in [
            ("access-token-expiration-seconds", json!(0)), ("access-token-expiration-seconds", json!(3601)),
            ("refresh-token-expiration-seconds", json!(0)), ("refresh-token-expiration-seconds", json!("1")),
        ] {
            lifetimes[name] = value;
            identity.refused(identity.app.call("POST", LOGIN).token(None).json(&lifetimes), 400, "validation-error").await;
            lifetimes.as_object_mut().unwrap().remove(name);
        }
    }

    async fn only_permitted_users_sign_in_and_only_the_right_password_reveals_the_reason(database) {
        let identity = Identity::open(&database).await;
        for (name, state, code) in [
            ("init", UserState::Init, "forbidden"),
            ("registered", UserState::Registered, "forbidden"),
            ("reset", UserState::ForceResetPassword, "password-reset-required"),
            ("disabled", UserState::Disabled, "account-disabled"),
            ("never", UserState::RegisteredDisabled, "account-disabled"),
        ] {
            let email = format!("{name}@example.com");
            with_password(&identity, &email, Role::Provider, |creation| creation.state = state).await;
            let call = identity.app.call("POST", LOGIN).token(None).json(&credentials(&email, PASSWORD));
            identity.refused(call, 403, code).await;
            refusal(&attempt(&identity, &credentials(&email, "wrong")).await, 401, "bad-credentials");
        }
        let gone = with_password(&identity, "gone@example.com", Role::Provider, |_| {}).await;
        membership::archive(identity.node(), &RequestContext::system(), UserId(gone)).await.unwrap();
        refusal(&attempt(&identity, &credentials("gone@example.com", PASSWORD)).await, 401, "bad-credentials");
        // The address is free for another user.
        with_password(&identity, "gone@example.com", Role::Provider, |_| {}).await;
        sign_in(&identity, "gone@example.com").await;
    }

    async fn a_user_signs_in_with_the_contact_that_they_chose(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |creation| {
            creation.contacts.phone = Phone::parse("+12025550123").ok();
            creation.contacts.phone_verified = true;
            creation.username = Username::Phone;
        }).await;
        let answer = attempt(&identity, &credentials("+12025550123", PASSWORD)).await;
        assert_eq!(answer.ok()["username"], "+12025550123");
        refusal(&attempt(&identity, &credentials("ada@example.com", PASSWORD)).await, 401, "bad-credentials");
    }

    async fn a_user_signs_in_with_a_number_that_only_an_earlier_release_would_record(database) {
        let identity = Identity::open(&database).await;
        assert!(Phone::parse("+99912345678").is_err());
        with_password(&identity, "ada@example.com", Role::Provider, |creation| {
            creation.contacts.phone = Phone::parse_stored("+99912345678").ok();
            creation.contacts.phone_verified = true;
            creation.username = Username::Phone;
        }).await;
        assert_eq!(attempt(&identity, &credentials("+99912345678", PASSWORD)).await.ok()["username"], "+99912345678");
    }

    async fn after_ten_failures_a_name_is_locked_in_a_network_whether_there_is_such_a_name_or_not(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        for name in ["ada@example.com", "nobody@example.com"] {
            for _ in 0..10 {
                let answer = from(&identity, "192.0.2.1", &credentials(name, "wrong")).await;
                refusal(&answer, 401, "bad-credentials");
            }
            let before = identity.head().await;
            // Adjacent addresses count as one network.
            let locked = from(&identity, "192.0.2.99", &credentials(name, PASSWORD)).await;
            refusal(&locked, 429, "rate-limited");
            let seconds: u64 = locked.header("retry-after").parse().unwrap();
            assert!((1..=900).contains(&seconds), "{seconds}");
            assert_eq!(identity.head().await, before);
        }
        // Another spelling of the name counts as the same name.
        let spelled = credentials("Ada@Example.com", PASSWORD);
        refusal(&from(&identity, "192.0.2.1", &spelled).await, 429, "rate-limited");
        let elsewhere = credentials("ada@example.com", PASSWORD);
        assert_eq!(from(&identity, "198.51.100.1", &elsewhere).await.status, 201);
        with_password(&identity, "grace@example.com", Role::Provider, |_| {}).await;
        assert_eq!(from(&identity, "192.0.2.1", &credentials("grace@example.com", PASSWORD)).await.status, 201);
    }

    async fn an_unknown_name_leaves_no_event(database) {
        let identity = Identity::open(&database).await;
        let before = identity.head().await;
        for _ in 0..11 {
            from(&identity, "192.0.2.1", &credentials("nobody@example.com", "wrong")).await;
        }
        assert_eq!(identity.head().await, before);
    }

    async fn after_sixty_failures_a_network_is_locked_but_for_those_who_were_there_before(database) {
        let identity = Identity::open(&database).await;
        for name in ["ada@example.com", "grace@example.com"] {
            with_password(&identity, name, Role::Provider, |_| {}).await;
        }
        let [ada, grace] = ["ada@example.com", "grace@example.com"].map(|name| credentials(name, PASSWORD));
        assert_eq!(from(&identity, "192.0.2.7", &ada).await.status, 201);
        for number in 0..60 {
            let name = format!("{number}@example.com");
            let answer = from(&identity, "192.0.2.1", &credentials(&name, "wrong")).await;
            refusal(&answer, 401, "bad-credentials");
        }
        refusal(&from(&identity, "192.0.2.1", &grace).await, 429, "rate-limited");
        assert_eq!(from(&identity, "192.0.2.1", &ada).await.status, 201, "she signed in from there before");
        assert_eq!(from(&identity, "192.0.3.1", &grace).await.status, 201);
        // For users who signed in from there before, only their own failures count.
        for _ in 0..10 {
            let wrong = credentials("ada@example.com", "wrong");
            refusal(&from(&identity, "192.0.2.1", &wrong).await, 401, "bad-credentials");
        }
        refusal(&from(&identity, "192.0.2.1", &ada).await, 429, "rate-limited");
    }

    async fn guesses_from_everywhere_slow_a_name_down_where_it_was_never_used(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let right = credentials("ada@example.com", PASSWORD);
        assert_eq!(from(&identity, "203.0.113.1", &right).await.status, 201);
        let wrong = credentials("ada@example.com", "wrong");
        for network in 0..5 {
            for _ in 0..10 {
                let answer = from(&identity, &format!("198.51.{network}.1"), &wrong).await;
                refusal(&answer, 401, "bad-credentials");
            }
        }
        let slowed = from(&identity, "192.0.2.1", &right).await;
        refusal(&slowed, 429, "rate-limited");
        assert_eq!(slowed.header("retry-after"), "1");
        assert_eq!(from(&identity, "203.0.113.1", &right).await.status, 201, "she signed in from there before");
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        assert_eq!(from(&identity, "192.0.2.1", &right).await.status, 201);
    }

    async fn many_guesses_at_once_are_ten_at_most(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let guess = credentials("ada@example.com", "wrong");
        let guesses = futures::future::join_all((0..24).map(|_| attempt(&identity, &guess))).await;
        let wrong = guesses.iter().filter(|answer| answer.status == 401).count();
        assert!(wrong <= 10, "{wrong} guesses were judged");
        assert!(guesses.iter().all(|answer| [401, 429, 503].contains(&answer.status.as_u16())));
    }

    async fn members_of_an_organization_with_its_own_sign_in_are_redirected(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        with_password(&identity, "patient@example.com", Role::Member, |_| {}).await;
        let url = "https://idp.example.org/start";
        let amendment = TenancyAmendment { sign_in_url: Some(Some(url.into())), ..TenancyAmendment::default() };
        organizations::amend(identity.node(), &RequestContext::system(), OrganizationId(identity.acme), amendment, None)
            .await
            .unwrap();
        let head = identity.head().await;
        let sent = attempt(&identity, &credentials("ada@example.com", PASSWORD)).await.ok();
        assert_eq!(sent, json!({ "redirect-url": url }));
        assert_eq!(identity.head().await, head);
        refusal(&attempt(&identity, &credentials("ada@example.com", "wrong")).await, 401, "bad-credentials");
        // A user without a password is redirected whatever they send.
        let sent = attempt(&identity, &credentials("provider@example.com", "any")).await.ok();
        assert_eq!(sent, json!({ "redirect-url": url }));
        // Participants sign in here.
        sign_in(&identity, "patient@example.com").await;
    }

    async fn an_admin_with_an_account_signs_in_until_deactivated(database) {
        let identity = Identity::open(&database).await;
        let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        let id = crate::app::register_admin(identity.node(), "root@example.com", &hash).await;
        let info = sign_in(&identity, "root@example.com").await;
        let token = info["access-token"].as_str().unwrap().to_owned();
        let read = || identity.app.call("GET", "/v1/organizations/").token(Some(&token));
        assert_eq!(read().send().await.ok()["meta"]["page[total]"], 2);
        let refresh = json!({ "refresh-token": info["refresh-token"] });
        let refreshing = || identity.app.call("POST", "/v1/refresh-token/").token(None).json(&refresh);
        assert_eq!(refreshing().send().await.status, 201);
        identity.app.call("POST", &format!("/api/ecg-admins/{id}/deactivate")).send().await.ok();
        refusal(&read().send().await, 401, "unauthenticated");
        identity.refused(refreshing(), 401, "unauthenticated").await;
        refusal(&attempt(&identity, &credentials("root@example.com", PASSWORD)).await, 401, "bad-credentials");
        // Ended sessions stay ended.
        identity.app.call("POST", &format!("/api/ecg-admins/{id}/activate")).send().await.ok();
        refusal(&read().send().await, 401, "unauthenticated");
        sign_in(&identity, "root@example.com").await;
    }

    async fn nothing_of_a_sign_in_is_kept_in_the_clear(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let call = |body: &Value| identity.app.call("POST", LOGIN).token(None).peer("192.0.2.77:4711").json(body);
        refusal(&call(&credentials("ada@example.com", "a wrong guess")).send().await, 401, "bad-credentials");
        let info = call(&credentials("ada@example.com", PASSWORD)).send().await.ok();
        let refresh = info["refresh-token"].as_str().unwrap();
        let stored = stored(&database).await;
        for secret in [PASSWORD, "a wrong guess", refresh, refresh.split('.').nth(1).unwrap(), "192.0.2.77", "argon2id"] {
            assert!(!stored.contains(secret), "{secret} is stored in the clear");
        }
    }
}

/// The whole journal and audit trail, as stored.
async fn stored(database: &Database) -> String {
    let mut sql = database.sql().await;
    let mut all = String::new();
    for table in sql.tables().await {
        if table == "events" || table.starts_with("events_") || table.starts_with("audit_entries") {
            all.push_str(&sql.rows(&table).await.join("\n"));
        }
    }
    all
}
