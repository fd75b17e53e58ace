//! Events of an onboarding request. The holder of a key in each of them is the account of the invited person, or the
//! request itself where another account holds the address.

use super::Request;
use super::invitation::{Bounce, Invitation, InvitationStatus};
use crate::facts::{EventFacts, event_names};
use crate::message::Channel;
use crate::user::{Contact, Phone};
use crate::values::{EmailAddress, IndividualId, MessageId, OrganizationId, RecipientId, UserId};
use crate::{Claim, ClaimKey};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Events of an onboarding request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum OnboardingEvent {
    /// An organization began to onboard a person.
    #[serde(rename = "onboarding-request.created")]
    Created(Box<Request>),
    /// A person was invited; the earlier invitation by the same channel is void.
    #[serde(rename = "onboarding-request.invited")]
    Invited {
        /// Holder of the key that seals personal values.
        holder: RecipientId,
        /// The invitation.
        invitation: Invitation,
        /// Digest of the code that is void now. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<String>,
    },
    /// The e-mail address of an onboarding request was corrected; the invitation to the former one is void.
    #[serde(rename = "onboarding-request.email-amended")]
    EmailAmended {
        /// Holder of the key that seals personal values.
        holder: RecipientId,
        /// The organization.
        organization_id: OrganizationId,
        /// The former address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<EmailAddress>,
        /// The new address.
        email: EmailAddress,
        /// Digest of the code that is void now. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voided: Option<String>,
    },
    /// A person began to sign up by an invitation.
    #[serde(rename = "onboarding-request.registered")]
    Registered {
        /// Holder of the key that seals personal values.
        holder: RecipientId,
        /// The account.
        user_id: UserId,
        /// Time of the sign-up.
        at: DateTime<Utc>,
    },
    /// A person claimed an onboarding request: the address is proven, and membership, roles and groups are in force.
    #[serde(rename = "onboarding-request.claimed")]
    Claimed {
        /// Holder of the key that seals personal values.
        holder: RecipientId,
        /// The organization.
        organization_id: OrganizationId,
        /// The account.
        user_id: UserId,
        /// The e-mail address, which the organization may onboard again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<EmailAddress>,
        /// The telephone number, which the organization may onboard again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<Phone>,
        /// The individual of the person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        individual_id: Option<IndividualId>,
        /// Time of the claim.
        at: DateTime<Utc>,
    },
    /// The delivery of an invitation was reported.
    #[serde(rename = "onboarding-request.delivery-noted")]
    DeliveryNoted {
        /// Holder of the key that seals personal values.
        holder: RecipientId,
        /// The message of the invitation.
        message: MessageId,
        /// Channel of the invitation.
        channel: Channel,
        /// Status of the invitation.
        status: InvitationStatus,
        /// Reason of a failure or a delay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The bounce of an e-mail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bounce: Option<Bounce>,
        /// Whether the recipient complained about the e-mail.
        complained: bool,
        /// Time of the report.
        at: DateTime<Utc>,
    },
}

event_names!(OnboardingEvent {
    Created => "onboarding-request.created" @ "1.0" Insert, clear [
        "/id", "/organizationId", "/kind", "/individualId", "/roles/*", "/groups/*", "/notifications/*", "/locale",
        "/createdBy", "/userId", "/holder",
    ];
    Invited => "onboarding-request.invited" @ "1.0" Update, clear [
        "/holder", "/invitation/message", "/invitation/channel", "/invitation/at", "/invitation/expiresAt",
    ];
    EmailAmended => "onboarding-request.email-amended" @ "1.0" Update, clear ["/holder", "/organizationId"];
    Registered => "onboarding-request.registered" @ "1.0" Update, clear ["/holder", "/userId", "/at"];
    Claimed => "onboarding-request.claimed" @ "1.0" Update, clear [
        "/holder", "/organizationId", "/userId", "/individualId", "/at",
    ];
    DeliveryNoted => "onboarding-request.delivery-noted" @ "1.0" Update, clear [
        "/holder", "/message", "/channel", "/status", "/bounce/kind", "/at",
    ];
});

/// Prints the event's name but not its content: part of it is personal, part of it secret.
impl fmt::Debug for OnboardingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl OnboardingEvent {
    /// Holder of the key that seals personal values.
    #[must_use]
    pub fn holder(&self) -> RecipientId {
        match self {
            OnboardingEvent::Created(request) => request.holder,
            OnboardingEvent::Invited { holder, .. }
            | OnboardingEvent::EmailAmended { holder, .. }
            | OnboardingEvent::Registered { holder, .. }
            | OnboardingEvent::Claimed { holder, .. }
            | OnboardingEvent::DeliveryNoted { holder, .. } => *holder,
        }
    }
}

impl EventFacts for OnboardingEvent {
    fn subject(&self, _aggregate_id: &str) -> Option<String> {
        Some(self.holder().to_string())
    }

    fn claims(&self) -> Vec<Claim> {
        let code = |digest: &Option<String>, claim: fn(ClaimKey) -> Claim| {
            digest.as_deref().map(|digest| claim(ClaimKey::referral_code(digest)))
        };
        match self {
            OnboardingEvent::Created(request) => {
                let Request { organization_id, email, phone, individual_id, .. } = &**request;
                open_keys(*organization_id, email.as_ref(), phone.as_ref(), *individual_id).map(Claim::Take).collect()
            }
            OnboardingEvent::Invited { invitation, former, .. } => code(former, Claim::Release)
                .into_iter()
                .chain([Claim::Take(ClaimKey::referral_code(&invitation.digest))])
                .collect(),
            OnboardingEvent::EmailAmended { organization_id, former, email, voided, .. } => {
                let key = |email: &EmailAddress| {
                    ClaimKey::onboarding_address(*organization_id, &Contact::Email(email.clone()))
                };
                let former = former.as_ref().map(|former| Claim::Release(key(former)));
                former.into_iter().chain([Claim::Take(key(email))]).chain(code(voided, Claim::Release)).collect()
            }
            OnboardingEvent::Claimed { organization_id, email, phone, individual_id, .. } => {
                open_keys(*organization_id, email.as_ref(), phone.as_ref(), *individual_id)
                    .map(Claim::Release)
                    .collect()
            }
            // Codes stay with their request, so that their holders are told that it is claimed.
            OnboardingEvent::Registered { .. } | OnboardingEvent::DeliveryNoted { .. } => vec![],
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            OnboardingEvent::Invited { .. } => &["/invitation/digest", "/former"],
            OnboardingEvent::EmailAmended { .. } => &["/voided"],
            OnboardingEvent::Created(_)
            | OnboardingEvent::Registered { .. }
            | OnboardingEvent::Claimed { .. }
            | OnboardingEvent::DeliveryNoted { .. } => &[],
        }
    }
}

/// Keys that a request holds while it is open.
fn open_keys(
    organization: OrganizationId,
    email: Option<&EmailAddress>,
    phone: Option<&Phone>,
    individual: Option<IndividualId>,
) -> impl Iterator<Item = ClaimKey> {
    let email = email.cloned().map(Contact::Email);
    let phone = phone.cloned().map(Contact::Phone);
    let addresses = email.into_iter().chain(phone);
    addresses
        .map(move |address| ClaimKey::onboarding_address(organization, &address))
        .chain(individual.map(ClaimKey::onboarding_individual))
}
