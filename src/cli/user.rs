//! `registrar user`.

use super::{output, start};
use crate::auth::{PasswordHasher, passwords};
use crate::config::{ClearTextArgs, FirstPasswordArgs, PwnedArgs, Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::processes::accounts::{self, Contact};
use crate::processes::membership::{self, FirstGrant};
use crate::processes::passwords::{self as rules, Pwned, Rules};
use crate::processes::sessions::{self, Ended, Person};
use crate::processes::{
    sign_in, user_by_id, user_by_sign_in_name, user_by_verified_email, user_by_verified_phone, user_who_holds,
};
use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use registrar_aggregates::ClaimKey;
use registrar_aggregates::user::{Contacts, Creation, Locale, Names, Phone, Role, SystemRole, UserState, Username};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::OrganizationDocument;
use serde_json::json;
use std::io::BufRead;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Argument that means standard input in place of a password.
const STANDARD_INPUT: &str = "-";
/// Longest line that is read as a password; longer than any that is accepted.
const LINE_BYTES_MAX: u64 = 4_096;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Creates a user who may sign in and prints {"id","email","password"}, and nothing else
    Create(CreateArgs),
    /// Ends a user for good: no sign-in any more, contacts free for others, history kept
    Archive(ArchiveArgs),
    /// Confirms by hand that an address is its user's, and ends all sessions of the user; prints {"id","email"} or {"id","phone"}
    ConfirmContact(ConfirmArgs),
    /// Sets a password for a user or an admin who has lost theirs, and ends all their sessions; prints {"id","email","password"}.
    /// A user must set another one at the next sign-in, within a day
    SetPassword(SetPasswordArgs),
    /// Ends every session of a user, or with --all every session and token of all users and admins, and prints {"users","admins"}
    EndSessions(EndSessionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// E-mail address to sign in with
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    email: EmailAddress,
    /// The organization that the user shall belong to; roles of the system need none
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: Option<OrganizationId>,
    /// org.admin, org.provider, org.member, system.admin, system.support or system.service
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: AnyRole,
    /// First name
    #[arg(long, default_value = "", value_name = "TEXT")]
    first_name: String,
    /// Last name
    #[arg(long, default_value = "", value_name = "TEXT")]
    last_name: String,
    #[command(flatten)]
    new: NewPasswordArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// A password that its owner does not set.
#[derive(Debug, Args)]
struct NewPasswordArgs {
    /// Password, or - to read it from standard input, which other users of the machine do not see [default: generated]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    password: Option<String>,
    #[command(flatten)]
    pwned: PwnedArgs,
    #[command(flatten)]
    clear_text: ClearTextArgs,
    #[command(flatten)]
    first_password: FirstPasswordArgs,
}

#[derive(Debug, Args)]
pub(super) struct SetPasswordArgs {
    /// E-mail address that the account signs in with
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    email: EmailAddress,
    #[command(flatten)]
    new: NewPasswordArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    /// E-mail address of the user
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    email: EmailAddress,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct ConfirmArgs {
    #[command(flatten)]
    contact: ContactArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ContactArgs {
    /// E-mail address that waits for its confirmation
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    email: Option<EmailAddress>,
    /// Telephone number that waits for its confirmation
    #[arg(long, value_name = "NUMBER", value_parser = phone)]
    phone: Option<Phone>,
}

#[derive(Debug, Args)]
pub(super) struct EndSessionsArgs {
    #[command(flatten)]
    whose: SessionOwnerArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SessionOwnerArgs {
    /// E-mail address of the user: the sign-in name, or another verified one
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    email: Option<EmailAddress>,
    /// Telephone number of the user: the sign-in name, or another verified one
    #[arg(long, value_name = "NUMBER", value_parser = phone)]
    phone: Option<Phone>,
    /// Sessions and tokens of all users and all admins, one after the other
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnyRole {
    Organization(Role),
    System(SystemRole),
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|problem| problem.to_string())
}

fn phone(text: &str) -> Result<Phone, String> {
    Phone::parse_stored(text).map_err(|problem| problem.to_string())
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    Uuid::try_parse(text).map(OrganizationId).map_err(|_| "must be a UUID".into())
}

fn role(text: &str) -> Result<AnyRole, String> {
    let of_organization = Role::ALL.into_iter().map(|role| (role.name(), AnyRole::Organization(role)));
    let of_system = SystemRole::ALL.into_iter().map(|role| (role.name(), AnyRole::System(role)));
    let all: Vec<_> = of_organization.chain(of_system).collect();
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, role)| *role);
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("must be one of {}", names()))
}

pub(super) async fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create(args) => create(args).await,
        UserCommand::Archive(args) => archive(args).await,
        UserCommand::ConfirmContact(args) => confirm_contact(args).await,
        UserCommand::SetPassword(args) => set_password(args).await,
        UserCommand::EndSessions(args) => end_sessions(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let CreateArgs { email, organization, role, first_name, last_name, new, store } = args;
    let part = match (role, organization) {
        (AnyRole::Organization(role), Some(organization)) => FirstGrant::Member(organization, Some(role)),
        (AnyRole::Organization(role), None) => {
            bail!("{} is a role in an organization: --organization is needed", role.name())
        }
        (AnyRole::System(role), None) => FirstGrant::System(role),
        (AnyRole::System(role), Some(organization)) => FirstGrant::SystemIn(organization, role),
    };
    let new = new.resolve()?;
    let names = Names { first_name, last_name };
    let rules = Rules::of_new_user(&names, &email, matches!(role, AnyRole::System(_)));
    let hash = new.hash(rules).await?;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    if let Some(organization) = organization {
        let found = node.documents.find::<OrganizationDocument>(&organization.to_string()).await?;
        ensure!(found.value.is_some(), "there is no organization {organization}");
    }
    let id = UserId(Uuid::now_v7());
    let creation = Creation {
        id,
        state: UserState::Confirmed,
        names,
        birth_date: None,
        home: None,
        sign_up_code: None,
        contacts: Contacts { email: Some(email.clone()), email_verified: true, ..Contacts::default() },
        username: Username::Email,
        locale: Locale::default(),
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: Some(hash),
        password_expires_at: Some(new.expires_at),
    };
    let context = match organization {
        Some(organization) => RequestContext::system().within(organization),
        None => RequestContext::system(),
    };
    membership::create(&node, &context, creation, Some(part)).await.context("the user was not created")?;
    let printed = json!({ "id": id, "email": email, "password": *new.password });
    node.close().await;
    Ok(output::line(printed)?)
}

async fn set_password(args: SetPasswordArgs) -> anyhow::Result<()> {
    let SetPasswordArgs { email, new, store } = args;
    let new = new.resolve()?;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let person = sign_in::person_named(&node, email.as_str()).await?.context("there is no such account")?;
    let rules = match &person {
        Person::User(user) => Rules::from(&user.profile),
        Person::Admin(admin) => Rules::from(&**admin),
    };
    let hash = new.hash(rules).await?;
    let context = RequestContext::system();
    let set = match &person {
        Person::User(user) => accounts::set_password(&node, &context, user.profile.id, hash, false).await,
        Person::Admin(admin) => sessions::set_admin_password(&node, &context, admin, hash, new.expires_at).await,
    };
    set.context("the password was not set")?;
    let printed = json!({ "id": person.id(), "email": email, "password": *new.password });
    node.close().await;
    Ok(output::line(printed)?)
}

/// A new password, its expiry, and the list of stolen ones to check.
struct NewPassword {
    password: Zeroizing<String>,
    expires_at: DateTime<Utc>,
    pwned: Option<Pwned>,
}

impl NewPasswordArgs {
    fn resolve(self) -> anyhow::Result<NewPassword> {
        let NewPasswordArgs { password, pwned, clear_text, first_password } = self;
        let (password, expires_at) = (chosen(password)?, Utc::now() + first_password.resolve()?);
        Ok(NewPassword { password, expires_at, pwned: pwned.resolve(&clear_text.resolve()?)? })
    }
}

impl NewPassword {
    /// Hashes the password, if the rules accept it.
    async fn hash(&self, rules: Rules) -> anyhow::Result<String> {
        let hasher = PasswordHasher::for_this_machine();
        let accepted = rules::accept(&hasher, self.pwned.as_ref(), self.password.clone(), rules).await;
        accepted.map_err(|refused| anyhow::anyhow!("the password {refused}"))
    }
}

/// The password from the command line or standard input, or a generated one.
fn chosen(password: Option<String>) -> anyhow::Result<Zeroizing<String>> {
    Ok(match password {
        None => passwords::generate(),
        Some(dash) if dash == STANDARD_INPUT => first_line(std::io::stdin().lock())?,
        Some(password) => Zeroizing::new(password),
    })
}

/// A piped password: the first line, without its end.
fn first_line(input: impl BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(LINE_BYTES_MAX).read_line(&mut line).context("the password cannot be read from standard input")?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    ensure!(!line.is_empty(), "no password came on standard input");
    Ok(line)
}

async fn archive(args: ArchiveArgs) -> anyhow::Result<()> {
    let node = start::open(&args.store.resolve(), &Secrets::from_env()).await?;
    let user = user_by_sign_in_name(&node, args.email.as_str()).await?.context("there is no such user")?;
    let id = user.profile.id;
    membership::archive(&node, &RequestContext::system(), id).await.context("the user was not archived")?;
    let archived = user_by_id(&node, id).await?.context("there is no such user")?;
    let printed = json!({ "id": id, "state": archived.state });
    node.close().await;
    Ok(output::line(printed)?)
}

async fn confirm_contact(args: ConfirmArgs) -> anyhow::Result<()> {
    let ConfirmArgs { contact: ContactArgs { email, phone }, store } = args;
    let (contact, key) = match (email, phone) {
        (Some(email), _) => (Contact::Email(email.clone()), ClaimKey::account_email(&email)),
        (None, Some(phone)) => (Contact::Phone(phone.clone()), ClaimKey::user_phone(&phone)),
        (None, None) => bail!("--email or --phone is needed"),
    };
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let user = user_who_holds(&node, &key).await?.context("there is no user with this address")?;
    let (id, contacts) = (user.profile.id, &user.contacts);
    let (shown, verified, printed) = match contact {
        Contact::Email(_) => {
            let email = contacts.email.as_ref();
            (email.map(ClaimKey::account_email), contacts.email_verified, json!({ "id": id, "email": email }))
        }
        Contact::Phone(_) => {
            let phone = contacts.phone.as_ref();
            (phone.map(ClaimKey::user_phone), contacts.phone_verified, json!({ "id": id, "phone": phone }))
        }
    };
    ensure!(
        shown.as_ref() == Some(&key) && !verified,
        "the address does not wait for its confirmation: it is verified"
    );
    let context = RequestContext::system();
    accounts::confirm_contact(&node, &context, id, None, contact).await.context("the address was not confirmed")?;
    node.close().await;
    Ok(output::line(printed)?)
}

async fn end_sessions(args: EndSessionsArgs) -> anyhow::Result<()> {
    let EndSessionsArgs { whose: SessionOwnerArgs { email, phone, all }, store } = args;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let context = RequestContext::system();
    if all {
        let Ended { users, admins } = sessions::end_all_of_everybody(&node, &context)
            .await
            .context("the sessions were not ended; those of some people may have been")?;
        node.close().await;
        return Ok(output::line(json!({ "users": users, "admins": admins }))?);
    }
    let name = match (&email, &phone) {
        (Some(email), _) => email.as_str(),
        (None, Some(phone)) => phone.as_str(),
        (None, None) => bail!("--email, --phone or --all is needed"),
    };
    let found = match user_by_sign_in_name(&node, name).await? {
        Some(user) => Some(user),
        None if phone.is_some() => user_by_verified_phone(&node, name).await?,
        None => user_by_verified_email(&node, name).await?,
    };
    let user = found.with_context(|| format!("no user is known by {name}"))?;
    sessions::end_all(&node, &context, &Person::User(user), None).await.context("the sessions were not ended")?;
    node.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_the_input() {
        for (piped, password) in [("one two \n", "one two "), ("one\r\ntwo\n", "one"), ("one", "one")] {
            assert_eq!(*first_line(piped.as_bytes()).unwrap(), password, "{piped:?}");
        }
        for none in ["", "\n", "\r\n"] {
            assert!(first_line(none.as_bytes()).is_err(), "{none:?}");
        }
    }
}
