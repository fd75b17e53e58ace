//! Settings: flags and variables, and the values that follow from them.
//!
//! Every flag mirrors a variable and wins over it. An empty variable is the same as an unset one: that is how compose
//! files and process managers say "no". Secrets come from variables only, since every user of the machine can read the
//! arguments of a process.

pub(crate) mod clear_text;
mod files;
mod first_administrator;
mod messages;
mod nats;
pub(crate) mod parse;
mod serve;
mod sessions;

pub use clear_text::{ClearText, ClearTextArgs};
pub use files::{master_key_file, master_keys};
pub use first_administrator::{FIRST_PASSWORD_LIFE, FirstAdministrator, FirstAdministratorArgs, FirstPasswordArgs};
pub use messages::{MessageArgs, MessageSettings};
pub use nats::NatsArgs;
pub use serve::{CALLER_RATE, ConnectionLimits, ServeArgs, ServeSettings};
pub use sessions::SessionArgs;

use crate::processes::passwords::Pwned;
use crate::store::StoreSettings;
use clap::Args;
use clear_text::Connection;
use files::path;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// File of the master key in the data folder.
const MASTER_KEY_FILE: &str = "master.key";
/// File of the former master key in the data folder.
const FORMER_MASTER_KEY_FILE: &str = "former-master.key";
const MASTER_KEY: &str = "REGISTRAR_MASTER_KEY";
const FORMER_MASTER_KEY: &str = "REGISTRAR_FORMER_MASTER_KEY";
pub(crate) const ADMIN_PASSWORD: &str = "REGISTRAR_ADMIN_PASSWORD";

/// A setting that cannot be used. The message says how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct ConfigError {
    /// Variable of the setting, whether the value came from it or from its flag.
    pub name: &'static str,
    /// The required form. Contains no secret.
    pub problem: String,
}

impl ConfigError {
    fn new(name: &'static str, problem: impl Into<String>) -> Self {
        ConfigError { name, problem: problem.into() }
    }
}

/// Location of the data, for every command that needs the database.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// PostgreSQL database, as postgres://user:password@host:5432/database [default: SQLite in the data folder]
    #[arg(long, env = "REGISTRAR_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Folder of the SQLite database and of the master key [default: ./data]
    // Not a path for clap, which rejects an empty one.
    #[arg(long, env = "REGISTRAR_DATA", value_name = "FOLDER", hide_env_values = true)]
    pub data: Option<OsString>,
    /// Folder of archives that were moved from the path where they were written [default: none]
    #[arg(long, env = "REGISTRAR_ARCHIVES", value_name = "FOLDER", hide_env_values = true)]
    pub archives: Option<OsString>,
}

/// Addresses of the server.
#[derive(Debug, Clone, Default, Args)]
pub struct AddressArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "REGISTRAR_LISTEN", value_name = "ADDRESS:PORT", hide_env_values = true)]
    pub listen: Option<String>,
    /// Address that clients use; it is the issuer of tokens [default: http:// and the address listened on]
    #[arg(long, env = "REGISTRAR_PUBLIC_URL", value_name = "URL", hide_env_values = true)]
    pub public_url: Option<String>,
}

/// The look-up of stolen passwords, for all that sets passwords.
#[derive(Debug, Clone, Default, Args)]
pub struct PwnedArgs {
    /// Service that is asked for stolen passwords, such as https://api.pwnedpasswords.com/range [default: none]
    #[arg(long, env = "REGISTRAR_PWNED_URL", value_name = "URL", hide_env_values = true)]
    pub pwned_url: Option<String>,
    /// Whether a password that cannot be looked up there is refused [default: false]
    #[arg(long, env = "REGISTRAR_PWNED_REQUIRED", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub pwned_required: Option<String>,
}

impl PwnedArgs {
    /// The service, if the setting names one.
    ///
    /// # Errors
    /// [`ConfigError`]; also for clear text beyond this machine that is not allowed.
    pub fn resolve(self, clear: &ClearText) -> Result<Option<Pwned>, ConfigError> {
        const URL: &str = "REGISTRAR_PWNED_URL";
        const REQUIRED: &str = "REGISTRAR_PWNED_REQUIRED";
        let required = given(self.pwned_required).map_or(Ok(false), |text| parse::truth(REQUIRED, &text))?;
        match given(self.pwned_url) {
            Some(url) => {
                let pwned = parse::pwned(&url)?;
                clear.check_url(Connection::Pwned, URL, &url)?;
                Ok(Some(pwned.required(required)))
            }
            None if required => Err(ConfigError::new(URL, format!("is needed with {REQUIRED}"))),
            None => Ok(None),
        }
    }
}

/// Secrets, which come from variables only.
#[derive(Default)]
pub struct Secrets {
    /// The master key, base64.
    pub master_key: Option<Zeroizing<String>>,
    /// The master key that it replaces, base64.
    pub former_master_key: Option<Zeroizing<String>>,
    /// Password of the first administrator.
    pub admin_password: Option<Zeroizing<String>>,
}

impl Secrets {
    /// Reads them from the environment.
    #[must_use]
    pub fn from_env() -> Self {
        let read = |name| std::env::var(name).ok().map(Zeroizing::new).filter(|text| !text.is_empty());
        Secrets {
            master_key: read(MASTER_KEY),
            former_master_key: read(FORMER_MASTER_KEY),
            admin_password: read(ADMIN_PASSWORD),
        }
    }
}

impl StoreArgs {
    /// Fills in the default.
    #[must_use]
    pub fn resolve(self) -> StoreSettings {
        let data = path(self.data).unwrap_or_else(|| PathBuf::from("data"));
        StoreSettings { database_url: given(self.database_url), data, archives: path(self.archives) }
    }
}

impl AddressArgs {
    /// The address to listen on, and the public URL if there is one.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn resolve(self) -> Result<(SocketAddr, Option<String>), ConfigError> {
        let listen = given(self.listen).unwrap_or_else(|| "127.0.0.1:8080".into());
        let listen = listen.parse().map_err(|_| {
            ConfigError::new(
                "REGISTRAR_LISTEN",
                format!("must be an address and a port such as 127.0.0.1:8080, not {listen:?}"),
            )
        })?;
        let public_url = given(self.public_url).map(|url| parse::base_url("REGISTRAR_PUBLIC_URL", &url)).transpose()?;
        Ok((listen, public_url))
    }
}

/// The text, unless it is empty.
fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
