//! Notices: messages that tell users of acts on their account. They are composed before the act and committed with it; an
//! act that changes nothing adds none.

use crate::journal::JournalResult;
use crate::messages::Composer;
use crate::messages::compose::{ComposedMessage, MessageOrder};
use crate::messages::templates::{Variables, variables_of};
use crate::node::Node;
use registrar_aggregates::message::Kind;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::user::{Contact, Profile, SystemRole};
use registrar_aggregates::values::{OrganizationId, RecipientId, UserId};

/// A message that belongs to a user.
#[must_use]
pub fn about(user: UserId) -> About {
    About { kind: AboutKind::User, id: user.0 }
}

/// A notice to the verified e-mail address of a user, in the name of an organization or of the service. `None` for a user
/// without such an address, and for a program, unless its address or password was changed.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn notice(
    node: &Node,
    composer: &Composer,
    user: &Profile,
    kind: Kind,
    organization: Option<OrganizationId>,
) -> JournalResult<Option<ComposedMessage>> {
    let is_program = user.system_roles.contains(&SystemRole::Service);
    let address = user.contacts.proven_email().filter(|_| !is_program || concerns_programs(kind));
    match address.cloned().map(Contact::Email) {
        Some(to) => compose(node, composer, user, kind, &to, organization).await.map(Some),
        None => Ok(None),
    }
}

/// A notice to a contact of a user, in the name of the account's home.
///
/// # Errors
/// `Unavailable`, `Corrupt`; `Corrupt` also for a kind that the contact's channel does not have.
pub async fn notice_to(
    node: &Node,
    composer: &Composer,
    user: &Profile,
    kind: Kind,
    to: &Contact,
) -> JournalResult<ComposedMessage> {
    compose(node, composer, user, kind, to, user.home()).await
}

/// Whether a notice goes to programs. They sign in from many networks and read no mail; but another address or password
/// may be a theft of the account, and the mail reaches the people who run it.
const fn concerns_programs(kind: Kind) -> bool {
    matches!(kind, Kind::AddressChanged | Kind::PasswordChanged)
}

/// Composes a notice. A link leads to the application.
async fn compose(
    node: &Node,
    composer: &Composer,
    user: &Profile,
    kind: Kind,
    to: &Contact,
    organization: Option<OrganizationId>,
) -> JournalResult<ComposedMessage> {
    let variables = Variables {
        link: variables_of(kind).contains(&"link").then(|| composer.app_url().to_owned()),
        ..Variables::naming(&user.names)
    };
    let order = MessageOrder {
        kind,
        channel: to.channel(),
        locale: user.locale,
        organization,
        recipient: RecipientId(user.id.0),
        about: about(user.id),
        to: to.as_str().to_owned(),
        variables,
    };
    composer.compose(node, order).await
}
