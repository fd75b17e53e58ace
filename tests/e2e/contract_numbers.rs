//! Whole numbers in the ECG, site and audit dialects: a decimal point with zeros is accepted; a fraction or a number
//! out of bounds is refused, and the error names the parameter.

use crate::ecg_app::{ADMINS, App, minimal, with};
use crate::on_both_stores;
use crate::site_app::LIST;
use serde_json::{Value, json};

/// Lists with their whole-number parameters.
const PARAMETERS: [(&str, &[&str]); 5] = [
    (ADMINS, &["skip", "take"]),
    ("/api/ecg-admins/audit-trails", &["skip", "take"]),
    (LIST, &["limit", "offset"]),
    ("/audit/events", &["limit", "after"]),
    ("/events/stream", &["after"]),
];

on_both_stores! {
    async fn whole_numbers_with_a_point_are_read_wherever_a_parameter_is_one(database) {
        let app = App::open(&database).await;
        for (path, names) in PARAMETERS {
            for name in names {
                // The feed never ends, so only its refusals are tested.
                for text in ["1.0", "1", "1.000"].iter().filter(|_| path != "/events/stream") {
                    let answer = app.get(&format!("{path}?{name}={text}")).await;
                    assert_eq!(answer.status, 200, "{path} {name}={text}: {answer:?}");
                }
                for text in ["1.5", "-1.0", "1e400", "x", "", "1.", "36893488147419103232", "36893488147419103232.0"] {
                    let before = app.head().await;
                    let answer = app.get(&format!("{path}?{name}={text}")).await;
                    assert_eq!(answer.status, 400, "{path} {name}={text}: {answer:?}");
                    assert!(answer.text.contains(name), "{path} {name}={text}: {answer:?}");
                    assert_eq!(app.head().await, before, "{path} {name}={text}");
                }
            }
        }
    }

    async fn whole_numbers_with_a_point_are_read_in_bodies(database) {
        let app = App::open(&database).await;
        let body = with(&minimal("Ada", "Lovelace"), "/addresses", json!([{"addressType": 2.0}]));
        let admin = app.create(&with(&body, "/person/salutation", json!(1.0))).await;
        assert_eq!((&admin["person"]["salutation"], &admin["person"]["party"]["addresses"][0]["addressType"]), (&json!(1), &json!(2)));
        let steps = json!([{"op": "replace", "path": "/person/salutation", "value": 3.0}]);
        assert_eq!(app.patch(&admin, &steps).await.ok()["person"]["salutation"], 3);
    }

    async fn numbers_in_bodies_that_are_not_whole_or_out_of_bounds_are_refused_by_their_name(database) {
        let app = App::open(&database).await;
        let cases = [
            ("1.5", "person.salutation must be an integer number"),
            ("18446744073709551616", "person.salutation must not be greater than 4294967295"),
            ("-1", "person.salutation must not be less than 1"),
            ("1e400", "person.salutation must be a number within the range of 64 bits"),
        ];
        for (number, finding) in cases {
            let body = with(&minimal("Ada", "Lovelace"), "/person/salutation", json!("NUMBER")).to_string();
            let body = body.replace("\"NUMBER\"", number);
            let call = app.call("POST", ADMINS).header("content-type", "application/json").bytes(body);
            assert_eq!(app.refused(call, 400).await, json!([finding]), "{number}");
        }
    }

    async fn the_order_of_organizations_is_read_in_either_case_and_published_in_one(database) {
        let app = App::open(&database).await;
        for name in ["A", "B"] {
            app.organize(&crate::site_app::named(name)).await;
        }
        for (order, first) in [("asc", "A"), ("ASC", "A"), ("desc", "B"), ("DESC", "B")] {
            let list = app.get(&format!("{LIST}?order={order}")).await.ok();
            assert_eq!(list["result"]["data"][0]["name"], first, "{order}");
        }
        let document: Value = app.get("/openapi/site-organizations.json").await.ok();
        let parameters = document["paths"][LIST]["get"]["parameters"].as_array().unwrap();
        let order = parameters.iter().find(|parameter| parameter["name"] == "order").unwrap();
        assert_eq!(order["schema"]["enum"], json!(["asc", "desc"]));
    }
}

#[test]
fn paths_of_documents_are_plain_templates() {
    for name in registrar::api::DOCUMENTS {
        let document = registrar::api::openapi(name).unwrap();
        for path in document.paths.paths.keys() {
            let names = path.split('{').skip(1).map(|rest| rest.split_once('}').map_or(rest, |(name, _)| name));
            for parameter in names {
                assert!(
                    parameter.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'),
                    "{name} {path}"
                );
            }
        }
    }
}
