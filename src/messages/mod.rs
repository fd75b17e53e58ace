//! Messages to people: what they say. How they are composed, queued and delivered is not here.
//!
//! The room is pure: texts in, texts out.

pub mod templates;
