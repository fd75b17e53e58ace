//! Onboarding requests: an organization brings a person in, as a participant with an individual of the organization or as
//! a provider with roles.
//!
//! A request is created, its person begins to sign up (`registering`) and claims it. While it is open, the organization
//! has no other one for its addresses or its individual. Where no other account holds an address, the person has a pending
//! account from the beginning; otherwise the person claims the request with an account of their own. What this means for
//! accounts, individuals and groups is decided in [`crate::processes::onboarding`].

mod event;
mod invitation;
#[cfg(test)]
pub(crate) mod tests;

pub use event::OnboardingEvent;
pub(crate) use invitation::check_error;
pub use invitation::{
    Bounce, BounceKind, DeliveryReport, ERROR_LENGTH_MAX, Invitation, InvitationStatus, LastInvitation, VALIDITY,
};

use crate::message::Channel;
use crate::refusal::{RefusalKind, Refuse};
use crate::user::{Contact, InvitationState, Locale, Phone, Role};
use crate::values::{
    EmailAddress, Finding, GroupId, IndividualId, OnboardingRequestId, OrganizationId, RecipientId, UserId,
};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

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

    fn check(&self) -> Result<(), OnboardingError> {
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

/// Life cycle of an onboarding request.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Onboarding {
    /// Never created.
    #[default]
    Absent,
    /// Created; the status says how far it has come.
    Present(Box<Progress>),
}

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

    /// The channel by which the valid code with this digest was sent, whatever the status of the request.
    #[must_use]
    pub fn channel_of(&self, digest: &str, now: DateTime<Utc>) -> Option<Channel> {
        let sent = |channel: &Channel| self.invitation(*channel).is_some_and(|last| last.opens(digest, now));
        [Channel::Email, Channel::Sms].into_iter().find(sent)
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

/// Commands of an onboarding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnboardingCommand {
    /// Creates the request.
    Create(Box<Request>),
    /// Records an invitation, which voids the channel's earlier one.
    Invite(Invitation),
    /// Corrects the e-mail address, which voids the invitation to the former one.
    AmendEmail(EmailAddress),
    /// Records that the person began to sign up.
    Register {
        /// The account.
        user: UserId,
        /// The current time.
        at: DateTime<Utc>,
    },
    /// Records that the person has come in.
    Claim {
        /// The account.
        by: UserId,
        /// The current time.
        at: DateTime<Utc>,
    },
    /// Records a report of the delivery of an invitation.
    NoteDelivery(DeliveryReport),
}

/// Refusals of an onboarding request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnboardingError {
    /// Request not found.
    #[error("onboarding request not found")]
    NotFound,
    /// The identifier is taken.
    #[error("onboarding request already exists")]
    AlreadyExists,
    /// The person has come in already.
    #[error("the onboarding request is claimed")]
    Claimed,
    /// The code is wrong, void, expired or used.
    #[error("the code is wrong, void, expired or used")]
    CodeInvalid,
    /// Neither address is given.
    #[error("or a telephone number is required")]
    NoContact,
    /// A participant is onboarded without an individual.
    #[error("is required for a patient")]
    NoIndividual,
    /// A provider is onboarded with an individual.
    #[error("is for patients only")]
    NeedlessIndividual,
    /// Roles that the kind of onboarding does not have.
    #[error("are for providers only, and are org.admin and org.provider")]
    UnfitRoles,
    /// A channel without an address.
    #[error("names a channel without an address")]
    NoAddress,
    /// A password is missing or needless.
    #[error("is required to sign a person up, and is for that only")]
    UnfitPassword,
    /// The organization does not own the individual.
    #[error("names no individual of the organization")]
    OtherIndividual,
    /// A group of another organization.
    #[error("names no group of the organization")]
    OtherGroup,
    /// Another account holds the address, or the organization onboards it already.
    #[error("the address belongs to another account")]
    AddressTaken {
        /// Field of the address.
        field: &'static str,
    },
    /// A member is invalid.
    #[error(transparent)]
    Unfit(#[from] Finding),
}

impl Refuse for OnboardingError {
    fn kind(&self) -> RefusalKind {
        match self {
            OnboardingError::NotFound => RefusalKind::NotFound,
            OnboardingError::AlreadyExists | OnboardingError::Claimed => RefusalKind::Conflict,
            OnboardingError::CodeInvalid => RefusalKind::WrongCode,
            OnboardingError::NoContact => RefusalKind::invalid("patientEmail", self),
            OnboardingError::NoIndividual | OnboardingError::NeedlessIndividual | OnboardingError::OtherIndividual => {
                RefusalKind::invalid("patient", self)
            }
            OnboardingError::UnfitRoles => RefusalKind::invalid("providerRoles", self),
            OnboardingError::NoAddress => RefusalKind::invalid("notifications", self),
            OnboardingError::UnfitPassword => RefusalKind::invalid("password", self),
            OnboardingError::OtherGroup => RefusalKind::invalid("individualGroupIds", self),
            OnboardingError::AddressTaken { field } => RefusalKind::Taken { field },
            OnboardingError::Unfit(finding) => finding.kind(),
        }
    }
}

type Decision = Result<Vec<OnboardingEvent>, OnboardingError>;

impl Decide for Onboarding {
    fn creates(command: &OnboardingCommand) -> bool {
        matches!(command, OnboardingCommand::Create(_))
    }

    fn decide(&self, command: OnboardingCommand) -> Decision {
        match (self, command) {
            (Onboarding::Absent, OnboardingCommand::Create(request)) => {
                request.check()?;
                Ok(vec![OnboardingEvent::Created(request)])
            }
            (Onboarding::Present(_), OnboardingCommand::Create(_)) => Err(OnboardingError::AlreadyExists),
            // Mail services report for days, also about what a restored database has lost.
            (Onboarding::Absent, OnboardingCommand::NoteDelivery(_)) => Ok(vec![]),
            (Onboarding::Absent, _) => Err(OnboardingError::NotFound),
            (Onboarding::Present(progress), command) => progress.decide(command),
        }
    }
}

impl Progress {
    fn decide(&self, command: OnboardingCommand) -> Decision {
        let holder = self.holder;
        match command {
            OnboardingCommand::Create(_) => Err(OnboardingError::AlreadyExists),
            OnboardingCommand::NoteDelivery(report) => self.note(report),
            OnboardingCommand::Claim { by, .. } if self.is_claimed() && self.claimed_by == Some(by) => Ok(vec![]),
            _ if self.is_claimed() => Err(OnboardingError::Claimed),
            OnboardingCommand::Invite(invitation) => {
                if self.contact(invitation.channel).is_none() {
                    return Err(OnboardingError::NoAddress);
                }
                let former = self.invitation(invitation.channel).and_then(|last| last.digest.clone());
                Ok(vec![OnboardingEvent::Invited { holder, invitation, former }])
            }
            OnboardingCommand::AmendEmail(email) if self.has_email(&email) => Ok(vec![]),
            OnboardingCommand::AmendEmail(email) => Ok(vec![OnboardingEvent::EmailAmended {
                holder,
                organization_id: self.organization_id,
                former: self.email.clone(),
                email,
                voided: self.email_invitation.as_ref().and_then(|last| last.digest.clone()),
            }]),
            OnboardingCommand::Register { user, .. }
                if self.status == OnboardingStatus::Registering && self.user_id == Some(user) =>
            {
                Ok(vec![])
            }
            OnboardingCommand::Register { user, at } => {
                Ok(vec![OnboardingEvent::Registered { holder, user_id: user, at }])
            }
            OnboardingCommand::Claim { by, at } => Ok(vec![OnboardingEvent::Claimed {
                holder,
                organization_id: self.organization_id,
                user_id: by,
                email: self.email.clone(),
                phone: self.phone.clone(),
                individual_id: self.individual_id,
                at,
            }]),
        }
    }

    /// Whether this is the present e-mail address, in any spelling.
    #[must_use]
    pub fn has_email(&self, email: &EmailAddress) -> bool {
        self.email.as_ref().is_some_and(|present| present.comparable() == email.comparable())
    }

    /// A report about another message than a channel's last invitation changes nothing.
    fn note(&self, report: DeliveryReport) -> Decision {
        report.check()?;
        let of_message = |channel: &Channel| {
            self.invitation(*channel).is_some_and(|last| last.message == report.message && last.is_news(&report))
        };
        let Some(channel) = [Channel::Email, Channel::Sms].into_iter().find(of_message) else { return Ok(vec![]) };
        let Some(last) = self.invitation(channel) else { return Ok(vec![]) };
        let DeliveryReport { message, status, error, bounce, complained, at } = report;
        // The reason of a delay does not outlive it.
        let former = last.error.as_ref().filter(|_| status <= last.status);
        Ok(vec![OnboardingEvent::DeliveryNoted {
            holder: self.holder,
            message,
            channel,
            status: status.max(last.status),
            error: error.or_else(|| former.cloned()),
            bounce: bounce.or_else(|| last.bounce.clone()),
            complained: complained || last.complained,
            at,
        }])
    }
}

impl Onboarding {
    /// The request with its progress, unless absent.
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        match self {
            Onboarding::Present(progress) => Some(progress),
            Onboarding::Absent => None,
        }
    }

    fn evolve(&mut self, event: OnboardingEvent) {
        match (self, event) {
            (state, OnboardingEvent::Created(request)) => {
                *state = Onboarding::Present(Box::new(Progress::of(*request)));
            }
            (Onboarding::Present(progress), event) => progress.evolve(event),
            // Only a creation can be the first event; recorded events are never refused.
            (Onboarding::Absent, _) => {}
        }
    }
}

aggregate!(Onboarding, "onboarding-request", OnboardingCommand, OnboardingEvent, OnboardingError);
