//! The parameters of a list as the contract publishes them, and values that they refuse.

use serde_json::Value;

/// A query parameter.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    /// The largest value of a number.
    pub maximum: Option<u64>,
    schema: Value,
}

/// The query parameters of an operation.
pub fn of(operation: &str) -> Vec<Parameter> {
    let contract: Value = serde_json::from_str(include_str!("../../../src/api/identity/contract.json")).unwrap();
    let items = contract["paths"].as_object().unwrap().values();
    let mut operations = items.flat_map(|item| item.as_object().unwrap().values());
    let found = operations.find(|found| found["operationId"] == operation).unwrap();
    let declared = found["parameters"].as_array().into_iter().flatten();
    declared
        .filter(|declared| declared["in"] == "query")
        .map(|declared| Parameter {
            name: declared["name"].as_str().unwrap().to_owned(),
            maximum: declared["schema"]["maximum"].as_u64(),
            schema: declared["schema"].clone(),
        })
        .collect()
}

impl Parameter {
    /// A value that is refused; `None` if any text is accepted.
    pub fn malformed(&self) -> Option<&'static str> {
        let schema = if self.schema["type"] == "array" { &self.schema["items"] } else { &self.schema };
        if self.name.contains("[cmp-") {
            return Some("yesterday");
        }
        let text = schema["type"] == "string";
        let format = schema["format"].as_str();
        let limited = text && (schema.get("enum").is_some() || format.is_some_and(|format| format != "string"));
        match schema["type"].as_str() {
            Some("integer" | "boolean") => Some("perhaps"),
            _ if limited => Some("perhaps"),
            _ => None,
        }
    }
}
