//! All aggregates of an organization, as of a moment.

use super::parameters::AsOfParameters;
use super::stream::{self, PIECE, wants_lines};
use super::views::{MemberState, Snapshot, State as StateView};
use super::{BadRequest, Forbidden, Gone, NotFound, Scope, TAG, Unauthorized, Unavailable, record};
use crate::api::AppState;
use crate::api::audit::replay::Subject;
use crate::api::common::freshness::PositionedResponse;
use crate::api::common::query::Parameters;
use crate::api::common::{ApiError, Caller};
use crate::journal::codec;
use crate::journal::selection::OrganizationAggregate;
use crate::journal::{JournalError, JournalResult};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures::stream::{StreamExt, TryStreamExt, iter, try_unfold};
use serde_json::Value;
use std::pin::pin;

/// Events of the organization scanned for one piece of the response.
const PIECE_SIZE: usize = 500;
/// Aggregates replayed concurrently.
const REPLAYED_AT_ONCE: usize = 4;
const NO_ORGANIZATION: ApiError = ApiError::NotFound("There was no such organization at that moment");

/// Returns the states of the aggregates of an organization at a moment, the present by default: every aggregate with an
/// event that carried the organization, built from those events alone.
///
/// With `Accept: application/x-ndjson` the response has one aggregate a line and nothing else. An answer that breaks
/// off instead of ending is not complete.
#[utoipa::path(get, path = "/audit/organizations/{id}/snapshot", operation_id = "findSnapshot", tag = TAG,
    summary = "An organization at a moment",
    params(
        ("id" = String, Path, description = "Identifier of the organization."),
        ("asOf" = Option<String>, Query, description = "RFC 3339 date-time or position; the present unless given.",
            example = "2036-01-01T00:00:00Z"),
    ),
    responses(
        (status = 200, description = "The organization, or what belonged to it one a line.", content(
            (Snapshot = "application/json"), (String = "application/x-ndjson"))),
        BadRequest, Unauthorized, Forbidden, NotFound, Gone, Unavailable,
    ))]
pub(super) async fn find_snapshot(
    State(app): State<AppState>,
    caller: Caller,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    Parameters(AsOfParameters { as_of, mut given }): Parameters<AsOfParameters>,
) -> Result<Response, ApiError> {
    let asked = path.ok().map(|Path(id)| id).filter(|id| !id.contains('\0')).ok_or(NO_ORGANIZATION)?;
    let organization = Scope::of(&caller).narrow(Some(asked))?.ok_or(NO_ORGANIZATION)?;
    let head = app.node.journal.head().await?.position;
    let until = match as_of {
        Some(as_of) => as_of.position(&app, head).await?,
        None => head,
    };
    let reader = Reader { app: app.clone(), organization: organization.clone(), until };
    // Read before the response begins, so that an unknown organization still gives an error status.
    let (first, after) = reader.first().await?.ok_or(NO_ORGANIZATION)?;
    given.insert("organizationId".to_owned(), organization.clone());
    record(&app, &caller, "organization-snapshot", given).await?;
    let answer = if wants_lines(&headers) {
        let lines = |items: Vec<String>| items.iter().flat_map(|item| [item, "\n"]).collect::<String>().into();
        reader.answer(stream::NDJSON, lines(first), after, lines, "")
    } else {
        let begin = reader.begin(&first).await?;
        // Further items of a list that is not empty.
        let listed = |items: Vec<String>| items.iter().flat_map(|item| [",", item]).collect::<String>().into();
        reader.answer("application/json", begin, after, listed, "]}")
    };
    Ok(PositionedResponse(head, answer).into_response())
}

struct Reader {
    app: AppState,
    organization: String,
    until: u64,
}

impl Reader {
    /// The next aggregates as JSON, and the position up to which none are missing.
    async fn piece(&self, after: u64) -> JournalResult<(Vec<String>, u64)> {
        let page = self.app.node.journal.members(&self.organization, after, self.until, PIECE_SIZE).await?;
        let states = iter(page.members).map(async |member| {
            let position = member.position;
            Ok::<_, JournalError>((position, self.state(member).await?))
        });
        let mut states = pin!(states.buffered(REPLAYED_AT_ONCE));
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some((position, state)) = states.try_next().await? {
            let Some(state) = state else { continue };
            let item = serde_json::to_string(&state).map_err(JournalError::corrupt)?;
            bytes += item.len();
            items.push(item);
            if bytes >= PIECE.bytes {
                return Ok((items, position));
            }
        }
        Ok((items, page.looked_until))
    }

    async fn state(&self, member: OrganizationAggregate) -> JournalResult<Option<MemberState>> {
        let OrganizationAggregate { aggregate_type, aggregate_id, .. } = member;
        let subject = Subject { aggregate_type, aggregate_id, organization: Some(self.organization.clone()) };
        let Some(moment) = self.app.replays.at(&subject, self.until).await? else { return Ok(None) };
        let (Some((position, recorded_at)), Some(state)) = (moment.last, moment.shown()) else { return Ok(None) };
        let Subject { aggregate_type, aggregate_id, .. } = subject;
        Ok(Some(MemberState { aggregate_type, aggregate_id, state: StateView { position, recorded_at, state } }))
    }

    /// The first non-empty piece; `None` if all are empty.
    async fn first(&self) -> JournalResult<Option<(Vec<String>, u64)>> {
        let mut after = 0;
        while after < self.until {
            let (states, looked_until) = self.piece(after).await?;
            if !states.is_empty() {
                return Ok(Some((states, looked_until)));
            }
            after = looked_until;
        }
        Ok(None)
    }

    /// The JSON before the list, and its first items.
    async fn begin(&self, first: &[String]) -> Result<Bytes, ApiError> {
        let last = self.app.node.journal.read(self.until - 1, 1).await?;
        let last = last.first().ok_or_else(|| ApiError::internal("the journal ends before its head"))?;
        let text = format!(
            r#"{{"organizationId":{},"position":{},"recordedAt":"{}","items":[{}"#,
            Value::from(self.organization.as_str()),
            self.until,
            codec::timestamp(last.recorded_at),
            first.join(",")
        );
        Ok(text.into())
    }

    fn answer(
        self,
        content_type: &'static str,
        begin: Bytes,
        after: u64,
        write: fn(Vec<String>) -> Bytes,
        end: &'static str,
    ) -> Response {
        let pieces = try_unfold((self, after), move |(reader, after)| async move {
            if after >= reader.until {
                return Ok::<_, JournalError>(None);
            }
            let (states, after) = reader.piece(after).await?;
            Ok(Some((write(states), (reader, after))))
        });
        let end = futures::stream::once(async move { Ok(Bytes::from_static(end.as_bytes())) });
        stream::answer(content_type, begin, pieces.chain(end))
    }
}
