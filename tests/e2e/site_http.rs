//! Rules shared by all operations: permissions, visible organizations, headers, limits, the envelope.

use crate::ecg_app::App;
use crate::on_both_stores;
use crate::site_app::{LIST, NOBODYS, ORGANIZATIONS, full, named, path, refusal};
use registrar::auth::Permission;
use serde_json::json;
use uuid::Uuid;

fn operations() -> [(&'static str, String, Permission); 6] {
    [
        ("GET", LIST.to_owned(), Permission::OrganizationsRead),
        ("POST", ORGANIZATIONS.to_owned(), Permission::OrganizationsWrite),
        ("GET", path("{id}"), Permission::OrganizationsRead),
        ("PUT", path("{id}"), Permission::OrganizationsWrite),
        ("PUT", path("deleteOrganization/{id}"), Permission::OrganizationsEnd),
        ("DELETE", path("{id}"), Permission::OrganizationsEnd),
    ]
}

on_both_stores! {
    async fn strangers_are_refused_before_anything_else_is_looked_at(database) {
        let app = App::open(&database).await;
        for (method, path, _) in operations() {
            let path = format!("{}?limit=x&name=%", path.replace("{id}", "malformed"));
            let call = || app.call(method, &path).header("content-type", "text/plain").bytes("{");
            let answer = call().token(None).send().await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(refusal(&answer, 401)["errorMessage"], "Unauthorized");
            app.denied(call().token(Some("a.b.c")), 401).await;
        }
    }

    async fn each_operation_needs_its_permission_and_no_other(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        for (method, path, needed) in operations() {
            let others = Permission::ALL.iter().copied().filter(|permission| *permission != needed).collect();
            let without = app.token_of(&app.caller, Some(others)).await;
            let path = path.replace("{id}", &id);
            let malformed = app.call(method, &format!("{path}?limit=x")).token(Some(&without)).bytes("{");
            assert_eq!(app.denied(malformed, 403).await["errorMessage"], "Forbidden");
            let with = app.token_of(&app.caller, Some(vec![needed])).await;
            let answer = app.call(method, &path).token(Some(&with)).json(&named("Acme")).send().await;
            assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        }
    }

    async fn a_caller_narrowed_to_an_organization_sees_that_one_alone(database) {
        let app = App::open(&database).await;
        let (own, other) = (app.organize(&full("Own")).await, app.organize(&full("Other")).await);
        for spelling in [own.parse::<Uuid>().unwrap().to_string(), own.clone()] {
            let token = app.narrowed_to(&spelling).await;
            let list = app.call("GET", &format!("{LIST}?orgId=org-1")).token(Some(&token)).send().await.ok();
            assert_eq!((&list["result"]["totalResults"], &list["result"]["data"][0]["name"]), (&json!(1), &json!("Own")));
            assert_eq!(app.call("GET", &path(&own)).token(Some(&token)).send().await.status, 200);
            for foreign in [other.as_str(), NOBODYS] {
                for (method, path, needed) in operations().into_iter().filter(|(_, path, _)| path.contains("{id}")) {
                    let call = app.call(method, &path.replace("{id}", foreign)).token(Some(&token));
                    // Deletion is forbidden to every narrowed token.
                    let status = if needed.is_platform_wide() { 403 } else { 404 };
                    app.denied(call.json(&named("Mine")), status).await;
                }
                // Errors in the body do not reveal whether the organization exists.
                let body = json!({"organization": {"name": 1}, "modes": [{"id": NOBODYS}]});
                app.denied(app.put(foreign, &body).token(Some(&token)), 404).await;
            }
            app.denied(app.call("POST", ORGANIZATIONS).token(Some(&token)).json(&named("New")), 403).await;
        }
        let token = app.narrowed_to(&own).await;
        let answer = app.put(&own, &named("Renamed")).token(Some(&token)).send().await;
        assert_eq!(answer.status, 204);
        let nowhere = app.narrowed_to("no organization").await;
        let list = app.call("GET", LIST).token(Some(&nowhere)).send().await.ok();
        assert_eq!(list["result"]["totalResults"], 0);
        app.denied(app.call("GET", &path(&own)).token(Some(&nowhere)), 404).await;
    }

    async fn only_the_version_that_was_seen_is_changed(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("A")).await;
        let retire = path(&format!("deleteOrganization/{id}"));
        for (method, path) in [("PUT", path(&id)), ("PUT", retire), ("DELETE", path(&id))] {
            let call = |tag: &str| app.call(method, &path).header("if-match", tag).json(&named("B"));
            app.denied(call("\"9\""), 412).await;
            assert!(app.findings(call("9")).await["If-Match"].is_string());
        }
        let tag = app.get(&path(&id)).await.header("etag").to_owned();
        assert_eq!(app.put(&id, &named("B")).header("if-match", &tag).send().await.version(), 2);
        app.denied(app.put(&id, &named("C")).header("if-match", &tag), 412).await;
        assert_eq!(app.put(&id, &named("C")).header("if-match", "*").send().await.status, 204);
        app.denied(app.put(NOBODYS, &named("C")).header("if-match", "\"1\""), 404).await;
    }

    async fn a_repeated_write_answers_as_the_first_time(database) {
        let app = App::open(&database).await;
        let create = || app.call("POST", ORGANIZATIONS).header("idempotency-key", "k").json(&full("Acme"));
        let first = create().send().await;
        let again = create().send().await;
        assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
        assert_eq!(again.header("location"), first.header("location"));
        let other = app.call("POST", ORGANIZATIONS).header("idempotency-key", "k").json(&named("Other"));
        app.denied(other, 422).await;
        let id = first.json()["id"].as_str().unwrap().to_owned();
        for shown in [false, true] {
            let name = format!("Acme {shown}");
            let put = || {
                let call = app.put(&id, &named(&name)).header("idempotency-key", format!("put-{shown}"));
                if shown { call.header("prefer", "return=representation") } else { call }
            };
            let first = put().send().await;
            let before = app.head().await;
            let again = put().send().await;
            assert_eq!((first.status, &first.text, first.header("etag")), (again.status, &again.text, again.header("etag")));
            assert_eq!((again.header("idempotency-replayed"), app.head().await), ("true", before));
        }
        let delete = || app.call("DELETE", &path(&id)).header("idempotency-key", "delete");
        assert_eq!(delete().send().await.status, 204);
        assert_eq!(delete().send().await.status, 204);
    }

    async fn every_answer_says_which_position_it_reflects_and_can_be_asked_for_one(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("A")).await;
        let head = app.head().await.to_string();
        for path in [path(&id), LIST.to_owned()] {
            let answer = app.call("GET", &path).header("registrar-min-position", &head).send().await;
            assert_eq!(answer.header("registrar-position"), head);
            let findings = app.findings(app.call("GET", &path).header("registrar-min-position", "x")).await;
            assert_eq!(findings, json!({"Registrar-Min-Position": "must be a position"}));
        }
    }

    async fn unknown_paths_and_methods_are_refused_in_the_envelope(database) {
        let app = App::open(&database).await;
        for path in ["/ec-site-svc", "/ec-site-svc/rest/v3.0/organizations", "/ec-site-svc/rest/v1.0/organizations/a/b"] {
            app.denied(app.call("GET", path), 404).await;
        }
        for (method, path) in [("PATCH", path(NOBODYS)), ("DELETE", LIST.to_owned()), ("PUT", ORGANIZATIONS.to_owned())] {
            assert!(!app.call(method, &path).send().await.header("allow").is_empty());
            app.denied(app.call(method, &path), 405).await;
        }
        let native = app.get("/ec-site-svcs").await;
        assert_eq!((native.status.as_u16(), native.header("content-type")), (404, "application/problem+json"));
    }

    async fn bodies_of_another_type_or_too_long_are_refused_in_the_envelope(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("A")).await;
        for (method, path) in [("POST", ORGANIZATIONS.to_owned()), ("PUT", path(&id))] {
            let call = || app.call(method, &path);
            app.denied(call().header("content-type", "text/plain").bytes(named("B").to_string()), 415).await;
            app.denied(call().bytes(named("B").to_string()), 415).await;
            let long = named(&"n".repeat(1024 * 1024));
            app.denied(call().json(&long), 413).await;
            app.denied(call().header("content-length", "99999999").json(&named("B")), 413).await;
        }
    }

    async fn racing_replacements_leave_one_of_them_whole(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Start")).await;
        let body = |number: usize| {
            let properties = json!([{"propertyName": "n", "propertyValue": number.to_string()}]);
            json!({"organization": {"name": number.to_string()}, "modes": [], "orgAddressesDetails": [], "properties": properties})
        };
        let bodies: Vec<_> = (0..8).map(body).collect();
        let answers = futures::future::join_all(bodies.iter().map(|body| app.put(&id, body).send())).await;
        assert!(answers.iter().all(|answer| answer.status == 204), "{answers:?}");
        let read = app.organization(&id).await;
        assert_eq!(read["name"], read["properties"][0]["propertyValue"]);
        assert_eq!((read["properties"].as_array().unwrap().len(), &read["modes"]), (1, &json!([])));
    }
}
