//! Sign-in: name and password, the second factor, documents to be agreed to, and the guard that counts failures. A
//! failed attempt gets the same answer in the same time, whether the name exists or not. A sign-in that its owner might
//! not know of is told by mail.

mod error;
mod guards;
mod named;
mod notices;
mod proven;
mod renewal;

pub use error::SignInError;
pub use guards::Failures;
pub(in crate::processes) use guards::NetworkGuard;
pub use named::{person, person_named};
pub use renewal::SET_PASSWORD_HOURS;

use super::passwords::Pwned;
use super::second_factor::{Provisioning, RecoveryCodes, Requirement};
use super::sessions::{ClientInfo, OpenedSession, Person, SessionRequest, SessionStart, prepare_at};
use super::{DirectoryError, Refusal, commit, second_factor};
use crate::auth::{Authenticator, PasswordHasher};
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::messages::Composer;
use crate::node::Node;
use crate::processes::service_documents::ServiceDocuments;
use crate::security::{self, Actor, Event, Line};
use chrono::{DateTime, Utc};
use guards::{Guards, NameOwner, SessionGuard};
use notices::SignInNotices;
use registrar_aggregates::admin::Admin;
use registrar_aggregates::processes::Streams;
use registrar_aggregates::processes::sign_in::{self as rules, SignIn};
use registrar_aggregates::session::Scope;
use registrar_aggregates::totp::{TotpCommand, TotpError};
use registrar_aggregates::user::{User, UserError, UserState};
use registrar_aggregates::values::{OrganizationId, TotpId};
use renewal::Renewal;
use std::collections::BTreeSet;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The credentials of an attempt to sign in.
pub struct Credentials {
    /// E-mail address or telephone number.
    pub username: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// The replacement password, for an account that must set another one.
    pub new_password: Option<Zeroizing<String>>,
    /// Code of the second factor.
    pub code: Option<String>,
    /// The step of setting up a second factor, for an account that must.
    pub set_up: Option<SetUp>,
    /// Documents agreed to in this request.
    pub agreements: BTreeSet<Uuid>,
    /// Whether the client can ask its user to agree to documents.
    pub interactive: bool,
}

/// Set-up of a second factor before the first session.
pub enum SetUp {
    /// Requests the secret for a device.
    Begin,
    /// Shows two codes of the device, of consecutive steps.
    Finish([String; 2]),
}

/// The result of an attempt to sign in.
pub enum SignInResult {
    /// A second factor must be set up first, with this data.
    SetUp(Provisioning),
    /// A session was opened.
    Here(Box<(OpenedSession, Person)>),
    /// The account signs in elsewhere, at this address.
    Elsewhere(String),
}

/// The answer, before it is committed.
pub enum PendingSignIn<'p> {
    /// A session of a person.
    Here(&'p OpenedSession, &'p Person),
    /// Secret for a device.
    SetUp(&'p Provisioning),
}

/// The parts of the server that sign-in needs.
pub struct SignInContext<'a> {
    /// The node.
    pub node: &'a Node,
    /// Compares passwords.
    pub passwords: &'a PasswordHasher,
    /// Signs tokens.
    pub authenticator: &'a Authenticator,
    /// Failures counted on this node.
    pub failures: &'a Failures,
    /// Look-up of stolen passwords.
    pub pwned: Option<&'a Pwned>,
    /// Accounts whose sign-in needs a second factor.
    pub required: Requirement,
    /// Composes the notices of sign-ins.
    pub composer: &'a Composer,
}

impl SignInContext<'_> {
    /// Signs a person in. `before` is called with the answer before the commit, so that the answer can be committed
    /// with it.
    ///
    /// # Errors
    /// [`SignInError`]. A failure is counted, nothing else is stored.
    pub async fn sign_in(
        &self,
        context: &RequestContext,
        client_info: &ClientInfo,
        credentials: Credentials,
        request: &SessionRequest,
        before: impl Fn(PendingSignIn<'_>) + Send + Sync,
    ) -> Result<SignInResult, SignInError> {
        self.passwords.check_room()?;
        let now = Utc::now();
        let account = person_named(self.node, &credentials.username).await?;
        let id = account.as_ref().map(|person| person.id().to_string());
        let who = id.as_deref().map_or(NameOwner::Unknown(&credentials.username), NameOwner::Account);
        let guards = Guards::new(self.node, &who, client_info);
        self.check(&guards, now).await?;
        let (hash, good_until) = match &account {
            Some(person) => self.password_of(person).await?,
            None => (None, None),
        };
        let beginning = match &account {
            Some(person) => person.begins(&self.node.documents, request).await?,
            None => SessionStart::Nowhere,
        };
        if let (SessionStart::Elsewhere(url), None) = (&beginning, &hash) {
            return Ok(SignInResult::Elsewhere(url.clone()));
        }
        let right = self.passwords.verify(credentials.password.clone(), hash.clone()).await?;
        let Some(person) = account.filter(|_| right) else {
            return Err(self.failed(context, &guards, SignInError::BadCredentials).await);
        };
        if let SessionStart::Elsewhere(url) = beginning {
            return Ok(SignInResult::Elsewhere(url));
        }
        let log_refusal = |error: SignInError| log_refusal(&guards, error);
        if good_until.is_some_and(|until| now >= until) {
            return Err(log_refusal(SignInError::FirstPasswordOver));
        }
        let new_password = renewal::asked_for(&person, &credentials, now).map_err(log_refusal)?;
        let scope = match beginning {
            SessionStart::At(scope) => scope,
            SessionStart::Retired => return Err(log_refusal(SignInError::OrganizationRetired)),
            SessionStart::Elsewhere(_) | SessionStart::Nowhere => None,
        };
        let factor = self.second_factor(&person, credentials.code.as_deref(), now).await?;
        let mut addition = Addition::default();
        let (factor, shown) = match factor {
            Factor::NotNeeded if self.required.covers(&person) => match &credentials.set_up {
                None => return Err(log_refusal(SignInError::SetUpNeeded)),
                Some(SetUp::Begin) => {
                    self.check(&guards, Utc::now()).await?;
                    return Ok(SignInResult::SetUp(self.begin_set_up(context, client_info, &person, before).await?));
                }
                Some(SetUp::Finish(codes)) => {
                    let codes = codes.each_ref().map(|code| code.trim());
                    let Some((id, enabling, fresh)) = self.finish_set_up(&person, codes, now).await? else {
                        return Err(self.failed(context, &guards, SignInError::BadCode).await);
                    };
                    addition.recovery = Some(fresh);
                    (Some((id, enabling)), "password, totp")
                }
            },
            _ if credentials.set_up.is_some() => return Err(log_refusal(SignInError::SetUpNotNeeded)),
            Factor::NotNeeded => (None, "password"),
            Factor::Used(id, usage @ TotpCommand::Recover { .. }) => (Some((id, usage)), "password, recovery-code"),
            Factor::Used(id, usage) => (Some((id, usage)), "password, totp"),
            Factor::Missing => return Err(log_refusal(SignInError::CodeNeeded)),
            Factor::Wrong => return Err(self.failed(context, &guards, SignInError::BadCode).await),
        };
        addition.factor = factor;
        let organization = scope.map(|scope| scope.organization_id);
        addition.agreements = self.agreements(&person, organization, &credentials).await.map_err(log_refusal)?;
        // Failures counted while the password was compared count before it.
        let is_new_network = self.check(&guards, Utc::now()).await?;
        let (person, renewal) = match (new_password, hash) {
            (Some(new), Some(former)) => self.renewed(person, former, new).await.map_err(log_refusal)?,
            _ => (person, None),
        };
        addition.renewal = renewal;
        let attempt = Attempt { context, client_info, guards: &guards, is_new_network, request, now, shown };
        self.open(&attempt, person, scope, addition, before).await
    }

    /// Opens a session, in one commit with the other parts of the sign-in.
    async fn open(
        &self,
        attempt: &Attempt<'_>,
        person: Person,
        scope: Option<Scope>,
        addition: Addition,
        before: impl Fn(PendingSignIn<'_>) + Send + Sync,
    ) -> Result<SignInResult, SignInError> {
        let Attempt { context, client_info, guards, is_new_network, request, now, shown } = *attempt;
        let log_refusal = |error: SignInError| log_refusal(guards, error);
        let Addition { factor, agreements, renewal, recovery } = addition;
        let prepared = prepare_at(self.node, self.authenticator, &person, request, scope).await?.giving(recovery);
        let opened = prepared.opened();
        let own = person.context(context, (Some(opened.id), opened.organization), client_info);
        before(PendingSignIn::Here(opened, &person));
        let sign_in = SignIn {
            counters: &guards.counters,
            now,
            person: person.id(),
            factor: factor.as_ref(),
            agreements: &agreements,
            renewal: renewal.as_ref().map(Renewal::command),
            session: prepared.change(),
        };
        let notices = SignInNotices::compose(self, &person, is_new_network, factor.as_ref()).await?;
        let decide = |streams: &mut Streams| {
            let is_new_network = rules::sign_in(streams, &sign_in)?;
            notices.add_to(streams, is_new_network)
        };
        match commit(self.node, &own, decide).await {
            Ok(_) => {}
            // Lost race: another request used the same code.
            Err(DirectoryError::Refused(Refusal::Totp(TotpError::UsedCode))) => {
                return Err(self.failed(context, guards, SignInError::BadCode).await);
            }
            // Lost race: another request set another password.
            Err(DirectoryError::Refused(Refusal::User(UserError::OtherPassword))) => {
                return Err(SignInError::BadCredentials);
            }
            Err(DirectoryError::Refused(Refusal::Guard(locked))) => return Err(log_refusal(locked.into())),
            Err(error) => return Err(error.into()),
        }
        let actor = Actor {
            id: person.id().to_string(),
            session: Some(opened.id.to_string()),
            organization: opened.organization.map(|organization| organization.to_string()),
        };
        let (subject_digest, factors) = (Some(guards.counters.name.as_str()), Some(shown));
        let line = Line { subject_digest, factors, actor: Some(actor), ..Line::default() };
        line.success(Event::SignIn);
        Ok(SignInResult::Here(Box::new((prepared.into_opened(), person))))
    }

    /// Creates a new secret for a device. Each replaces the one before: a secret shown to another party who knows the
    /// password becomes useless.
    async fn begin_set_up(
        &self,
        context: &RequestContext,
        client_info: &ClientInfo,
        person: &Person,
        before: impl Fn(PendingSignIn<'_>) + Send + Sync,
    ) -> Result<Provisioning, SignInError> {
        let draft = second_factor::Draft::fresh();
        let provisioning = draft.provisioning(&second_factor::account_name(person))?;
        before(PendingSignIn::SetUp(&provisioning));
        let own = person.context(context, (None, None), client_info);
        second_factor::create(self.node, &own, person.id(), &draft).await?;
        Ok(provisioning)
    }

    /// The command that enables the pending factor, if the codes are right, with its recovery codes.
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

    /// Compares a password with that of a person who is signed in already. A wrong one counts for the session.
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
        // Guesses counted while this one was compared count before it.
        guard.check(self.node).await?;
        if right {
            return Ok(hash);
        }
        guard.fail(self.node, context).await?;
        security::refused(Event::Password, "the password is wrong");
        Err(SignInError::BadCredentials)
    }

    /// Whether the network is new to the account; an error after too many failures.
    async fn check(&self, guards: &Guards, now: DateTime<Utc>) -> Result<bool, SignInError> {
        match guards.check(self.node, self.failures, now).await {
            Err(locked @ SignInError::Locked(_)) => Err(log_refusal(guards, locked)),
            checked => checked,
        }
    }

    async fn failed(&self, context: &RequestContext, guards: &Guards, error: SignInError) -> SignInError {
        let error = log_refusal(guards, error);
        match guards.fail(self.node, self.failures, context).await {
            Ok(()) => error,
            Err(locked) => locked,
        }
    }

    /// The hash of a password and its expiry.
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

    /// Documents agreed to with this sign-in, if they complete the required ones of the session.
    async fn agreements(
        &self,
        person: &Person,
        organization: Option<OrganizationId>,
        credentials: &Credentials,
    ) -> Result<BTreeSet<Uuid>, SignInError> {
        let Person::User(user) = person else { return Ok(BTreeSet::new()) };
        let documents = ServiceDocuments::of_session(&self.node.documents, organization).await?;
        if let Some(unknown) = credentials.agreements.iter().find(|id| !documents.has(**id)) {
            return Err(SignInError::NoSuchDocument(*unknown));
        }
        let missing = documents.missing(user, &credentials.agreements);
        if credentials.interactive && !missing.is_empty() {
            return Err(SignInError::AgreementsNeeded(missing));
        }
        Ok(credentials.agreements.clone())
    }
}

/// Returns the refusal, after a line about it in the security log.
fn log_refusal(guards: &Guards, error: SignInError) -> SignInError {
    let reason = match &error {
        // An outage is not a refusal.
        SignInError::Directory(_) | SignInError::Busy(_) | SignInError::NotLookedUp => return error,
        SignInError::Locked(_) => "too many sign-ins failed".to_owned(),
        refused => refused.to_string(),
    };
    let line = Line { reason: Some(&reason), subject_digest: Some(&guards.counters.name), ..Line::default() };
    line.refused(Event::SignIn);
    error
}

/// Circumstances of an attempt whose person is known.
struct Attempt<'a> {
    context: &'a RequestContext,
    client_info: &'a ClientInfo,
    guards: &'a Guards,
    is_new_network: bool,
    request: &'a SessionRequest,
    now: DateTime<Utc>,
    /// The shown factors, for the security log.
    shown: &'static str,
}

/// Parts of a sign-in besides the session.
#[derive(Default)]
struct Addition {
    /// Use of the second factor, or its activation.
    factor: Option<(TotpId, TotpCommand)>,
    agreements: BTreeSet<Uuid>,
    renewal: Option<Renewal>,
    /// Recovery codes of a second factor that is activated.
    recovery: Option<RecoveryCodes>,
}

enum Factor {
    NotNeeded,
    Missing,
    Wrong,
    Used(TotpId, TotpCommand),
}

/// Refuses accounts that may not sign in. Shown only to clients that gave the right password.
fn check_state(person: &Person) -> Result<(), SignInError> {
    let Person::User(user) = person else { return Ok(()) };
    match user.state {
        UserState::Confirmed => Ok(()),
        UserState::Init | UserState::Registered => Err(SignInError::Unconfirmed),
        UserState::ForceResetPassword => Err(SignInError::ResetNeeded),
        UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived => Err(SignInError::Disabled),
    }
}
