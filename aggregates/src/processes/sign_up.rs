//! Signing up: the completion of an account whose person has proven an address.

use super::accounts::confirm_contact;
use super::membership::profile;
use super::{Step, Streams, onboarding, registration_invitations};
use crate::user::{Contact, User, UserCommand};
use crate::values::{IndividualId, RegistrationInvitationId, UserId};
use chrono::{DateTime, Utc};

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
