//! Look-ups of one request, made consistent as of one moment: no decision may combine a user from before a commit with
//! a group from after it.
//!
//! Look-ups do not wait for this. They are noted, and before the request is answered, unless it has written, all of
//! them are checked against the moment of the last one. This node's own commits in between are known; for other changes
//! the look-up is repeated. If one result has changed, the request's decision is void, and the request is carried out
//! again.
//!
//! A list reflects the moment of its own statement. Earlier look-ups are checked against it; later ones are not
//! compared with the list itself.
//!
//! A request that commits is exempt: its commit compares the streams that it was decided by, and concurrent requests
//! on one resource would otherwise keep each other from committing. Public operations have no guard to retry them;
//! each of their look-ups is of a moment of its own.

use super::Documents;
use super::document_cache::{DocumentCache, LookupKind, Row};
use crate::store::{JournalResult, Moment};
use futures::future::try_join_all;
use registrar_projections::is_followed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

tokio::task_local! {
    static REQUEST: Documents;
}

/// A noted look-up by key.
#[derive(Clone)]
struct Lookup {
    by: LookupKind,
    value: String,
    /// Moment at which it was valid.
    at: Moment,
    /// The document; `None` if not found.
    row: Option<Arc<Row>>,
}

impl Lookup {
    fn is(&self, row: Option<&Arc<Row>>) -> bool {
        match (&self.row, row) {
            (Some(known), Some(row)) => known.body.is_stored_as(&row.body),
            (None, None) => true,
            _ => false,
        }
    }
}

#[derive(Default)]
struct State {
    /// Moment that is recent enough for the next look-up; set by the first one.
    enough: Option<Moment>,
    /// The moment of the latest read.
    latest: Moment,
    lookups: Vec<Lookup>,
    /// Whether notes no longer count: the request has written, or is answered.
    closed: bool,
}

/// Look-ups of one request.
#[derive(Default)]
pub(super) struct RequestLookups(Mutex<State>);

impl RequestLookups {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment that is recent enough for the next look-up.
    pub(super) fn enough(&self) -> Option<Moment> {
        self.state().enough
    }

    /// Makes the next look-up fetch the current moment again.
    fn ask_anew(&self) {
        self.state().enough = None;
    }

    /// Notes a look-up and its result.
    pub(super) fn note(&self, by: LookupKind, value: &str, at: Moment, row: Option<&Arc<Row>>) {
        let mut state = self.state();
        // The first known moment: any look-up came after the request.
        state.enough.get_or_insert(at);
        if !state.closed && !is_followed(by.0) {
            state.lookups.push(Lookup { by, value: value.to_owned(), at, row: row.cloned() });
            state.see(at);
        }
    }

    /// Notes the moment of a list.
    pub(super) fn note_list(&self, at: Moment) {
        self.state().see(at);
    }

    /// Look-ups that are not known to be still valid at the latest moment.
    fn doubtful(&self, cache: &DocumentCache) -> Vec<Lookup> {
        let state = self.state();
        let latest = state.latest;
        let unknown = |lookup: &&Lookup| {
            let known = || cache.find(lookup.by, &lookup.value, latest);
            lookup.at != latest && known().is_none_or(|(_, row)| !lookup.is(row.as_ref()))
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
    /// A view for one request: its look-ups reflect everything committed before this call, and all later commits of
    /// this node, but only the first of them asks the store for the end of the journal. They are noted: see
    /// [`Documents::settle`].
    #[must_use]
    pub fn of_now(&self) -> Self {
        Documents { noted: Some(Arc::default()), ..self.clone() }
    }

    /// Later look-ups reflect everything committed before this call. Earlier ones still count.
    pub fn ask_anew(&self) {
        if let Some(noted) = &self.noted {
            noted.ask_anew();
        }
    }

    /// Runs the work of a request that reads these documents, until it commits.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        REQUEST.scope(self.clone(), work).await
    }

    /// Whether all look-ups were valid at one moment. If so, later ones are no longer noted. Always true once the
    /// request has written: its later look-ups reflect that.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`.
    pub async fn settle(&self) -> JournalResult<bool> {
        let Some(noted) = &self.noted else { return Ok(true) };
        let doubtful = noted.doubtful(&self.cache);
        let again = doubtful.iter().map(|Lookup { by, value, .. }| self.lookups.find(by.0, by.1, value, None));
        let again = try_join_all(again).await?;
        let settled = doubtful.iter().zip(&again).all(|(lookup, found)| lookup.is(found.row.as_ref()));
        if settled {
            noted.close();
        }
        Ok(settled)
    }
}

/// Drops the notes of the current request, which is about to commit: the commit compares the streams that the decision
/// rests on. Checking look-ups as well would make concurrent requests that change one thing block one another.
pub(crate) fn forget_before_commit() {
    let _ = REQUEST.try_with(|documents| {
        if let Some(noted) = &documents.noted {
            noted.close();
        }
    });
}
