//! Invalid bodies: all errors at once, each field by its path, and nothing stored.

use crate::ecg_app::{App, with};
use crate::on_both_stores;
use crate::site_app::{NOBODYS, ORGANIZATIONS, full, named, path};
use serde_json::{Value, json};

const NOT_TEXT: &str = "must be a string";
const NOT_AN_ID: &str = "must be 32 hexadecimal digits";
const MISSING: &str = "should not be null or undefined";
const UNKNOWN: &str = "is not in the code list";

fn organization(member: &str, value: Value) -> Value {
    let mut body = named("Acme");
    body["organization"][member] = value;
    body
}

on_both_stores! {
    async fn everything_wrong_is_told_at_once(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let body = json!({
            "organization": {
                "id": NOBODYS, "name": " ", "orgId": "o".repeat(51), "orgType": "x", "statusCodeValue": "Nonsense",
                "msa": "y", "msaStart": "2026-01-02T00:00:00Z", "msaEnd": "2026-01-01T00:00:00Z", "timezone": "Mars",
                "webUrl": "nowhere", "taxId": 1, "reason": "r".repeat(256), "versionStart": "2026-01-01",
            },
            "modes": [1, {"id": NOBODYS, "mode": NOBODYS}, {"entityId": NOBODYS, "modeCodeValue": "Testing"}],
            "orgAddressesDetails": [
                {"addressPostalcode": "1".repeat(21), "mainPrimary": true, "countryCodeValue": "Nowhere"},
                {"mainPrimary": true, "addressProperties": [{"propertyName": "a"}]},
            ],
            "properties": [{"propertyName": "a", "propertyValue": "1"}, {"propertyName": "a", "propertyValue": "2"}],
        });
        let expected = json!({
            "organization.id": "must be the id of the path",
            "organization.name": "should not be empty",
            "organization.orgId": "must not be longer than 50 characters",
            "organization.orgType": NOT_AN_ID,
            "organization.statusCodeValue": UNKNOWN,
            "organization.msa": "must be one of the following values: Y, N",
            "organization.msaEnd": "must not be before msaStart",
            "organization.timezone": "must be a name of the IANA time zone database",
            "organization.webUrl": "must be a web address",
            "organization.taxId": NOT_TEXT,
            "organization.reason": "must not be longer than 255 characters",
            "organization.versionStart": "must be an RFC 3339 date-time with an offset",
            "modes[0]": "must be an object",
            "modes[1].id": "names nothing that the organization has",
            "modes[1].mode": UNKNOWN,
            "modes[2].entityId": "must be the id of the organization",
            "orgAddressesDetails[0].addressPostalcode": "must not be longer than 20 characters",
            "orgAddressesDetails[0].countryCodeValue": UNKNOWN,
            "orgAddressesDetails[1].addressPostalcode": MISSING,
            "orgAddressesDetails[1].mainPrimary": "must not be the same as another one",
            "orgAddressesDetails[1].addressProperties[0].propertyValue": MISSING,
            "properties[1].propertyName": "must not be the same as another one",
        });
        assert_eq!(app.findings(app.put(&id, &body)).await, expected);
    }

    async fn rules_broken_by_a_well_typed_body_are_named_by_the_same_paths(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let body = json!({
            "organization": {"name": ""},
            "modes": {"id": NOBODYS, "modeCodeValue": "Testing"},
            "orgAddressesDetails": {
                "addressPostalcode": "1".repeat(21),
                "addressProperties": {"propertyName": "n".repeat(101), "propertyValue": "v"},
            },
        });
        let expected = json!({
            "organization.name": "should not be empty",
            "modes.id": "names nothing that the organization has",
            "orgAddressesDetails.addressPostalcode": "must not be longer than 20 characters",
            "orgAddressesDetails.addressProperties.propertyName": "must not be longer than 100 characters",
        });
        assert_eq!(app.findings(app.put(&id, &body)).await, expected);
    }

    async fn missing_members_are_reported(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let expected = json!({"organization": MISSING, "modes": MISSING, "orgAddressesDetails": MISSING});
        assert_eq!(app.findings(app.put(&id, &json!({}))).await, expected);
        assert_eq!(app.findings(app.call("POST", ORGANIZATIONS).json(&json!({}))).await, expected);
        let nameless = json!({"organization": {}, "modes": [], "orgAddressesDetails": []});
        assert_eq!(app.findings(app.put(&id, &nameless)).await, json!({"organization.name": MISSING}));
        let modeless = with(&named("Acme"), "/modes", json!([{}]));
        assert_eq!(app.findings(app.put(&id, &modeless)).await, json!({"modes[0].mode": "should not be empty"}));
    }

    async fn every_member_must_have_its_type(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        for (member, value, wrong) in [
            ("name", json!(null), NOT_TEXT),
            ("name", json!({"$ne": ""}), NOT_TEXT),
            ("timezone", json!(["UTC"]), NOT_TEXT),
            ("status", json!("Active"), NOT_AN_ID),
            ("status", json!(""), NOT_AN_ID),
            ("categoryType", json!("{C36A3197-FDEE-433F-B554-7EE83DE99E4B}"), NOT_AN_ID),
            ("subType", json!(NOBODYS), UNKNOWN),
            ("subTypeCodeValue", json!(" ".repeat(51)), "must not be longer than 50 characters"),
            ("msaStart", json!("2026-01-01 00:00:00Z"), "must be an RFC 3339 date-time with an offset"),
            ("msaEnd", json!("2026-01-01T00:00:00"), "must be an RFC 3339 date-time with an offset"),
            ("id", json!("x"), NOT_AN_ID),
            ("comment", json!("c".repeat(2049)), "must not be longer than 2048 characters"),
        ] {
            let findings = app.findings(app.put(&id, &organization(member, value))).await;
            assert_eq!(findings, json!({format!("organization.{member}"): wrong}));
        }
        for list in ["modes", "orgAddressesDetails", "properties"] {
            for value in [json!("test"), json!(1), json!(null)] {
                let mut body = named("Acme");
                body[list] = value;
                let findings = app.findings(app.put(&id, &body)).await;
                assert_eq!(findings, json!({list: "must be an object or a list of objects"}));
            }
        }
        for body in ["[]", "1", "\"x\"", "null"] {
            let call = app.call("PUT", &path(&id)).header("content-type", "application/json").bytes(body);
            assert_eq!(app.findings(call).await, json!({"body": "must be an object"}));
        }
    }

    async fn code_pairs_must_agree(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        let mut body = named("Acme");
        body["organization"]["status"] = read["status"].clone();
        body["organization"]["statusCodeValue"] = json!("Retired");
        let contradiction = "contradicts the identifier or code it belongs to";
        assert_eq!(app.findings(app.put(&id, &body)).await, json!({"organization.statusCodeValue": contradiction}));
        body["organization"]["statusCodeValue"] = json!("ACTIVE");
        app.replaced(&id, &body).await;
        let elsewhere = json!({
            "addressPostalcode": "1", "countryCodeValue": "Austria", "addressStateOrProvOrCountyCodeValue": "Colorado",
        });
        let body = with(&named("Acme"), "/orgAddressesDetails", json!([elsewhere]));
        let findings = app.findings(app.put(&id, &body)).await;
        assert_eq!(findings, json!({"orgAddressesDetails[0].addressStateOrProvOrCountyCodeValue": UNKNOWN}));
    }

    async fn lists_have_no_element_twice(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let address = json!({"addressPostalcode": "1", "addressCity": "A"});
        let same = json!({"addressCity": "A", "addressPostalcode": "1"});
        let body = with(&named("Acme"), "/orgAddressesDetails", json!([address, same]));
        let twice = "must not have the same element twice";
        assert_eq!(app.findings(app.put(&id, &body)).await, json!({"orgAddressesDetails": twice}));
        let body = with(&named("Acme"), "/modes", json!(["testing", {"modeCodeValue": "Testing"}]));
        assert_eq!(app.findings(app.put(&id, &body)).await, json!({"modes[1].mode": "must not be the same as another one"}));
    }

    async fn owners_are_the_organization_or_of_an_extra_value_its_address(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let mut body = named("Acme");
        body["properties"] = json!([{"propertyName": "a", "propertyValue": "b", "entityId": "another"}]);
        body["modes"] = json!([{"modeCodeValue": "Testing", "entityId": NOBODYS}]);
        body["orgAddressesDetails"] = app.organization(&id).await["orgAddressesDetails"].clone();
        let other = body["orgAddressesDetails"][1]["id"].clone();
        body["orgAddressesDetails"][0]["addressProperties"][0]["entityId"] = other;
        let owner = "must be the id of the organization";
        let expected = json!({
            "properties[0].entityId": owner,
            "modes[0].entityId": owner,
            "orgAddressesDetails[0].addressProperties[0].entityId": owner,
        });
        assert_eq!(app.findings(app.put(&id, &body)).await, expected);
    }

    async fn a_body_that_is_no_json_is_reported_as_such(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let nested = format!("{{\"organization\":{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let bodies: [&[u8]; 7] = [b"", b"{", b"{}{}", b"{'a':1}", b"\xff", b"{\"a\":NaN}", nested.as_bytes()];
        for body in bodies {
            for (method, path) in [("POST", ORGANIZATIONS.to_owned()), ("PUT", path(&id))] {
                let call = app.call(method, &path).header("content-type", "application/json").bytes(body.to_vec());
                let findings = app.findings(call).await;
                let told = findings["body"].as_str().unwrap();
                assert!(told.starts_with("is not valid JSON: "), "{told}");
            }
        }
    }

    async fn members_given_twice_and_the_zero_character_are_found_wherever_they_stand(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let body = r#"{"organization": {"name": "a", "name": "b", "taxId": "\u0000"}, "modes": [], "orgAddressesDetails": []}"#;
        let call = app.call("PUT", &path(&id)).header("content-type", "application/json").bytes(body);
        let expected = json!({
            "organization.name": "must not be given more than once",
            "organization.taxId": "must not contain the character U+0000",
        });
        assert_eq!(app.findings(call).await, expected);
    }

    async fn a_malformed_identifier_is_told_together_with_the_body(database) {
        let app = App::open(&database).await;
        for malformed in ["x", "%00", "%ff", "C36A3197", "C36A3197FDEE433FB5547EE83DE99E4G", "'%20or%201=1"] {
            let findings = app.findings(app.put(malformed, &named(" "))).await;
            assert_eq!(findings, json!({"id": NOT_AN_ID, "organization.name": "should not be empty"}));
            app.findings(app.call("GET", &path(malformed))).await;
            app.findings(app.call("DELETE", &path(malformed))).await;
            app.findings(app.call("PUT", &path(&format!("deleteOrganization/{malformed}"))).json(&json!({}))).await;
        }
    }

    async fn text_that_means_something_elsewhere_is_text_here(database) {
        let app = App::open(&database).await;
        for name in ["'; DROP TABLE organizations_g1; --", "${jndi:ldap://x}", "<script>alert(1)</script>", "%s%n", "𝕏\u{7f}"] {
            let id = app.organize(&named(name)).await;
            assert_eq!(app.organization(&id).await["name"], json!(name));
            let body = with(&named("Acme"), "/properties", json!([{"propertyName": name, "propertyValue": name}]));
            app.replaced(&id, &body).await;
            assert_eq!(app.organization(&id).await["properties"][0]["propertyName"], json!(name));
        }
    }
}
