//! Invitations of people who are onboarded, their addresses, and the reports of their deliveries.

use super::claims::end_account;
use super::{AddressHolder, is_pending_in, present};
use crate::onboarding::{
    DeliveryReport, Invitation, InvitationStatus, Onboarding, OnboardingCommand, OnboardingError, check_error,
};
use crate::processes::membership::profile;
use crate::processes::organizations::{check_takes_additions, exists};
use crate::processes::{Step, Stop, Streams, check_version, codes, refused};
use crate::user::{Amendment, Contact, User, UserCommand};
use crate::values::{EmailAddress, MessageId, OnboardingRequestId};
use chrono::{DateTime, Utc};

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
/// void, and so is a sign-up by an invitation: its password may be that of a person who was invited by mistake, and would
/// become that of the right one with the code that confirms the account. `holder` is the account that holds the new
/// address, if there is one.
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
        if profile(streams, user)?.registered_at.is_some() {
            return end_account(streams, user, progress.organization_id);
        }
        let amendment = Amendment { email: Some(email.clone()), ..Amendment::default() };
        streams.execute::<User>(user, UserCommand::Amend(Box::new(amendment)))?;
    }
    Ok(())
}

/// Records a report of the delivery of an invitation, and the registration state of the pending account that follows.
/// A report about another message than the last invitation of a channel changes nothing, nor does one about an
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
    let organization = progress.organization_id;
    let (Some(user), Some(state)) = (progress.user_id, progress.invitation_state()) else { return Ok(()) };
    // An account that came over to another organization is not of this one's concern any more.
    if is_pending_in(streams, user, organization)? {
        streams.execute::<User>(user, UserCommand::NoteInvitation(state))?;
    }
    Ok(())
}
