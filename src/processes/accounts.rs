//! Acts on an account itself, as opposed to its memberships: its events belong to its home, even if the caller acts in
//! another organization.

pub use registrar_aggregates::processes::accounts::Contact;

use super::codes::{CodeOrder, PreparedCode, code_digest, prepare};
use super::notices::{about, notice, notice_to};
use super::{DirectoryError, ProcessResult, commit, user_by_id};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::messages::Composer;
use crate::messages::compose::ComposedMessage;
use crate::node::Node;
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::message::Kind;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::processes::accounts::{self, EnteredCode};
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::user::{Amendment, ContactChange, User, UserCommand, UserState};
use registrar_aggregates::values::{SessionId, UserId};
use registrar_projections::{Direction, Query, UserDocument, stamped::time_key, users};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Longest time that an address may wait for its confirmation.
pub const WAIT_MAX: TimeDelta = TimeDelta::days(1);
/// Interval of a node's search for addresses that wait too long.
const LOOK_AROUND: Duration = Duration::from_secs(60);
/// Users read at once.
const PAGE: u64 = 100;
/// Attempts to amend an account whose contacts change, each with messages for the version that it was at.
const TRIES_MAX: usize = 8;

/// Amends a user. A new address waits for its confirmation while the user has a verified one.
///
/// # Errors
/// Refusals of the user; `ClaimTaken` for an address of another account, verified or waiting; `VersionConflict` if the
/// account is not at the `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    amendment: Amendment,
    expected: Option<u64>,
) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    let command = UserCommand::Amend(Box::new(amendment));
    Ok(node.executor.execute::<User>(&context, &user.to_string(), command, expected).await?)
}

/// Amends a user, and tells them of changed contacts in the same commit: a code goes to the new one of an account that
/// signs in, and a notice to the last verified one. The same contact again sends nothing.
///
/// # Errors
/// As [`amend`]; `UsedUp` for a contact that got too many codes, and nothing is changed then.
pub async fn amend_and_tell(
    node: &Node,
    composer: &Composer,
    context: &RequestContext,
    user: UserId,
    amendment: Amendment,
    expected: Option<u64>,
) -> ProcessResult {
    if amendment.email.is_none() && amendment.phone.is_none() {
        return amend(node, context, user, amendment, expected).await;
    }
    let mut lost = JournalError::VersionConflict;
    for _ in 0..TRIES_MAX {
        let Some(found) = user_by_id(node, user).await? else {
            return amend(node, context, user, amendment, expected).await;
        };
        if expected.is_some_and(|expected| expected != found.version) {
            break;
        }
        // Composed for this version: at another one the change of a contact may be another, or none.
        let messages = ContactMessages::prepare(node, composer, &found, &amendment).await?;
        let context = context.belonging_to(found.home());
        let amend = |streams: &mut Streams| {
            accounts::amend(streams, user, &amendment, found.version)?;
            messages.add_to(streams)
        };
        match commit(node, &context, amend).await {
            Err(DirectoryError::Journal(conflict @ JournalError::VersionConflict)) if expected.is_none() => {
                lost = conflict;
            }
            done => return done,
        }
    }
    Err(lost.into())
}

/// Messages about the contacts that an amendment changes.
struct ContactMessages {
    codes: Vec<PreparedCode>,
    notices: Vec<ComposedMessage>,
}

impl ContactMessages {
    async fn prepare(
        node: &Node,
        composer: &Composer,
        user: &UserDocument,
        amendment: &Amendment,
    ) -> JournalResult<Self> {
        let (mut codes, mut notices) = (Vec::new(), Vec::new());
        // Contacts of others are confirmed with their sign-up, or not at all.
        let signs_in = matches!(user.state, UserState::Confirmed | UserState::ForceResetPassword);
        for ContactChange { to, kept } in user.contacts.changes(amendment) {
            if let Some(kept) = kept {
                notices.push(notice_to(node, composer, user, Kind::AddressChanged, &kept).await?);
            }
            if signs_in {
                let order = CodeOrder {
                    user: user.profile.id,
                    purpose: Purpose::confirming(&to),
                    to,
                    kind: Kind::ReverifyEmail,
                    locale: user.locale,
                    organization: user.home(),
                    names: user.names.clone(),
                    about: about(user.profile.id),
                };
                codes.push(prepare(node, composer, order).await?);
            }
        }
        Ok(ContactMessages { codes, notices })
    }

    fn add_to(&self, streams: &mut Streams) -> Step<()> {
        self.codes.iter().try_for_each(|code| code.add_to(streams))?;
        self.notices.iter().try_for_each(|notice| notice.add_to(streams))
    }
}

/// Confirms by a code the contact of a user that is not verified yet. The outcome has no confirmation for a wrong code,
/// which is counted. All sessions end but the calling one, which was found open in `epoch`.
///
/// # Errors
/// `TooManyTries`; `Over`; refusals of the user.
pub async fn confirm_by_code(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    session: Option<SessionId>,
    epoch: u64,
    code: &str,
) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    let digests = [Purpose::Email, Purpose::Phone].map(|purpose| (purpose, code_digest(node, user, purpose, code)));
    let entered = EnteredCode { user, session, epoch, digests: &digests, now: Utc::now() };
    commit(node, &context, |streams| accounts::confirm_by_code(streams, &entered)).await
}

/// Records that the shown address was verified. All sessions end but the caller's.
///
/// # Errors
/// `OtherEmail`, `OtherPhone`; other refusals of the user.
pub async fn confirm_contact(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    session: Option<SessionId>,
    contact: Contact,
) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| accounts::confirm_contact(streams, user, session, &contact)).await
}

/// Removes every agreement of a user, so that they are asked again.
///
/// # Errors
/// Refusals of the user.
pub async fn forget_agreements(node: &Node, context: &RequestContext, user: UserId) -> ProcessResult {
    execute(node, context, user, UserCommand::ForgetAgreements).await
}

/// Restores the verified address of users whose new one has waited for `wait` or longer, and returns their number. Safe
/// to call at any time and concurrently: an address that was confirmed or replaced meanwhile is left alone.
///
/// # Errors
/// `Unavailable`, `Corrupt` if the search fails. An address that cannot be restored is logged and still waits.
pub async fn revert_overdue(node: &Node, wait: TimeDelta) -> JournalResult<usize> {
    let until = Utc::now() - wait;
    let (mut reverted, mut passed) = (0, 0);
    loop {
        let query = Query::<UserDocument>::sorted(&users::BY_WAITING, Direction::Ascending)
            .above(&users::WAITING_SINCE, "")
            .at_most(&users::WAITING_SINCE, time_key(until));
        // Restored users no longer match, so the others move up.
        let page = node.documents.page(query.uncounted().page(passed, PAGE)).await?.value.items;
        for user in &page {
            match revert(node, user, until).await {
                Ok(true) => reverted += 1,
                // Another node or the person was first.
                Ok(false) => passed += 1,
                Err(error) => {
                    passed += 1;
                    let user = user.profile.id;
                    tracing::warn!(%user, error = &error as &dyn Error, "an address that waits too long was not put back");
                }
            }
        }
        if (page.len() as u64) < PAGE {
            return Ok(reverted);
        }
    }
}

/// Restores addresses that wait too long, periodically, for as long as the server runs.
pub async fn keep_up(node: Arc<Node>) {
    loop {
        if !node.needs_rebuild()
            && let Err(error) = revert_overdue(&node, WAIT_MAX).await
        {
            tracing::warn!(error = &error as &dyn Error, "addresses that wait too long could not be looked for");
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
}

/// Restores a user's verified address; false if nothing changed.
async fn revert(node: &Node, user: &UserDocument, until: DateTime<Utc>) -> Result<bool, DirectoryError> {
    let overdue = |since: Option<DateTime<Utc>>| since.is_some_and(|since| since <= until);
    let email = user.contacts.waiting_email().filter(|_| overdue(user.email_waiting_since)).cloned();
    let phone = user.contacts.waiting_phone().filter(|_| overdue(user.phone_waiting_since)).cloned();
    let commands = email.map(UserCommand::RevertEmail).into_iter().chain(phone.map(UserCommand::RevertPhone));
    let mut reverted = false;
    for command in commands {
        let outcome = execute(node, &RequestContext::system(), user.profile.id, command).await?;
        reverted |= !outcome.events.is_empty();
    }
    Ok(reverted)
}

async fn execute(node: &Node, context: &RequestContext, user: UserId, command: UserCommand) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    Ok(node.executor.execute::<User>(&context, &user.to_string(), command, None).await?)
}

/// The context of an act on an account. Accounts of admins, who are not users, belong to the system.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(super) async fn at_home(node: &Node, context: &RequestContext, user: UserId) -> JournalResult<RequestContext> {
    let home = user_by_id(node, user).await?.and_then(|user| user.home());
    Ok(context.belonging_to(home))
}

/// A new password, set by its owner or by support.
pub struct NewPassword {
    /// Hash of the new password.
    pub hash: String,
    /// Whether the user's other sessions go on.
    pub keep_sessions: bool,
}

/// Replaces a password after the former one was shown, and tells the person. The user's other sessions end unless they
/// are to be kept; the caller's goes on.
///
/// # Errors
/// `OtherPassword` after a lost race with another change.
pub async fn change_password(
    node: &Node,
    composer: &Composer,
    context: &RequestContext,
    user: &UserDocument,
    session: Option<SessionId>,
    former: String,
    new: NewPassword,
) -> ProcessResult {
    let (id, NewPassword { hash, keep_sessions }) = (user.profile.id, new);
    let context = context.belonging_to(user.home());
    let notice = notice(node, composer, user, Kind::PasswordChanged, user.home()).await?;
    commit(node, &context, |streams| {
        accounts::change_password(streams, id, session, &former, &hash, keep_sessions)?;
        notice.iter().try_for_each(|notice| notice.add_to(streams))
    })
    .await
}

/// Sets a user's password, which the user has to change at the next sign-in.
///
/// # Errors
/// `Archived`.
pub async fn set_password(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    hash: String,
    keep_sessions: bool,
) -> ProcessResult {
    execute(node, context, user, UserCommand::SetPassword { hash, keep_sessions }).await
}

/// As [`set_password`], and tells the person.
///
/// # Errors
/// `Archived`.
pub async fn set_password_and_tell(
    node: &Node,
    composer: &Composer,
    context: &RequestContext,
    user: &UserDocument,
    new: NewPassword,
) -> ProcessResult {
    let (id, NewPassword { hash, keep_sessions }) = (user.profile.id, new);
    let context = context.belonging_to(user.home());
    let notice = notice(node, composer, user, Kind::PasswordChanged, user.home()).await?;
    commit(node, &context, |streams| {
        streams.execute::<User>(id, UserCommand::SetPassword { hash: hash.clone(), keep_sessions })?;
        notice.iter().try_for_each(|notice| notice.add_to(streams))
    })
    .await
}
