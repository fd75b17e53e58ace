//! `docs/asyncapi.json`: a hand-written frame with a message for each event type. Payloads come from the types, texts
//! from their comments, personal and secret members from the declarations of the events.

use super::written::{assert_written, read};
use super::*;
use crate::facts::EventType;
use serde_json::{Map, json};

const DOCUMENT: &str = "docs/asyncapi.json";
/// The parts that do not depend on events: servers, channels, headers, the envelope.
const FRAME: &str = "docs/asyncapi.frame.json";
/// Temporary keyword for the meanings of a choice's values, until they move into its description.
const MEANINGS: &str = "meanings";
/// Added to the description of every secret.
const NEVER_TOLD: &str = "Never told: `[redacted]`, or `***` where personal values are published.";

macro_rules! all_schemas {
    ($(
        $(#[$doc:meta])* $variant:ident: $aggregate:ty, $event:ty, $source:ident $entity:literal
        $(, refuses $error:ty)?;
    )*) => {
        /// The schema of each aggregate's events, with the declarations of these.
        fn schemas() -> Vec<(&'static [EventType], Value)> {
            vec![$((<$event>::TYPES, schemars::schema_for!($event).to_value()),)*]
        }
    };
}

every_aggregate!(all_schemas);

#[test]
fn the_published_description_follows_from_the_event_types() {
    let mut document: Value = serde_json::from_str(&read(FRAME)).expect("JSON");
    let (mut messages, mut shared) = (Map::new(), Shared::default());
    for (types, schema) in schemas() {
        let variants = schema["oneOf"].as_array().expect("a variant for each event");
        for declared in types {
            let of_type = |variant: &&Value| variant["properties"]["type"]["const"] == declared.name;
            let variant = variants.iter().find(of_type).expect("a schema for each event");
            messages.insert(declared.name.to_owned(), message(declared, variant, &schema["$defs"], &mut shared));
        }
    }
    for channel in ["events", "eventStream"] {
        let refer = |name: &String| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") }));
        document["channels"][channel]["messages"] = messages.keys().map(refer).collect::<Map<_, _>>().into();
    }
    document["components"]["messages"] = messages.into();
    document["components"]["schemas"].as_object_mut().expect("an object").extend(shared.schemas);
    assert_written(DOCUMENT, &(serde_json::to_string_pretty(&document).expect("JSON") + "\n"));
}

/// The message of one event type.
fn message(declared: &EventType, variant: &Value, definitions: &Value, shared: &mut Shared) -> Value {
    let sample = events().into_iter().find(|event| event.event_type() == declared.name).expect("a sample");
    let secrets = sample.secret_fields();
    let mut data = Described { declared, secrets, definitions, shared }.schema(variant, "");
    let members = data.as_object_mut().expect("a record");
    let summary = members.remove("description").expect("a comment on each event");
    // Described by the envelope.
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("type");
    }
    if let Some(required) = members.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "type");
    }
    members.retain(|_, value| *value != json!([]) && *value != json!({}));
    let kind = format!("registrar.{}", declared.name);
    json!({
        "name": kind,
        "summary": summary,
        "traits": [{ "$ref": "#/components/messageTraits/event" }],
        "payload": {
            "allOf": [
                { "$ref": "#/components/schemas/CloudEvent" },
                { "properties": { "type": { "const": kind }, "data": data } },
            ],
        },
    })
}

/// Schemas of records that several events or members share.
#[derive(Default)]
struct Shared {
    schemas: Map<String, Value>,
}

impl Shared {
    /// A reference to a record's schema; the schema itself where a record of that name differs because other members of
    /// it are personal.
    fn refer(&mut self, name: &str, mut schema: Value) -> Value {
        let said = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let known = self.schemas.entry(name.to_owned()).or_insert_with(|| schema.clone());
        let mut reference = if *known == schema {
            json!({ "allOf": [{ "$ref": format!("#/components/schemas/{name}") }] })
        } else {
            schema
        };
        if let Some(said) = said {
            reference["description"] = said;
        }
        reference
    }
}

/// The event type being described.
struct Described<'e> {
    declared: &'e EventType,
    secrets: &'static [&'static str],
    definitions: &'e Value,
    shared: &'e mut Shared,
}

impl Described<'_> {
    /// The schema of the member at `path`, a pattern as in disclosures.
    fn schema(&mut self, schema: &Value, path: &str) -> Value {
        let (name, mut schema) = self.resolved(schema);
        if let Some(meanings) = schema.remove(MEANINGS) {
            let said = format!("{}{}", text(&schema, "description"), text_of(&meanings));
            schema.insert("description".to_owned(), said.trim().into());
        }
        let disclosure = &self.declared.disclosure;
        if disclosure.whole.contains(&path) {
            let said = format!("{} A text where it is withheld or erased.", text(&schema, "description"));
            return json!({ "type": ["object", "string"], "description": said, "x-personal": true });
        }
        let is_clear =
            |clear: &&str| *clear == path || clear.strip_suffix("/**").is_some_and(|at| path.starts_with(at));
        if schema.get("type") == Some(&json!("string")) && schema.get("const").is_none() {
            if self.secrets.contains(&path) {
                let said = format!("{} {NEVER_TOLD}", text(&schema, "description"));
                return json!({ "type": "string", "description": said });
            }
            if !disclosure.clear.iter().any(is_clear) {
                return json!({ "type": "string", "description": text(&schema, "description"), "x-personal": true });
            }
        }
        for (keyword, step) in [("items", "/*"), ("additionalProperties", "/*")] {
            if let Some(inner) = schema.get(keyword).filter(|inner| inner.is_object()).cloned() {
                schema.insert(keyword.to_owned(), self.schema(&inner, &format!("{path}{step}")));
            }
        }
        for (keyword, step) in [("prefixItems", "/*"), ("oneOf", "")] {
            if let Some(inner) = schema.get(keyword).and_then(Value::as_array).cloned() {
                let inner = inner.iter().map(|inner| self.schema(inner, &format!("{path}{step}"))).collect();
                schema.insert(keyword.to_owned(), inner);
            }
        }
        if let Some(Value::Object(members)) = schema.get("properties").cloned() {
            let described = |(name, member): (String, Value)| {
                let member = self.schema(&member, &format!("{path}/{name}"));
                (name, member)
            };
            schema.insert("properties".to_owned(), members.into_iter().map(described).collect::<Map<_, _>>().into());
        }
        for name in schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default() {
            // Always present.
            if let Some(Value::Object(member)) =
                schema.get_mut("properties").map(|members| &mut members[text_of(&name)])
            {
                member.remove("default");
            }
        }
        let is_record = schema.contains_key("properties") || schema.contains_key("oneOf");
        match name.filter(|_| is_record && !path.is_empty()) {
            Some(name) => self.shared.refer(&name, schema.into()),
            None => schema.into(),
        }
    }

    /// A schema with the definition that it refers to, if any, and the definition's name; in the form for subscribers:
    /// absent members are left out rather than null, further members may appear, and the values of a choice are a list.
    fn resolved(&self, schema: &Value) -> (Option<String>, Map<String, Value>) {
        let mut schema = schema.as_object().cloned().unwrap_or_default();
        // An optional member: its type, or null.
        if let Some(Value::Array(choices)) = schema.remove("anyOf") {
            let held = choices.iter().find(|choice| choice["type"] != "null").and_then(Value::as_object).cloned();
            schema = held.unwrap_or_default().into_iter().chain(schema).collect();
        }
        if let Some(Value::Array(types)) = schema.get("type") {
            schema.insert("type".to_owned(), types[0].clone());
        }
        let name = schema.remove("$ref").map(|path| text_of(&path).rsplit('/').next().unwrap_or_default().to_owned());
        if let Some(definition) = name.as_ref().map(|name| self.resolved(&self.definitions[name]).1) {
            schema = merged(definition, schema);
        }
        if schema.contains_key("description") {
            let said = text(&schema, "description");
            schema.insert("description".to_owned(), said.into());
        }
        schema.retain(|keyword, value| match keyword.as_str() {
            // Withheld members read alike.
            "$schema" | "$defs" | "title" | "uniqueItems" => false,
            "additionalProperties" => value.is_object(),
            "format" => matches!(text_of(value), "uuid" | "date-time"),
            "default" => !value.is_null(),
            _ => true,
        });
        // A choice of one value is no choice.
        if let Some([Value::Object(only)]) = schema.get("oneOf").and_then(Value::as_array).map(Vec::as_slice)
            && only.contains_key("properties")
        {
            let only = only.clone();
            schema.remove("oneOf");
            schema = merged(only, schema);
        }
        (name, as_choice(schema))
    }
}

/// A definition as used by one member: the member's own words, the members of both.
fn merged(mut definition: Map<String, Value>, schema: Map<String, Value>) -> Map<String, Value> {
    for (keyword, value) in schema {
        match (definition.get_mut(&keyword), value) {
            (Some(Value::Object(members)), Value::Object(more)) => members.extend(more),
            (Some(Value::Array(names)), Value::Array(more)) => names.extend(more),
            (_, value) => _ = definition.insert(keyword, value),
        }
    }
    definition
}

/// The values of a choice as a list without their meanings, since the comment on the member has precedence.
fn as_choice(mut schema: Map<String, Value>) -> Map<String, Value> {
    let choices = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let values: Vec<_> = choices
        .iter()
        .flat_map(|choice| match (choice.get("const"), choice.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => vec![(value.clone(), text(choice.as_object().expect("a schema"), "description"))],
            (None, Some(values)) => values.iter().map(|value| (value.clone(), String::new())).collect(),
            (None, None) => vec![],
        })
        .collect();
    if values.is_empty() {
        return schema;
    }
    let meanings = values.iter().filter(|(_, meaning)| !meaning.is_empty());
    let meanings: String = meanings.map(|(value, meaning)| format!("\n- `{}`: {meaning}", text_of(value))).collect();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert(MEANINGS.to_owned(), meanings.into());
    schema.insert("enum".to_owned(), values.into_iter().map(|(value, _)| value).collect());
    schema
}

/// A text of a schema: lines joined, without links into the code.
fn text(schema: &Map<String, Value>, keyword: &str) -> String {
    let text = schema.get(keyword).map(text_of).unwrap_or_default().replace("[`", "`").replace("`]", "`");
    text.split("\n- ").map(|line| line.replace('\n', " ")).collect::<Vec<_>>().join("\n- ")
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
