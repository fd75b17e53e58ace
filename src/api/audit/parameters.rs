//! Query parameters, read strictly: an auditor must not mistake an unfiltered list for the requested one.

use super::cursor::{Cursor, LEAF_LENGTH};
use super::reading::Scope;
use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::query::{FromQuery, Query};
use crate::auth::spelled;
use crate::journal::JournalResult;
use crate::journal::selection::EventFilter;
use chrono::{DateTime, SubsecRound, Utc};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Events on a page unless the caller says otherwise.
pub(super) const LIMIT_DEFAULT: u64 = 100;
/// Most events on a page.
pub(super) const LIMIT_MAX: u64 = 1000;
/// Longest search text, in characters; identifiers and names are shorter.
const TEXT_LENGTH_MAX: usize = 256;

const BEYOND: ApiError = ApiError::NotFound("The journal has not reached this position");

/// A moment: a position, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointInTime {
    Position(u64),
    Time(DateTime<Utc>),
}

impl PointInTime {
    fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that does not fit is a position that no journal reaches.
            return Some(PointInTime::Position(text.parse().unwrap_or(u64::MAX)));
        }
        // chrono accepts a space for the T; RFC 3339 leaves that to applications, and we refuse it.
        let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| !text.contains(' '))?.to_utc();
        // The journal records no times beyond these; they keep times comparable as texts of one width.
        let first = DateTime::from_timestamp_millis(-62_167_219_200_000)?;
        let last = DateTime::from_timestamp_millis(253_402_300_799_999)?;
        Some(PointInTime::Time(time.trunc_subsecs(3).clamp(first, last)))
    }

    /// Reads the moment in parameter `name`.
    fn read(query: &mut Query, name: &str) -> Option<Self> {
        let text = query.text(name)?;
        let moment = PointInTime::parse(&text);
        if moment.is_none() {
            query.findings.add(name, "must be a position or an RFC 3339 date-time with an offset");
        }
        moment
    }

    /// Position of the last event at or before the moment, in a journal that ends at `head`. If that part is archived,
    /// the last position it can be: the same for the events still in the database.
    ///
    /// # Errors
    /// `NotFound` for a position beyond the head.
    pub(super) async fn position(self, app: &AppState, head: u64) -> Result<u64, ApiError> {
        Ok(*self.positions(app, head).await?.end())
    }

    /// As [`PointInTime::position`], but the first position it can be: a question from there on fails on the archived
    /// events.
    ///
    /// # Errors
    /// As [`PointInTime::position`].
    pub(super) async fn earliest(self, app: &AppState, head: u64) -> Result<u64, ApiError> {
        Ok(*self.positions(app, head).await?.start())
    }

    async fn positions(self, app: &AppState, head: u64) -> Result<RangeInclusive<u64>, ApiError> {
        match self {
            PointInTime::Position(position) if position > head => Err(BEYOND),
            PointInTime::Position(position) => Ok(position..=position),
            PointInTime::Time(time) => {
                let (first, last) = app.node.journal.position_at(time).await?.into_inner();
                Ok(first.min(head)..=last.min(head))
            }
        }
    }

    /// Position of the last event before the moment; if that part is archived, the first it can be.
    async fn before(self, app: &AppState, head: u64) -> Result<u64, ApiError> {
        match self {
            PointInTime::Position(position) => {
                Ok(PointInTime::Position(position).earliest(app, head).await?.saturating_sub(1))
            }
            PointInTime::Time(time) => {
                PointInTime::Time(time - chrono::Duration::milliseconds(1)).earliest(app, head).await
            }
        }
    }
}

fn check_range(query: &mut Query, from: Option<PointInTime>, to: Option<PointInTime>) {
    let reversed = match (from, to) {
        (Some(PointInTime::Position(from)), Some(PointInTime::Position(to))) => from > to,
        (Some(PointInTime::Time(from)), Some(PointInTime::Time(to))) => from > to,
        _ => false,
    };
    if reversed {
        query.findings.add("from", "must not be later than to");
    }
}

fn filled(query: &mut Query, name: &str) -> Option<String> {
    let text = query.text(name)?;
    if text.is_empty() || text.chars().count() > TEXT_LENGTH_MAX {
        query.findings.add(name, format!("must have between 1 and {TEXT_LENGTH_MAX} characters"));
    }
    Some(text)
}

/// Start of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ListStart {
    Beginning,
    Position(u64),
    Cursor(String),
}

/// Requested part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    after: ListStart,
    from: Option<PointInTime>,
    to: Option<PointInTime>,
    /// Most items of the response, if the caller set a limit.
    pub(super) limit: Option<usize>,
}

/// Requested part of a list in the journal as of `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PositionRange {
    pub(super) after: u64,
    pub(super) until: u64,
    pub(super) head: u64,
}

impl Range {
    const NAMES: [&'static str; 4] = ["after", "limit", "from", "to"];

    fn read(query: &mut Query) -> Option<Self> {
        let after = match query.text("after") {
            None => ListStart::Beginning,
            // No cursor contains a point.
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                ListStart::Position(query.whole("after", 0, 0, u64::MAX)?)
            }
            Some(text) => ListStart::Cursor(text),
        };
        let said = query.first("limit").is_some();
        let limit = query.whole("limit", LIMIT_DEFAULT, 1, LIMIT_MAX);
        let (from, to) = (PointInTime::read(query, "from"), PointInTime::read(query, "to"));
        check_range(query, from, to);
        let limit = usize::try_from(limit?).ok().filter(|_| said);
        Some(Range { after, from, to, limit })
    }

    /// The range as positions. `question` is the text that a cursor is bound to.
    ///
    /// # Errors
    /// `Invalid` for a cursor of another question or another history, and for a range that ends before it begins,
    /// `NotFound` for a position beyond the head, `Unavailable`.
    pub(super) async fn part(&self, app: &AppState, question: &str) -> Result<PositionRange, ApiError> {
        let mut head = app.node.journal.head().await?.position;
        let mut after = match &self.after {
            ListStart::Beginning => 0,
            ListStart::Position(position) if *position > head => return Err(BEYOND),
            ListStart::Position(position) => *position,
            ListStart::Cursor(text) => {
                let cursor = Cursor::open(text, &app.node.vault, question);
                let cursor = cursor.ok_or_else(|| {
                    ApiError::invalid("after must be a position, or the next of a page with the same filters")
                })?;
                let leaf = leaf_at(app, cursor.after).await?;
                // An archived event cannot be compared; reading it then reports the archive.
                let is_another =
                    [leaf, cursor.leaf].iter().all(|leaf| *leaf != [0; LEAF_LENGTH]) && leaf != cursor.leaf;
                if cursor.after > head || is_another {
                    return Err(ApiError::invalid("after names an event that the database has lost: begin without it"));
                }
                head = head.min(cursor.head);
                cursor.after
            }
        };
        let until = match self.to {
            Some(to) => to.position(app, head).await?,
            None => head,
        };
        if let Some(from) = self.from {
            let before = from.before(app, head).await?;
            let mixed = matches!((self.from, self.to), (Some(PointInTime::Position(_)), Some(PointInTime::Time(_))))
                || matches!((self.from, self.to), (Some(PointInTime::Time(_)), Some(PointInTime::Position(_))));
            if mixed && before > until {
                return Err(ApiError::invalid("from must not be later than to"));
            }
            after = after.max(before);
        }
        Ok(PositionRange { after, until, head })
    }

    /// Number of items per page.
    pub(super) fn page_size(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT as usize)
    }
}

/// Parameters of a list as written: recorded with the reading, and, without start and format, the question that a
/// cursor is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    what: String,
    /// Parameters as given.
    pub(super) given: BTreeMap<String, String>,
}

impl Question {
    fn read(query: &Query, names: &[&str]) -> Self {
        let given = names.iter().filter_map(|name| Some(((*name).to_owned(), query.first(name)?))).collect();
        Question { what: String::new(), given }
    }

    /// The same question about the resource `what`.
    pub(super) fn of(mut self, what: &str) -> Self {
        what.clone_into(&mut self.what);
        self
    }

    /// Text that a cursor of `scope` is bound to.
    pub(super) fn text(&self, scope: &Scope) -> String {
        let shown = ["after", "limit", "sealed"];
        let filters: BTreeMap<_, _> = self.given.iter().filter(|(name, _)| !shown.contains(&name.as_str())).collect();
        serde_json::json!([self.what, scope.organization(), filters]).to_string()
    }

    /// Cursor for the page after `after`; `None` at the end of the part.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn next(
        &self,
        app: &AppState,
        scope: &Scope,
        after: u64,
        part: &PositionRange,
    ) -> JournalResult<Option<String>> {
        if after >= part.until {
            return Ok(None);
        }
        let cursor = Cursor { after, head: part.head, leaf: leaf_at(app, after).await? };
        Ok(Some(cursor.seal(&app.node.vault, &self.text(scope))))
    }
}

/// Leaf-hash prefix of the event at a position, for cursors; zeros if the database does not hold it.
async fn leaf_at(app: &AppState, position: u64) -> JournalResult<[u8; LEAF_LENGTH]> {
    let leaf = app.node.journal.leaf_at(position).await?.unwrap_or_default();
    Ok(*leaf.first_chunk().unwrap_or(&[0; LEAF_LENGTH]))
}

/// The parameters of the list of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventsParameters {
    pub(super) filter: EventFilter,
    pub(super) range: Range,
    pub(super) sealed: bool,
    pub(super) question: Question,
}

impl FromQuery for EventsParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        const FILTERS: [&str; 6] = ["aggregateType", "aggregateId", "eventType", "actorId", "organizationId", "sealed"];
        let names = [&Range::NAMES[..], &FILTERS].concat();
        query.only(&names);
        let question = Question::read(query, &names);
        let filter = EventFilter {
            aggregate_type: filled(query, "aggregateType"),
            aggregate_id: filled(query, "aggregateId").map(spelled),
            event_type: filled(query, "eventType"),
            actor_id: filled(query, "actorId").map(spelled),
            organization_id: filled(query, "organizationId"),
        };
        let sealed = sealed(query);
        Some(EventsParameters { filter, range: Range::read(query)?, sealed, question })
    }
}

fn sealed(query: &mut Query) -> bool {
    query.word("sealed", &[("true", true), ("false", false)]).unwrap_or(false)
}

/// The parameters of one event.
pub(super) struct EventParameters {
    pub(super) sealed: bool,
}

impl FromQuery for EventParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        query.only(&["sealed"]);
        Some(EventParameters { sealed: sealed(query) })
    }
}

/// The parameters of a history.
pub(super) struct HistoryParameters {
    pub(super) range: Range,
    pub(super) question: Question,
}

impl FromQuery for HistoryParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        query.only(&Range::NAMES);
        let question = Question::read(query, &Range::NAMES);
        Some(HistoryParameters { range: Range::read(query)?, question })
    }
}

/// The parameters of a state of the past.
pub(super) struct AsOfParameters {
    pub(super) as_of: Option<PointInTime>,
    pub(super) given: BTreeMap<String, String>,
}

impl FromQuery for AsOfParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        query.only(&["asOf"]);
        let given = Question::read(query, &["asOf"]).given;
        Some(AsOfParameters { as_of: PointInTime::read(query, "asOf"), given })
    }
}

/// The parameters of a difference.
pub(super) struct DiffParameters {
    pub(super) from: Option<PointInTime>,
    pub(super) to: Option<PointInTime>,
    pub(super) given: BTreeMap<String, String>,
}

impl FromQuery for DiffParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        query.only(&["from", "to"]);
        let given = Question::read(query, &["from", "to"]).given;
        let (from, to) = (PointInTime::read(query, "from"), PointInTime::read(query, "to"));
        check_range(query, from, to);
        Some(DiffParameters { from, to, given })
    }
}
