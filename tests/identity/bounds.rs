//! Limits on requests before the caller is authenticated, and rate limits.

use crate::app::{Identity, refusal};
use crate::on_both_stores;
use registrar::api::ApiSettings;
use registrar::api::identity::contract::CONTRACT;
use registrar::api::identity::routes::{Audience, ROUTES};
use registrar::auth::Rate;
use serde_json::json;
use std::time::Duration;

fn rate(requests: usize) -> Option<Rate> {
    Some(Rate { requests, window: Duration::from_secs(60) })
}

on_both_stores! {
    async fn public_operations_take_sixteen_kibibytes(database) {
        let identity = Identity::open(&database).await;
        let public: Vec<_> = ROUTES.iter().filter(|route| route.audience == Audience::Public).collect();
        assert!(public.len() >= 5, "{}", public.len());
        for route in public {
            let operation = CONTRACT.operation(route.operation).unwrap();
            let rubbish = |bytes: usize| format!("{{\"x\": \"{}\"}}", "a".repeat(bytes));
            let send = async |body: String, named: bool| {
                let call = identity.app.call(operation.method.as_str(), &operation.path).token(None);
                let call = call.header("content-type", "application/json");
                let call = if named { call.header("content-length", body.len().to_string()) } else { call };
                call.bytes(body).send().await
            };
            for named in [true, false] {
                refusal(&send(rubbish(16 * 1024), named).await, 413, "too-large");
                // Reads take no body.
                if operation.method.as_str() != "GET" {
                    refusal(&send(rubbish(16 * 1024 - 20), named).await, 400, "validation-error");
                }
            }
        }
    }

    async fn a_caller_over_the_rate_limit_is_refused_and_others_go_on(database) {
        let settings = ApiSettings { caller_rate: rate(5), stranger_rate: rate(1), ..ApiSettings::default() };
        let identity = Identity::with(&database, settings).await;
        for _ in 0..5 {
            identity.get(&identity.admin, "/v1/organizations/").await;
        }
        let refused = identity.call(&identity.admin, "GET", "/v1/organizations/").send().await;
        refusal(&refused, 429, "rate-limited");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        identity.get(&identity.provider, "/v1/organizations/").await;
    }

    async fn strangers_are_counted_by_their_network_in_all_dialects(database) {
        let identity = Identity::with(&database, ApiSettings { stranger_rate: rate(4), ..ApiSettings::default() }).await;
        let unknown = async |address: &str, path: &str| {
            let call = identity.app.call("GET", path).token(Some("rubbish")).peer(&format!("{address}:4711"));
            call.send().await.status.as_u16()
        };
        let paths = ["/v1/organizations/", "/api/ecg-admins", "/audit/events", "/v1/organizations/x/keys"];
        for (path, address) in paths.into_iter().zip(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]) {
            assert_eq!(unknown(address, path).await, 401, "{path}");
        }
        for path in paths {
            assert_eq!(unknown("192.0.2.5", path).await, 429, "{path}");
        }
        let login = json!({ "username": "nobody@example.com", "password": "wrong" });
        let from = |address: &str| {
            let call = identity.app.call("POST", "/v1/login/").token(None);
            call.peer(&format!("{address}:4711")).json(&login).send()
        };
        refusal(&from("192.0.2.1").await, 429, "rate-limited");
        refusal(&from("198.51.100.1").await, 401, "bad-credentials");
        // An authenticated caller does not count as a stranger, whatever its network.
        let known = identity.call(&identity.admin, "GET", "/v1/organizations/").peer("192.0.2.1:4711").send().await;
        assert_eq!(known.status, 200);
    }

    async fn documents_count_for_the_network_and_probes_do_not(database) {
        let identity = Identity::with(&database, ApiSettings { stranger_rate: rate(3), ..ApiSettings::default() }).await;
        let read = async |path: &str| identity.app.call("GET", path).token(None).send().await.status.as_u16();
        for path in ["/healthz", "/readyz", "/docs", "/openapi/identity.json", "/asyncapi.json", "/healthz", "/readyz"] {
            assert_eq!(read(path).await, 200, "{path}");
        }
        for path in ["/docs", "/openapi/identity.json", "/asyncapi.json", "/.well-known/jwks.json"] {
            assert_eq!(read(path).await, 429, "{path}");
        }
        assert_eq!((read("/healthz").await, read("/readyz").await), (200, 200));
    }

    async fn only_so_many_passwords_are_judged_at_once(database) {
        let identity = Identity::open(&database).await;
        let worst = json!({ "password": "4@8({[<369&#!1|0$5+7%2".repeat(12)[..255] });
        let judged = futures::future::join_all((0..200).map(|_| {
            identity.app.call("POST", "/v1/password-strength/").token(None).json(&worst).send()
        }));
        let judged = judged.await;
        let busy = judged.iter().filter(|answer| answer.status == 503).count();
        assert!(judged.iter().all(|answer| [201, 503].contains(&answer.status.as_u16())));
        assert!(busy > 0 && busy < 200, "{busy} of 200 were turned away");
        for answer in judged.iter().filter(|answer| answer.status == 503) {
            assert!(!answer.header("retry-after").is_empty());
        }
    }
}
