//! What devices told of themselves.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::refusals::attribute;
use super::times;
use crate::api::common::ApiError;
use crate::directory::DirectoryError;
use crate::executor::Outcome;
use crate::journal::JournalResult;
use futures::future::try_join_all;
use registrar_aggregates::checkin::{Checkin, Device, Source};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::UserId;
use registrar_projections::checkins::{BY_CREATION, CheckinDocument, SOURCE, USER_ID};
use registrar_projections::{Direction, IndividualDocument, Query};
use serde_json::json;
use uuid::Uuid;

/// Those of the user whose the individual is; of one that an organization owns there are none.
pub(super) async fn list(call: Call) -> Answered {
    let window = call.window()?;
    let documents = call.documents();
    let id = call.uuid("individual-id").unwrap_or_default().to_string();
    let found = documents.find::<IndividualDocument>(&id).await?.value;
    let individual = found.ok_or_else(|| call.forbidden())?;
    if !call.access().individual_as(&call.holder, &individual).await? {
        return Err(call.forbidden());
    }
    let Owner::User(user) = individual.owner else {
        return Ok(Reply::Page(vec![], window, 0));
    };
    if call.arguments.flag("summary") == Some(true) {
        let latest = latest(&call, user).await?;
        let total = latest.len() as u64;
        let shown = latest.iter().skip(window.offset.try_into().unwrap_or(usize::MAX));
        let shown = shown.take(window.limit.try_into().unwrap_or(usize::MAX)).map(resource);
        return Ok(Reply::Page(shown.collect(), window, total));
    }
    let mut query = of(user, Direction::Ascending).page(window.offset, window.limit);
    if let Some(source) = call.arguments.text("filter[source]") {
        query = query.equal(&SOURCE, source);
    }
    let page = documents.page(query).await?.value;
    Ok(Reply::Page(page.items.iter().map(resource).collect(), window, page.total))
}

pub(super) async fn create(mut call: Call) -> Answered {
    let user_id = call.user()?.profile.id;
    let attributes = call.attributes()?;
    let text = |name| attributes.text(name).unwrap_or_default().to_owned();
    let device = Device {
        user_id,
        source: attributes.word("source").ok_or_else(|| attribute("source", "is none of the allowed values"))?,
        app_version: text("app-version"),
        model: text("model"),
        os_version: text("os-version"),
    };
    let answer = |outcome: &Outcome| outcome.document::<CheckinDocument>().map(|found| Reply::created(resource(found)));
    call.remember(answer);
    let id = Uuid::now_v7().to_string();
    let outcome = call.app.node.executor.execute::<Checkin>(&call.context, &id, device, None).await;
    let outcome = outcome.map_err(DirectoryError::from)?;
    answer(&outcome).ok_or_else(|| ApiError::internal("a check-in was recorded without a document"))
}

/// The latest check-in of each kind of device that is asked for, oldest first.
async fn latest(call: &Call, user: UserId) -> JournalResult<Vec<CheckinDocument>> {
    let asked = call.arguments.text("filter[source]");
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
    Resource::new(
        "user-checkins",
        &checkin.id,
        json!({
            "app-version": device.app_version,
            "created-time": times::write(checkin.created_at),
            "model": device.model,
            "os-version": device.os_version,
            "source": device.source,
            "user-id": device.user_id,
        }),
    )
}
