//! The OpenAPI document of the code agrees with the published one: the same operations, parameters, bodies, answers and
//! schemas. Texts and examples may differ.

use registrar::api::identity::routes::ROUTES;
use registrar::api::openapi;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Members for people, which programs ignore.
const TEXTS: [&str; 6] = ["description", "example", "examples", "summary", "title", "tags"];
/// Statuses that any operation may answer in addition to those of its contract.
const ANYWHERE: [&str; 11] = ["401", "403", "404", "405", "412", "413", "415", "422", "429", "500", "503"];

#[test]
fn the_ecg_admins_document_agrees_with_the_contract() {
    let contract = include_str!("../contracts/ecg-admins.openapi.json");
    let contract: Value = serde_json::from_str(contract).unwrap();
    let ours = serde_json::to_value(openapi("ecg-admins").unwrap()).unwrap();
    let differences = differences(&contract, &ours);
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// The document also has the siblings of the one published operation.
#[test]
fn the_site_organizations_document_agrees_with_the_contract() {
    let contract: Value = serde_json::from_str(include_str!("../contracts/site-organizations.openapi.json")).unwrap();
    let ours = serde_json::to_value(openapi("site-organizations").unwrap()).unwrap();
    // Generators need the type of the rows.
    let rows = r#".data.items: contract null, ours {"type":"object"}"#;
    let differences = differences(&contract, &ours).into_iter().filter(|found| !found.ends_with(rows));
    let (added, differences): (Vec<_>, Vec<_>) = differences.partition(|found| {
        let Some((at, "only ours")) = found.rsplit_once(": ") else { return found.ends_with(" only ours") };
        !at.ends_with(|last: char| last.is_ascii_digit())
    });
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    let siblings = [
        "paths: /ec-site-svc/rest/v1.0/organizations only ours",
        "paths: /ec-site-svc/rest/v1.0/organizations/deleteOrganization/{id} only ours",
        "paths: /ec-site-svc/rest/v2.0/organizations only ours",
        "get /ec-site-svc/rest/v1.0/organizations/{id}: only ours",
        "delete /ec-site-svc/rest/v1.0/organizations/{id}: only ours",
        "schemas: OrganizationWithParts only ours",
        "schemas: RetireOrganizationDto only ours",
    ];
    assert_eq!(added, siblings);
}

#[test]
fn the_cloud_organizations_document_agrees_with_the_contract() {
    let contract = include_str!("../contracts/cloud-organizations.openapi.json");
    let contract: Value = serde_json::from_str(contract).unwrap();
    let ours = serde_json::to_value(openapi("cloud-organizations").unwrap()).unwrap();
    let differences = differences(&contract, &ours);
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Operations that are not offered yet are left out; sign-out, tasks and the claim of an onboarding are added, since the
/// contract is of no use without them.
#[test]
fn the_identity_document_agrees_with_the_contract_as_far_as_it_is_offered() {
    let contract: Value = serde_json::from_str(include_str!("../contracts/identity.openapi.json")).unwrap();
    let ours = serde_json::to_value(openapi("identity").unwrap()).unwrap();
    let (known, differences): (Vec<_>, Vec<_>) =
        differences(&offered(contract), &ours).into_iter().partition(|found| {
            // The types of utoipa cannot express `anyOf` beside properties, nor an object without properties.
            let lost = found.ends_with(
                r#"attributes.anyOf: contract [{"required":["email"]},{"required":["user-id"]}], ours null"#,
            );
            lost || found.ends_with("attributes.properties: contract {}, ours null")
        });
    let added = [
        "paths: /v1/forgot-password/ only ours",
        "paths: /v1/logout/ only ours",
        "paths: /v1/onboarding-requests/{id}/claim/ only ours",
        "paths: /v1/sessions/ only ours",
        "paths: /v1/sessions/end-all/ only ours",
        "paths: /v1/sessions/{id}/end/ only ours",
        "paths: /v1/tasks/{id}/ only ours",
        "paths: /v1/users/{id}/confirm-contact/ only ours",
        r#"post /v1/login/ requestBody.schema.properties.new-password: contract null, ours {"maxLength":255.0,"type":"string"}"#,
        r#"post /v1/login/ requestBody.schema.properties.totp-setup: contract null, ours {"default":false,"type":"boolean"}"#,
        r#"post /v1/login/ requestBody.schema.properties.totp-setup-codes: contract null, ours {"items":{"maxLength":255.0,"type":"string"},"maxItems":2.0,"minItems":2.0,"type":"array"}"#,
        r#"post /v1/refresh-token/ requestBody.schema.properties.rotate: contract null, ours {"default":false,"type":"boolean"}"#,
        r#"post /v1/users/{id}/change-email/ requestBody.schema.properties.password: contract null, ours {"maxLength":255.0,"type":"string"}"#,
        "schemas: LoginTotpSetup only ours",
        "schemas: OwnSession only ours",
        "schemas: OwnSessionCollection only ours",
        "schemas: Task only ours",
        "schemas: TaskDocument only ours",
        // Templates of themes, by system admins.
        r#"schema CreateOrganizationEmailTemplateBody.properties.data.properties.attributes.properties.theme-id: contract null, ours {"format":"uuid","type":"string"}"#,
        r#"schema CreateOrganizationEmailTemplateBody.properties.data.properties.attributes.required: contract ["format","locale","organization-id","subject","template","type"], ours ["format","locale","subject","template","type"]"#,
        r#"schema CreateOrganizationSmsTemplateBody.properties.data.properties.attributes.properties.theme-id: contract null, ours {"format":"uuid","type":"string"}"#,
        r#"schema CreateOrganizationSmsTemplateBody.properties.data.properties.attributes.required: contract ["locale","organization-id","template","type"], ours ["locale","template","type"]"#,
        r#"schema LoginProfile.properties.recovery-codes: contract null, ours {"items":{"type":"string"},"type":"array"}"#,
        r##"schema LoginResult.anyOf: contract [{"$ref":"#/components/schemas/LoginInfo"},{"$ref":"#/components/schemas/LoginRedirect"}], ours [{"$ref":"#/components/schemas/LoginInfo"},{"$ref":"#/components/schemas/LoginRedirect"},{"$ref":"#/components/schemas/LoginTotpSetup"}]"##,
        // A channel without an invitation.
        r##"schema OnboardingRequestAttributes.properties.last-invite.properties.email.$ref: contract "#/components/schemas/OnboardingInvite", ours null"##,
        r##"schema OnboardingRequestAttributes.properties.last-invite.properties.email.anyOf: contract null, ours [{"$ref":"#/components/schemas/OnboardingInvite"},{"type":"null"}]"##,
        r##"schema OnboardingRequestAttributes.properties.last-invite.properties.sms.$ref: contract "#/components/schemas/OnboardingInvite", ours null"##,
        r##"schema OnboardingRequestAttributes.properties.last-invite.properties.sms.anyOf: contract null, ours [{"$ref":"#/components/schemas/OnboardingInvite"},{"type":"null"}]"##,
    ];
    assert_eq!(differences, added);
    assert_eq!(known.len(), 6, "{known:?}");
}

/// The identity contract, reduced to the operations that have a route.
pub fn offered(mut contract: Value) -> Value {
    let paths = contract["paths"].as_object_mut().unwrap();
    for item in paths.values_mut() {
        item.as_object_mut().unwrap().retain(|member, operation| {
            let id = operation["operationId"].as_str();
            !METHODS.contains(&member.as_str()) || ROUTES.iter().any(|route| Some(route.operation) == id)
        });
    }
    paths.retain(|_, item| METHODS.iter().any(|method| item.get(method).is_some()));
    contract
}

/// Guards against a comparison that finds no difference at all.
#[test]
fn every_change_of_a_contract_is_noticed() {
    let contract: Value = serde_json::from_str(include_str!("../contracts/ecg-admins.openapi.json")).unwrap();
    assert_eq!(differences(&contract, &contract), Vec::<String>::new());
    let changes: [(&str, Value); 8] = [
        ("/paths/~1api~1ecg-admins/get/operationId", json!("x")),
        ("/components/parameters/Take/schema/maximum", json!(100)),
        ("/components/parameters/From/name", json!("since")),
        ("/components/schemas/AddPersonDto/required", json!(["firstName"])),
        ("/components/schemas/AddPersonDto/additionalProperties", json!(true)),
        ("/components/schemas/AddAddressDto/properties/regionCode/enum", json!(["US"])),
        ("/components/schemas/BooleanResult/properties/value/type", json!("string")),
        ("/paths/~1api~1ecg-admins/post/responses/409", json!({"description": "", "content": {}})),
    ];
    for (pointer, value) in changes {
        let mut changed = contract.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert!(!differences(&contract, &changed).is_empty(), "{pointer}");
    }
}

fn differences(contract: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare_names("paths", &contract["paths"], &ours["paths"], &mut found);
    for (path, item) in object(&contract["paths"]) {
        for method in METHODS {
            let at = format!("{method} {path}");
            match (operation(contract, item, method), operation(ours, &ours["paths"][path], method)) {
                (Some(theirs), Some(ours)) => compare_operations(&at, &theirs, &ours, &mut found),
                (None, None) => {}
                (theirs, _) => {
                    found.push(format!("{at}: only {}", if theirs.is_some() { "in the contract" } else { "ours" }))
                }
            }
        }
    }
    let schemas = |document: &Value| plain(&document["components"]["schemas"]);
    let (theirs, ours) = (schemas(contract), schemas(ours));
    compare_names("schemas", &theirs, &ours, &mut found);
    for (name, schema) in object(&theirs) {
        compare(&format!("schema {name}"), schema, &ours[name], &mut found);
    }
    found
}

/// An operation with its references resolved, except those to schemas, and with its path's parameters among its own.
fn operation(document: &Value, item: &Value, method: &str) -> Option<Value> {
    let operation = item.get(method)?;
    let mut parameters = Map::new();
    for parameter in [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten() {
        let parameter = resolved(document, parameter);
        let name = format!("{} in {}", parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
        let mut parameter = plain(parameter);
        // Parameters are optional by default.
        parameter.as_object_mut().unwrap().entry("required").or_insert(json!(false));
        parameters.insert(name, parameter);
    }
    let responses = object(&operation["responses"])
        .map(|(status, response)| (status.clone(), plain(&resolved(document, response)["content"])));
    let responses: Map<_, _> = responses.collect();
    Some(json!({
        "operationId": operation["operationId"],
        "parameters": parameters,
        "requestBody": plain(&operation["requestBody"]),
        "responses": responses,
        "security": operation.get("security").unwrap_or(&document["security"]),
    }))
}

fn compare_operations(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    for member in ["operationId", "parameters", "security"] {
        compare(&format!("{at} {member}"), &theirs[member], &ours[member], found);
    }
    // An additional media type for the same content is allowed.
    let body = |operation: &Value| {
        let body = &operation["requestBody"];
        json!({"required": body["required"], "schema": body["content"]["application/json"]["schema"]})
    };
    compare(&format!("{at} requestBody"), &body(theirs), &body(ours), found);
    for (status, content) in object(&theirs["responses"]) {
        compare(&format!("{at} {status}"), content, &ours["responses"][status], found);
    }
    for (status, _) in object(&ours["responses"]) {
        if theirs["responses"].get(status).is_none() && !ANYWHERE.contains(&status.as_str()) {
            found.push(format!("{at} {status}: only ours"));
        }
    }
}

fn compare(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(members), Value::Object(own)) => {
            for name in members.keys().chain(own.keys()).collect::<BTreeSet<_>>() {
                let missing = Value::Null;
                let theirs = members.get(name).unwrap_or(&missing);
                compare(&format!("{at}.{name}"), theirs, own.get(name).unwrap_or(&missing), found);
            }
        }
        _ if theirs == ours => {}
        _ => found.push(format!("{at}: contract {theirs}, ours {ours}")),
    }
}

fn compare_names(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    let names = |value| object(value).map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    let (theirs, ours) = (names(theirs), names(ours));
    found.extend(theirs.difference(&ours).map(|name| format!("{at}: {name} only in the contract")));
    found.extend(ours.difference(&theirs).map(|name| format!("{at}: {name} only ours")));
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// The machine-readable part of a value: without texts and extensions, numbers in one notation, unordered lists sorted.
/// Object members that have the name of a text are kept.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| {
                let text =
                    TEXTS.contains(&name.as_str()) && (value.is_string() || value.is_array() || *name == "example");
                // An `items` without constraints equals a missing one.
                let anything = *name == "items" && **value == json!({});
                !(text || anything || name.starts_with("x-"))
            });
            let plain = kept.map(|(name, value)| match name.as_str() {
                // A constant equals an enum of one value.
                "const" => ("enum".to_owned(), json!([plain(value)])),
                _ => (name.clone(), sorted(name, plain(value))),
            });
            let mut plain: Map<_, _> = plain.collect();
            if members.get("const").is_some_and(Value::is_string) {
                plain.entry("type").or_insert(json!("string"));
            }
            Value::Object(plain)
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

fn sorted(name: &str, value: Value) -> Value {
    match value {
        Value::Array(mut items) if ["required", "enum", "type", "anyOf", "oneOf"].contains(&name) => {
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        other => other,
    }
}
