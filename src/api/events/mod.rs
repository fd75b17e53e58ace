//! Live events over HTTP: server-sent events (WHATWG HTML, 9.2) with the same CloudEvents that NATS gets.
//!
//! Each client is served from the journal a page at a time, at its own speed: nothing is buffered for slow clients, and
//! no writer waits for them.

use crate::api::AppState;
use crate::api::common::query::{FromQuery, Parameters, Query, WHOLE_MAX};
use crate::api::common::routes::guarded;
use crate::api::common::{ApiError, Caller};
use crate::auth::{AuthError, Permission};
use crate::journal::{JournalError, JournalResult};
use crate::publisher::Feed;
use crate::publisher::cloud_event::CloudEvent;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, unfold};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TAG: &str = "Events";
/// Interval of keep-alive comments for client and proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest time for which a client still receives events after its token or admin has expired.
const RECHECK: Duration = Duration::from_secs(3);
/// Delay before a retry when the database does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Position after which an interrupted client resumes.
const LAST_EVENT_ID: &str = "last-event-id";

/// The operations on the event stream and its description.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(guarded(Permission::EventsRead, routes!(follow_events)))
}

/// Start position in the query.
struct FromPosition {
    after: Option<u64>,
}

impl FromQuery for FromPosition {
    fn from_query(query: &mut Query) -> Option<Self> {
        let given = query.first("after").is_some();
        let after = query.whole("after", 0, 0, WHOLE_MAX)?;
        Some(FromPosition { after: given.then_some(after) })
    }
}

/// Sends every event after a position in order, and then new ones as they are committed.
#[utoipa::path(get, path = "/events/stream", operation_id = "followEvents", tag = TAG,
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "Position after which to begin."),
        ("after" = Option<u64>, Query, description = "The same, for a client that cannot set the header; the header \
            wins. Without either it begins at the head."),
    ),
    responses(
        (status = 200, description = "Server-sent events: `id` is the position, `event` the type and `data` the \
            CloudEvent; /asyncapi.json describes them. A comment comes every 15 seconds. It ends when the token does.",
            content_type = "text/event-stream", body = String),
        (status = 400, description = "Not a position."),
        (status = 404, description = "A position that the journal has not reached."),
        (status = 410, description = "A position before the last event that was archived."),
    ))]
async fn follow_events(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(asked): Parameters<FromPosition>,
) -> Result<Response, ApiError> {
    let feed = Feed::of(&app.node, app.settings.publish_personal).by_turns();
    let head = feed.head().await?;
    let after = last_event_id(&headers)?.or(asked.after).unwrap_or(head);
    if after > head {
        return Err(ApiError::NotFound("The journal has not reached this position"));
    }
    let archived = app.node.journal.archived_until().await?;
    if after < archived {
        return Err(ApiError::Archived { until: archived });
    }
    let organization = caller.principal.organization.clone();
    let following = Following::new(feed, after, organization, status_check(app, &caller, &headers));
    let frames = Sse::new(unfold(following, Following::next)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Buffering proxies (nginx) would delay events.
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], frames).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let digits = id.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let position = digits.and_then(|digits| digits.parse().ok());
    position.map(Some).ok_or_else(|| ApiError::invalid("Last-Event-ID must be a position"))
}

/// Whether a client may continue to receive events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientStatus {
    Welcome,
    /// The database did not answer.
    Unknown,
    Gone,
}

type StatusCheck = Box<dyn Fn() -> BoxFuture<'static, ClientStatus> + Send>;

/// Repeats the guard's check.
fn status_check(app: AppState, caller: &Caller, headers: &HeaderMap) -> StatusCheck {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let organization = caller.principal.organization.clone();
    Box::new(move || {
        let (app, authorization, organization) = (app.clone(), authorization.clone(), organization.clone());
        Box::pin(async move {
            match app.authenticator.authenticate(&app.node, &app.node.documents, authorization.as_deref()).await {
                Ok(now) if now.may(Permission::EventsRead) && now.organization == organization => ClientStatus::Welcome,
                Ok(_) | Err(AuthError::Unauthenticated(_)) => ClientStatus::Gone,
                Err(AuthError::Unavailable(_)) => ClientStatus::Unknown,
            }
        })
    })
}

/// A connected client and its progress.
struct Following {
    feed: Feed,
    /// If set, the client sees only this organization's events; otherwise all.
    organization: Option<String>,
    check_status: StatusCheck,
    asked: Instant,
    pages: BoxStream<'static, JournalResult<Vec<CloudEvent>>>,
    /// Events read and not sent yet.
    page: VecDeque<CloudEvent>,
    /// Position up to which the journal was read.
    read: u64,
}

impl Following {
    fn new(feed: Feed, after: u64, organization: Option<String>, check_status: StatusCheck) -> Self {
        let pages = feed.after(after).boxed();
        let (asked, page) = (Instant::now(), VecDeque::new());
        Following { feed, organization, check_status, asked, pages, page, read: after }
    }

    /// The next frame, once available; `None` ends the stream.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.asked.elapsed() >= RECHECK {
                match (self.check_status)().await {
                    ClientStatus::Welcome => self.asked = Instant::now(),
                    ClientStatus::Unknown => {
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                    ClientStatus::Gone => return None,
                }
            }
            match self.page.pop_front() {
                Some(event) if self.may_see(&event) => return Some((Ok(frame(event)), self)),
                Some(_) => {}
                None => self.read_on().await.ok()?,
            }
        }
    }

    /// Tenancy follows the organization that the event carried when it was written.
    fn may_see(&self, event: &CloudEvent) -> bool {
        self.organization.is_none() || self.organization == event.organization
    }

    /// Waits for the next page, at most until the next check.
    async fn read_on(&mut self) -> JournalResult<()> {
        let Ok(page) = tokio::time::timeout_at(self.asked + RECHECK, self.pages.next()).await else { return Ok(()) };
        match page {
            Some(Ok(page)) => {
                self.read = page.last().map_or(self.read, |event| event.position);
                self.page.extend(page);
                Ok(())
            }
            Some(Err(JournalError::Unavailable(_))) | None => {
                tokio::time::sleep(RETRY).await;
                self.pages = self.feed.after(self.read).boxed();
                Ok(())
            }
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a follower of the events was cut off");
                Err(error)
            }
        }
    }
}

fn frame(event: CloudEvent) -> Event {
    Event::default().id(event.position.to_string()).event(event.kind).data(event.json)
}

#[cfg(test)]
mod tests;
