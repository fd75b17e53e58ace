//! Rate limits of callers, and of strangers per network, counted on each node.
//!
//! An authenticated caller has its own limit, so that others cannot use up its requests. Requests without an accepted
//! identity, whether none is required or none was valid, count against their network; beyond its limit their refusals
//! are delayed, so that immediate retries cost the server next to nothing.

use crate::api::common::ApiError;
use crate::api::common::boundary::RequestFacts;
use crate::auth::network::network;
use crate::auth::rate_limit::RateExceeded;
use crate::auth::{Principal, Rate, RateLimiter};
use crate::security::{self, Event};
use std::time::{Duration, Instant};

/// Delay of a refusal to a stranger whose retry may be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Delays a refusal to a stranger for a rate or for want of room, so that immediate retries cost next to nothing.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// The limiters of a server. A rate that is not set is unlimited.
#[derive(Default)]
pub struct Limits {
    callers: Option<RateLimiter>,
    strangers: Option<RateLimiter>,
}

impl Limits {
    /// Limiters without any counts.
    #[must_use]
    pub fn new(callers: Option<Rate>, strangers: Option<Rate>) -> Self {
        Limits { callers: callers.map(RateLimiter::new), strangers: strangers.map(RateLimiter::new) }
    }

    /// Counts a request of an authenticated caller.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub fn caller(&self, principal: &Principal) -> Result<(), ApiError> {
        accept(self.callers.as_ref(), &principal.actor.id)
    }

    /// Counts a request of an unrecognised client.
    ///
    /// # Errors
    /// `TooManyRequests`, after a tenth of a second.
    pub async fn stranger(&self, facts: &RequestFacts) -> Result<(), ApiError> {
        let network = facts.ip_address.as_deref().map(network).unwrap_or_default();
        let accepted = accept(self.strangers.as_ref(), &network);
        if accepted.is_err() {
            pause().await;
        }
        accepted
    }
}

fn accept(limiter: Option<&RateLimiter>, who: &str) -> Result<(), ApiError> {
    let Some(limiter) = limiter else { return Ok(()) };
    limiter.accept(who, Instant::now()).map_err(too_many)
}

/// The 429 of an exceeded rate.
pub fn too_many(exceeded: RateExceeded) -> ApiError {
    security::refused(Event::RateLimit, "too many requests");
    ApiError::TooManyRequests { reset_seconds: whole_seconds(exceeded.reset) }
}

/// Rounded up, so that a client that waits for the stated time is accepted.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}
