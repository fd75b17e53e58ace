//! Activities of users: sign-ins, refreshes, registrations.

use super::call::{Call, HandlerResult, Parameters, Parsed, QueryExt, compared};
use super::documents::Resource;
use super::times::{self, Comparison};
use registrar_aggregates::values::UserId;
use registrar_projections::activities::{AT, ActivityDocument, BY_TIME, KIND, STAFF, USER_ID};
use registrar_projections::{Direction, Query};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub(super) struct ActivityFilters {
    #[serde(rename = "filter[user-id]")]
    user: Option<UserId>,
    #[serde(rename = "filter[event-types]")]
    kinds: Option<Vec<String>>,
    #[serde(rename = "filter[exclude-carium-activity]")]
    without_staff: Option<bool>,
    #[serde(default, rename = "filter[cmp-timestamp]")]
    at: Vec<Parsed<Comparison>>,
}

pub(super) async fn list(call: Call, Parameters(filters): Parameters<ActivityFilters>) -> HandlerResult {
    call.require(call.holder.is_service())?;
    let query = Query::<ActivityDocument>::sorted(&BY_TIME, Direction::Ascending)
        .when(filters.user, |query, user| query.equal(&USER_ID, user.to_string()))
        .when(filters.kinds, |query, kinds| query.one_of(&KIND, kinds))
        .when(filters.without_staff.filter(|without| *without), |query, _| query.equal(&STAFF, "false"));
    call.list(compared(query, &AT, filters.at), resource).await
}

fn resource(activity: &ActivityDocument) -> Resource {
    let attributes = json!({
        "carium-employee": activity.staff,
        "event-type": activity.activity.name(),
        "timestamp": times::write(activity.at),
        "user-id": activity.user_id,
    });
    Resource::new("user-activities", activity.id, attributes)
}
