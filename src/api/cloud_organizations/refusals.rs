//! The refusals that the operations document.

use super::envelope;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// Body of every failed request.
pub struct ErrorResponse;

impl PartialSchema for ErrorResponse {
    fn schema() -> RefOr<Schema> {
        envelope::error_schema()
    }
}

impl ToSchema for ErrorResponse {}

/// Documents one refusal, with the header that it brings.
macro_rules! refusal {
    ($name:ident, $status:literal, $description:literal, $error:literal $(, $header:literal $type:ident)*) => {
        #[doc = $description]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let example = json!({
                    "status": $status, "error": $error, "requestId": "d385ab22-0f51-4b97-9ecd-b8ff3fd4fcb6",
                });
                let response = response($description, example)$(.header($header, header(Type::$type)))*;
                BTreeMap::from([($status.to_string(), response.build().into())])
            }
        }
    };
}

refusal!(
    BadRequest,
    400,
    "A parameter or the body is not valid; nothing was changed.",
    "BAD_REQUEST: Invalid organization id"
);
refusal!(
    Unauthorized,
    401,
    "No key, an unknown key, a wrong secret, or a key that is disabled or has expired.",
    "UNAUTHORIZED: Key is not active",
    "WWW-Authenticate" String
);
refusal!(Forbidden, 403, "The key's roles are not enough for the operation.", "FORBIDDEN");
refusal!(NotFound, 404, "The organization is not the one of the key, or it has no such thing.", "NOT_FOUND");
refusal!(
    TooManyRequests,
    429,
    "The key made more requests than it may in a time.",
    "TOO_MANY_REQUESTS",
    "X-RateLimit-Reset" Number,
    "Retry-After" Integer
);
refusal!(InternalError, 500, "The service failed.", "INTERNAL_ERROR");

fn response(description: &str, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorResponse::name())));
    let content = content.example(Some(example)).build();
    ResponseBuilder::new().description(description).content("application/json", content)
}

fn header(kind: Type) -> Header {
    Header::new(ObjectBuilder::new().schema_type(SchemaType::Type(kind)))
}
