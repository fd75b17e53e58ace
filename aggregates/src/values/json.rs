//! JSON that callers write freely: bounded and in one spelling, so that a response equals the stored value.

use super::{Problem, check_text};
use serde::Serialize;
use serde_json::{Map, Number, Value};

/// Largest whole number up to which doubles, and so every JSON reader, are exact.
const EXACT_MAX: i64 = 1 << 53;

/// Bounds of JSON that callers write freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonBounds {
    /// Most bytes, written without spaces.
    pub bytes_max: usize,
    /// Most members of all objects together.
    pub members_max: usize,
    /// Deepest nesting; the value itself is the first level.
    pub depth_max: usize,
}

impl JsonBounds {
    /// Checks a value and writes its numbers in their plain form: `100` for `1e2` and `100.0`, `0` for `-0.0`.
    ///
    /// # Errors
    /// `TooDeep`, `TooManyMembers`, `InexactNumber`, `TooLarge`.
    pub fn settle(&self, value: &mut Value) -> Result<(), Problem> {
        self.part(value, 1, &mut 0)?;
        self.check_size(value)
    }

    /// As [`JsonBounds::settle`] for the members of one object, whose values are on the level `depth`; the size is not
    /// checked. `counted` are the members so far.
    pub(crate) fn members(
        &self,
        members: &mut Map<String, Value>,
        depth: usize,
        counted: &mut usize,
    ) -> Result<(), Problem> {
        *counted += members.len();
        if *counted > self.members_max {
            return Err(Problem::TooManyMembers { max: self.members_max });
        }
        members.values_mut().try_for_each(|member| self.part(member, depth, counted))
    }

    fn part(&self, value: &mut Value, depth: usize, counted: &mut usize) -> Result<(), Problem> {
        if matches!(value, Value::Array(_) | Value::Object(_)) && depth > self.depth_max {
            return Err(Problem::TooDeep { max: self.depth_max });
        }
        match value {
            Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
            Value::Number(number) => {
                *number = plain(number).ok_or(Problem::InexactNumber)?;
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.part(item, depth + 1, counted)),
            Value::Object(members) => self.members(members, depth + 1, counted),
        }
    }

    /// Refuses a value that is too long as JSON.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn check_size(&self, value: &impl Serialize) -> Result<(), Problem> {
        let size = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
        if size > self.bytes_max { Err(Problem::TooLarge { max: self.bytes_max }) } else { Ok(()) }
    }
}

/// Refuses a text or a name that could not be stored or would be misread, at any depth, which must be bounded already.
///
/// # Errors
/// As [`check_text`].
pub(crate) fn check_texts(value: &Value) -> Result<(), Problem> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => check_text(text),
        Value::Array(items) => items.iter().try_for_each(check_texts),
        Value::Object(members) => check_members(members),
    }
}

/// As [`check_texts`], for the members of an object.
///
/// # Errors
/// As [`check_text`].
pub(crate) fn check_members(members: &Map<String, Value>) -> Result<(), Problem> {
    members.iter().try_for_each(|(name, member)| check_text(name).and_then(|()| check_texts(member)))
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
