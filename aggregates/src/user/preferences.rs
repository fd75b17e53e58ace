//! Communication preferences of a user, bounded and in one spelling: the response equals the stored value.

use crate::values::{JsonBounds, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most bytes of all preferences of a user as JSON.
pub const PREFERENCES_BYTES_MAX: usize = 16 * 1024;
/// Most members of all preferences of a user, channels and nested ones included.
pub const PREFERENCES_MEMBERS_MAX: usize = 100;
/// Deepest nesting of preferences; they themselves are the first level, a channel the second.
pub const PREFERENCES_DEPTH_MAX: usize = 8;
const BOUNDS: JsonBounds = JsonBounds {
    bytes_max: PREFERENCES_BYTES_MAX,
    members_max: PREFERENCES_MEMBERS_MAX,
    depth_max: PREFERENCES_DEPTH_MAX,
};

/// A communication channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// E-mail.
    Email,
    /// Push notifications on a telephone.
    Mobile,
    /// Text messages.
    Sms,
    /// Voice calls.
    Voice,
    /// Notifications in a browser.
    Web,
}

/// Communication preferences by channel, in the sender's words.
pub type Preferences = BTreeMap<Channel, Map<String, Value>>;

/// Preferences after a change, channel by channel, with numbers in their plain form: `100` for `1e2` and `100.0`, `0` for
/// `-0.0`.
///
/// # Errors
/// `TooLarge`, `TooManyMembers`, `TooDeep`, `InexactNumber`.
pub(super) fn merged(preferences: &Preferences, given: Preferences) -> Result<Preferences, Problem> {
    let mut merged = preferences.clone();
    merged.extend(given);
    let mut members = merged.len();
    for wishes in merged.values_mut() {
        BOUNDS.members(wishes, 3, &mut members)?;
    }
    BOUNDS.check_size(&merged)?;
    Ok(merged)
}

/// Refuses preferences that no user may have.
///
/// # Errors
/// `TooLarge`, `TooManyMembers`, `TooDeep`, `InexactNumber`.
pub fn check_preferences(given: &Preferences) -> Result<(), Problem> {
    merged(&Preferences::new(), given.clone()).map(drop)
}
