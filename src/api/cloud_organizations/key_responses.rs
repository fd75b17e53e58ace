//! Response bodies of keys.

use super::envelope;
use super::key_requests::{expire_at, key_state, roles};
use super::responses::{enveloped, many, one, time};
use crate::auth::api_keys::Credentials;
use registrar_aggregates::api_key::Role;
use registrar_projections::ApiKeyDocument;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// Characters of the suffix of a key.
const SUFFIX_LENGTH: usize = 4;

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Identifier of the key.
    id: Uuid,
    /// Name of the key.
    name: String,
    /// Whether it may be used.
    #[schema(schema_with = key_state)]
    state: &'static str,
    /// Roles of the key.
    #[schema(schema_with = roles)]
    roles: BTreeSet<Role>,
    /// Last 4 characters of the key's id, by which people tell keys apart.
    key_suffix: String,
    /// Creation time in ISO 8601 notation.
    #[schema(format = DateTime)]
    created_at: String,
    /// End of the key; null if it has none.
    #[schema(schema_with = expire_at)]
    expire_at: Option<String>,
}

impl From<&ApiKeyDocument> for ApiKey {
    fn from(key: &ApiKeyDocument) -> Self {
        let id = key.id.to_string();
        ApiKey {
            id: key.id.0,
            name: key.name.clone(),
            state: if key.enabled { "enabled" } else { "disabled" },
            roles: key.roles.clone(),
            key_suffix: id[id.len() - SUFFIX_LENGTH..].to_owned(),
            created_at: time(key.created_at),
            expire_at: key.expires_at.map(time),
        }
    }
}

/// A key that was just created. Its secret is returned here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyPostResponse {
    key: ApiKey,
    /// User name for HTTP Basic.
    key_id: String,
    /// Password for HTTP Basic.
    key_secret: String,
}

impl ApiKeyPostResponse {
    /// The key with its credentials.
    #[must_use]
    pub fn new(key: &ApiKeyDocument, credentials: &Credentials) -> Self {
        ApiKeyPostResponse {
            key: key.into(),
            key_id: credentials.id.to_string(),
            key_secret: credentials.secret.to_string(),
        }
    }
}

enveloped!(
    /// Envelope around the list of keys.
    ApiKeyListResponse of ApiKey, many, "Envelope around the list of keys."
);
enveloped!(
    /// Envelope around one key.
    ApiKeyResponse of ApiKey, one, "Envelope around one key."
);
enveloped!(
    /// Envelope around a new key and its secret.
    ApiKeyCreateResponse of ApiKeyPostResponse, one, "Envelope around a new key and its secret."
);

/// Envelope around nothing.
pub struct DoneResponse;

impl PartialSchema for DoneResponse {
    fn schema() -> RefOr<Schema> {
        envelope::schema("Envelope around nothing: it was done.", None)
    }
}

impl ToSchema for DoneResponse {}
