//! Notices to users about their own account, composed before the act and committed with it.

use crate::journal::JournalResult;
use crate::messages::Composer;
use crate::messages::compose::{ComposedMessage, MessageOrder};
use crate::messages::templates::Variables;
use crate::node::Node;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::user::{Contact, Profile};
use registrar_aggregates::values::{RecipientId, UserId};

/// A message that belongs to a user.
#[must_use]
pub fn about(user: UserId) -> About {
    About { kind: AboutKind::User, id: user.0 }
}

/// A notice to a contact of a user, in the name of the account's home.
///
/// # Errors
/// `Unavailable`, `Corrupt`; `Corrupt` also for a kind that the contact's channel does not have.
pub async fn notice(
    node: &Node,
    composer: &Composer,
    user: &Profile,
    kind: Kind,
    to: &Contact,
) -> JournalResult<ComposedMessage> {
    let channel = match to {
        Contact::Email(_) => Channel::Email,
        Contact::Phone(_) => Channel::Sms,
    };
    let known = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    let variables = Variables {
        first_name: known(&user.names.first_name),
        last_name: known(&user.names.last_name),
        ..Variables::default()
    };
    let order = MessageOrder {
        kind,
        channel,
        locale: user.locale,
        organization: user.home(),
        recipient: RecipientId(user.id.0),
        about: about(user.id),
        to: to.as_str().to_owned(),
        variables,
    };
    composer.compose(node, order).await
}

/// The notice of a changed password, to the verified e-mail address; `None` without one.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn password_changed(
    node: &Node,
    composer: &Composer,
    user: &Profile,
) -> JournalResult<Option<ComposedMessage>> {
    match user.contacts.proven_email().cloned().map(Contact::Email) {
        Some(to) => notice(node, composer, user, Kind::PasswordChanged, &to).await.map(Some),
        None => Ok(None),
    }
}
