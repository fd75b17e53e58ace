//! File descriptors, of which every connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Most descriptors that are asked for, where the system sets no bound of its own.
const WANTED: u64 = 65_536;

/// Raises the number of descriptors that this process may have as far as the system lets it, and tells how many these are.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let raised = current.is_some_and(|current| current < wanted)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let current = if raised { Some(wanted) } else { current };
    usize::try_from(current.unwrap_or(WANTED)).unwrap_or(usize::MAX)
}
