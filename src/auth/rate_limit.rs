//! How many requests a caller may make in a time: a window that moves with the clock.
//!
//! Only who was recognised is counted, so that nobody can use up the requests of somebody else, or fill memory with
//! names that do not exist. Each node counts for itself. The usual libraries let a caller who has used up a burst go on
//! at the average rate (GCRA), which comes to almost twice the number in one window; the published limit is of the
//! window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many requests in any time so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests, from 1 to [`Rate::REQUESTS_MAX`].
    pub requests: usize,
    /// Length of the window.
    pub window: Duration,
}

impl Rate {
    /// Most requests that a rate may allow: the time of each is kept until the window has passed over it.
    pub const REQUESTS_MAX: usize = 10_000;
    /// Longest window.
    pub const WINDOW_MAX: Duration = Duration::from_secs(60 * 60);
}

impl Default for Rate {
    /// What the published API allows a key.
    fn default() -> Self {
        Rate { requests: 10, window: Duration::from_secs(10) }
    }
}

/// Too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// After how long the next request is accepted.
    pub reset: Duration,
}

/// Counts the requests of each caller.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    hasher: RandomState,
    /// Callers by their hashes, so that those of one part seldom wait for those of another.
    parts: [Mutex<Part>; PARTS],
}

/// When each caller's requests were accepted, as far as the window reaches back.
type Part = HashMap<String, VecDeque<Instant>>;

/// Parts of the table.
const PARTS: usize = 16;

impl RateLimiter {
    /// A limiter that has seen nobody.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        RateLimiter { rate, hasher: RandomState::new(), parts: Default::default() }
    }

    /// Counts a request of `caller` at `now`. One that is refused does not count.
    ///
    /// # Errors
    /// `Exceeded` if as many were accepted within the window before `now`.
    pub fn accept(&self, caller: &str, now: Instant) -> Result<(), Exceeded> {
        let Rate { requests, window } = self.rate;
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let part = (self.hasher.hash_one(caller) % PARTS as u64) as usize;
        let mut accepted = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = accepted.get_mut(caller) {
            forget(times, window, now);
            if times.len() >= requests {
                let oldest = times.front().copied().unwrap_or(now);
                return Err(Exceeded { reset: (oldest + window).saturating_duration_since(now) });
            }
            times.push_back(now);
            return Ok(());
        }
        // Those who have been quiet for a window are swept out whenever the table is full, so that it holds no more
        // than twice as many callers as were there within one window.
        if accepted.len() == accepted.capacity() {
            accepted.retain(|_, times| {
                forget(times, window, now);
                !times.is_empty()
            });
        }
        accepted.insert(caller.to_owned(), VecDeque::from([now]));
        Ok(())
    }

    #[cfg(test)]
    fn callers(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
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
        assert_eq!(limiter.accept("k", start + 9 * SECOND), Err(Exceeded { reset: SECOND }));
        assert_eq!(limiter.accept("k", start + 10 * SECOND), Ok(()));
        // The next to leave the window is the one of second 4.
        assert_eq!(limiter.accept("k", start + 11 * SECOND), Err(Exceeded { reset: 3 * SECOND }));
        assert_eq!(limiter.accept("k", start + 14 * SECOND), Ok(()));
    }

    #[test]
    fn what_was_refused_does_not_count() {
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
        assert_eq!(limiter.accept("k", start - SECOND), Err(Exceeded { reset: 11 * SECOND }));
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
