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

/// Members counted so far.
struct Bounds {
    members: usize,
}

impl Bounds {
    fn object(&mut self, object: &mut Map<String, Value>, depth: usize) -> Result<(), Problem> {
        self.members += object.len();
        if self.members > PREFERENCES_MEMBERS_MAX {
            return Err(Problem::TooManyMembers { max: PREFERENCES_MEMBERS_MAX });
        }
        object.values_mut().try_for_each(|value| self.value(value, depth + 1))
    }

    fn value(&mut self, value: &mut Value, depth: usize) -> Result<(), Problem> {
        if matches!(value, Value::Array(_) | Value::Object(_)) && depth > PREFERENCES_DEPTH_MAX {
            return Err(Problem::TooDeep { max: PREFERENCES_DEPTH_MAX });
        }
        match value {
            Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
            Value::Number(number) => {
                *number = plain(number).ok_or(Problem::InexactNumber)?;
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.value(item, depth + 1)),
            Value::Object(members) => self.object(members, depth),
        }
    }
}

/// A number that every reader represents alike; `None` if a reader may differ.
fn plain(number: &Number) -> Option<Number> {
    let whole = match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole,
        (None, Some(double)) if double.fract() == 0.0 => format!("{double:.0}").parse().ok()?,
        (None, _) => return settled(number),
    };
    (-EXACT_MAX..=EXACT_MAX).contains(&whole).then(|| whole.into())
}

/// A fraction that reading leaves unchanged: the given one, or else the nearest with 15 digits and 22 decimals, within
/// which every JSON reader is exact.
fn settled(number: &Number) -> Option<Number> {
    let read: Number = serde_json::from_str(&number.to_string()).ok()?;
    if read == *number {
        return Some(read);
    }
    let double = number.as_f64()?;
    let digits = if double.abs() < 1e-7 { format!("{double:.22}") } else { format!("{double:.14e}") };
    let rounded: f64 = digits.parse().ok()?;
    if rounded == 0.0 { Some(0.into()) } else { Number::from_f64(rounded) }
}
