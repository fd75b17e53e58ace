//! The log of mails: reports of mail services and mail servers about them, for system admins.

use super::call::{Call, HandlerResult, Parameters, Parsed, QueryExt};
use super::documents::Resource;
use super::times;
use crate::messages::reports::destination_key;
use chrono::{DateTime, Utc};
use registrar_aggregates::message::report::{Outcome, ReportSource};
use registrar_projections::email_logs::{AT, BY_TIME, DESTINATION_KEY, EmailLogDocument};
use registrar_projections::stamped::time_key;
use registrar_projections::{Direction, Query};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(super) struct LogFilters {
    #[serde(rename = "filter[destination]")]
    destination: Option<String>,
    #[serde(rename = "filter[timestamp][gte]")]
    since: Option<Parsed<DateTime<Utc>>>,
    #[serde(rename = "filter[timestamp][lte]")]
    until: Option<Parsed<DateTime<Utc>>>,
}

/// The reports, the latest outcome first. An address is found in any spelling; a text that is none finds nothing.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<LogFilters>) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let key = filters.destination.map(|destination| destination_key(&call.app.node.vault, &destination));
    if key == Some(None) {
        return call.nothing();
    }
    let query = Query::<EmailLogDocument>::sorted(&BY_TIME, Direction::Descending)
        .when(key.flatten(), |query, key| query.equal(&DESTINATION_KEY, key))
        .when(filters.since, |query, Parsed(since)| query.at_least(&AT, time_key(since)))
        .when(filters.until, |query, Parsed(until)| query.at_most(&AT, time_key(until)));
    call.list(query, resource).await
}

fn resource(log: &EmailLogDocument) -> Resource {
    let report = &log.report;
    let (notification, bounce) = match report.outcome {
        Outcome::Delivered => ("Delivery", None),
        Outcome::Complained => ("Complaint", None),
        Outcome::Bounced => ("Bounce", Some("Permanent")),
        Outcome::Delayed => ("Bounce", Some("Transient")),
        Outcome::Undetermined => ("Bounce", Some("Undetermined")),
    };
    // A report of an erased recipient has no object any more.
    let raw = report.raw.as_deref().filter(|_| report.source == ReportSource::Ses);
    let raw: Option<Value> = raw.and_then(|raw| serde_json::from_str(raw).ok()).filter(Value::is_object);
    let attributes = json!({
        "bounce-subtype": bounce.and(report.class.as_ref()),
        "bounce-type": bounce,
        // The contract knows no null here.
        "destination": report.destination.as_deref().unwrap_or_default(),
        "event-received": times::write(log.received_at),
        "notification-type": notification,
        "ses-id": report.provider_id,
        "ses-raw": raw,
        "source": report.sender,
        "subject": report.subject,
        "timestamp": times::write(report.at),
    });
    Resource::numbered("email-logs", log.position, attributes)
}
