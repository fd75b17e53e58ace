//! The first administrator, and the life of passwords that their owners did not set.

use super::{ConfigError, Secrets, given, parse};
use chrono::TimeDelta;
use clap::Args;
use registrar_aggregates::values::EmailAddress;
use zeroize::Zeroizing;

/// The first administrator.
#[derive(Debug, Clone, Default, Args)]
pub struct FirstAdministratorArgs {
    /// E-mail of the administrator that an empty journal gets [default: admin@registrar.local]
    #[arg(long, env = "REGISTRAR_ADMIN_EMAIL", value_name = "E-MAIL", hide_env_values = true)]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the brackets are those of the help, and no link")]
    pub admin_email: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub first_password: FirstPasswordArgs,
}

/// The administrator registered in an empty journal.
pub struct FirstAdministrator {
    /// Sign-in name and contact e-mail.
    pub email: EmailAddress,
    /// Password; `None` to generate one.
    pub password: Option<Zeroizing<String>>,
    /// Life of passwords that their owners did not set.
    pub password_life: TimeDelta,
}

impl FirstAdministratorArgs {
    /// Fills in the default and adds the password.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn resolve(self, secrets: &Secrets) -> Result<FirstAdministrator, ConfigError> {
        let email = given(self.admin_email).unwrap_or_else(|| "admin@registrar.local".into());
        let email = EmailAddress::parse(&email)
            .map_err(|problem| ConfigError::new("REGISTRAR_ADMIN_EMAIL", format!("{problem}, not {email:?}")))?;
        let password_life = self.first_password.resolve()?;
        Ok(FirstAdministrator { email, password: secrets.admin_password.clone(), password_life })
    }
}

/// Life of passwords that their owners did not set.
#[derive(Debug, Clone, Default, Args)]
pub struct FirstPasswordArgs {
    /// Lifetime of a password that its owner did not set, as a number with s, m, h or d [default: 30d, which is the most]
    #[arg(long, env = "REGISTRAR_FIRST_PASSWORD_LIFE", value_name = "TIME", hide_env_values = true)]
    pub first_password_life: Option<String>,
}

/// Life of a password that its owner did not set, and the longest one: NIST SP 800-63A gives a code that is sent by
/// post to a person's address thirty days.
pub const FIRST_PASSWORD_LIFE: TimeDelta = TimeDelta::days(30);

impl FirstPasswordArgs {
    /// Fills in the default.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn resolve(self) -> Result<TimeDelta, ConfigError> {
        let range = TimeDelta::minutes(5)..=FIRST_PASSWORD_LIFE;
        given(self.first_password_life)
            .map_or(Ok(FIRST_PASSWORD_LIFE), |text| parse::time("REGISTRAR_FIRST_PASSWORD_LIFE", &text, range))
    }
}
