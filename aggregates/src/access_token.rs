//! An issued access token: its admin and its reach. The token itself is never stored.

use crate::refusal::{RefusalKind, Refuse};
use crate::{
    Decide,
    decide::aggregate,
    facts::{EventFacts, event_names},
    values::AdminId,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A token by its `jti`.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum AccessToken {
    /// Not issued.
    #[default]
    Absent,
    /// Issued; ends by expiry.
    Issued {
        /// Admin that the token identifies.
        admin_id: AdminId,
        /// Time from which the token is not accepted.
        expires_at: DateTime<Utc>,
        /// The only organization that the token reaches, if it was narrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<String>,
        /// The only permissions that the token carries, if it was narrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permissions: Option<Vec<String>>,
    },
}

/// Records the issue of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Admin that the token identifies.
    pub admin_id: AdminId,
    /// Time from which the token is not accepted.
    pub expires_at: DateTime<Utc>,
    /// The only organization that the token reaches, if narrowed.
    pub organization_id: Option<String>,
    /// The only permissions that the token carries, if narrowed.
    pub permissions: Option<Vec<String>>,
}

/// Events of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum AccessTokenEvent {
    /// An access token was issued.
    #[serde(rename = "access-token.issued")]
    Issued {
        /// Admin that the token identifies.
        admin_id: AdminId,
        /// Time from which the token is not accepted.
        expires_at: DateTime<Utc>,
        /// The only organization that the token reaches, if it was narrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<String>,
        /// The only permissions that the token carries, if it was narrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permissions: Option<Vec<String>>,
    },
}

event_names!(AccessTokenEvent {
    Issued => "access-token.issued" @ "1.0" Insert, clear [
        "/adminId", "/expiresAt", "/organizationId", "/permissions/*",
    ];
});

impl EventFacts for AccessTokenEvent {}

/// Reasons for not issuing a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// The identifier was used before.
    #[error("a token with this identifier was already issued")]
    AlreadyIssued,
}

impl Refuse for AccessTokenError {
    fn kind(&self) -> RefusalKind {
        match self {
            AccessTokenError::AlreadyIssued => RefusalKind::Conflict,
        }
    }
}

impl Decide for AccessToken {
    const LOADED: bool = false;

    fn creates(_issue: &Issue) -> bool {
        true
    }

    fn decide(&self, issue: Issue) -> Result<Vec<AccessTokenEvent>, AccessTokenError> {
        let Issue { admin_id, expires_at, organization_id, permissions } = issue;
        match self {
            AccessToken::Absent => {
                Ok(vec![AccessTokenEvent::Issued { admin_id, expires_at, organization_id, permissions }])
            }
            AccessToken::Issued { .. } => Err(AccessTokenError::AlreadyIssued),
        }
    }
}

impl AccessToken {
    fn evolve(&mut self, event: AccessTokenEvent) {
        match event {
            AccessTokenEvent::Issued { admin_id, expires_at, organization_id, permissions } => {
                *self = AccessToken::Issued { admin_id, expires_at, organization_id, permissions };
            }
        }
    }
}

aggregate!(AccessToken, "access-token", Issue, AccessTokenEvent, AccessTokenError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::TestFramework;

    impl Samples for AccessTokenEvent {
        fn samples() -> Vec<Self> {
            vec![AccessTokenEvent::Issued {
                admin_id: AdminId(uuid::Uuid::from_u128(1)),
                expires_at: DateTime::UNIX_EPOCH + chrono::Duration::milliseconds(1),
                organization_id: Some("o1".into()),
                permissions: Some(vec!["p1".into()]),
            }]
        }
    }

    fn issue() -> Issue {
        Issue {
            admin_id: AdminId(uuid::Uuid::from_u128(1)),
            expires_at: DateTime::UNIX_EPOCH,
            organization_id: None,
            permissions: None,
        }
    }

    fn issued() -> AccessTokenEvent {
        AccessTokenEvent::Issued {
            admin_id: AdminId(uuid::Uuid::from_u128(1)),
            expires_at: DateTime::UNIX_EPOCH,
            organization_id: None,
            permissions: None,
        }
    }

    #[test]
    fn a_token_is_issued_once() {
        TestFramework::<AccessToken>::with(())
            .given_no_previous_events()
            .when(issue())
            .then_expect_events(vec![issued()]);
        TestFramework::<AccessToken>::with(())
            .given(vec![issued()])
            .when(issue())
            .then_expect_error(AccessTokenError::AlreadyIssued);
    }
}
