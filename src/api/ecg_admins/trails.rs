//! Parameters of the two audit-trail reads, and their query.

use super::periods::{Calendar, Period, RelativePeriod};
use crate::api::common::query::{FromQuery, PageParameters, Query, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::audit_access::AuditAccessEvent;
use registrar_projections::audit_trail::{
    ACTION, AGGREGATE_ID, Action, AuditEntry, BY_ACTION, BY_ACTOR, BY_ENTITY, BY_ENTITY_ID, BY_PERSON, BY_TIME,
    RECORDED_AT, TRAIL,
};
use registrar_projections::query::{Direction, Query as DocumentQuery};
use std::collections::BTreeMap;

/// Aggregate type of the trail.
const ADMINS: &str = "admin";
/// Name of the trail in recorded readings.
const TRAIL_NAME: &str = "ecg-admins";
const PARAMETERS: [&str; 8] = ["order_by", "skip", "take", "sort_by", "searchTerm", "dateRangeType", "from", "to"];

/// Sort key of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// Commit time.
    ModifiedAt,
    /// Number in the trail; the same order as commit time, which never decreases along it.
    Sequence,
    /// Kind of change.
    Action,
    /// Kind of changed record.
    Entity,
    /// Identifier of the changed record.
    EntityId,
    /// Person that the record belongs to.
    PersonId,
    /// Caller that made the change.
    ModifiedBy,
}

/// Parameters of an audit-trail read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailParameters {
    /// Requested page.
    pub page: PageParameters,
    sort_by: SortBy,
    action: Option<Action>,
    period: Option<Period>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// Parameters as given.
    given: BTreeMap<String, String>,
}

#[derive(Clone, Copy)]
enum DateRange {
    Custom,
    Named(Period),
}

impl FromQuery for TrailParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        let given = PARAMETERS.iter().filter_map(|name| Some(((*name).to_owned(), query.first(name)?))).collect();
        let page = query.page(Direction::Descending);
        let sort_by = query.word("sort_by", &SORTS);
        let action = query.word("searchTerm", &ACTIONS);
        let range = query.word("dateRangeType", &RANGES);
        let from = query.time("from");
        let to = query.time("to");
        match (from, to) {
            (Some(from), Some(to)) if from > to => query.findings.add("from", "must not be later than to"),
            (None, None) if matches!(range, Some(DateRange::Custom)) && query.findings.is_empty() => {
                query.findings.add("dateRangeType", "custom needs from or to");
            }
            _ => {}
        }
        let period = match range {
            Some(DateRange::Named(period)) => Some(period),
            Some(DateRange::Custom) | None => None,
        };
        Some(TrailParameters {
            page: page?,
            sort_by: sort_by.unwrap_or(SortBy::ModifiedAt),
            action,
            period,
            from,
            to,
            given,
        })
    }
}

const SORTS: [(&str, SortBy); 7] = [
    ("modifiedAt", SortBy::ModifiedAt),
    ("action", SortBy::Action),
    ("entity", SortBy::Entity),
    ("entityId", SortBy::EntityId),
    ("personId", SortBy::PersonId),
    ("modifiedBy", SortBy::ModifiedBy),
    ("sequence", SortBy::Sequence),
];

const ACTIONS: [(&str, Action); 3] =
    [("UPDATE", Action::Update), ("DELETE", Action::Delete), ("INSERT", Action::Insert)];

const RANGES: [(&str, DateRange); 10] = [
    ("custom", DateRange::Custom),
    ("this-year", DateRange::Named(Period::Year(RelativePeriod::This))),
    ("last-year", DateRange::Named(Period::Year(RelativePeriod::Last))),
    ("today", DateRange::Named(Period::Today)),
    ("this-week", DateRange::Named(Period::Week(RelativePeriod::This))),
    ("last-week", DateRange::Named(Period::Week(RelativePeriod::Last))),
    ("this-month", DateRange::Named(Period::Month(RelativePeriod::This))),
    ("last-month", DateRange::Named(Period::Month(RelativePeriod::Last))),
    ("this-quarter", DateRange::Named(Period::Quarter(RelativePeriod::This))),
    ("last-quarter", DateRange::Named(Period::Quarter(RelativePeriod::Last))),
];

/// Accepted words of `sort_by`, `searchTerm` and `dateRangeType`.
#[must_use]
pub fn words_of_trails() -> [Vec<&'static str>; 3] {
    [
        SORTS.iter().map(|(word, _)| *word).collect(),
        ACTIONS.iter().map(|(word, _)| *word).collect(),
        RANGES.iter().map(|(word, _)| *word).collect(),
    ]
}

impl TrailParameters {
    /// Query for the entries of all admins, or of one.
    #[must_use]
    pub fn query(&self, admin_id: Option<&str>, now: DateTime<Utc>, calendar: Calendar) -> DocumentQuery<AuditEntry> {
        let sort = match self.sort_by {
            SortBy::ModifiedAt | SortBy::Sequence => &BY_TIME,
            SortBy::Action => &BY_ACTION,
            SortBy::Entity => &BY_ENTITY,
            SortBy::EntityId => &BY_ENTITY_ID,
            SortBy::PersonId => &BY_PERSON,
            SortBy::ModifiedBy => &BY_ACTOR,
        };
        let mut query = DocumentQuery::sorted(sort, self.page.direction).equal(&TRAIL, ADMINS);
        if let Some(admin_id) = admin_id {
            query = query.equal(&AGGREGATE_ID, admin_id);
        }
        if let Some(action) = self.action {
            query = query.equal(&ACTION, action.name());
        }
        if let Some(period) = self.period {
            let range = period.range(now, calendar);
            query = query.at_least(&RECORDED_AT, time_key(range.start)).below(&RECORDED_AT, time_key(range.end));
        }
        if let Some(from) = self.from {
            query = query.at_least(&RECORDED_AT, time_key(from));
        }
        if let Some(to) = self.to {
            query = query.at_most(&RECORDED_AT, time_key(to));
        }
        query.page(self.page.records_skipped(), self.page.take)
    }

    /// Event that records this reading.
    #[must_use]
    pub fn reading(&self, admin_id: Option<&str>) -> AuditAccessEvent {
        let mut filters = self.given.clone();
        filters.extend(admin_id.map(|id| ("ecgAdminId".to_owned(), id.to_owned())));
        AuditAccessEvent::TrailRead { trail: TRAIL_NAME.to_owned(), filters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::common::ApiError;

    fn parse(query: &str) -> Result<TrailParameters, ApiError> {
        let mut query = Query::parse(query)?;
        let read = TrailParameters::from_query(&mut query);
        query.findings.or(read, " ")
    }

    fn findings(query: &str) -> Vec<String> {
        match parse(query) {
            Err(ApiError::Invalid(findings)) => findings,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn without_parameters_the_whole_trail_comes_newest_first() {
        let parameters = parse("").unwrap();
        let query = parameters.query(None, Utc::now(), Calendar::default());
        assert_eq!((query.direction, query.skip, query.take), (Direction::Descending, 0, 10));
        assert_eq!(query.sort, ["recorded_at", "sequence"]);
        assert_eq!(query.filters.len(), 1);
    }

    #[test]
    fn from_and_to_narrow_a_named_period() {
        let parameters = parse(
            "dateRangeType=today&from=2026-03-04T10:00:00Z&to=2026-03-04T12:00:00.1239%2B02:00&searchTerm=DELETE",
        )
        .unwrap();
        let now = DateTime::parse_from_rfc3339("2026-03-04T17:27:05Z").unwrap().to_utc();
        let query = parameters.query(Some("a"), now, Calendar::default());
        let filters: Vec<_> = query
            .filters
            .iter()
            .map(|filter| format!("{} {:?} {:?}", filter.key, filter.comparison, filter.value))
            .collect();
        insta::assert_snapshot!(filters.join("\n"), @r#"
        trail Equal Text("admin")
        aggregate_id Equal Text("a")
        action Equal Text("DELETE")
        recorded_at AtLeast Text("2026-03-04T00:00:00.000Z")
        recorded_at Below Text("2026-03-05T00:00:00.000Z")
        recorded_at AtLeast Text("2026-03-04T10:00:00.000Z")
        recorded_at AtMost Text("2026-03-04T10:00:00.123Z")
        "#);
    }

    #[test]
    fn every_refusal_names_its_parameter() {
        let table = [
            ("searchTerm=update", "searchTerm must be one of the following values: UPDATE, DELETE, INSERT"),
            ("searchTerm=", "searchTerm must be one of the following values: UPDATE, DELETE, INSERT"),
            (
                "sort_by=modifiedat",
                "sort_by must be one of the following values: modifiedAt, action, entity, entityId, personId, modifiedBy, sequence",
            ),
            ("order_by=asc", "order_by must be one of the following values: ASC, DESC"),
            ("dateRangeType=custom", "dateRangeType custom needs from or to"),
            ("from=2026-03-04", "from must be an RFC 3339 date-time with an offset"),
            ("from=2026-03-04T10:00:00", "from must be an RFC 3339 date-time with an offset"),
            ("from=2026-03-04%2010:00:00Z", "from must be an RFC 3339 date-time with an offset"),
            ("to=2026-03-04T10:00:00+02:00", "to must be an RFC 3339 date-time with an offset"),
            ("to=2026-02-30T10:00:00Z", "to must be an RFC 3339 date-time with an offset"),
            ("from=2026-03-04T10:00:00.001Z&to=2026-03-04T10:00:00Z", "from must not be later than to"),
            ("skip=-1", "skip must not be less than 0"),
            ("take=0", "take must not be less than 1"),
            ("take=1001", "take must not be greater than 1000"),
            ("take=1.5", "take must be an integer number"),
            ("take=", "take must be an integer number"),
            ("skip=abc", "skip must be an integer number"),
            ("skip=99999999999999999999", "skip must not be greater than 18446744073709551615"),
            ("from=2026-03-04T10:00:00Z&from=2026-03-04T10:00:00Z", "from must not be given more than once"),
        ];
        for (query, finding) in table {
            assert_eq!(findings(query), [finding], "{query}");
        }
    }

    #[test]
    fn one_instant_is_a_range() {
        assert!(parse("dateRangeType=custom&from=2026-03-04T10:00:00Z&to=2026-03-04T10:00:00Z").is_ok());
        assert!(parse("from=2026-03-04T10:00:00.0009Z&to=2026-03-04T10:00:00Z").is_ok());
    }

    #[test]
    fn unknown_parameters_are_ignored_and_broken_encoding_is_not() {
        assert!(parse("colour=red&colour=blue").is_ok());
        for query in ["from=%", "from=%2", "from=%zz", "from=%ff", "a=%00"] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn times_at_the_ends_of_the_calendar_compare_as_texts() {
        let outside = |text: &str| time_key(DateTime::parse_from_rfc3339(text).unwrap().to_utc());
        assert_eq!(outside("9999-12-31T23:59:59-05:00"), "9999-12-31T23:59:59.999Z");
        assert_eq!(outside("0000-01-01T00:00:00+05:00"), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_event_of_a_trail_read_has_the_filters_of_its_query() {
        let AuditAccessEvent::TrailRead { trail, filters } =
            parse("searchTerm=DELETE&take=5&x=1").unwrap().reading(Some("a"));
        assert_eq!(trail, "ecg-admins");
        assert_eq!(serde_json::to_string(&filters).unwrap(), r#"{"ecgAdminId":"a","searchTerm":"DELETE","take":"5"}"#);
    }
}
