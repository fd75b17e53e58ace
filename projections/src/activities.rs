//! The `user_activities` read model: sign-ins, refreshes and registrations, one document each.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::users::UserDocument;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::session::{Account, Origin, SessionEvent};
use registrar_aggregates::user::{Classification, UserEvent};
use registrar_aggregates::values::UserId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

crate::collection! {
    "user_activities" of ActivityDocument, hot: false, id: |activity| activity.id.to_string();
    keys {
        /// Finds the activities of a user.
        pub USER_ID: Text = |activity| activity.user_id.to_string();
        /// Finds the activities of a kind, by its name.
        pub KIND: Text = |activity| activity.activity.name().to_owned();
        /// Time of the activity.
        pub AT: Text = |activity| time_key(activity.at);
        /// `true` for staff.
        pub STAFF: Text = |activity| activity.staff.to_string();
        POSITION: Ordinal = |activity| activity.position;
    }
    indexes { [AT, POSITION], [USER_ID, AT, POSITION] }
    counts { [], [STAFF] }
    sorts {
        /// Oldest first.
        pub BY_TIME = [AT, POSITION];
    }
}

/// Kind of a user's activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// Signed in.
    #[serde(rename = "login")]
    SignIn,
    /// Was given new tokens.
    #[serde(rename = "refr")]
    Refresh,
    /// Registered themselves.
    #[serde(rename = "sreg")]
    SelfRegistration,
}

impl Activity {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Activity::SignIn => "login",
            Activity::Refresh => "refr",
            Activity::SelfRegistration => "sreg",
        }
    }
}

/// One activity of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityDocument {
    /// Derived from the position.
    pub id: Uuid,
    /// Position of the event.
    pub position: u64,
    /// The user.
    pub user_id: UserId,
    /// Kind of activity.
    pub activity: Activity,
    /// Time of the activity.
    pub at: DateTime<Utc>,
    /// Whether the user was staff at the time.
    pub staff: bool,
}

/// User and activity of an event; `None` for an event that is no activity.
fn done(event: &RecordedEvent) -> Option<(UserId, Activity)> {
    match &*event.event {
        DomainEvent::Session(session) => of_session(session),
        DomainEvent::User(UserEvent::SignUpConfirmed {}) => {
            let user = Uuid::try_parse(&event.aggregate_id).ok()?;
            Some((UserId(user), Activity::SelfRegistration))
        }
        _ => None,
    }
}

/// User and activity of a session's event; `None` if a program acted.
fn of_session(event: &SessionEvent) -> Option<(UserId, Activity)> {
    match event {
        SessionEvent::Opened(opening) if opening.origin == Origin::SignIn && opening.account == Account::User => {
            Some((opening.user_id, Activity::SignIn))
        }
        SessionEvent::Refreshed { user_id, account: Account::User, .. } => Some((*user_id, Activity::Refresh)),
        _ => None,
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    done(event).map(|(user, _)| DocumentKey::of::<UserDocument>(user.to_string())).into_iter().collect()
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let Some((user_id, activity)) = done(event) else { return Ok(()) };
    let user = documents.need::<UserDocument>(&user_id.to_string())?;
    let staff = user.classification == Some(Classification::Carium);
    documents.insert(ActivityDocument {
        id: crate::stamped::row_id(event.position, 0),
        position: event.position,
        user_id,
        activity,
        at: event.recorded_at,
        staff,
    })
}
