//! Errors of JSON Schema in words. They name members of the checked document and values of the schema, never values of
//! the document, since these may be personal.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// Most findings reported; a client gains nothing from more.
pub const FINDINGS_MAX: usize = 50;

/// Places and messages of an error; the closest alternative speaks for all. A place is a JSON Pointer into the document.
#[must_use]
pub fn findings(error: &ValidationError<'_>) -> Vec<(String, String)> {
    use ValidationErrorKind as Kind;
    let at = error.instance_path().as_str().to_owned();
    let one = |detail: String| vec![(at.clone(), detail)];
    match error.kind() {
        Kind::Required { property } => {
            vec![(format!("{at}/{}", escaped(property.as_str().unwrap_or_default())), "is required".to_owned())]
        }
        Kind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .take(FINDINGS_MAX)
            .map(|name| (format!("{at}/{}", escaped(name)), "is not known".to_owned()))
            .collect(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let closest = context.iter().min_by_key(|errors| errors.len());
            match closest {
                Some(errors) if !errors.is_empty() => errors.iter().flat_map(findings).collect(),
                _ => one("has none of the allowed forms".to_owned()),
            }
        }
        Kind::OneOfMultipleValid { .. } => one("has two of the allowed forms at once".to_owned()),
        Kind::Constant { expected_value } => one(format!("must be {}", word(expected_value))),
        Kind::Enum { options } => {
            let words: Vec<_> = options.as_array().into_iter().flatten().map(word).collect();
            one(format!("must be one of {}", words.join(", ")))
        }
        Kind::Format { format } => one(format!("must be {}", named(format))),
        Kind::MaxItems { limit } => one(format!("must not have more than {limit} elements")),
        Kind::MinItems { limit } => one(format!("must have at least {limit} element(s)")),
        Kind::MaxLength { limit } => one(format!("must not be longer than {limit} characters")),
        Kind::MinLength { limit } => one(format!("must have at least {limit} character(s)")),
        Kind::Maximum { limit } => one(format!("must not be greater than {limit}")),
        Kind::Minimum { limit } => one(format!("must not be less than {limit}")),
        Kind::UniqueItems => one("must not have the same element twice".to_owned()),
        Kind::Type { .. } => one("is not of the type that it must be".to_owned()),
        _ => one("is not as it must be".to_owned()),
    }
}

/// A value of the schema in messages.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A member name escaped for a JSON Pointer (RFC 6901 3).
#[must_use]
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn named(format: &str) -> &str {
    match format {
        "uuid" => "a UUID",
        "date" => "a date (YYYY-MM-DD)",
        "datetime" => "a time (YYYY-MM-DD hh:mm:ss, or RFC 3339)",
        "timezone" => "a name of the IANA time zone database",
        "email" => "an e-mail address",
        "phonenumberE164" => "an E.164 telephone number",
        "phonenumberE164_us" => "an E.164 telephone number of the country code 1",
        "regex" => "a regular expression of moderate size without look-around and back-references",
        other => other,
    }
}
