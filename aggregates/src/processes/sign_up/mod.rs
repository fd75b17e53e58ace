//! Signing up: a new account by the code of an organization, or the account of an invited person by the code of the
//! invitation; the correction of a mistyped address; and the confirmation, which completes the account.
//!
//! A new account is registered until a code proves one of its contacts. It has its place in the organization from the
//! beginning, but no sign-in with it succeeds before. The code of an invitation proves the address that it was sent to,
//! and nothing else: it lets its reader take over a pending account of another organization only by that very address.

#[cfg(test)]
mod tests;

use super::accounts::confirm_contact;
use super::codes::{Verdict, try_code};
use super::groups::{self, GroupRef};
use super::membership::{self, FirstGrant, profile};
use super::organizations::check_takes_additions;
use super::{Step, Stop, Streams, onboarding, refused, registration_invitations};
use crate::Refusal;
use crate::onboarding::{Onboarding, Request};
use crate::one_time_code::Purpose;
use crate::organization::Organization;
use crate::organization_code::{OrganizationCode, OrganizationCodeId};
use crate::user::{
    Amendment, Contact, Creation, Enrollment, Locale, Profile, Role, User, UserCommand, UserError, UserState, Username,
};
use crate::values::{
    EmailAddress, Finding, IndividualId, OnboardingRequestId, Problem, RegistrationInvitationId, UserId,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use uuid::Uuid;

const ORGANIZATION_CODE: &str = "organizationCode";
const REFERRAL_CODE: &str = "referralCode";

/// Choices of a person with the sign-up. Absent members stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Agreed documents.
    pub agreements: BTreeSet<Uuid>,
    /// The locale.
    pub locale: Option<Locale>,
    /// The time zone (IANA name).
    pub time_zone: Option<String>,
    /// The contact for signing in.
    pub username: Option<Username>,
}

/// A sign-up by the code of an organization.
pub struct CodeSignUp<'s> {
    /// The code.
    pub code: &'s OrganizationCodeId,
    /// The account, which becomes one of the code's organization.
    pub creation: &'s Creation,
    /// Choices of the person.
    pub choices: &'s Choices,
    /// Enrollment of the person; its data was compared with the form of the code.
    pub enrollment: &'s Enrollment,
    /// The individual of the person.
    pub individual: IndividualId,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// The account that signs up by an invitation.
#[derive(Clone, Copy)]
pub enum ReferredAccount<'s> {
    /// The pending account for the request, or the one that holds the address.
    Present(UserId),
    /// A new account, where none holds the address.
    New(&'s Creation),
}

/// A sign-up by the code of an invitation.
pub struct ReferralSignUp<'s> {
    /// The onboarding request of the invitation.
    pub request: OnboardingRequestId,
    /// Keyed digest of the code.
    pub digest: &'s str,
    /// The account.
    pub account: ReferredAccount<'s>,
    /// Hash of the password.
    pub hash: &'s str,
    /// Choices of the person.
    pub choices: &'s Choices,
    /// Individual for a role that needs one.
    pub individual: IndividualId,
    /// Invitation of a friend to the e-mail address of the request.
    pub invitation: Option<RegistrationInvitationId>,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// A try to confirm a sign-up.
pub struct Confirmation<'s> {
    /// The account.
    pub user: UserId,
    /// Keyed digest of the code that was entered.
    pub digest: &'s str,
    /// Individual for a role that needs one.
    pub individual: IndividualId,
    /// Invitation of a friend, with the e-mail address that was invited.
    pub invitation: Option<(&'s EmailAddress, RegistrationInvitationId)>,
    /// The time zone, if the person chooses one.
    pub time_zone: Option<&'s str>,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Result of a try to confirm a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationResult {
    /// The sign-up is complete.
    Confirmed,
    /// The code was wrong, which is counted.
    Wrong,
    /// No sign-up of the account is open. Nothing is recorded.
    Closed,
}

/// Creates an account by the code of an organization: a participant with an individual, in the group of the code as long
/// as that takes individuals.
///
/// # Errors
/// `ClosedCode`, also for a code whose organization takes no additions; refusals of the user.
pub fn by_code(streams: &mut Streams, sign_up: &CodeSignUp<'_>) -> Step<()> {
    let CodeSignUp { code, creation, individual, now, .. } = *sign_up;
    let terms = streams.state::<OrganizationCode>(code)?.open_at(now);
    let Some((organization, group)) = terms.map(|terms| (terms.organization_id, terms.individual_group_id)) else {
        return refused(closed(ORGANIZATION_CODE));
    };
    as_closed(check_takes_additions(streams, organization), ORGANIZATION_CODE)?;
    let part = FirstGrant::Member(organization, Some(Role::Member));
    membership::create(streams, creation, Some(part), individual)?;
    if let Some(id) = group {
        place(streams, GroupRef { organization, id }, individual)?;
    }
    record(streams, creation.id, sign_up.choices)?;
    streams.execute::<User>(creation.id, UserCommand::Enroll(Box::new(sign_up.enrollment.clone())))?;
    Ok(())
}

/// Signs an invited person up: the account gets its password and its part in the organization of the request. If
/// the request says so, the invitation is proof enough, and the account is complete at once.
///
/// # Errors
/// `ClosedCode`, also for a code whose organization takes no additions; `HasAccount`, `SigningUp`; refusals of the user
/// and of the request.
pub fn by_referral(streams: &mut Streams, sign_up: &ReferralSignUp<'_>) -> Step<()> {
    let ReferralSignUp { individual, invitation, now, .. } = *sign_up;
    let opened = onboarding::open_by_code(streams, sign_up.request, sign_up.digest, now);
    let channel = as_closed(opened, REFERRAL_CODE)?;
    let progress = streams.state::<Onboarding>(sign_up.request)?.progress();
    let Some(request) = progress.map(|progress| progress.request.clone()) else {
        return refused(closed(REFERRAL_CODE));
    };
    as_closed(check_takes_additions(streams, request.organization_id), REFERRAL_CODE)?;
    let proven = request.contact(channel);
    let user = match sign_up.account {
        ReferredAccount::Present(user) => {
            check_waits(profile(streams, user)?, &request, proven.as_ref())?;
            user
        }
        ReferredAccount::New(creation) => {
            membership::create(streams, creation, None, individual)?;
            creation.id
        }
    };
    let (hash, onboarding) = (sign_up.hash.to_owned(), Some(request.id));
    streams.execute::<User>(user, UserCommand::Register { hash, onboarding, at: now })?;
    record(streams, user, sign_up.choices)?;
    onboarding::register(streams, request.id, user, now)?;
    match proven.filter(|_| request.auto_confirm) {
        Some(proven) => complete(streams, user, &proven, individual, invitation, now),
        None => Ok(()),
    }
}

/// Confirms a sign-up by the code that was sent. A wrong code is counted, so the process is not refused for it.
///
/// # Errors
/// `TooManyTries`; those of [`complete`], after which the code is still good.
pub fn confirm(streams: &mut Streams, confirmation: &Confirmation<'_>) -> Step<ConfirmationResult> {
    let Confirmation { user, digest, individual, invitation, time_zone, now } = *confirmation;
    if !is_open(streams, user)? {
        return Ok(ConfirmationResult::Closed);
    }
    let Verdict::Right(contact) = try_code(streams, user, Purpose::SignUp, digest, now)? else {
        return Ok(ConfirmationResult::Wrong);
    };
    let invitation = match (&contact, invitation) {
        (Contact::Email(proven), Some((invited, id))) if proven.comparable() == invited.comparable() => Some(id),
        _ => None,
    };
    complete(streams, user, &contact, individual, invitation, now)?;
    record(streams, user, &Choices { time_zone: time_zone.map(str::to_owned), ..Choices::default() })?;
    Ok(ConfirmationResult::Confirmed)
}

/// Replaces the mistyped e-mail address of an open sign-up by code. Anyone who knows the former address can do that, so
/// the new one alone opens nothing (see [`Profile::corrections`]).
///
/// # Errors
/// `NotRegistered`, `TooManyCorrections`. An address of another account is refused by the commit.
pub fn correct(streams: &mut Streams, user: UserId, email: &EmailAddress) -> Step<()> {
    check_open(streams, user)?;
    streams.execute::<User>(user, UserCommand::CorrectEmail(email.clone())).map(drop)
}

/// Refuses an account without an open sign-up, and one whose home takes no additions.
///
/// # Errors
/// `NotRegistered`.
pub fn check_open(streams: &mut Streams, user: UserId) -> Step<()> {
    if is_open(streams, user)? { Ok(()) } else { refused(UserError::NotRegistered) }
}

/// Completes an account whose person has proven `contact`: the contact is verified, the person may sign in, and the
/// onboarding request of the account is claimed, with `individual` if a role needs one. The `invitation` of a friend
/// to the proven e-mail address is claimed as well. Completing twice changes nothing.
///
/// # Errors
/// `OtherEmail` and `OtherPhone` for a contact that the account does not show; `NotRegistered` for an account without a
/// password, and for one that is disabled or archived; refusals of the onboarding request.
pub fn complete(
    streams: &mut Streams,
    user: UserId,
    contact: &Contact,
    individual: IndividualId,
    invitation: Option<RegistrationInvitationId>,
    now: DateTime<Utc>,
) -> Step<()> {
    streams.execute::<User>(user, UserCommand::CompleteSignUp)?;
    confirm_contact(streams, user, None, contact)?;
    if let Some(request) = profile(streams, user)?.onboarding {
        onboarding::claim(streams, request, user, individual, now)?;
    }
    registration_invitations::claim_for(streams, invitation.filter(|_| matches!(contact, Contact::Email(_))), now)
}

fn closed(field: &str) -> Finding {
    Problem::ClosedCode.of(field)
}

/// Refuses as for an unknown code, so that the holder of a code learns nothing else of its organization.
fn as_closed<T>(step: Step<T>, field: &str) -> Step<T> {
    step.map_err(|stop| stop.map(|_| Refusal::from(closed(field))))
}

/// Places an individual in a group, unless that is gone or takes none.
fn place(streams: &mut Streams, group: GroupRef, individual: IndividualId) -> Step<()> {
    let takes = match groups::check_changeable(streams, group) {
        Ok(node) => node.organization_id == group.organization && node.check_takes_individuals().is_ok(),
        Err(Stop::Refused(_)) => false,
        Err(stop) => return Err(stop),
    };
    if takes { groups::add_individuals(streams, group, &[individual].into(), None) } else { Ok(()) }
}

/// Refuses an account that does not wait for the sign-up. The pending account of the request does; that of another
/// organization does if the code was sent to the very address by which it is found.
///
/// # Errors
/// `HasAccount`.
pub fn check_waits(profile: &Profile, request: &Request, proven: Option<&Contact>) -> Result<(), UserError> {
    let is_own = request.user_id == Some(profile.id)
        && profile.home() == Some(request.organization_id)
        && profile.onboarding.is_none_or(|id| id == request.id);
    let is_taken_over = profile.state == UserState::Init && proven.is_some_and(|proven| shows(profile, proven));
    if is_own || is_taken_over { Ok(()) } else { Err(UserError::HasAccount) }
}

fn shows(profile: &Profile, contact: &Contact) -> bool {
    match contact {
        Contact::Email(email) => {
            profile.contacts.email.as_ref().is_some_and(|shown| shown.comparable() == email.comparable())
        }
        Contact::Phone(phone) => profile.contacts.phone.as_ref() == Some(phone),
    }
}

fn record(streams: &mut Streams, user: UserId, choices: &Choices) -> Step<()> {
    let Choices { agreements, locale, time_zone, username } = choices.clone();
    if !agreements.is_empty() {
        streams.execute::<User>(user, UserCommand::Agree(agreements))?;
    }
    let amendment = Amendment { locale, time_zone, username, ..Amendment::default() };
    streams.execute::<User>(user, UserCommand::Amend(Box::new(amendment)))?;
    Ok(())
}

/// Whether the account waits for a code, and its home is neither retired nor deleted.
fn is_open(streams: &mut Streams, user: UserId) -> Step<bool> {
    let registered = streams.state::<User>(user)?.profile().filter(|profile| profile.state == UserState::Registered);
    match registered.map(Profile::home) {
        Some(Some(home)) => Ok(streams.state::<Organization>(home)?.check_takes_additions().is_ok()),
        Some(None) => Ok(true),
        None => Ok(false),
    }
}
