//! The second factor over HTTP, with codes computed as a device computes them.

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Create, LISTED_ONLY, List, Resource, query};
use crate::matrix::world::{Request, World};
use crate::on_both_stores;
use crate::sign_in::{attempt, sign_in, with_password};
use crate::suite::Suite;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use std::time::Duration;
use totp_rs::{Builder, Secret};
use uuid::Uuid;

const ROOT: &str = "/v1/mfa-totp/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-totp-configurations", a_device_is_put_in_force_and_asked_for_at_every_sign_in::TEST),
        ("create-totp-configuration", a_device_is_put_in_force_and_asked_for_at_every_sign_in::TEST),
        ("enable-totp-configuration", a_device_is_put_in_force_and_asked_for_at_every_sign_in::TEST),
        ("disable-totp-configuration", a_device_is_disabled_and_deleted::TEST),
        ("delete-totp-configuration", a_device_is_disabled_and_deleted::TEST),
    ],
    table: "
        list-totp-configurations    403 participant provider leader sharing support service, 200 others
        create-totp-configuration   403 narrowed, 201 others
        enable-totp-configuration   403 managers, 404 others
        disable-totp-configuration  201 admin administrator system, 403 narrowed, 404 others
        delete-totp-configuration   204 managers, 404 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "mfa-totp",
    caller: "provider",
    create: Has(Create { operation: "create-totp-configuration", listed: Has(|_, _| query(String::new())) }),
    read: Lacks(LISTED_ONLY),
    update: Lacks("switched by commands"),
    list: Has(List {
        operation: "list-totp-configurations",
        rows: |world| query(format!("filter[user-id]={}", world.caller("provider").id)),
        paged: Lacks("there is one, or two"),
        scope: Has("filter[user-id]"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("a pending one is replaced"),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let password = json!({ "password": PASSWORD });
    match operation {
        "list-totp-configurations" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Some(Request::to(format!("{ROOT}?filter[user-id]={}", person.id)))
        }
        "create-totp-configuration" => Some(Request::to(ROOT).json(json!({}))),
        "enable-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            let codes = [code(&device.secret, -1), code(&device.secret, 0)];
            let body = json!({ "password": PASSWORD, "codes": codes });
            Some(Request::to(format!("{}enable/", device.path)).json(body).of(&person.token))
        }
        "disable-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            let codes = [code(&device.secret, -1), code(&device.secret, 0)];
            let body = json!({ "password": PASSWORD, "codes": codes });
            world.identity.post(&person, &format!("{}enable/", device.path), &body).await;
            Some(Request::to(format!("{}disable/", device.path)).json(password).of(&person.token))
        }
        "delete-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            Some(Request::to(device.path).of(&person.token))
        }
        _ => None,
    }
}

async fn ada(identity: &Identity) -> Person {
    let id = with_password(identity, "ada@example.com", Role::Provider, |_| {}).await;
    let info = sign_in(identity, "ada@example.com").await;
    let token = info["access-token"].as_str().unwrap().to_owned();
    Person { id, email: "ada@example.com".into(), individual: None, token }
}

/// The code of a secret, `steps` time steps from now.
pub fn code(secret: &str, steps: i64) -> String {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(u64::try_from(Utc::now().timestamp() + steps * 30).unwrap()).to_string()
}

pub struct Device {
    pub path: String,
    pub secret: String,
}

/// Waits until the current time step has enough time left: a test that crosses its end computes other codes.
async fn early_in_a_step() {
    let gone = Utc::now().timestamp_millis() % 30_000;
    if gone > 20_000 {
        tokio::time::sleep(Duration::from_millis((30_000 - gone).unsigned_abs())).await;
    }
}

pub async fn device(identity: &Identity, person: &Person) -> Device {
    early_in_a_step().await;
    let made = identity.post(person, ROOT, &json!({})).await;
    let id = made["data"]["id"].as_str().unwrap();
    let secret = made["data"]["attributes"]["secret"]["shared-secret-key"].as_str().unwrap().to_owned();
    Device { path: format!("{ROOT}{id}/"), secret }
}

fn enabling(device: &Device) -> Value {
    json!({ "password": PASSWORD, "codes": [code(&device.secret, -1), code(&device.secret, 0)] })
}

fn credentials(code: Option<&str>) -> Value {
    let mut body = json!({ "username": "ada@example.com", "password": PASSWORD });
    if let Some(code) = code {
        body["totp-code"] = json!(code);
    }
    body
}

on_both_stores! {
    async fn a_device_is_put_in_force_and_asked_for_at_every_sign_in(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let made = identity.post(&ada, ROOT, &json!({})).await;
        let shown = &made["data"]["attributes"]["secret"];
        assert_eq!((&made["data"]["attributes"]["enabled"], &made["data"]["attributes"]["user-id"]), (&json!(false), &json!(ada.id)));
        let uri = shown["provisioning-uri"].as_str().unwrap();
        let secret = shown["shared-secret-key"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/Registrar:ada%40example.com?") && uri.contains(secret), "{uri}");
        let image = BASE64_STANDARD.decode(shown["provisioning-qrcode"]["contents-base64"].as_str().unwrap()).unwrap();
        assert!(image.starts_with(b"\x89PNG") && shown["provisioning-qrcode"]["width"].as_u64().unwrap() > 100);
        // Before the device is enabled no code is required.
        sign_in(&identity, "ada@example.com").await;

        let device = device(&identity, &ada).await;
        let enabled = identity.post(&ada, &format!("{}enable/", device.path), &enabling(&device)).await;
        let attributes = &enabled["data"]["attributes"];
        assert_eq!((&attributes["enabled"], &attributes["secret"]), (&json!(true), &json!(null)));
        assert!(attributes["enabled-at"].is_string());
        let call = |body: &Value| identity.app.call("POST", "/v1/login/").token(None).json(body);
        identity.refused(call(&credentials(None)), 401, "totp-required").await;
        // The codes that enabled the device are used up.
        refusal(&attempt(&identity, &credentials(Some(&code(&device.secret, 0)))).await, 401, "totp-invalid");
        let next = code(&device.secret, 1);
        assert_eq!(attempt(&identity, &credentials(Some(&next))).await.status, 201);
        refusal(&attempt(&identity, &credentials(Some(&next))).await, 401, "totp-invalid");
        for wrong in ["000000", "", "abcdef", "1234567"] {
            refusal(&attempt(&identity, &credentials(Some(wrong))).await, 401, "totp-invalid");
        }
        let listed = identity.get(&ada, ROOT).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        assert!(listed["data"][0]["attributes"]["last-used"].is_string());
        assert!(!listed.to_string().contains(&device.secret));
    }

    async fn a_recovery_code_signs_in_once_without_the_device(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let device = device(&identity, &ada).await;
        let path = format!("{}enable/", device.path);
        let enabled = identity.post(&ada, &path, &enabling(&device)).await;
        let codes: Vec<_> = enabled["meta"]["recovery-codes"].as_array().unwrap().clone();
        assert_eq!(codes.len(), 10);
        let [first, second] = [0, 1].map(|number: usize| codes[number].as_str().unwrap().to_owned());
        // Enabling a device again returns no recovery codes.
        let later = json!({ "password": PASSWORD, "codes": [code(&device.secret, 1), code(&device.secret, 2)] });
        let again = identity.post(&ada, &path, &later).await;
        assert!(again["meta"].is_null(), "{again}");
        assert_eq!(attempt(&identity, &credentials(Some(&first))).await.status, 201);
        refusal(&attempt(&identity, &credentials(Some(&first))).await, 401, "totp-invalid");
        let spaced = second.to_uppercase().replace('-', " ");
        assert_eq!(attempt(&identity, &credentials(Some(&spaced))).await.status, 201);
        let body = credentials(Some(codes[2].as_str().unwrap()));
        let answers = futures::future::join_all((0..4).map(|_| attempt(&identity, &body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        // After this sign-in the user replaces the device, which brings new recovery codes.
        let password = json!({ "password": PASSWORD });
        identity.post(&ada, &format!("{}disable/", device.path), &password).await;
        let other = self::device(&identity, &ada).await;
        identity.post(&ada, &format!("{}enable/", other.path), &enabling(&other)).await;
        refusal(&attempt(&identity, &credentials(codes[3].as_str())).await, 401, "totp-invalid");
    }

    async fn one_code_opens_one_session_however_many_try_it_at_once(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let device = device(&identity, &ada).await;
        identity.post(&ada, &format!("{}enable/", device.path), &enabling(&device)).await;
        let body = credentials(Some(&code(&device.secret, 1)));
        let answers = futures::future::join_all((0..6).map(|_| attempt(&identity, &body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    }

    async fn a_device_is_enabled_by_the_password_and_two_consecutive_codes(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let device = device(&identity, &ada).await;
        let path = format!("{}enable/", device.path);
        let with = |codes: Value| json!({ "password": PASSWORD, "codes": codes });
        let (before, now) = (code(&device.secret, -1), code(&device.secret, 0));
        for codes in [json!([now, before]), json!([now, now]), json!(["000000", "111111"]), json!([code(&device.secret, -9), code(&device.secret, -8)])] {
            identity.post_refused(&ada, &path, &with(codes), 400, "totp-invalid").await;
        }
        for codes in [json!([now]), json!([before, now, now]), json!("x"), json!([])] {
            identity.post_refused(&ada, &path, &with(codes), 400, "validation-error").await;
        }
        let wrong = json!({ "password": "wrong", "codes": [before, now] });
        refusal(&identity.call(&ada, "POST", &path).json(&wrong).send().await, 403, "bad-credentials");
        identity.post_refused(&identity.provider, &path, &enabling(&device), 404, "not-found").await;
        let unknown = format!("{ROOT}{}/enable/", Uuid::now_v7());
        identity.post_refused(&ada, &unknown, &enabling(&device), 404, "not-found").await;
        identity.post(&ada, &path, &enabling(&device)).await;
        identity.post_refused(&ada, ROOT, &json!({}), 409, "conflict").await;
        identity.post_refused(&ada, ROOT, &json!({ "secret": "x" }), 400, "validation-error").await;
    }

    async fn a_device_is_disabled_and_deleted(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let device = device(&identity, &ada).await;
        identity.post(&ada, &format!("{}enable/", device.path), &enabling(&device)).await;
        identity.refused(identity.call(&ada, "DELETE", &device.path), 409, "conflict").await;
        let disable = format!("{}disable/", device.path);
        let wrong = identity.call(&ada, "POST", &disable).json(&json!({ "password": "wrong" })).send().await;
        refusal(&wrong, 403, "bad-credentials");
        identity.post_refused(&identity.provider, &disable, &json!({ "password": PASSWORD }), 404, "not-found").await;
        let disabled = identity.post(&ada, &disable, &json!({ "password": PASSWORD })).await;
        // An enabled device never shows its secret.
        assert_eq!((&disabled["data"]["attributes"]["enabled"], &disabled["data"]["attributes"]["secret"]), (&json!(false), &json!(null)));
        let head = identity.head().await;
        identity.post(&ada, &disable, &json!({ "password": PASSWORD })).await;
        assert_eq!(identity.head().await, head);
        sign_in(&identity, "ada@example.com").await;
        identity.refused(identity.call(&identity.provider, "DELETE", &device.path), 404, "not-found").await;
        assert_eq!(identity.call(&ada, "DELETE", &device.path).send().await.status, 204);
        identity.refused(identity.call(&ada, "DELETE", &device.path), 404, "not-found").await;
        assert_eq!(identity.get(&ada, ROOT).await["data"], json!([]));
    }

    async fn one_of_four_devices_created_at_once_stays(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let answers = futures::future::join_all((0..4).map(|_| {
            identity.call(&ada, "POST", ROOT).json(&json!({})).send()
        }))
        .await;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&201), "{statuses:?}");
        assert_eq!(identity.get(&ada, ROOT).await["data"].as_array().unwrap().len(), 1);
        // The next device takes its place and can be enabled.
        let device = device(&identity, &ada).await;
        identity.post(&ada, &format!("{}enable/", device.path), &enabling(&device)).await;
        identity.post(&ada, &format!("{}disable/", device.path), &json!({ "password": PASSWORD })).await;
        identity.post(&ada, ROOT, &json!({})).await;
        assert_eq!(identity.get(&ada, ROOT).await["data"].as_array().unwrap().len(), 1);
    }

    async fn answers_are_committed_with_their_events(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let twice = async |method: &str, path: &str, body: Option<Value>, key: &str| {
            let send = || {
                let call = identity.call(&ada, method, path).header("idempotency-key", key);
                match &body {
                    Some(body) => call.json(body),
                    None => call,
                }
            };
            let (first, again) = (send().send().await, send().send().await);
            assert!(first.status.is_success(), "{first:?}");
            assert_eq!((first.status, &first.text), (again.status, &again.text));
            assert_eq!(again.header("idempotency-replayed"), "true");
            first.text
        };
        let made: Value = serde_json::from_str(&twice("POST", ROOT, Some(json!({})), "a").await).unwrap();
        let secret = made["data"]["attributes"]["secret"]["shared-secret-key"].as_str().unwrap().to_owned();
        let device = Device { path: format!("{ROOT}{}/", made["data"]["id"].as_str().unwrap()), secret };
        twice("POST", &format!("{}enable/", device.path), Some(enabling(&device)), "b").await;
        twice("POST", &format!("{}disable/", device.path), Some(json!({ "password": PASSWORD })), "c").await;
        twice("DELETE", &device.path, None, "d").await;
    }

    async fn an_admin_with_an_account_has_a_second_factor_too(database) {
        let identity = Identity::open(&database).await;
        let hash = identity.app.state.passwords.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        crate::app::register_admin(identity.node(), "root@example.com", &hash).await;
        let info = sign_in(&identity, "root@example.com").await;
        let id: Uuid = info["user-id"].as_str().unwrap().parse().unwrap();
        let token = info["access-token"].as_str().unwrap().to_owned();
        let root = Person { id, email: "root@example.com".into(), individual: None, token };
        let who = identity.post(&root, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["email"], "root@example.com");
        let device = device(&identity, &root).await;
        assert_eq!(identity.get(&root, ROOT).await["data"][0]["attributes"]["user-id"], json!(id));
        identity.post(&root, &format!("{}enable/", device.path), &enabling(&device)).await;
        let mut body = json!({ "username": "root@example.com", "password": PASSWORD });
        identity.refused(identity.app.call("POST", "/v1/login/").token(None).json(&body), 401, "totp-required").await;
        body["totp-code"] = json!(code(&device.secret, 1));
        assert_eq!(attempt(&identity, &body).await.status, 201);
        // For another person the device does not exist.
        identity.post_refused(&identity.system, &format!("{}disable/", device.path), &json!({ "password": PASSWORD }), 404, "not-found").await;
    }

    async fn admins_look_and_see_no_secret(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let device = device(&identity, &ada).await;
        let listed = identity.get(&identity.admin, &format!("{ROOT}?filter[user-id]={}", ada.id)).await;
        assert_eq!(listed["data"][0]["attributes"]["secret"], json!(null));
        assert!(identity.get(&ada, ROOT).await.to_string().contains(&device.secret));
        let hers = format!("{ROOT}?filter[user-id]={}", ada.id);
        identity.get_refused(&identity.provider, &hers, 403, "forbidden").await;
        let unseen = identity.find_nothing(&identity.other_admin, &hers).await;
        assert_eq!(unseen, identity.find_nothing(&ada, &format!("{ROOT}?filter[user-id]={}", Uuid::now_v7())).await);
        identity.get_refused(&ada, &format!("{ROOT}?filter[user-id]=x"), 400, "validation-error").await;
    }
}
