//! Carrying out a write together with its response: the response to a request with an `Idempotency-Key` is committed
//! with its events. Handlers have no other way to execute a command, so that none forgets it; a test in
//! `src/api/tests.rs` finds those that take one.

use crate::api::AppState;
use crate::api::common::freshness::PositionedResponse;
use crate::committer::idempotency::Answer;
use crate::executor::{ExecuteError, Outcome, RequestContext};
use axum::response::{IntoResponse, Response};
use registrar_aggregates::Decide;
use std::sync::Arc;

/// A write of one request: the context of its command, and the rendering of its outcome.
pub struct Write<R> {
    context: RequestContext,
    render: Arc<R>,
}

/// The outcome of a write.
pub struct Committed {
    /// The events and the resulting documents.
    pub outcome: Outcome,
    /// The response, as remembered; `None` if the rendering had nothing to show, usually because nothing changed.
    pub answer: Option<Answer>,
}

impl<R> Write<R>
where
    R: Fn(&Outcome) -> Option<Answer> + Send + Sync + 'static,
{
    /// A write whose response `render` makes from its outcome. `render` is called once per attempt to commit and once
    /// more for the client; it must return the same every time.
    pub fn answered_with(context: &RequestContext, render: R) -> Self {
        let render = Arc::new(render);
        if let Some(slot) = &context.answer {
            let render = Arc::clone(&render);
            slot.answer_with(move |outcome| render(outcome));
        }
        Write { context: context.clone(), render }
    }

    /// Carries out `command` on the aggregate `id`.
    ///
    /// # Errors
    /// As [`crate::executor::Executor::execute`].
    pub async fn execute<A: Decide>(
        self,
        app: &AppState,
        id: &str,
        command: A::Command,
        expected: Option<u64>,
    ) -> Result<Committed, ExecuteError<A::Error>> {
        let outcome = app.node.executor.execute::<A>(&self.context, id, command, expected).await?;
        Ok(self.committed(outcome))
    }

    /// Carries out `act`, a process that commits once, in the context of the write.
    ///
    /// # Errors
    /// Errors of `act`.
    pub async fn carry_out<E>(
        self,
        act: impl AsyncFnOnce(&RequestContext) -> Result<Outcome, E>,
    ) -> Result<Committed, E> {
        Ok(self.committed(act(&self.context).await?))
    }

    fn committed(&self, outcome: Outcome) -> Committed {
        let answer = (self.render)(&outcome);
        Committed { outcome, answer }
    }
}

impl Committed {
    /// The response with the position that it reflects, if any.
    #[must_use]
    pub fn response(self) -> Option<Response> {
        let answer = self.answer?;
        Some(PositionedResponse(self.outcome.position, answer).into_response())
    }
}
