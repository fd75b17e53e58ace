//! Settings of the server: the arguments of `serve`, and the checked values.

use super::clear_text::Connection;
use super::files::{file, path, tls};
use super::{
    AddressArgs, ClearTextArgs, ConfigError, FirstAdministrator, FirstAdministratorArgs, MessageArgs, MessageSettings,
    NatsArgs, PwnedArgs, Secrets, SessionArgs, StoreArgs, given, parse,
};
use crate::auth::workloads::Workloads;
use crate::auth::{Rate, SessionBounds};
use crate::processes::passwords::Pwned;
use crate::processes::second_factor::Requirement;
use crate::publisher::NatsSettings;
use crate::store::StoreSettings;
use crate::vault::TlsFiles;
use chrono::Weekday;
use chrono_tz::Tz;
use clap::Args;
use ipnet::IpNet;
use registrar_aggregates::url_shortener::target::LinkHosts;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Default rate of a caller: not reached by a person with several windows, or a program that keeps up a page; a tenth
/// of a node's throughput.
pub const CALLER_RATE: Rate = Rate { requests: 3_000, window: Duration::from_secs(10) };
/// Default rate of unauthenticated callers: not reached by a site of some thousand people who sign in at the same time.
pub(super) const STRANGER_RATE: Rate = Rate { requests: 3_000, window: Duration::from_secs(60) };

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
    /// File of the certificate for TLS, with the intermediate ones, as PEM [default: HTTP in the clear]
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
    /// Whether events carry personal values to subscribers, instead of having them redacted [default: false]
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
    /// Request rate of an API key, as requests/time on each server [default: 10/10s]
    #[arg(long, env = "REGISTRAR_API_KEY_RATE", value_name = "RATE", hide_env_values = true)]
    pub api_key_rate: Option<String>,
    /// Request rate of a caller, as requests/time on each server, or none [default: 3000/10s]
    #[arg(long, env = "REGISTRAR_CALLER_RATE", value_name = "RATE", hide_env_values = true)]
    pub caller_rate: Option<String>,
    /// Request rate of all callers of one network who are not signed in, as requests/time on each server, or none [default: 3000/1m]
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
    /// File with the documents that people agree to before they go on, a JSON array; read while none is published [default: none]
    #[arg(long, env = "REGISTRAR_SERVICE_DOCUMENTS", value_name = "FILE", hide_env_values = true)]
    pub service_documents: Option<OsString>,
    /// Hosts that short links may lead to, each with its port unless that is 443, separated by commas [default: none]
    #[arg(long, env = "REGISTRAR_LINK_HOSTS", value_name = "LIST", hide_env_values = true)]
    pub link_hosts: Option<String>,
    /// Accounts that sign in only with a second factor: none, privileged (ECG admins, holders of system roles), admins (also admins of organizations) or all [default: none]
    #[arg(long, env = "REGISTRAR_SECOND_FACTOR_REQUIRED", value_name = "WHO", hide_env_values = true)]
    pub second_factor_required: Option<String>,
    /// Whether every refresh exchanges the refresh token, also where the client does not ask for it [default: false]
    #[arg(long, env = "REGISTRAR_REFRESH_ROTATE", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub refresh_rotate: Option<String>,
    /// Whether people enter their password again to change sign-in addresses and to end other sessions [default: false]
    #[arg(long, env = "REGISTRAR_CONFIRM_CHANGES", value_name = "true|false", hide_env_values = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub confirm_changes: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub sessions: SessionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub pwned: PwnedArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub messages: MessageArgs,
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
    /// Hosts that short links may lead to.
    pub link_hosts: LinkHosts,
    /// File with documents that people agree to, for a journal without any.
    pub service_documents: Option<PathBuf>,
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
    /// Servers of messages, and where their links lead.
    pub messages: MessageSettings,
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
            link_hosts: given(self.link_hosts).map_or(Ok(LinkHosts::default()), |list| parse::link_hosts(&list))?,
            service_documents: path(self.service_documents),
            pwned: self.pwned.resolve(&clear)?,
            second_factor: given(self.second_factor_required)
                .map_or(Ok(Requirement::Nobody), |text| parse::requirement(&text))?,
            rotate_refresh: truth("REGISTRAR_REFRESH_ROTATE", self.refresh_rotate)?,
            confirm_changes: truth("REGISTRAR_CONFIRM_CHANGES", self.confirm_changes)?,
            sessions: self.sessions.resolve()?,
            messages: self.messages.resolve(&clear)?,
        })
    }
}
