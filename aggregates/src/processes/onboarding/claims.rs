//! People who come in by the code of an invitation: they sign up with an account, and it claims the request.

use super::{admit, is_pending, is_pending_in, present, settle};
use crate::granting::GrantError;
use crate::group::staffing::Post;
use crate::message::Channel;
use crate::onboarding::{OnboardKind, Onboarding, OnboardingCommand, OnboardingError, Progress};
use crate::organization::Organization;
use crate::processes::groups::{self, GroupRef};
use crate::processes::membership::{self, profile};
use crate::processes::{Step, Streams, refused};
use crate::user::{InvitationState, User, UserCommand};
use crate::values::{IndividualId, OnboardingRequestId, OrganizationId, UserId};
use chrono::{DateTime, Utc};

/// The channel whose address the code with this digest proves. A request that is claimed, and one of an organization that
/// takes no additions, has no valid code.
///
/// # Errors
/// `CodeInvalid`, for every reason.
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
    membership::take_back(streams, user, Some(organization))?;
    let others: Vec<_> = profile(streams, user)?.memberships.keys().copied().collect();
    for other in others.into_iter().filter(|other| *other != organization) {
        membership::leave(streams, user, other)?;
    }
    Ok(())
}

/// Archives the pending account of a request whose person comes in with the account `by`.
fn discard(streams: &mut Streams, progress: &Progress, by: UserId) -> Step<()> {
    let Some(user) = progress.user_id.filter(|user| *user != by) else { return Ok(()) };
    if is_pending_in(streams, user, progress.organization_id)? {
        end_account(streams, user, progress.organization_id)?;
    }
    Ok(())
}

/// Archives a pending account of an organization.
pub(super) fn end_account(streams: &mut Streams, user: UserId, organization: OrganizationId) -> Step<()> {
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
