//! One aggregate: its history, its past states, and the differences between two of them.

use super::parameters::{AsOfParameters, DiffParameters, HistoryParameters, PointInTime, PositionRange};
use super::stream::{self, PAGE_BYTES_MAX, PIECE, wants_lines};
use super::views::{Difference, Differences, HistoryEvent, Page, State as StateView};
use super::{BadRequest, Forbidden, Gone, NotFound, Scope, TAG, Unauthorized, Unavailable, record};
use crate::api::AppState;
use crate::api::audit::replay::{self, Subject, Walk};
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::query::Parameters;
use crate::api::common::{ApiError, Caller};
use crate::auth::spelled;
use crate::journal::{JournalResult, Portion};
use crate::node::priority::seat;
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::stream::try_unfold;
use registrar_aggregates::AnyAggregate;
use registrar_projections::audit_trail::diff::differences;
use std::collections::BTreeMap;
use std::slice;

/// Most events read at once, each with the whole state after it, and the size of the first read.
const STEPS: usize = 50;
const STEPS_FIRST: usize = 8;
const NO_AGGREGATE: ApiError = ApiError::NotFound("There is no such aggregate");
const NOT_YET: ApiError = ApiError::NotFound("There was no such aggregate at that moment");

/// The `{aggregateType}/{id}` of a path.
pub(super) struct AggregatePath {
    aggregate_type: String,
    aggregate_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for AggregatePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // A path that cannot be decoded names no aggregate.
        let path = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| NO_AGGREGATE)?;
        let Path((aggregate_type, aggregate_id)) = path;
        if !AnyAggregate::TYPES.contains(&aggregate_type.as_str()) || aggregate_id.contains('\0') {
            return Err(NO_AGGREGATE);
        }
        Ok(AggregatePath { aggregate_type, aggregate_id: spelled(aggregate_id) })
    }
}

impl AggregatePath {
    /// The aggregate as far as `caller` may see it.
    fn subject(&self, caller: &Caller) -> Subject {
        Subject {
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            organization: Scope::of(caller).organization().map(str::to_owned),
        }
    }

    /// Filters to record for a reading: the `given` parameters and the aggregate.
    fn filters(&self, given: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut filters = given;
        filters.insert("aggregateType".to_owned(), self.aggregate_type.clone());
        filters.insert("aggregateId".to_owned(), self.aggregate_id.clone());
        filters
    }
}

/// Returns the events of one aggregate in order, page by page, each with its changes.
///
/// With `Accept: application/x-ndjson` they come in one answer, one event a line. An answer that breaks off instead of
/// ending is not complete.
#[utoipa::path(get, path = "/audit/{aggregateType}/{id}/history", operation_id = "listHistory", tag = TAG,
    summary = "History of one aggregate",
    params(
        ("aggregateType" = String, Path, description = "Kebab-case name of the aggregate type.", example = "key-ring"),
        ("id" = String, Path, description = "Identifier within the aggregate type.", example = "token-signing"),
        ("after" = Option<String>, Query, description = "Position after which to begin, or the `next` of the page \
            before, with the same filters."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "Most events of the answer; 100 a \
            page, and all of them as lines, unless given."),
        ("from" = Option<String>, Query, description = "Earliest `recordedAt`, or position, to return.",
            example = "2026-01-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "Latest `recordedAt`, or position, to return.",
            example = "2036-01-01T00:00:00Z"),
    ),
    responses(
        (status = 200, description = "The page asked for, or the events one a line.", content(
            (Page<HistoryEvent> = "application/json"), (String = "application/x-ndjson"))),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable,
    ))]
pub(super) async fn list_history(
    State(app): State<AppState>,
    caller: Caller,
    path: AggregatePath,
    headers: HeaderMap,
    Parameters(asked): Parameters<HistoryParameters>,
) -> Result<Response, ApiError> {
    let HistoryParameters { range, question } = asked;
    let question = question.of(&format!("history/{}/{}", path.aggregate_type, path.aggregate_id));
    let (scope, subject) = (Scope::of(&caller), path.subject(&caller));
    let part = range.part(&app, &question.text(&scope)).await?;
    if !app.replays.has_begun(&subject, part.head).await? {
        return Err(scope.nothing(&app, &subject, part.head, NO_AGGREGATE).await);
    }
    record(&app, &caller, "history", path.filters(question.given.clone())).await?;
    let history = History { app, subject, part };
    if wants_lines(&headers) {
        return Ok(PositionedResponse(part.head, history.lines(range.limit).await?).into_response());
    }
    let (items, after, _) =
        history.page(part.after, None, Portion { events: range.page_size(), bytes: PAGE_BYTES_MAX }).await?;
    let next = question.next(&history.app, &scope, after, &part).await?;
    Ok(PositionedResponse(part.head, Json(Page { items, next })).into_response())
}

struct History {
    app: AppState,
    subject: Subject,
    part: PositionRange,
}

impl History {
    /// The next events, the position up to which none are missing, and the state there. `from` is the state at `after`,
    /// if known.
    async fn page(
        &self,
        after: u64,
        from: Option<replay::ReplayedState>,
        portion: Portion,
    ) -> JournalResult<(Vec<HistoryEvent>, u64, Option<replay::ReplayedState>)> {
        let _seat = seat().await?;
        let (mut items, replays) = (Vec::new(), &self.app.replays);
        let walk = match from {
            Some(moment) => Some(replays.walk_on(&self.subject, moment, self.part.until)),
            None => replays.walk(&self.subject, after, self.part.until).await?,
        };
        let Some(mut walk) = walk.filter(|_| after < self.part.until) else {
            return Ok((items, self.part.until, None));
        };
        let mut before = walk.moment().shown().unwrap_or_default();
        let (mut looked_until, mut bytes, mut steps_at_once) = (self.part.until, 0, STEPS_FIRST);
        while items.len() < portion.events && bytes < portion.bytes {
            let steps = walk.next((portion.events - items.len()).min(steps_at_once)).await?;
            if steps.is_empty() {
                return Ok((items, self.part.until, None));
            }
            if bytes * 4 <= portion.bytes {
                steps_at_once = (steps_at_once * 2).min(STEPS);
            }
            for (step, state) in steps {
                looked_until = step.stored.position;
                let item = HistoryEvent::new(step, &before, &state)?;
                bytes += stream::lines(slice::from_ref(&item))?.len();
                items.push(item);
                before = state;
            }
        }
        let moment = walk.moment().clone();
        Ok(if walk.has_ended() { (items, self.part.until, None) } else { (items, looked_until, Some(moment)) })
    }

    async fn lines(self, limit: Option<usize>) -> Result<Response, ApiError> {
        let limit = limit.unwrap_or(usize::MAX);
        // Read before the response begins, so that an unavailable database still gives an error status.
        let (first, after, moment) = self.page(self.part.after, None, up_to(limit)).await?;
        let left = limit - first.len();
        let rest = try_unfold((self, after, moment, left), |(history, after, moment, left)| async move {
            if left == 0 || after >= history.part.until {
                return Ok(None);
            }
            let (events, after, moment) = history.page(after, moment, up_to(left)).await?;
            let left = left - events.len();
            Ok(Some((stream::lines(&events)?, (history, after, moment, left))))
        });
        Ok(stream::answer(stream::NDJSON, stream::lines(&first)?, rest))
    }
}

/// Portion to read next for a response with `left` events to go.
fn up_to(left: usize) -> Portion {
    Portion { events: PIECE.events.min(left), ..PIECE }
}

/// Position of an optional moment; without one the head.
async fn position_of(app: &AppState, moment: Option<PointInTime>, head: u64) -> Result<u64, ApiError> {
    match moment {
        Some(moment) => moment.position(app, head).await,
        None => Ok(head),
    }
}

/// Returns the state of one aggregate as it was at a moment, or as it is.
#[utoipa::path(get, path = "/audit/{aggregateType}/{id}", operation_id = "findState", tag = TAG,
    summary = "State of one aggregate at a moment",
    params(
        ("aggregateType" = String, Path, description = "Kebab-case name of the aggregate type.", example = "key-ring"),
        ("id" = String, Path, description = "Identifier within the aggregate type.", example = "token-signing"),
        ("asOf" = Option<String>, Query, description = "RFC 3339 date-time or position; the present unless given.",
            example = "2036-01-01T00:00:00Z"),
    ),
    responses((status = 200, description = "The state right after the last event at or before that moment.",
        body = StateView), BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable))]
pub(super) async fn find_state(
    State(app): State<AppState>,
    caller: Caller,
    path: AggregatePath,
    Parameters(AsOfParameters { as_of, given }): Parameters<AsOfParameters>,
) -> Result<PositionedResponse<Json<StateView>>, ApiError> {
    let head = app.node.journal.head().await?.position;
    let until = position_of(&app, as_of, head).await?;
    let subject = path.subject(&caller);
    let moment = app.replays.at(&subject, until).await?.ok_or(NO_AGGREGATE)?;
    let (Some((position, recorded_at)), Some(state)) = (moment.last, moment.shown()) else {
        return Err(Scope::of(&caller).nothing(&app, &subject, until, NOT_YET).await);
    };
    record(&app, &caller, "state", path.filters(given)).await?;
    Ok(PositionedResponse(head, Json(StateView { position, recorded_at, state })))
}

/// Returns every element that differs between two moments, `from` excluded and `to` included, with its value at each of
/// them, and who changed it last and in which request.
#[utoipa::path(get, path = "/audit/{aggregateType}/{id}/diff", operation_id = "findDifferences", tag = TAG,
    summary = "What differs between two moments",
    params(
        ("aggregateType" = String, Path, description = "Kebab-case name of the aggregate type.", example = "key-ring"),
        ("id" = String, Path, description = "Identifier within the aggregate type.", example = "token-signing"),
        ("from" = Option<String>, Query, description = "RFC 3339 date-time or position; the beginning unless given.",
            example = "2026-01-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "RFC 3339 date-time or position; the present unless given.",
            example = "2036-01-01T00:00:00Z"),
    ),
    responses((status = 200, description = "What differs.", body = Differences),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable))]
pub(super) async fn find_differences(
    State(app): State<AppState>,
    caller: Caller,
    path: AggregatePath,
    Parameters(DiffParameters { from, to, given }): Parameters<DiffParameters>,
) -> Result<PositionedResponse<Json<Differences>>, ApiError> {
    let head = app.node.journal.head().await?.position;
    let after = match from {
        Some(from) => from.earliest(&app, head).await?,
        None => 0,
    };
    let until = position_of(&app, to, head).await?;
    if after > until {
        return Err(ApiError::invalid("from must not be later than to"));
    }
    let subject = path.subject(&caller);
    let walk = app.replays.walk(&subject, after, until).await?.ok_or(NO_AGGREGATE)?;
    let Some(changes) = all_differences(walk).await? else {
        return Err(Scope::of(&caller).nothing(&app, &subject, until, NOT_YET).await);
    };
    record(&app, &caller, "diff", path.filters(given)).await?;
    Ok(PositionedResponse(head, Json(Differences { changes })))
}

/// Differences over the rest of the walk; `None` if the aggregate had not begun at its end.
async fn all_differences(mut walk: Walk<'_>) -> JournalResult<Option<Vec<Difference>>> {
    let mut before = walk.moment().shown().unwrap_or_default();
    let mut found = BTreeMap::new();
    loop {
        let steps = walk.next(STEPS).await?;
        if steps.is_empty() {
            break;
        }
        for (step, state) in steps {
            for change in differences(&before, &state) {
                Difference::fold(&mut found, &step, change);
            }
            before = state;
        }
    }
    if walk.moment().last.is_none() {
        return Ok(None);
    }
    Ok(Some(found.into_values().filter(Difference::is_one).collect()))
}
