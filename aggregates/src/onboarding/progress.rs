//! The progress of an onboarding request.

use super::{InvitationStatus, LastInvitation, OnboardingEvent, OnboardingStatus, Request};
use crate::message::Channel;
use crate::user::InvitationState;
use crate::values::{EmailAddress, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// An onboarding request with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The request. Its members are accessible as the progress's own.
    #[serde(flatten)]
    pub request: Request,
    /// Status of the request.
    pub status: OnboardingStatus,
    /// Time at which the person last began to sign up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registering_at: Option<DateTime<Utc>>,
    /// The account that claimed the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<UserId>,
    /// Time of the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<DateTime<Utc>>,
    /// The last invitation by e-mail to the present address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_invitation: Option<LastInvitation>,
    /// The last invitation by text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_invitation: Option<LastInvitation>,
}

impl Deref for Progress {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl Progress {
    /// The progress of a new request.
    #[must_use]
    pub fn of(request: Request) -> Self {
        Progress {
            request,
            status: OnboardingStatus::Created,
            registering_at: None,
            claimed_by: None,
            claimed_at: None,
            email_invitation: None,
            sms_invitation: None,
        }
    }

    /// The last invitation of a channel.
    #[must_use]
    pub fn invitation(&self, channel: Channel) -> Option<&LastInvitation> {
        match channel {
            Channel::Email => self.email_invitation.as_ref(),
            Channel::Sms => self.sms_invitation.as_ref(),
        }
    }

    /// The channel by which the valid code with this digest was sent. The status of the request does not matter.
    #[must_use]
    pub fn channel_of(&self, digest: &str, now: DateTime<Utc>) -> Option<Channel> {
        let sent = |channel: &Channel| self.invitation(*channel).is_some_and(|last| last.opens(digest, now));
        [Channel::Email, Channel::Sms].into_iter().find(sent)
    }

    /// Whether this is the present e-mail address, in any spelling.
    #[must_use]
    pub fn has_email(&self, email: &EmailAddress) -> bool {
        self.email.as_ref().is_some_and(|present| present.comparable() == email.comparable())
    }

    /// Whether the person has come in.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.status == OnboardingStatus::Claimed
    }

    /// State of the person's invitation as its deliveries tell: sent by one channel at least, or failed by all that were
    /// reported. `None` while nothing was reported.
    #[must_use]
    pub fn invitation_state(&self) -> Option<InvitationState> {
        let statuses = [&self.email_invitation, &self.sms_invitation].into_iter().flatten().map(|last| last.status);
        let statuses: Vec<_> = statuses.collect();
        let arrived =
            |status: &InvitationStatus| matches!(status, InvitationStatus::Sent | InvitationStatus::Delivered);
        if statuses.iter().any(arrived) {
            return Some(InvitationState::Sent);
        }
        statuses.contains(&InvitationStatus::Failed).then_some(InvitationState::Failed)
    }

    /// The same progress without the digests of codes.
    #[must_use]
    pub fn without_digests(mut self) -> Self {
        for last in [&mut self.email_invitation, &mut self.sms_invitation].into_iter().flatten() {
            last.digest = None;
        }
        self
    }

    /// Applies an event. A creation is applied by the state, not the progress.
    pub fn evolve(&mut self, event: OnboardingEvent) {
        match event {
            OnboardingEvent::Created(_) => {}
            OnboardingEvent::Invited { invitation, .. } => {
                let place = match invitation.channel {
                    Channel::Email => &mut self.email_invitation,
                    Channel::Sms => &mut self.sms_invitation,
                };
                *place = Some(invitation.into());
            }
            OnboardingEvent::EmailAmended { email, .. } => {
                self.request.email = Some(email);
                self.email_invitation = None;
            }
            OnboardingEvent::Registered { user_id, at, .. } => {
                (self.status, self.registering_at) = (OnboardingStatus::Registering, Some(at));
                self.request.user_id = Some(user_id);
            }
            OnboardingEvent::Claimed { user_id, at, .. } => {
                self.status = OnboardingStatus::Claimed;
                (self.claimed_by, self.claimed_at) = (Some(user_id), Some(at));
                self.request.user_id = Some(user_id);
            }
            OnboardingEvent::DeliveryNoted { channel, status, error, bounce, complained, at, .. } => {
                let place = match channel {
                    Channel::Email => &mut self.email_invitation,
                    Channel::Sms => &mut self.sms_invitation,
                };
                if let Some(last) = place {
                    (last.status, last.reported_at, last.complained) = (status, Some(at), complained);
                    last.error = error;
                    last.bounce = bounce;
                }
            }
        }
    }
}
