//! Invitations of friends: an address that has no account and no open invitation is invited once, by a user who has not
//! invited too many; an invitation is claimed with the registration of its address.

use super::codes::use_quota;
use super::membership::profile;
use super::{MissingStream, Step, Streams, refused};
use crate::quota::{Quota, QuotaCommand, QuotaKind};
use crate::registration_invitation::{
    RegistrationInvitation, RegistrationInvitationCommand, RegistrationInvitationError,
};
use crate::user::User;
use crate::values::{EmailAddress, RegistrationInvitationId, UserId};
use chrono::{DateTime, Utc};

/// An invitation to be created, with the present holders of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// The invitation.
    pub id: RegistrationInvitationId,
    /// The user who invites.
    pub created_by: UserId,
    /// The invited address.
    pub email: EmailAddress,
    /// The user who holds the address, verified or not.
    pub holder: Option<UserId>,
    /// The former invitation of the address that was not claimed, expired or not.
    pub former: Option<RegistrationInvitationId>,
    /// Stream of the address's quota of messages.
    pub quota: String,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Creates an invitation. A former one whose time is over ends in the same commit, so that it frees the address. An
/// address that a user shows without having confirmed it counts as free: anyone may type it.
///
/// # Errors
/// `Taken`; `UsedUp` for the sender or the address.
pub fn create(streams: &mut Streams, new: &NewInvitation) -> Step<()> {
    let holders = new.holder.map(MissingStream::of::<User>).into_iter();
    let holders = holders.chain(new.former.map(MissingStream::of::<RegistrationInvitation>));
    let own_quota = QuotaKind::FriendInvitations.stream(new.created_by);
    let quotas = [&own_quota, &new.quota].map(MissingStream::of::<Quota>);
    streams.prefetch(holders.chain(quotas))?;
    if let Some(holder) = new.holder
        && is_proven(streams, holder, &new.email)?
    {
        return refused(RegistrationInvitationError::Taken);
    }
    if let Some(former) = new.former {
        streams.execute::<RegistrationInvitation>(former, RegistrationInvitationCommand::Expire { now: new.now })?;
        if streams.state::<RegistrationInvitation>(former)?.is_open() {
            return refused(RegistrationInvitationError::Taken);
        }
    }
    streams.execute::<Quota>(&own_quota, QuotaCommand::Use { kind: QuotaKind::FriendInvitations, now: new.now })?;
    use_quota(streams, &new.quota, new.now)?;
    let (id, created_by, email, now) = (new.id, new.created_by, new.email.clone(), new.now);
    let command = RegistrationInvitationCommand::Create { id, created_by, email, now };
    streams.execute::<RegistrationInvitation>(id, command)?;
    Ok(())
}

/// Claims the invitation of an address that registers, if there is one and its time is not over. It never refuses the
/// registration.
///
/// # Errors
/// `NotFound` for an invitation that does not exist.
pub fn claim_for(streams: &mut Streams, invitation: Option<RegistrationInvitationId>, now: DateTime<Utc>) -> Step<()> {
    if let Some(invitation) = invitation {
        streams.execute::<RegistrationInvitation>(invitation, RegistrationInvitationCommand::Claim { now })?;
    }
    Ok(())
}

/// Whether the address is the verified one of a user, in any spelling.
fn is_proven(streams: &mut Streams, user: UserId, email: &EmailAddress) -> Step<bool> {
    let proven = profile(streams, user)?.contacts.proven_email();
    Ok(proven.is_some_and(|proven| proven.comparable() == email.comparable()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::quota::{QuotaError, QuotaEvent};
    use crate::registration_invitation::RegistrationInvitationEvent;
    use crate::user::UserCommand;
    use chrono::TimeDelta;
    use uuid::Uuid;

    const NEW: RegistrationInvitationId = RegistrationInvitationId(Uuid::from_u128(0x51));
    const FORMER: RegistrationInvitationId = RegistrationInvitationId(Uuid::from_u128(0x52));
    const QUOTA: &str = "digest of the address";

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    /// Bob's invitation of Ada's address.
    fn new() -> NewInvitation {
        NewInvitation {
            id: NEW,
            created_by: BOB,
            email: email("Ada@Example.com"),
            holder: None,
            former: None,
            quota: QUOTA.to_owned(),
            now: at(0),
        }
    }

    fn created(id: RegistrationInvitationId, now: DateTime<Utc>) -> Vec<RegistrationInvitationEvent> {
        let NewInvitation { created_by, email, .. } = new();
        let command = RegistrationInvitationCommand::Create { id, created_by, email, now };
        decided::<RegistrationInvitation>([], command)
    }

    /// The former invitation, created so many days ago.
    fn former(days: i64) -> History {
        events::<RegistrationInvitation>(FORMER, created(FORMER, at(0) - TimeDelta::days(days)))
    }

    fn expired() -> History {
        let expired = RegistrationInvitationEvent::Expired { email: new().email };
        events::<RegistrationInvitation>(FORMER, [expired])
    }

    fn claimed() -> History {
        let claimed = RegistrationInvitationEvent::Claimed { email: new().email, at: at(0) };
        events::<RegistrationInvitation>(FORMER, [claimed])
    }

    fn own_quota() -> String {
        QuotaKind::FriendInvitations.stream(BOB)
    }

    /// So many uses of a quota at a time.
    fn used(stream: &str, kind: QuotaKind, times: usize, at: DateTime<Utc>) -> History {
        events::<Quota>(stream, std::iter::repeat_n(QuotaEvent::Used { kind, at }, times))
    }

    fn invited() -> [History; 3] {
        [
            used(&own_quota(), QuotaKind::FriendInvitations, 1, at(0)),
            used(QUOTA, QuotaKind::Messages, 1, at(0)),
            events::<RegistrationInvitation>(NEW, created(NEW, at(0))),
        ]
    }

    /// Invites an address that `holder` and `former` hold.
    fn invite(
        streams: impl IntoIterator<Item = History>,
        holder: Option<UserId>,
        former: Option<RegistrationInvitationId>,
    ) -> ProcessOutcome {
        let new = NewInvitation { holder, former, ..new() };
        given(streams).when(|streams| create(streams, &new))
    }

    #[test]
    fn an_invitation_counts_for_its_sender_and_for_its_address() {
        let outcome = invite([], None, None).then(invited());
        assert_eq!(outcome.loads, 2, "both counters at once");
    }

    #[test]
    fn a_registered_address_is_refused_in_any_spelling() {
        let verified = user(ADA, [UserCommand::ConfirmEmail(email("ada@example.com"))]);
        invite([verified], Some(ADA), None).then_refused(RegistrationInvitationError::Taken);
    }

    #[test]
    fn an_address_that_was_not_confirmed_is_invited() {
        invite([user(ADA, [])], Some(ADA), None).then(invited());
    }

    #[test]
    fn an_invited_address_is_refused_until_the_invitation_expires() {
        invite([former(29)], None, Some(FORMER)).then_refused(RegistrationInvitationError::Taken);
        invite([former(30)], None, Some(FORMER)).then([expired()].into_iter().chain(invited()));
    }

    #[test]
    fn a_sender_who_has_invited_too_many_is_refused() {
        let kind = QuotaKind::FriendInvitations;
        let refusal = QuotaError::UsedUp { kind, until: at(-1) + TimeDelta::days(1) };
        invite([used(&own_quota(), kind, 20, at(-1))], None, None).then_refused(refusal);
    }

    #[test]
    fn an_address_that_got_too_many_messages_is_not_invited() {
        let kind = QuotaKind::Messages;
        let refusal = QuotaError::UsedUp { kind, until: at(-60) + TimeDelta::minutes(10) };
        invite([used(QUOTA, kind, 3, at(-60))], None, None).then_refused(refusal);
    }

    #[test]
    fn the_registration_of_an_address_claims_its_invitation() {
        let claim = |before: Vec<History>, invitation: Option<RegistrationInvitationId>| {
            given(before).when(move |streams| claim_for(streams, invitation, at(0)))
        };
        claim(vec![former(29)], Some(FORMER)).then([claimed()]);
        claim(vec![former(30)], Some(FORMER)).then([expired()]);
        claim(vec![], None).then_nothing();
    }
}
