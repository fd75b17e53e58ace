//! Onboarding requests: an organization brings a person in, as a participant with an individual of the organization or as
//! a provider with roles.
//!
//! A request is created, its person begins to sign up (`registering`) and claims it. While it is open, the organization
//! has no other one for its addresses or its individual. The person has a pending account from the beginning, unless another
//! account holds an address: then the person claims the request with that one. Consequences for accounts, individuals and
//! groups are decided in [`crate::processes::onboarding`].

mod event;
mod invitation;
mod progress;
mod request;
#[cfg(test)]
pub(crate) mod tests;

pub use event::OnboardingEvent;
pub(crate) use invitation::check_error;
pub use invitation::{
    Bounce, BounceKind, DeliveryReport, ERROR_LENGTH_MAX, Invitation, InvitationStatus, LastInvitation, VALIDITY,
};
pub use progress::Progress;
pub use request::{OnboardKind, OnboardingStatus, Request};

use crate::message::Channel;
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{EmailAddress, Finding, UserId};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Life cycle of an onboarding request.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Onboarding {
    /// Never created.
    #[default]
    Absent,
    /// Created; the status says how far it has come.
    Present(Box<Progress>),
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
