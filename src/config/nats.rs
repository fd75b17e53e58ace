//! The connection to NATS: servers, trusted authorities, and credentials.

use super::clear_text::{ClearText, Connection};
use super::files::{path, tls};
use super::{ConfigError, given};
use crate::publisher::{NatsFiles, NatsFilesError, NatsSettings};
use clap::Args;
use std::ffi::OsString;

const URL: &str = "REGISTRAR_NATS_URL";
const CA: &str = "REGISTRAR_NATS_CA";
const CREDS: &str = "REGISTRAR_NATS_CREDS";
const NKEY_FILE: &str = "REGISTRAR_NATS_NKEY_FILE";
const CERT: &str = "REGISTRAR_NATS_CERT";
const KEY: &str = "REGISTRAR_NATS_KEY";

/// The settings, for all that connects to NATS.
#[derive(Debug, Clone, Default, Args)]
pub struct NatsArgs {
    /// NATS servers that have or get the events, separated by commas; tls:// beyond this machine [default: none]
    #[arg(long, env = URL, value_name = "URLS", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// File of the authorities that certificates of NATS servers may come from, as PEM [default: those of the system]
    #[arg(long, env = CA, value_name = "FILE", hide_env_values = true)]
    pub nats_ca: Option<OsString>,
    /// File of the credentials to sign in to NATS with, as nsc writes it [default: none]
    #[arg(long, env = CREDS, value_name = "FILE", hide_env_values = true)]
    pub nats_creds: Option<OsString>,
    /// File of the seed of the NKey to sign in to NATS with [default: none]
    #[arg(long, env = NKEY_FILE, value_name = "FILE", hide_env_values = true)]
    pub nats_nkey_file: Option<OsString>,
    /// File of the certificate to show NATS servers, as PEM [default: none]
    #[arg(long, env = CERT, value_name = "FILE", hide_env_values = true)]
    pub nats_cert: Option<OsString>,
    /// File of that certificate's private key, as PEM [default: none]
    #[arg(long, env = KEY, value_name = "FILE", hide_env_values = true)]
    pub nats_key: Option<OsString>,
}

impl NatsArgs {
    /// The connection, if the settings name servers.
    ///
    /// # Errors
    /// [`ConfigError`]; also for clear text beyond this machine that is not allowed.
    pub fn resolve(self, publish_personal: bool, clear: &ClearText) -> Result<Option<NatsSettings>, ConfigError> {
        let NatsArgs { nats_url, nats_ca, nats_creds, nats_nkey_file, nats_cert, nats_key } = self;
        let files = NatsFiles {
            authority: path(nats_ca),
            credentials: path(nats_creds),
            seed: path(nats_nkey_file),
            identity: tls([(CERT, nats_cert), (KEY, nats_key)])?,
        };
        let Some(urls) = given(nats_url) else {
            let needless = [
                (CA, files.authority.is_some()),
                (CREDS, files.credentials.is_some()),
                (NKEY_FILE, files.seed.is_some()),
                (CERT, files.identity.is_some()),
            ];
            return match needless.into_iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(ConfigError::new(URL, format!("is needed with {name}"))),
                None => Ok(None),
            };
        };
        // The value may hold a password and is not repeated.
        let settings = NatsSettings::parse(&urls, publish_personal)
            .map_err(|_| ConfigError::new(URL, "must look like nats://127.0.0.1:4222"))?;
        let named = files.clone();
        let settings = settings.with(files).map_err(|error| refused(&named, &error))?;
        for host in settings.hosts_in_the_clear() {
            clear.check(Connection::Nats, URL, host, "let it begin with tls://")?;
        }
        Ok(Some(settings))
    }
}

/// The refusal of a file, under the name of its setting.
fn refused(files: &NatsFiles, error: &NatsFilesError) -> ConfigError {
    let NatsFilesError::File { path, reason } = error else {
        let name = if files.credentials.is_some() { CREDS } else { NKEY_FILE };
        return ConfigError::new(name, format!("does not go with the other settings: {error}"));
    };
    let is = |file: Option<&std::path::PathBuf>| file == Some(path);
    let name = match () {
        () if is(files.authority.as_ref()) => CA,
        () if is(files.credentials.as_ref()) => CREDS,
        () if is(files.seed.as_ref()) => NKEY_FILE,
        () if is(files.identity.as_ref().map(|files| &files.certificate)) => CERT,
        () => KEY,
    };
    ConfigError::new(name, format!("{} cannot be used: {reason}", path.display()))
}
