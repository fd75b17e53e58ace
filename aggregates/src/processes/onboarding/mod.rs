//! Onboarding of people by an organization: the request with its pending account, invitations, sign-up and claim.
//!
//! Where no other account holds an address of the person, a pending account is created with the request: it belongs to
//! the organization, has its role there and the individual, and cannot sign in. Otherwise the other account stays as it
//! is: its person claims the request by the code, or, where it is the pending account of another organization, signs up
//! with it. The answer to the inviting organization is the same.

use super::groups::{self, GroupRef, check_changeable};
use super::membership::{self, profile};
use super::organizations::{check_takes_additions, exists};
use super::{Step, Stop, Streams, check_version, codes, refused};
use crate::granting::{Grant, GrantError, Granter};
use crate::group::staffing::Post;
use crate::individual::{Individual, IndividualCommand, IndividualError, Owner};
use crate::message::Channel;
use crate::onboarding::{
    DeliveryReport, Invitation, InvitationStatus, OnboardKind, Onboarding, OnboardingCommand, OnboardingError,
    Progress, Request, check_error,
};
use crate::organization::Organization;
use crate::user::{
    Amendment, Contact, Contacts, Creation, Home, InvitationState, Names, Preferences, Profile, Role, User,
    UserCommand, UserState, Username, check_preferences,
};
use crate::values::{EmailAddress, IndividualId, MessageId, OnboardingRequestId, OrganizationId, RecipientId, UserId};
use chrono::{DateTime, Utc};

/// A new request, and the account that goes with it.
#[derive(Clone)]
pub struct NewOnboarding {
    /// The request. Its account and the holder of its key are set here.
    pub request: Request,
    /// The account to be created where no other one holds an address.
    pub user: UserId,
    /// Contact with which the account signs in.
    pub username: Username,
    /// Communication preferences of the account.
    pub preferences: Preferences,
    /// Password of an account that is signed up at once.
    pub password: Option<FirstPassword>,
    /// Other accounts that hold the addresses.
    pub holders: Vec<AddressHolder>,
    /// Individual for a role that needs one and has none.
    pub individual: IndividualId,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// A password that its owner did not choose.
#[derive(Clone)]
pub struct FirstPassword {
    /// Hash in PHC form.
    pub hash: String,
    /// Time from which the password is no longer valid.
    pub expires_at: DateTime<Utc>,
}

/// An account that holds an address of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressHolder {
    /// Field of the address, in the words of the domain.
    pub field: &'static str,
    /// The user; `None` for an account of an admin.
    pub user: Option<UserId>,
}

impl NewOnboarding {
    /// Holder of the key that seals the request and its messages: the pending account, else the request itself.
    #[must_use]
    pub fn holder(&self) -> RecipientId {
        if self.holders.is_empty() { RecipientId(self.user.0) } else { RecipientId(self.request.id.0) }
    }
}

/// Creates a request, with a pending account where no other account holds an address. An account with a password is
/// signed up at once; with `auto_confirm` it claims the request as well.
///
/// # Errors
/// Refusals of an organization that takes no additions, of the granter, the request, its individual and its groups;
/// `AddressTaken` where an address belongs to a member of the organization, or an account with a password to another one.
pub fn begin(streams: &mut Streams, granter: &Granter, new: &NewOnboarding) -> Step<()> {
    let (organization, id) = (new.request.organization_id, new.request.id);
    check_takes_additions(streams, organization)?;
    check_granter(granter, new)?;
    if new.request.auto_sign_up != new.password.is_some() {
        return refused(OnboardingError::UnfitPassword);
    }
    check_holders(streams, new)?;
    check_preferences(&new.preferences)
        .map_err(|problem| OnboardingError::Unfit(problem.of("communicationPreferences")))?;
    let is_pending = new.holders.is_empty();
    let user_id = is_pending.then_some(new.user);
    let request = Request { user_id, holder: new.holder(), ..new.request.clone() };
    streams.execute::<Onboarding>(id, OnboardingCommand::Create(Box::new(request.clone())))?;
    check_individual(streams, &request)?;
    place(streams, &request)?;
    if !is_pending {
        return Ok(());
    }
    create_account(streams, new)?;
    settle(streams, &request, new.user, new.individual)?;
    if request.auto_sign_up {
        let register = OnboardingCommand::Register { user: new.user, at: new.now };
        streams.execute::<Onboarding>(id, register)?;
        if request.auto_confirm {
            claim(streams, id, new.user, new.individual, new.now)?;
        }
    }
    Ok(())
}

/// Providers of the organization onboard patients. Roles, passwords and confirmations are given by its admins.
fn check_granter(granter: &Granter, new: &NewOnboarding) -> Step<()> {
    let Request { organization_id, kind, auto_confirm, auto_sign_up, roles, .. } = &new.request;
    let check = |grant| granter.check(grant, new.user, Some(*organization_id));
    if *auto_confirm || *auto_sign_up || *kind == OnboardKind::Provider {
        check(Grant::Membership(*organization_id))?;
    }
    for role in roles {
        check(Grant::Role(*organization_id, *role))?;
    }
    Ok(())
}

fn check_holders(streams: &mut Streams, new: &NewOnboarding) -> Step<()> {
    let organization = new.request.organization_id;
    for AddressHolder { field, user } in new.holders.iter().copied() {
        let is_member = match user {
            Some(user) => {
                let holder = streams.state::<User>(user)?.profile();
                holder.is_some_and(|holder| holder.memberships.contains_key(&organization))
            }
            None => false,
        };
        if is_member || new.password.is_some() {
            return refused(OnboardingError::AddressTaken { field });
        }
    }
    Ok(())
}

/// Refuses an individual that the organization does not own, and one that a person has already.
fn check_individual(streams: &mut Streams, request: &Request) -> Step<()> {
    let Some(individual) = request.individual_id else { return Ok(()) };
    let state = streams.state::<Individual>(individual)?;
    if state.owner() != Some(Owner::Organization(request.organization_id)) {
        return refused(OnboardingError::OtherIndividual);
    }
    match state.person() {
        Some(_) => refused(IndividualError::OtherPerson),
        None => Ok(()),
    }
}

/// Places the individual in its groups. Those of a provider are only checked: the person works there after the claim.
fn place(streams: &mut Streams, request: &Request) -> Step<()> {
    for group in &request.groups {
        let group = GroupRef { organization: request.organization_id, id: *group };
        let node = check_changeable(streams, group)?;
        if node.organization_id != group.organization {
            return refused(OnboardingError::OtherGroup);
        }
        match request.individual_id {
            Some(individual) => groups::add_individuals(streams, group, &[individual].into(), None)?,
            None => node.check_has(Post::Member)?,
        }
    }
    Ok(())
}

fn create_account(streams: &mut Streams, new: &NewOnboarding) -> Step<()> {
    let request = &new.request;
    let state = match (request.auto_sign_up, request.auto_confirm) {
        (false, _) => UserState::Init,
        (true, false) => UserState::Registered,
        (true, true) => UserState::Confirmed,
    };
    let creation = Creation {
        id: new.user,
        state,
        names: Names { first_name: String::new(), last_name: String::new() },
        birth_date: None,
        home: Some(Home::of(request.organization_id)),
        contacts: Contacts { email: request.email.clone(), phone: request.phone.clone(), ..Contacts::default() },
        username: new.username,
        locale: request.locale,
        time_zone: None,
        classification: None,
        password_hash: new.password.as_ref().map(|password| password.hash.clone()),
        password_expires_at: new.password.as_ref().map(|password| password.expires_at),
        onboarding: Some(request.id),
        sign_up_code: None,
    };
    streams.execute::<User>(new.user, UserCommand::Create(Box::new(creation)))?;
    if !new.preferences.is_empty() {
        let amendment = Amendment { preferences: Some(new.preferences.clone()), ..Amendment::default() };
        streams.execute::<User>(new.user, UserCommand::Amend(Box::new(amendment)))?;
    }
    Ok(())
}

/// Gives an account its part in the organization as far as it may have it before the person has come in: an admin who
/// has not come in would count as one who may be left alone.
fn settle(streams: &mut Streams, request: &Request, user: UserId, individual: IndividualId) -> Step<()> {
    let roles = request.granted_roles().into_iter().filter(|role| *role != Role::Admin);
    admit(streams, request, user, roles, individual)
}

fn admit(
    streams: &mut Streams,
    request: &Request,
    user: UserId,
    roles: impl IntoIterator<Item = Role>,
    individual: IndividualId,
) -> Step<()> {
    if let Some(own) = request.individual_id {
        streams.execute::<Individual>(own, IndividualCommand::Assign(user))?;
        streams.execute::<User>(user, UserCommand::AddPrimaryIndividual(own))?;
    }
    for role in roles {
        membership::admit(streams, user, request.organization_id, role, individual)?;
    }
    Ok(())
}

/// An invitation to be recorded, whose message is composed in the same commit.
#[derive(Clone)]
pub struct OutgoingInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// Address that the message goes to.
    pub to: Contact,
    /// Stream of the address's quota of messages.
    pub quota: String,
}

/// Records an invitation; the earlier one by its channel is void.
///
/// # Errors
/// `NotFound`, `Claimed`; `UsedUp` of the address; refusals of an organization that takes no additions; `OtherVersion`
/// where the request has another address by now.
pub fn invite(streams: &mut Streams, request: OnboardingRequestId, outgoing: &OutgoingInvitation) -> Step<()> {
    let OutgoingInvitation { invitation, to, quota } = outgoing;
    let progress = present(streams, request)?;
    let (organization, is_claimed) = (progress.organization_id, progress.is_claimed());
    let is_present = progress.contact(invitation.channel).is_some_and(|contact| contact.is_same(to));
    if is_claimed {
        return refused(OnboardingError::Claimed);
    }
    // The message was composed for an address that was corrected meanwhile.
    if !is_present {
        return Err(Stop::OtherVersion);
    }
    check_takes_additions(streams, organization)?;
    codes::use_quota(streams, quota, invitation.at)?;
    streams.execute::<Onboarding>(request, OnboardingCommand::Invite(invitation.clone())).map(drop)
}

/// Corrects the e-mail address of an open request and of its pending account. The invitation to the former address is
/// void. `holder` is the account that holds the new address, if there is one.
///
/// # Errors
/// `NotFound`, `Claimed`; `AddressTaken` where another account holds the address; `OtherVersion` where the request is not
/// at the `expected` version.
pub fn amend_email(
    streams: &mut Streams,
    request: OnboardingRequestId,
    email: &EmailAddress,
    holder: Option<AddressHolder>,
    expected: Option<u64>,
) -> Step<()> {
    let progress = present(streams, request)?.clone();
    if !exists(streams, progress.organization_id)? {
        return refused(OnboardingError::NotFound);
    }
    check_version::<Onboarding>(streams, request, expected)?;
    let is_news = !progress.has_email(email);
    if let Some(AddressHolder { field, user }) = holder.filter(|_| is_news && !progress.is_claimed())
        && (user.is_none() || user != progress.user_id)
    {
        return refused(OnboardingError::AddressTaken { field });
    }
    streams.execute::<Onboarding>(request, OnboardingCommand::AmendEmail(email.clone()))?;
    if let Some(user) = progress.user_id.filter(|_| is_news)
        && is_pending_in(streams, user, progress.organization_id)?
    {
        let amendment = Amendment { email: Some(email.clone()), ..Amendment::default() };
        streams.execute::<User>(user, UserCommand::Amend(Box::new(amendment)))?;
    }
    Ok(())
}

/// The channel whose address the code with this digest proves. A request that is claimed, and one of an organization that
/// takes no additions, has no valid code.
///
/// # Errors
/// `CodeInvalid`, whatever the reason.
pub fn open_by_code(
    streams: &mut Streams,
    request: OnboardingRequestId,
    digest: &str,
    now: DateTime<Utc>,
) -> Step<Channel> {
    let Some(progress) = streams.state::<Onboarding>(request)?.progress() else {
        return refused(OnboardingError::CodeInvalid);
    };
    let organization = progress.organization_id;
    let Some(channel) = progress.channel_of(digest, now).filter(|_| !progress.is_claimed()) else {
        return refused(OnboardingError::CodeInvalid);
    };
    match streams.state::<Organization>(organization)?.check_takes_additions() {
        Ok(()) => Ok(channel),
        Err(_) => refused(OnboardingError::CodeInvalid),
    }
}

/// Records that a person began to sign up with an account that is not confirmed yet. An account that was pending in
/// another organization comes over: that organization was not accepted, so what it gave ends, and the home moves. The
/// pending account of the request, if it is another one, is archived.
///
/// # Errors
/// `NotFound`, `Claimed`; `AddressTaken` for an account that is confirmed or proven already; refusals of an organization
/// that takes no additions.
pub fn register(streams: &mut Streams, request: OnboardingRequestId, user: UserId, now: DateTime<Utc>) -> Step<()> {
    let progress = present(streams, request)?.clone();
    if progress.is_claimed() {
        return refused(OnboardingError::Claimed);
    }
    if progress.user_id != Some(user) {
        if !is_pending(profile(streams, user)?) {
            return refused(OnboardingError::AddressTaken { field: "username" });
        }
        discard(streams, &progress, user)?;
        take_over(streams, progress.organization_id, user)?;
        // The identifier is not needed: a participant of a request has its individual.
        settle(streams, &progress.request, user, IndividualId(user.0))?;
    }
    streams.execute::<Onboarding>(request, OnboardingCommand::Register { user, at: now }).map(drop)
}

/// Ends what other organizations gave to a pending account, and moves it to this one.
fn take_over(streams: &mut Streams, organization: OrganizationId, user: UserId) -> Step<()> {
    streams.execute::<User>(user, UserCommand::MoveHome(organization))?;
    take_back(streams, user, organization)?;
    let others: Vec<_> = profile(streams, user)?.memberships.keys().copied().collect();
    for other in others.into_iter().filter(|other| *other != organization) {
        membership::leave(streams, user, other)?;
    }
    Ok(())
}

/// Takes back the individuals that other organizations than `but` assigned to a user.
fn take_back(streams: &mut Streams, user: UserId, but: OrganizationId) -> Step<()> {
    for individual in profile(streams, user)?.individuals.clone() {
        let owner = streams.state::<Individual>(individual)?.owner();
        if matches!(owner, Some(Owner::Organization(owner)) if owner != but) {
            streams.execute::<Individual>(individual, IndividualCommand::Unassign(user))?;
            streams.execute::<User>(user, UserCommand::RemoveIndividual(individual))?;
        }
    }
    Ok(())
}

/// Archives the pending account of a request whose person comes in with the account `by`.
fn discard(streams: &mut Streams, progress: &Progress, by: UserId) -> Step<()> {
    let organization = progress.organization_id;
    let Some(user) = progress.user_id.filter(|user| *user != by) else { return Ok(()) };
    if !is_pending_in(streams, user, organization)? {
        return Ok(());
    }
    if let Some(individual) = progress.individual_id {
        streams.execute::<Individual>(individual, IndividualCommand::Unassign(user))?;
        streams.execute::<User>(user, UserCommand::RemoveIndividual(individual))?;
    }
    if profile(streams, user)?.memberships.contains_key(&organization) {
        membership::leave(streams, user, organization)?;
    }
    membership::archive(streams, user)
}

/// Records that the person of a request has come in: the account joins the organization with its roles and groups, as far
/// as it has not yet, and the individual of the request is its primary one. Claiming twice with one account changes
/// nothing. With `individual` if a role needs one and the account has none.
///
/// # Errors
/// `NotFound`; `Claimed` by another account; `Oneself` for the creator of the request; `OtherPerson` for an individual
/// that another account has by now; refusals of the user, the groups, and an organization that takes no additions.
pub fn claim(
    streams: &mut Streams,
    request: OnboardingRequestId,
    by: UserId,
    individual: IndividualId,
    now: DateTime<Utc>,
) -> Step<()> {
    let progress = present(streams, request)?.clone();
    if !streams.execute::<Onboarding>(request, OnboardingCommand::Claim { by, at: now })? {
        return Ok(());
    }
    if progress.created_by == by {
        return refused(GrantError::Oneself);
    }
    discard(streams, &progress, by)?;
    admit(streams, &progress.request, by, progress.granted_roles(), individual)?;
    if progress.kind == OnboardKind::Provider {
        for group in &progress.groups {
            let group = GroupRef { organization: progress.organization_id, id: *group };
            groups::appoint(streams, group, Post::Member, &[by].into(), None)?;
        }
    }
    streams.execute::<User>(by, UserCommand::NoteInvitation(InvitationState::Accepted)).map(drop)
}

/// Records a report of the delivery of an invitation, and what it means for the registration state of the pending
/// account. A report about another message than the last invitation of a channel changes nothing, nor does one about an
/// unknown request. An `error` that is no short line is left out.
///
/// # Errors
/// None of its own.
pub fn note_delivery(
    streams: &mut Streams,
    request: OnboardingRequestId,
    message: MessageId,
    status: InvitationStatus,
    error: Option<&str>,
    at: DateTime<Utc>,
) -> Step<()> {
    let error = error.filter(|error| check_error(error).is_ok()).map(str::to_owned);
    note_report(streams, request, &DeliveryReport { error, ..DeliveryReport::of(message, status, at) })
}

/// As [`note_delivery`], with the details of a bounce or a complaint.
///
/// # Errors
/// `Unfit`, for texts that are no short lines.
pub fn note_report(streams: &mut Streams, request: OnboardingRequestId, report: &DeliveryReport) -> Step<()> {
    if !streams.execute::<Onboarding>(request, OnboardingCommand::NoteDelivery(report.clone()))? {
        return Ok(());
    }
    let progress = present(streams, request)?;
    let (Some(user), Some(state)) = (progress.user_id, progress.invitation_state()) else { return Ok(()) };
    let account = streams.state::<User>(user)?.profile();
    if account.is_some_and(|account| account.state != UserState::Archived) {
        streams.execute::<User>(user, UserCommand::NoteInvitation(state))?;
    }
    Ok(())
}

fn present(streams: &mut Streams, request: OnboardingRequestId) -> Step<&Progress> {
    let state = streams.state::<Onboarding>(request)?;
    state.progress().ok_or(Stop::Refused(OnboardingError::NotFound.into()))
}

/// Whether the person of an account has not come in yet, and has proven no address.
fn is_pending(account: &Profile) -> bool {
    let contacts = &account.contacts;
    let is_proven = contacts.proven_email().is_some() || contacts.proven_phone().is_some();
    matches!(account.state, UserState::Init | UserState::Registered) && !is_proven
}

/// Whether an account is pending and belongs to the organization.
fn is_pending_in(streams: &mut Streams, user: UserId, organization: OrganizationId) -> Step<bool> {
    let account = streams.state::<User>(user)?.profile();
    Ok(account.is_some_and(|account| is_pending(account) && account.home() == Some(organization)))
}

#[cfg(test)]
mod tests;
