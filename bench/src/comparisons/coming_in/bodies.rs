//! Requests and answers of the documented identity API by which people come in, and names of the parts behind it: the
//! only place of the bench that knows them.

use anyhow::Context;
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt::Write;
use uuid::Uuid;

pub(super) const ONBOARDING_REQUESTS: &str = "/v1/onboarding-requests/";
pub(super) const INDIVIDUALS: &str = "/v1/individuals/";

/// Collections of the onboarding requests and of the messages.
pub(super) const REQUESTS: &str = "onboarding_requests";
pub(super) const MESSAGES: &str = "messages";

/// Name of the lock that makes one node of a database the one that delivers messages.
pub(super) const DELIVERY: &str = "delivery";

fn document(kind: &str, attributes: &Value) -> Bytes {
    json!({"data": {"type": kind, "attributes": attributes}}).to_string().into()
}

/// An individual that belongs to an organization and has no account yet.
pub(super) fn individual(individual: Uuid, organization: Uuid) -> Bytes {
    document("individuals", &json!({"individual-id": individual, "owner-id": organization}))
}

/// The onboarding of a patient, with an invitation by e-mail.
pub(super) fn patient(organization: Uuid, individual: Uuid, email: &str) -> Bytes {
    let attributes = json!({
        "organization": organization,
        "onboard-type": "patient",
        "patient": individual,
        "patient-email": email,
        "notifications": ["email"],
        "email-user-now": true,
    });
    document("onboarding-requests", &attributes)
}

/// The onboarding of a provider, which needs no individual, with an invitation by e-mail.
pub(super) fn provider(organization: Uuid, email: &str) -> Bytes {
    let attributes = json!({
        "organization": organization,
        "onboard-type": "provider",
        "patient-email": email,
        "provider-roles": ["org.provider"],
        "notifications": ["email"],
        "email-user-now": true,
    });
    document("onboarding-requests", &attributes)
}

/// Path of a page of the requests of these individuals.
pub(super) fn page_by(organization: Uuid, individuals: impl Iterator<Item = Uuid>, limit: u64) -> String {
    let mut path = format!("{ONBOARDING_REQUESTS}?organization={organization}&page%5Blimit%5D={limit}");
    for individual in individuals {
        // Writing to a text does not fail.
        let _ = write!(path, "&patient-ids={individual}");
    }
    path
}

/// Identifier of a created resource.
pub(super) fn created_id(answer: &[u8]) -> anyhow::Result<String> {
    let answer: Value = serde_json::from_slice(answer)?;
    Ok(answer["data"]["id"].as_str().context("no identifier in the answer")?.to_owned())
}

/// Number of rows of a page.
pub(super) fn rows(answer: &[u8]) -> anyhow::Result<usize> {
    let answer: Value = serde_json::from_slice(answer)?;
    Ok(answer["data"].as_array().context("no rows in the answer")?.len())
}

#[cfg(test)]
mod tests {
    use super::page_by;
    use uuid::Uuid;

    #[test]
    fn a_page_names_each_individual() {
        let path = page_by(Uuid::nil(), [Uuid::nil(), Uuid::max()].into_iter(), 100);
        assert!(path.starts_with("/v1/onboarding-requests/?organization=00000000-"), "{path}");
        assert_eq!(path.matches("&patient-ids=").count(), 2);
        assert!(path.ends_with("&patient-ids=ffffffff-ffff-ffff-ffff-ffffffffffff"), "{path}");
    }
}
