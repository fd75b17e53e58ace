//! Rules shared by all operations: authorization, rate limits, the order of checks, the envelope.

use crate::cloud_app::{Cloud, Key, PLENTY, ROOT, basic, key_of, key_until, refused, register, result};
use crate::on_both_stores;
use crate::support::Database;
use chrono::{TimeDelta, Utc};
use registrar::auth::Rate;
use registrar_aggregates::api_key::Role;
use registrar_aggregates::organization::{Organization, OrganizationCommand, Stamp};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const INACTIVE: &str = "UNAUTHORIZED: Key is not active";
const NOBODY: &str = "3f0c9e6a-0000-4000-8000-000000000000";
/// Method, path after the organization, and the permitted roles.
const OPERATIONS: [(&str, &str, &[Role]); 9] = [
    ("GET", "", &[Role::Admin, Role::Developer]),
    ("PATCH", "", &[Role::Admin]),
    ("GET", "/activities", &[Role::Admin, Role::Developer]),
    ("GET", "/activities/{activity}", &[Role::Admin, Role::Developer]),
    ("GET", "/keys", &[Role::Admin]),
    ("POST", "/keys", &[Role::Admin]),
    ("GET", "/keys/{key}", &[Role::Admin]),
    ("PATCH", "/keys/{key}", &[Role::Admin]),
    ("DELETE", "/keys/{key}", &[Role::Admin]),
];

fn body_of(method: &str, rest: &str) -> Value {
    if method == "POST" {
        json!({"name": "n", "roles": ["developer"]})
    } else if rest.is_empty() {
        json!({"name": "N"})
    } else {
        json!({})
    }
}

on_both_stores! {
    async fn strangers_are_refused_before_anything_else_is_looked_at(database) {
        let cloud = Cloud::open(&database).await;
        let Key { id, secret } = cloud.admin.clone();
        let other = format!("{}A", &secret[..secret.len() - 1]);
        let strangers = [
            None,
            Some(String::new()),
            Some("Basic".into()),
            Some("Basic ====".into()),
            Some(format!("Bearer {}", cloud.app.token)),
            Some(basic(&format!("{id}:"))),
            Some(basic(&format!("{id}:{secret} "))),
            Some(basic(&format!("{id}:{other}{other}"))),
            Some(basic(&format!("{}:{secret}", cloud.developer.id))),
            Some(basic(&format!("{NOBODY}:{secret}"))),
            Some(basic(&format!("{}:{secret}", Uuid::nil()))),
            Some(basic(&format!("nobody:{secret}"))),
            Some(basic(&secret)),
        ];
        for (method, path) in OPERATIONS.map(|(method, rest, _)| (method, format!("{ROOT}/x{}", rest.replace(['{', '}'], "")))).into_iter().chain([("GET", ROOT.to_owned())]) {
            for stranger in &strangers {
                let mut call = cloud.app.call(method, &format!("{path}?from_date=%")).token(None).header("content-type", "text/plain").bytes("{");
                if let Some(authorization) = stranger {
                    call = call.header("authorization", authorization);
                }
                let before = cloud.head().await;
                let answer = call.send().await;
                assert_eq!(answer.header("www-authenticate"), r#"Basic realm="registrar", charset="UTF-8""#);
                assert_eq!(refused(answer, 401), INACTIVE, "{method} {path} {stranger:?}");
                assert_eq!(cloud.head().await, before);
            }
            let call = cloud.app.call(method, &path).token(None).header("authorization", b"Basic \xff");
            assert_eq!(cloud.refused(call, 401).await, INACTIVE);
        }
    }

    async fn a_key_opens_this_dialect_and_no_other(database) {
        let cloud = Cloud::open(&database).await;
        for path in ["/api/ecg-admins", "/events/stream"] {
            assert_eq!(cloud.call(&cloud.admin, "GET", path).send().await.status, 401, "{path}");
        }
    }

    async fn malformed_ids_come_before_foreign_ones_and_these_before_roles_and_bodies(database) {
        let cloud = Cloud::open(&database).await;
        let foreign = register(cloud.node(), "Foreign").await;
        for key in [&cloud.admin, &cloud.developer, &cloud.query] {
            for (method, rest, _) in OPERATIONS {
                let call = |organization: &str, rest: &str| cloud.call(key, method, &format!("{ROOT}/{organization}{rest}?from_date=x")).header("content-type", "text/plain").bytes("{");
                let known = rest.replace("{key}", NOBODY).replace("{activity}", NOBODY);
                for malformed in ["x", "%00", "00000000-0000-0000-0000-000000000000", "3f0c9e6a00004000800000000000000", &foreign.simple().to_string()] {
                    let error = cloud.refused(call(malformed, &known), 400).await;
                    assert_eq!(error, "BAD_REQUEST: Invalid organization id", "{method} {malformed}{rest}");
                }
                let short = rest.replace("{key}", "x").replace("{activity}", "activity");
                if rest.contains("{key}") {
                    assert_eq!(cloud.refused(call(NOBODY, &short), 400).await, "BAD_REQUEST: Invalid key id");
                }
                if rest.contains("{activity}") {
                    assert_eq!(cloud.refused(call(NOBODY, &short), 400).await, "BAD_REQUEST: length is too small: 8 < 20");
                }
                for organization in [NOBODY, &foreign.to_string()] {
                    assert_eq!(cloud.refused(call(organization, &known), 404).await, "NOT_FOUND", "{method} {rest}");
                }
            }
        }
    }

    async fn each_operation_needs_its_role_before_the_body_is_looked_at(database) {
        let cloud = Cloud::open(&database).await;
        let activity = cloud.read(&cloud.path("/activities")).await[0]["id"].as_str().unwrap().to_owned();
        for (method, rest, roles) in OPERATIONS {
            for (role, key) in [(Role::Admin, &cloud.admin), (Role::Developer, &cloud.developer), (Role::QueryEndpoints, &cloud.query)] {
                let spare = key_of(cloud.node(), cloud.acme, Role::Developer).await;
                let path = cloud.path(&rest.replace("{key}", &spare.id).replace("{activity}", &activity));
                if roles.contains(&role) {
                    result(cloud.call(key, method, &path).json(&body_of(method, rest)).send().await);
                } else {
                    let call = cloud.call(key, method, &format!("{path}?from_date=x")).header("content-type", "text/plain").bytes("{");
                    assert_eq!(cloud.refused(call, 403).await, "FORBIDDEN", "{method} {rest} {role}");
                }
            }
        }
        assert_eq!(cloud.refused(cloud.call(&cloud.query, "GET", ROOT), 403).await, "FORBIDDEN");
        result(cloud.call(&cloud.developer, "GET", ROOT).send().await);
    }

    async fn a_key_that_is_disabled_expired_or_deleted_is_refused_from_the_next_request_on(database) {
        let cloud = Cloud::open(&database).await;
        let get = |key: &Key| cloud.call(key, "GET", ROOT);
        let victim = cloud.developer.clone();
        let path = cloud.path(&format!("/keys/{}", victim.id));
        result(get(&victim).send().await);
        cloud.write("PATCH", &path, &json!({"state": "disabled"})).await;
        assert_eq!(cloud.refused(get(&victim), 401).await, INACTIVE);
        cloud.write("PATCH", &path, &json!({"state": "enabled"})).await;
        result(get(&victim).send().await);
        result(cloud.call(&cloud.admin, "DELETE", &path).send().await);
        assert_eq!(cloud.refused(get(&victim), 401).await, INACTIVE);

        let soon = Utc::now() + TimeDelta::milliseconds(300);
        let ending = key_until(cloud.node(), cloud.acme, Role::Admin, Some(soon)).await;
        while Utc::now() < soon {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(cloud.refused(get(&ending), 401).await, INACTIVE);
    }

    async fn the_keys_of_an_organization_that_is_gone_are_no_longer_in_force(database) {
        let cloud = Cloud::open(&database).await;
        let context = crate::cloud_app::context_of(cloud.acme);
        let command = OrganizationCommand::Delete(Stamp::at(Utc::now()));
        cloud.node().executor.execute::<Organization>(&context, &cloud.acme.to_string(), command, None).await.unwrap();
        for path in [ROOT.to_owned(), cloud.path(""), cloud.path("/activities"), cloud.path("/keys")] {
            assert_eq!(cloud.refused(cloud.call(&cloud.admin, "GET", &path), 401).await, INACTIVE);
        }
    }

    async fn more_requests_than_the_rate_allows_wait(database) {
        let rate = Rate { requests: 3, window: Duration::from_secs(3600) };
        let cloud = Cloud::over(database.open().await, rate).await;
        let path = cloud.path("");
        // Unauthenticated requests do not count against a key's limit.
        let stranger = Key { secret: "x".into(), ..cloud.admin.clone() };
        for _ in 0..10 {
            refused(cloud.call(&stranger, "GET", &path).send().await, 401);
        }
        // Requests with an invalid body or path count like others.
        result(cloud.call(&cloud.admin, "GET", &path).send().await);
        refused(cloud.call(&cloud.admin, "GET", &format!("{ROOT}/x")).send().await, 400);
        refused(cloud.call(&cloud.admin, "GET", &format!("{ROOT}/{NOBODY}")).send().await, 404);
        for path in [&path, &format!("{ROOT}/x")] {
            let before = cloud.head().await;
            let answer = cloud.call(&cloud.admin, "PATCH", path).json(&json!({"name": "New"})).send().await;
            let reset: u64 = answer.header("x-ratelimit-reset").parse().unwrap();
            assert!((3590..=3600).contains(&reset), "{reset}");
            assert_eq!(answer.header("retry-after"), reset.to_string());
            assert_eq!(refused(answer, 429), "TOO_MANY_REQUESTS");
            assert_eq!(cloud.head().await, before);
        }
        // A stranger still gets 401, and another key has its own limit.
        refused(cloud.call(&stranger, "GET", &path).send().await, 401);
        result(cloud.call(&cloud.developer, "GET", &path).send().await);
    }

    async fn unknown_paths_methods_and_bodies_are_refused_in_the_shape_of_the_dialect(database) {
        let cloud = Cloud::open(&database).await;
        let call = |method: &str, path: &str| cloud.call(&cloud.admin, method, path);
        for path in ["/services", "/keys/x/y", "/activities/x/y"] {
            assert_eq!(cloud.refused(call("GET", &cloud.path(path)), 404).await, "NOT_FOUND");
        }
        for (method, path, allow) in [
            ("POST", ROOT.to_owned(), "GET,HEAD"),
            ("DELETE", cloud.path(""), "GET,HEAD,PATCH"),
            ("PUT", cloud.path("/keys"), "GET,HEAD,POST"),
            ("POST", cloud.path("/activities"), "GET,HEAD"),
        ] {
            let answer = call(method, &path).send().await;
            assert_eq!(answer.header("allow"), allow);
            assert!(refused(answer, 405).starts_with("METHOD_NOT_ALLOWED: "));
        }
        let patch = || call("PATCH", &cloud.path(""));
        let error = cloud.refused(patch().header("content-type", "text/plain").bytes("{}"), 415).await;
        assert_eq!(error, "UNSUPPORTED_MEDIA_TYPE: the content type must be application/json");
        let long = patch().header("content-type", "application/json").header("content-length", "2000000").bytes("{}");
        assert!(cloud.refused(long, 413).await.starts_with("PAYLOAD_TOO_LARGE: "));
        let unseen = patch().header("if-match", "\"99\"").json(&json!({"name": "New"}));
        assert!(cloud.refused(unseen, 412).await.starts_with("PRECONDITION_FAILED: "));
        let early = call("GET", ROOT).header("registrar-min-position", "1000000").send().await;
        assert_eq!(early.header("retry-after"), "1");
        assert!(refused(early, 503).starts_with("SERVICE_UNAVAILABLE: "));
    }

    async fn every_answer_has_an_id_and_the_position_that_it_reflects(database) {
        let cloud = Cloud::open(&database).await;
        let head = cloud.head().await.to_string();
        for path in [ROOT.to_owned(), cloud.path(""), cloud.path("/activities"), cloud.path("/keys")] {
            let answer = cloud.call(&cloud.admin, "GET", &path).send().await;
            let id = Uuid::try_parse(answer.header("x-request-id")).unwrap();
            assert_eq!((id.get_version_num(), answer.header("registrar-position")), (4, head.as_str()), "{path}");
            assert_eq!(answer.json()["requestId"], id.to_string());
        }
        let chosen = "5b0e3a52-7c3e-4c35-9d1e-6a9f0c6f4a11";
        let answer = cloud.call(&cloud.admin, "GET", ROOT).header("x-request-id", chosen).send().await;
        assert_eq!(answer.json()["requestId"], chosen);
    }
}

/// Also with a key that the other node has in its cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_key_on_one_node_applies_to_the_next_request_on_another() {
    let database = Database::postgres().await;
    let here = Cloud::open(&database).await;
    let there = Cloud::over(database.open().await, PLENTY).await;
    let get = |key: &Key| there.call(key, "GET", &here.path(""));
    let victim = here.developer.clone();
    let path = here.path(&format!("/keys/{}", victim.id));
    result(get(&victim).send().await);
    here.write("PATCH", &path, &json!({"roles": ["query_endpoints"]})).await;
    refused(get(&victim).send().await, 403);
    here.write("PATCH", &path, &json!({"roles": ["developer"], "state": "disabled"})).await;
    refused(get(&victim).send().await, 401);
    here.write("PATCH", &path, &json!({"state": "enabled"})).await;
    result(get(&victim).send().await);
    result(here.call(&here.admin, "DELETE", &path).send().await);
    refused(get(&victim).send().await, 401);
}
