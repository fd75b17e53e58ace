//! Writes: a command or a process is carried out together with its response, so that a request with an idempotency key
//! is remembered if and only if its events are stored. The context of a request is handed out here and nowhere else, so
//! that no handler can write past it.

use super::{Call, HandlerResult};
use crate::access::resource::Guarded;
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::api::common::precondition::{IfMatch, Revision};
use crate::api::identity::documents::{Reply, Resource};
use crate::api::identity::refusals::{IntoApiError, into_api_error};
use crate::executor::{ExecuteError, Outcome, RequestContext};
use crate::node::Node;
use crate::processes::DirectoryError;
use crate::processes::recovery::{Recovery, ResetError, ResetRequest};
use crate::processes::sessions::{self, LiveSession, Person, SessionRequest};
use crate::processes::sign_in::{Credentials, PendingSignIn, SignInContext, SignInError, SignInResult};
use crate::processes::sign_up::{ConfirmationForm, SignUps, confirmed};
use registrar_aggregates::user::UserEvent;
use registrar_aggregates::{Decide, DomainEvent};
use registrar_projections::document::HasCollection;
use registrar_projections::{Document, UserDocument};
use std::future::Future;
use uuid::Uuid;
use zeroize::Zeroizing;

impl Call {
    /// Carries out a write whose response is known in advance.
    ///
    /// # Errors
    /// Errors of the act; nothing is stored then.
    pub(in crate::api::identity) async fn commit<'c, T, E, Act>(
        &'c self,
        reply: Reply,
        act: impl FnOnce(&'c Node, &'c RequestContext) -> Act,
    ) -> HandlerResult
    where
        Act: Future<Output = Result<T, E>>,
        E: IntoApiError,
    {
        let again = reply.clone();
        self.remember(move |_| Some(again.clone()));
        act(&self.app.node, &self.context).await.map_err(|error| self.refused(error.into_api_error()))?;
        Ok(reply)
    }

    /// Carries out a write whose response is rendered from its outcome; `None` if nothing changed.
    ///
    /// # Errors
    /// As [`Call::commit`].
    pub(in crate::api::identity) async fn commit_rendered<'c, E, Act>(
        &'c self,
        render: impl Fn(&Outcome) -> Option<Reply> + Clone + Send + Sync + 'static,
        act: impl FnOnce(&'c Node, &'c RequestContext) -> Act,
    ) -> Result<Option<Reply>, ApiError>
    where
        Act: Future<Output = Result<Outcome, E>>,
        E: IntoApiError,
    {
        self.remember(render.clone());
        let outcome = act(&self.app.node, &self.context).await.map_err(|error| self.refused(error.into_api_error()))?;
        Ok(render(&outcome))
    }

    /// Carries out a write and answers with the resulting document `key`. If nothing changed, the document is read
    /// again: the one read before may be older than the state of the decision.
    ///
    /// # Errors
    /// As [`Call::commit`]; `NotFound` if the document is gone by then.
    pub(in crate::api::identity) async fn commit_document<'c, D, E, Act>(
        &'c self,
        key: String,
        reply: fn(Resource) -> Reply,
        resource: impl Fn(&D) -> Resource + Clone + Send + Sync + 'static,
        act: impl FnOnce(&'c Node, &'c RequestContext) -> Act,
    ) -> HandlerResult
    where
        D: Document + HasCollection + Guarded,
        Act: Future<Output = Result<Outcome, E>>,
        E: IntoApiError,
    {
        let (shown, wanted) = (resource.clone(), key.clone());
        let render = move |outcome: &Outcome| {
            let mut changed = outcome.documents.iter().filter_map(|document| D::unwrap(document));
            changed.find(|document| document.id() == wanted).map(|document| reply(shown(document)))
        };
        match self.commit_rendered(render, act).await? {
            Some(reply) => Ok(reply),
            None => {
                let found = D::find(&self.app.node.documents, &key).await?;
                found.map(|found| reply(resource(&found))).ok_or(ApiError::NotFound(D::NOT_FOUND))
            }
        }
    }

    /// Carries out a command on one aggregate and answers with its document of the same identifier.
    ///
    /// # Errors
    /// As [`Call::commit_document`]; `PreconditionFailed` if the client named another revision than `revision`.
    pub(in crate::api::identity) async fn execute<A, D>(
        &self,
        id: String,
        revision: Option<Revision>,
        command: A::Command,
        reply: fn(Resource) -> Reply,
        resource: impl Fn(&D) -> Resource + Clone + Send + Sync + 'static,
    ) -> HandlerResult
    where
        A: Decide,
        D: Document + HasCollection + Guarded,
        DirectoryError: From<ExecuteError<A::Error>>,
    {
        let expected = match revision {
            Some(revision) => self.expected(revision)?,
            None => None,
        };
        self.commit_document::<D, DirectoryError, _>(id.clone(), reply, resource, |node, context| async move {
            Ok(node.executor.execute::<A>(context, &id, command, expected).await?)
        })
        .await
    }

    /// Stores a record, an aggregate of one event, and answers with its document.
    ///
    /// # Errors
    /// As [`Call::commit`].
    pub(in crate::api::identity) async fn record<A, D>(
        &self,
        command: A::Command,
        resource: fn(&D) -> Resource,
    ) -> HandlerResult
    where
        A: Decide,
        D: HasCollection + 'static,
        DirectoryError: From<ExecuteError<A::Error>>,
    {
        let recorded = self
            .commit_rendered(
                move |outcome| outcome.document::<D>().map(|found| Reply::created(resource(found))),
                |node, context| async move {
                    let id = Uuid::now_v7().to_string();
                    Ok::<_, DirectoryError>(node.executor.execute::<A>(context, &id, command, None).await?)
                },
            )
            .await?;
        recorded.ok_or_else(|| ApiError::internal("a record was stored without a document"))
    }

    /// The version that a command must meet, if the client set a precondition.
    ///
    /// # Errors
    /// `PreconditionFailed` if `current` is not among the client's revisions.
    pub(in crate::api::identity) fn expected(&self, current: impl Into<Revision>) -> Result<Option<u64>, ApiError> {
        self.if_match.expected(current)
    }

    /// Error of a write. A lost race is a failed precondition if the client named a version.
    #[must_use]
    pub(in crate::api::identity) fn refused(&self, error: ApiError) -> ApiError {
        match error {
            ApiError::VersionConflict if self.if_match != IfMatch::Any => ApiError::PreconditionFailed,
            // The domain names attributes; members of a plain body have the same names.
            ApiError::Wrong(wrong) if self.plain => ApiError::Wrong(wrong.into_iter().map(in_plain_body).collect()),
            error => error,
        }
    }

    /// Signs a person in; the response is committed with the session.
    ///
    /// # Errors
    /// Errors of [`SignInContext::sign_in`].
    pub(in crate::api::identity) async fn sign_in(
        &self,
        credentials: Credentials,
        request: &SessionRequest,
        reply: impl Fn(&PendingSignIn<'_>) -> Reply + Send + Sync,
    ) -> Result<SignInResult, SignInError> {
        let before = |prospect: PendingSignIn<'_>| {
            let reply = reply(&prospect);
            self.remember(move |_| Some(reply.clone()));
        };
        self.sign_in_context().sign_in(&self.context, &self.client_info(), credentials, request, before).await
    }

    /// Checks the password of a person who is signed in. A wrong one is counted, and nothing else is stored.
    ///
    /// # Errors
    /// Errors of [`SignInContext::confirm`].
    pub(in crate::api::identity) async fn confirm(
        &self,
        person: &Person,
        password: Zeroizing<String>,
    ) -> Result<Option<String>, SignInError> {
        self.sign_in_context().confirm(&self.context, person, password).await
    }

    /// Ends a session whose refresh token was already exchanged; returns whether it did. The client is not
    /// authenticated, so no response is remembered.
    ///
    /// # Errors
    /// Errors of [`sessions::end_if_spent`].
    pub(in crate::api::identity) async fn end_if_spent(
        &self,
        live: &LiveSession,
        token: &str,
    ) -> Result<bool, ApiError> {
        let context = RequestContext { answer: None, ..self.context.clone() };
        sessions::end_if_spent(&self.app.node, &context, live, token).await.map_err(into_api_error)
    }

    /// Sets a new password by a code; false for a wrong one. `reply` is committed with the password, and only with it: a
    /// wrong code, which is counted in a commit as well, is never remembered as a success.
    ///
    /// # Errors
    /// Errors of [`Recovery::reset`].
    pub(in crate::api::identity) async fn reset_password(
        &self,
        request: &ResetRequest,
        reply: Option<Reply>,
    ) -> Result<bool, ResetError> {
        let mut context = self.context.clone();
        match reply {
            Some(reply) => self.remember(move |outcome| is_reset(outcome).then(|| reply.clone())),
            None => context.answer = None,
        }
        self.recovery().reset(&context, &self.client_info(), request).await
    }

    /// Completes a sign-up by a code; `None` for a wrong one. `reply` is committed with it, as in
    /// [`Call::reset_password`].
    ///
    /// # Errors
    /// Errors of [`SignUps::confirm`].
    pub(in crate::api::identity) async fn confirm_sign_up(
        &self,
        form: &ConfirmationForm,
        reply: Option<fn(&UserDocument) -> Reply>,
    ) -> Result<Option<Outcome>, ApiError> {
        let mut context = self.context.clone();
        match reply {
            Some(reply) => self.remember(move |outcome| confirmed(outcome).map(reply)),
            None => context.answer = None,
        }
        let done = self.sign_ups().confirm(&context, &self.client_info(), form).await;
        done.map_err(|error| self.refused(error.into_api_error()))
    }

    /// Signs a person in who has just proven a contact; the response is committed with the session.
    ///
    /// # Errors
    /// Errors of [`SignInContext::sign_in_proven`].
    pub(in crate::api::identity) async fn sign_in_proven(
        &self,
        person: Person,
        request: &SessionRequest,
        reply: impl Fn(&PendingSignIn<'_>) -> Reply + Send + Sync,
    ) -> Result<SignInResult, SignInError> {
        let before = |prospect: PendingSignIn<'_>| {
            let reply = reply(&prospect);
            self.remember(move |_| Some(reply.clone()));
        };
        self.sign_in_context().sign_in_proven(&self.context, &self.client_info(), person, request, before).await
    }

    /// The parts of the server that sign people up.
    pub(in crate::api::identity) fn sign_ups(&self) -> SignUps<'_> {
        SignUps {
            node: &self.app.node,
            composer: &self.app.settings.composer,
            passwords: &self.app.passwords,
            pwned: self.app.settings.pwned.as_ref(),
            failures: &self.app.failures,
            shadows: &self.app.shadows,
            limits: &self.app.sign_up_limits,
        }
    }

    /// The parts of the server that replace forgotten passwords.
    pub(in crate::api::identity) fn recovery(&self) -> Recovery<'_> {
        Recovery {
            node: &self.app.node,
            composer: &self.app.settings.composer,
            passwords: &self.app.passwords,
            pwned: self.app.settings.pwned.as_ref(),
            failures: &self.app.failures,
            shadows: &self.app.shadows,
        }
    }

    fn sign_in_context(&self) -> SignInContext<'_> {
        SignInContext {
            node: &self.app.node,
            passwords: &self.app.passwords,
            authenticator: &self.app.authenticator,
            failures: &self.app.failures,
            pwned: self.app.settings.pwned.as_ref(),
            required: self.app.settings.second_factor,
            composer: &self.app.settings.composer,
        }
    }

    /// Commits the response with its events, for a request with an idempotency key.
    fn remember(&self, answer: impl Fn(&Outcome) -> Option<Reply> + Send + Sync + 'static) {
        if let Some(slot) = self.context.answer.as_deref() {
            slot.answer_with(move |outcome| answer(outcome).map(|reply| reply.to_answer()));
        }
    }
}

fn is_reset(outcome: &Outcome) -> bool {
    let mut events = outcome.events.iter().map(|event| &*event.event);
    events.any(|event| matches!(event, DomainEvent::User(UserEvent::PasswordChanged { .. })))
}

fn in_plain_body(wrong: RequestViolation) -> RequestViolation {
    match &wrong.source {
        Source::Pointer(pointer) => match pointer.strip_prefix("/data/attributes") {
            Some(member) => RequestViolation { source: Source::Pointer(member.to_owned()), ..wrong },
            None => wrong,
        },
        Source::Parameter(_) => wrong,
    }
}
