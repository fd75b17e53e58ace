//! OpenAPI document of the dialect: the published contract, reduced to the offered operations.

use super::ROUTES;
use super::routes::Audience;
use crate::api::common::routes::{PERMISSION, PUBLIC};
use serde_json::{Value, json};

/// Offered paths and operations, with their gates; never `None`, since a test reads it.
#[must_use]
pub fn document() -> Option<utoipa::openapi::OpenApi> {
    let mut document: Value = serde_json::from_str(include_str!("contract.json")).ok()?;
    let paths = document.get_mut("paths")?.as_object_mut()?;
    for item in paths.values_mut() {
        let Some(item) = item.as_object_mut() else { continue };
        item.retain(|_, operation| {
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else { return true };
            let Some(route) = ROUTES.iter().find(|route| route.operation == id) else { return false };
            match route.audience {
                Audience::Public => {
                    operation[PUBLIC] = json!(true);
                    operation["security"] = json!([]);
                }
                audience => operation[PERMISSION] = json!(audience.name()),
            }
            true
        });
    }
    paths.retain(|_, item| {
        item.as_object().is_some_and(|item| item.values().any(|part| part.get("operationId").is_some()))
    });
    document["info"] = json!({
        "title": "Identity service",
        "version": env!("CARGO_PKG_VERSION"),
        "description": include_str!("description.md"),
    });
    // Without these a client generated from the document sends no token.
    let bearer = json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" });
    document["components"]["securitySchemes"] = json!({ "bearerAuth": bearer });
    document["security"] = json!([{ "bearerAuth": [] }]);
    enumerate(&mut document);
    serde_json::from_value(document).ok()
}

/// Replaces `const` by an `enum` of one value, since utoipa, which holds the document, lacks `const`.
fn enumerate(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(constant) = members.remove("const") {
                members.insert("enum".to_owned(), json!([constant]));
            }
            members.values_mut().for_each(enumerate);
        }
        Value::Array(items) => items.iter_mut().for_each(enumerate),
        _ => {}
    }
}
