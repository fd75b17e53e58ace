//! What one request has looked up, to be found as of one moment: no decision may rest on a user as before a commit and on a
//! group as after it.
//!
//! Look-ups are not held back for that. They are noted, and before the request is answered, unless it has written, it is found
//! out whether all of them were so at the moment of the last one. Of what this node has committed in between that is known; the
//! rest is looked up once more. If something was not, what was decided by it is void, and the request is carried out again.
//!
//! A list is of the moment of its own statement. What was looked up before is held to it; what is looked up after it is not
//! compared with the list itself.

use super::Documents;
use super::row_cache::{By, Recent};
use crate::store::{Body, JournalResult, Moment};
use futures::future::try_join_all;
use registrar_projections::is_followed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

tokio::task_local! {
    static REQUEST: Documents;
}

/// What was looked up by a key.
#[derive(Clone)]
struct Lookup {
    by: By,
    value: String,
    /// When it was so.
    at: Moment,
    /// The document, if there was one.
    body: Option<Body>,
}

impl Lookup {
    fn is(&self, body: Option<&Body>) -> bool {
        match (&self.body, body) {
            (Some(known), Some(body)) => known.is_stored_as(body),
            (None, None) => true,
            _ => false,
        }
    }
}

#[derive(Default)]
struct State {
    /// What was so then will do for the next look-up, once it is known.
    enough: Option<Moment>,
    /// The moment of whatever was read last.
    latest: Moment,
    lookups: Vec<Lookup>,
    /// Whether nothing counts any more: the request has written, or is answered.
    closed: bool,
}

/// What one request has looked up.
#[derive(Default)]
pub(super) struct Noted(Mutex<State>);

impl Noted {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment that will do for the next look-up.
    pub(super) fn enough(&self) -> Option<Moment> {
        self.state().enough
    }

    /// Has the next look-up ask anew what the present moment is.
    fn ask_anew(&self) {
        self.state().enough = None;
    }

    /// Notes a look-up and what it found.
    pub(super) fn note(&self, by: By, value: &str, at: Moment, body: Option<&Body>) {
        let mut state = self.state();
        // The first that is known: all of them came after the request.
        state.enough.get_or_insert(at);
        if !state.closed && !is_followed(by.0) {
            state.lookups.push(Lookup { by, value: value.to_owned(), at, body: body.cloned() });
            state.see(at);
        }
    }

    /// Notes a list that was read.
    pub(super) fn note_list(&self, at: Moment) {
        self.state().see(at);
    }

    /// Look-ups of which this node does not know that they are still so at the latest moment.
    fn doubtful(&self, recent: &Recent) -> Vec<Lookup> {
        let state = self.state();
        let latest = state.latest;
        let unknown = |lookup: &&Lookup| {
            let known = || recent.find(lookup.by, &lookup.value, latest);
            lookup.at != latest && known().is_none_or(|(_, body)| !lookup.is(body.as_ref()))
        };
        if state.closed { Vec::new() } else { state.lookups.iter().filter(unknown).cloned().collect() }
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.lookups = Vec::new();
    }
}

impl State {
    fn see(&mut self, at: Moment) {
        if at.position >= self.latest.position {
            self.latest = at;
        }
    }
}

impl Documents {
    /// The same for one request: its look-ups reflect everything that was committed before this call, and whatever this
    /// node commits meanwhile, but only the first of them has to ask the store where the journal ends. They are noted: see
    /// [`Documents::settle`].
    #[must_use]
    pub fn of_now(&self) -> Self {
        Documents { noted: Some(Arc::default()), ..self.clone() }
    }

    /// From now on look-ups reflect everything that was committed before this call. Those that were made go on counting.
    pub fn ask_anew(&self) {
        if let Some(noted) = &self.noted {
            noted.ask_anew();
        }
    }

    /// Does the work of a request that looks up by these documents, until it commits.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        REQUEST.scope(self.clone(), work).await
    }

    /// Whether everything that was looked up was so at one moment. If it was, nothing is noted any more. Always so once the
    /// request has written: what it looked up later reflects that.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`.
    pub async fn settle(&self) -> JournalResult<bool> {
        let Some(noted) = &self.noted else { return Ok(true) };
        let doubtful = noted.doubtful(&self.recent);
        let again = doubtful.iter().map(|Lookup { by, value, .. }| self.lookups.find(by.0, by.1, value, None));
        let again = try_join_all(again).await?;
        let settled = doubtful.iter().zip(&again).all(|(lookup, found)| lookup.is(found.body.as_ref()));
        if settled {
            noted.close();
        }
        Ok(settled)
    }
}

/// Compares nothing any more of what the request has looked up, in whose course something is about to be committed: the commit
/// compares the streams that it was decided by. Held to one moment as well, requests that change one thing at once would keep
/// one another from it.
pub(crate) fn forget_before_commit() {
    let _ = REQUEST.try_with(|documents| {
        if let Some(noted) = &documents.noted {
            noted.close();
        }
    });
}
