//! Signing in: name and password, the second factor, documents to be agreed to, and the guard that counts failures. Whoever
//! fails learns the same, in the same time, whether there is such a name or not.

mod guards;
mod renewal;

pub use guards::Failures;
pub use renewal::SET_PASSWORD_HOURS;

use super::passwords::{NotAccepted, Pwned, Weak};
use super::second_factor::{Provisioning, RecoveryCodes, Requirement};
use super::sessions::{Beginning, NotOpened, Opened, Origins, Person, Wish, prepare_at};
use super::{DirectoryError, Refusal, account_of, lift, second_factor, user_by_id, user_by_sign_in_name};
use crate::auth::{Authenticator, Busy, PasswordHasher};
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::security::{self, Actor, Event, Line};
use crate::service_documents::ServiceDocuments;
use chrono::{DateTime, Utc};
use guards::{Guards, SessionGuard, Who};
use registrar_aggregates::admin::Admin;
use registrar_aggregates::session::guard::GuardError;
use registrar_aggregates::totp::{Totp, TotpCommand, TotpError};
use registrar_aggregates::user::{User, UserCommand, UserError, UserState};
use registrar_aggregates::values::{AdminId, EmailAddress, TotpId, UserId};
use registrar_projections::AdminDocument;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What was shown to sign in with.
pub struct Credentials {
    /// E-mail address or telephone number.
    pub username: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// The password from now on, for an account that must set another one.
    pub new_password: Option<Zeroizing<String>>,
    /// Code of the second factor.
    pub code: Option<String>,
    /// The way to a second factor, for an account that must set one up.
    pub set_up: Option<SetUp>,
    /// Documents that are agreed to with this.
    pub agreements: BTreeSet<Uuid>,
    /// Whether a person sits there, who can be asked to agree to documents.
    pub interactive: bool,
}

/// Setting up a second factor before the first session.
pub enum SetUp {
    /// Asks for the secret that a device needs.
    Begin,
    /// Shows two codes of the device, one step after the other.
    Finish([String; 2]),
}

/// What signing in came to.
pub enum SignedIn {
    /// Nobody was signed in: a device needs this first.
    SetUp(Provisioning),
    /// A session was opened.
    Here(Box<(Opened, Person)>),
    /// The account signs in elsewhere, at this address.
    Elsewhere(String),
}

/// Answer that is given once it is committed.
pub enum Prospect<'p> {
    /// A session of a person.
    Here(&'p Opened, &'p Person),
    /// Secret for a device.
    SetUp(&'p Provisioning),
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong name or wrong password; which of them is nobody's business.
    #[error("wrong user name or password")]
    BadCredentials,
    /// The second factor is needed.
    #[error("a code of the second factor is needed")]
    CodeNeeded,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    BadCode,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The contact of the account was never confirmed.
    #[error("the account is not confirmed yet")]
    Unconfirmed,
    /// A second factor must be set up first.
    #[error("a second factor must be set up first")]
    SetUpNeeded,
    /// Nobody asked for a second factor to be set up here.
    #[error("a second factor is set up here only where one must be")]
    SetUpNotNeeded,
    /// Another password must be set first.
    #[error("another password must be set first")]
    ResetNeeded,
    /// Another password should have been set earlier.
    #[error("the password that was set by support counts no longer")]
    ResetOverdue,
    /// The password, which somebody else set, should have been replaced earlier.
    #[error("the first password counts no longer")]
    FirstPasswordOver,
    /// Nobody asked for another password.
    #[error("a new password is taken only where another one must be set")]
    ResetNotNeeded,
    /// The new password is the present one.
    #[error("the new password must be another one")]
    SamePassword,
    /// The new password is refused.
    #[error(transparent)]
    Weak(#[from] Weak),
    /// All organizations of the account are retired.
    #[error("the organization is retired")]
    OrganizationRetired,
    /// Documents must be agreed to first.
    #[error("documents must be agreed to first")]
    AgreementsNeeded(Vec<Uuid>),
    /// One of the documents that are agreed to is none.
    #[error("there is no such document")]
    NoSuchDocument(Uuid),
    /// Too many failures.
    #[error(transparent)]
    Locked(#[from] GuardError),
    /// Too many passwords are checked at the moment.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The new password could not be looked up among stolen ones, where that is required.
    #[error("the new password could not be looked up among those that were stolen elsewhere")]
    NotLookedUp,
    /// It could not be found out, or not be recorded.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<NotOpened> for SignInError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Directory(error) => SignInError::Directory(error),
            NotOpened::Retired => SignInError::OrganizationRetired,
            // Where a session begins is settled before it is prepared.
            NotOpened::SignInElsewhere(_) | NotOpened::NotAMember => SignInError::BadCredentials,
        }
    }
}

impl From<NotAccepted> for SignInError {
    fn from(error: NotAccepted) -> Self {
        match error {
            NotAccepted::Weak(weak) => SignInError::Weak(weak),
            NotAccepted::Busy(busy) => SignInError::Busy(busy),
            NotAccepted::NotLookedUp => SignInError::NotLookedUp,
        }
    }
}

impl From<JournalError> for SignInError {
    fn from(error: JournalError) -> Self {
        SignInError::Directory(error.into())
    }
}

/// What signing in needs of the server.
pub struct Desk<'a> {
    /// The node.
    pub node: &'a Node,
    /// Compares passwords.
    pub passwords: &'a PasswordHasher,
    /// Signs tokens.
    pub authenticator: &'a Authenticator,
    /// What must be agreed to.
    pub documents: &'a ServiceDocuments,
    /// Failures that are counted on this node.
    pub failures: &'a Failures,
    /// Knows stolen passwords.
    pub pwned: Option<&'a Pwned>,
    /// Accounts whose sign-in needs a second factor.
    pub required: Requirement,
}

impl Desk<'_> {
    /// Signs somebody in. `before` is shown what will be answered before it is committed, so that the answer can be
    /// committed with it.
    ///
    /// # Errors
    /// [`SignInError`]. A failure is counted, nothing else is stored.
    pub async fn sign_in(
        &self,
        context: &RequestContext,
        origins: &Origins,
        credentials: Credentials,
        wish: &Wish,
        before: impl Fn(Prospect<'_>) + Send + Sync,
    ) -> Result<SignedIn, SignInError> {
        let now = Utc::now();
        let account = person_named(self.node, &credentials.username).await?;
        let id = account.as_ref().map(|person| person.id().to_string());
        let who = id.as_deref().map_or(Who::Unknown(&credentials.username), Who::Account);
        let guards = Guards::new(self.node, &who, origins);
        self.check(&guards, now).await?;
        let (hash, good_until) = match &account {
            Some(person) => self.password_of(person).await?,
            None => (None, None),
        };
        let beginning = match &account {
            Some(person) => person.begins(&self.node.documents, wish).await?,
            None => Beginning::Nowhere,
        };
        if let (Beginning::Elsewhere(url), None) = (&beginning, &hash) {
            return Ok(SignedIn::Elsewhere(url.clone()));
        }
        let right = self.passwords.verify(credentials.password.clone(), hash.clone()).await?;
        let Some(person) = account.filter(|_| right) else {
            return Err(self.failed(context, &guards, SignInError::BadCredentials).await);
        };
        if let Beginning::Elsewhere(url) = beginning {
            return Ok(SignedIn::Elsewhere(url));
        }
        let told = |error: SignInError| told(&guards, error);
        if good_until.is_some_and(|until| now >= until) {
            return Err(told(SignInError::FirstPasswordOver));
        }
        let new_password = renewal::asked_for(&person, &credentials, now).map_err(told)?;
        let scope = match beginning {
            Beginning::At(scope) => scope,
            Beginning::Retired => return Err(told(SignInError::OrganizationRetired)),
            Beginning::Elsewhere(_) | Beginning::Nowhere => None,
        };
        let factor = self.second_factor(&person, credentials.code.as_deref(), now).await?;
        let mut recovery = None;
        let (factor, shown) = match factor {
            Factor::NotNeeded if self.required.covers(&person) => match &credentials.set_up {
                None => return Err(told(SignInError::SetUpNeeded)),
                Some(SetUp::Begin) => {
                    self.check(&guards, Utc::now()).await?;
                    return Ok(SignedIn::SetUp(self.begin_set_up(context, origins, &person, before).await?));
                }
                Some(SetUp::Finish(codes)) => {
                    let codes = codes.each_ref().map(|code| code.trim());
                    let Some((id, enabling, fresh)) = self.finish_set_up(&person, codes, now).await? else {
                        return Err(self.failed(context, &guards, SignInError::BadCode).await);
                    };
                    recovery = Some(fresh);
                    (Some((id, enabling)), "password, totp")
                }
            },
            _ if credentials.set_up.is_some() => return Err(told(SignInError::SetUpNotNeeded)),
            Factor::NotNeeded => (None, "password"),
            Factor::Used(id, usage @ TotpCommand::Recover { .. }) => (Some((id, usage)), "password, recovery-code"),
            Factor::Used(id, usage) => (Some((id, usage)), "password, totp"),
            Factor::Missing => return Err(told(SignInError::CodeNeeded)),
            Factor::Wrong => return Err(self.failed(context, &guards, SignInError::BadCode).await),
        };
        let agreements = self.agreements(&person, &credentials).map_err(told)?;
        // Failures that were counted while the password was compared count before it.
        self.check(&guards, Utc::now()).await?;
        let (person, renewal) = match (new_password, hash) {
            (Some(new), Some(former)) => self.renewed(person, former, new).await.map_err(told)?,
            _ => (person, None),
        };
        let prepared = prepare_at(self.node, self.authenticator, &person, wish, scope).await?.giving(recovery);
        let opened = prepared.opened();
        let own = person.context(context, (Some(opened.id), opened.organization), origins);
        before(Prospect::Here(opened, &person));
        let (user, agreements, opening, guarded) = (&person.id().to_string(), &agreements, &prepared, &guards);
        let (renewal, factor) = (renewal.as_ref(), factor.as_ref());
        let done = self.node.executor.execute_together(&own, |together| {
            Box::pin(async move {
                guarded.pass(together, now).await?;
                if let Some((id, usage)) = factor {
                    together.execute::<Totp>(&id.to_string(), usage.clone()).await.map_err(lift)?;
                }
                if !agreements.is_empty() {
                    together.execute::<User>(user, UserCommand::Agree(agreements.clone())).await.map_err(lift)?;
                }
                if let Some(renewal) = renewal {
                    together.execute::<User>(user, renewal.command()).await.map_err(lift)?;
                }
                opening.carry_out(together).await
            })
        });
        match done.await {
            Ok(_) => {}
            // Somebody else used the same code in the same moment.
            Err(ExecuteError::Refused(Refusal::Totp(TotpError::UsedCode))) => {
                return Err(self.failed(context, &guards, SignInError::BadCode).await);
            }
            // Somebody else set another password in the same moment.
            Err(ExecuteError::Refused(Refusal::User(UserError::OtherPassword))) => {
                return Err(SignInError::BadCredentials);
            }
            Err(ExecuteError::Refused(Refusal::Guard(locked))) => return Err(told(locked.into())),
            Err(error) => return Err(DirectoryError::from(error).into()),
        }
        let actor = Actor {
            id: person.id().to_string(),
            session: Some(opened.id.to_string()),
            organization: opened.organization.map(|organization| organization.to_string()),
        };
        let (subject_digest, factors) = (Some(guards.name.as_str()), Some(shown));
        let line = Line { subject_digest, factors, actor: Some(actor), ..Line::default() };
        line.success(Event::SignIn);
        Ok(SignedIn::Here(Box::new((prepared.into_opened(), person))))
    }

    /// A fresh secret for a device. Each takes the place of the one before: what was shown to somebody else who knows the
    /// password is good for nothing.
    async fn begin_set_up(
        &self,
        context: &RequestContext,
        origins: &Origins,
        person: &Person,
        before: impl Fn(Prospect<'_>) + Send + Sync,
    ) -> Result<Provisioning, SignInError> {
        let draft = second_factor::Draft::fresh();
        let provisioning = draft.provisioning(&second_factor::account_name(person))?;
        before(Prospect::SetUp(&provisioning));
        let own = person.context(context, (None, None), origins);
        second_factor::create(self.node, &own, person.id(), &draft).await?;
        Ok(provisioning)
    }

    /// What puts the factor in force that was begun, if the codes are right, with its recovery codes.
    async fn finish_set_up(
        &self,
        person: &Person,
        codes: [&str; 2],
        now: DateTime<Utc>,
    ) -> JournalResult<Option<(TotpId, TotpCommand, RecoveryCodes)>> {
        let Some(id) = second_factor::in_the_making(self.node, person).await? else { return Ok(None) };
        let recovery = RecoveryCodes::fresh();
        let enabling = second_factor::enabling(self.node, id, codes, &recovery, now).await?;
        Ok(enabling.map(|enabling| (id, enabling, recovery)))
    }

    /// Whether a password is that of somebody who is signed in already. A wrong one counts for the session.
    ///
    /// # Errors
    /// `BadCredentials`, `Locked`, `Busy`, `Directory`.
    pub async fn confirm(
        &self,
        context: &RequestContext,
        person: &Person,
        password: Zeroizing<String>,
    ) -> Result<Option<String>, SignInError> {
        let guard = SessionGuard::new(self.node, context);
        guard.check(self.node).await?;
        let (hash, _) = self.password_of(person).await?;
        let right = self.passwords.verify(password, hash.clone()).await?;
        // Guesses that were counted while this one was compared count before it.
        guard.check(self.node).await?;
        if right {
            return Ok(hash);
        }
        guard.fail(self.node, context).await?;
        security::refused(Event::Password, "the password is wrong");
        Err(SignInError::BadCredentials)
    }

    async fn check(&self, guards: &Guards, now: DateTime<Utc>) -> Result<(), SignInError> {
        match guards.check(self.node, self.failures, now).await {
            Err(locked @ SignInError::Locked(_)) => Err(told(guards, locked)),
            checked => checked,
        }
    }

    async fn failed(&self, context: &RequestContext, guards: &Guards, error: SignInError) -> SignInError {
        let error = told(guards, error);
        match guards.fail(self.node, self.failures, context).await {
            Ok(()) => error,
            Err(locked) => locked,
        }
    }

    /// The hash of a password, and until when it is good.
    async fn password_of(&self, person: &Person) -> JournalResult<(Option<String>, Option<DateTime<Utc>>)> {
        match person {
            Person::User(user) => {
                let (_, state) = self.node.executor.state::<User>(&user.profile.id.to_string()).await?;
                let Some(profile) = state.profile() else { return Ok((None, None)) };
                Ok((profile.password_hash.clone(), profile.password_expires_at))
            }
            Person::Admin(admin) => {
                let (_, state) = self.node.executor.state::<Admin>(&admin.id.to_string()).await?;
                let account = state.profile().and_then(|profile| profile.account.as_ref());
                let Some(account) = account else { return Ok((None, None)) };
                Ok((Some(account.password_hash.clone()), account.password_expires_at))
            }
        }
    }

    async fn second_factor(&self, person: &Person, code: Option<&str>, now: DateTime<Utc>) -> JournalResult<Factor> {
        let configurations = second_factor::of_user(self.node, person.id()).await?;
        let Some(enabled) = configurations.into_iter().find(|configuration| configuration.enabled) else {
            return Ok(Factor::NotNeeded);
        };
        let Some(code) = code else { return Ok(Factor::Missing) };
        let usage = second_factor::use_of(self.node, enabled.id, code.trim(), now).await?;
        Ok(usage.map_or(Factor::Wrong, |usage| Factor::Used(enabled.id, usage)))
    }

    /// Documents that are agreed to with this sign-in, if nothing is missing then.
    fn agreements(&self, person: &Person, credentials: &Credentials) -> Result<BTreeSet<Uuid>, SignInError> {
        let Person::User(user) = person else { return Ok(BTreeSet::new()) };
        if let Some(unknown) = credentials.agreements.iter().find(|id| !self.documents.has(**id)) {
            return Err(SignInError::NoSuchDocument(*unknown));
        }
        let missing = self.documents.missing(user, &credentials.agreements);
        if credentials.interactive && !missing.is_empty() {
            return Err(SignInError::AgreementsNeeded(missing));
        }
        Ok(credentials.agreements.clone())
    }
}

/// The refusal, after a line of the security log about it.
fn told(guards: &Guards, error: SignInError) -> SignInError {
    let reason = match &error {
        // Nobody was refused: it could not be found out.
        SignInError::Directory(_) | SignInError::Busy(_) | SignInError::NotLookedUp => return error,
        SignInError::Locked(_) => "too many sign-ins failed".to_owned(),
        refused => refused.to_string(),
    };
    let line = Line { reason: Some(&reason), subject_digest: Some(&guards.name), ..Line::default() };
    line.refused(Event::SignIn);
    error
}

enum Factor {
    NotNeeded,
    Missing,
    Wrong,
    Used(TotpId, TotpCommand),
}

/// Told only to those who know the password.
fn check_state(person: &Person) -> Result<(), SignInError> {
    let Person::User(user) = person else { return Ok(()) };
    match user.state {
        UserState::Confirmed => Ok(()),
        UserState::Init | UserState::Registered => Err(SignInError::Unconfirmed),
        UserState::ForceResetPassword => Err(SignInError::ResetNeeded),
        UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived => Err(SignInError::Disabled),
    }
}

/// The account that signs in with a name, at present.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn person_named(node: &Node, username: &str) -> JournalResult<Option<Person>> {
    let username = username.trim();
    let account = match EmailAddress::parse(username) {
        Ok(email) => account_of(node, &email).await?,
        Err(_) => None,
    };
    if let Some((_, id)) = account.filter(|(kind, _)| kind == <Admin as cqrs_es::Aggregate>::TYPE) {
        let admin = node.documents.find::<AdminDocument>(&id).await?.value;
        return Ok(admin.filter(|admin| admin.active).map(Person::Admin));
    }
    Ok(user_by_sign_in_name(node, username).await?.map(Person::User))
}

/// The account with an identifier, whichever kind it is.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn person(node: &Node, id: UserId) -> JournalResult<Option<Person>> {
    if let Some(user) = user_by_id(node, id).await? {
        return Ok(Some(Person::User(user)));
    }
    let admin: Option<Arc<AdminDocument>> =
        node.documents.find::<AdminDocument>(&AdminId(id.0).to_string()).await?.value;
    Ok(admin.map(Person::Admin))
}
