//! Limits of public requests that are counted on the node: answers that tell of taken addresses, and requests for another
//! message by name.

use crate::auth::rate_limit::RateExceeded;
use crate::auth::{Rate, RateLimiter};
use crate::node::Node;
use crate::store::hex;
use quick_cache::unsync::Cache;
use registrar_aggregates::quota::QuotaKind;
use registrar_aggregates::user::Contact;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers about taken addresses that a network gets, and addresses that it is told of: a few for people who forgot that
/// they have an account, too few to try a list.
const TAKEN: Rate = Rate { requests: 10, window: Duration::from_secs(60 * 60) };
/// Counts an address once for a network.
const ONCE: Rate = Rate { requests: 1, window: TAKEN.window };
/// Time for which a request for another message counts, as for a message itself.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// Requests for another message under one name. The first message was that of the sign-up.
const RESENDS_MAX: usize = QuotaKind::Messages.uses_max() - 1;
/// Most names on a node; the least recently used are evicted first.
const NAMES_MAX: usize = 100_000;

/// Counts of a node: answers about taken addresses by network, and requests for another message by name.
pub struct SignUpLimits {
    told: RateLimiter,
    addresses: RateLimiter,
    seen: RateLimiter,
    resends: Mutex<Cache<String, VecDeque<Instant>>>,
}

impl Default for SignUpLimits {
    fn default() -> Self {
        SignUpLimits {
            told: RateLimiter::new(TAKEN),
            addresses: RateLimiter::new(TAKEN),
            seen: RateLimiter::new(ONCE),
            resends: Mutex::new(Cache::new(NAMES_MAX)),
        }
    }
}

impl SignUpLimits {
    /// Refuses sign-ups from a network that has come upon too many taken addresses, whether the next one is taken or not:
    /// otherwise the refusal of a taken one would tell as much.
    ///
    /// # Errors
    /// `RateExceeded`.
    pub(super) fn check(&self, network: &str) -> Result<(), RateExceeded> {
        self.addresses.check(network, Instant::now())
    }

    /// Counts a taken address that a network came upon. The same one again counts as another answer, but not as another
    /// address: people who try once more do not keep others of their network from signing up.
    ///
    /// # Errors
    /// `RateExceeded`: the network is not told.
    pub(super) fn tell(&self, node: &Node, network: &str, address: &Contact) -> Result<(), RateExceeded> {
        let (now, key) = (Instant::now(), address.claim());
        let digest =
            node.vault.digest("taken-address", &[network.as_bytes(), key.scope.as_bytes(), key.value.as_bytes()]);
        if self.seen.accept(&hex(&digest), now).is_ok() {
            self.addresses.accept(network, now)?;
        }
        self.told.accept(network, now)
    }

    /// Counts a request for another message under a name, known or not. Messages themselves are counted in events, by
    /// address; this is what a caller sees, the same for all names.
    ///
    /// # Errors
    /// `RateExceeded`.
    pub(super) fn resend(&self, node: &Node, name: &Contact) -> Result<(), RateExceeded> {
        let key = name.claim();
        let digest = hex(&node.vault.digest("resent-name", &[key.scope.as_bytes(), key.value.as_bytes()]));
        let mut names = self.resends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = names.get(&digest).cloned().unwrap_or_default();
        count(&mut times, Instant::now())?;
        names.insert(digest, times);
        Ok(())
    }
}

fn count(times: &mut VecDeque<Instant>, now: Instant) -> Result<(), RateExceeded> {
    while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= WINDOW) {
        times.pop_front();
    }
    if times.len() >= RESENDS_MAX {
        let oldest = times.front().copied().unwrap_or(now);
        return Err(RateExceeded { reset: (oldest + WINDOW).saturating_duration_since(now) });
    }
    times.push_back(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_asks_twice_in_ten_minutes() {
        let (mut times, start) = (VecDeque::new(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(count(&mut times, start), Ok(()));
        assert_eq!(count(&mut times, start + second), Ok(()));
        assert_eq!(count(&mut times, start + 2 * second), Err(RateExceeded { reset: WINDOW - 2 * second }));
        assert_eq!(count(&mut times, start + WINDOW), Ok(()));
        assert_eq!(count(&mut times, start + WINDOW), Err(RateExceeded { reset: second }));
    }
}
