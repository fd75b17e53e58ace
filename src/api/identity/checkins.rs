//! Check-ins: devices and the users who carried them.

use super::call::{Attributes, Call, HandlerResult, Parameters, QueryExt};
use super::documents::Resource;
use super::times;
use crate::journal::JournalResult;
use futures::future::try_join_all;
use registrar_aggregates::checkin::{Checkin, Device, Source};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::{IndividualId, UserId};
use registrar_projections::checkins::{BY_CREATION, CheckinDocument, SOURCE, USER_ID};
use registrar_projections::{Direction, IndividualDocument, Query};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub(super) struct CheckinFilters {
    #[serde(rename = "individual-id")]
    individual: IndividualId,
    #[serde(rename = "filter[source]")]
    source: Option<String>,
    #[serde(default)]
    summary: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewCheckin {
    source: Source,
    app_version: String,
    model: String,
    os_version: String,
}

/// Check-ins of the user whom the individual belongs to; an individual owned by an organization has none.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<CheckinFilters>) -> HandlerResult {
    let individual = call.load_by::<IndividualDocument>(&filters.individual.to_string(), ()).await?;
    let Owner::User(user) = individual.owner else { return call.nothing() };
    if filters.summary {
        let latest = latest(&call, user, filters.source.as_deref()).await?;
        return call.part(latest.iter().map(resource).collect());
    }
    let query = of(user, Direction::Ascending).when(filters.source, |query, source| query.equal(&SOURCE, source));
    call.list(query, resource).await
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewCheckin>) -> HandlerResult {
    let NewCheckin { source, app_version, model, os_version } = new;
    let device = Device { user_id: call.user()?.profile.id, source, app_version, model, os_version };
    call.record::<Checkin, CheckinDocument>(device, resource).await
}

/// The latest check-in per requested kind of device, oldest first.
async fn latest(call: &Call, user: UserId, asked: Option<&str>) -> JournalResult<Vec<CheckinDocument>> {
    let sources = [Source::Android, Source::Ios, Source::Web].map(Source::name).into_iter();
    let latest = sources.filter(|source| asked.is_none_or(|asked| asked == *source)).map(|source| {
        let query = of(user, Direction::Descending).equal(&SOURCE, source).uncounted().page(0, 1);
        call.documents().page(query)
    });
    let mut latest: Vec<_> = try_join_all(latest).await?.into_iter().flat_map(|read| read.value.items).collect();
    latest.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    Ok(latest)
}

fn of(user: UserId, direction: Direction) -> Query<CheckinDocument> {
    Query::sorted(&BY_CREATION, direction).equal(&USER_ID, user.to_string())
}

fn resource(checkin: &CheckinDocument) -> Resource {
    let device = &checkin.device;
    let attributes = json!({
        "app-version": device.app_version,
        "created-time": times::write(checkin.created_at),
        "model": device.model,
        "os-version": device.os_version,
        "source": device.source,
        "user-id": device.user_id,
    });
    Resource::new("user-checkins", &checkin.id, attributes)
}
