//! Acts on an account itself, as opposed to its memberships: its events belong to its home, even if the caller acts in
//! another organization.

pub use registrar_aggregates::processes::accounts::Contact;

use super::{DirectoryError, ProcessResult, commit, user_by_id};
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::node::Node;
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::processes::{Streams, accounts};
use registrar_aggregates::user::{Amendment, User, UserCommand};
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

/// Replaces a password after the former one was shown. The user's other sessions end unless they are to be kept; the
/// caller's goes on.
///
/// # Errors
/// `OtherPassword` after a lost race with another change.
pub async fn change_password(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    session: Option<SessionId>,
    former: String,
    hash: String,
    keep_sessions: bool,
) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    let change =
        |streams: &mut Streams| accounts::change_password(streams, user, session, &former, &hash, keep_sessions);
    commit(node, &context, change).await
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
