//! The refusals that the operations document: problem details (RFC 9457).

use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Body of every failed request (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `about:blank`: the status is the kind of the problem.
    #[serde(rename = "type")]
    kind: String,
    /// Name of the HTTP status.
    title: String,
    /// Repeats the HTTP status.
    status: u16,
    /// Description of the problem.
    detail: String,
    /// Stable word for programs.
    code: String,
    /// Identifier of the request.
    request_id: String,
    /// Everything that is wrong with the request, each naming a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    findings: Option<Vec<String>>,
}

/// Documents one refusal.
macro_rules! problem {
    ($name:ident, $status:literal, $description:literal, $title:literal, $code:literal, $detail:literal) => {
        #[doc = $description]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let example = json!({
                    "type": "about:blank", "title": $title, "status": $status, "detail": $detail, "code": $code,
                    "requestId": "c182ed73-7b78-4d27-a14b-e30acf7f4104",
                });
                let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name())));
                let content = content.example(Some(example)).build();
                let response = ResponseBuilder::new().description($description);
                let response = response.content("application/problem+json", content).build();
                BTreeMap::from([($status.to_string(), response.into())])
            }
        }
    };
}

problem!(
    BadRequest,
    400,
    "A parameter breaks a rule of this document; nothing was read.",
    "Bad Request",
    "invalid",
    "limit must not be greater than 1000"
);
problem!(
    Unauthorized,
    401,
    "No bearer token, or one that is malformed, expired or wrongly signed.",
    "Unauthorized",
    "unauthenticated",
    "Unauthorized"
);
problem!(
    Forbidden,
    403,
    "The token is good but does not carry the permission `audit.read`.",
    "Forbidden",
    "forbidden",
    "Forbidden resource"
);
problem!(
    NotFound,
    404,
    "There is no such thing, there was none at that moment, it belongs to another organization than the token is \
     narrowed to, or the journal has not reached the position.",
    "Not Found",
    "not-found",
    "There is no such event"
);
problem!(
    Gone,
    410,
    "The answer needs events that were archived: they are in files, and no longer in the database.",
    "Gone",
    "archived",
    "this needs events that were archived, up to position 1048576; lists of events can begin after it"
);
problem!(
    Unavailable,
    503,
    "The database is away; `Retry-After` says when to try again.",
    "Service Unavailable",
    "unavailable",
    "Service temporarily unavailable, try again"
);
