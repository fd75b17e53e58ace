//! The documented replacement: parts kept, changed, ended and added; versions; reasons.

use crate::ecg_app::{App, with};
use crate::on_both_stores;
use crate::site_app::{NOBODYS, full, named, path, sample};
use registrar::api::ApiSettings;
use registrar_aggregates::organization::{Organization, OrganizationCommand, Stamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// The body that sends a read organization back unchanged.
fn body_of(read: &Value) -> Value {
    let mut organization = read.clone();
    for member in ["modes", "orgAddressesDetails", "properties", "studyId", "studyAgnostic"] {
        organization.as_object_mut().unwrap().remove(member);
    }
    json!({
        "organization": organization,
        "modes": read["modes"],
        "orgAddressesDetails": read["orgAddressesDetails"],
        "properties": read["properties"],
    })
}

fn postal_codes(read: &Value) -> Vec<&str> {
    let addresses = read["orgAddressesDetails"].as_array().unwrap();
    addresses.iter().map(|address| address["addressPostalcode"].as_str().unwrap()).collect()
}

on_both_stores! {
    async fn the_published_sample_is_accepted(database) {
        let app = App::open(&database).await;
        let id = app.organize(&with(&named("Before"), "/organization/id", json!(NOBODYS))).await;
        assert_eq!(id, NOBODYS);
        let answer = app.put(&id, &sample()).header("prefer", "return=representation").send().await;
        assert_eq!(answer.status, 200);
        let shown = answer.ok();
        assert_eq!(
            (&shown["name"], &shown["orgId"], &shown["statusCodeValue"], &shown["timezone"]),
            (&json!("Acme CRO"), &json!("ORG-12345"), &json!("Active"), &json!("America/New_York"))
        );
        assert_eq!(shown["reason"], "Protocol update requested by study operations.");
        let read = app.organization(&id).await;
        assert_eq!(read["modes"][0]["modeCodeValue"], "Operational");
        assert_eq!(postal_codes(&read), ["80202"]);
        assert_eq!(read["properties"][0]["propertyValue"], "2A5E92F1C2D54DDA9F1C0A9E7B3C2D1A");
    }

    async fn an_answer_has_no_body_unless_it_is_asked_for(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("A")).await;
        let answer = app.replaced(&id, &named("B")).await;
        assert_eq!(answer.version(), 2);
        assert_eq!(answer.header("registrar-position"), app.head().await.to_string());
        assert!(!answer.headers.contains_key("content-type"));
        for preference in ["return=representation", "respond-async, RETURN=\"representation\"; a=b"] {
            let answer = app.put(&id, &named("B")).header("prefer", preference).send().await;
            assert_eq!((answer.status.as_u16(), answer.json()["name"].as_str()), (200, Some("B")));
        }
        for preference in ["return=minimal", "return", "return=minimal, return=representation"] {
            assert_eq!(app.put(&id, &named("B")).header("prefer", preference).send().await.status, 204);
        }
    }

    async fn a_read_organization_can_be_sent_back_and_changes_nothing(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        let before = app.head().await;
        app.replaced(&id, &body_of(&read)).await;
        assert_eq!((app.head().await, app.organization(&id).await), (before, read));
    }

    async fn known_parts_are_changed_new_ones_added_absent_ones_ended(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        let mut body = body_of(&read);
        body["modes"] = json!([read["modes"][1], "Production"]);
        body["orgAddressesDetails"][0]["addressPostalcode"] = json!("80203");
        body["orgAddressesDetails"][1] = json!({"addressPostalcode": "1020"});
        body["properties"] = json!([{"propertyName": "LabId", "propertyValue": "L2"}]);
        app.replaced(&id, &body).await;
        let after = app.organization(&id).await;
        assert_eq!(after["modes"][0], read["modes"][1]);
        assert_eq!(after["modes"][1]["modeCodeValue"], "Production");
        assert_eq!(postal_codes(&after), ["80203", "1020"]);
        assert_eq!(after["orgAddressesDetails"][0]["id"], read["orgAddressesDetails"][0]["id"]);
        let properties = after["orgAddressesDetails"][0]["addressProperties"].as_array().unwrap();
        assert_eq!((properties.len(), &properties[0]["propertyValue"]), (1, &json!("A")));
        assert_eq!(after["properties"].as_array().unwrap().len(), 1);
        assert_eq!(after["properties"][0]["propertyValue"], "L2");
        // Unchanged parts keep their version; so does the organization, whose own values are unchanged.
        assert_eq!(after["versionStart"], read["versionStart"]);
        assert_ne!(after["orgAddressesDetails"][0]["versionStart"], read["orgAddressesDetails"][0]["versionStart"]);
    }

    async fn members_that_are_left_out_become_empty_but_for_number_type_and_status(database) {
        let app = App::open(&database).await;
        let mut body = full("Acme");
        for (member, value) in [
            ("categoryTypeCodeValue", json!("SITE")), ("subTypeCodeValue", json!("lab")), ("taxId", json!("T")),
            ("vatId", json!("V")), ("webUrl", json!("https://acme.example.com")), ("timezone", json!("UTC")),
            ("msa", json!("Y")), ("msaStart", json!("2025-01-01T00:00:00Z")), ("msaEnd", json!("2026-01-01T01:00:00+01:00")),
            ("statusCodeValue", json!("restricted")),
        ] {
            body["organization"][member] = value;
        }
        let id = app.organize(&body).await;
        let read = app.organization(&id).await;
        assert_eq!((&read["msa"], &read["msaEnd"]), (&json!("Y"), &json!("2026-01-01T00:00:00.000Z")));
        assert_eq!((&read["subTypeCodeValue"], &read["categoryTypeCodeValue"]), (&json!("LABORATORY"), &json!("SITE")));
        assert_eq!((&read["studyAgnostic"], &read["studyId"]), (&json!("Y"), &json!("")));
        app.replaced(&id, &with(&named("Acme"), "/organization/msa", json!(""))).await;
        let after = app.organization(&id).await;
        for kept in ["id", "orgId", "orgType", "orgTypeCodeValue", "status", "statusCodeValue", "studyId"] {
            assert_eq!(after[kept], read[kept], "{kept}");
        }
        for gone in ["categoryType", "subType", "taxId", "vatId", "webUrl", "timezone", "msa", "msaStart", "msaEnd"] {
            assert!(after.get(gone).is_none(), "{gone}: {after}");
        }
        // Omitted properties stay; an empty list would end them.
        assert_eq!(after["properties"], read["properties"]);
        app.replaced(&id, &with(&named("Acme"), "/properties", json!([]))).await;
        assert_eq!(app.organization(&id).await["properties"], json!([]));
    }

    async fn lists_may_be_written_as_one_object_and_modes_as_texts(database) {
        let app = App::open(&database).await;
        let id = app.organize(&named("Acme")).await;
        let body = json!({
            "organization": {"name": "Acme", "objectVersionNumber": 7},
            "modes": {"modeCodeValue": "testing"},
            "orgAddressesDetails": {
                "addressPostalcode": "1", "addressProperties": {"propertyName": "a", "propertyValue": "b"},
            },
            "properties": {"propertyName": "c", "propertyValue": "d"},
            "objectVersionNumber": 1,
        });
        app.replaced(&id, &body).await;
        let read = app.organization(&id).await;
        assert_eq!(read["modes"][0]["modeCodeValue"], "Testing");
        assert_eq!(read["orgAddressesDetails"][0]["addressProperties"][0]["propertyValue"], "b");
        assert_eq!(read["properties"][0]["propertyName"], "c");
        app.replaced(&id, &with(&named("Acme"), "/modes", json!(["test"]))).await;
        assert_eq!(app.organization(&id).await["modes"][0]["modeCodeValue"], "Testing");
    }

    async fn identifiers_are_the_same_however_they_are_written(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()));
        let dashed = id.parse::<Uuid>().unwrap().to_string();
        let read = app.organization(&dashed).await;
        assert_eq!(read["id"], json!(id));
        let mut body = body_of(&read);
        body["organization"]["id"] = json!(dashed);
        body["modes"][0]["entityId"] = json!(id.to_lowercase());
        body["modes"][0]["id"] = json!(read["modes"][0]["id"].as_str().unwrap().to_lowercase());
        app.replaced(&id.to_lowercase(), &body).await;
        assert_eq!(app.organization(&id).await, read);
    }

    async fn a_superseded_version_is_a_conflict_and_a_foreign_one_is_not(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        let mut body = body_of(&read);
        body["organization"]["name"] = json!("Acme 2");
        body["modes"][0]["modeCodeValue"] = json!("Production");
        body["modes"][0].as_object_mut().unwrap().remove("mode");
        app.replaced(&id, &body).await;
        let changed = app.denied(app.put(&id, &body), 409).await;
        assert_eq!(changed["errorMessage"], "The organization was changed in the meantime");
        body["organization"].as_object_mut().unwrap().remove("versionStart");
        app.denied(app.put(&id, &body), 409).await;
        body["modes"][0]["versionStart"] = json!("2001-01-01T00:00:00Z");
        body["organization"]["versionStart"] = app.organization(&id).await["versionStart"].clone();
        body["organization"]["name"] = json!("Acme 3");
        app.replaced(&id, &body).await;
        let after = app.organization(&id).await;
        assert_eq!(after["name"], "Acme 3");
        assert!(after["versionStart"].as_str() > read["versionStart"].as_str());
    }

    async fn reasons_and_comments_are_kept_with_versions_entries_and_events(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        assert_eq!((&read["reason"], &read["comment"]), (&json!("set up"), &json!("first")));
        assert_eq!((&read["modes"][0]["reason"], &read["modes"][1]["reason"]), (&json!("set up"), &json!("own")));
        let mut body = body_of(&read);
        body["organization"]["reason"] = json!("moved");
        body["organization"]["comment"] = json!("by request");
        body["orgAddressesDetails"][0]["addressCity"] = json!("Boulder");
        body["orgAddressesDetails"][0].as_object_mut().unwrap().remove("reason");
        body["orgAddressesDetails"][0].as_object_mut().unwrap().remove("comment");
        body["modes"][1]["modeCodeValue"] = json!("Production");
        body["modes"][1].as_object_mut().unwrap().remove("mode");
        body["modes"][1]["reason"] = json!("own again");
        app.replaced(&id, &body).await;
        let after = app.organization(&id).await;
        // The organization's own values are unchanged, so its version keeps its original reason.
        assert_eq!((&after["reason"], &after["versionStart"]), (&read["reason"], &read["versionStart"]));
        assert_eq!(after["orgAddressesDetails"][0]["reason"], "moved");
        assert_eq!(after["orgAddressesDetails"][0]["comment"], "by request");
        assert_eq!(after["modes"][1]["reason"], "own again");
        let entries = app.entries(&id).await;
        let reasons: Vec<_> = entries.iter().map(|entry| entry.reason.as_deref().unwrap()).collect();
        assert_eq!(reasons, ["set up", "own again", "moved"]);
        let organization = id.parse::<Uuid>().unwrap().to_string();
        assert!(entries.iter().all(|entry| entry.organization_id.as_deref() == Some(&organization)));
        assert!(entries[1].request_id == entries[2].request_id && entries[1].actor_id == app.caller);
        let events = app.state.node.journal.stream("organization", &organization, 1).await.unwrap();
        let metadata: Value = serde_json::from_str(&events[0].metadata).unwrap();
        assert_eq!((&metadata["reason"], &metadata["comment"]), (&json!("moved"), &json!("by request")));
    }

    async fn reasons_can_be_made_mandatory(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let read = app.organization(&id).await;
        let strict = ApiSettings { reason_mandatory: true, ..ApiSettings::default() };
        let strict = App::over(app.state.node.clone(), strict).await;
        let mut body = body_of(&read);
        for part in ["/organization", "/modes/0", "/orgAddressesDetails/0"] {
            body = with(&body, &format!("{part}/reason"), Value::Null);
        }
        strict.replaced(&id, &body).await;
        body["organization"]["name"] = json!("Acme 2");
        body["orgAddressesDetails"][0]["addressCity"] = json!("Boulder");
        let needed = "is needed for a change";
        let expected = json!({"organization.reason": needed, "orgAddressesDetails[0].reason": needed});
        assert_eq!(strict.findings(strict.put(&id, &body)).await, expected);
        body["organization"]["reason"] = json!("asked for");
        strict.replaced(&id, &body).await;
        let needed = json!({"reason": needed});
        assert_eq!(strict.findings(strict.call("DELETE", &path(&id))).await, needed);
        let retire = path(&format!("deleteOrganization/{id}"));
        assert_eq!(strict.findings(strict.call("PUT", &retire).json(&json!({"reason": " "}))).await, needed);
        assert_eq!(strict.call("PUT", &retire).json(&json!({"reason": "closed"})).send().await.status, 204);
        let gone = strict.call("DELETE", &format!("{}?reason=closed&comment=for+good", path(&id))).send().await;
        assert_eq!(gone.status, 204);
        let entry = app.entries(&id).await.pop().unwrap();
        assert_eq!((entry.reason.as_deref(), entry.comment.as_deref()), (Some("closed"), Some("for good")));
    }

    async fn an_active_study_keeps_what_it_needs(database) {
        let app = App::open(&database).await;
        let id = app.organize(&full("Acme")).await;
        let study_id = "5f1d6e7a-0000-4000-8000-00000000000a".to_owned();
        let command = OrganizationCommand::AssignStudy { study_id, stamp: Stamp::at(chrono::Utc::now()) };
        let stream = id.parse::<Uuid>().unwrap().to_string();
        let context = crate::support::context();
        app.state.node.executor.execute::<Organization>(&context, &stream, command, None).await.unwrap();
        let read = app.organization(&id).await;
        assert_eq!((&read["studyId"], &read["studyAgnostic"]), (&json!("5F1D6E7A00004000800000000000000A"), &json!("N")));
        let body = body_of(&read);
        for changed in [
            with(&body, "/modes", json!([])),
            with(&body, "/orgAddressesDetails", json!([])),
            with(&with(&body, "/organization/statusCodeValue", json!("Retired")), "/organization/status", Value::Null),
        ] {
            let refused = app.denied(app.put(&id, &changed), 409).await;
            assert_eq!(refused["errorMessage"], "The organization takes part in an active study");
        }
        app.denied(app.call("DELETE", &path(&id)), 409).await;
        app.denied(app.call("PUT", &path(&format!("deleteOrganization/{id}"))).json(&json!({})), 409).await;
        app.replaced(&id, &with(&body, "/organization/name", json!("Acme 2"))).await;
    }

    async fn an_unknown_organization_is_not_created(database) {
        let app = App::open(&database).await;
        let refused = app.denied(app.put(NOBODYS, &named("Acme")), 404).await;
        assert_eq!(refused["errorMessage"], "Organization not found");
        app.denied(app.put(NOBODYS, &named(" ")), 400).await;
    }
}
