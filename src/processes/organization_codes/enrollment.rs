//! Enrollment forms: JSON Schemas that customers write, and that strangers' data is checked by. A form is taken for
//! hostile, and four bounds keep it harmless:
//!
//! - It refers to parts of itself alone, and to none that contains the reference. Its parts are counted with the targets
//!   of references: a few references to references would otherwise stand for billions of parts.
//! - Its patterns are few, small once compiled, and matched in linear time, so without look-around and back-references.
//! - It has no identifiers, anchors and dynamic references, by which a reference may lead elsewhere than it reads.
//! - Nothing is fetched.
//!
//! Size and depth of forms and data are rules of the domain. In errors there are names and values of the form and names
//! of the data, no values of the data.

use crate::json_schema::{escaped, findings};
use jsonschema::{PatternOptions, ValidationError, Validator};
use registrar_aggregates::organization_code::fit_enrollment;
use serde_json::Value;

/// Most objects and lists of a form; the target of a reference counts with each reference.
const PARTS_MAX: usize = 1_000;
/// Deepest nesting, references followed. Some rules look twice at every level below.
const DEPTH_MAX: usize = 32;
/// Most patterns, counted like the parts.
const PATTERNS_MAX: usize = 32;
/// Largest compiled pattern, in bytes: some 250 repetitions of a class.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Most bytes that matching a pattern may cache.
const PATTERN_CACHE_BYTES_MAX: usize = 512 * 1024;
/// Longest error, in characters: names and values of a form may be long.
const ERROR_LENGTH_MAX: usize = 300;
/// Versions of JSON Schema that a form may name. In earlier ones identifiers and references are other members.
const VERSIONS: [&str; 4] = [
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

type Checked = Result<(), String>;

/// Checks that data can be checked by a form, within bounds of time and memory.
///
/// # Errors
/// The first broken rule, with its place in the form; it reads well after the name of the member.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    Walk { schema, parts: 0, patterns: 0 }.part(schema, "", 1)?;
    validator(schema).map(drop).map_err(|error| first("is no form", &error))
}

/// Checks data by a form that was stored.
///
/// # Errors
/// The first broken rule, with its place in the data; it reads well after the name of the member.
pub fn check_enrollment(schema: &Value, data: &Value) -> Result<(), String> {
    let data = fit_enrollment(data.clone()).map_err(|problem| problem.to_string())?;
    let form = validator(schema).map_err(|error| first("cannot be checked by the form", &error))?;
    form.validate(&data).map_err(|error| first("does not fit the form", &error))
}

/// The form as a program. Building it takes some milliseconds at most.
fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        // An identifier would lead references to a schema that is known by it, perhaps to JSON Schema itself.
        members.remove("$id");
    }
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_BYTES_MAX);
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        // A pattern among the data would be compiled without our bounds.
        .with_format("regex", |_: &str| true)
        .with_pattern_options(patterns)
        .build(&schema)
}

fn first(judgement: &str, error: &ValidationError<'_>) -> String {
    match findings(error).first() {
        Some((at, detail)) => said(judgement, at, detail),
        None => said(judgement, error.instance_path().as_str(), "is not as it must be"),
    }
}

fn said(judgement: &str, at: &str, detail: &str) -> String {
    let at = if at.is_empty() { "it" } else { at };
    format!("{judgement}: {at} {detail}").chars().take(ERROR_LENGTH_MAX).collect()
}

fn broken(at: &str, rule: &str) -> Checked {
    Err(said("is no form", at, rule))
}

/// A walk through a form that follows its references, and ends where it becomes too long.
struct Walk<'s> {
    schema: &'s Value,
    parts: usize,
    patterns: usize,
}

impl Walk<'_> {
    /// A value of the form. Anything may be a schema, since a reference may lead to it.
    fn part(&mut self, value: &Value, at: &str, depth: usize) -> Checked {
        if !matches!(value, Value::Array(_) | Value::Object(_)) {
            return Ok(());
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(format!("must not have more than {PARTS_MAX} parts, with all that it refers to"));
        }
        if depth > DEPTH_MAX {
            return Err(format!("must not be deeper than {DEPTH_MAX} levels, with all that it refers to"));
        }
        match value {
            Value::Object(members) => {
                members.iter().try_for_each(|(name, member)| self.member(name, member, at, depth))
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.part(item, &format!("{at}/{index}"), depth + 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn member(&mut self, name: &str, member: &Value, part: &str, depth: usize) -> Checked {
        let at = &format!("{part}/{}", escaped(name));
        match name {
            "$ref" => self.reference(member, at, depth),
            "$schema" if depth == 1 => check_version(member, at),
            "$id" if depth == 1 => Ok(()),
            "$comment" | "$defs" => self.part(member, at, depth + 1),
            _ if name.starts_with('$') => broken(at, "is not supported"),
            "pattern" if member.is_string() => self.count_patterns(1),
            "patternProperties" => {
                self.count_patterns(member.as_object().map_or(0, |patterns| patterns.len()))?;
                self.part(member, at, depth + 1)
            }
            _ => self.part(member, at, depth + 1),
        }
    }

    fn reference(&mut self, reference: &Value, at: &str, depth: usize) -> Checked {
        let schema = self.schema;
        // Encoded characters are not decoded here, so that there is one reading of a reference.
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).filter(|text| !text.contains('%'));
        match pointer.and_then(|pointer| Some((pointer, schema.pointer(pointer)?))) {
            Some((pointer, target)) => self.part(target, pointer, depth + 1),
            None => broken(at, "must refer to a part of the form, such as #/$defs/part"),
        }
    }

    fn count_patterns(&mut self, more: usize) -> Checked {
        self.patterns += more;
        if self.patterns <= PATTERNS_MAX {
            return Ok(());
        }
        Err(format!("must not have more than {PATTERNS_MAX} patterns, with all that it refers to"))
    }
}

fn check_version(version: &Value, at: &str) -> Checked {
    let known = version.as_str().is_some_and(|text| VERSIONS.contains(&text.trim_end_matches('#')));
    if known { Ok(()) } else { broken(at, "must be the address of JSON Schema 2020-12, 2019-09, draft-07 or draft-06") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registrar_aggregates::organization_code::FORM_BOUNDS;
    use serde_json::json;
    use std::time::{Duration, Instant};

    /// Longest time of a check, with a large margin for a busy machine.
    const LONGEST: Duration = Duration::from_secs(20);

    fn refused(schema: &Value) -> String {
        check_schema(schema).expect_err("no form")
    }

    fn form() -> Value {
        json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "https://example.com/enrollment.json",
            "title": "Enrollment",
            "type": "object",
            "required": ["mrn"],
            "additionalProperties": false,
            "properties": {
                "mrn": { "type": "string", "pattern": "^[A-Z]{2}\\d{6}$" },
                "born": { "type": "string", "format": "date" },
                "plan": { "enum": ["gold", "silver"] },
                "home": { "$ref": "#/definitions/address" },
                "work": { "$ref": "#/definitions/address" },
            },
            "definitions": { "address": { "type": "object", "properties": { "zip": { "type": "string", "maxLength": 5 } } } },
        })
    }

    #[test]
    fn data_is_checked_by_the_form_of_its_code() {
        assert_eq!(check_schema(&form()), Ok(()));
        let data = json!({ "mrn": "AB123456", "born": "2000-02-29", "plan": "gold", "home": { "zip": "10001" } });
        assert_eq!(check_enrollment(&form(), &data), Ok(()));
        for (data, error) in [
            (json!({}), "does not fit the form: /mrn is required"),
            (json!({ "mrn": "secret" }), "does not fit the form: /mrn is not as it must be"),
            (
                json!({ "mrn": "AB123456", "plan": "secret" }),
                "does not fit the form: /plan must be one of gold, silver",
            ),
            (
                json!({ "mrn": "AB123456", "born": "secret" }),
                "does not fit the form: /born must be a date (YYYY-MM-DD)",
            ),
            (json!({ "mrn": "AB123456", "other": "secret" }), "does not fit the form: /other is not known"),
            (
                json!({ "mrn": "AB123456", "work": { "zip": "secret" } }),
                "does not fit the form: /work/zip must not be longer than 5 characters",
            ),
            (json!("secret"), "does not fit the form: it is not of the type that it must be"),
        ] {
            assert_eq!(check_enrollment(&form(), &data), Err(error.to_owned()));
        }
    }

    #[test]
    fn a_form_without_rules_takes_any_data() {
        assert_eq!(check_schema(&json!({})), Ok(()));
        assert_eq!(check_enrollment(&json!({}), &json!({ "a": [1, "b", null] })), Ok(()));
    }

    #[test]
    fn data_out_of_bounds_is_refused_also_by_a_form_without_rules() {
        let deep = (0..16).fold(json!({}), |inner, _| json!({ "a": inner }));
        let large = json!({ "a": "x".repeat(64 * 1024) });
        for data in [deep, large, json!({ "a": "\u{202e}" }), json!({ "a\0": 1 }), json!({ "a": 1e300 })] {
            assert!(check_enrollment(&json!({}), &data).is_err_and(|error| error.starts_with("must not ")), "{data}");
        }
    }

    #[test]
    fn a_schema_that_breaks_json_schema_is_refused_by_its_place() {
        for (schema, place) in [
            (json!({ "type": "nonsense" }), "/type"),
            (json!({ "properties": { "age": { "minimum": "ten" } } }), "/properties/age/minimum"),
            (json!({ "properties": 5 }), "/properties"),
            (json!({ "required": "mrn" }), "/required"),
            (json!({ "properties": { "a": { "pattern": "(" } } }), "/properties/a/pattern"),
            (json!({ "properties": { "a": { "pattern": "(?=a)b" } } }), "/properties/a/pattern"),
            (json!({ "properties": { "a": { "pattern": "^(a)\\1$" } } }), "/properties/a/pattern"),
            (json!({ "properties": { "a": { "pattern": "(?:a{1000}){1000}" } } }), "/properties/a/pattern"),
        ] {
            let error = refused(&schema);
            assert!(error.starts_with(&format!("is no form: {place} ")), "{schema}: {error}");
        }
    }

    #[test]
    fn a_form_refers_to_parts_of_itself_alone() {
        for reference in [
            json!("https://example.com/form.json"),
            json!("http://169.254.169.254/latest/meta-data"),
            json!("file:///etc/passwd"),
            json!("other.json#/a"),
            json!("#anchor"),
            json!("#/no/such"),
            json!("#/%24defs/a"),
            json!("json-schema:///"),
            json!(""),
            json!(7),
        ] {
            let schema = json!({ "properties": { "a": { "$ref": reference } }, "$defs": { "a": {} } });
            assert_eq!(
                refused(&schema),
                "is no form: /properties/a/$ref must refer to a part of the form, such as #/$defs/part",
            );
        }
    }

    #[test]
    fn members_that_lead_a_reference_elsewhere_are_refused() {
        for name in ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$schema", "$vocabulary"] {
            let schema = json!({ "$defs": { "a": { name: "#a" } } });
            assert_eq!(refused(&schema), format!("is no form: /$defs/a/{name} is not supported"));
        }
        let old = json!({ "$schema": "http://json-schema.org/draft-04/schema#" });
        let own = json!({ "$schema": "https://example.com/schema" });
        for schema in [old, own, json!({ "$schema": 7 })] {
            assert!(refused(&schema).starts_with("is no form: /$schema must be the address of JSON Schema "));
        }
    }

    #[test]
    fn the_identifier_of_a_form_leads_no_reference_to_json_schema() {
        let schema = json!({
            "$id": "https://json-schema.org/draft/2020-12/schema",
            "$ref": "#/$defs/yes",
            "$defs": { "yes": { "const": "yes" } },
        });
        assert_eq!(check_schema(&schema), Ok(()));
        assert_eq!(check_enrollment(&schema, &json!("yes")), Ok(()));
        assert!(check_enrollment(&schema, &json!({})).is_err());
    }

    #[test]
    fn a_form_that_contains_itself_is_refused() {
        let itself = json!({ "properties": { "child": { "$ref": "#" } } });
        let round = json!({
            "$ref": "#/$defs/a",
            "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } },
        });
        for schema in [itself, round] {
            assert!(refused(&schema).ends_with("with all that it refers to"), "{schema}");
        }
    }

    /// Thirty definitions, each of which refers twice to the next one, are a billion parts.
    #[test]
    fn references_do_not_multiply_the_parts_of_a_form() {
        let definitions = (0..30).map(|number: usize| {
            let next = json!({ "$ref": format!("#/$defs/d{}", number + 1) });
            (format!("d{number}"), json!({ "allOf": [next, next] }))
        });
        let mut definitions: serde_json::Map<_, _> = definitions.collect();
        definitions.insert("d30".into(), json!({ "type": "string" }));
        let begun = Instant::now();
        assert!(refused(&json!({ "$ref": "#/$defs/d0", "$defs": definitions })).starts_with("must not "));
        assert!(begun.elapsed() < LONGEST);
    }

    #[test]
    fn a_form_has_few_patterns() {
        let patterns = |number: usize| {
            let properties = (0..number).map(|number| (format!("p{number}"), json!({ "pattern": "^[a-z]+$" })));
            json!({ "properties": properties.collect::<serde_json::Map<_, _>>() })
        };
        assert_eq!(check_schema(&patterns(PATTERNS_MAX)), Ok(()));
        let many = "must not have more than 32 patterns, with all that it refers to";
        assert_eq!(refused(&patterns(PATTERNS_MAX + 1)), many);
        let named = (0..=PATTERNS_MAX).map(|number| (format!("^{number}"), json!({})));
        assert_eq!(refused(&json!({ "patternProperties": named.collect::<serde_json::Map<_, _>>() })), many);
        // A property of this name is none.
        assert_eq!(check_schema(&json!({ "properties": { "pattern": { "type": "string" } } })), Ok(()));
    }

    /// Patterns and data that take a backtracking engine for ever.
    #[test]
    fn patterns_take_linear_time() {
        for pattern in ["^(a+)+$", "^(a|aa)+$", "^(.*a){20}$", "(x+x+)+y"] {
            let schema = json!({ "properties": { "a": { "pattern": pattern }, "b": { "format": "regex" } } });
            assert_eq!(check_schema(&schema), Ok(()), "{pattern}");
            let begun = Instant::now();
            let data = json!({ "a": format!("{}!", "ax".repeat(8_000)), "b": "(".repeat(16_000) });
            let _ = check_enrollment(&schema, &data);
            assert!(begun.elapsed() < LONGEST, "{pattern}");
        }
    }

    /// The costliest forms and data that the bounds allow.
    #[test]
    fn the_largest_forms_are_checked_in_time() {
        let all: Vec<_> = (0..400).map(|_| json!({ "type": "number" })).collect();
        let lists = json!({ "properties": { "a": { "items": { "allOf": all } } } });
        let nested = (0..7).fold(
            json!({ "unevaluatedProperties": false }),
            |inner, _| json!({ "allOf": [inner], "unevaluatedProperties": false }),
        );
        // As a deterministic automaton each of them has some 2^200 states.
        let patterns: Vec<_> = (0..30).map(|more| json!({ "pattern": format!("a[ab]{{{}}}c$", 200 + more) })).collect();
        for (schema, data) in [
            (lists, json!({ "a": vec![1; 16_000] })),
            (nested, json!({ "a": 1 })),
            (json!({ "properties": { "a": { "anyOf": patterns } } }), json!({ "a": "ab".repeat(3_000) })),
        ] {
            assert!(schema.to_string().len() <= FORM_BOUNDS.bytes_max);
            let begun = Instant::now();
            assert_eq!(check_schema(&schema), Ok(()));
            let _ = check_enrollment(&schema, &data);
            assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn an_error_is_short_also_for_a_form_with_many_options() {
        let options: Vec<_> = (0..1_000).map(|number| format!("option {number}")).collect();
        let error = check_enrollment(&json!({ "enum": options }), &json!("secret")).expect_err("none of them");
        assert_eq!(error.chars().count(), ERROR_LENGTH_MAX);
        assert!(!error.contains("secret"));
    }
}
