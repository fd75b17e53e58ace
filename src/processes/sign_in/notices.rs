//! Notices of a sign-in, committed with it.

use super::SignInContext;
use crate::journal::JournalResult;
use crate::messages::compose::ComposedMessage;
use crate::processes::notices::notice;
use crate::processes::sessions::Person;
use registrar_aggregates::message::Kind;
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::totp::TotpCommand;
use registrar_aggregates::values::TotpId;

/// The notices that are due. A sign-in from a known network without a recovery code has none, and looks nothing up.
#[derive(Default)]
pub(super) struct SignInNotices {
    new_network: Option<ComposedMessage>,
    recovery: Option<ComposedMessage>,
}

impl SignInNotices {
    /// Composes the notices. Admins who are no users get none.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn compose(
        context: &SignInContext<'_>,
        person: &Person,
        is_new_network: bool,
        factor: Option<&(TotpId, TotpCommand)>,
    ) -> JournalResult<Self> {
        let mut notices = SignInNotices::default();
        let Person::User(user) = person else { return Ok(notices) };
        let (node, composer) = (context.node, context.composer);
        if is_new_network {
            notices.new_network = notice(node, composer, user, Kind::NewSignIn, user.home()).await?;
        }
        if matches!(factor, Some((_, TotpCommand::Recover { .. }))) {
            notices.recovery = notice(node, composer, user, Kind::SecondFactorRecovery, user.home()).await?;
        }
        Ok(notices)
    }

    /// Adds the notices to the sign-in. Of several ones at once from a network that is new, the first alone is told.
    ///
    /// # Errors
    /// `Unfit`.
    pub(super) fn add_to(&self, streams: &mut Streams, is_new_network: bool) -> Step<()> {
        let new_network = self.new_network.as_ref().filter(|_| is_new_network);
        new_network.into_iter().chain(&self.recovery).try_for_each(|notice| notice.add_to(streams))
    }
}
