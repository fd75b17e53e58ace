//! The `totp_configurations` read model: one document per configuration, without its secret.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::totp::TotpEvent;
use registrar_aggregates::values::{TotpId, UserId};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// The present state of a configuration.
pub type TotpDocument = Stamped<TotpConfiguration>;

crate::collection! {
    "totp_configurations" of TotpDocument, hot: false, id: |totp| totp.id.to_string();
    keys {
        /// Finds the configurations of a user.
        pub USER_ID: Text = |totp| totp.user_id.to_string();
        CREATED_AT: Text = |totp| time_key(totp.created_at);
    }
    indexes { [USER_ID, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A configuration, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpConfiguration {
    /// The configuration.
    pub id: TotpId,
    /// User of the second factor.
    pub user_id: UserId,
    /// Whether sign-in needs a code.
    pub enabled: bool,
    /// Time of its activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_at: Option<DateTime<Utc>>,
    /// Time of the last use of a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
}

impl AggregateState for TotpConfiguration {
    type Event = TotpEvent;
    /// The entries themselves have the time.
    const UNLISTED: &'static [&'static str] = &["enabledAt"];

    fn create(_: &RecordedEvent, change: &TotpEvent) -> Option<Self> {
        let TotpEvent::Created { id, user_id, .. } = change else { return None };
        Some(TotpConfiguration { id: *id, user_id: *user_id, enabled: false, enabled_at: None, used_at: None })
    }

    fn change(mut self, event: &RecordedEvent, change: &TotpEvent) -> Option<Self> {
        match change {
            TotpEvent::Created { .. } => {}
            TotpEvent::Enabled { .. } => (self.enabled, self.enabled_at) = (true, Some(event.recorded_at)),
            TotpEvent::CodeUsed { .. } | TotpEvent::RecoveryCodeUsed { .. } => self.used_at = Some(event.recorded_at),
            TotpEvent::Disabled { .. } => (self.enabled, self.enabled_at) = (false, None),
            TotpEvent::Deleted { .. } => return None,
        }
        Some(self)
    }
}
