//! How often a caller may ask, and how often strangers of one network may: counted on each node.
//!
//! A caller that is recognised is counted by itself, so that nobody uses up the requests of others. Requests of those who
//! are not, whether they need not be or showed nothing that is believed, count for their network; once there are too many
//! of them, their refusals keep them waiting, so that asking again at once costs the server next to nothing.

use crate::api::common::ApiError;
use crate::api::common::boundary::RequestFacts;
use crate::auth::network::network;
use crate::auth::rate_limit::Exceeded;
use crate::auth::{Principal, Rate, RateLimiter};
use crate::security::{self, Event};
use std::time::{Duration, Instant};

/// How long a stranger waits for the refusal of a request that came too soon.
const PAUSE: Duration = Duration::from_millis(100);

/// The limiters of a server. A rate that is not set is not limited.
#[derive(Default)]
pub struct Limits {
    callers: Option<RateLimiter>,
    strangers: Option<RateLimiter>,
}

impl Limits {
    /// Limiters that have seen nobody.
    #[must_use]
    pub fn new(callers: Option<Rate>, strangers: Option<Rate>) -> Self {
        Limits { callers: callers.map(RateLimiter::new), strangers: strangers.map(RateLimiter::new) }
    }

    /// Counts a request of a caller.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub fn caller(&self, principal: &Principal) -> Result<(), ApiError> {
        accept(self.callers.as_ref(), &principal.actor.id)
    }

    /// Counts a request of somebody who is not recognised.
    ///
    /// # Errors
    /// `TooManyRequests`, after a tenth of a second.
    pub async fn stranger(&self, facts: &RequestFacts) -> Result<(), ApiError> {
        let network = facts.ip_address.as_deref().map(network).unwrap_or_default();
        let accepted = accept(self.strangers.as_ref(), &network);
        if accepted.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        accepted
    }
}

fn accept(limiter: Option<&RateLimiter>, who: &str) -> Result<(), ApiError> {
    let Some(limiter) = limiter else { return Ok(()) };
    limiter.accept(who, Instant::now()).map_err(too_many)
}

/// The refusal of a request that came too soon.
pub fn too_many(exceeded: Exceeded) -> ApiError {
    security::refused(Event::RateLimit, "too many requests");
    ApiError::TooManyRequests { reset_seconds: whole_seconds(exceeded.reset) }
}

/// Rounded up, so that who waits as long as told is accepted.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}
