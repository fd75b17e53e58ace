//! Answers in equal time: an answer that must not tell known names from unknown ones is held until a whole number of
//! steps has passed since the request came, so that the work in between is not seen as long as it fits into the same
//! step.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Length of a step. The work of a known name (a message composed, a commit) takes some 10 ms, a hash some 50 ms.
const STEP: Duration = Duration::from_millis(250);

/// The start of a request.
#[must_use]
pub struct Pace(Instant);

impl Pace {
    /// Starts with the request, before anything is looked up.
    pub fn start() -> Self {
        Pace(Instant::now())
    }

    /// Waits for the end of the present step.
    pub async fn hold(self) {
        sleep_until(self.0 + end_of_step(self.0.elapsed())).await;
    }
}

/// The end of the step in which a time lies.
fn end_of_step(elapsed: Duration) -> Duration {
    let steps = elapsed.as_millis() / STEP.as_millis() + 1;
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_held_to_the_end_of_its_step() {
        for (elapsed, end) in [(0, 250), (1, 250), (249, 250), (250, 500), (499, 500), (10_001, 10_250)] {
            assert_eq!(end_of_step(Duration::from_millis(elapsed)), Duration::from_millis(end), "{elapsed}");
        }
    }

    #[tokio::test]
    async fn no_answer_comes_before_the_first_step_is_over() {
        let begun = std::time::Instant::now();
        Pace::start().hold().await;
        assert!(begun.elapsed() >= STEP);
    }
}
