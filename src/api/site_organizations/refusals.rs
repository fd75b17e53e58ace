//! The refusals that the operations document.

use serde_json::json;
use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Documents one refusal.
macro_rules! refusal {
    ($name:ident, $status:literal, $description:literal, $message:literal, $details:tt) => {
        #[doc = $description]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let code = format!("C1-{}", $status);
                let data = json!({"errorCode": code, "errorMessage": $message, "details": $details});
                let content = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("SDFResponse")))
                    .example(Some(json!({"status": "error", "errorData": data})));
                let response = ResponseBuilder::new().description($description);
                let response = response.content("application/json", content.build()).build();
                BTreeMap::from([($status.to_string(), response.into())])
            }
        }
    };
}

refusal!(
    BadRequest,
    400,
    "A path parameter or a body value fails the checks of the operation.",
    "Validation failed",
    { "organization.name": "should not be empty" }
);
refusal!(Unauthorized, 401, "The credentials are missing or no longer valid.", "Unauthorized", {});
refusal!(Forbidden, 403, "The caller may not manage organizations.", "Forbidden", {});
refusal!(NotFound, 404, "No organization has this id.", "Organization not found", {});
refusal!(
    Conflict,
    409,
    "The caller worked on a superseded version, or the organization is in use and cannot be changed this way.",
    "The organization was changed in the meantime",
    {}
);
