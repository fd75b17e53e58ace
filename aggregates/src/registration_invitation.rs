//! Invitations of friends: a user invites an address to register, and the invitation is claimed when it does.
//!
//! An address has one open invitation at a time, which is a claim ([`ClaimKey::registration_invitation`]). It is the
//! address of a person without an account, so it is sealed with the invitation's own key, as is the message: both are
//! erased together, without regard to the sender. A [`quota`](crate::quota) bounds the invitations of a user.

use crate::facts::{EventFacts, event_names};
use crate::personal::ERASED;
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{EmailAddress, RegistrationInvitationId, UserId};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Time for which an invitation is open.
pub const VALIDITY: TimeDelta = TimeDelta::days(30);

/// An invitation of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "RegistrationInvitation"))]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// The invitation.
    pub id: RegistrationInvitationId,
    /// The user who invites.
    pub created_by: UserId,
    /// The invited address.
    pub email: EmailAddress,
    /// End of the time for which the invitation is open.
    pub expires_at: DateTime<Utc>,
}

impl Invitation {
    fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }

    /// Whether the address is gone. Nothing more can be recorded of the invitation then, since its key is gone as well.
    fn is_erased(&self) -> bool {
        self.email.as_str() == ERASED
    }
}

/// Life cycle of an invitation.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistrationInvitation {
    /// Never created.
    #[default]
    Absent,
    /// Neither claimed nor recorded as expired.
    Open(Invitation),
    /// Claimed or expired.
    Ended,
}

/// Commands of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationInvitationCommand {
    /// Creates the invitation.
    Create {
        /// The invitation.
        id: RegistrationInvitationId,
        /// The user who invites.
        created_by: UserId,
        /// The invited address.
        email: EmailAddress,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Records that the address registered; one whose time is over expires instead.
    Claim {
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Records that the time of the invitation is over, if it is.
    Expire {
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum RegistrationInvitationEvent {
    /// A user invited an address to register.
    #[serde(rename = "registration-invitation.created")]
    Created(Invitation),
    /// The invited address registered.
    #[serde(rename = "registration-invitation.claimed")]
    Claimed {
        /// The invited address.
        email: EmailAddress,
        /// Time of the registration.
        at: DateTime<Utc>,
    },
    /// The time of an invitation was over when its address was invited anew, or registered.
    #[serde(rename = "registration-invitation.expired")]
    Expired {
        /// The invited address.
        email: EmailAddress,
    },
}

event_names!(RegistrationInvitationEvent {
    Created => "registration-invitation.created" @ "1.0" Insert, clear ["/id", "/createdBy", "/expiresAt"];
    Claimed => "registration-invitation.claimed" @ "1.0" Update, clear ["/at"];
    Expired => "registration-invitation.expired" @ "1.0" Update, clear [];
});

impl EventFacts for RegistrationInvitationEvent {
    // The invited person, who has no other identifier yet.
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        vec![match self {
            RegistrationInvitationEvent::Created(Invitation { email, .. }) => {
                Claim::Take(ClaimKey::registration_invitation(email))
            }
            RegistrationInvitationEvent::Claimed { email, .. } | RegistrationInvitationEvent::Expired { email } => {
                Claim::Release(ClaimKey::registration_invitation(email))
            }
        }]
    }
}

/// Refusals of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationInvitationError {
    /// Invitation not found.
    #[error("invitation not found")]
    NotFound,
    /// The identifier is taken.
    #[error("invitation already exists")]
    AlreadyExists,
    /// The address has an account, or an open invitation; the refusal does not tell which.
    #[error("the address is registered or invited already")]
    Taken,
}

impl Refuse for RegistrationInvitationError {
    fn kind(&self) -> RefusalKind {
        match self {
            RegistrationInvitationError::NotFound => RefusalKind::NotFound,
            RegistrationInvitationError::AlreadyExists => RefusalKind::Conflict,
            RegistrationInvitationError::Taken => RefusalKind::Taken { field: "invitedEmail" },
        }
    }
}

impl Decide for RegistrationInvitation {
    fn creates(command: &RegistrationInvitationCommand) -> bool {
        matches!(command, RegistrationInvitationCommand::Create { .. })
    }

    fn decide(
        &self,
        command: RegistrationInvitationCommand,
    ) -> Result<Vec<RegistrationInvitationEvent>, RegistrationInvitationError> {
        use RegistrationInvitationCommand::{Claim, Create, Expire};
        match (self, command) {
            (RegistrationInvitation::Absent, Create { id, created_by, email, now }) => {
                let invitation = Invitation { id, created_by, email, expires_at: now + VALIDITY };
                Ok(vec![RegistrationInvitationEvent::Created(invitation)])
            }
            (_, Create { .. }) => Err(RegistrationInvitationError::AlreadyExists),
            (RegistrationInvitation::Absent, _) => Err(RegistrationInvitationError::NotFound),
            // The act that claims or replaces an invitation is not to fail on one that is over.
            (RegistrationInvitation::Ended, _) => Ok(vec![]),
            (RegistrationInvitation::Open(invitation), _) if invitation.is_erased() => Ok(vec![]),
            (RegistrationInvitation::Open(invitation), Claim { now } | Expire { now })
                if invitation.is_expired(now) =>
            {
                Ok(vec![RegistrationInvitationEvent::Expired { email: invitation.email.clone() }])
            }
            (RegistrationInvitation::Open(invitation), Claim { now }) => {
                Ok(vec![RegistrationInvitationEvent::Claimed { email: invitation.email.clone(), at: now }])
            }
            (RegistrationInvitation::Open(_), Expire { .. }) => Ok(vec![]),
        }
    }
}

impl RegistrationInvitation {
    /// Whether the invitation is neither claimed nor recorded as expired.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, RegistrationInvitation::Open(_))
    }

    fn evolve(&mut self, event: RegistrationInvitationEvent) {
        *self = match event {
            RegistrationInvitationEvent::Created(invitation) => RegistrationInvitation::Open(invitation),
            RegistrationInvitationEvent::Claimed { .. } | RegistrationInvitationEvent::Expired { .. } => {
                RegistrationInvitation::Ended
            }
        };
    }
}

aggregate!(
    RegistrationInvitation,
    "registration-invitation",
    RegistrationInvitationCommand,
    RegistrationInvitationEvent,
    RegistrationInvitationError
);

#[cfg(test)]
mod tests {
    use super::RegistrationInvitationCommand::{Claim, Create, Expire};
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    const ID: RegistrationInvitationId = RegistrationInvitationId(Uuid::from_u128(12));
    const ADA: UserId = UserId(Uuid::from_u128(1));

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    fn grace() -> EmailAddress {
        email("grace@example.com")
    }

    fn day(number: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(number)
    }

    fn created() -> RegistrationInvitationEvent {
        let (created_by, expires_at) = (ADA, day(30));
        RegistrationInvitationEvent::Created(Invitation { id: ID, created_by, email: grace(), expires_at })
    }

    fn claimed(at: DateTime<Utc>) -> RegistrationInvitationEvent {
        RegistrationInvitationEvent::Claimed { email: grace(), at }
    }

    fn expired() -> RegistrationInvitationEvent {
        RegistrationInvitationEvent::Expired { email: grace() }
    }

    fn create() -> RegistrationInvitationCommand {
        Create { id: ID, created_by: ADA, email: grace(), now: day(0) }
    }

    fn given(
        events: impl IntoIterator<Item = RegistrationInvitationEvent>,
    ) -> AggregateTestExecutor<RegistrationInvitation> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    impl Samples for RegistrationInvitationEvent {
        fn samples() -> Vec<Self> {
            vec![created(), claimed(day(7)), expired()]
        }
    }

    #[test]
    fn an_invitation_is_created_once_and_open_for_thirty_days() {
        given([]).when(create()).then_expect_events(vec![created()]);
        for before in [vec![created()], vec![created(), expired()]] {
            given(before).when(create()).then_expect_error(RegistrationInvitationError::AlreadyExists);
        }
    }

    #[test]
    fn an_open_invitation_is_claimed_once() {
        let just_open = day(30) - TimeDelta::milliseconds(1);
        given([created()]).when(Claim { now: just_open }).then_expect_events(vec![claimed(just_open)]);
        given([created(), claimed(day(7))]).when(Claim { now: day(8) }).then_expect_events(vec![]);
        given([]).when(Claim { now: day(7) }).then_expect_error(RegistrationInvitationError::NotFound);
    }

    #[test]
    fn an_invitation_whose_time_is_over_expires_and_is_not_claimed() {
        for command in [Claim { now: day(30) }, Expire { now: day(30) }, Expire { now: day(90) }] {
            given([created()]).when(command.clone()).then_expect_events(vec![expired()]);
            for ended in [claimed(day(7)), expired()] {
                given([created(), ended]).when(command.clone()).then_expect_events(vec![]);
            }
        }
        given([created()]).when(Expire { now: day(29) }).then_expect_events(vec![]);
        given([]).when(Expire { now: day(30) }).then_expect_error(RegistrationInvitationError::NotFound);
    }

    #[test]
    fn nothing_more_is_recorded_of_an_erased_invitation() {
        let text = serde_json::to_string(&created()).expect("JSON").replace("grace@example.com", ERASED);
        let erased: RegistrationInvitationEvent = serde_json::from_str(&text).expect("its own shape");
        for command in [Claim { now: day(7) }, Claim { now: day(30) }, Expire { now: day(30) }] {
            given([erased.clone()]).when(command).then_expect_events(vec![]);
        }
    }

    #[test]
    fn an_address_has_one_open_invitation_in_any_spelling() {
        let key = ClaimKey::registration_invitation;
        assert_eq!(created().claims(), [crate::Claim::Take(key(&grace()))]);
        for ended in [claimed(day(7)), expired()] {
            assert_eq!(ended.claims(), [crate::Claim::Release(key(&grace()))]);
        }
        assert_eq!(key(&email("Grace@Example.com")), key(&grace()));
        assert_ne!(key(&email("grace@example.org")), key(&grace()));
    }

    #[test]
    fn the_address_is_sealed_with_the_key_of_the_invitation() {
        for event in RegistrationInvitationEvent::samples() {
            assert_eq!(event.subject("stream").as_deref(), Some("stream"));
            let event = crate::DomainEvent::from(event);
            let payload = event.to_payload().expect("JSON");
            assert_eq!(event.disclosure().personal(&payload), ["/email"]);
        }
    }
}
