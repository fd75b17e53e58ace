//! Requests read member by member, until the last handlers take them as types.

use super::Call;
use crate::api::common::ApiError;
use crate::api::identity::documents::Reply;
use crate::executor::{Outcome, RequestContext};
use serde_json::{Map, Value};
use uuid::Uuid;

impl Call {
    pub(in crate::api::identity) fn context(&self) -> &RequestContext {
        &self.context
    }

    pub(in crate::api::identity) fn body(&self) -> &Value {
        &self.body
    }

    pub(in crate::api::identity) fn remember(
        &self,
        answer: impl Fn(&Outcome) -> Option<Reply> + Send + Sync + 'static,
    ) {
        if let Some(slot) = self.context.answer.as_deref() {
            slot.answer_with(move |outcome| answer(outcome).map(|reply| reply.to_answer()));
        }
    }

    pub(in crate::api::identity) fn path_id(&self, not_found: ApiError) -> Result<Uuid, ApiError> {
        let text = self.path_text();
        if text.len() == 36 { Uuid::try_parse(text).map_err(|_| not_found) } else { Err(not_found) }
    }

    pub(in crate::api::identity) fn uuid(&self, name: &str) -> Option<Uuid> {
        self.arguments.text(name).and_then(|text| Uuid::try_parse(text).ok())
    }

    pub(in crate::api::identity) fn flag_argument(&self, name: &str) -> bool {
        self.arguments.to_value().get(name).and_then(Value::as_bool) == Some(true)
    }

    pub(in crate::api::identity) fn attributes(&mut self) -> Result<Map<String, Value>, ApiError> {
        match self.body.pointer_mut("/data/attributes").map(Value::take) {
            Some(Value::Object(attributes)) => Ok(attributes),
            _ => Ok(Map::new()),
        }
    }
}

pub(in crate::api::identity) trait Members {
    fn text(&self, name: &str) -> Option<&str>;
    fn uuid(&self, name: &str) -> Option<Uuid> {
        self.text(name).and_then(|text| Uuid::try_parse(text).ok())
    }
    fn flag(&self, name: &str) -> bool;
    fn texts(&self, name: &str) -> Option<Vec<String>>;
    fn uuids(&self, name: &str) -> Option<Vec<Uuid>> {
        self.texts(name).map(|texts| texts.iter().filter_map(|text| Uuid::try_parse(text).ok()).collect())
    }
}

impl Members for Map<String, Value> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
    fn texts(&self, name: &str) -> Option<Vec<String>> {
        let texts = self.get(name)?.as_array()?.iter();
        Some(texts.filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

impl Members for Value {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
    fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.as_object().and_then(|members| members.texts(name))
    }
}
