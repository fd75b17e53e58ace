//! Onboarding of people by an organization: the request with its pending account, invitations, sign-up and claim.
//!
//! A pending account is created with the request, unless another account holds an address of the person: it belongs to
//! the organization, has its role there and the individual, and cannot sign in. Otherwise the other account stays as it
//! is: its person claims the request by the code, or, where it is the pending account of another organization, signs up
//! with it. The answer to the inviting organization is the same.

mod claims;
mod invitations;
#[cfg(test)]
mod tests;

pub use claims::{claim, open_by_code, register};
pub use invitations::{OutgoingInvitation, amend_email, invite, note_delivery, note_report};

use super::groups::{self, GroupRef, check_changeable};
use super::organizations::check_takes_additions;
use super::{Step, Stop, Streams, membership, refused};
use crate::granting::{Grant, Granter};
use crate::group::staffing::Post;
use crate::individual::{Individual, IndividualCommand, IndividualError, Owner};
use crate::onboarding::{OnboardKind, Onboarding, OnboardingCommand, OnboardingError, Progress, Request};
use crate::user::{
    Amendment, Contacts, Creation, Home, Names, Preferences, Profile, Role, User, UserCommand, UserState, Username,
    check_preferences,
};
use crate::values::{IndividualId, OnboardingRequestId, OrganizationId, RecipientId, UserId};
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
