//! Every operation of every dialect, as named in the contract and the OpenAPI documents.

use registrar::api::DOCUMENTS;
use registrar::api::identity::routes::{Audience, ROUTES};
use serde_json::Value;

/// A served operation.
#[derive(Debug, Clone)]
pub struct Operation {
    pub name: String,
    /// In upper case.
    pub method: String,
    /// The path template.
    pub path: String,
    /// Whether it belongs to the identity dialect and needs no authentication.
    pub public: bool,
}

impl Operation {
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// Whether a path, optionally with a query, matches this operation.
    pub fn has_path(&self, path: &str) -> bool {
        let path = path.split('?').next().unwrap();
        let (theirs, ours): (Vec<_>, Vec<_>) = (self.path.split('/').collect(), path.split('/').collect());
        theirs.len() == ours.len() && theirs.iter().zip(&ours).all(|(one, other)| one.starts_with('{') || one == other)
    }
}

/// All operations, the identity dialect first.
pub fn all() -> Vec<Operation> {
    let contract: Value = serde_json::from_str(include_str!("../../../src/api/identity/contract.json")).unwrap();
    let mut operations = Vec::new();
    for route in ROUTES {
        let found = described(&contract).into_iter().find(|operation| operation.name == route.operation);
        let found = found.unwrap_or_else(|| panic!("{} has no path", route.operation));
        operations.push(Operation { public: route.audience == Audience::Public, ..found });
    }
    for name in DOCUMENTS.iter().filter(|name| **name != "identity") {
        let document = registrar::api::openapi(name).unwrap().to_json().unwrap();
        operations.extend(described(&serde_json::from_str(&document).unwrap()));
    }
    operations
}

fn described(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().filter_map(move |(method, operation)| {
            let name = operation.get("operationId")?.as_str()?.to_owned();
            Some(Operation { name, method: method.to_uppercase(), path: path.clone(), public: false })
        })
    });
    operations.collect()
}
