//! A call of an operation: the caller, the request, and the ways to answer it.
//!
//! A handler looks a resource up by the place that names it: `load` for the path (404, 403), `named` for a member of
//! the body (400, 403), `seen` or `rightful` for a filter, in which a hidden resource matches nothing. It writes by
//! `commit`, `commit_document`, `execute` or `record`. The context of a request is handed out by these only, so that no
//! write escapes the slot of its remembered response.

mod decode;
mod list;
mod load;
mod write;

pub(super) use decode::{
    Attributes, EmptyBody, Handler, Parameters, Parse, Parsed, PlainBody, Secret, StrictComparison, nullable,
};
pub(super) use list::{QueryExt, compared, whole};

use super::contract::{Arguments, Operation};
use super::documents::Reply;
use crate::access::{Access, Holder, find_user};
use crate::api::AppState;
use crate::api::common::boundary::{self, RequestFacts, read_body};
use crate::api::common::error::{RequestViolation, Source};
use crate::api::common::idempotency::PublicSlot;
use crate::api::common::precondition::IfMatch;
use crate::api::common::{ApiError, Caller, json, limits};
use crate::committer::idempotency::Answer;
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::processes::own_acts_only;
use crate::processes::sessions::{ClientInfo, Person};
use crate::read_store::Documents;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::{AdminDocument, UserDocument};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Content types of request bodies: plain JSON, and JSON:API.
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/vnd.api+json"];

/// Result of a handler.
pub(super) type HandlerResult = Result<Reply, ApiError>;

/// A call, checked against the published contract of its operation.
pub(super) struct Call {
    /// The server.
    pub(super) app: AppState,
    /// Facts about the request known from outside.
    pub(super) facts: Arc<RequestFacts>,
    /// The caller; `None` for public operations.
    pub(super) caller: Option<Caller>,
    /// The grants of the caller.
    pub(super) holder: Holder,
    operation: &'static str,
    /// Context recorded with every change; only [`mod@write`] hands it out.
    context: RequestContext,
    arguments: Arguments,
    /// The body; null if absent.
    body: Value,
    /// The identifier in the body, compared with the path's once the path's resource is found.
    sent_id: Option<String>,
    /// Whether the body is plain JSON, not a JSON:API document.
    plain: bool,
    path_id: Option<String>,
    if_match: IfMatch,
}

impl Call {
    /// Reads and validates a request.
    ///
    /// # Errors
    /// All violations.
    pub(super) async fn read(operation: &'static Operation, request: Request) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let (app, facts) = boundary::passed(&parts.extensions)?;
        let caller = parts.extensions.get::<Caller>().cloned();
        let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| ApiError::NoSuchPath)?;
        let path_id = path.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.to_owned());
        let if_match = IfMatch::parse(parts.headers.get_all(IF_MATCH).iter().map(|value| value.as_bytes()))?;
        let arguments = operation.arguments(parts.uri.query().unwrap_or_default());
        let body = operation.body(read_json(&parts, body).await?);
        let (arguments, body) = match (arguments, body) {
            (Ok(arguments), Ok(body)) => (arguments, body),
            (Err(mut wrong), Err(more)) => {
                wrong.extend(more);
                return Err(ApiError::Wrong(wrong));
            }
            (Err(wrong), Ok(_)) | (Ok(_), Err(wrong)) => return Err(ApiError::Wrong(wrong)),
        };
        let context = match &caller {
            Some(caller) => caller.context.clone(),
            None => anonymous(&facts, parts.extensions.get::<PublicSlot>()),
        };
        let holder = caller.as_ref().map(|caller| caller.principal.holder()).unwrap_or_default();
        let operation = operation.id.as_str();
        Ok(Call {
            app,
            facts,
            caller,
            holder,
            operation,
            context,
            arguments,
            body,
            sent_id: None,
            plain: false,
            path_id,
            if_match,
        })
    }

    /// Documents as of the authentication of the caller or later.
    #[must_use]
    pub(super) fn documents(&self) -> &Documents {
        self.caller.as_ref().map_or(&self.app.node.documents, |caller| &caller.documents)
    }

    /// The user with an identifier, at the current head.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn user_by_id(&self, id: UserId) -> JournalResult<Option<Arc<UserDocument>>> {
        find_user(self.documents(), &id.to_string()).await
    }

    /// Access decisions of this node.
    #[must_use]
    pub(super) fn access(&self) -> Access {
        Access::new(self.documents().clone())
    }

    /// The caller as a user; 403 for other callers.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(super) fn user(&self) -> Result<&Arc<UserDocument>, ApiError> {
        self.holder.as_user().ok_or_else(|| self.forbidden())
    }

    /// Whether the caller is this user.
    #[must_use]
    pub(super) fn is(&self, user: UserId) -> bool {
        self.holder.user_id() == Some(user)
    }

    /// The organization in which the caller currently acts.
    #[must_use]
    pub(super) fn organization(&self) -> Option<OrganizationId> {
        let own = self.caller.as_ref()?.principal.organization.as_deref()?;
        Uuid::try_parse(own).ok().map(OrganizationId)
    }

    /// The identifier in the path, as sent.
    #[must_use]
    pub(super) fn path_text(&self) -> &str {
        self.path_id.as_deref().unwrap_or_default()
    }

    /// A text in the `meta` of the request document.
    #[must_use]
    pub(super) fn meta_text(&self, name: &str) -> Option<Zeroizing<String>> {
        self.body["meta"][name].as_str().map(|text| Zeroizing::new(text.to_owned()))
    }

    /// The current organization: from the query, else of the session, else the caller's default.
    #[must_use]
    pub(super) fn current_organization(&self) -> Option<OrganizationId> {
        let named = self.arguments.text("organization-id").and_then(|id| Uuid::try_parse(id).ok()).map(OrganizationId);
        let default = || self.holder.as_user().and_then(|user| user.default_organization);
        named.or_else(|| self.organization()).or_else(default)
    }

    /// Counts the look-up of an address that is hidden from the caller.
    ///
    /// # Errors
    /// `TooManyRequests` beyond the caller's rate. Callers who see every user learn nothing by it.
    pub(super) fn count_lookup(&self) -> Result<(), ApiError> {
        if self.holder.sees_everybody() {
            return Ok(());
        }
        self.app.lookups.accept(self.actor(), Instant::now()).map_err(limits::too_many)
    }

    /// Refuses a caller whose rate of look-ups is used up. For acts that count only an address with an account: without
    /// this check the refusal beyond the rate would tell of it.
    ///
    /// # Errors
    /// As [`Call::count_lookup`].
    pub(super) fn check_lookups(&self) -> Result<(), ApiError> {
        if self.holder.sees_everybody() {
            return Ok(());
        }
        self.app.lookups.check(self.actor(), Instant::now()).map_err(limits::too_many)
    }

    fn actor(&self) -> &str {
        self.caller.as_ref().map(|caller| caller.principal.actor.id.as_str()).unwrap_or_default()
    }

    /// The caller as an account owner: a user, or an admin.
    ///
    /// # Errors
    /// `Forbidden` for programs with an API key and for narrowed tokens; `Unavailable`.
    pub(super) async fn account(&self) -> Result<Person, ApiError> {
        if let Some(user) = self.holder.as_user() {
            return Ok(Person::User(Arc::clone(user)));
        }
        // A token narrowed to an organization does not reach its admin's account.
        let whole = self.caller.as_ref().filter(|caller| caller.principal.organization.is_none());
        let admin = whole.and_then(|caller| caller.principal.admin_id).ok_or_else(|| self.forbidden())?;
        let admin = self.documents().find::<AdminDocument>(&admin.to_string()).await?.value;
        admin.map(Person::Admin).ok_or_else(|| self.forbidden())
    }

    /// Whether the caller acts on behalf of another user.
    #[must_use]
    pub(super) fn acts_for_another(&self) -> bool {
        self.context.acts_for_another()
    }

    /// Refuses callers that act on behalf of another user: the operation changes an address, a password, a second
    /// factor or a role.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(super) fn own_acts_only(&self) -> Result<(), ApiError> {
        own_acts_only(&self.context).map_err(|_| self.forbidden())
    }

    /// Origin of the request, for events of people whose key can encrypt it.
    #[must_use]
    pub(super) fn client_info(&self) -> ClientInfo {
        ClientInfo { ip_address: self.facts.ip_address.clone(), user_agent: self.facts.user_agent.clone() }
    }

    /// Session of the caller.
    #[must_use]
    pub(super) fn session_id(&self) -> Option<SessionId> {
        self.caller.as_ref()?.principal.session
    }
}

impl Reply {
    /// The reply in its remembered form.
    #[must_use]
    pub(super) fn to_answer(&self) -> Answer {
        let (status, content_type, body) = self.parts();
        let content_type = content_type.to_str().unwrap_or_default().to_owned();
        let tag = self.entity_tag().map(|tag| (ETAG.to_string(), tag));
        Answer {
            status: status.as_u16(),
            headers: std::iter::once((CONTENT_TYPE.to_string(), content_type)).chain(tag).collect(),
            body,
        }
    }
}

/// Context of a call without a caller: the system is the actor. The client's address is personal, and there is no key
/// to encrypt it.
fn anonymous(facts: &RequestFacts, slot: Option<&PublicSlot>) -> RequestContext {
    let mut context = RequestContext::system();
    context.metadata.request_id.clone_from(&facts.request_id);
    context.answer = slot.map(|slot| Arc::clone(&slot.0));
    context
}

/// The body; `None` if absent, unlike a null.
async fn read_json(parts: &Parts, body: Body) -> Result<Option<Value>, ApiError> {
    let typed = parts.headers.contains_key(CONTENT_TYPE);
    let unsupported = ApiError::UnsupportedMediaType { expected: CONTENT_TYPES[0] };
    if typed && !json::has_type(&parts.headers, &CONTENT_TYPES) {
        return Err(unsupported);
    }
    let bytes = read_body(&parts.extensions, body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !typed {
        return Err(unsupported);
    }
    let nowhere = || Source::Pointer(String::new());
    json::value(&bytes).map(Some).map_err(|findings| {
        let wrong = findings.into_iter().map(|finding| RequestViolation::at(nowhere(), finding));
        ApiError::Wrong(wrong.collect())
    })
}

impl Call {
    /// The HTTP response.
    pub(super) fn respond(answered: HandlerResult) -> axum::response::Response {
        answered.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
    }
}
