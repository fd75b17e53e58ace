//! What users did: sign-ins, refreshes, registrations.

use super::call::{Answered, Call};
use super::documents::{Reply, Resource};
use super::times::{self, Comparison, Relation};
use registrar_projections::activities::{AT, ActivityDocument, BY_TIME, KIND, STAFF, USER_ID};
use registrar_projections::stamped::time_key;
use registrar_projections::{Direction, Query};
use serde_json::json;

pub(super) async fn list(call: Call) -> Answered {
    if !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let window = call.window()?;
    let mut query = Query::<ActivityDocument>::sorted(&BY_TIME, Direction::Ascending).page(window.offset, window.limit);
    if let Some(user) = call.uuid("filter[user-id]") {
        query = query.equal(&USER_ID, user.to_string());
    }
    if call.arguments.has("filter[event-types]") {
        query = query.one_of(&KIND, call.arguments.texts("filter[event-types]").map(str::to_owned).collect());
    }
    if call.arguments.flag("filter[exclude-carium-activity]") == Some(true) {
        query = query.equal(&STAFF, "false");
    }
    for Comparison { relation, time } in call.comparisons("filter[cmp-timestamp]", true)? {
        let time = time_key(time);
        query = match relation {
            Relation::Before => query.below(&AT, time),
            Relation::Until => query.at_most(&AT, time),
            Relation::After => query.above(&AT, time),
            Relation::Since => query.at_least(&AT, time),
        };
    }
    let page = call.documents().page(query).await?.value;
    Ok(Reply::Page(page.items.iter().map(resource).collect(), window, page.total))
}

fn resource(activity: &ActivityDocument) -> Resource {
    Resource::new(
        "user-activities",
        activity.id,
        json!({
            "carium-employee": activity.staff,
            "event-type": activity.activity.name(),
            "timestamp": times::write(activity.at),
            "user-id": activity.user_id,
        }),
    )
}
