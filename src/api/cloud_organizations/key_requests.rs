//! Request bodies that create and change keys.

use crate::api::common::findings::Findings;
use crate::api::common::json::FromJson;
use crate::api::common::members::{MemberReader, list, text};
use chrono::{DateTime, SubsecRound, Utc};
use registrar_aggregates::api_key::{Amendment, Role};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{
    AnyOfBuilder, Array, ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
};

/// Values of a new key, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey {
    /// Display name.
    pub name: String,
    /// Roles that set its permissions.
    pub roles: BTreeSet<Role>,
    /// Expiry, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it is enabled from the start.
    pub enabled: bool,
}

impl FromJson for CreateKey {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut members = MemberReader::of(json, "", findings)?;
        let name = members.required("name", text);
        let roles = members.required("roles", list(role));
        let expires_at = members.optional("expireAt", end);
        let enabled = members.optional("state", state);
        members.finish();
        Some(CreateKey {
            name: name?,
            roles: roles?.into_iter().collect(),
            expires_at: expires_at.flatten(),
            enabled: enabled.unwrap_or(true),
        })
    }
}

/// Changes of a key, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchKey(pub Amendment);

impl FromJson for PatchKey {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut members = MemberReader::of(json, "", findings)?;
        let name = members.optional("name", text);
        let roles = members.optional("roles", list(role)).map(|roles| roles.into_iter().collect());
        let expires_at = members.optional("expireAt", end);
        let enabled = members.optional("state", state);
        members.finish();
        Some(PatchKey(Amendment { name, roles, expires_at, enabled }))
    }
}

fn role(json: Value, path: &str, findings: &mut Findings) -> Option<Role> {
    let role = json.as_str().and_then(|text| text.parse().ok());
    if role.is_none() {
        let names = Role::ALL.map(Role::name).join(", ");
        findings.add(path, format!("must be one of the following values: {names}"));
    }
    role
}

/// An expiry; null and an empty text mean that the key does not expire.
fn end(json: Value, path: &str, findings: &mut Findings) -> Option<Option<DateTime<Utc>>> {
    let text = match json {
        Value::Null => return Some(None),
        Value::String(text) if text.is_empty() => return Some(None),
        Value::String(text) => text,
        _ => String::new(),
    };
    let time = DateTime::parse_from_rfc3339(&text).ok().filter(|_| !text.contains(' '));
    if time.is_none() {
        findings.add(path, "must be an RFC 3339 date-time with an offset, or null");
    }
    time.map(|time| Some(time.to_utc().trunc_subsecs(3)))
}

fn state(json: Value, path: &str, findings: &mut Findings) -> Option<bool> {
    match json.as_str() {
        Some("enabled") => Some(true),
        Some("disabled") => Some(false),
        _ => {
            findings.add(path, "must be one of the following values: enabled, disabled");
            None
        }
    }
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyPostRequest {
    /// Name of the key.
    #[schema(min_length = 1, max_length = 255, pattern = r"\S", examples("nightly backup"))]
    pub name: String,
    /// Roles of the key.
    #[schema(min_items = 1, schema_with = roles)]
    pub roles: Vec<String>,
    /// End of the key, in the future; without end if null, empty or left out.
    #[schema(required = false, schema_with = new_expire_at)]
    pub expire_at: String,
    /// Whether it may be used from the start; enabled unless given.
    #[schema(required = false, schema_with = key_state)]
    pub state: String,
}

/// Members of a key to change; those left out keep their value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyPatchRequest {
    /// New name.
    #[schema(required = false, min_length = 1, max_length = 255, pattern = r"\S")]
    pub name: String,
    /// All roles from now on.
    #[schema(required = false, schema_with = roles)]
    pub roles: Vec<String>,
    /// New end, in the future; none for null or an empty text.
    #[schema(required = false, schema_with = new_expire_at)]
    pub expire_at: String,
    /// Whether it may be used.
    #[schema(required = false, schema_with = key_state)]
    pub state: String,
}

pub(super) fn roles() -> Array {
    let names = Role::ALL.map(Role::name);
    ArrayBuilder::new()
        .items(of_type(Type::String).enum_values(Some(names)))
        .min_items(Some(1))
        .description(Some("Roles of the key: admin may do everything, developer may read."))
        .build()
}

pub(super) fn expire_at() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("End of the key, in ISO 8601 notation; null if it has none."))
        .build()
}

fn new_expire_at() -> Schema {
    AnyOfBuilder::new()
        .item(of_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))))
        .item(of_type(Type::String).max_length(Some(0)))
        .item(of_type(Type::Null))
        .description(Some("End of the key, in the future and in ISO 8601 notation; null or an empty text for none."))
        .build()
        .into()
}

pub(super) fn key_state() -> Object {
    of_type(Type::String)
        .enum_values(Some(["enabled", "disabled"]))
        .description(Some("Whether the key may be used."))
        .build()
}

fn of_type(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::common::ApiError;
    use crate::api::common::json::read;

    fn findings<T: FromJson + std::fmt::Debug>(body: &str) -> Vec<String> {
        match read::<T>(body.as_bytes()) {
            Err(ApiError::Invalid(findings)) => findings,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_key_needs_a_name_and_roles_and_is_enabled_without_end() {
        let read: CreateKey = read(br#"{"name": "n", "roles": ["developer", "admin", "admin"]}"#).unwrap();
        let roles = BTreeSet::from([Role::Admin, Role::Developer]);
        assert_eq!(read, CreateKey { name: "n".into(), roles, expires_at: None, enabled: true });
    }

    #[test]
    fn null_and_an_empty_text_stand_for_no_end() {
        for (body, end) in [
            (r#"{"expireAt": null}"#, Some(None)),
            (r#"{"expireAt": ""}"#, Some(None)),
            (r#"{"expireAt": "1970-01-01T01:00:00.0009+01:00"}"#, Some(Some(DateTime::UNIX_EPOCH))),
            ("{}", None),
        ] {
            assert_eq!(read::<PatchKey>(body.as_bytes()).unwrap().0.expires_at, end, "{body}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let body = r#"{"roles": ["root", 1], "expireAt": "tomorrow", "state": "on", "ipAccessList": []}"#;
        let roles = "must be one of the following values: admin, developer, query_endpoints";
        let rest = [
            format!("roles[0] {roles}"),
            format!("roles[1] {roles}"),
            "expireAt must be an RFC 3339 date-time with an offset, or null".into(),
            "state must be one of the following values: enabled, disabled".into(),
            "property ipAccessList should not exist".into(),
        ];
        let missing = "name should not be null or undefined".to_owned();
        assert_eq!(findings::<CreateKey>(body), [&[missing][..], &rest].concat());
        assert_eq!(findings::<PatchKey>(body), rest);
        for body in ["[]", "null", "1"] {
            assert_eq!(findings::<PatchKey>(body), ["body must be an object"]);
        }
        for name in ["null", "1", "[]"] {
            assert_eq!(findings::<PatchKey>(&format!(r#"{{"name": {name}}}"#)), ["name must be a string"]);
        }
    }
}
