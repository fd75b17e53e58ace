//! Processor time of public requests: at most a third, however many arrive, so that the rest is left to authenticated
//! callers.
//!
//! A request begins once time is left, in order of arrival, and is not interrupted afterwards, so that resources such
//! as a database connection are released as soon as possible. Its cost is known at its end; until then it is estimated
//! from earlier requests. Without this 64 strangers on two processors delayed reads of callers a hundredfold.

use axum::body::HttpBody;
use axum::response::Response;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Time that may be saved up while idle. What is saved up is spent at once, and callers wait for it.
const SAVED_MAX: Duration = Duration::from_millis(1);
/// Estimated time to receive a request and to send the head of its response. With 30 us, 15,000 requests a second,
/// answered in 13 us each, took one processor instead of two thirds of one.
const EXCHANGE: Duration = Duration::from_micros(60);
/// Estimated time to send one byte of a response.
const BYTE: Duration = Duration::from_nanos(2);
/// Estimated cost before any request has ended.
const FIRST_GUESS: Duration = Duration::from_micros(100);

/// Processor time for requests of strangers.
pub struct Allowance {
    account: Mutex<Account>,
    /// Turn to begin, in order of arrival.
    turn: Semaphore,
}

impl Allowance {
    /// A third of this machine's processors.
    #[must_use]
    pub fn for_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Allowance {
            account: Mutex::new(Account::new(processors as f64 / 3.0, Instant::now())),
            turn: Semaphore::new(1),
        }
    }

    /// Runs `work` once there is time for it.
    pub async fn answer(&self, work: impl Future<Output = Response>) -> Response {
        let mut bill = self.begin().await;
        let mut work = pin!(work);
        let response = poll_fn(|context| {
            let begun = Instant::now();
            let polled = work.as_mut().poll(context);
            bill.spent += begun.elapsed();
            polled
        })
        .await;
        let bytes = response.body().size_hint().lower();
        bill.spent += EXCHANGE + BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        response
    }

    async fn begin(&self) -> Bill<'_> {
        // The semaphore is never closed.
        let _turn = self.turn.acquire().await;
        loop {
            let taken = self.account().begin(Instant::now());
            match taken {
                Ok(estimate) => return Bill { allowance: self, estimate, spent: Duration::ZERO },
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cost of a running request; settled even if the client disconnects.
struct Bill<'a> {
    allowance: &'a Allowance,
    estimate: f64,
    spent: Duration,
}

impl Drop for Bill<'_> {
    fn drop(&mut self) {
        self.allowance.account().settle(self.estimate, self.spent);
    }
}

/// Time left, in seconds of one processor.
#[derive(Debug)]
struct Account {
    /// Processors available to strangers.
    share: f64,
    balance: f64,
    counted: Instant,
    /// Mean cost of recent requests.
    estimate: f64,
}

impl Account {
    fn new(share: f64, now: Instant) -> Self {
        Account { share, balance: 0.0, counted: now, estimate: FIRST_GUESS.as_secs_f64() }
    }

    /// Reserves the time of one request, or returns the wait until there is some.
    fn begin(&mut self, now: Instant) -> Result<f64, Duration> {
        let earned = now.saturating_duration_since(self.counted).as_secs_f64() * self.share;
        self.balance = (self.balance + earned).min(SAVED_MAX.as_secs_f64() * self.share);
        self.counted = now;
        if self.balance < 0.0 {
            return Err(Duration::from_secs_f64(-self.balance / self.share));
        }
        self.balance -= self.estimate;
        Ok(self.estimate)
    }

    /// Replaces the estimated cost of a request with the actual one.
    fn settle(&mut self, estimate: f64, spent: Duration) {
        let spent = spent.as_secs_f64();
        self.balance += estimate - spent;
        self.estimate += (spent - self.estimate) / 32.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use proptest::prelude::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn requests_begin_at_once_while_time_is_left() {
        let start = Instant::now();
        let mut account = Account::new(1.0, start);
        // Savings beyond the bound lapse.
        let later = start + Duration::from_secs(60);
        let begun = (0..1_000).take_while(|_| account.begin(later).is_ok()).count();
        assert!((10..=11).contains(&begun), "{begun}: 1 ms of requests of 100 us, and the one that overdraws");
    }

    #[test]
    fn a_request_that_took_more_delays_the_next_by_that() {
        let start = Instant::now();
        let mut account = Account::new(0.5, start);
        let estimate = account.begin(start).unwrap();
        account.settle(estimate, 30 * MILLISECOND);
        let wait = account.begin(start).unwrap_err();
        assert!(
            (59 * MILLISECOND..=61 * MILLISECOND).contains(&wait),
            "{wait:?}: half a processor takes twice as long"
        );
        assert!(account.begin(start + wait + MILLISECOND).is_ok());
    }

    proptest! {
        /// For any costs and end times, requests take at most their share plus the savings, beside those that are
        /// running.
        #[test]
        fn strangers_take_no_more_than_their_share(
            costs in proptest::collection::vec(0_u64..3_000, 1..400),
            pause in 0_u64..500,
            at_once in 1_usize..64,
        ) {
            let start = Instant::now();
            let (mut account, mut now) = (Account::new(1.0, start), start);
            let (mut under_way, mut spent) = (Vec::new(), Duration::ZERO);
            for cost in costs {
                now += Duration::from_micros(pause);
                let estimate = loop {
                    match account.begin(now) {
                        Ok(estimate) => break estimate,
                        Err(wait) => now += wait.max(Duration::from_nanos(1)),
                    }
                };
                under_way.push((estimate, Duration::from_micros(cost)));
                if under_way.len() == at_once {
                    let (estimate, cost) = under_way.remove(0);
                    account.settle(estimate, cost);
                    spent += cost;
                    let bound = (now - start) + SAVED_MAX + Duration::from_micros(3_000) * (at_once as u32 + 1);
                    prop_assert!(spent <= bound, "{spent:?} of {bound:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_is_settled_as_well() {
        let allowance = Allowance::for_this_machine();
        let hangs = allowance.answer(std::future::pending());
        assert!(tokio::time::timeout(5 * MILLISECOND, hangs).await.is_err());
        let estimate = allowance.account().estimate;
        assert!(estimate < FIRST_GUESS.as_secs_f64(), "it took next to nothing");
        assert_eq!(allowance.answer(async { "done".into_response() }).await.status(), 200);
    }
}
