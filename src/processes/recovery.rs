//! Forgotten passwords: a code is sent to a contact of the account, and lets a new password be set.
//!
//! Neither act tells whether there is an account with a name, or what is the matter with it. Requests and tries are seen to
//! be counted by the name alone, by shadows, in the same way whether there is an account or not. Those of an account are
//! counted in its events besides, on every server, together with other messages to its address; a limit that is reached
//! there sends nothing, or reads like a wrong code. Answers are held to equal times by the caller
//! ([`Pace`](super::codes::Pace)).

use super::codes::{CodeGuard, CodeOrder, Shadows, code_digest, prepare};
use super::notices::{about, notice_to};
use super::passwords::{PasswordError, PasswordWeakness, Pwned, Rules, accept, check_by};
use super::sessions::{ClientInfo, Person, SessionRequest, SessionStart};
use super::sign_in::Failures;
use super::{DirectoryError, Refusal, commit, registration_invitations, user_by_sign_in_name};
use crate::auth::PasswordHasher;
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::messages::Composer;
use crate::messages::compose::ComposedMessage;
use crate::node::Node;
use crate::security::{self, Event};
use chrono::Utc;
use registrar_aggregates::message::Kind;
use registrar_aggregates::one_time_code::{OneTimeCode, Purpose, stream};
use registrar_aggregates::processes::accounts::{self as rules, PasswordReset};
use registrar_aggregates::processes::codes::try_code;
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Contact, UserState, Username};
use registrar_aggregates::values::{IndividualId, RegistrationInvitationId};
use registrar_projections::UserDocument;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Request for a new password by a code.
pub struct ResetRequest {
    /// The sign-in name, as entered.
    pub username: String,
    /// Kind of the contact to which the code was sent; that of the name by default.
    pub source: Option<Username>,
    /// The code, as entered.
    pub code: String,
    /// The new password.
    pub password: Zeroizing<String>,
}

/// Reason why a password was not reset, beside a wrong code.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The new password is refused.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There were too many tries, a look-up failed, or the commit.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<JournalError> for ResetError {
    fn from(error: JournalError) -> Self {
        ResetError::Directory(error.into())
    }
}

/// The parts of the server that this needs.
pub struct Recovery<'a> {
    /// The node.
    pub node: &'a Node,
    /// Composes the messages.
    pub composer: &'a Composer,
    /// Hashes the new password.
    pub passwords: &'a PasswordHasher,
    /// Look-up of stolen passwords.
    pub pwned: Option<&'a Pwned>,
    /// Wrong codes counted on this node.
    pub failures: &'a Failures,
    /// Requests and tries by name.
    pub shadows: &'a Shadows,
}

/// An account to which a code may be sent.
struct Reachable {
    user: Arc<UserDocument>,
    to: Contact,
}

impl Recovery<'_> {
    /// Sends a code to an account, if there is one and it has such a contact; does nothing otherwise, nor beyond the
    /// quotas of the name and of the contact.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn send(
        &self,
        context: &RequestContext,
        username: &str,
        source: Option<Username>,
    ) -> Result<(), DirectoryError> {
        let kind = source.unwrap_or_else(|| kind_of(username));
        let purpose = Purpose::resetting(kind);
        let reachable = self.reachable(username, kind).await?;
        let counted = self.shadows.issue(self.node, purpose, username);
        let Some(Reachable { user, to }) = reachable.filter(|_| counted.is_ok()) else { return Ok(()) };
        let order = CodeOrder {
            user: user.profile.id,
            purpose,
            to,
            kind: Kind::ForgotPassword,
            locale: user.locale,
            organization: user.home(),
            names: user.names.clone(),
            about: about(user.profile.id),
        };
        let prepared = prepare(self.node, self.composer, order).await?;
        let context = context.belonging_to(user.home());
        match commit(self.node, &context, |streams| prepared.add_to(streams)).await {
            Ok(_) | Err(DirectoryError::Refused(Refusal::Quota(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets a new password by a code, and tells the person; false for a wrong code, an unknown name, and an account that
    /// no code is sent to or that had too many tries, which are counted alike. A password that the rules refuse uses no
    /// try.
    ///
    /// # Errors
    /// [`ResetError`]. A wrong code is counted, nothing else is stored.
    pub async fn reset(
        &self,
        context: &RequestContext,
        client_info: &ClientInfo,
        request: &ResetRequest,
    ) -> Result<bool, ResetError> {
        let ResetRequest { username, source, code, password } = request;
        self.passwords.check_room().map_err(PasswordError::from)?;
        CodeGuard::check(self.node, self.failures, client_info).await?;
        // Before the name is looked up: its owner's own words are known only to those who have the code.
        let hash = accept(self.passwords, self.pwned, password.clone(), Rules::of_username(username)).await?;
        let kind = source.unwrap_or_else(|| kind_of(username));
        let purpose = Purpose::resetting(kind);
        let tried = self.shadows.try_code(self.node, purpose, username);
        tried.map_err(|locked| DirectoryError::Refused(locked.into()))?;
        let is_reset = match self.reachable(username, kind).await? {
            Some(reachable) => {
                let done = self.reset_of(context, &reachable.user, purpose, code, password, &hash).await;
                // The code was right, and is tried again with another password.
                if matches!(done, Err(ResetError::Password(_))) {
                    self.shadows.renew(self.node, purpose, username);
                }
                done?
            }
            None => false,
        };
        if !is_reset {
            security::refused(Event::Password, "the code is wrong");
            CodeGuard::fail(self.node, self.failures, client_info).await?;
        }
        Ok(is_reset)
    }

    /// Sets a new password of an account; false for a wrong code, and after too many tries.
    async fn reset_of(
        &self,
        context: &RequestContext,
        user: &UserDocument,
        purpose: Purpose,
        code: &str,
        password: &Zeroizing<String>,
        hash: &str,
    ) -> Result<bool, ResetError> {
        let (node, now, id) = (self.node, Utc::now(), user.profile.id);
        let context = context.belonging_to(user.home());
        let digest = code_digest(node, id, purpose, code);
        let (_, out) = node.executor.state::<OneTimeCode>(&stream(id, purpose)).await?;
        let proven = out.check(now).ok().and_then(|()| out.proof(&digest, now)).cloned();
        let Some(proven) = proven else {
            // Nothing is set if it is right by now: such a code was guessed in the moment of its issue.
            let tried = commit(node, &context, |streams| try_code(streams, id, purpose, &digest, now)).await;
            return or_locked(tried.map(|_| false));
        };
        self.check_by_owner(user, password).await?;
        let prepared = self.prepared(user, &proven).await?;
        let reset = PasswordReset {
            user: id,
            purpose,
            digest: &digest,
            hash,
            individual: IndividualId(Uuid::now_v7()),
            invitation: prepared.invitation,
            now,
        };
        let done = node.executor.execute_process(&context, |streams: &mut Streams| -> Step<bool> {
            let done = rules::reset_password(streams, &reset)?;
            if let Some(notice) = prepared.notice.as_ref().filter(|_| done) {
                notice.add_to(streams)?;
            }
            Ok(done)
        });
        or_locked(done.await.map(|(done, _)| done).map_err(DirectoryError::from))
    }

    /// The rules that depend on the owner, for a reader of the right code. The code is not used if they refuse.
    async fn check_by_owner(&self, user: &UserDocument, password: &Zeroizing<String>) -> Result<(), PasswordError> {
        let (password, rules) = (password.clone(), Rules::from(&user.profile));
        let checked: Result<(), PasswordWeakness> = self.passwords.run(move || check_by(&password, &rules)).await?;
        Ok(checked?)
    }

    /// Everything else that is committed with a new password, for a reader of a proven contact.
    async fn prepared(&self, user: &UserDocument, proven: &Contact) -> JournalResult<PreparedReset> {
        let email = match proven {
            Contact::Email(email) => Some(email),
            Contact::Phone(_) => None,
        };
        let told = user.contacts.proven_email().or(email).cloned().map(Contact::Email);
        let notice = match told {
            Some(to) => Some(notice_to(self.node, self.composer, user, Kind::PasswordChanged, &to).await?),
            None => None,
        };
        let invitation = match email.filter(|_| user.state == UserState::Registered) {
            Some(email) => registration_invitations::open_for(self.node, email).await?,
            None => None,
        };
        Ok(PreparedReset { notice, invitation })
    }

    /// The account that signs in with a name, if a code may be sent to its contact of a kind.
    async fn reachable(&self, username: &str, kind: Username) -> JournalResult<Option<Reachable>> {
        let Some(user) = user_by_sign_in_name(self.node, username).await? else { return Ok(None) };
        let Some(to) = user.recovery_contact(kind).filter(|_| user.is_recoverable()) else { return Ok(None) };
        // A password is of no use to staff of an organization with a sign-in of its own.
        let begins = Person::User(Arc::clone(&user));
        let begins = begins.begins(&self.node.documents, &SessionRequest::plain(Origin::SignIn)).await?;
        Ok((!matches!(begins, SessionStart::Elsewhere(_))).then_some(Reachable { user, to }))
    }
}

/// Parts of a commit beside the new password.
struct PreparedReset {
    notice: Option<ComposedMessage>,
    invitation: Option<RegistrationInvitationId>,
}

/// A try with an account: too many read like a wrong one.
fn or_locked(tried: Result<bool, DirectoryError>) -> Result<bool, ResetError> {
    match tried {
        Err(DirectoryError::Refused(Refusal::OneTimeCode(_))) => Ok(false),
        tried => Ok(tried?),
    }
}

/// Kind of the contact that a sign-in name is.
fn kind_of(username: &str) -> Username {
    if username.trim().starts_with('+') { Username::Phone } else { Username::Email }
}
