//! Request bodies: well-formed JSON of the right content type, without duplicate members or U+0000, read member by
//! member.

use crate::api::common::ApiError;
use crate::api::common::boundary::read_body;
use crate::api::common::findings::Findings;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// serde_json's message for a number beyond the range of `f64`.
const NUMBER_OUT_OF_RANGE: &str = "number out of range";

/// A value read from the JSON of a request.
pub trait FromJson: Sized {
    /// Accepted content types; the first is the documented one.
    const CONTENT_TYPES: &'static [&'static str] = &["application/json"];
    /// Prefix of field paths.
    const ROOT: &'static str = "";
    /// Separator between a field and its problem.
    const BETWEEN: &'static str = " ";

    /// Reads the value and adds all findings. `None` only if there is a finding.
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self>;
}

/// A request body, read as `T`.
pub struct Body<T>(pub T);

impl<T: FromJson, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let typed = request.headers().contains_key(CONTENT_TYPE);
        if typed && !has_type(request.headers(), T::CONTENT_TYPES) {
            return Err(ApiError::UnsupportedMediaType { expected: T::CONTENT_TYPES[0] });
        }
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.extensions, body).await?;
        // An absent body needs no content type; a present one must state its own.
        if !typed && !bytes.is_empty() {
            return Err(ApiError::UnsupportedMediaType { expected: T::CONTENT_TYPES[0] });
        }
        read(&bytes).map(Body)
    }
}

/// Reads a value from the bytes of a request body.
///
/// # Errors
/// `Invalid` with all findings; with a single one for malformed JSON.
pub fn read<T: FromJson>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut findings = Findings::default();
    let json = parse(bytes, T::ROOT, T::BETWEEN, &mut findings)?;
    let value = T::from_json(json, &mut findings);
    findings.or(value, T::BETWEEN)
}

/// Whether the content type is among the accepted ones.
#[must_use]
pub fn has_type(headers: &HeaderMap, accepted: &[&str]) -> bool {
    let Some(Ok(sent)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = sent.split(';').next().unwrap_or_default().trim();
    accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted))
}

/// Reads JSON of any shape, with all violations of the rules above.
///
/// # Errors
/// All violations; a single one for malformed JSON.
pub fn value(bytes: &[u8]) -> Result<Value, Vec<String>> {
    let mut findings = Findings::default();
    match parse(bytes, "", " ", &mut findings).and_then(|value| findings.or(Some(value), " ")) {
        Ok(value) => Ok(value),
        Err(ApiError::Invalid(findings)) => Err(findings),
        Err(ApiError::InvalidFields(fields)) => {
            Err(fields.into_iter().map(|(field, wrong)| format!("{field} {wrong}")).collect())
        }
        Err(_) => Err(vec!["is not valid JSON".to_owned()]),
    }
}

fn parse(bytes: &[u8], root: &str, between: &str, findings: &mut Findings) -> Result<Value, ApiError> {
    let (found, broken_at) = (RefCell::new(std::mem::take(findings)), RefCell::new(None));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = ValueAt { path: &Path::Root(root), findings: &found, broken_at: &broken_at }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    *findings = found.into_inner();
    parsed.map_err(|error| match broken_at.into_inner() {
        // The parser stops at a number out of range; it is valid JSON all the same, so its member is named.
        Some(path) if error.to_string().starts_with(NUMBER_OUT_OF_RANGE) => {
            findings.add(&path, "must be a number within the range of 64 bits");
            std::mem::take(findings).or(None::<()>, between).err().unwrap_or(ApiError::Invalid(Vec::new()))
        }
        _ => ApiError::invalid(format!("body is not valid JSON: {error}")),
    })
}

/// Path of a value in a body; formatted only for a finding.
enum Path<'p> {
    Root(&'p str),
    Member(&'p Path<'p>, &'p str),
    Element(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(root) => f.write_str(root),
            Path::Member(Path::Root(""), name) => f.write_str(name),
            Path::Member(parent, name) => write!(f, "{parent}.{name}"),
            Path::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads a [`Value`] as serde_json does, and detects duplicate members, which a `Value` no longer shows. Programs
/// differ in which of the two they take, so a signature check or a proxy might have seen the other.
struct ValueAt<'p> {
    path: &'p Path<'p>,
    findings: &'p RefCell<Findings>,
    /// Path of the innermost unreadable value.
    broken_at: &'p RefCell<Option<String>>,
}

impl ValueAt<'_> {
    fn text(&self, text: String) -> Value {
        if text.contains('\0') {
            let problem = registrar_aggregates::values::Problem::Nul;
            self.findings.borrow_mut().add(self.path, problem.to_string());
        }
        Value::String(text)
    }
}

impl<'de> DeserializeSeed<'de> for ValueAt<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let (path, broken_at) = (self.path, self.broken_at);
        deserializer.deserialize_any(self).inspect_err(|_| {
            broken_at.borrow_mut().get_or_insert_with(|| path.to_string());
        })
    }
}

impl<'de> Visitor<'de> for ValueAt<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom(NUMBER_OUT_OF_RANGE))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Element(self.path, list.len());
            match elements.next_element_seed(ValueAt { path: &path, ..self })? {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = Path::Member(self.path, &name);
            let value = members.next_value_seed(ValueAt { path: &path, ..self })?;
            if map.contains_key(&name) {
                self.findings.borrow_mut().add(&path, "must not be given more than once");
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
