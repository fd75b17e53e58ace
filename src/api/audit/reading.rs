//! Who reads how much, and that it was read.

use crate::api::AppState;
use crate::api::audit::replay::Subject;
use crate::api::common::{ApiError, Caller};
use crate::auth::spelled;
use crate::journal::JournalError;
use crate::journal::selection::EventFilter;
use crate::security::{self, Event};
use registrar_aggregates::audit_access::AuditAccessEvent;
use std::collections::BTreeMap;

/// Puts on record what `caller` is about to read and with which filters, and returns the position of that fact. Call
/// it once nothing can be refused any more, and before anything is answered.
///
/// # Errors
/// `Unavailable`; nothing may be answered then.
pub async fn record(
    app: &AppState,
    caller: &Caller,
    what: &str,
    filters: BTreeMap<String, String>,
) -> Result<u64, ApiError> {
    let reading = AuditAccessEvent::TrailRead { trail: what.to_owned(), filters };
    let recorded = app.node.executor.record(&caller.context, &caller.principal.actor.id, vec![reading]).await?;
    // The last event of all that were committed together; its own stands at most there.
    Ok(recorded.events.last().map_or(recorded.position, |event| event.position))
}

/// How much of the journal somebody may see: all of it, or what carried one organization when it was written. Whose
/// organization something is today does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<String>);

impl Scope {
    /// That of a caller.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Scope(caller.principal.organization.clone())
    }

    /// The only organization in it, if it is narrowed to one.
    #[must_use]
    pub fn organization(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Notes that somebody who is narrowed asked for what is not theirs; they are told what they would be if it never was.
    pub(super) fn unseen(&self) {
        if self.0.is_some() {
            security::refused(Event::Unseen, "another organization");
        }
    }

    /// Why there is nothing to show of a single thing up to position `until`: `otherwise`, unless it may have been
    /// archived. Who is narrowed is told the same of what is not theirs and of what never was.
    pub(super) async fn nothing(&self, app: &AppState, subject: &Subject, until: u64, otherwise: ApiError) -> ApiError {
        let Some(organization) = self.0.clone() else { return otherwise };
        let whole = Subject { organization: None, ..subject.clone() };
        match app.replays.has_begun(&whole, until).await {
            Ok(true) => self.unseen(),
            // What may be archived is not known to be somebody else's.
            Ok(false) | Err(JournalError::Archived { .. }) => {}
            Err(error) => return error.into(),
        }
        let theirs = EventFilter { organization_id: Some(organization), ..EventFilter::default() };
        match app.node.journal.archived_for(&theirs, until).await {
            Ok(0) => otherwise,
            Ok(until) => ApiError::Archived { until },
            Err(error) => error.into(),
        }
    }

    /// The organization to look for, when `asked` was asked for.
    ///
    /// # Errors
    /// `NotFound` for another one than it is narrowed to.
    pub fn narrow(&self, asked: Option<String>) -> Result<Option<String>, ApiError> {
        match (&self.0, asked.map(spelled)) {
            (Some(own), Some(asked)) if *own != asked => {
                self.unseen();
                Err(ApiError::NotFound("There is no such organization"))
            }
            (Some(own), _) => Ok(Some(own.clone())),
            (None, asked) => Ok(asked),
        }
    }
}
