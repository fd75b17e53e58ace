//! A call of an operation: who calls, with what, and what is answered.

use super::contract::{Arguments, Operation};
use super::documents::{Reply, Window};
use super::times::Comparison;
use crate::access::{Access, Holder, find_user};
use crate::api::AppState;
use crate::api::common::boundary::{RequestFacts, read_body};
use crate::api::common::error::{Source, Wrong};
use crate::api::common::{ApiError, Caller, json};
use crate::executor::{Outcome, RequestContext};
use crate::idempotency::Answer;
use crate::journal::JournalResult;
use crate::read_store::Documents;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::UserDocument;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Content types of bodies: plain, and of documents.
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/vnd.api+json"];
/// Most rows of a page where the contract names no bound.
const LIMIT_MAX: u64 = 1_000;

/// A call, checked against the published shape of its operation.
pub(super) struct Call {
    /// The server.
    pub(super) app: AppState,
    /// The circumstances, for whatever the call changes.
    pub(super) context: RequestContext,
    /// What is known of the request from outside.
    pub(super) facts: RequestFacts,
    /// Who calls; nobody in particular calls public operations.
    pub(super) caller: Option<Caller>,
    /// What the caller holds.
    pub(super) holder: Holder,
    /// The query.
    pub(super) arguments: Arguments,
    /// The body; null if there is none.
    pub(super) body: Value,
    path_id: Option<String>,
}

impl Call {
    /// Reads a request and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) async fn read(operation: &Operation, request: Request) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let missing = || ApiError::internal("an operation stands outside the boundary");
        let app = parts.extensions.get::<AppState>().cloned().ok_or_else(missing)?;
        let facts = parts.extensions.get::<RequestFacts>().cloned().ok_or_else(missing)?;
        let caller = parts.extensions.get::<Caller>().cloned();
        let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| ApiError::NoSuchPath)?;
        let path_id = path.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.to_owned());
        let arguments = operation.arguments(parts.uri.query().unwrap_or_default());
        let body = read_json(&parts.headers, body).await?;
        let checked = operation.check_body(body.as_ref());
        let arguments = match (arguments, checked) {
            (Ok(arguments), Ok(())) => arguments,
            (Err(mut wrong), Err(more)) => {
                wrong.extend(more);
                return Err(ApiError::Wrong(wrong));
            }
            (Err(wrong), Ok(())) | (Ok(_), Err(wrong)) => return Err(ApiError::Wrong(wrong)),
        };
        let context = match &caller {
            Some(caller) => caller.context.clone(),
            None => anonymous(&facts),
        };
        let holder = caller.as_ref().map(|caller| caller.principal.holder()).unwrap_or_default();
        let body = body.unwrap_or_default();
        Ok(Call { app, context, facts, caller, holder, arguments, body, path_id })
    }

    /// The documents, as of when the caller was let in or later.
    #[must_use]
    pub(super) fn documents(&self) -> &Documents {
        self.caller.as_ref().map_or(&self.app.node.documents, |caller| &caller.documents)
    }

    /// The user with an identifier, as they stand now.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn user_by_id(&self, id: UserId) -> JournalResult<Option<Arc<UserDocument>>> {
        find_user(self.documents(), &id.to_string()).await
    }

    /// Who decides about access.
    #[must_use]
    pub(super) fn access(&self) -> Access {
        Access::new(self.documents().clone())
    }

    /// The caller as a user; 403 for one who is none.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(super) fn user(&self) -> Result<&Arc<UserDocument>, ApiError> {
        self.holder.as_user().ok_or(ApiError::Forbidden)
    }

    /// Whether the caller is this user.
    #[must_use]
    pub(super) fn is(&self, user: UserId) -> bool {
        self.holder.user_id() == Some(user)
    }

    /// The organization in which the caller acts at present.
    #[must_use]
    pub(super) fn organization(&self) -> Option<OrganizationId> {
        let own = self.caller.as_ref()?.principal.organization.as_deref()?;
        Uuid::try_parse(own).ok().map(OrganizationId)
    }

    /// The identifier in the path as it was sent.
    #[must_use]
    pub(super) fn path_text(&self) -> &str {
        self.path_id.as_deref().unwrap_or_default()
    }

    /// The identifier in the path; nothing has one that is no UUID.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) fn path_id(&self, not_found: ApiError) -> Result<Uuid, ApiError> {
        let text = self.path_text();
        if text.len() == 36 { Uuid::try_parse(text).map_err(|_| not_found) } else { Err(not_found) }
    }

    /// A UUID of the query, which is known to be one.
    #[must_use]
    pub(super) fn uuid(&self, name: &str) -> Option<Uuid> {
        self.arguments.text(name).and_then(|text| Uuid::try_parse(text).ok())
    }

    /// UUIDs of the query, as keys hold them; `None` if the parameter was left out.
    #[must_use]
    pub(super) fn uuids(&self, name: &str) -> Option<Vec<String>> {
        let texts = self.arguments.has(name).then(|| self.arguments.texts(name));
        texts.map(|texts| texts.filter_map(|text| Uuid::try_parse(text).ok()).map(|id| id.to_string()).collect())
    }

    /// Comparisons with times; `<=` and `>=` only where they are allowed.
    ///
    /// # Errors
    /// `Wrong` for what is none.
    pub(super) fn comparisons(&self, name: &str, with_equality: bool) -> Result<Vec<Comparison>, ApiError> {
        let read = |text: &str| Comparison::parse(text, with_equality);
        let comparisons: Option<Vec<_>> = self.arguments.texts(name).map(read).collect();
        comparisons.ok_or_else(|| {
            let signs = if with_equality { "<, <=, > or >=" } else { "< or >" };
            ApiError::Wrong(vec![Wrong::parameter(name, format!("must be {signs} and a time"))])
        })
    }

    /// The part of a list that is asked for.
    ///
    /// # Errors
    /// `Wrong` beyond the bounds.
    pub(super) fn window(&self) -> Result<Window, ApiError> {
        self.window_up_to(LIMIT_MAX)
    }

    /// The same with another bound.
    ///
    /// # Errors
    /// `Wrong` beyond the bounds.
    pub(super) fn window_up_to(&self, max: u64) -> Result<Window, ApiError> {
        let bounded = |name: &str, max| {
            let number = self.arguments.number(name).filter(|number| *number <= max);
            number.ok_or_else(|| Wrong::parameter(name, format!("must be a number from 0 to {max}")))
        };
        match (bounded("page[limit]", max), bounded("page[offset]", i64::MAX.unsigned_abs())) {
            (Ok(limit), Ok(offset)) => Ok(Window { limit, offset }),
            (limit, offset) => Err(ApiError::Wrong(limit.err().into_iter().chain(offset.err()).collect())),
        }
    }

    /// The attributes of the document that was sent; its identifier must be that of the path, if there is one.
    ///
    /// # Errors
    /// `Wrong` if it contradicts the path.
    pub(super) fn attributes(&mut self) -> Result<Map<String, Value>, ApiError> {
        let body = std::mem::take(&mut self.body);
        super::documents::attributes(body, self.path_id.as_deref()).map_err(|wrong| ApiError::Wrong(vec![wrong]))
    }

    /// Has the answer remembered with the events that it comes with, for a request with an idempotency key.
    pub(super) fn remember(&self, answer: impl Fn(&Outcome) -> Option<Reply> + Send + Sync + 'static) {
        if let Some(slot) = self.context.answer.as_deref() {
            slot.answer_with(move |outcome| answer(outcome).map(|reply| reply.to_answer()));
        }
    }
}

/// Values of a body whose shape is known to be right.
pub(super) trait Members {
    /// A text.
    fn text(&self, name: &str) -> Option<&str>;
    /// A UUID.
    fn uuid(&self, name: &str) -> Option<Uuid> {
        self.text(name).and_then(|text| Uuid::try_parse(text).ok())
    }
    /// True or false; false if it is not there.
    fn flag(&self, name: &str) -> bool;
    /// Texts; `None` if they are not there.
    fn texts(&self, name: &str) -> Option<Vec<String>>;
    /// UUIDs; `None` if they are not there.
    fn uuids(&self, name: &str) -> Option<Vec<Uuid>> {
        self.texts(name).map(|texts| texts.iter().filter_map(|text| Uuid::try_parse(text).ok()).collect())
    }
    /// One word of a list, read as what it stands for.
    fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.text(name).and_then(|word| serde_json::from_value(Value::String(word.to_owned())).ok())
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

impl Reply {
    /// The reply as it is remembered.
    #[must_use]
    pub(super) fn to_answer(&self) -> Answer {
        let (status, content_type, body) = self.parts();
        let content_type = content_type.to_str().unwrap_or_default().to_owned();
        Answer {
            status: status.as_u16(),
            headers: vec![(CONTENT_TYPE.to_string(), content_type)],
            body: if status == StatusCode::NO_CONTENT { String::new() } else { body.to_string() },
        }
    }
}

/// The circumstances of a call by nobody in particular: the system acts for whoever it is. Where it came from is personal,
/// and there is nobody whose key could seal it.
fn anonymous(facts: &RequestFacts) -> RequestContext {
    let mut context = RequestContext::system();
    context.metadata.request_id.clone_from(&facts.request_id);
    context
}

/// The body; `None` if there is none, which a null is not.
async fn read_json(headers: &HeaderMap, body: Body) -> Result<Option<Value>, ApiError> {
    let typed = headers.contains_key(CONTENT_TYPE);
    let unsupported = ApiError::UnsupportedMediaType { expected: CONTENT_TYPES[0] };
    if typed && !json::has_type(headers, &CONTENT_TYPES) {
        return Err(unsupported);
    }
    let bytes = read_body(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !typed {
        return Err(unsupported);
    }
    let nowhere = || Source::Pointer(String::new());
    json::value(&bytes).map(Some).map_err(|findings| {
        let wrong = findings.into_iter().map(|finding| Wrong::at(nowhere(), finding));
        ApiError::Wrong(wrong.collect())
    })
}

/// What a handler answers.
pub(super) type Answered = Result<Reply, ApiError>;

impl Call {
    /// An answer as it goes out.
    pub(super) fn respond(answered: Answered) -> axum::response::Response {
        answered.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
    }
}
