//! Onboarding requests as organizations create them.

use super::OnboardingError;
use crate::message::Channel;
use crate::user::{Contact, Locale, Phone, Role};
use crate::values::{EmailAddress, GroupId, IndividualId, OnboardingRequestId, OrganizationId, RecipientId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Kind of an onboarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnboardKind {
    /// A participant.
    Patient,
    /// A person who works for the organization.
    Provider,
}

impl OnboardKind {
    /// The kind as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OnboardKind::Patient => "patient",
            OnboardKind::Provider => "provider",
        }
    }
}

/// Status of an onboarding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnboardingStatus {
    /// The person has done nothing yet.
    Created,
    /// The person has begun to sign up.
    Registering,
    /// The person has come in.
    Claimed,
}

impl OnboardingStatus {
    /// The status as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OnboardingStatus::Created => "created",
            OnboardingStatus::Registering => "registering",
            OnboardingStatus::Claimed => "claimed",
        }
    }
}

/// An onboarding request as it was created, and with its present address and account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OnboardingRequest"))]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The request.
    pub id: OnboardingRequestId,
    /// The organization; never changes.
    pub organization_id: OrganizationId,
    /// Kind of the onboarding.
    pub kind: OnboardKind,
    /// The individual of a participant, owned by the organization. It becomes the primary one of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub individual_id: Option<IndividualId>,
    /// E-mail address of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Telephone number of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Roles of a provider; a participant has none here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Groups of the individual, or groups that the provider works in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupId>,
    /// Channels of the first invitation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Channel>,
    /// Whether the person needs no code beside the invitation.
    pub auto_confirm: bool,
    /// Whether the account has a password from the beginning.
    pub auto_sign_up: bool,
    /// Locale of the invitations.
    pub locale: Locale,
    /// The user or admin who created the request.
    pub created_by: UserId,
    /// The account of the person, while it is pending or from the sign-up on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Holder of the key that seals personal values: the pending account, or the request itself.
    pub holder: RecipientId,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("organization_id", &self.organization_id)
            .field("kind", &self.kind)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The address of a channel, if it is known.
    #[must_use]
    pub fn contact(&self, channel: Channel) -> Option<Contact> {
        match channel {
            Channel::Email => self.email.clone().map(Contact::Email),
            Channel::Sms => self.phone.clone().map(Contact::Phone),
        }
    }

    /// The channels whose addresses are known.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        [Channel::Email, Channel::Sms].into_iter().filter(|channel| self.contact(*channel).is_some()).collect()
    }

    /// The role of a participant, or the roles of a provider.
    #[must_use]
    pub fn granted_roles(&self) -> BTreeSet<Role> {
        match self.kind {
            OnboardKind::Patient => [Role::Member].into(),
            OnboardKind::Provider => self.roles.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<(), OnboardingError> {
        if self.channels().is_empty() {
            return Err(OnboardingError::NoContact);
        }
        match (self.kind, self.individual_id) {
            (OnboardKind::Patient, None) => return Err(OnboardingError::NoIndividual),
            (OnboardKind::Provider, Some(_)) => return Err(OnboardingError::NeedlessIndividual),
            (OnboardKind::Patient, Some(_)) | (OnboardKind::Provider, None) => {}
        }
        let fit = match self.kind {
            OnboardKind::Patient => self.roles.is_empty(),
            OnboardKind::Provider => !self.roles.is_empty() && !self.roles.contains(&Role::Member),
        };
        if !fit {
            return Err(OnboardingError::UnfitRoles);
        }
        if self.notifications.iter().any(|channel| self.contact(*channel).is_none()) {
            return Err(OnboardingError::NoAddress);
        }
        Ok(())
    }
}
