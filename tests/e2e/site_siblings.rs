//! The operations beside the documented one: register, read, delete, retire, list.

use crate::ecg_app::{App, with};
use crate::on_both_stores;
use crate::site_app::{LIST, NOBODYS, ORGANIZATIONS, full, named, path};
use registrar_aggregates::organization::{CodeList, Organization, OrganizationCommand, Stamp};
use serde_json::{Value, json};
use uuid::Uuid;

const STUDY: &str = "5F1D6E7A00004000800000000000000A";

fn retire(id: &str) -> String {
    path(&format!("deleteOrganization/{id}"))
}

fn code(list: CodeList, text: &str) -> String {
    format!("{:X}", list.find(None, Some(text)).unwrap().unwrap().id.simple())
}

async fn names(app: &App, query: &str) -> Vec<String> {
    let answer = app.get(&format!("{LIST}?{query}")).await.ok();
    assert_eq!(answer["status"], "success");
    let data = answer["result"]["data"].as_array().unwrap();
    assert_eq!(answer["result"]["count"], json!(data.len()));
    data.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

on_both_stores! {
    async fn a_registration_answers_with_what_is_stored_and_where(database) {
        let app = App::open(&database).await;
        let answer = app.post(ORGANIZATIONS, &full("Acme")).await;
        assert_eq!((answer.status.as_u16(), answer.version()), (201, 1));
        let body = answer.json();
        assert_eq!(answer.header("location"), path(body["id"].as_str().unwrap()));
        let read = app.get(answer.header("location")).await;
        assert_eq!(read.header("etag"), answer.header("etag"));
        let read = read.ok();
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&read[name], value, "{name}");
        }
        assert_eq!(read["orgTypeCodeValue"], "SITE");
        assert_eq!(read["orgType"], "2A5E92F1C2D54DDA9F1C0A9E7B3C2D1A");
        assert_eq!(read["status"], "B1B8327AFAA6412287106192AB5984EF");
        assert_eq!(app.organize(&named("Plain")).await.len(), 32);
    }

    async fn an_identifier_is_given_once(database) {
        let app = App::open(&database).await;
        let body = with(&named("Acme"), "/organization/id", json!(NOBODYS));
        app.organize(&body).await;
        app.denied(app.call("POST", ORGANIZATIONS).json(&body), 409).await;
        assert_eq!(app.call("DELETE", &path(NOBODYS)).send().await.status, 204);
        app.denied(app.call("POST", ORGANIZATIONS).json(&body), 409).await;
    }

    async fn names_and_numbers_need_not_be_unique(database) {
        let app = App::open(&database).await;
        let first = app.organize(&full("Acme")).await;
        assert_ne!(app.organize(&full("Acme")).await, first);
    }

    async fn a_new_organization_has_no_known_parts(database) {
        let app = App::open(&database).await;
        let body = with(&named("Acme"), "/modes", json!([{"id": NOBODYS, "modeCodeValue": "Testing"}]));
        let findings = app.findings(app.call("POST", ORGANIZATIONS).json(&body)).await;
        assert_eq!(findings, json!({"modes[0].id": "names nothing that the organization has"}));
    }

    async fn a_deleted_organization_is_gone_and_its_trail_stays(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let answer = app.call("DELETE", &path(&id)).send().await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
        assert_eq!(answer.header("registrar-position"), app.head().await.to_string());
        for call in [
            app.call("GET", &path(&id)),
            app.call("DELETE", &path(&id)),
            app.call("PUT", &retire(&id)).json(&json!({})),
            app.put(&id, &named("Acme")),
        ] {
            app.denied(call, 404).await;
        }
        assert_eq!(names(&app, "").await, Vec::<String>::new());
        let actions: Vec<_> = app.entries(&id).await.iter().map(|entry| entry.action.name()).collect();
        assert_eq!(actions, ["INSERT", "DELETE"]);
    }

    async fn an_organization_is_retired_with_reason_comment_and_grounds(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let body = json!({"reason": "merged", "comment": "with another", "reasonForDelete": "site closed"});
        assert_eq!(app.call("PUT", &retire(&id)).json(&body).send().await.status, 204);
        let read = app.organization(&id).await;
        assert_eq!(
            (&read["statusCodeValue"], &read["reason"], &read["comment"]),
            (&json!("Retired"), &json!("merged"), &json!("with another"))
        );
        let before = app.head().await;
        assert_eq!(app.call("PUT", &retire(&id)).json(&json!({})).send().await.status, 204);
        assert_eq!(app.head().await, before);
        let entry = app.entries(&id).await.pop().unwrap();
        assert_eq!((entry.changes[0].path.as_str(), &entry.changes[0].new_value), ("/status", &json!("Retired")));
        app.replaced(&id, &with(&named("Acme"), "/organization/statusCodeValue", json!("Active"))).await;
        assert_eq!(app.call("PUT", &retire(&id)).json(&json!({"reasonForDelete": "alone"})).send().await.status, 204);
        assert_eq!(app.organization(&id).await["reason"], "alone");
    }

    async fn the_reasons_of_a_retirement_have_their_limits(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let body = json!({"reason": "r".repeat(256), "comment": "c".repeat(2049), "reasonForDelete": 1});
        let findings = app.findings(app.call("PUT", &retire(&id)).json(&body)).await;
        assert_eq!(findings, json!({"reasonForDelete": "must be a string"}));
        let body = json!({"reason": "r".repeat(256), "comment": "c".repeat(2049), "reasonForDelete": "g".repeat(256)});
        let findings = app.findings(app.call("PUT", &retire(&id)).json(&body)).await;
        assert_eq!(findings, json!({
            "reason": "must not be longer than 255 characters",
            "comment": "must not be longer than 2048 characters",
            "reasonForDelete": "must not be longer than 255 characters",
        }));
    }

    async fn the_list_is_sorted_by_name_and_paged(database) {
        let app = App::open(&database).await;
        for name in ["delta", "Bravo", "Charlie", "alpha", "Echo"] {
            app.organize(&named(name)).await;
        }
        assert_eq!(names(&app, "").await, ["alpha", "Bravo", "Charlie", "delta", "Echo"]);
        assert_eq!(names(&app, "order=DESC&limit=2").await, ["Echo", "delta"]);
        let page = app.get(&format!("{LIST}?offset=2&limit=2")).await.ok();
        let rows: Vec<_> = page["result"]["data"].as_array().unwrap().iter().map(|row| &row["name"]).collect();
        assert_eq!(rows, ["Charlie", "delta"]);
        assert_eq!((&page["result"]["hasMore"], &page["result"]["totalResults"]), (&json!("true"), &json!(5)));
        let last = app.get(&format!("{LIST}?offset=4&limit=2")).await.ok();
        assert_eq!((&last["result"]["hasMore"], &last["result"]["count"]), (&json!("false"), &json!(1)));
        let none = app.get(&format!("{LIST}?limit=0")).await.ok();
        assert_eq!(none["result"], json!({"hasMore": "true", "totalResults": 5, "count": 0, "data": []}));
        let beyond = app.get(&format!("{LIST}?offset=18446744073709551615")).await.ok();
        assert_eq!((&beyond["result"]["hasMore"], &beyond["result"]["totalResults"]), (&json!("false"), &json!(5)));
    }

    async fn each_filter_keeps_what_it_says(database) {
        let app = App::open(&database).await;
        let acme = app.organize(&with(&full("Acme"), "/organization/subTypeCodeValue", json!("lab"))).await;
        app.organize(&named("Straße 1")).await;
        let other = json!({"addressPostalcode": "1", "countryCodeValue": "Austria"});
        app.organize(&with(&named("Other"), "/orgAddressesDetails", other)).await;
        let study_id = STUDY.to_owned();
        let command = OrganizationCommand::AssignStudy { study_id, stamp: Stamp::at(chrono::Utc::now()) };
        let stream = acme.parse::<Uuid>().unwrap().to_string();
        let context = crate::support::context();
        app.state.node.executor.execute::<Organization>(&context, &stream, command, None).await.unwrap();

        assert_eq!(names(&app, "name=strasse").await, ["Straße 1"]);
        assert_eq!(names(&app, "name=%25").await, Vec::<String>::new());
        assert_eq!(names(&app, &format!("countryId={}", code(CodeList::Country, "USA"))).await, ["Acme"]);
        assert_eq!(names(&app, &format!("countryId={}", code(CodeList::Country, "AUT"))).await, ["Acme", "Other"]);
        assert_eq!(names(&app, &format!("modeId={}", code(CodeList::Mode, "Training"))).await, ["Acme"]);
        assert_eq!(names(&app, &format!("modeId={NOBODYS}")).await, Vec::<String>::new());
        assert_eq!(names(&app, "orgId=org-1").await, ["Acme"]);
        assert_eq!(names(&app, &format!("orgId={acme}")).await, ["Acme"]);
        assert_eq!(names(&app, "orgSubType=laboratory").await, ["Acme"]);
        assert_eq!(names(&app, &format!("orgSubType={}", code(CodeList::SubType, "lab"))).await, ["Acme"]);
        assert_eq!(names(&app, &format!("entitiesOption=associated&entityId={STUDY}")).await, ["Acme"]);
        assert_eq!(
            names(&app, &format!("entitiesOption=notAssociated&entityId={STUDY}")).await, ["Other", "Straße 1"]
        );
        assert_eq!(names(&app, &format!("entitiesOption=all&entityId={STUDY}")).await.len(), 3);
        let all = format!("name=acme&orgId=org-1&countryId={}&unknown=x", code(CodeList::Country, "AUT"));
        assert_eq!(names(&app, &all).await, ["Acme"]);
    }

    async fn every_wrong_parameter_of_the_list_is_named(database) {
        let app = App::open(&database).await;
        let query = "limit=1001&offset=-1&order=up&countryId=x&modeId=x&entitiesOption=associated&name=&orgSubType=";
        let findings = app.findings(app.call("GET", &format!("{LIST}?{query}"))).await;
        assert_eq!(findings, json!({
            "limit": "must not be greater than 1000",
            "offset": "must not be less than 0",
            "order": "must be one of the following values: asc, desc",
            "countryId": "must be 32 hexadecimal digits",
            "modeId": "must be 32 hexadecimal digits",
            "entityId": "is needed for associated and notAssociated",
            "name": "should not be empty",
            "orgSubType": "should not be empty",
        }));
        for (query, field) in [
            ("limit=1.5", "limit"), ("limit=", "limit"), ("limit=1&limit=1", "limit"), ("entitiesOption=some", "entitiesOption"),
            ("name=%00", "query"), ("name=%f", "query"), ("entityId=x", "entityId"),
        ] {
            let findings = app.findings(app.call("GET", &format!("{LIST}?{query}"))).await;
            assert!(findings.get(field).is_some_and(Value::is_string), "{query}: {findings}");
        }
    }
}
