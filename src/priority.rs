//! Work that can wait lets the rest come first.

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
