//! Test support for the site dialect: bodies, calls, and a check of the shape of every refusal.

use crate::ecg_app::{Answer, App, Call};
use registrar::auth::TokenRequest;
use registrar_aggregates::values::AdminId;
use registrar_projections::AuditEntry;
use registrar_projections::audit_trail::{AGGREGATE_ID, BY_TIME};
use registrar_projections::query::{Direction, Query};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

pub const ORGANIZATIONS: &str = "/ec-site-svc/rest/v1.0/organizations";
pub const LIST: &str = "/ec-site-svc/rest/v2.0/organizations";
pub const NOBODYS: &str = "C36A3197FDEE433FB5547EE83DE99E4B";

/// A body with the required members only.
pub fn named(name: &str) -> Value {
    json!({"organization": {"name": name}, "modes": [], "orgAddressesDetails": []})
}

/// The sample of the published page.
pub fn sample() -> Value {
    let contract: Value = serde_json::from_str(include_str!("../contracts/site-organizations.openapi.json")).unwrap();
    let body =
        "/paths/~1ec-site-svc~1rest~1v1.0~1organizations~1{id}/put/requestBody/content/application~1json/example";
    contract.pointer(body).unwrap().clone()
}

/// An organization with two modes, two addresses and two extra values.
pub fn full(name: &str) -> Value {
    json!({
        "organization": {"name": name, "orgId": "ORG-1", "orgTypeCodeValue": "SITE", "reason": "set up", "comment": "first"},
        "modes": [{"modeCodeValue": "Testing"}, {"modeCodeValue": "Training", "reason": "own"}],
        "orgAddressesDetails": [
            {
                "addressPostalcode": "80202", "mainPrimary": true, "countryCodeValue": "USA", "addressCity": "Denver",
                "addressStateOrProvOrCountyCodeValue": "Colorado", "addressTypeCodeValue": "Primary",
                "addressProperties": [{"propertyName": "Door", "propertyValue": "A"}],
            },
            {"addressPostalcode": "1010", "countryCodeValue": "Austria"},
        ],
        "properties": [
            {"propertyName": "LabId", "propertyValue": "L1"}, {"propertyName": "Ward", "propertyValue": "W1"},
        ],
    })
}

pub fn path(id: &str) -> String {
    format!("{ORGANIZATIONS}/{id}")
}

/// The content of the envelope of a refusal, whose shape is checked.
#[track_caller]
pub fn refusal(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["status"], "error", "{body}");
    assert_eq!(body["errorData"]["errorCode"], format!("C1-{status}"), "{body}");
    assert!(body["errorData"]["errorMessage"].is_string() && body["errorData"]["details"].is_object(), "{body}");
    assert_eq!((body.as_object().unwrap().len(), body["errorData"].as_object().unwrap().len()), (2, 3), "{body}");
    body["errorData"].clone()
}

impl App {
    /// Registers an organization over the API; answers its identifier.
    pub async fn organize(&self, body: &Value) -> String {
        let answer = self.post(ORGANIZATIONS, body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub async fn organization(&self, id: &str) -> Value {
        self.get(&path(id)).await.ok()
    }

    pub fn put<'a>(&'a self, id: &str, body: &Value) -> Call<'a> {
        self.call("PUT", &path(id)).json(body)
    }

    /// Replaces an organization, which must succeed.
    pub async fn replaced(&self, id: &str, body: &Value) -> Answer {
        let answer = self.put(id, body).send().await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{answer:?}");
        answer
    }

    /// Sends a request that must be refused in the dialect's envelope and must store nothing.
    pub async fn denied(&self, call: Call<'_>, status: u16) -> Value {
        let before = self.head().await;
        let answer = call.send().await;
        let data = refusal(&answer, status);
        assert_eq!(self.head().await, before, "something was stored: {data}");
        data
    }

    /// The error of each field of a request that must be refused as invalid.
    pub async fn findings(&self, call: Call<'_>) -> Value {
        let data = self.denied(call, 400).await;
        assert_eq!(data["errorMessage"], "Validation failed");
        data["details"].clone()
    }

    /// The audit entries of an organization, oldest first.
    pub async fn entries(&self, id: &str) -> Vec<AuditEntry> {
        let id: Uuid = id.parse().unwrap();
        let query = Query::sorted(&BY_TIME, Direction::Ascending).equal(&AGGREGATE_ID, id.to_string());
        self.state.node.documents.page(query).await.unwrap().value.items
    }

    /// A token of the administrator, narrowed to one organization.
    pub async fn narrowed_to(&self, organization: &str) -> String {
        let request = TokenRequest {
            admin_id: AdminId(self.caller.parse().unwrap()),
            ttl: Duration::from_secs(600),
            organization: Some(organization.to_owned()),
            permissions: None,
        };
        self.state.authenticator.issue(&self.state.node, &crate::support::context(), request).await.unwrap()
    }
}
