//! Every response in these tests is compared with the published schema of its operation.

use crate::ecg_app::Answer;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../src/api/identity/contract.json")).unwrap());
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);

/// Checks that a successful response has the shape that its operation publishes.
#[track_caller]
pub fn check(method: &str, path: &str, answer: &Answer) {
    if !answer.status.is_success() || answer.status == 204 {
        return;
    }
    let path = path.split('?').next().unwrap();
    let template = template(method, path).unwrap_or_else(|| panic!("{method} {path} is not published"));
    let validator = validator(method, &template, answer.status.as_u16());
    let body = answer.json();
    let errors: Vec<_> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {path}: {errors:#?}\n{body}");
}

fn template(method: &str, path: &str) -> Option<String> {
    let matches = |template: &str| {
        let (theirs, ours): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        theirs.len() == ours.len() && theirs.iter().zip(&ours).all(|(one, other)| one.starts_with('{') || one == other)
    };
    let paths = CONTRACT["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(template, item)| matches(template) && item.get(method.to_lowercase()).is_some());
    // A path without parameters takes precedence over a template.
    found.map(|(template, _)| template.clone()).min_by_key(|template| template.matches('{').count())
}

fn validator(method: &str, template: &str, status: u16) -> &'static Validator {
    let key = format!("{method} {template} {status}");
    let mut validators = VALIDATORS.lock().unwrap();
    validators.entry(key).or_insert_with_key(|key| {
        let operation = &CONTRACT["paths"][template][method.to_lowercase()];
        let response = &operation["responses"][status.to_string()];
        let content = response["content"].as_object().unwrap_or_else(|| panic!("{key} is not published"));
        let schema = content.values().next().unwrap()["schema"].clone();
        let root = json!({ "allOf": [schema], "components": CONTRACT["components"] });
        Box::leak(Box::new(jsonschema::validator_for(&root).unwrap()))
    })
}
