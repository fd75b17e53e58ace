//! Reading JSON member by member, so that all problems are found at once and named by path.

use crate::api::common::findings::Findings;
use registrar_aggregates::values::check_name;
use serde_json::{Map, Value};

/// Members of an object that have not been read yet.
pub struct MemberReader<'f> {
    path: String,
    members: Map<String, Value>,
    /// Collects all problems.
    pub findings: &'f mut Findings,
}

/// Path of the member `name` of the object at `path`.
#[must_use]
pub fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'f> MemberReader<'f> {
    /// The members of `json` at `path`; `None` and a finding if it is not an object.
    pub fn of(json: Value, path: &str, findings: &'f mut Findings) -> Option<Self> {
        match json {
            Value::Object(members) => Some(MemberReader { path: path.to_owned(), members, findings }),
            _ => {
                findings.add(if path.is_empty() { "body" } else { path }, "must be an object");
                None
            }
        }
    }

    /// The members of an object at `path`.
    pub fn at(members: Map<String, Value>, path: &str, findings: &'f mut Findings) -> Self {
        MemberReader { path: path.to_owned(), members, findings }
    }

    /// Reads an optional member.
    pub fn optional<T>(&mut self, name: &str, read: impl ReadValue<T>) -> Option<T> {
        let json = self.members.remove(name)?;
        read(json, &member(&self.path, name), self.findings)
    }

    /// Reads a required member.
    pub fn required<T>(&mut self, name: &str, read: impl ReadValue<T>) -> Option<T> {
        if !self.members.contains_key(name) {
            self.findings.add(member(&self.path, name), "should not be null or undefined");
            return None;
        }
        self.optional(name, read)
    }

    /// Adds a finding for every unread member.
    pub fn finish(self) {
        for name in self.members.keys() {
            self.findings.unexpected(member(&self.path, name));
        }
    }

    /// Path of the member `name`.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        member(&self.path, name)
    }
}

/// Reads the value at a path; `None` if it added a finding.
pub trait ReadValue<T>: FnOnce(Value, &str, &mut Findings) -> Option<T> {}
impl<T, F: FnOnce(Value, &str, &mut Findings) -> Option<T>> ReadValue<T> for F {}

fn wrong<T>(path: &str, findings: &mut Findings, problem: &str) -> Option<T> {
    findings.add(path, problem);
    None
}

/// A text, possibly empty.
pub fn text(json: Value, path: &str, findings: &mut Findings) -> Option<String> {
    match json {
        Value::String(text) => Some(text),
        _ => wrong(path, findings, "must be a string"),
    }
}

/// A text that is not empty.
pub fn name(json: Value, path: &str, findings: &mut Findings) -> Option<String> {
    let name = text(json, path, findings)?;
    findings.check(path, check_name(&name)).map(|()| name)
}

/// True or false.
pub fn boolean(json: Value, path: &str, findings: &mut Findings) -> Option<bool> {
    json.as_bool().or_else(|| wrong(path, findings, "must be a boolean value"))
}

/// A code: a whole number from 1 up. `1.0` is one, `"1"` is not.
pub fn code(json: Value, path: &str, findings: &mut Findings) -> Option<u32> {
    let Some(number) = json.as_f64() else { return wrong(path, findings, "must be a number") };
    if number.fract() != 0.0 {
        wrong(path, findings, "must be an integer number")
    } else if number < 1.0 {
        wrong(path, findings, "must not be less than 1")
    } else if number > f64::from(u32::MAX) {
        wrong(path, findings, &format!("must not be greater than {}", u32::MAX))
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within the range")]
        Some(number as u32)
    }
}

/// A list with the same reading for every element.
pub fn list<T>(read: impl Fn(Value, &str, &mut Findings) -> Option<T>) -> impl ReadValue<Vec<T>> {
    move |json, path, findings| match json {
        Value::Array(elements) => {
            let read: Vec<_> = elements
                .into_iter()
                .enumerate()
                .map(|(index, element)| read(element, &format!("{path}[{index}]"), findings))
                .collect();
            read.into_iter().collect()
        }
        _ => wrong(path, findings, "must be an array"),
    }
}
