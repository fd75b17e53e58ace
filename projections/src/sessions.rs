//! The `sessions` read model: one document per session that was not ended, without secrets.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::session::{Opening, Origin, SessionEvent};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 4;

/// The opening of a session, with its later changes.
pub type SessionDocument = Stamped<Opening>;

crate::collection! {
    "sessions" of SessionDocument, hot: true, id: |session| session.id.to_string();
    keys {
        /// Finds the sessions of a user.
        pub USER_ID: Text = |session| session.user_id.to_string();
        /// Creation time, as [`time_key`] writes it.
        pub CREATED_AT: Text = |session| time_key(session.created_at);
        /// Latest end, as [`time_key`] writes it.
        pub EXPIRES_AT: Text = |session| time_key(session.expires_at);
        /// Time of the last refresh, as [`time_key`] writes it.
        pub UPDATED_AT: Text = |session| time_key(session.updated_at);
        /// Origin, as [`origin_key`] writes it.
        pub ORIGIN: Text = |session| origin_key(session.origin).to_owned();
        /// Epoch of the user.
        pub EPOCH: Integer = |session| session.epoch;
    }
    indexes { [USER_ID, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// The origin of a session, as the key holds it.
#[must_use]
pub fn origin_key(origin: Origin) -> &'static str {
    match origin {
        Origin::SignIn => "sign-in",
        Origin::Workload => "workload",
        Origin::Synthetic => "synthetic",
    }
}

impl AggregateState for Opening {
    type Event = SessionEvent;
    const UNLISTED: &'static [&'static str] = &["epoch", "membership"];

    fn create(_: &RecordedEvent, change: &SessionEvent) -> Option<Self> {
        let SessionEvent::Opened(opening) = change else { return None };
        Some(Opening { refresh_digest: None, ..(**opening).clone() })
    }

    fn change(mut self, _: &RecordedEvent, change: &SessionEvent) -> Option<Self> {
        match change {
            SessionEvent::Opened(_) | SessionEvent::Refreshed { .. } => {}
            SessionEvent::Switched { scope, .. } => self.scope = Some(*scope),
            SessionEvent::Renewed { epoch } => self.epoch = *epoch,
            SessionEvent::Ended { .. } => return None,
        }
        Some(self)
    }
}
