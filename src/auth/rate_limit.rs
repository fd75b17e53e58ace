//! Rate limit of requests by caller, over a sliding window.
//!
//! Only authenticated callers are counted, so no client can use up the requests of another, or fill memory with names
//! that do not exist. Each node counts for itself. The usual libraries let a caller who has used up a burst go on at
//! the average rate (GCRA), which adds up to almost twice the number in one window; the published limit is of the
//! window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Number of requests allowed within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests, from 1 to [`Rate::REQUESTS_MAX`].
    pub requests: usize,
    /// Length of the window.
    pub window: Duration,
}

impl Rate {
    /// Upper bound of `requests`: the time of each is stored until it leaves the window.
    pub const REQUESTS_MAX: usize = 10_000;
    /// Longest window.
    pub const WINDOW_MAX: Duration = Duration::from_secs(60 * 60);
}

impl Default for Rate {
    /// The rate that the published API allows a key.
    fn default() -> Self {
        Rate { requests: 10, window: Duration::from_secs(10) }
    }
}

/// Too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateExceeded {
    /// Time until the next request is accepted.
    pub reset: Duration,
}

/// Counts the requests of each caller.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    hasher: RandomState,
    /// Callers by hash, so that callers of one shard seldom wait for those of another.
    shards: [Mutex<Shard>; SHARDS],
}

/// Times of each caller's accepted requests within the window.
type Shard = HashMap<String, VecDeque<Instant>>;

/// Number of shards of the table.
const SHARDS: usize = 16;

impl RateLimiter {
    /// A limiter without recorded requests.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        RateLimiter { rate, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Counts a request of `caller` at `now`. A refused request is not counted.
    ///
    /// # Errors
    /// `RateExceeded` if the window before `now` is full.
    pub fn accept(&self, caller: &str, now: Instant) -> Result<(), RateExceeded> {
        let Rate { requests, window } = self.rate;
        let mut accepted = self.shard(caller).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = accepted.get_mut(caller) {
            check(times, requests, window, now)?;
            times.push_back(now);
            return Ok(());
        }
        // When the table is full, callers idle for a whole window are removed, so it holds at most twice as many
        // callers as were active within one window.
        if accepted.len() == accepted.capacity() {
            accepted.retain(|_, times| {
                forget(times, window, now);
                !times.is_empty()
            });
        }
        accepted.insert(caller.to_owned(), VecDeque::from([now]));
        Ok(())
    }

    /// Whether a request of `caller` at `now` would be accepted; none is counted. For limits that count only some
    /// requests, such as wrong guesses, once these are known.
    ///
    /// # Errors
    /// `RateExceeded` if the window before `now` is full.
    pub fn check(&self, caller: &str, now: Instant) -> Result<(), RateExceeded> {
        let Rate { requests, window } = self.rate;
        let mut accepted = self.shard(caller).lock().unwrap_or_else(PoisonError::into_inner);
        match accepted.get_mut(caller) {
            Some(times) => check(times, requests, window, now),
            None => Ok(()),
        }
    }

    fn shard(&self, caller: &str) -> &Mutex<Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let shard = (self.hasher.hash_one(caller) % SHARDS as u64) as usize;
        &self.shards[shard]
    }

    #[cfg(test)]
    fn callers(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

fn check(times: &mut VecDeque<Instant>, requests: usize, window: Duration, now: Instant) -> Result<(), RateExceeded> {
    forget(times, window, now);
    if times.len() < requests {
        return Ok(());
    }
    let oldest = times.front().copied().unwrap_or(now);
    Err(RateExceeded { reset: (oldest + window).saturating_duration_since(now) })
}

fn forget(times: &mut VecDeque<Instant>, window: Duration, now: Instant) {
    while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= window) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter() -> RateLimiter {
        RateLimiter::new(Rate { requests: 3, window: 10 * SECOND })
    }

    #[test]
    fn the_published_rate_is_ten_in_ten_seconds() {
        assert_eq!(Rate::default(), Rate { requests: 10, window: 10 * SECOND });
    }

    #[test]
    fn as_many_as_allowed_are_accepted_in_any_window() {
        let (limiter, start) = (limiter(), Instant::now());
        for second in [0, 4, 5] {
            assert_eq!(limiter.accept("k", start + second * SECOND), Ok(()));
        }
        assert_eq!(limiter.accept("k", start + 9 * SECOND), Err(RateExceeded { reset: SECOND }));
        assert_eq!(limiter.accept("k", start + 10 * SECOND), Ok(()));
        // The request of second 4 leaves the window next.
        assert_eq!(limiter.accept("k", start + 11 * SECOND), Err(RateExceeded { reset: 3 * SECOND }));
        assert_eq!(limiter.accept("k", start + 14 * SECOND), Ok(()));
    }

    #[test]
    fn refused_requests_do_not_count() {
        let (limiter, start) = (limiter(), Instant::now());
        for _ in 0..3 {
            assert!(limiter.accept("k", start).is_ok());
        }
        for second in 1..10 {
            assert!(limiter.accept("k", start + second * SECOND).is_err());
        }
        assert_eq!(limiter.accept("k", start + 10 * SECOND), Ok(()));
    }

    #[test]
    fn a_check_counts_nothing() {
        let (limiter, start) = (limiter(), Instant::now());
        for _ in 0..10 {
            assert_eq!(limiter.check("k", start), Ok(()));
        }
        for _ in 0..3 {
            assert_eq!((limiter.check("k", start), limiter.accept("k", start)), (Ok(()), Ok(())));
        }
        assert_eq!(limiter.check("k", start + SECOND), Err(RateExceeded { reset: 9 * SECOND }));
        assert_eq!(limiter.check("k", start + 10 * SECOND), Ok(()));
    }

    #[test]
    fn callers_do_not_use_up_each_others_requests() {
        let (limiter, start) = (limiter(), Instant::now());
        for _ in 0..3 {
            assert!(limiter.accept("k", start).is_ok());
        }
        assert!(limiter.accept("k", start).is_err());
        assert_eq!(limiter.accept("l", start), Ok(()));
    }

    #[test]
    fn a_clock_that_seems_to_go_back_frees_nothing() {
        let (limiter, start) = (limiter(), Instant::now() + 10 * SECOND);
        for _ in 0..3 {
            assert!(limiter.accept("k", start).is_ok());
        }
        assert_eq!(limiter.accept("k", start - SECOND), Err(RateExceeded { reset: 11 * SECOND }));
    }

    #[test]
    fn quiet_callers_are_forgotten() {
        let (limiter, start) = (limiter(), Instant::now());
        for round in 0..100_u32 {
            for caller in 0..100 {
                let now = start + round * 10 * SECOND;
                assert!(limiter.accept(&format!("{round}/{caller}"), now).is_ok());
            }
        }
        assert!(limiter.callers() < 1_000, "{}", limiter.callers());
    }
}
