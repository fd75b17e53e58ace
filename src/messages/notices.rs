//! Notices: mails that tell users of an act on their account, composed in the commit of the act.

use super::compose::{ComposedMessage, Composer, MessageOrder};
use super::templates::{Variables, variables_of};
use crate::journal::JournalResult;
use crate::node::Node;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::{OrganizationId, RecipientId};
use registrar_projections::UserDocument;

/// Composes a notice to the verified e-mail address of a user, in the name of an organization or of the service. `None`
/// for a user without such an address, and for a program, which reads no mail. A link leads to the application.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn notice(
    node: &Node,
    composer: &Composer,
    user: &UserDocument,
    kind: Kind,
    organization: Option<OrganizationId>,
) -> JournalResult<Option<ComposedMessage>> {
    let is_program = user.system_roles.contains(&SystemRole::Service);
    let Some(address) = user.contacts.proven_email().filter(|_| !is_program) else { return Ok(None) };
    let id = user.profile.id.0;
    let name = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    let variables = Variables {
        link: variables_of(kind).contains(&"link").then(|| composer.app_url().to_owned()),
        first_name: name(&user.names.first_name),
        last_name: name(&user.names.last_name),
        ..Variables::default()
    };
    let order = MessageOrder {
        kind,
        channel: Channel::Email,
        locale: user.locale,
        organization,
        recipient: RecipientId(id),
        about: About { kind: AboutKind::User, id },
        to: address.to_string(),
        variables,
    };
    composer.compose(node, order).await.map(Some)
}
