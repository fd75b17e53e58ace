//! Work that can wait lets the rest come first.

use crate::journal::{JournalError, JournalResult};
use std::sync::LazyLock;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Niceness of work that can wait: beside something else it gets about a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets every other thread come before this one and those that it starts from now on. Nothing changes where it is not
/// allowed, nor on systems other than Linux, where a thread has no niceness of its own.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "work in the background competes with the rest");
    }
}

/// Seats for reading and writing out many events at once. That takes a processor for as long as it goes on: one is left to
/// those who ask for little.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(processors.saturating_sub(1).max(1))
});

/// A seat, by turns of those who wait for one.
///
/// # Errors
/// `Unavailable` once the server stops.
pub(crate) async fn seat() -> JournalResult<SemaphorePermit<'static>> {
    SEATS.acquire().await.map_err(JournalError::unavailable)
}

/// Sends those away who wait for a seat: the server stops.
pub(crate) fn close_seats() {
    SEATS.close();
}
