//! Passwords over HTTP: checked, changed by their owner, reset by support.

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::ecg_app::{ADMINS, minimal, with};
use crate::sign_in::{attempt, sign_in, with_password};
use crate::{on_both_stores, shapes};
use chrono::{TimeDelta, Utc};
use registrar::api::ApiSettings;
use registrar::executor::RequestContext;
use registrar::processes::membership::FirstGrant;
use registrar::processes::passwords::Pwned;
use registrar::processes::sessions::{self, Person as Owner};
use registrar::processes::sign_in;
use registrar_aggregates::user::{Role, SystemRole, User, UserState};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use uuid::Uuid;
use zeroize::Zeroizing;

const STRENGTH: &str = "/v1/password-strength/";
const NEW: &str = "another horse entirely, quite blue";
const OWN: &str = "a password that ada alone has thought of";

fn path(id: Uuid) -> String {
    format!("/v1/users/{id}/change-password/")
}

async fn ada(identity: &Identity) -> Person {
    let id = with_password(identity, "ada@example.com", Role::Provider, |_| {}).await;
    let info = sign_in(identity, "ada@example.com").await;
    let token = info["access-token"].as_str().unwrap().to_owned();
    Person { id, email: "ada@example.com".into(), individual: None, token }
}

fn credentials(password: &str) -> Value {
    json!({ "username": "ada@example.com", "password": password })
}

/// A look-up service that knows one stolen password: its URL, and the digest prefixes that it was asked for.
async fn stolen(password: &str) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let digest: String = Sha1::digest(password).iter().map(|byte| format!("{byte:02X}")).collect();
    let asked: std::sync::Arc<std::sync::Mutex<Vec<String>>> = Default::default();
    let seen = asked.clone();
    let service = axum::Router::new().route(
        "/range/{prefix}",
        axum::routing::get(move |axum::extract::Path(prefix): axum::extract::Path<String>| async move {
            let known = if digest.starts_with(&prefix) { format!("{}:42\r\n", &digest[5..]) } else { String::new() };
            seen.lock().unwrap().push(prefix);
            format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{known}")
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/range", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await });
    (url, asked)
}

/// A look-up service that answers 500 while the flag is set, and knows no stolen password.
async fn failing() -> (String, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let away = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = away.clone();
    let service = axum::Router::new().fallback(move || {
        let code = if asked.load(std::sync::atomic::Ordering::Relaxed) { 500 } else { 200 };
        std::future::ready(axum::http::StatusCode::from_u16(code).unwrap())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/range", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await });
    (url, away)
}

on_both_stores! {
    async fn a_password_is_judged_and_not_kept(database) {
        let identity = Identity::open(&database).await;
        let head = identity.head().await;
        let judge = async |body: Value| {
            let answer = identity.app.call("POST", STRENGTH).token(None).json(&body).send().await;
            shapes::check("POST", STRENGTH, &answer);
            answer.ok()
        };
        let weak = judge(json!({ "password": "password1" })).await;
        assert_eq!((&weak["strength"]["value"], &weak["pwned"]["times"]), (&json!(0), &json!(-1)));
        assert!(!weak["suggestions"].as_array().unwrap().is_empty());
        assert_eq!(judge(json!({ "password": NEW, "check-pwned": true })).await["strength"]["value"], 4);
        assert_eq!(identity.head().await, head);
        for wrong in [json!({ "password": "" }), json!({ "password": "x".repeat(256) }), json!({}), json!({ "password": 1 })] {
            identity.refused(identity.app.call("POST", STRENGTH).token(None).json(&wrong), 400, "validation-error").await;
        }
    }

    async fn stolen_passwords_are_looked_up_without_being_told(database) {
        let (url, asked) = stolen(NEW).await;
        let settings = ApiSettings { pwned: Pwned::at(&url).ok(), ..ApiSettings::default() };
        let identity = Identity::with(&database, settings).await;
        let judge = async |password: &str| {
            let body = json!({ "password": password, "check-pwned": true });
            identity.app.call("POST", STRENGTH).token(None).json(&body).send().await.ok()["pwned"]["times"].clone()
        };
        assert_eq!(judge(NEW).await, 42);
        assert_eq!(judge("something else altogether").await, 0);
        assert!(asked.lock().unwrap().iter().all(|prefix| prefix.len() == 5));
        let ada = ada(&identity).await;
        let body = json!({ "old-password": PASSWORD, "new-password": NEW });
        identity.post_refused(&ada, &path(ada.id), &body, 400, "validation-error").await;
    }

    async fn a_service_that_is_away_keeps_nobody_from_anything(database) {
        let settings = ApiSettings { pwned: Pwned::at("http://127.0.0.1:9/range").ok(), ..ApiSettings::default() };
        let identity = Identity::with(&database, settings).await;
        let body = json!({ "password": NEW, "check-pwned": true });
        let judged = identity.app.call("POST", STRENGTH).token(None).json(&body).send().await.ok();
        assert_eq!(judged["pwned"]["times"], -1);
        let ada = ada(&identity).await;
        identity.post(&ada, &path(ada.id), &json!({ "old-password": PASSWORD, "new-password": NEW })).await;
    }

    async fn where_the_look_up_is_required_a_password_waits_for_it(database) {
        let (url, away) = failing().await;
        let pwned = Pwned::at(&url).unwrap().required(true);
        let identity = Identity::with(&database, ApiSettings { pwned: Some(pwned), ..ApiSettings::default() }).await;
        let ada = ada(&identity).await;
        let reset = with_password(&identity, "reset@example.com", Role::Provider, |creation| {
            creation.state = UserState::ForceResetPassword;
        });
        reset.await;
        let change = json!({ "old-password": PASSWORD, "new-password": NEW });
        let support = json!({ "context": "carium-support", "new-password": NEW });
        let renewal = json!({ "username": "reset@example.com", "password": PASSWORD, "new-password": NEW });
        let account = json!({ "email": "root@example.org", "password": NEW });
        let head = identity.head().await;
        let changes = [
            identity.call(&ada, "POST", &path(ada.id)).json(&change),
            identity.call(&identity.system, "POST", &path(ada.id)).json(&support),
            identity.app.call("POST", "/v1/login/").token(None).json(&renewal),
        ];
        for call in changes {
            let answer = call.send().await;
            refusal(&answer, 503, "unavailable");
            assert_eq!(answer.header("retry-after"), "1");
        }
        let admin = with(&minimal("Ada", "Lovelace"), "/account", account);
        let answer = identity.app.call("POST", ADMINS).json(&admin).send().await;
        assert_eq!(answer.header("retry-after"), "1");
        answer.refused(503);
        assert_eq!(identity.head().await, head, "something was stored");
        // A password that the rules refuse needs no look-up.
        let weak = json!({ "old-password": PASSWORD, "new-password": "short" });
        identity.post_refused(&ada, &path(ada.id), &weak, 400, "validation-error").await;
        assert_eq!(attempt(&identity, &credentials(PASSWORD)).await.status, 201);
        away.store(false, std::sync::atomic::Ordering::Relaxed);
        identity.post(&ada, &path(ada.id), &change).await;
        assert_eq!(attempt(&identity, &credentials(NEW)).await.status, 201);
    }

    async fn the_session_that_changes_the_password_goes_on_and_the_others_end(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let other = sign_in(&identity, "ada@example.com").await["access-token"].as_str().unwrap().to_owned();
        let body = json!({ "old-password": PASSWORD, "new-password": NEW });
        assert_eq!(identity.post(&ada, &path(ada.id), &body).await, json!(null));
        identity.get(&ada, "/v1/organizations/").await;
        let read = identity.app.call("GET", "/v1/organizations/").token(Some(&other)).send().await;
        refusal(&read, 401, "unauthenticated");
        refusal(&attempt(&identity, &credentials(PASSWORD)).await, 401, "bad-credentials");
        let kept = attempt(&identity, &credentials(NEW)).await.ok()["access-token"].as_str().unwrap().to_owned();
        let body = json!({ "old-password": NEW, "new-password": PASSWORD, "maintain-active-sessions": true });
        identity.post(&ada, &path(ada.id), &body).await;
        assert_eq!(identity.app.call("GET", "/v1/organizations/").token(Some(&kept)).send().await.status, 200);
    }

    async fn passwords_that_will_not_do_are_refused(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let body = |old: &str, new: &str| json!({ "old-password": old, "new-password": new });
        for weak in ["short", "password1", "Ada@example.com", "registrar", PASSWORD, &"x".repeat(256), "example1"] {
            let error = identity.post_refused(&ada, &path(ada.id), &body(PASSWORD, weak), 400, "validation-error").await;
            assert!(!error.to_string().contains(weak), "{error}");
        }
        let half = json!({ "new-password": NEW });
        identity.post_refused(&ada, &path(ada.id), &half, 400, "validation-error").await;
        // A wrong password is recorded as a failure, and nothing else is.
        let answer = identity.call(&ada, "POST", &path(ada.id)).json(&body("wrong", NEW)).send().await;
        refusal(&answer, 403, "bad-credentials");
        identity.post_refused(&identity.admin, &path(ada.id), &body(PASSWORD, NEW), 403, "forbidden").await;
        identity.post_refused(&identity.other_admin, &path(ada.id), &body(PASSWORD, NEW), 404, "not-found").await;
        sign_in(&identity, "ada@example.com").await;
    }

    async fn wrong_passwords_count_for_the_session_in_which_they_are_shown(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let change = |old: &str| json!({ "old-password": old, "new-password": NEW });
        // Strangers who know the account's identifier or name cannot lock it.
        for _ in 0..10 {
            let stranger = json!({ "username": ada.id, "password": "wrong" });
            refusal(&attempt(&identity, &stranger).await, 401, "bad-credentials");
        }
        let guesses = futures::future::join_all((0..24).map(|_| {
            identity.call(&ada, "POST", &path(ada.id)).json(&change("wrong")).send()
        }));
        let guesses = guesses.await;
        assert!(guesses.iter().filter(|answer| answer.status == 403).count() <= 10);
        assert!(guesses.iter().all(|answer| [403, 429, 503].contains(&answer.status.as_u16())));
        while identity.call(&ada, "POST", &path(ada.id)).json(&change("wrong")).send().await.status == 403 {}
        identity.post_refused(&ada, &path(ada.id), &change(PASSWORD), 429, "rate-limited").await;
        let other = sign_in(&identity, "ada@example.com").await["access-token"].as_str().unwrap().to_owned();
        identity.post(&Person { token: other, ..ada.clone() }, &path(ada.id), &change(PASSWORD)).await;
    }

    async fn support_sets_a_password_that_must_be_changed(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let support = identity.person_as("support@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        let body = json!({ "context": "carium-support", "new-password": NEW });
        for caller in [&identity.admin, &ada] {
            identity.post_refused(caller, &path(ada.id), &body, 403, "forbidden").await;
        }
        let weak = json!({ "context": "carium-support", "new-password": "password1" });
        identity.post_refused(&support, &path(ada.id), &weak, 400, "validation-error").await;
        identity.post_refused(&support, &path(identity.system.id), &body, 403, "forbidden").await;
        identity.post(&support, &path(ada.id), &body).await;
        let read = identity.call(&ada, "GET", "/v1/organizations/").send().await;
        refusal(&read, 401, "unauthenticated");
        refusal(&attempt(&identity, &credentials(NEW)).await, 403, "password-reset-required");
        refusal(&attempt(&identity, &credentials(PASSWORD)).await, 401, "bad-credentials");
    }

    async fn a_password_of_support_is_good_for_setting_another_one(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let renewing = |password: &str, new: &str| {
            json!({ "username": "ada@example.com", "password": password, "new-password": new })
        };
        let not_asked = attempt(&identity, &renewing(PASSWORD, OWN)).await;
        assert_eq!(refusal(&not_asked, 400, "validation-error")["source"]["pointer"], "/new-password");
        let support = json!({ "context": "carium-support", "new-password": NEW });
        identity.post(&identity.system, &path(ada.id), &support).await;
        let head = identity.head().await;
        for new in [NEW, "password1"] {
            let refused = attempt(&identity, &renewing(NEW, new)).await;
            assert_eq!(refusal(&refused, 400, "validation-error")["source"]["pointer"], "/new-password");
        }
        refusal(&attempt(&identity, &credentials(NEW)).await, 403, "password-reset-required");
        assert_eq!(identity.head().await, head);
        for password in [PASSWORD, OWN] {
            refusal(&attempt(&identity, &renewing(password, OWN)).await, 401, "bad-credentials");
        }
        let answer = attempt(&identity, &renewing(NEW, OWN)).await;
        assert_eq!(answer.status, 201);
        let token = answer.json()["access-token"].as_str().unwrap().to_owned();
        identity.get(&Person { token, ..ada.clone() }, "/v1/organizations/").await;
        // The reset password is valid once.
        refusal(&attempt(&identity, &renewing(NEW, "yet-another-long-one")).await, 401, "bad-credentials");
        assert_eq!(attempt(&identity, &credentials(OWN)).await.status, 201);
    }

    async fn a_password_of_support_is_taken_once_however_often_it_is_shown_at_once(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let support = json!({ "context": "carium-support", "new-password": NEW });
        identity.post(&identity.system, &path(ada.id), &support).await;
        let renewing: Vec<_> = (0..4)
            .map(|number| {
                let new = format!("{OWN} {number}");
                json!({ "username": "ada@example.com", "password": NEW, "new-password": new })
            })
            .collect();
        let answers = futures::future::join_all(renewing.iter().map(|body| attempt(&identity, body))).await;
        let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(taken.len(), 1);
        assert!(answers.iter().all(|answer| [201, 400, 401, 409, 503].contains(&answer.status.as_u16())));
        let token = taken[0].json()["access-token"].as_str().unwrap().to_owned();
        identity.get(&Person { token, ..ada.clone() }, "/v1/organizations/").await;
    }

    async fn a_first_password_that_is_over_signs_nobody_in_until_another_one_is_set(database) {
        let identity = Identity::open(&database).await;
        let (past, soon) = (Utc::now() - TimeDelta::seconds(1), Utc::now() + TimeDelta::hours(1));
        let late = with_password(&identity, "late@example.com", Role::Provider, |creation| {
            creation.password_expires_at = Some(past);
        })
        .await;
        let attempt = |email: &str, password: &str| {
            identity.app.call("POST", "/v1/login/").token(None).json(&json!({ "username": email, "password": password }))
        };
        let told = identity.refused(attempt("late@example.com", PASSWORD), 403, "password-reset-required").await;
        assert!(told["detail"].as_str().unwrap().starts_with("the first password counts no longer"), "{told}");
        // The expiry is told only with the right password; and the expired password cannot be exchanged either.
        crate::app::refusal(&attempt("late@example.com", "wrong").send().await, 401, "bad-credentials");
        let body = json!({ "username": "late@example.com", "password": PASSWORD, "new-password": NEW });
        let call = identity.app.call("POST", "/v1/login/").token(None).json(&body);
        identity.refused(call, 403, "password-reset-required").await;
        let support = json!({ "context": "carium-support", "new-password": NEW });
        identity.post(&identity.system, &path(late), &support).await;
        let body = json!({ "username": "late@example.com", "password": NEW, "new-password": PASSWORD });
        assert_eq!(identity.app.call("POST", "/v1/login/").token(None).json(&body).send().await.status, 201);
        sign_in(&identity, "late@example.com").await;

        // Before its expiry it signs in, and the owner's own password has no expiry.
        let id = with_password(&identity, "early@example.com", Role::Provider, |creation| {
            creation.password_expires_at = Some(soon);
        })
        .await;
        let until = async || {
            let (_, state) = identity.node().executor.state::<User>(&id.to_string()).await.unwrap();
            state.profile().unwrap().password_expires_at
        };
        assert!(until().await.is_some());
        let info = sign_in(&identity, "early@example.com").await;
        let token = info["access-token"].as_str().unwrap().to_owned();
        let early = Person { id, email: "early@example.com".into(), individual: None, token };
        identity.post(&early, &path(id), &json!({ "old-password": PASSWORD, "new-password": NEW })).await;
        assert_eq!(until().await, None);

        // The same for an admin, whose password is reset by command line.
        let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        crate::app::register_admin(identity.node(), "root@example.com", &hash).await;
        sign_in(&identity, "root@example.com").await;
        let root = sign_in::person_named(identity.node(), "root@example.com").await.unwrap();
        let Some(Owner::Admin(root)) = root else { panic!("no admin") };
        let set = async |until| {
            let (node, context) = (identity.node(), RequestContext::system());
            sessions::set_admin_password(node, &context, &root, hash.clone(), until).await.unwrap();
        };
        set(past).await;
        identity.refused(attempt("root@example.com", PASSWORD), 403, "password-reset-required").await;
        set(soon).await;
        sign_in(&identity, "root@example.com").await;
    }

    async fn a_password_is_right_however_its_letters_are_composed(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let (composed, decomposed) = ("gr\u{fc}ne pferde \u{fc}berall", "gru\u{308}ne pferde u\u{308}berall");
        identity.post(&ada, &path(ada.id), &json!({ "old-password": PASSWORD, "new-password": composed })).await;
        assert_eq!(attempt(&identity, &credentials(decomposed)).await.status, 201);
        let same = json!({ "old-password": decomposed, "new-password": composed });
        let error = identity.post_refused(&ada, &path(ada.id), &same, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/new-password");
    }

    async fn an_admin_with_an_account_changes_its_password(database) {
        let identity = Identity::open(&database).await;
        let hash = identity.app.state.passwords.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        crate::app::register_admin(identity.node(), "root@example.com", &hash).await;
        let info = sign_in(&identity, "root@example.com").await;
        let other = sign_in(&identity, "root@example.com").await["access-token"].as_str().unwrap().to_owned();
        let id: Uuid = info["user-id"].as_str().unwrap().parse().unwrap();
        let token = info["access-token"].as_str().unwrap().to_owned();
        let root = Person { id, email: "root@example.com".into(), individual: None, token };
        let body = |old: &str, new: &str| json!({ "old-password": old, "new-password": new });
        // Eleven characters are too few for a system admin.
        let error = identity.post_refused(&root, &path(id), &body(PASSWORD, "gJ7#pQ2!xyz"), 400, "validation-error").await;
        assert!(error["detail"].as_str().unwrap().contains("12"), "{error}");
        let wrong = identity.call(&root, "POST", &path(id)).json(&body("wrong", NEW)).send().await;
        refusal(&wrong, 403, "bad-credentials");
        let support = json!({ "context": "carium-support", "new-password": NEW });
        identity.post_refused(&root, &path(id), &support, 403, "forbidden").await;
        assert_eq!(identity.post(&root, &path(id), &body(PASSWORD, NEW)).await, json!(null));
        identity.get(&root, "/v1/organizations/").await;
        refusal(&identity.app.call("GET", "/v1/organizations/").token(Some(&other)).send().await, 401, "unauthenticated");
        let login = |password: &str| json!({ "username": "root@example.com", "password": password });
        refusal(&attempt(&identity, &login(PASSWORD)).await, 401, "bad-credentials");
        assert_eq!(attempt(&identity, &login(NEW)).await.status, 201);
    }

    async fn holders_of_system_roles_need_twelve_characters(database) {
        let identity = Identity::open(&database).await;
        let support = identity.person_as("support@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        let body = json!({ "context": "carium-support", "new-password": "gJ7#pQ2!xyz" });
        identity.post_refused(&identity.system, &path(support.id), &body, 400, "validation-error").await;
        let body = json!({ "context": "carium-support", "new-password": "gJ7#pQ2!xyzw" });
        identity.post(&identity.system, &path(support.id), &body).await;
    }
}
