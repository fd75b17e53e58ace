//! Clear text beyond this machine: refused, unless the operator names the connections that may do without TLS, since a
//! proxy, a mesh or a network of its own protects them.

use super::{ConfigError, given};
use crate::store::hosts::is_this_machine;
use crate::telemetry;
use axum::http::Uri;
use clap::Args;
use std::collections::BTreeSet;

pub(super) const ALLOW: &str = "REGISTRAR_ALLOW_CLEAR_TEXT";

/// A kind of connection that could be in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connection {
    /// From clients to the listener.
    Listen,
    /// To the NATS servers.
    Nats,
    /// To the collector of traces.
    Otlp,
    /// To the service that lists stolen passwords.
    Pwned,
    /// To the gateway of text messages.
    Sms,
    /// To the mail server.
    Smtp,
}

impl Connection {
    const ALL: [Connection; 6] =
        [Connection::Listen, Connection::Nats, Connection::Otlp, Connection::Pwned, Connection::Sms, Connection::Smtp];

    fn name(self) -> &'static str {
        match self {
            Connection::Listen => "listen",
            Connection::Nats => "nats",
            Connection::Otlp => "otlp",
            Connection::Pwned => "pwned",
            Connection::Sms => "sms",
            Connection::Smtp => "smtp",
        }
    }
}

/// Connections that may be in the clear beyond this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClearText(BTreeSet<Connection>);

/// The setting, for all that connects.
#[derive(Debug, Clone, Default, Args)]
pub struct ClearTextArgs {
    /// Connections beyond this machine that may do without TLS: listen, nats, otlp, pwned, sms, smtp, separated by commas [default: none]
    #[arg(long, env = ALLOW, value_name = "LIST", hide_env_values = true)]
    pub allow_clear_text: Option<String>,
}

impl ClearTextArgs {
    /// Reads the setting from its variable, for code without options of its own.
    #[must_use]
    pub fn from_env() -> Self {
        ClearTextArgs { allow_clear_text: std::env::var(ALLOW).ok() }
    }

    /// The connections named in the setting.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown name.
    pub fn resolve(&self) -> Result<ClearText, ConfigError> {
        let Some(list) = given(self.allow_clear_text.clone()) else { return Ok(ClearText::default()) };
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let known = parts.map(|part| {
            let found = Connection::ALL.into_iter().find(|connection| connection.name() == part);
            let names = Connection::ALL.map(Connection::name).join(", ");
            found.ok_or_else(|| ConfigError::new(ALLOW, format!("must list some of {names}, not {part:?}")))
        });
        known.collect::<Result<_, _>>().map(ClearText)
    }
}

impl ClearText {
    /// Accepts a connection that is encrypted, stays on this machine, or is allowed in the clear. `name` is the setting
    /// that leads to `host`; `remedy` says how to encrypt it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(
        &self,
        connection: Connection,
        name: &'static str,
        host: &str,
        remedy: &str,
    ) -> Result<(), ConfigError> {
        if is_this_machine(host) || self.0.contains(&connection) {
            return Ok(());
        }
        let allowed = connection.name();
        let problem =
            format!("means clear text beyond this machine ({host}): {remedy}, or allow it: {ALLOW}={allowed}");
        Err(ConfigError::new(name, problem))
    }

    /// As [`ClearText::check`], for an HTTP URL.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check_url(&self, connection: Connection, name: &'static str, url: &str) -> Result<(), ConfigError> {
        let Ok(uri) = url.trim().parse::<Uri>() else { return Ok(()) };
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(host)) => self.check(connection, name, host, "let it begin with https://"),
            _ => Ok(()),
        }
    }

    /// Whether traces may go to the target of the OpenTelemetry variables.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check_traces(&self) -> Result<(), ConfigError> {
        let mut endpoints = telemetry::endpoints();
        endpoints.try_for_each(|(name, url)| self.check_url(Connection::Otlp, name, &url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(list: &str) -> Result<ClearText, ConfigError> {
        ClearTextArgs { allow_clear_text: Some(list.to_owned()) }.resolve()
    }

    #[test]
    fn clear_text_stays_on_this_machine_unless_it_is_allowed() {
        let otlp = |allowed: &ClearText, url: &str| allowed.check_url(Connection::Otlp, "THE_URL", url);
        let none = ClearText::default();
        for here in
            ["http://127.0.0.1:1", "http://127.9.9.9/a", "http://[::1]:1", "http://localhost", "http://LocalHost:1"]
        {
            assert_eq!(otlp(&none, here), Ok(()), "{here}");
        }
        for beyond in ["http://10.0.0.1:4318", "http://otel", "http://localhost.example.org", "http://[fd00::1]:1"] {
            let refused = otlp(&none, beyond).expect_err(beyond).to_string();
            assert!(refused.starts_with("THE_URL means clear text beyond this machine ("), "{refused}");
            assert!(
                refused.ends_with("let it begin with https://, or allow it: REGISTRAR_ALLOW_CLEAR_TEXT=otlp"),
                "{refused}"
            );
            assert_eq!(otlp(&none, &beyond.replace("http:", "https:")), Ok(()));
            assert_eq!(otlp(&allowing("pwned, otlp,").expect("a list"), beyond), Ok(()));
            assert!(otlp(&allowing("listen,nats,pwned").expect("a list"), beyond).is_err(), "another connection");
        }
    }

    #[test]
    fn unknown_names_of_clear_text_are_refused() {
        for unknown in ["all", "true", "otlp;nats", "NATS"] {
            let refused = allowing(unknown).expect_err(unknown).to_string();
            assert!(refused.starts_with("REGISTRAR_ALLOW_CLEAR_TEXT must list some of listen, nats,"), "{refused}");
        }
        assert_eq!(allowing(" "), Ok(ClearText::default()));
    }
}
