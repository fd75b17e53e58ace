//! Scope of a reading, and its record.

use crate::api::AppState;
use crate::api::audit::replay::Subject;
use crate::api::common::{ApiError, Caller};
use crate::auth::spelled;
use crate::journal::JournalError;
use crate::journal::selection::EventFilter;
use crate::security::{self, Event};
use registrar_aggregates::audit_access::AuditAccessEvent;
use std::collections::BTreeMap;

/// Records that `caller` is about to read with these filters, and returns the position of the record. Call it once
/// nothing can be refused any more, and before the response begins.
///
/// # Errors
/// `Unavailable`; the reading must not be answered then.
pub async fn record(
    app: &AppState,
    caller: &Caller,
    what: &str,
    filters: BTreeMap<String, String>,
) -> Result<u64, ApiError> {
    let reading = AuditAccessEvent::TrailRead { trail: what.to_owned(), filters };
    let recorded = app.node.executor.record(&caller.context, &caller.principal.actor.id, vec![reading]).await?;
    // Position of the last event of the group commit; that of this record is at most that.
    Ok(recorded.events.last().map_or(recorded.position, |event| event.position))
}

/// Part of the journal that a caller may see: all of it, or events that carried one organization when they were
/// written. Today's owner of an aggregate does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<String>);

impl Scope {
    /// Scope of a caller.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Scope(caller.principal.organization.clone())
    }

    /// The organization that the scope is narrowed to, if any.
    #[must_use]
    pub fn organization(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Logs that a narrowed caller requested something outside its organization; the response is the same as for
    /// something that never existed.
    pub(super) fn unseen(&self) {
        if self.0.is_some() {
            security::refused(Event::Unseen, "another organization");
        }
    }

    /// The error for a single item missing up to position `until`: `otherwise`, unless it may have been archived. A
    /// narrowed caller gets the same error for other organizations' items as for items that never existed.
    pub(super) async fn nothing(&self, app: &AppState, subject: &Subject, until: u64, otherwise: ApiError) -> ApiError {
        let Some(organization) = self.0.clone() else { return otherwise };
        let whole = Subject { organization: None, ..subject.clone() };
        match app.replays.has_begun(&whole, until).await {
            Ok(true) => self.unseen(),
            // An item that may be archived is not known to be another organization's.
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

    /// The organization to filter by, given the requested one.
    ///
    /// # Errors
    /// `NotFound` if the scope is narrowed to another organization.
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
