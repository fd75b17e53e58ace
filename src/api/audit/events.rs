//! Recorded events, listed or one by one.

use super::parameters::{EventParameters, EventsParameters, PositionRange};
use super::stream::{self, PAGE_BYTES_MAX, PIECE, wants_lines};
use super::views::{Event, Page};
use super::{BadRequest, Forbidden, Gone, NotFound, Scope, TAG, Unauthorized, Unavailable, record};
use crate::api::AppState;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::query::Parameters;
use crate::api::common::{ApiError, Caller};
use crate::journal::selection::{EventFilter, EventPage};
use crate::journal::{JournalError, JournalResult, Portion, StoredEvent, codec};
use crate::node::priority::seat;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures::stream::try_unfold;
use std::collections::BTreeMap;

const ONE: Portion = Portion { events: 1, bytes: usize::MAX };
const NO_EVENT: ApiError = ApiError::NotFound("There is no such event");

/// Returns the events that fit all filters, in the order of their positions, page by page.
///
/// With `Accept: application/x-ndjson` they come in one answer, one event a line, up to the end of the journal as it
/// was when the request came. An answer that breaks off instead of ending is not complete.
#[utoipa::path(get, path = "/audit/events", operation_id = "listEvents", tag = TAG, summary = "Events by filter",
    params(
        ("after" = Option<String>, Query, description = "Position after which to begin, or the `next` of the page \
            before, with the same filters."),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "Most events of the answer; 100 a \
            page, and all of them as lines, unless given."),
        ("from" = Option<String>, Query, description = "Earliest `recordedAt`, or position, to return.",
            example = "2026-01-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "Latest `recordedAt`, or position, to return.",
            example = "2036-01-01T00:00:00Z"),
        ("aggregateType" = Option<String>, Query, min_length = 1, max_length = 256, example = "admin",
            description = "Kebab-case name of the aggregate type."),
        ("aggregateId" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "Identifier of the aggregate."),
        ("eventType" = Option<String>, Query, min_length = 1, max_length = 256, example = "admin.registered",
            description = "Name of the event."),
        ("actorId" = Option<String>, Query, min_length = 1, max_length = 256, description = "Identifier of the actor."),
        ("organizationId" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "Organization that the event carried when it was written."),
        ("sealed" = Option<bool>, Query, description = "Whether to return events as they are stored and were hashed, \
            personal values sealed."),
    ),
    responses(
        (status = 200, description = "The page asked for, or the events one a line.", content(
            (Page<Event> = "application/json"), (String = "application/x-ndjson"))),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable,
    ))]
pub(super) async fn list_events(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(asked): Parameters<EventsParameters>,
) -> Result<Response, ApiError> {
    let EventsParameters { mut filter, range, sealed, question } = asked;
    let scope = Scope::of(&caller);
    filter.organization_id = scope.narrow(filter.organization_id)?;
    let question = question.of("events");
    let part = range.part(&app, &question.text(&scope)).await?;
    let archived = app.node.journal.archived_for(&filter, part.until).await?;
    if part.after < archived {
        return Err(ApiError::Archived { until: archived });
    }
    record(&app, &caller, "events", question.given.clone()).await?;
    let reader = Reader { app, filter, sealed, part };
    if wants_lines(&headers) {
        return Ok(PositionedResponse(part.head, reader.lines(range.limit).await?).into_response());
    }
    let (items, looked_until) =
        reader.page(part.after, Portion { events: range.page_size(), bytes: PAGE_BYTES_MAX }).await?;
    let next = question.next(&reader.app, &scope, looked_until, &part).await?;
    Ok(PositionedResponse(part.head, Json(Page { items, next })).into_response())
}

/// Reads the requested events that the caller may see.
struct Reader {
    app: AppState,
    filter: EventFilter,
    sealed: bool,
    part: PositionRange,
}

impl Reader {
    /// The next events, and the position up to which none are missing.
    async fn page(&self, after: u64, portion: Portion) -> JournalResult<(Vec<Event>, u64)> {
        if after >= self.part.until {
            return Ok((Vec::new(), self.part.until));
        }
        let _seat = seat().await?;
        let node = &self.app.node;
        let EventPage { events, looked_until } =
            node.journal.select(&self.filter, after, self.part.until, portion).await?;
        Ok((Event::all(&node.vault, events, self.sealed).await?, looked_until))
    }

    /// All events, or `limit` of them, one a line.
    async fn lines(self, limit: Option<usize>) -> Result<Response, ApiError> {
        let limit = limit.unwrap_or(usize::MAX);
        // Read before the response begins, so that an unavailable database still gives an error status.
        let (first, after) = self.page(self.part.after, up_to(limit, 0)).await?;
        let left = limit - first.len();
        let rest = try_unfold((self, after, first.len(), left), |(reader, after, read, left)| async move {
            if left == 0 || after >= reader.part.until {
                return Ok(None);
            }
            let (events, after) = reader.page(after, up_to(left, read)).await?;
            let left = left - events.len();
            Ok(Some((stream::lines(&events)?, (reader, after, events.len(), left))))
        });
        Ok(stream::answer(stream::NDJSON, stream::lines(&first)?, rest))
    }
}

/// Portion to read next for a response with `left` events to go, after a portion of `read` events.
fn up_to(left: usize, read: usize) -> Portion {
    let piece = PIECE.after(read);
    Portion { events: piece.events.min(left), ..piece }
}

/// Returns the event at a position.
#[utoipa::path(get, path = "/audit/events/{position}", operation_id = "findEvent", tag = TAG,
    summary = "One event",
    params(
        ("position" = u64, Path, minimum = 1, description = "Place in the order of all events."),
        ("sealed" = Option<bool>, Query, description = "Whether to return the event as it is stored and was hashed: \
            without `leafHash`, in canonical form (RFC 8785), it is the entry of its Merkle leaf."),
    ),
    responses((status = 200, description = "The event.", body = Event),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable))]
pub(super) async fn find_event(
    State(app): State<AppState>,
    caller: Caller,
    Path(position): Path<String>,
    Parameters(EventParameters { sealed }): Parameters<EventParameters>,
) -> Result<PositionedResponse<Json<Event>>, ApiError> {
    let digits = Some(&position).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let before = digits.and_then(|digits| digits.parse::<u64>().ok()?.checked_sub(1)).ok_or(NO_EVENT)?;
    let head = app.node.journal.head().await?.position;
    if before >= head {
        return Err(NO_EVENT);
    }
    let scope = Scope::of(&caller);
    let filter = EventFilter { organization_id: scope.narrow(None)?, ..EventFilter::default() };
    let found = match app.node.journal.select(&filter, before, before + 1, ONE).await {
        Err(archived @ JournalError::Archived { .. }) => {
            vec![carried(&app, &filter, before + 1).await?.ok_or(archived)?]
        }
        selected => selected?.events,
    };
    let Some(event) = Event::all(&app.node.vault, found, sealed).await?.pop() else {
        // Positions have no gaps, so the event exists, in another organization.
        scope.unseen();
        return Err(NO_EVENT);
    };
    let filters = BTreeMap::from([("position".to_owned(), event.position.to_string())]);
    record(&app, &caller, "event", filters).await?;
    Ok(PositionedResponse(head, Json(event)))
}

/// An archived event that the database still holds, if the caller may see it.
async fn carried(app: &AppState, filter: &EventFilter, position: u64) -> JournalResult<Option<StoredEvent>> {
    let Some(event) = app.node.journal.carried(position).await? else { return Ok(None) };
    let seen = filter.organization_id.is_none() || filter.organization_id == codec::organization(&event)?;
    Ok(seen.then_some(event))
}
