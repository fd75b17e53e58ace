//! The published contract of the dialect: the inputs of each operation are read from it and not written down a second
//! time, so that an operation costs its meaning only.
//!
//! All problems of a request are found at once. Responses repeat no values of the request, since these may be personal.

use crate::api::common::error::{RequestViolation, Source};
use crate::json_schema::{FINDINGS_MAX, findings};
use axum::http::Method;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};

/// Longest name repeated to the client, in characters.
const NAME_LENGTH_MAX: usize = 200;

/// The published operations.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let document = serde_json::from_str(include_str!("../contract.json")).expect("the contract is JSON");
    Contract::of(&document).expect("the contract says what its operations take")
});

/// Operations by their identifiers.
pub struct Contract(HashMap<String, Operation>);

/// An operation and its inputs.
pub struct Operation {
    /// Published `operationId`.
    pub id: String,
    /// HTTP method.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: String,
    /// OpenAPI tags.
    pub tags: Vec<String>,
    parameters: Vec<Parameter>,
    body: Option<Body>,
}

struct Parameter {
    name: String,
    required: bool,
    kind: Kind,
    default: Option<Value>,
    shape: Shape,
}

/// Type as which the text of a parameter is parsed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    /// Repeatable.
    Texts,
}

struct Body {
    required: bool,
    shape: Shape,
}

/// Arguments of a request, checked against its operation; absent parameters have their defaults.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Argument that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whether there is an argument of this name, sent or by default.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Argument that is a non-negative number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// All arguments as one object, for decoding.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl Contract {
    fn of(document: &Value) -> Option<Self> {
        let components = document.get("components")?;
        let mut operations = HashMap::new();
        for (path, item) in document.get("paths")?.as_object()? {
            for (method, operation) in item.as_object()? {
                let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else { continue };
                let Some(id) = operation.get("operationId").and_then(Value::as_str) else { continue };
                let tags = operation.get("tags").and_then(Value::as_array).into_iter().flatten();
                let tags = tags.filter_map(Value::as_str).map(str::to_owned).collect();
                let declared = [item.get("parameters"), operation.get("parameters")];
                let declared = declared.into_iter().flatten().filter_map(Value::as_array).flatten();
                let parameters = declared.filter_map(|parameter| Parameter::of(parameter, components)).collect();
                let body = operation.get("requestBody").and_then(|body| Body::of(body, components));
                let (id, path) = (id.to_owned(), path.clone());
                operations.insert(id.clone(), Operation { id, method, path, tags, parameters, body });
            }
        }
        Some(Contract(operations))
    }

    /// The operation with this identifier.
    #[must_use]
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.0.get(id)
    }

    /// All operations.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.0.values()
    }
}

/// A schema, compiled at its first use: most operations of a server are called rarely.
struct Shape {
    /// The schema with the schemas that it refers to.
    schema: Value,
    validator: OnceLock<Validator>,
}

impl Shape {
    fn new(schema: &Value, components: &Value) -> Self {
        let mut schemas = Map::new();
        gather(schema, components, &mut schemas);
        let schema = json!({ "allOf": [schema], "components": { "schemas": schemas } });
        Shape { schema, validator: OnceLock::new() }
    }

    fn validator(&self) -> &Validator {
        self.validator.get_or_init(|| {
            let options = jsonschema::options()
                .should_validate_formats(true)
                .with_format("uuid", |text: &str| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
                .with_format("date", |text: &str| super::times::parse_date(text).is_some())
                .with_format("datetime", |text: &str| super::times::parse(text).is_some())
                .with_format("timezone", |text: &str| text.parse::<chrono_tz::Tz>().is_ok())
                .with_format("email", |text: &str| registrar_aggregates::values::EmailAddress::parse(text).is_ok())
                .with_format("phonenumberE164", |text: &str| {
                    registrar_aggregates::user::Phone::parse_stored(text).is_ok()
                })
                .with_format("phonenumberE164_us", |text: &str| {
                    registrar_aggregates::user::Phone::parse_stored(text).is_ok_and(|phone| phone.is_north_american())
                });
            options.build(&self.schema).expect("the contract has schemas only; a test makes all of them ready")
        })
    }
}

/// Collects the schemas that a schema refers to, recursively.
fn gather(schema: &Value, components: &Value, gathered: &mut Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next())
                && !gathered.contains_key(name)
                && let Some(referred) = components.get("schemas").and_then(|schemas| schemas.get(name))
            {
                gathered.insert(name.to_owned(), referred.clone());
                gather(referred, components, gathered);
            }
            members.values().for_each(|member| gather(member, components, gathered));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, components, gathered)),
        _ => {}
    }
}

impl Parameter {
    /// A parameter of the query.
    fn of(declared: &Value, components: &Value) -> Option<Self> {
        if declared.get("in").and_then(Value::as_str) != Some("query") {
            return None;
        }
        let schema = declared.get("schema")?;
        let kind = match schema.get("type").and_then(Value::as_str) {
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::Texts,
            _ => Kind::Text,
        };
        Some(Parameter {
            name: declared.get("name")?.as_str()?.to_owned(),
            required: declared.get("required").and_then(Value::as_bool) == Some(true),
            kind,
            default: schema.get("default").cloned(),
            shape: Shape::new(schema, components),
        })
    }

    fn read(&self, given: Vec<String>) -> Result<Value, &'static str> {
        if self.kind == Kind::Texts {
            return Ok(given.into());
        }
        let [text] = <[String; 1]>::try_from(given).map_err(|_| "must not be given more than once")?;
        match self.kind {
            Kind::Integer => {
                let whole = text.split_once('.').map_or(&*text, |(whole, rest)| {
                    // Whole numbers may have a point, for clients with a single number type.
                    if !rest.is_empty() && rest.bytes().all(|digit| digit == b'0') { whole } else { "" }
                });
                let digits = whole.strip_prefix('-').unwrap_or(whole);
                let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse::<i64>().ok());
                number.flatten().map(Value::from).ok_or("must be a whole number")
            }
            Kind::Boolean => match text.as_str() {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("must be true or false"),
            },
            Kind::Text | Kind::Texts => Ok(text.into()),
        }
    }
}

impl Body {
    fn of(declared: &Value, components: &Value) -> Option<Self> {
        let mut schema = declared.get("content")?.as_object()?.values().next()?.get("schema")?.clone();
        // An object without declared members is an empty one.
        if schema == json!({ "type": "object" }) {
            schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        }
        let required = declared.get("required").and_then(Value::as_bool) == Some(true);
        Some(Body { required, shape: Shape::new(&schema, components) })
    }
}

impl Operation {
    #[cfg(test)]
    fn make_ready(&self) {
        self.parameters
            .iter()
            .map(|parameter| &parameter.shape)
            .chain(self.body.iter().map(|body| &body.shape))
            .for_each(|shape| {
                shape.validator();
            });
    }

    /// Parses the query of a request.
    ///
    /// # Errors
    /// All violations.
    pub fn arguments(&self, query: &str) -> Result<Arguments, Vec<RequestViolation>> {
        let mut wrong = Vec::new();
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => given.entry(name).or_default().push(value),
                (name, _) => {
                    let name = name.unwrap_or_default();
                    wrong.push(RequestViolation::at(parameter(&name), "is not encoded as it must be"));
                }
            }
        }
        let mut arguments = Map::new();
        for declared in &self.parameters {
            let Some(values) = given.remove(&declared.name) else {
                if declared.required {
                    wrong.push(RequestViolation::at(parameter(&declared.name), "is required"));
                }
                arguments.extend(declared.default.clone().map(|default| (declared.name.clone(), default)));
                continue;
            };
            match declared.read(values) {
                Ok(value) => {
                    let found = declared.shape.validator().iter_errors(&value);
                    wrong.extend(found.flat_map(|error| findings(&error)).map(|(_, detail)| {
                        // The index within a list does not matter: all elements have one name.
                        RequestViolation::at(parameter(&declared.name), detail)
                    }));
                    arguments.insert(declared.name.clone(), value);
                }
                Err(detail) => wrong.push(RequestViolation::at(parameter(&declared.name), detail)),
            }
        }
        wrong.extend(
            given
                .keys()
                .take(FINDINGS_MAX)
                .map(|name| RequestViolation::at(parameter(name), "is an unknown parameter")),
        );
        reported(wrong).map_or(Ok(Arguments(arguments)), Err)
    }

    /// Validates a body; `None` if absent. Whole numbers written with a point or an exponent are returned as whole
    /// numbers.
    ///
    /// # Errors
    /// All violations.
    pub fn body(&self, body: Option<Value>) -> Result<Value, Vec<RequestViolation>> {
        let wrong = match (&self.body, &body) {
            (None, _) => vec![],
            (Some(declared), None) if declared.required => {
                vec![RequestViolation::at(Source::Pointer(String::new()), "is required")]
            }
            (Some(_), None) => vec![],
            (Some(declared), Some(body)) => {
                let errors = declared.shape.validator().iter_errors(body);
                errors.flat_map(|error| of_body(&error)).take(FINDINGS_MAX).collect()
            }
        };
        let mut body = body.unwrap_or_default();
        whole_numbers(&mut body);
        reported(wrong).map_or(Ok(body), Err)
    }
}

/// Converts numbers that are whole, and exact in floating point, to whole numbers.
fn whole_numbers(value: &mut Value) {
    /// Largest whole number up to which floating-point numbers are exact.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_MAX) {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the exact range")]
                let whole = float as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// Decodes a name or value; `None` if it is not UTF-8, has a `%` without two hexadecimal digits, or U+0000.
fn decoded(text: &str) -> Option<String> {
    let complete =
        text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    (complete && !decoded.contains('\0')).then(|| decoded.into_owned())
}

fn parameter(name: &str) -> Source {
    Source::Parameter(name.chars().take(NAME_LENGTH_MAX).collect())
}

/// Findings for the response: without duplicates, and no more than a client can use.
fn reported(wrong: Vec<RequestViolation>) -> Option<Vec<RequestViolation>> {
    let mut reported: Vec<RequestViolation> = Vec::new();
    for one in wrong.into_iter().take(FINDINGS_MAX) {
        if !reported.contains(&one) {
            reported.push(one);
        }
    }
    (!reported.is_empty()).then_some(reported)
}

/// Messages for a validation error of a body.
fn of_body(error: &ValidationError<'_>) -> Vec<RequestViolation> {
    let told = findings(error).into_iter().map(|(pointer, detail)| {
        let contradicts = matches!(error.kind(), ValidationErrorKind::Constant { .. }) && pointer == "/data/type";
        RequestViolation {
            source: Source::Pointer(pointer.chars().take(NAME_LENGTH_MAX).collect()),
            detail,
            contradicts,
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests;
