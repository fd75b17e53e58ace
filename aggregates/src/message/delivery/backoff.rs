//! Times of the attempts to deliver a message. Pure: they follow from the failures so far, so that a rebuild and every
//! node get the same.

use chrono::{DateTime, TimeDelta, Utc};

/// Delay after the first failure, in seconds. It doubles with each further one.
const FIRST_SECS: i64 = 1;
/// Longest delay, in seconds.
const LONGEST_SECS: i64 = 15 * 60;
/// Time after which a message is given up, from its composition on, in seconds.
const PATIENCE_SECS: i64 = 24 * 60 * 60;

/// Longest delay between two attempts.
pub const DELAY_MAX: TimeDelta = TimeDelta::seconds(LONGEST_SECS);

/// Whether an attempt that is due at `due_at` may start at `at`. It may where it is further away than any delay: the clock
/// that said when was ahead, and was set back since.
pub(super) fn is_due(due_at: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    at >= due_at || due_at - at > DELAY_MAX
}

/// Delay after so many failed attempts: 1 s, 2 s, 4 s and so on, up to 15 minutes.
#[must_use]
pub fn delay(failures: u32) -> TimeDelta {
    // 2^10 seconds are more than the longest delay.
    let doublings = failures.saturating_sub(1).min(10);
    TimeDelta::seconds((FIRST_SECS << doublings).min(LONGEST_SECS))
}

/// Time of the next attempt of a message that has failed so many times, the last time at `at`; `None` once 24 hours have
/// passed. The last attempt is made when they end, not before.
#[must_use]
pub fn next_attempt(composed_at: DateTime<Utc>, failures: u32, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let end = composed_at + TimeDelta::seconds(PATIENCE_SECS);
    (at < end).then(|| (at + delay(failures)).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_a_second_to_fifteen_minutes() {
        let delays = [0, 1, 2, 3, 4, 9, 10, 11, 12, 100, u32::MAX].map(|failures| delay(failures).num_seconds());
        assert_eq!(delays, [1, 1, 2, 4, 8, 256, 512, 900, 900, 900, 900]);
    }

    #[test]
    fn an_attempt_is_due_at_its_time_and_when_no_delay_reaches_so_far() {
        let due_at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let before = |seconds| is_due(due_at, due_at - TimeDelta::seconds(seconds));
        assert!(before(0) && before(-1) && before(LONGEST_SECS + 1) && before(86_400));
        assert!(!before(1) && !before(LONGEST_SECS));
    }

    #[test]
    fn a_message_that_always_fails_is_tried_for_a_day_and_a_last_time_when_it_ends() {
        let composed_at = DateTime::UNIX_EPOCH;
        let (mut at, mut attempts) = (composed_at, 1);
        while let Some(next) = next_attempt(composed_at, attempts, at) {
            assert!(next > at && next - at <= TimeDelta::seconds(LONGEST_SECS));
            (at, attempts) = (next, attempts + 1);
        }
        assert_eq!(at - composed_at, TimeDelta::hours(24));
        assert_eq!(attempts, 106);
    }

    #[test]
    fn an_attempt_that_ended_after_the_day_was_the_last() {
        let composed_at = DateTime::UNIX_EPOCH;
        let ended = composed_at + TimeDelta::hours(24) + TimeDelta::seconds(30);
        assert_eq!(next_attempt(composed_at, 105, ended), None);
    }
}
