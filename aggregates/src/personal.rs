//! Personal values of JSON documents: finding them, taking them out and putting them back.
//!
//! A pattern is a JSON Pointer (RFC 6901) in which `*` stands for every element of a list or
//! member of an object. The sealing itself, which
//! needs keys, lives in the server; this is only the shape of it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Placeholder for a sealed value.
pub const SEALED: &str = "[sealed]";
/// Placeholder for a value that can no longer be opened, since its person was erased.
pub const ERASED: &str = "[erased]";
/// Placeholder for a secret that must never be shown.
pub const SECRET: &str = "***";

/// Suffix of a pattern for the whole subtree.
const BELOW: &str = "**";

/// The members of an event's payload that are not personal. All others are personal, so that an unlisted text is
/// sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disclosure {
    /// Patterns of the texts that are not personal, beside the event's type. A trailing `/**` covers the whole subtree.
    pub clear: &'static [&'static str],
    /// Patterns of members that are personal as a whole: their members' names and their numbers too.
    pub whole: &'static [&'static str],
}

impl Disclosure {
    /// Whether the payload is never personal, whatever its values.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.clear.contains(&"/**")
    }

    /// Concrete pointers of the personal members of `payload`.
    #[must_use]
    pub fn personal(&self, payload: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let clear = [&["/type"], self.clear].concat();
        hidden(payload, &mut String::new(), &clear, self.whole, &mut found);
        found
    }
}

/// The rest of the patterns that match `name`, each without its leading slash.
fn below<'p>(patterns: &[&'p str], name: &str) -> Vec<&'p str> {
    let fitting = patterns.iter().filter_map(|pattern| {
        let pattern = pattern.strip_prefix('/')?;
        let (token, rest) = pattern.find('/').map_or((pattern, ""), |at| pattern.split_at(at));
        match token {
            BELOW => Some("/**"),
            "*" => Some(rest),
            _ => (token == name).then_some(rest),
        }
    });
    fitting.collect()
}

fn step(path: &mut String, name: &str, act: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    act(path);
    path.truncate(length);
}

fn hidden(value: &Value, path: &mut String, clear: &[&str], whole: &[&str], found: &mut Vec<String>) {
    if clear.contains(&"/**") || value.is_null() {
        return;
    }
    if whole.contains(&"") {
        found.push(path.clone());
        return;
    }
    match value {
        Value::String(_) if !clear.contains(&"") => found.push(path.clone()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let index = index.to_string();
                step(path, &index, |path| hidden(item, path, &below(clear, &index), &below(whole, &index), found));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                step(path, name, |path| hidden(member, path, &below(clear, name), &below(whole, name), found));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads a member that is sealed as a whole: a mark in its place reads as the default.
///
/// # Errors
/// Errors of the value's own shape.
pub(crate) fn opened<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    if [SEALED, ERASED, SECRET].iter().any(|mark| value == *mark) {
        return Ok(T::default());
    }
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}

/// Takes every non-null value that a pattern matches out of `document`, leaving [`SEALED`] behind.
///
/// The result maps concrete pointers to the values and is empty if nothing matched.
pub fn take<P: AsRef<str>>(document: &mut Value, patterns: &[P]) -> Map<String, Value> {
    let mut taken = Map::new();
    visit_all(document, patterns, &mut |pointer, value| {
        taken.insert(pointer.to_owned(), std::mem::replace(value, Value::String(SEALED.into())));
    });
    taken
}

/// Restores values that [`take`] took out; places that no longer exist are skipped.
pub fn restore(document: &mut Value, taken: Map<String, Value>) {
    for (pointer, value) in taken {
        if let Some(place) = document.pointer_mut(&pointer) {
            *place = value;
        }
    }
}

/// Replaces every non-null value that a pattern matches by `marker`.
pub fn replace<P: AsRef<str>>(document: &mut Value, patterns: &[P], marker: &str) {
    visit_all(document, patterns, &mut |_, value| *value = Value::String(marker.into()));
}

/// Replaces by [`ERASED`] the values sealed under `patterns` that can no longer be opened.
pub fn erase<P: AsRef<str>>(document: &mut Value, patterns: &[P]) {
    visit_all(document, patterns, &mut |_, value| {
        if value == SEALED {
            *value = Value::String(ERASED.into());
        }
    });
}

fn visit_all<P: AsRef<str>>(document: &mut Value, patterns: &[P], act: &mut dyn FnMut(&str, &mut Value)) {
    for pattern in patterns {
        let mut path = String::new();
        visit(document, pattern.as_ref(), &mut path, act);
    }
}

fn visit(value: &mut Value, pattern: &str, path: &mut String, act: &mut dyn FnMut(&str, &mut Value)) {
    let Some(rest) = pattern.strip_prefix('/') else {
        if !value.is_null() {
            act(path, value);
        }
        return;
    };
    let (token, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let mut descend = |segment: &str, child: &mut Value| {
        let length = path.len();
        path.push('/');
        path.push_str(segment);
        visit(child, rest, path, act);
        path.truncate(length);
    };
    match value {
        Value::Array(items) if token == "*" => {
            for (index, item) in items.iter_mut().enumerate() {
                descend(&index.to_string(), item);
            }
        }
        Value::Array(items) => {
            if let Some(item) = token.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                descend(token, item);
            }
        }
        Value::Object(members) if token == "*" => {
            for (name, member) in members.iter_mut() {
                descend(&name.replace('~', "~0").replace('/', "~1"), member);
            }
        }
        Value::Object(members) => {
            if let Some(member) = members.get_mut(&token.replace("~1", "/").replace("~0", "~")) {
                descend(token, member);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PATTERNS: &[&str] = &["/name", "/addresses/*/city", "/absent"];

    #[test]
    fn restoring_the_taken_values_gives_back_the_document() {
        let original = json!({"name": "Ada", "addresses": [{"city": "London"}, {"city": null}], "kept": 1});
        let mut document = original.clone();
        let taken = take(&mut document, PATTERNS);
        assert_eq!(document, json!({"name": SEALED, "addresses": [{"city": SEALED}, {"city": null}], "kept": 1}));
        restore(&mut document, taken);
        assert_eq!(document, original);
    }

    #[test]
    fn an_erased_document_keeps_its_shape() {
        let mut document = json!({"name": "Ada", "addresses": [{"city": "London"}]});
        take(&mut document, PATTERNS);
        erase(&mut document, PATTERNS);
        assert_eq!(document, json!({"name": ERASED, "addresses": [{"city": ERASED}]}));
    }

    #[test]
    fn a_clear_value_that_looks_like_a_mark_survives_the_round_trip() {
        let mut document = json!({"name": SEALED});
        let taken = take(&mut document, PATTERNS);
        restore(&mut document, taken);
        assert_eq!(document, json!({"name": SEALED}));
    }

    #[test]
    fn taken_values_are_named_by_their_json_pointers() {
        let mut document = json!({"name": "Ada", "addresses": [{"city": "London"}, {}, {"city": "Paris"}]});
        let taken = take(&mut document, PATTERNS);
        let expected = json!({"/name": "Ada", "/addresses/0/city": "London", "/addresses/2/city": "Paris"});
        assert_eq!(Value::Object(taken), expected);
    }

    #[test]
    fn a_star_stands_for_every_member_of_an_object() {
        let original = json!({"Active": {"name": "Ada"}, "a/b~c": {"name": "Grace"}});
        let mut document = original.clone();
        let taken = take(&mut document, &["/*/name"]);
        assert_eq!(document, json!({"Active": {"name": SEALED}, "a/b~c": {"name": SEALED}}));
        assert!(taken.contains_key("/a~1b~0c/name"));
        restore(&mut document, taken);
        assert_eq!(document, original);
    }

    #[test]
    fn escaped_names_and_numbered_elements_are_found() {
        let original = json!({"a/b": {"~c": "x"}, "list": ["y", "z"]});
        let mut document = original.clone();
        let taken = take(&mut document, &["/a~1b/~0c", "/list/1", "/list/2", "/list/x"]);
        assert_eq!(document, json!({"a/b": {"~c": SEALED}, "list": ["y", SEALED]}));
        restore(&mut document, taken);
        assert_eq!(document, original);
    }

    #[test]
    fn a_pattern_without_a_match_takes_nothing() {
        for mut document in [json!("text"), json!(1), json!(null), json!([]), json!({}), json!({"addresses": "none"})] {
            let original = document.clone();
            assert_eq!(take(&mut document, PATTERNS), Map::new());
            assert_eq!(document, original);
        }
    }

    #[test]
    fn taken_values_without_a_place_are_not_restored() {
        let mut document = json!({"name": "Ada", "addresses": [{"city": "London"}]});
        let taken = take(&mut document, PATTERNS);
        document["addresses"] = json!([]);
        restore(&mut document, taken);
        assert_eq!(document, json!({"name": "Ada", "addresses": []}));
    }

    #[test]
    fn erasure_marks_only_personal_values_that_are_still_sealed() {
        let mut document = json!({"name": "Ada", "addresses": [{"city": SEALED}], "kept": SEALED});
        erase(&mut document, PATTERNS);
        assert_eq!(document, json!({"name": "Ada", "addresses": [{"city": ERASED}], "kept": SEALED}));
    }

    #[test]
    fn replacement_leaves_absent_values_absent() {
        let mut document = json!({"name": null, "addresses": [{"city": "London"}, {}]});
        replace(&mut document, PATTERNS, SECRET);
        assert_eq!(document, json!({"name": null, "addresses": [{"city": SECRET}, {}]}));
    }
}
