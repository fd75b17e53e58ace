//! Acts on users, groups and their resources, the same for every dialect and the command line. Each is one commit, all
//! or nothing.
//!
//! The rules are pure and in [`registrar_aggregates::processes`]. The code here provides their input: documents, the
//! time, new identifiers, hashes, signed tokens.

pub mod accounts;
pub mod codes;
pub mod features;
pub mod general_messages;
pub mod groups;
pub mod membership;
pub mod moves;
pub mod notices;
pub mod onboarding;
pub mod organization_codes;
pub mod organizations;
pub mod passwords;
mod qr_code;
pub mod recovery;
pub mod registration_invitations;
pub mod second_factor;
pub mod service_documents;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod templates;
pub mod url_shorteners;
pub mod visits;

pub use registrar_aggregates::Refusal;

use crate::access::find_user;
use crate::executor::{ExecuteError, Outcome, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::user::{Phone, SignInName};
use registrar_aggregates::values::{EmailAddress, UserId};
use registrar_aggregates::{ClaimKey, user};
use registrar_projections::UserDocument;
use std::error::Error;
use std::sync::Arc;

/// The reason why an act failed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// An aggregate refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal failed or refused the commit.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl<E: Error + Into<Refusal> + 'static> From<ExecuteError<E>> for DirectoryError {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Refused(refused) => DirectoryError::Refused(refused.into()),
            ExecuteError::Journal(error) => DirectoryError::Journal(error),
        }
    }
}

/// Refuses acts that must not be done on behalf of another user: changes of addresses, passwords, second factors and
/// roles. The executor refuses their events in any case (see [`crate::executor::Executor::append`]); checked first,
/// they cause no look-up, comparison or count.
///
/// # Errors
/// `ActingForAnother`.
pub fn own_acts_only(context: &RequestContext) -> Result<(), DirectoryError> {
    if context.acts_for_another() { Err(JournalError::ActingForAnother.into()) } else { Ok(()) }
}

/// The result of an act without an answer of its own.
pub type ProcessResult = Result<Outcome, DirectoryError>;

/// Executes a process in one commit.
async fn commit<T: Send>(
    node: &Node,
    context: &RequestContext,
    decide: impl Fn(&mut Streams) -> Step<T> + Send,
) -> ProcessResult {
    Ok(node.executor.execute_process(context, decide).await?.1)
}

/// The account that signs in with an e-mail address: the type of the aggregate and its identifier.
///
/// # Errors
/// `Unavailable`.
pub async fn account_of(node: &Node, email: &EmailAddress) -> JournalResult<Option<(String, String)>> {
    node.journal.claim_holder(&node.vault.claim(&ClaimKey::account_email(email))).await
}

/// The user with this verified e-mail address: the shown one if it is verified, or the one kept while another waits for
/// confirmation. People named by an address are looked up by this, so an unconfirmed address names no one.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn user_by_verified_email(node: &Node, email: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Ok(email) = EmailAddress::parse(email) else { return Ok(None) };
    let key = ClaimKey::account_email(&email);
    let holder = user_who_holds(node, &key).await?;
    Ok(holder.filter(|user| user.contacts.proven_email().map(ClaimKey::account_email).as_ref() == Some(&key)))
}

/// The user with this verified telephone number, like [`user_by_verified_email`].
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn user_by_verified_phone(node: &Node, phone: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Ok(phone) = Phone::parse_stored(phone) else { return Ok(None) };
    let holder = user_who_holds(node, &ClaimKey::user_phone(&phone)).await?;
    Ok(holder.filter(|user| user.contacts.proven_phone() == Some(&phone)))
}

/// The user who signs in with a name, see [`Profile::sign_in_name`](registrar_aggregates::user::Profile::sign_in_name);
/// an address that waits for its confirmation is no name.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn user_by_sign_in_name(node: &Node, name: &str) -> JournalResult<Option<Arc<UserDocument>>> {
    let Some(key) = address_key(name) else { return Ok(None) };
    let holder = user_who_holds(node, &key).await?;
    Ok(holder.filter(|user| user.sign_in_name().map(SignInName::claim).as_ref() == Some(&key)))
}

/// The holder of an address, verified or not. For acts on the address itself; it does not name a person.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn user_who_holds(node: &Node, address: &ClaimKey) -> JournalResult<Option<Arc<UserDocument>>> {
    match node.journal.claim_holder(&node.vault.claim(address)).await? {
        Some((kind, id)) if kind == <user::User as cqrs_es::Aggregate>::TYPE => find_user(&node.documents, &id).await,
        _ => Ok(None),
    }
}

/// The claim of an e-mail address or a telephone number; `None` for any other text.
fn address_key(text: &str) -> Option<ClaimKey> {
    let text = text.trim();
    match text.starts_with('+') {
        true => Phone::parse_stored(text).ok().map(|phone| ClaimKey::user_phone(&phone)),
        false => EmailAddress::parse(text).ok().map(|email| ClaimKey::account_email(&email)),
    }
}

/// The user with an identifier, in the present state.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn user_by_id(node: &Node, id: UserId) -> JournalResult<Option<Arc<UserDocument>>> {
    find_user(&node.documents, &id.to_string()).await
}
