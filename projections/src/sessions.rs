//! The `sessions` read model: one document a session that was not ended. It knows nothing of secrets.

use crate::collection::{Collection, KeyColumn, KeyKind, KeyValue};
use crate::query::{IntegerKey, Sort, TextKey};
use crate::stamped::{Kept, Stamped, ordinal, time_key};
use registrar_aggregates::session::{Opening, Origin, SessionEvent};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::ops::Deref;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 4;

/// Finds the sessions of a user.
pub const USER_ID: TextKey<SessionDocument> = TextKey("user_id", PhantomData);
/// When they are over at the latest, as [`time_key`] writes it.
pub const EXPIRES_AT: TextKey<SessionDocument> = TextKey("expires_at", PhantomData);
/// When they began, as [`time_key`] writes it.
pub const CREATED_AT: TextKey<SessionDocument> = TextKey("created_at", PhantomData);
/// When they were last given new tokens, as [`time_key`] writes it.
pub const UPDATED_AT: TextKey<SessionDocument> = TextKey("updated_at", PhantomData);
/// How they began, as [`origin_key`] writes it.
pub const ORIGIN: TextKey<SessionDocument> = TextKey("origin", PhantomData);
/// The epoch of their user that they belong to.
pub const EPOCH: IntegerKey<SessionDocument> = IntegerKey("epoch", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<SessionDocument> = Sort(&["created_at"], PhantomData);

/// How a session began, as the key holds it.
#[must_use]
pub fn origin_key(origin: Origin) -> &'static str {
    match origin {
        Origin::SignIn => "sign-in",
        Origin::Workload => "workload",
        Origin::Synthetic => "synthetic",
    }
}

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
    const UNLISTED: &'static [&'static str] = &["epoch", "membership"];
    const COLLECTION: &'static Collection = &Collection {
        name: "sessions",
        keys: &[
            KeyColumn { name: "user_id", kind: KeyKind::Text },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "expires_at", kind: KeyKind::Text },
            KeyColumn { name: "updated_at", kind: KeyKind::Text },
            KeyColumn { name: "origin", kind: KeyKind::Text },
            KeyColumn { name: "epoch", kind: KeyKind::Integer },
        ],
        indexes: &[&["user_id", "created_at"]],
        counted: &[],
        hot: true,
    };

    fn id(&self) -> String {
        self.0.id.to_string()
    }

    fn keys(document: &SessionDocument) -> Vec<KeyValue> {
        let SessionEntry(state) = &document.state;
        vec![
            KeyValue::Text(state.user_id.to_string()),
            document.created_key(),
            KeyValue::Text(time_key(state.expires_at)),
            document.updated_key(),
            KeyValue::Text(origin_key(state.origin).to_owned()),
            ordinal(state.epoch),
        ]
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
