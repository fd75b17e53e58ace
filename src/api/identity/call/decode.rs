//! Requests as types. The contract has checked their shape, so only domain rules are left to refuse here: the form of
//! an address, of an identifier, of a comparison.

use super::Call;
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::api::identity::call::HandlerResult;
use crate::api::identity::times::{self, Comparison};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use registrar_aggregates::feature::FeatureId;
use registrar_aggregates::organization_code::CodeSpelling;
use registrar_aggregates::theme::DomainName;
use registrar_aggregates::user::{BirthDate, Phone};
use registrar_aggregates::values::{EmailAddress, Problem};
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use zeroize::Zeroizing;

/// Marks messages that are safe for clients. All others may repeat values of the request.
const RULE: &str = "rule: ";
/// Fallback for a value of the wrong type, which the contract rejects first.
const WRONG_TYPE: &str = "is not of the type that it must be";

/// Part of a request that a handler takes as an argument.
pub(in crate::api::identity) trait FromCall: Sized {
    /// Decodes this part of the request.
    ///
    /// # Errors
    /// `Wrong`, naming the member.
    fn from_call(call: &mut Call) -> Result<Self, ApiError>;
}

/// Query parameters as `T`.
pub(in crate::api::identity) struct Parameters<T>(pub(in crate::api::identity) T);

/// Attributes of the JSON:API document in the body; its identifier must match the path's, if there is one.
pub(in crate::api::identity) struct Attributes<T>(pub(in crate::api::identity) T);

/// Plain JSON body as `T`.
pub(in crate::api::identity) struct PlainBody<T>(pub(in crate::api::identity) T);

impl<T: DeserializeOwned> FromCall for Parameters<T> {
    fn from_call(call: &mut Call) -> Result<Self, ApiError> {
        let source = |mut path: Vec<String>| Source::Parameter(path.drain(..).next().unwrap_or_default());
        decode(call.arguments.to_value(), source).map(Parameters)
    }
}

impl<T: DeserializeOwned> FromCall for Attributes<T> {
    fn from_call(call: &mut Call) -> Result<Self, ApiError> {
        let mut data = match call.body.get_mut("data").map(Value::take) {
            Some(Value::Object(data)) => data,
            _ => Map::new(),
        };
        call.sent_id = data.get("id").and_then(Value::as_str).map(str::to_owned);
        let attributes = data.remove("attributes").unwrap_or_else(|| Value::Object(Map::new()));
        decode(attributes, |path| pointer("/data/attributes", &path)).map(Attributes)
    }
}

impl<T: DeserializeOwned> FromCall for PlainBody<T> {
    fn from_call(call: &mut Call) -> Result<Self, ApiError> {
        let body = match call.body.take() {
            Value::Null => Value::Object(Map::new()),
            body => body,
        };
        call.plain = true;
        decode(body, |path| pointer("", &path)).map(PlainBody)
    }
}

fn pointer(place: &str, path: &[String]) -> Source {
    let path: String = path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
    Source::Pointer(format!("{place}{path}"))
}

fn decode<T: DeserializeOwned>(value: Value, source: impl Fn(Vec<String>) -> Source) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let segments = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        let source = source(segments.collect());
        let message = error.into_inner().to_string();
        let detail = message.strip_prefix(RULE).unwrap_or(WRONG_TYPE);
        ApiError::Wrong(vec![RequestViolation::at(source, detail)])
    })
}

/// A domain value that is parsed from a text.
pub(in crate::api::identity) trait Parse: Sized {
    /// Parses the text.
    ///
    /// # Errors
    /// The violated rule, in words that read well after the member's name.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! parsed_by_the_domain {
    ($($domain:ty),*) => {
        $(impl Parse for $domain {
            fn parse(text: &str) -> Result<Self, String> {
                <$domain>::parse(text).map_err(|problem: Problem| problem.to_string())
            }
        })*
    };
}

parsed_by_the_domain!(EmailAddress, Phone, BirthDate, FeatureId, DomainName, CodeSpelling);

/// A member of a request, parsed by the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api::identity) struct Parsed<T>(pub(in crate::api::identity) T);

impl<'de, T: Parse> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::parse(&text).map(Parsed).map_err(|rule| D::Error::custom(format!("{RULE}{rule}")))
    }
}

impl Parse for DateTime<Utc> {
    fn parse(text: &str) -> Result<Self, String> {
        times::parse(text).ok_or_else(|| "must be a time (YYYY-MM-DD hh:mm:ss, or RFC 3339)".to_owned())
    }
}

impl Parse for Comparison {
    fn parse(text: &str) -> Result<Self, String> {
        Comparison::parse(text, true).ok_or_else(|| "must be <, <=, > or >= and a time".to_owned())
    }
}

/// A comparison restricted to `<` or `>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api::identity) struct StrictComparison(pub(in crate::api::identity) Comparison);

impl Parse for StrictComparison {
    fn parse(text: &str) -> Result<Self, String> {
        Comparison::parse(text, false).map(StrictComparison).ok_or_else(|| "must be < or > and a time".to_owned())
    }
}

impl From<Parsed<Comparison>> for Comparison {
    fn from(Parsed(comparison): Parsed<Comparison>) -> Self {
        comparison
    }
}

impl From<Parsed<StrictComparison>> for Comparison {
    fn from(Parsed(StrictComparison(comparison)): Parsed<StrictComparison>) -> Self {
        comparison
    }
}

/// A secret, wiped from memory when dropped.
#[derive(Default)]
pub(in crate::api::identity) struct Secret(pub(in crate::api::identity) Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|secret| Secret(Zeroizing::new(secret)))
    }
}

/// A nullable member: `Some(None)` for null, `None` if absent.
///
/// # Errors
/// Errors of the member.
pub(in crate::api::identity) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// An operation without parameters or with an empty body.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::api::identity) struct EmptyBody {}

/// A function that carries out an operation; its arguments are decoded before the call.
pub(in crate::api::identity) trait Handler<Arguments> {
    /// Decodes the arguments and calls the handler.
    fn run(self, call: Call) -> BoxFuture<'static, HandlerResult>;
}

impl<F, Run> Handler<()> for F
where
    F: FnOnce(Call) -> Run,
    Run: Future<Output = HandlerResult> + Send + 'static,
{
    fn run(self, call: Call) -> BoxFuture<'static, HandlerResult> {
        Box::pin(self(call))
    }
}

impl<F, Run, A> Handler<(A,)> for F
where
    F: FnOnce(Call, A) -> Run,
    Run: Future<Output = HandlerResult> + Send + 'static,
    A: FromCall,
{
    fn run(self, mut call: Call) -> BoxFuture<'static, HandlerResult> {
        match A::from_call(&mut call) {
            Ok(argument) => Box::pin(self(call, argument)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Sample {
        email: Option<Parsed<EmailAddress>>,
        #[serde(default, deserialize_with = "nullable")]
        theme_id: Option<Option<u8>>,
        #[serde(default)]
        times: Vec<Parsed<StrictComparison>>,
    }

    fn wrong(value: Value) -> RequestViolation {
        match decode::<Sample>(value, |path| pointer("/data/attributes", &path)) {
            Err(ApiError::Wrong(mut wrong)) => wrong.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_member_is_named_and_never_repeated() {
        let email = wrong(json!({ "email": "secret" }));
        assert_eq!(email.source, Source::Pointer("/data/attributes/email".into()));
        assert!(!email.detail.contains("secret") && email.detail != WRONG_TYPE, "{}", email.detail);
        let typed = wrong(json!({ "theme-id": "secret" }));
        assert_eq!(typed.detail, WRONG_TYPE);
        let second = wrong(json!({ "times": ["<2024-01-01", "<=2024-01-01"] }));
        assert_eq!(second.source, Source::Pointer("/data/attributes/times/1".into()));
    }

    #[test]
    fn null_and_absence_differ() {
        let read = |value| decode::<Sample>(value, |path| pointer("", &path)).expect("a sample");
        assert_eq!(read(json!({ "theme-id": null })).theme_id, Some(None));
        assert_eq!(read(json!({ "theme-id": 1 })).theme_id, Some(Some(1)));
        let absent = read(json!({}));
        assert!(absent.theme_id.is_none() && absent.email.is_none() && absent.times.is_empty());
    }
}
