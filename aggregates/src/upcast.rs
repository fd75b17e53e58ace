//! Upcasters: conversion of payloads of older releases to the current shape. One small function per change, kept for
//! ever and tested on a stored sample. They receive the payload opened, before it is typed.

use cqrs_es::persist::EventUpcaster;

/// All upcasters, in the order in which they apply.
///
/// The list is empty: every event type still has its first shape. Add a
/// [`cqrs_es::persist::SemanticVersionEventUpcaster`] here together with a raised `event_version`.
#[must_use]
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    Vec::new()
}
