//! Reads of admins: pages, order, search, single admins.

use crate::ecg_app::{ADMINS, App, NOBODY, minimal, with};
use crate::on_both_stores;
use serde_json::{Value, json};

async fn people(app: &App) {
    for (first, last, email) in [
        ("ada", "Lovelace", "ada@example.org"),
        ("Ada", "Byron", "100%@example.org"),
        ("Zoë", "Straße", "zoe_s@example.org"),
        ("Alan", "Turing", ""),
    ] {
        app.create(&with(&minimal(first, last), "/person/contactEmailAddress", json!(email))).await;
    }
}

fn names(page: &Value) -> Vec<String> {
    let name = |admin: &Value| {
        format!("{} {}", admin["person"]["firstName"].as_str().unwrap(), admin["person"]["lastName"].as_str().unwrap())
    };
    page["items"].as_array().unwrap().iter().map(name).collect()
}

async fn listed(app: &App, query: &str) -> Vec<String> {
    names(&app.get(&format!("{ADMINS}?{query}")).await.ok())
}

on_both_stores! {
    async fn admins_are_ordered_by_name_in_either_direction(database) {
        let app = App::open(&database).await;
        people(&app).await;
        let upwards = ["Ada Byron", "ada Lovelace", "Alan Turing", "Grace Hopper", "Zoë Straße"];
        assert_eq!(listed(&app, "").await, upwards);
        assert_eq!(listed(&app, "order_by=ASC").await, upwards);
        let downwards: Vec<_> = upwards.iter().rev().copied().collect();
        assert_eq!(listed(&app, "order_by=DESC").await, downwards);
    }

    async fn pages_count_pages_and_totals_count_everything(database) {
        let app = App::open(&database).await;
        people(&app).await;
        let page = |skip: u64| {
            let path = format!("{ADMINS}?skip={skip}&take=2");
            let app = &app;
            async move { app.get(&path).await.ok() }
        };
        assert_eq!(names(&page(0).await), ["Ada Byron", "ada Lovelace"]);
        assert_eq!(names(&page(2).await), ["Zoë Straße"]);
        for skip in [3, u64::MAX] {
            let mut past = page(skip).await;
            assert_eq!(past["items"].take(), json!([]));
            assert_eq!(past, json!({"items": null, "currentPageNumber": skip, "recordsPerPage": 2, "totalRecords": 5, "totalPages": 3}));
        }
        let none = app.get(&format!("{ADMINS}?searchTerm=nobody")).await.ok();
        assert_eq!(none, json!({"items": [], "currentPageNumber": 0, "recordsPerPage": 10, "totalRecords": 0, "totalPages": 0}));
    }

    async fn search_looks_for_parts_of_names_and_contact_emails(database) {
        let app = App::open(&database).await;
        people(&app).await;
        let table: [(&str, &[&str]); 11] = [
            ("ADA", &["Ada Byron", "ada Lovelace"]),
            ("lovel", &["ada Lovelace"]),
            ("da%20lo", &["ada Lovelace"]),
            ("da+lo", &["ada Lovelace"]),
            ("%20%20ada%20byron%20", &["Ada Byron"]),
            ("STRASSE", &["Zoë Straße"]),
            ("ZO%C3%8B", &["Zoë Straße"]),
            ("%25", &["Ada Byron"]),
            ("_", &["Zoë Straße"]),
            ("example.org", &["Ada Byron", "ada Lovelace", "Zoë Straße"]),
            ("Lovelace%20ada", &[]),
        ];
        for (term, expected) in table {
            assert_eq!(listed(&app, &format!("searchTerm={term}")).await, expected, "{term}");
        }
        assert_eq!(listed(&app, "searchTerm=%20%20").await.len(), 5);
        assert_eq!(listed(&app, "searchTerm=").await.len(), 5);
    }

    async fn every_bad_parameter_is_refused_and_named(database) {
        let app = App::open(&database).await;
        let table = [
            ("skip=-1", "skip must not be less than 0"),
            ("skip=1.5", "skip must be an integer number"),
            ("skip=abc", "skip must be an integer number"),
            ("skip=", "skip must be an integer number"),
            ("skip=%2B1", "skip must be an integer number"),
            ("skip=99999999999999999999999", "skip must not be greater than 18446744073709551615"),
            ("take=0", "take must not be less than 1"),
            ("take=1001", "take must not be greater than 1000"),
            ("take=1&take=1", "take must not be given more than once"),
            ("order_by=asc", "order_by must be one of the following values: ASC, DESC"),
            ("order_by=", "order_by must be one of the following values: ASC, DESC"),
            ("searchTerm=%ff", "query must be percent-encoded UTF-8 without U+0000"),
            ("searchTerm=%00", "query must be percent-encoded UTF-8 without U+0000"),
            ("searchTerm=%4", "query must be percent-encoded UTF-8 without U+0000"),
        ];
        for (query, finding) in table {
            let call = app.call("GET", &format!("{ADMINS}?{query}"));
            assert_eq!(app.refused(call, 400).await, json!([finding]), "{query}");
        }
        let call = app.call("GET", &format!("{ADMINS}?skip=x&take=x"));
        assert_eq!(app.refused(call, 400).await, json!(["skip must be an integer number", "take must be an integer number"]));
        assert_eq!(listed(&app, "colour=red&colour=blue&take=1000").await.len(), 1);
    }

    async fn an_admin_is_found_by_its_person_and_by_itself(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        for id in [&admin["person"]["id"], &admin["id"]] {
            let id = id.as_str().unwrap();
            assert_eq!(app.get(&format!("{ADMINS}/{id}")).await.ok(), admin);
            assert_eq!(app.get(&format!("{ADMINS}/{}", id.to_uppercase())).await.ok(), admin);
        }
    }

    async fn any_other_text_is_not_found(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let party = admin["person"]["party"]["id"].as_str().unwrap();
        let braced = format!("%7B{}%7D", admin["id"].as_str().unwrap());
        let bare = admin["id"].as_str().unwrap().replace('-', "");
        for id in [NOBODY, party, &braced, &bare, "1", "x", "%00", "%ff", "%20", "%2F", "' OR 1=1--", "audit-trail"] {
            let id = id.replace(' ', "%20");
            let call = app.call("GET", &format!("{ADMINS}/{id}"));
            assert_eq!(app.refused(call, 404).await, "ECG Admin not found", "{id}");
        }
    }
}
