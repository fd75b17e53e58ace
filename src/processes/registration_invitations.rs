//! Invitations of friends: who holds an address is looked up here, and the mail composed. The rules are in
//! [`registrar_aggregates::processes::registration_invitations`].

use super::codes::quota_stream;
use super::{DirectoryError, ProcessResult, Refusal, commit, own_acts_only, user_who_holds};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::messages::Composer;
use crate::messages::compose::MessageOrder;
use crate::messages::templates::Variables;
use crate::node::Node;
use chrono::Utc;
use registrar_aggregates::ClaimKey;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::processes::registration_invitations as rules;
use registrar_aggregates::registration_invitation::{RegistrationInvitationError, VALIDITY};
use registrar_aggregates::user::Contact;
use registrar_aggregates::values::{EmailAddress, RecipientId, RegistrationInvitationId};
use registrar_projections::UserDocument;
use uuid::Uuid;

/// Invites an address in the name of a user, in the user's language, since that of the addressee is not known. The mail
/// has no text of the sender, or it would be a way to send any text to any address in our name.
///
/// # Errors
/// `ActingForAnother`; `Taken` for an address that is registered or invited; `UsedUp` for the sender or the address.
pub async fn create(
    node: &Node,
    context: &RequestContext,
    composer: &Composer,
    sender: &UserDocument,
    id: RegistrationInvitationId,
    email: EmailAddress,
) -> ProcessResult {
    own_acts_only(context)?;
    let holder = user_who_holds(node, &ClaimKey::account_email(&email)).await?;
    let former = open_for(node, &email).await?;
    let message = composer.compose(node, mail(composer, sender, id, &email)).await?;
    let new = rules::NewInvitation {
        id,
        created_by: sender.profile.id,
        holder: holder.map(|user| user.profile.id),
        former,
        quota: quota_stream(node, &Contact::Email(email.clone())),
        email,
        now: Utc::now(),
    };
    let context = context.belonging_to(sender.home());
    let created = commit(node, &context, |streams| {
        rules::create(streams, &new)?;
        message.add_to(streams)
    });
    created.await.map_err(|error| match error {
        // Another invitation of the address was faster.
        DirectoryError::Journal(JournalError::ClaimTaken { .. }) => {
            Refusal::from(RegistrationInvitationError::Taken).into()
        }
        error => error,
    })
}

fn mail(
    composer: &Composer,
    sender: &UserDocument,
    RegistrationInvitationId(id): RegistrationInvitationId,
    email: &EmailAddress,
) -> MessageOrder {
    MessageOrder {
        kind: Kind::RegistrationInvitation,
        channel: Channel::Email,
        locale: sender.profile.locale,
        organization: None,
        recipient: RecipientId(id),
        about: About { kind: AboutKind::RegistrationInvitation, id },
        to: email.as_str().to_owned(),
        variables: Variables {
            link: Some(format!("{}/sign-up", composer.app_url())),
            expires_minutes: u32::try_from(VALIDITY.num_minutes()).ok(),
            ..Variables::default()
        },
    }
}

/// The invitation of an address that was not claimed. Its time may be over: claiming it tells.
///
/// # Errors
/// `Unavailable`.
pub async fn open_for(node: &Node, email: &EmailAddress) -> JournalResult<Option<RegistrationInvitationId>> {
    let key = node.vault.claim(&ClaimKey::registration_invitation(email));
    let holder = node.journal.claim_holder(&key).await?;
    Ok(holder.and_then(|(_, id)| Uuid::try_parse(&id).ok()).map(RegistrationInvitationId))
}
