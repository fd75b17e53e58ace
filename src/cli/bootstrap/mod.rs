//! The first administrator: an operator who starts on an empty journal must be able to sign in.

use crate::auth::{PasswordHasher, passwords, permissions};
use crate::config::{ADMIN_PASSWORD, FirstAdministrator};
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::JournalError;
use crate::node::Node;
use crate::processes::passwords::{PasswordError, PasswordWeakness, Pwned, Rules, accept};
use chrono::{DateTime, Utc};
use registrar_aggregates::admin::{Account, Admin, AdminCommand, AdminError, Granter, Person, Registration};
use registrar_aggregates::values::{AccountId, AdminId, EmailAddress, PartyId, PersonId};
use registrar_projections::{AdminDocument, Direction, Query, admins};
use uuid::Uuid;
use zeroize::Zeroizing;

/// First and last name of the first administrator.
const NAMES: [&str; 2] = ["First", "Administrator"];

/// Reason why the first administrator was not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    /// The journal did not store the registration.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The settings do not make a valid admin.
    #[error("the first administrator cannot be registered")]
    Refused(#[source] AdminError),
    /// The rules refuse the configured password.
    #[error("{ADMIN_PASSWORD} {0}; without it a password is generated")]
    Weak(PasswordWeakness),
    /// The required look-up of the password among stolen ones failed.
    #[error("the password of the first administrator could not be looked up among those that were stolen elsewhere")]
    NotLookedUp,
    /// The password was not hashed.
    #[error(transparent)]
    Busy(#[from] crate::auth::HasherBusy),
}

/// Generated credentials, shown once and not stored.
pub(crate) struct Credentials {
    /// E-mail address to sign in with.
    pub email: EmailAddress,
    /// The generated password.
    pub password: Zeroizing<String>,
}

/// Registers the first administrator if no admin was ever registered.
///
/// If several nodes start at once, one registers, since the e-mail is claimed; the others go on. Returns the
/// credentials if this node registered the administrator and generated the password.
///
/// # Errors
/// [`BootstrapError`].
pub(crate) async fn first_administrator(
    node: &Node,
    passwords: &PasswordHasher,
    pwned: Option<&Pwned>,
    settings: &FirstAdministrator,
) -> Result<Option<Credentials>, BootstrapError> {
    if has_admins(node).await? {
        return Ok(None);
    }
    let password = settings.password.clone().unwrap_or_else(passwords::generate);
    let rules = Rules::of_admin(permissions::Permissions::ALL, NAMES, settings.email.as_str());
    let hash = accept(passwords, pwned, password.clone(), rules).await.map_err(|error| match error {
        PasswordError::Weak(weak) => BootstrapError::Weak(weak),
        PasswordError::Busy(busy) => busy.into(),
        PasswordError::NotLookedUp => BootstrapError::NotLookedUp,
    })?;
    let registration = registration(&settings.email, hash, Utc::now() + settings.password_life);
    let (id, command) = (registration.id.to_string(), AdminCommand::Register(Box::new(registration), Granter::System));
    match node.executor.execute::<Admin>(&RequestContext::system(), &id, command, None).await {
        Ok(_) => {
            tracing::info!("the first administrator was registered");
            let generated = settings.password.is_none();
            Ok(generated.then(|| Credentials { email: settings.email.clone(), password }))
        }
        // Another node registered first. Its administrator is as good as ours.
        Err(ExecuteError::Journal(JournalError::ClaimTaken { .. })) => Ok(None),
        Err(ExecuteError::Journal(error)) => Err(error.into()),
        Err(ExecuteError::Refused(refused)) => Err(BootstrapError::Refused(refused)),
    }
}

async fn has_admins(node: &Node) -> Result<bool, JournalError> {
    let one = Query::<AdminDocument>::sorted(&admins::BY_NAME, Direction::Ascending).page(0, 1);
    Ok(node.documents.page(one).await?.value.total > 0)
}

fn registration(email: &EmailAddress, password_hash: String, expires_at: DateTime<Utc>) -> Registration {
    Registration {
        id: AdminId(Uuid::now_v7()),
        person_id: PersonId(Uuid::now_v7()),
        party_id: PartyId(Uuid::now_v7()),
        policies: vec![permissions::ADMINISTRATOR.id.to_owned()],
        custom_permissions: Vec::new(),
        person: Person {
            salutation: None,
            first_name: NAMES[0].into(),
            last_name: NAMES[1].into(),
            suffix: None,
            email_address: Some(email.as_str().to_owned()),
        },
        legacy_identifier: None,
        addresses: Vec::new(),
        phone_numbers: Vec::new(),
        account: Some(Account {
            id: AccountId(Uuid::now_v7()),
            email: email.clone(),
            password_hash,
            password_expires_at: Some(expires_at),
        }),
    }
}

#[cfg(test)]
mod tests;
