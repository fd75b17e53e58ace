//! File descriptors; every connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors requested where the system sets no bound of its own.
const WANTED: u64 = 65_536;

/// Raises this process's limit of descriptors as far as the system allows, and returns the limit.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let raised = current.is_some_and(|current| current < wanted)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let current = if raised { Some(wanted) } else { current };
    usize::try_from(current.unwrap_or(WANTED)).unwrap_or(usize::MAX)
}
