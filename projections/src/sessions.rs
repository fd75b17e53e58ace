//! The `sessions` read model: one document a session that was not ended. It knows nothing of secrets.

use crate::collection::{Collection, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::stamped::{Kept, Stamped, time_key};
use registrar_aggregates::session::{Opening, SessionEvent};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::ops::Deref;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 3;

/// Finds the sessions of a user.
pub const USER_ID: TextKey<SessionDocument> = TextKey("user_id", PhantomData);
/// When they are over at the latest, as [`time_key`] writes it.
pub const EXPIRES_AT: TextKey<SessionDocument> = TextKey("expires_at", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<SessionDocument> = Sort(&["created_at"], PhantomData);

/// A session as it is now.
pub type SessionDocument = Stamped<SessionEntry>;

/// How a session was opened, and what has become of it since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionEntry(Opening);

impl Deref for SessionEntry {
    type Target = Opening;

    fn deref(&self) -> &Opening {
        &self.0
    }
}

impl Kept for SessionEntry {
    type Event = SessionEvent;
    const ENTITY: &'static str = "Session";
    const UNLISTED: &'static [&'static str] = &["epoch", "membership"];
    const COLLECTION: &'static Collection = &Collection {
        name: "sessions",
        keys: &[
            KeyColumn { name: "user_id", kind: KeyKind::Text },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "expires_at", kind: KeyKind::Text },
        ],
        indexes: &[&["user_id", "created_at"]],
        counted: &[],
        hot: true,
    };

    fn id(&self) -> String {
        self.0.id.to_string()
    }

    fn keys(document: &SessionDocument) -> Vec<KeyValue> {
        let expires_at = KeyValue::Text(time_key(document.state.expires_at));
        vec![KeyValue::Text(document.state.user_id.to_string()), document.created_key(), expires_at]
    }

    fn creates(event: &SessionEvent) -> bool {
        matches!(event, SessionEvent::Opened(_))
    }

    fn create(event: &SessionEvent) -> Option<Self> {
        let SessionEvent::Opened(opening) = event else { return None };
        Some(SessionEntry(Opening { refresh_digest: None, ..(**opening).clone() }))
    }

    fn change(mut self, event: &SessionEvent) -> Option<Self> {
        match event {
            SessionEvent::Opened(_) | SessionEvent::Refreshed { .. } => {}
            SessionEvent::Switched { scope, .. } => self.0.scope = Some(*scope),
            SessionEvent::Renewed { epoch } => self.0.epoch = *epoch,
            SessionEvent::Ended { .. } => return None,
        }
        Some(self)
    }
}
