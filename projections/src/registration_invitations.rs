//! The `registration_invitations` read model: invitations of friends. No query searches for an address: its invitation is
//! found by the claim.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::registration_invitation::{Invitation, RegistrationInvitationEvent};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of an invitation.
pub type RegistrationInvitationDocument = Stamped<InvitationEntry>;

crate::collection! {
    "registration_invitations" of RegistrationInvitationDocument, hot: false,
    id: |entry| entry.invitation.id.to_string();
    keys {
        CREATED_AT: Text = |entry| time_key(entry.created_at);
        /// Finds the invitations of a sender.
        pub CREATED_BY: Text = |entry| entry.invitation.created_by.to_string();
    }
    indexes { [CREATED_AT], [CREATED_BY, CREATED_AT] }
    counts { [] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// State of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Neither claimed nor recorded as expired.
    Open,
    /// Claimed by the registration of its address.
    Claimed,
    /// Over, and recorded as such.
    Expired,
}

/// An invitation with its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationEntry {
    /// The invitation as it was created.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// State of the invitation.
    pub status: Status,
    /// Time of the registration that claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<DateTime<Utc>>,
}

impl AggregateState for InvitationEntry {
    type Event = RegistrationInvitationEvent;
    const PERSONAL: &'static [&'static str] = &["/email"];

    fn create(_: &RecordedEvent, change: &RegistrationInvitationEvent) -> Option<Self> {
        let RegistrationInvitationEvent::Created(invitation) = change else { return None };
        Some(InvitationEntry { invitation: invitation.clone(), status: Status::Open, claimed_at: None })
    }

    fn change(mut self, _: &RecordedEvent, change: &RegistrationInvitationEvent) -> Option<Self> {
        match change {
            RegistrationInvitationEvent::Created(_) => {}
            RegistrationInvitationEvent::Claimed { at, .. } => {
                (self.status, self.claimed_at) = (Status::Claimed, Some(*at));
            }
            RegistrationInvitationEvent::Expired { .. } => self.status = Status::Expired,
        }
        Some(self)
    }
}
