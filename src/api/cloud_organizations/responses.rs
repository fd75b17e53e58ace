//! Response bodies, made from documents.

use super::envelope;
use chrono::{DateTime, SecondsFormat, Utc};
use registrar_projections::OrganizationDocument;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// A time in responses: UTC, milliseconds.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An organization of the cloud.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// Identifier of the organization.
    #[schema(examples("3c90c3cc-0d44-4b50-8888-8dd25736052a"))]
    id: Uuid,
    /// Creation time in ISO 8601 notation.
    #[schema(format = DateTime, examples("2023-11-07T05:31:56Z"))]
    created_at: String,
    /// Name of the organization.
    #[schema(examples("string"))]
    name: String,
    /// Private network endpoints of the organization. It has none here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    private_endpoints: Vec<OrganizationPrivateEndpoint>,
}

impl From<&OrganizationDocument> for Organization {
    fn from(organization: &OrganizationDocument) -> Self {
        Organization {
            id: organization.id.0,
            created_at: time(organization.created_at),
            name: organization.name.clone(),
            private_endpoints: Vec::new(),
        }
    }
}

/// A private network endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationPrivateEndpoint {
    /// Identifier at the cloud provider.
    #[schema(required = false)]
    id: String,
    /// Free text.
    #[schema(required = false)]
    description: String,
    /// Cloud provider.
    #[schema(required = false, schema_with = cloud_provider)]
    cloud_provider: String,
    /// Region of that provider.
    #[schema(required = false, examples("us-east-1"))]
    region: String,
}

/// Providers of private network endpoints.
pub(super) const CLOUD_PROVIDERS: [&str; 3] = ["gcp", "aws", "azure"];

fn cloud_provider() -> Object {
    words("Cloud provider.", &CLOUD_PROVIDERS)
}

fn words(description: &str, words: &[&str]) -> Object {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    text.description(Some(description)).enum_values(Some(words.iter().copied())).build()
}

/// Kind of actor behind an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActorType {
    /// A signed-in person.
    User,
    /// Support staff.
    Support,
    /// The service itself.
    System,
    /// A program with an API key.
    Api,
}

/// Kind of activity; further kinds may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityType {
    /// The organization was registered.
    CreateOrganization,
    /// The name of the organization was changed.
    OrganizationUpdateName,
    /// A member was added to the organization.
    OrganizationMemberAdd,
    /// A member was removed from the organization.
    OrganizationMemberDelete,
    /// Roles of a member were changed.
    OrganizationMemberUpdateRole,
    /// A key was created.
    KeyCreate,
    /// A key was deleted.
    KeyDelete,
    /// A key was changed.
    OpenapiKeyUpdate,
}

impl PartialSchema for ActivityType {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let text = text.description(Some("Kind of activity.")).examples([json!("organization_update_name")]);
        RefOr::T(text.build().into())
    }
}

impl ToSchema for ActivityType {}

/// Kind of change of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUpdateType {
    /// The name was changed.
    NameChanged,
    /// The roles were changed.
    RoleChanged,
    /// The key was enabled or disabled.
    StateChanged,
    /// The expiry was changed.
    DateChanged,
}

/// All published types; keys here lack some of the members that these are about.
const KEY_UPDATE_TYPES: [&str; 11] = [
    "created",
    "deleted",
    "name-changed",
    "role-changed",
    "state-changed",
    "date-changed",
    "ip-access-list-changed",
    "org-role-changed",
    "default-service-role-changed",
    "service-role-changed",
    "roles-v2-changed",
];

fn key_update_type() -> Object {
    words("What an openapi_key_update did.", &KEY_UPDATE_TYPES)
}

/// One entry of the organization's activity log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Identifier of the activity.
    pub(super) id: String,
    /// Time of the activity in ISO 8601 notation.
    #[schema(format = DateTime, examples("2023-11-07T05:31:56Z"))]
    pub(super) created_at: String,
    #[allow(missing_docs, reason = "the schema that it refers to says it")]
    #[serde(rename = "type")]
    pub(super) kind: ActivityType,
    #[allow(missing_docs, reason = "the schema that it refers to says it")]
    pub(super) actor_type: ActorType,
    /// Identifier of the actor.
    #[schema(required = false)]
    pub(super) actor_id: String,
    /// More about the actor, such as a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) actor_details: Option<String>,
    /// Address the actor came from; only for the actor types user and api.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, examples("192.0.2.10"))]
    pub(super) actor_ip_address: Option<String>,
    /// Organization the activity belongs to.
    #[schema(examples("3c90c3cc-0d44-4b50-8888-8dd25736052a"))]
    pub(super) organization_id: String,
    /// Service the activity belongs to; left out when it concerns the organization as a whole, as it always does here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) service_id: Option<String>,
    /// User-Agent of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) user_agent: Option<String>,
    /// API key that an openapi_key_update changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) target_key_id: Option<String>,
    /// Kind of change made by an openapi_key_update.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, schema_with = key_update_type)]
    pub(super) key_update_type: Option<KeyUpdateType>,
}

/// Defines the schema of an envelope, and that of its result.
macro_rules! enveloped {
    ($(#[$doc:meta])* $name:ident of $item:ident, $result:expr, $description:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                envelope::schema($description, $result(Ref::from_schema_name($item::name())))
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.push(($item::name().into_owned(), $item::schema()));
                $item::schemas(schemas);
            }
        }
    };
}
pub(super) use enveloped;

pub(super) fn one(item: Ref) -> Option<RefOr<Schema>> {
    Some(RefOr::Ref(item))
}

pub(super) fn many(item: Ref) -> Option<RefOr<Schema>> {
    Some(RefOr::T(ArrayBuilder::new().items(item).build().into()))
}

fn just_one(item: Ref) -> Option<RefOr<Schema>> {
    Some(RefOr::T(ArrayBuilder::new().items(item).min_items(Some(1)).max_items(Some(1)).build().into()))
}

enveloped!(
    /// Envelope around the list of organizations.
    OrganizationListResponse of Organization, just_one, "Envelope around the list of organizations."
);
enveloped!(
    /// Envelope around one organization.
    OrganizationResponse of Organization, one, "Envelope around one organization."
);
enveloped!(
    /// Envelope around the list of activities.
    ActivityListResponse of Activity, many, "Envelope around the list of activities."
);
enveloped!(
    /// Envelope around one activity.
    ActivityResponse of Activity, one, "Envelope around one activity."
);
