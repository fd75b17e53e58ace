//! Times as the dialect writes and reads them, and comparisons with them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound, Utc};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A time in responses: UTC, whole seconds.
#[must_use]
pub fn write(time: DateTime<Utc>) -> String {
    time.format(FORMAT).to_string()
}

/// Parses a time: in the format of [`write()`], in UTC, or RFC 3339. Fractions of a millisecond are truncated; a time
/// that an offset moves out of the years 0 to 9999 is clamped to them, so that times compare as their texts do.
#[must_use]
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let written = NaiveDateTime::parse_from_str(text, FORMAT).ok().map(|time| time.and_utc());
    let written = written.filter(|time| write(*time) == text);
    let rfc3339 = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    let time = written.or_else(rfc3339)?.trunc_subsecs(3);
    let edge = |year, month, day, hour, minute, second| {
        NaiveDate::from_ymd_opt(year, month, day)?.and_hms_milli_opt(hour, minute, second, 999 * (second / 59))
    };
    let (first, last) = (edge(0, 1, 1, 0, 0, 0)?.and_utc(), edge(9999, 12, 31, 23, 59, 59)?.and_utc());
    Some(time.clamp(first, last))
}

/// Reads a calendar date, `YYYY-MM-DD`.
#[must_use]
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    // Years beyond four digits have a sign and are not RFC 3339 dates.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    date.filter(|date| date.to_string() == text && text.len() == 10)
}

/// Relation of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<`.
    Before,
    /// `<=`.
    Until,
    /// `>`.
    After,
    /// `>=`.
    Since,
}

/// A comparison in a filter: relation and time in one text, e.g. `>=2024-01-01 00:00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Required relation to the time.
    pub relation: Relation,
    /// Time to compare with.
    pub time: DateTime<Utc>,
}

impl Comparison {
    /// Reads a comparison; `<=` and `>=` only where they are allowed.
    #[must_use]
    pub fn parse(text: &str, with_equality: bool) -> Option<Self> {
        let relations =
            [("<=", Relation::Until), (">=", Relation::Since), ("<", Relation::Before), (">", Relation::After)];
        let (rest, relation) =
            relations.into_iter().find_map(|(sign, relation)| Some((text.strip_prefix(sign)?, relation)))?;
        if !with_equality && matches!(relation, Relation::Until | Relation::Since) {
            return None;
        }
        // A date means its first moment.
        let date = || Some(parse_date(rest)?.and_hms_opt(0, 0, 0)?.and_utc());
        Some(Comparison { relation, time: parse(rest).or_else(date)? })
    }

    /// Whether `time` satisfies the comparison, in milliseconds.
    #[must_use]
    pub fn holds(self, time: DateTime<Utc>) -> bool {
        let time = time.trunc_subsecs(3);
        match self.relation {
            Relation::Before => time < self.time,
            Relation::Until => time <= self.time,
            Relation::After => time > self.time,
            Relation::Since => time >= self.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_one_way_and_read_in_two() {
        let time = parse("2024-02-29 23:59:59").expect("a time");
        assert_eq!(write(time), "2024-02-29 23:59:59");
        for same in ["2024-02-29T23:59:59Z", "2024-03-01T00:59:59+01:00", "2024-02-29T23:59:59.000Z"] {
            assert_eq!(parse(same), Some(time), "{same}");
        }
        assert_eq!(parse("2024-02-29T23:59:59.1234Z").map(|time| time.timestamp_subsec_micros()), Some(123_000));
        for wrong in ["", "2024-02-29", "2023-02-29 00:00:00", "2024-1-1 00:00:00", "2024-02-29 24:00:00", "now"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(
            parse_date("2024-02-29").is_some()
                && parse_date("2024-2-29").is_none()
                && parse_date("2023-02-29").is_none()
        );
    }

    #[test]
    fn comparisons_are_relation_and_time_in_one() {
        let at = |text: &str| parse(text).expect("a time");
        let (before, same, after) = (at("2023-12-31 23:59:59"), at("2024-01-01 00:00:00"), at("2024-01-01 00:00:01"));
        for (text, holds) in [
            ("<2024-01-01 00:00:00", [true, false, false]),
            ("<=2024-01-01 00:00:00", [true, true, false]),
            (">2024-01-01 00:00:00", [false, false, true]),
            (">=2024-01-01T00:00:00Z", [false, true, true]),
            (">=2024-01-01", [false, true, true]),
            ("<9999-12-31T23:59:59-01:00", [true, true, true]),
            (">0000-01-01T00:00:00+01:00", [true, true, true]),
        ] {
            let comparison = Comparison::parse(text, true).expect("a comparison");
            assert_eq!([before, same, after].map(|time| comparison.holds(time)), holds, "{text}");
            assert_eq!(Comparison::parse(text, false).is_some(), !text.contains('='), "{text}");
        }
        for wrong in [
            "2024-01-01 00:00:00",
            "=2024-01-01 00:00:00",
            "<",
            "< 2024-01-01 00:00:00",
            "<yesterday",
            "<<2024-01-01 00:00:00",
            "<+2024-01-1 00:00:0",
            "<-001-01-01 00:00:00",
            "<-0001-01-01",
            "<2024-1-31",
        ] {
            assert_eq!(Comparison::parse(wrong, true), None, "{wrong}");
        }
    }
}
