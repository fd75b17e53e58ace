//! Short links: who keeps them, and what they may lead to.

mod redirects;
mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, ids};
use crate::ecg_app::ISSUER;
use crate::matrix::world::{amendment, document};
use crate::on_both_stores;
use crate::support::Database;
use chrono::Utc;
use registrar::api::ApiSettings;
use registrar::processes::membership::FirstGrant;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::url_shortener::ShortCode;
use registrar_aggregates::url_shortener::target::LinkHosts;
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const LINKS: &str = "/v1/url-shorteners/";
const KIND: &str = "url-shorteners";

/// Hosts that the links of tests may lead to.
pub fn hosts() -> LinkHosts {
    LinkHosts::parse("links.example.org,app.example.org:8443").unwrap()
}

fn settings() -> ApiSettings {
    ApiSettings { link_hosts: hosts(), ..ApiSettings::default() }
}

async fn open(database: &Database) -> Identity {
    Identity::with(database, settings()).await
}

/// A new link of an organization with further or other attributes.
pub fn link(organization: Uuid, attributes: Value) -> Value {
    let mut link = json!({ "organization-id": organization, "netloc": "links.example.org", "full-path": "/a" });
    link.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    document(KIND, link)
}

fn id(link: &Value) -> String {
    link["id"].as_str().unwrap().to_owned()
}

fn path(link: &Value) -> String {
    format!("{LINKS}{}/", id(link))
}

fn change(link: &Value, attributes: Value) -> Value {
    amendment(KIND, &id(link), attributes)
}

fn code(link: &Value) -> &str {
    link["attributes"]["code"].as_str().unwrap()
}

/// The code with every letter in the other case.
fn swapped(code: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    code.chars().map(swap).collect()
}

impl Identity {
    /// Creates a link of Acme; answers its resource.
    async fn short_link(&self, attributes: Value) -> Value {
        self.post(&self.admin, LINKS, &link(self.acme, attributes)).await["data"].take()
    }
}

/// Attributes that are refused, each with its member.
fn refused_attributes() -> Vec<(Value, &'static str)> {
    let mut refused = vec![
        (json!({ "expires-at": "2000-01-01 00:00:00" }), "expires-at"),
        (json!({ "expires-at": "tomorrow" }), "expires-at"),
        (json!({ "code": "abcdefgh" }), "code"),
        (json!({ "redirect-count": 7 }), "redirect-count"),
    ];
    let long = "x".repeat(256);
    for netloc in [
        "",
        "evil.example",
        "app.example.org",
        "links.example.org:80",
        "links.example.org.",
        "links.example.org@evil.example",
        "links.example.org\\@evil.example",
        "https://links.example.org",
        "l\u{456}nks.example.org",
        "links\u{3002}example.org",
        "links.example.org\u{202e}",
        &long,
    ] {
        refused.push((json!({ "netloc": netloc }), "netloc"));
    }
    let long = format!("/{}", "x".repeat(2_048));
    for path in [
        "",
        "a",
        "@evil.example/",
        ".evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/a\r\nSet-Cookie: x",
        "/a\u{202e}",
        "/..",
        "/%2e%2e/a",
        "/a%2Fb",
        "/a%00",
        &long,
    ] {
        refused.push((json!({ "full-path": path }), "full-path"));
    }
    refused
}

on_both_stores! {
    async fn a_link_is_created_shown_and_amended(database) {
        let it = open(&database).await;
        let sent = json!({
            "netloc": "Links.Example.org",
            "full-path": "/visits/7?from=letter",
            "expires-at": "2999-01-01T02:00:00+02:00",
        });
        let created = it.post(&it.admin, LINKS, &link(it.acme, sent)).await;
        let made = &created["data"];
        let shown = &made["attributes"];
        assert!(ShortCode::parse(code(made)).is_some(), "{shown}");
        assert_eq!(shown["created-at"].as_str().unwrap().len(), 19);
        let mut expected = json!({
            "code": code(made),
            "created-at": shown["created-at"],
            "expires-at": "2999-01-01 00:00:00",
            "full-path": "/visits/7?from=letter",
            "netloc": "links.example.org",
            "organization-id": it.acme,
            "redirect-count": 0,
            "redirect-url": "https://links.example.org/visits/7?from=letter",
            "short-url": format!("{ISSUER}/s/{}", code(made)),
        });
        assert_eq!(*shown, expected);
        for keeper in [&it.admin, &it.service, &it.system] {
            assert_eq!(it.get(keeper, &path(made)).await, created, "{}", keeper.email);
        }

        let part = json!({ "netloc": "app.example.org:8443", "full-path": "/", "expires-at": null });
        let change = change(made, part);
        let amended = it.patch(&it.service, &path(made), &change).await;
        expected["netloc"] = json!("app.example.org:8443");
        expected["full-path"] = json!("/");
        expected["expires-at"] = Value::Null;
        expected["redirect-url"] = json!("https://app.example.org:8443/");
        assert_eq!(amended["data"]["attributes"], expected);
        let head = it.head().await;
        assert_eq!(it.patch(&it.admin, &path(made), &change).await, amended);
        assert_eq!(it.head().await, head, "what is so already is no event");
        assert_eq!(it.get(&it.admin, &path(made)).await, amended);
    }

    async fn links_are_listed_by_code_and_by_organization(database) {
        let it = open(&database).await;
        let (first, second) = (it.short_link(json!({})).await, it.short_link(json!({})).await);
        assert_ne!(code(&first), code(&second));
        let elsewhere = it.post(&it.other_admin, LINKS, &link(it.other, json!({}))).await["data"].take();
        let listed = async |caller: &Person, query: &str| ids(&it.get(caller, &format!("{LINKS}?{query}")).await);
        let (own, foreign) = (vec![id(&first), id(&second)], vec![id(&elsewhere)]);
        assert_eq!(listed(&it.admin, "").await, own);
        assert_eq!(listed(&it.other_admin, "").await, foreign);
        for caller in [&it.system, &it.service] {
            assert_eq!(listed(caller, "").await, [own.clone(), foreign.clone()].concat());
            assert_eq!(listed(caller, &format!("organization-id={}", it.other)).await, foreign);
        }
        assert_eq!(listed(&it.admin, &format!("organization-id={}", it.acme)).await, own);
        assert_eq!(listed(&it.admin, &format!("code={}", code(&second))).await, own[1..]);
        for (caller, query) in [
            (&it.admin, format!("organization-id={}", it.other)),
            (&it.admin, format!("organization-id={}", Uuid::now_v7())),
            (&it.admin, format!("code={}", code(&elsewhere))),
            (&it.admin, format!("code={}", swapped(code(&first)))),
            (&it.system, format!("code={}&organization-id={}", code(&first), it.other)),
        ] {
            it.find_nothing(caller, &format!("{LINKS}?{query}")).await;
        }
        let list = it.get(&it.admin, LINKS).await;
        assert_eq!(list["data"][0], first);
        assert_eq!(list["meta"], json!({ "page[limit]": 100, "page[offset]": 0, "page[total]": 2 }));
        for (wrong, parameter) in [("code=123456789", "code"), ("organization-id=x", "organization-id")] {
            let error = it.get_refused(&it.admin, &format!("{LINKS}?{wrong}"), 400, "validation-error").await;
            assert_eq!(error["source"]["parameter"], parameter);
        }
    }

    async fn links_are_hidden_from_callers_who_do_not_keep_them(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({})).await;
        let support = it.person_as("support@example.com", Some(FirstGrant::System(SystemRole::Support))).await;
        let other = change(&made, json!({ "full-path": "/b" }));
        let unknown = format!("{LINKS}{}/", Uuid::now_v7());
        for caller in [&it.other_admin, &support] {
            let told = it.get_refused(caller, &unknown, 404, "not-found").await;
            assert_eq!(it.get_refused(caller, &path(&made), 404, "not-found").await, told);
            assert_eq!(it.patch_refused(caller, &path(&made), &other, 404, "not-found").await, told);
        }
        for caller in [&it.provider, &it.participant] {
            it.get_refused(caller, LINKS, 403, "forbidden").await;
            it.get_refused(caller, &path(&made), 403, "forbidden").await;
            it.patch_refused(caller, &path(&made), &other, 403, "forbidden").await;
            it.post_refused(caller, LINKS, &link(it.acme, json!({})), 403, "forbidden").await;
        }
        // Support sees the organization and keeps no links.
        it.get_refused(&support, &format!("{LINKS}?organization-id={}", it.acme), 403, "forbidden").await;
        it.get_refused(&support, LINKS, 403, "forbidden").await;
        it.post_refused(&support, LINKS, &link(it.acme, json!({})), 403, "forbidden").await;
        let refused = async |organization: Uuid| {
            it.post_refused(&it.other_admin, LINKS, &link(organization, json!({})), 400, "validation-error").await
        };
        let foreign = refused(it.acme).await;
        assert_eq!(foreign, refused(Uuid::now_v7()).await);
        assert_eq!(foreign["source"]["pointer"], "/data/attributes/organization-id");
        assert_eq!(it.get(&it.admin, &path(&made)).await["data"], made);
    }

    async fn a_link_that_could_lead_elsewhere_is_refused(database) {
        let it = open(&database).await;
        let made = it.short_link(json!({})).await;
        for (attributes, member) in refused_attributes() {
            let pointer = format!("/data/attributes/{member}");
            let body = link(it.acme, attributes.clone());
            let error = it.post_refused(&it.admin, LINKS, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{attributes}");
            let body = change(&made, attributes.clone());
            let error = it.patch_refused(&it.admin, &path(&made), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer, "{attributes}");
        }
        assert_eq!(it.get(&it.admin, &path(&made)).await["data"], made);
        let wrong = json!({ "netloc": "evil.example", "full-path": "a", "expires-at": "2000-01-01 00:00:00" });
        let told = it.call(&it.admin, "POST", LINKS).json(&link(it.acme, wrong)).send().await.json();
        let errors = told["errors"].as_array().unwrap().iter();
        let pointers: Vec<_> = errors.map(|error| error["source"]["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["netloc", "full-path", "expires-at"].map(|member| format!("/data/attributes/{member}")));
    }

    async fn without_the_setting_links_lead_nowhere(database) {
        let it = Identity::open(&database).await;
        let body = link(it.acme, json!({}));
        let error = it.post_refused(&it.system, LINKS, &body, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/netloc");
    }

    async fn events_of_a_link_carry_its_organization_whoever_acts(database) {
        let it = open(&database).await;
        let head = it.head().await;
        let made = it.post(&it.service, LINKS, &link(it.acme, json!({}))).await["data"].take();
        it.patch(&it.system, &path(&made), &change(&made, json!({ "full-path": "/b" }))).await;
        it.app.state.visits.record(it.node()).await;
        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let names: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(names, ["url-shortener.created", "url-shortener.amended"]);
        for event in events {
            let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
            assert_eq!((event.aggregate_id, &metadata["organizationId"]), (id(&made), &json!(it.acme)));
        }
    }

    async fn links_stay_with_a_retired_organization_and_go_with_a_deleted_one(database) {
        let it = open(&database).await;
        let clinic = it.organization("Clinic", Authorization::Open).await;
        let made = it.post(&it.system, LINKS, &link(clinic, json!({}))).await["data"].take();
        it.retire(OrganizationId(clinic)).await;
        let error = it.post_refused(&it.system, LINKS, &link(clinic, json!({})), 409, "conflict").await;
        assert_eq!(error["detail"], "the organization is retired");
        let ended = change(&made, json!({ "expires-at": "2999-01-01 00:00:00" }));
        it.patch(&it.system, &path(&made), &ended).await;
        assert_eq!(it.followed("GET", code(&made)).await.status, 302);

        it.delete(OrganizationId(clinic)).await;
        for caller in [&it.system, &it.service] {
            it.get_refused(caller, &path(&made), 404, "not-found").await;
            it.patch_refused(caller, &path(&made), &ended, 404, "not-found").await;
            it.find_nothing(caller, LINKS).await;
            it.find_nothing(caller, &format!("{LINKS}?code={}", code(&made))).await;
            it.find_nothing(caller, &format!("{LINKS}?organization-id={clinic}")).await;
            it.post_refused(caller, LINKS, &link(clinic, json!({})), 400, "validation-error").await;
        }
        assert_eq!(it.followed("GET", code(&made)).await.status, 404);
    }
}
