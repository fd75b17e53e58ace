//! Invitations of an onboarding request. Of each channel only the last one counts: its code opens the request, and
//! reports of its delivery are kept.

use crate::message::Channel;
use crate::values::{Finding, MessageId, check_line};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Time for which the code of an invitation is valid.
pub const VALIDITY: TimeDelta = TimeDelta::days(30);
/// Longest text about a failed delivery, in characters.
pub const ERROR_LENGTH_MAX: usize = 255;

/// Status of an invitation, in the order in which reports replace one another: a late report of an earlier status
/// changes nothing. One that is sent may be reported as sent again, with the reason of a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OnboardingInvitationStatus"))]
#[serde(rename_all = "lowercase")]
pub enum InvitationStatus {
    /// Composed, and not sent yet.
    Created,
    /// Accepted by a server, or captured.
    Sent,
    /// Reported as delivered.
    Delivered,
    /// Given up, or returned.
    Failed,
}

impl InvitationStatus {
    /// All statuses, in their order.
    pub const ALL: [InvitationStatus; 4] =
        [InvitationStatus::Created, InvitationStatus::Sent, InvitationStatus::Delivered, InvitationStatus::Failed];

    /// The status as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            InvitationStatus::Created => "created",
            InvitationStatus::Sent => "sent",
            InvitationStatus::Delivered => "delivered",
            InvitationStatus::Failed => "failed",
        }
    }
}

/// An invitation. Its message is composed in the same commit.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OnboardingInvitation"))]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// The message.
    pub message: MessageId,
    /// Channel of the message.
    pub channel: Channel,
    /// Keyed digest of the code in its link. A secret.
    pub digest: String,
    /// Time of the invitation.
    pub at: DateTime<Utc>,
    /// Time from which the code is no longer valid.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("message", &self.message)
            .field("channel", &self.channel)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Kind of a bounce, in the words of mail services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OnboardingBounceKind"))]
pub enum BounceKind {
    /// The address does not exist, or refuses for good.
    Permanent,
    /// The address refuses for now.
    Transient,
    /// The report does not say.
    Undetermined,
}

impl BounceKind {
    /// The kind as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BounceKind::Permanent => "Permanent",
            BounceKind::Transient => "Transient",
            BounceKind::Undetermined => "Undetermined",
        }
    }
}

/// A bounce of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OnboardingBounce"))]
#[serde(rename_all = "camelCase")]
pub struct Bounce {
    /// Kind of the bounce.
    pub kind: BounceKind,
    /// The reason in the words of the mail service, one line.
    pub subtype: String,
}

/// Report of the delivery of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The message of the invitation.
    pub message: MessageId,
    /// Status that is reported.
    pub status: InvitationStatus,
    /// Reason of a failure or a delay, one line without the address.
    pub error: Option<String>,
    /// The bounce of an e-mail.
    pub bounce: Option<Bounce>,
    /// Whether the recipient complained about the e-mail.
    pub complained: bool,
    /// Time of the report.
    pub at: DateTime<Utc>,
}

impl DeliveryReport {
    /// A report without details of a bounce.
    #[must_use]
    pub fn of(message: MessageId, status: InvitationStatus, at: DateTime<Utc>) -> Self {
        DeliveryReport { message, status, error: None, bounce: None, complained: false, at }
    }

    /// Refuses texts of several lines, and texts that are too long.
    ///
    /// # Errors
    /// `Finding` that names the text.
    pub fn check(&self) -> Result<(), Finding> {
        check_error(self.error.as_deref().unwrap_or_default())?;
        let subtype = self.bounce.as_ref().map(|bounce| bounce.subtype.as_str()).unwrap_or_default();
        check_line(subtype, ERROR_LENGTH_MAX).map_err(|problem| problem.of("subtype"))
    }
}

/// Refuses a reason of a failure that is no short line.
pub(crate) fn check_error(error: &str) -> Result<(), Finding> {
    check_line(error, ERROR_LENGTH_MAX).map_err(|problem| problem.of("error"))
}

/// The last invitation of a channel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastInvitation {
    /// The message.
    pub message: MessageId,
    /// Time of the invitation.
    pub at: DateTime<Utc>,
    /// Time from which its code is no longer valid.
    pub expires_at: DateTime<Utc>,
    /// Status of its delivery.
    pub status: InvitationStatus,
    /// Time of the last report of its delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<DateTime<Utc>>,
    /// Reason of a failure or a delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The bounce of an e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounce: Option<Bounce>,
    /// Whether the recipient complained about the e-mail.
    #[serde(default)]
    pub complained: bool,
    /// Keyed digest of its code. Set by events only: no stored state contains it.
    #[serde(skip)]
    pub digest: Option<String>,
}

impl fmt::Debug for LastInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastInvitation")
            .field("message", &self.message)
            .field("at", &self.at)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl LastInvitation {
    /// Whether a report would change anything.
    pub(super) fn is_news(&self, report: &DeliveryReport) -> bool {
        let is_delayed = [self.status, report.status] == [InvitationStatus::Sent; 2];
        let is_other_reason = report.error.is_some() && report.error != self.error;
        report.status > self.status || report.complained && !self.complained || is_delayed && is_other_reason
    }

    /// Whether the code with this digest is valid.
    pub(super) fn opens(&self, digest: &str, now: DateTime<Utc>) -> bool {
        self.digest.as_deref() == Some(digest) && now < self.expires_at
    }
}

impl From<Invitation> for LastInvitation {
    fn from(invitation: Invitation) -> Self {
        LastInvitation {
            message: invitation.message,
            at: invitation.at,
            expires_at: invitation.expires_at,
            status: InvitationStatus::Created,
            reported_at: None,
            error: None,
            bounce: None,
            complained: false,
            digest: Some(invitation.digest),
        }
    }
}
