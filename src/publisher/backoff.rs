//! Exponential backoff with jitter.

use crate::vault::random;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Number of consecutive failures.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: usize,
}

impl Backoff {
    /// Waits after another failure.
    pub(super) async fn wait(&mut self) {
        self.failures += 1;
        tokio::time::sleep(delay(self.failures)).await;
    }

    /// Resets the count after a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Delay after so many consecutive failures: twice as long each time, from 100 ms up to 5 s, minus a random part of up
/// to half.
pub(super) fn delay(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let longest = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
    let [random] = random::<1>();
    FIRST.max(longest.mul_f64(1.0 - f64::from(random) / 512.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_stays_within_bounds() {
        for failures in (0..100).chain([usize::MAX]) {
            let delay = delay(failures);
            assert!((FIRST..=LONGEST).contains(&delay), "{failures}: {delay:?}");
        }
        assert!(delay(4) >= Duration::from_millis(400));
        assert!(delay(60) >= LONGEST / 2);
    }
}
