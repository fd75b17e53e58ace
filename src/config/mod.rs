//! Settings: flags and variables, and the values that follow from them.
//!
//! Every flag mirrors a variable and wins over it. An empty variable is the same as an unset one: that is how compose
//! files and process managers say "no". Secrets come from variables only, since every user of the machine can read the
//! arguments of a process.

pub(crate) mod clear_text;
mod files;
mod nats;
pub(crate) mod parse;
mod sessions;

pub use clear_text::{ClearText, ClearTextArgs};
pub use files::{master_key_file, master_keys};
pub use nats::NatsArgs;
pub use sessions::SessionArgs;

use crate::auth::workloads::Workloads;
use crate::auth::{Rate, SessionBounds};
use crate::processes::passwords::Pwned;
use crate::processes::second_factor::Requirement;
use crate::processes::service_documents::ServiceDocuments;
use crate::publisher::NatsSettings;
use crate::store::StoreSettings;
use crate::vault::TlsFiles;
use chrono::{TimeDelta, Weekday};
use chrono_tz::Tz;
use clap::Args;
use clear_text::Connection;
use files::{file, path, tls};
use ipnet::IpNet;
use registrar_aggregates::values::EmailAddress;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// File of the master key in the data folder.
const MASTER_KEY_FILE: &str = "master.key";
/// File of the former master key in the data folder.
const FORMER_MASTER_KEY_FILE: &str = "former-master.key";
const MASTER_KEY: &str = "REGISTRAR_MASTER_KEY";
const FORMER_MASTER_KEY: &str = "REGISTRAR_FORMER_MASTER_KEY";
pub(crate) const ADMIN_PASSWORD: &str = "REGISTRAR_ADMIN_PASSWORD";

/// Default rate of a caller: not reached by a person with several windows, or a program that keeps up a page; a tenth
/// of a node's throughput.
pub const CALLER_RATE: Rate = Rate { requests: 3_000, window: Duration::from_secs(10) };
/// Default rate of unauthenticated callers: not reached by a site of some thousand people who sign in at the same time.
const STRANGER_RATE: Rate = Rate { requests: 3_000, window: Duration::from_secs(60) };

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

/// Where the data is. Every command that needs the database takes these.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// PostgreSQL database, as postgres://user:password@host:5432/database [default: SQLite in the data folder]
    #[arg(long, env = "REGISTRAR_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Folder of the SQLite database and of the master key [default: ./data]
    // Not a path for clap, which rejects an empty one.
    #[arg(long, env = "REGISTRAR_DATA", value_name = "FOLDER", hide_env_values = true)]
    pub data: Option<OsString>,
    /// Folder where archives are looked for that are no longer where they were written [default: none]
    #[arg(long, env = "REGISTRAR_ARCHIVES", value_name = "FOLDER", hide_env_values = true)]
    pub archives: Option<OsString>,
}

/// What the server is known by.
#[derive(Debug, Clone, Default, Args)]
pub struct AddressArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "REGISTRAR_LISTEN", value_name = "ADDRESS:PORT", hide_env_values = true)]
    pub listen: Option<String>,
    /// Address that clients use; it is the issuer of tokens [default: http:// and the address listened on]
    #[arg(long, env = "REGISTRAR_PUBLIC_URL", value_name = "URL", hide_env_values = true)]
    pub public_url: Option<String>,
}

/// The first administrator.
#[derive(Debug, Clone, Default, Args)]
pub struct FirstAdministratorArgs {
    /// E-mail of the administrator that an empty journal gets [default: admin@registrar.local]
    #[arg(long, env = "REGISTRAR_ADMIN_EMAIL", value_name = "E-MAIL", hide_env_values = true)]
    pub admin_email: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub first_password: FirstPasswordArgs,
}

/// Life of passwords that their owners did not set.
#[derive(Debug, Clone, Default, Args)]
pub struct FirstPasswordArgs {
    /// How long a password is good that its owner did not set, as a number with s, m, h or d [default: 30d, which is the most]
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

/// Everything that `serve` takes.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub store: StoreArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub address: AddressArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub first_administrator: FirstAdministratorArgs,
    /// File of the certificate for TLS, with those that lead to its authority, as PEM [default: HTTP in the clear]
    #[arg(long, env = "REGISTRAR_TLS_CERT", value_name = "FILE", hide_env_values = true)]
    pub tls_cert: Option<OsString>,
    /// File of the certificate's private key, as PEM [default: none]
    #[arg(long, env = "REGISTRAR_TLS_KEY", value_name = "FILE", hide_env_values = true)]
    pub tls_key: Option<OsString>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub clear_text: ClearTextArgs,
    /// Whether the docs page, OpenAPI and AsyncAPI are served [default: true on a loopback address, else false]
    #[arg(long, env = "REGISTRAR_DOCS", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub docs: Option<String>,
    /// Whether /metrics is served [default: true on a loopback address, else false]
    #[arg(long, env = "REGISTRAR_METRICS", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub metrics: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub nats: NatsArgs,
    /// Whether events carry personal values to those who follow them, instead of having them redacted [default: false]
    #[arg(long, env = "REGISTRAR_PUBLISH_PERSONAL", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub publish_personal: Option<String>,
    /// Whether a change of an organization through the site API needs a reason [default: false]
    #[arg(long, env = "REGISTRAR_REASON_MANDATORY", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub reason_mandatory: Option<String>,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas [default: none]
    #[arg(long, env = "REGISTRAR_TRUSTED_PROXIES", value_name = "LIST", hide_env_values = true)]
    pub trusted_proxies: Option<String>,
    /// Most connections at once; one without a request makes room for a new one [default: 10000]
    #[arg(long, env = "REGISTRAR_CONNECTIONS", value_name = "NUMBER", hide_env_values = true)]
    pub connections: Option<String>,
    /// Most connections of one address, trusted proxies aside [default: 1000]
    #[arg(long, env = "REGISTRAR_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", hide_env_values = true)]
    pub connections_per_address: Option<String>,
    /// How often an API key may ask, as requests/time on each server [default: 10/10s]
    #[arg(long, env = "REGISTRAR_API_KEY_RATE", value_name = "RATE", hide_env_values = true)]
    pub api_key_rate: Option<String>,
    /// How often a caller may ask, as requests/time on each server, or none [default: 3000/10s]
    #[arg(long, env = "REGISTRAR_CALLER_RATE", value_name = "RATE", hide_env_values = true)]
    pub caller_rate: Option<String>,
    /// How often those of one network may ask who are not signed in, as requests/time on each server, or none [default: 3000/1m]
    #[arg(long, env = "REGISTRAR_STRANGER_RATE", value_name = "RATE", hide_env_values = true)]
    pub stranger_rate: Option<String>,
    /// First day of a week in calendar periods [default: monday]
    #[arg(long, env = "REGISTRAR_WEEK_START", value_name = "DAY", hide_env_values = true)]
    pub week_start: Option<String>,
    /// Time zone of calendar periods, such as Europe/Vienna [default: UTC]
    #[arg(long, env = "REGISTRAR_TIME_ZONE", value_name = "ZONE", hide_env_values = true)]
    pub time_zone: Option<String>,
    /// File with the programs that may act as service accounts, a JSON array [default: none]
    #[arg(long, env = "REGISTRAR_WORKLOADS", value_name = "FILE", hide_env_values = true)]
    pub workloads: Option<OsString>,
    /// File with the documents that people agree to before they go on, a JSON array [default: none]
    #[arg(long, env = "REGISTRAR_SERVICE_DOCUMENTS", value_name = "FILE", hide_env_values = true)]
    pub service_documents: Option<OsString>,
    /// Who signs in with a second factor only: none, privileged (ECG admins, holders of system roles), admins (those and admins of organizations) or all [default: none]
    #[arg(long, env = "REGISTRAR_SECOND_FACTOR_REQUIRED", value_name = "WHO", hide_env_values = true)]
    pub second_factor_required: Option<String>,
    /// Whether every refresh exchanges the refresh token, also where the client does not ask for it [default: false]
    #[arg(long, env = "REGISTRAR_REFRESH_ROTATE", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub refresh_rotate: Option<String>,
    /// Whether people show their password once more to change addresses that they sign in with and to end other sessions [default: false]
    #[arg(long, env = "REGISTRAR_CONFIRM_CHANGES", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub confirm_changes: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub sessions: SessionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub pwned: PwnedArgs,
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

/// Most connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// By address, which is the /64 for IPv6. Trusted proxies are not counted, since they carry all clients.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits { total: 10_000, per_address: 1_000 }
    }
}

/// Checked settings of `serve`.
pub struct ServeSettings {
    /// Location of the data.
    pub store: StoreSettings,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Address that clients use, without a slash at its end, if configured.
    pub public_url: Option<String>,
    /// Certificate for TLS; `None` for HTTP in the clear.
    pub tls: Option<TlsFiles>,
    /// Whether the docs page, OpenAPI and AsyncAPI are served.
    pub docs: bool,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// The first administrator.
    pub first_administrator: FirstAdministrator,
    /// NATS servers and the values to publish.
    pub nats: Option<NatsSettings>,
    /// Whether published events carry personal values, on NATS and over HTTP.
    pub publish_personal: bool,
    /// Whether the site dialect requires a reason for every change.
    pub reason_mandatory: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Most connections.
    pub connections: ConnectionLimits,
    /// Rate of requests by an API key.
    pub api_key_rate: Rate,
    /// Rate of requests by a caller.
    pub caller_rate: Option<Rate>,
    /// Rate of unauthenticated requests from a network.
    pub stranger_rate: Option<Rate>,
    /// First day of a week in calendar periods.
    pub week_start: Weekday,
    /// Time zone of calendar periods.
    pub time_zone: Tz,
    /// Programs that may act as service accounts.
    pub workloads: Workloads,
    /// Documents that people agree to.
    pub service_documents: ServiceDocuments,
    /// Service that lists stolen passwords.
    pub pwned: Option<Pwned>,
    /// Accounts whose sign-in needs a second factor.
    pub second_factor: Requirement,
    /// Whether every refresh exchanges the refresh token.
    pub rotate_refresh: bool,
    /// Whether changes of sign-in data ask for the password.
    pub confirm_changes: bool,
    /// Bounds on the length of sessions.
    pub sessions: SessionBounds,
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
        let public_url = given(self.public_url).map(|url| parse::public_url(&url)).transpose()?;
        Ok((listen, public_url))
    }
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

impl ServeArgs {
    /// Checks every setting and fills in the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that cannot be used.
    pub fn resolve(self, secrets: &Secrets) -> Result<ServeSettings, ConfigError> {
        let (listen, public_url) = self.address.resolve()?;
        let limits = ConnectionLimits::default();
        let number = |name, text, default| given(text).map_or(Ok(default), |text| parse::count(name, &text));
        let rate = |name, text, default| given(text).map_or(Ok(default), |rate| parse::rate(name, &rate));
        let limit = |name, text: Option<String>, default| match given(text) {
            Some(none) if none == "none" => Ok(None),
            text => rate(name, text, default).map(Some),
        };
        let truth_or = |name, text, default| given(text).map_or(Ok(default), |text| parse::truth(name, &text));
        let truth = |name, text| truth_or(name, text, false);
        let publish_personal = truth("REGISTRAR_PUBLISH_PERSONAL", self.publish_personal)?;
        let tls = tls([("REGISTRAR_TLS_CERT", self.tls_cert), ("REGISTRAR_TLS_KEY", self.tls_key)])?;
        let clear = self.clear_text.resolve()?;
        if tls.is_none() {
            let remedy = "set REGISTRAR_TLS_CERT and REGISTRAR_TLS_KEY";
            clear.check(Connection::Listen, "REGISTRAR_LISTEN", &listen.ip().to_string(), remedy)?;
        }
        // On loopback only this machine reaches them; beyond it they would show strangers the surface to attack.
        let shown = listen.ip().to_canonical().is_loopback();
        Ok(ServeSettings {
            store: self.store.resolve(),
            listen,
            public_url,
            tls,
            docs: truth_or("REGISTRAR_DOCS", self.docs, shown)?,
            metrics: truth_or("REGISTRAR_METRICS", self.metrics, shown)?,
            first_administrator: self.first_administrator.resolve(secrets)?,
            nats: self.nats.resolve(publish_personal, &clear)?,
            publish_personal,
            reason_mandatory: truth("REGISTRAR_REASON_MANDATORY", self.reason_mandatory)?,
            trusted_proxies: given(self.trusted_proxies).map_or(Ok(Vec::new()), |list| parse::networks(&list))?,
            connections: ConnectionLimits {
                total: number("REGISTRAR_CONNECTIONS", self.connections, limits.total)?,
                per_address: number(
                    "REGISTRAR_CONNECTIONS_PER_ADDRESS",
                    self.connections_per_address,
                    limits.per_address,
                )?,
            },
            api_key_rate: rate("REGISTRAR_API_KEY_RATE", self.api_key_rate, Rate::default())?,
            caller_rate: limit("REGISTRAR_CALLER_RATE", self.caller_rate, CALLER_RATE)?,
            stranger_rate: limit("REGISTRAR_STRANGER_RATE", self.stranger_rate, STRANGER_RATE)?,
            week_start: given(self.week_start).map_or(Ok(Weekday::Mon), |day| parse::weekday(&day))?,
            time_zone: given(self.time_zone).map_or(Ok(Tz::UTC), |zone| parse::time_zone(&zone))?,
            workloads: file("REGISTRAR_WORKLOADS", self.workloads, Workloads::read)?,
            service_documents: file("REGISTRAR_SERVICE_DOCUMENTS", self.service_documents, ServiceDocuments::read)?,
            pwned: self.pwned.resolve(&clear)?,
            second_factor: given(self.second_factor_required)
                .map_or(Ok(Requirement::Nobody), |text| parse::requirement(&text))?,
            rotate_refresh: truth("REGISTRAR_REFRESH_ROTATE", self.refresh_rotate)?,
            confirm_changes: truth("REGISTRAR_CONFIRM_CHANGES", self.confirm_changes)?,
            sessions: self.sessions.resolve()?,
        })
    }
}

/// The text, unless it is empty.
fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
