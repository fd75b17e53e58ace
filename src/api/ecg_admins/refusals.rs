//! The refusals that the operations document.

use crate::api::common::error::ErrorDto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Documents one refusal.
macro_rules! refusal {
    ($name:ident, $status:literal, $description:literal, $message:expr, $error:literal) => {
        #[doc = $description]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let example = json!({"statusCode": $status, "message": $message, "error": $error});
                BTreeMap::from([($status.to_string(), response($description, example).into())])
            }
        }
    };
}

refusal!(
    BadRequest,
    400,
    "A parameter or the body breaks a rule of this document; nothing was changed.",
    ["take must not be less than 1"],
    "Bad Request"
);
refusal!(
    Unauthorized,
    401,
    "No bearer token, or one that is malformed, expired or wrongly signed.",
    "Unauthorized",
    "Unauthorized"
);
refusal!(
    Forbidden,
    403,
    "The token is good but does not carry the needed permission.",
    "Forbidden resource",
    "Forbidden"
);
refusal!(NotFound, 404, "There is no ECG Admin with that identifier.", "ECG Admin not found", "Not Found");
refusal!(
    Conflict,
    409,
    "The change collides with stored data, for example a sign-in e-mail address already in use, or a caller \
     deactivating themselves.",
    "account.email is already in use",
    "Conflict"
);

fn response(description: &str, example: Value) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorDto::name()))).example(Some(example));
    ResponseBuilder::new().description(description).content("application/json", content.build()).build()
}
