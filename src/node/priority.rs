//! Low priority for work that can wait.

use crate::journal::{JournalError, JournalResult};
use std::sync::LazyLock;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Niceness of work that can wait: beside other work it gets about a tenth of the processor.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lowers the priority of this thread and of those it starts from now on. No effect where it is not allowed, nor on
/// systems other than Linux, where a thread has no niceness of its own.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "work in the background competes with the rest");
    }
}

/// Seats for reading and serialising many events at once. Such work occupies a processor until it is done: one is left
/// to small requests.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(processors.saturating_sub(1).max(1))
});

/// Takes a seat, in order of arrival.
///
/// # Errors
/// `Unavailable` once the server stops.
pub(crate) async fn seat() -> JournalResult<SemaphorePermit<'static>> {
    SEATS.acquire().await.map_err(JournalError::unavailable)
}

/// Rejects all waits for a seat when the server stops.
pub(crate) fn close_seats() {
    SEATS.close();
}
