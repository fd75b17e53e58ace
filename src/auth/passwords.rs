//! Passwords: argon2id on a bounded pool, so that a burst of sign-ins cannot starve other work.
//!
//! Hashes are of the NFKC form, so that a password set on one keyboard is the same on another. Hashes of former
//! releases are of the raw text, which is compared too where it differs. The number of comparisons depends on the typed
//! text alone, never on whether a hash exists or which form matched, so timing reveals neither.
//!
//! A hash takes 19 MiB and some 20 ms of a core. A few run at a time, a few more wait, and further requests are
//! rejected at once: waiting longer than a client does would only waste the work.

use crate::node::priority::give_way;
use crate::vault::random;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use registrar_aggregates::text;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

/// Memory of one hash (OWASP's minimum for argon2id with two passes).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash without a password, its output drawn at random: verifying against it costs the same as any and always fails.
const UNKNOWN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$7IqISdSBX/I6ILV2T1lK2w$w8zj/rkcvL4l1/ATsdClXOun2pno5zER51I3MPRYeHA";

/// Omits the characters that are confused in print: 0 O, 1 l I, o.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const GENERATED_LENGTH: usize = 24;

/// Too many passwords are being hashed already. A retry in a second may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at the moment")]
pub struct HasherBusy;

/// Hashes passwords, a bounded number at a time, on threads of low priority.
#[derive(Debug)]
pub struct PasswordHasher {
    /// Closed when the pool is dropped, which ends the threads.
    jobs: mpsc::Sender<Job>,
    /// Running and waiting hashes together.
    seats: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce() + Send>;

impl PasswordHasher {
    /// A pool in which `workers` hashes run, at least one, and `waiting_max` wait.
    ///
    /// # Panics
    /// If the system cannot start a thread.
    #[must_use]
    pub fn new(workers: usize, waiting_max: usize) -> Self {
        let workers = workers.max(1);
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || work(&queue));
        }
        PasswordHasher { jobs, seats: Arc::new(Semaphore::new(workers + waiting_max)) }
    }

    /// A pool that leaves one core free, where there is another, and lets about a second's work wait. Requests have
    /// priority anyway, but each of their steps may wait some milliseconds until the time slice of a hash is over.
    #[must_use]
    pub fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = cores.saturating_sub(1).max(1);
        PasswordHasher::new(workers, workers * 32)
    }

    /// Hashes a password with a fresh salt, as a PHC string.
    ///
    /// # Errors
    /// `HasherBusy`, at once, when the queue is full.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, HasherBusy> {
        self.run(move || hash(&password)).await
    }

    /// Verifies `password` against a hash. `None`, for an unknown account, costs the same and fails. So does a text
    /// that is no hash.
    ///
    /// # Errors
    /// `HasherBusy`, at once, when the queue is full.
    pub async fn verify(&self, password: Zeroizing<String>, hash: Option<String>) -> Result<bool, HasherBusy> {
        self.run(move || verify(&password, hash.as_deref())).await
    }

    /// Whether another password would be taken now. Asked before the look-ups of a sign-in, so that a refusal costs
    /// little; the queue may still be full afterwards.
    ///
    /// # Errors
    /// `HasherBusy`.
    pub fn check_room(&self) -> Result<(), HasherBusy> {
        if self.seats.available_permits() == 0 { Err(HasherBusy) } else { Ok(()) }
    }

    /// Runs other work on passwords in the same pool, such as judging their strength.
    ///
    /// # Errors
    /// `HasherBusy`, at once, when the queue is full.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HasherBusy> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| HasherBusy)?;
        let (done, result) = oneshot::channel();
        let job = move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            // Held by the work itself: a client that hangs up does not end a running hash.
            drop(seat);
            // The receiver may have been dropped.
            let _ = done.send(result);
        };
        self.jobs.send(Box::new(job)).map_err(|_| HasherBusy)?;
        match result.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            // The pool was dropped.
            Err(_) => Err(HasherBusy),
        }
    }
}

/// Works off the queue until the pool is dropped.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    give_way();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job();
    }
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are constants within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> String {
    let password = Zeroizing::new(text::compatible(password));
    let salt = random::<16>();
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("argon2 refuses only passwords of 4 GiB and more").to_string()
}

fn verify(password: &str, hash: Option<&str>) -> bool {
    let known = hash.and_then(|hash| PasswordHash::new(hash).ok());
    let is_known = known.is_some();
    let hash = known.unwrap_or_else(|| PasswordHash::new(UNKNOWN).expect("the constant is a PHC string"));
    let is_right = |form: &str| argon2().verify_password(form.as_bytes(), &hash).is_ok();
    let compatible = Zeroizing::new(text::compatible(password));
    let mut right = is_right(&compatible);
    if compatible.as_str() != password {
        right |= is_right(password);
    }
    right && is_known
}

/// Generates a password that cannot be guessed but is easy to type: 24 letters and digits, 139 bits.
#[must_use]
pub fn generate() -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::with_capacity(GENERATED_LENGTH));
    // Bytes beyond the last whole multiple would make some characters more likely than others.
    let limit = u8::MAX - u8::MAX % ALPHABET.len() as u8;
    while password.len() < GENERATED_LENGTH {
        for &byte in Zeroizing::new(random::<32>()).iter().filter(|&&byte| byte < limit) {
            if password.len() < GENERATED_LENGTH {
                password.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            }
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let pool = PasswordHasher::new(1, 1);
        let hash = pool.hash(password("correct horse")).await.expect("not busy");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(pool.verify(password("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(pool.verify(password("correct horsf"), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn every_spelling_of_a_password_is_right() {
        let pool = PasswordHasher::new(1, 1);
        let composed = "p\u{e4}sswort \u{fb01}";
        let decomposed = "pa\u{308}sswort fi";
        let hash = pool.hash(password(composed)).await.expect("not busy");
        for spelling in [composed, decomposed] {
            assert_eq!(pool.verify(password(spelling), Some(hash.clone())).await, Ok(true), "{spelling}");
        }
        assert_eq!(pool.verify(password("passwort fi"), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn hashes_of_the_raw_text_stay_right() {
        let pool = PasswordHasher::new(1, 1);
        let decomposed = "pa\u{308}sswort";
        let raw = argon2().hash_password_with_salt(decomposed.as_bytes(), &[7; 16]).expect("short").to_string();
        assert_eq!(pool.verify(password(decomposed), Some(raw.clone())).await, Ok(true));
        assert_eq!(pool.verify(password("passwort"), Some(raw)).await, Ok(false));
    }

    #[tokio::test]
    async fn equal_passwords_have_different_hashes() {
        let pool = PasswordHasher::new(1, 1);
        assert_ne!(pool.hash(password("same")).await, pool.hash(password("same")).await);
    }

    #[tokio::test]
    async fn no_password_verifies_against_an_absent_or_malformed_hash() {
        let pool = PasswordHasher::new(1, 1);
        assert_eq!(pool.verify(password(""), None).await, Ok(false));
        assert_eq!(pool.verify(password(""), Some(String::new())).await, Ok(false));
    }

    #[test]
    fn the_hash_for_unknown_accounts_costs_as_much_as_a_real_one() {
        let (unknown, real) = (PasswordHash::new(UNKNOWN).expect("PHC"), hash("x"));
        let real = PasswordHash::new(&real).expect("PHC");
        assert_eq!(unknown.params, real.params);
        assert_eq!(unknown.algorithm, real.algorithm);
        assert_eq!(unknown.version, real.version);
        assert_eq!(unknown.salt.map(|salt| salt.len()), real.salt.map(|salt| salt.len()));
        assert_eq!(unknown.hash.map(|hash| hash.len()), real.hash.map(|hash| hash.len()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn callers_without_a_seat_are_refused_and_the_others_are_served() {
        let pool = Arc::new(PasswordHasher::new(1, 2));
        // A job that ends on a signal keeps the worker busy.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, starts) = tokio::sync::oneshot::channel();
        let running = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                let work = move || {
                    let _ = started.send(());
                    released.recv().is_ok()
                };
                pool.run(work).await
            }
        });
        // Waiting jobs come after it, or one of them might finish before.
        starts.await.expect("the work begins");
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(|| ()).await })
            })
            .collect();
        while pool.seats.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| ()).await, Err(HasherBusy));
        assert_eq!(pool.check_room(), Err(HasherBusy));
        release.send(()).expect("the worker waits");
        assert_eq!(running.await.expect("no panic"), Ok(true));
        for waiter in waiting {
            assert_eq!(waiter.await.expect("no panic"), Ok(()));
        }
        assert_eq!(pool.check_room(), Ok(()));
        assert_eq!(pool.run(|| ()).await, Ok(()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cancelled_caller_does_not_free_its_worker_early() {
        let pool = Arc::new(PasswordHasher::new(1, 0));
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, starts) = tokio::sync::oneshot::channel();
        let caller = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(move || {
                    started.send(()).ok();
                    released.recv().is_ok()
                })
                .await
            }
        });
        starts.await.expect("it starts");
        caller.abort();
        assert!(caller.await.expect_err("aborted").is_cancelled());
        assert_eq!(pool.run(|| ()).await, Err(HasherBusy));
        release.send(()).expect("the work goes on");
    }

    #[test]
    fn generated_passwords_are_long_readable_and_different() {
        let (one, other) = (generate(), generate());
        assert_eq!(one.len(), GENERATED_LENGTH);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(!one.contains(['0', 'O', '1', 'l', 'I', 'o']));
        assert_ne!(one, other);
    }
}
