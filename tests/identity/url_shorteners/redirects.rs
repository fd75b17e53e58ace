//! Short links that are followed, and the record of their visits.

use super::*;
use crate::ecg_app::{Answer, App};
use crate::support::while_commits_wait;
use chrono::TimeDelta;
use futures::future::{join, join_all};
use proptest::prelude::*;
use registrar::auth::Rate;
use registrar::executor::RequestContext;
use registrar::followers;
use registrar::processes::url_shorteners;
use registrar_aggregates::url_shortener::target::Target;
use registrar_aggregates::url_shortener::{Limits, NewLink};
use registrar_aggregates::values::{OrganizationId, UrlShortenerId};
use reqwest::Url;
use std::time::Duration;

impl Identity {
    /// Follows a code as a stranger.
    pub(super) async fn followed(&self, method: &str, code: &str) -> Answer {
        followed(&self.app, method, code).await
    }

    async fn redirect_count(&self, link: &Value) -> u64 {
        let shown = self.get(&self.admin, &path(link)).await;
        shown["data"]["attributes"]["redirect-count"].as_u64().unwrap()
    }

    async fn record_visits(&self) {
        self.app.state.visits.record(self.node()).await;
    }

    /// A link of Acme that has expired an hour ago.
    async fn expired_link(&self) -> Value {
        let (id, created_at) = (UrlShortenerId(Uuid::now_v7()), Utc::now() - TimeDelta::hours(2));
        let new = NewLink {
            id,
            organization_id: OrganizationId(self.acme),
            netloc: "links.example.org".to_owned(),
            full_path: "/a".to_owned(),
            expires_at: Some(created_at + TimeDelta::hours(1)),
        };
        let limits = Limits { hosts: hosts(), now: created_at };
        url_shorteners::create(self.node(), &RequestContext::system(), new, limits).await.unwrap();
        self.get(&self.admin, &format!("{LINKS}{id}/")).await["data"].take()
    }
}

async fn followed(app: &App, method: &str, code: &str) -> Answer {
    app.call(method, &format!("/s/{code}")).token(None).send().await
}

on_both_stores! {
    async fn a_visitor_is_led_to_the_target_without_an_event(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({ "full-path": "/b?c=%20#d" })).await;
        let head = it.head().await;
        for method in ["GET", "HEAD"] {
            let answer = it.followed(method, code(&made)).await;
            assert_eq!(answer.status, 302, "{answer:?}");
            assert_eq!(answer.header("location"), "https://links.example.org/b?c=%20#d");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert_eq!(answer.text, "");
        }
        assert_eq!(it.head().await, head);
        let other = change(&made, json!({ "netloc": "app.example.org:8443", "full-path": "/" }));
        it.patch(&it.admin, &path(&made), &other).await;
        let answer = it.followed("GET", code(&made)).await;
        assert_eq!(answer.header("location"), "https://app.example.org:8443/");
        assert_eq!(it.followed("POST", code(&made)).await.status, 405);
    }

    async fn an_unknown_code_is_not_found(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({})).await;
        let (known, longer) = (code(&made), format!("{}1", code(&made)));
        for unknown in ["11111111", &swapped(known), &known[..7], &longer, "%FF", "a%2Fb", "%00", "..", "a%0Ab"] {
            for method in ["GET", "HEAD"] {
                assert_eq!(it.followed(method, unknown).await.status, 404, "{unknown}");
            }
        }
        let told = it.followed("GET", "11111111").await;
        assert_eq!(told.header("content-type"), "application/problem+json");
        assert_eq!(told.json()["code"], "not-found");
        it.record_visits().await;
        assert_eq!(it.redirect_count(&made).await, 0);
    }

    async fn an_expired_link_is_gone_until_its_end_is_changed(database) {
        let it = open(&database).await;
        let made = it.expired_link().await;
        for method in ["GET", "HEAD"] {
            assert_eq!(it.followed(method, code(&made)).await.status, 410);
        }
        let told = it.followed("GET", code(&made)).await;
        assert_eq!((told.json()["code"].clone(), told.headers.get("location")), (json!("expired"), None));
        it.record_visits().await;
        assert_eq!(it.redirect_count(&made).await, 0);
        it.patch(&it.admin, &path(&made), &change(&made, json!({ "expires-at": null }))).await;
        assert_eq!(it.followed("GET", code(&made)).await.status, 302);
    }

    async fn a_link_to_a_host_that_is_no_longer_listed_is_unknown(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({})).await;
        let others = ApiSettings { link_hosts: LinkHosts::parse("app.example.org").unwrap(), ..ApiSettings::default() };
        let later = App::over(database.open().await, others).await;
        assert_eq!(followed(&later, "GET", code(&made)).await.status, 404);
        assert_eq!(it.followed("GET", code(&made)).await.status, 302);
    }

    async fn visits_are_recorded_with_one_event_a_link_and_shown(database) {
        let it = open(&database).await;
        let (made, other) = (it.short_link(json!({})).await, it.short_link(json!({})).await);
        let head = it.head().await;
        for _ in 0..3 {
            it.followed("GET", code(&made)).await;
        }
        it.followed("GET", code(&other)).await;
        it.followed("HEAD", code(&other)).await;
        assert_eq!((it.redirect_count(&made).await, it.head().await), (0, head));
        it.record_visits().await;
        assert_eq!(it.head().await, head + 2, "an event for each link");
        assert_eq!((it.redirect_count(&made).await, it.redirect_count(&other).await), (3, 1));
        it.record_visits().await;
        assert_eq!(it.head().await, head + 2, "no event without a visit");

        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let event = events.iter().find(|event| event.aggregate_id == id(&made)).unwrap();
        assert_eq!(event.event_type, "url-shortener-visits.counted");
        let (payload, metadata): (Value, Value) =
            (serde_json::from_str(&event.payload).unwrap(), serde_json::from_str(&event.metadata).unwrap());
        assert_eq!((&payload["visits"], &metadata["organizationId"]), (&json!(3), &json!(it.acme)));
        assert!(payload["since"].is_string(), "{payload}");
        followers::rebuild(it.node(), &|_, _| {}).await.unwrap();
        assert_eq!(it.redirect_count(&made).await, 3, "a rebuild adds up the same");
    }

    async fn visits_of_two_nodes_add_up(database) {
        let it = open(&database).await;
        let second = App::over(database.open().await, settings()).await;
        let made = it.short_link(json!({})).await;
        for round in 1..=3 {
            join_all((0..4).map(|_| it.followed("GET", code(&made)))).await;
            join_all((0..5).map(|_| followed(&second, "GET", code(&made)))).await;
            join(it.record_visits(), second.state.visits.record(&second.state.node)).await;
            assert_eq!(it.redirect_count(&made).await, round * 9);
        }
    }

    async fn a_link_is_amended_while_its_visits_are_recorded(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({})).await;
        for round in 0..5 {
            let seen = it.call(&it.admin, "GET", &path(&made)).send().await;
            it.followed("GET", code(&made)).await;
            it.record_visits().await;
            it.followed("GET", code(&made)).await;
            let body = change(&made, json!({ "full-path": format!("/{round}") }));
            let call = it.call(&it.admin, "PATCH", &path(&made)).header("if-match", seen.header("etag")).json(&body);
            let (amended, ()) = while_commits_wait(it.node(), join(call.send(), it.record_visits())).await;
            assert_eq!(amended.status, 200, "{amended:?}");
            assert_eq!(it.redirect_count(&made).await, 2 * (round + 1));
        }
    }

    async fn visitors_count_as_strangers_of_their_network(database) {
        let stranger_rate = Some(Rate { requests: 2, window: Duration::from_secs(60) });
        let it = Identity::with(&database, ApiSettings { stranger_rate, ..settings() }).await;
        let made = it.short_link(json!({})).await;
        let visit = async |address: &str| {
            let call = it.app.call("GET", &format!("/s/{}", code(&made))).token(None);
            call.peer(&format!("{address}:4711")).send().await.status.as_u16()
        };
        assert_eq!([visit("192.0.2.1").await, visit("192.0.2.2").await, visit("192.0.2.3").await], [302, 302, 429]);
        assert_eq!(visit("198.51.100.1").await, 302);
    }
}

/// Paths of pieces that browsers treat in different ways.
const PATH: &str = r"(/([a-zA-Z0-9._~!$'()*+,;=:&@\\-]|%[0-9a-fA-F]{2}|%[cC]3%[aAbB][0-9a-f]){0,6}){1,4}";
const TAIL: &str = r"(\?[a-z0-9/?@:=&%.]{0,8})?(#[a-z0-9/?@%]{0,8})?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// The parser of the WHATWG, which browsers follow.
    #[test]
    fn browsers_find_the_listed_host_and_the_same_path_in_every_target(
        (netloc, name, port) in proptest::sample::select(vec![
            ("links.example.org", "links.example.org", None::<u16>),
            ("App.Example.org:8443", "app.example.org", Some(8_443)),
        ]),
        path in PATH,
        tail in TAIL,
    ) {
        let Ok(target) = Target::within(&hosts(), netloc, &format!("{path}{tail}")) else { return Ok(()) };
        let url = Url::parse(&target.url()).unwrap();
        prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some(name), port));
        prop_assert_eq!((url.username(), url.password()), ("", None));
        prop_assert_eq!(url.path(), path);
    }
}
