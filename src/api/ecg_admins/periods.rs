//! Named periods of the calendar, as instants.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;
use std::ops::Range;

/// Calendar settings of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Time zone in which days begin.
    pub zone: Tz,
    /// First day of the week.
    pub week_start: Weekday,
}

impl Default for Calendar {
    fn default() -> Self {
        Calendar { zone: Tz::UTC, week_start: Weekday::Mon }
    }
}

/// A named period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// The current day.
    Today,
    /// The current week, or the one before it.
    Week(RelativePeriod),
    /// The current month, or the one before it.
    Month(RelativePeriod),
    /// The current quarter, from January, April, July or October, or the one before it.
    Quarter(RelativePeriod),
    /// The current year, or the one before it.
    Year(RelativePeriod),
}

/// The current period or the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelativePeriod {
    /// The period that contains the present.
    This,
    /// The period before the current one.
    Last,
}

impl Period {
    /// Instants of the period: start inclusive, end exclusive.
    #[must_use]
    pub fn range(self, now: DateTime<Utc>, calendar: Calendar) -> Range<DateTime<Utc>> {
        let today = now.with_timezone(&calendar.zone).date_naive();
        let days = self.days(today, calendar.week_start);
        day_start(days.start, calendar.zone)..day_start(days.end, calendar.zone)
    }

    fn days(self, today: NaiveDate, week_start: Weekday) -> Range<NaiveDate> {
        let (which, start, next): (RelativePeriod, NaiveDate, fn(NaiveDate, Step) -> NaiveDate) = match self {
            Period::Today => return today..stepped(today.checked_add_days(Days::new(1))),
            Period::Week(which) => {
                let start = today.week(week_start).checked_first_day().unwrap_or(today);
                (which, start, |day, step| match step {
                    Step::On => stepped(day.checked_add_days(Days::new(7))),
                    Step::Back => stepped(day.checked_sub_days(Days::new(7))),
                })
            }
            Period::Month(which) => (which, month_start(today, today.month0()), |day, step| months(day, step, 1)),
            Period::Quarter(which) => {
                (which, month_start(today, today.month0() / 3 * 3), |day, step| months(day, step, 3))
            }
            Period::Year(which) => (which, month_start(today, 0), |day, step| months(day, step, 12)),
        };
        match which {
            RelativePeriod::This => start..next(start, Step::On),
            RelativePeriod::Last => next(start, Step::Back)..start,
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    On,
    Back,
}

fn months(day: NaiveDate, step: Step, count: u32) -> NaiveDate {
    stepped(match step {
        Step::On => day.checked_add_months(Months::new(count)),
        Step::Back => day.checked_sub_months(Months::new(count)),
    })
}

fn stepped(day: Option<NaiveDate>) -> NaiveDate {
    day.expect("the clock is hundreds of thousands of years away from the end of chrono's calendar")
}

fn month_start(day: NaiveDate, month0: u32) -> NaiveDate {
    day.with_day(1).and_then(|first| first.with_month0(month0)).expect("every month has a first day")
}

/// First instant of a day; later than midnight where clocks are put forward at midnight.
fn day_start(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = NaiveDateTime::new(day, NaiveTime::MIN);
    let quarters = (0..96).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
    let first = quarters.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    first.map_or_else(|| midnight.and_utc(), |first| first.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use RelativePeriod::{Last, This};

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn days(period: Period, now: &str) -> String {
        let range = period.range(at(now), Calendar::default());
        format!("{} up to {}", range.start.format("%F %T%.3f"), range.end.format("%F %T%.3f"))
            .replace(" 00:00:00.000", "")
    }

    #[test]
    fn periods_around_a_wednesday_have_their_bounds() {
        let table = [
            (Period::Today, "2026-03-04 up to 2026-03-05"),
            (Period::Week(This), "2026-03-02 up to 2026-03-09"),
            (Period::Week(Last), "2026-02-23 up to 2026-03-02"),
            (Period::Month(This), "2026-03-01 up to 2026-04-01"),
            (Period::Month(Last), "2026-02-01 up to 2026-03-01"),
            (Period::Quarter(This), "2026-01-01 up to 2026-04-01"),
            (Period::Quarter(Last), "2025-10-01 up to 2026-01-01"),
            (Period::Year(This), "2026-01-01 up to 2027-01-01"),
            (Period::Year(Last), "2025-01-01 up to 2026-01-01"),
        ];
        for (period, expected) in table {
            assert_eq!(days(period, "2026-03-04T17:27:05Z"), expected, "{period:?}");
        }
    }

    #[test]
    fn a_week_begins_with_the_first_instant_of_monday() {
        assert_eq!(days(Period::Week(This), "2026-03-08T23:59:59.999Z"), "2026-03-02 up to 2026-03-09");
        assert_eq!(days(Period::Week(This), "2026-03-08T00:00:00.000Z"), "2026-03-02 up to 2026-03-09");
        assert_eq!(days(Period::Week(This), "2026-03-09T00:00:00.000Z"), "2026-03-09 up to 2026-03-16");
        assert_eq!(days(Period::Week(Last), "2026-03-09T00:00:00.000Z"), "2026-03-02 up to 2026-03-09");
    }

    #[test]
    fn the_month_before_the_31st_of_march_is_february() {
        assert_eq!(days(Period::Month(Last), "2026-03-31T12:00:00Z"), "2026-02-01 up to 2026-03-01");
        assert_eq!(days(Period::Month(This), "2026-03-31T12:00:00Z"), "2026-03-01 up to 2026-04-01");
    }

    #[test]
    fn the_first_of_january_looks_back_into_the_old_year() {
        let now = "2026-01-01T00:00:00Z";
        assert_eq!(days(Period::Quarter(Last), now), "2025-10-01 up to 2026-01-01");
        assert_eq!(days(Period::Quarter(This), now), "2026-01-01 up to 2026-04-01");
        assert_eq!(days(Period::Week(This), now), "2025-12-29 up to 2026-01-05");
        assert_eq!(days(Period::Week(Last), now), "2025-12-22 up to 2025-12-29");
        assert_eq!(days(Period::Month(Last), now), "2025-12-01 up to 2026-01-01");
        assert_eq!(days(Period::Year(Last), now), "2025-01-01 up to 2026-01-01");
    }

    #[test]
    fn the_leap_day_belongs_to_its_periods() {
        let now = "2028-02-29T12:00:00Z";
        assert_eq!(days(Period::Today, now), "2028-02-29 up to 2028-03-01");
        assert_eq!(days(Period::Month(This), now), "2028-02-01 up to 2028-03-01");
        assert_eq!(days(Period::Year(Last), now), "2027-01-01 up to 2028-01-01");
        assert_eq!(days(Period::Month(Last), "2028-03-31T00:00:00Z"), "2028-02-01 up to 2028-03-01");
    }

    #[test]
    fn the_last_instant_of_a_quarter_is_in_it() {
        assert_eq!(days(Period::Quarter(This), "2026-06-30T23:59:59.999Z"), "2026-04-01 up to 2026-07-01");
        assert_eq!(days(Period::Quarter(This), "2026-07-01T00:00:00.000Z"), "2026-07-01 up to 2026-10-01");
        assert_eq!(days(Period::Quarter(Last), "2026-12-31T23:59:59.999Z"), "2026-07-01 up to 2026-10-01");
    }

    #[test]
    fn weeks_follow_the_time_zone_and_the_first_weekday() {
        let calendar = Calendar { zone: "America/New_York".parse().unwrap(), week_start: Weekday::Sun };
        // Still Saturday in that zone; the week after it is one hour short.
        let range = Period::Week(This).range(at("2026-03-08T04:30:00Z"), calendar);
        assert_eq!(range, at("2026-03-01T05:00:00Z")..at("2026-03-08T05:00:00Z"));
        let range = Period::Week(This).range(at("2026-03-08T05:00:00Z"), calendar);
        assert_eq!(range, at("2026-03-08T05:00:00Z")..at("2026-03-15T04:00:00Z"));
    }

    #[test]
    fn a_day_without_midnight_begins_when_it_can() {
        let calendar = Calendar { zone: "America/Sao_Paulo".parse().unwrap(), ..Calendar::default() };
        let range = Period::Today.range(at("2018-11-04T12:00:00Z"), calendar);
        assert_eq!(range, at("2018-11-04T03:00:00Z")..at("2018-11-05T02:00:00Z"));
    }
}
