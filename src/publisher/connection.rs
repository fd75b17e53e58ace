//! The connection to NATS: settings, connecting with patience, and noticing when it goes.

use super::backoff::{self, Backoff};
use super::failure::{Failure, PublishResult};
use super::status::PublisherStatus;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Where and what to publish.
#[derive(Clone)]
pub struct NatsSettings {
    servers: Vec<ServerAddr>,
    credentials: Option<Credentials>,
    publish_personal: bool,
}

#[derive(Clone)]
enum Credentials {
    Token(Zeroizing<String>),
    User { name: String, password: Zeroizing<String> },
}

/// A setting that does not name NATS servers. It is not shown, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the NATS URL is not one: expected nats://[user:password@]host[:port], or several of them separated by commas")]
pub struct NotANatsUrl;

impl NatsSettings {
    /// Reads `urls`: one or several servers of a cluster, separated by commas. `nats://` and `tls://`, with user and
    /// password or a token before the host if the server wants them; the first URL that has them speaks for all.
    ///
    /// With `publish_personal`, personal values are published in the clear.
    ///
    /// # Errors
    /// [`NotANatsUrl`].
    pub fn parse(urls: &str, publish_personal: bool) -> Result<Self, NotANatsUrl> {
        let mut settings = NatsSettings { servers: Vec::new(), credentials: None, publish_personal };
        for url in urls.split(',').map(str::trim) {
            let address: ServerAddr = url.parse().map_err(|_| NotANatsUrl)?;
            if address.host().is_empty() {
                return Err(NotANatsUrl);
            }
            // The client library does not look at them there, and would log them.
            settings.credentials = settings.credentials.or(Credentials::of(&address)?);
            settings.servers.push(without_credentials(address)?);
        }
        Ok(settings)
    }

    /// Whether personal values are published in the clear.
    #[must_use]
    pub fn publish_personal(&self) -> bool {
        self.publish_personal
    }

    fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new().name("registrar").reconnect_delay_callback(backoff::delay);
        match &self.credentials {
            None => options,
            Some(Credentials::Token(token)) => options.token(token.to_string()),
            Some(Credentials::User { name, password }) => options.user_and_password(name.clone(), password.to_string()),
        }
    }
}

impl std::fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsSettings")
            .field("servers", &self.servers)
            .field("publish_personal", &self.publish_personal)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    fn of(address: &ServerAddr) -> Result<Option<Self>, NotANatsUrl> {
        let decode = |text| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| NotANatsUrl);
        let Some(name) = address.username() else { return Ok(None) };
        let name = decode(name)?;
        Ok(Some(match address.password() {
            None => Credentials::Token(Zeroizing::new(name)),
            Some(password) => Credentials::User { name, password: Zeroizing::new(decode(password)?) },
        }))
    }
}

fn without_credentials(address: ServerAddr) -> Result<ServerAddr, NotANatsUrl> {
    let mut url = address.into_inner();
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| NotANatsUrl)?;
    ServerAddr::from_url(url).map_err(|_| NotANatsUrl)
}

/// A connection for a few questions: made at once or not at all.
///
/// # Errors
/// `Nats` if it is not made within `timeout`.
pub(super) async fn connect(settings: &NatsSettings, timeout: Duration) -> PublishResult<Client> {
    let connected = async_nats::connect_with_options(settings.servers.as_slice(), settings.options());
    match tokio::time::timeout(timeout, connected).await {
        Ok(connected) => connected.map_err(Failure::nats("connecting to NATS")),
        Err(elapsed) => Err(Failure::nats("connecting to NATS")(elapsed)),
    }
}

/// A client that connects again by itself, and what is known of its connection.
pub(super) struct Connection {
    pub(super) client: Client,
    link: watch::Receiver<Link>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    connected: bool,
    /// How often it went away: a short interruption counts too, since what was in flight is lost.
    losses: u64,
}

impl Connection {
    /// Connects, however long it takes.
    pub(super) async fn open(settings: &NatsSettings, status: &PublisherStatus) -> Self {
        let mut backoff = Backoff::default();
        loop {
            let (changes, link) = watch::channel(Link::default());
            let changes = Arc::new(changes);
            let told = status.clone();
            let options = settings.options().event_callback(move |event| {
                note(&changes, &told, &event);
                std::future::ready(())
            });
            match async_nats::connect_with_options(settings.servers.as_slice(), options).await {
                Ok(client) => return Connection { client, link },
                Err(error) => {
                    super::report(status, &Failure::nats("connecting to NATS")(error));
                    backoff.wait().await;
                }
            }
        }
    }

    /// Waits until there is a connection. Answers which one it is, for [`Connection::lost`].
    pub(super) async fn established(&mut self) -> u64 {
        match self.link.wait_for(|link| link.connected).await.map(|link| link.losses) {
            Ok(losses) => losses,
            // The client keeps the other end for as long as it lives, and it lives as long as this.
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends that connection for another one. The limits of the server are told when a connection begins, and the client goes by
    /// them: it would not send what the server takes by now.
    pub(super) async fn renew(&mut self, losses: u64) {
        // One that cannot be ended is gone already.
        let _ = self.client.force_reconnect().await;
        let _ = tokio::time::timeout(super::API_TIMEOUT, self.lost(losses)).await;
    }

    /// Waits until that connection goes away.
    pub(super) async fn lost(&mut self, losses: u64) {
        let lost = self.link.wait_for(|link| link.losses > losses).await.is_ok();
        if !lost {
            std::future::pending::<()>().await;
        }
    }
}

fn note(changes: &watch::Sender<Link>, status: &PublisherStatus, event: &Event) {
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            status.connected(true);
            changes.send_modify(|link| link.connected = true);
        }
        Event::Disconnected | Event::Closed => {
            status.connected(false);
            changes.send_modify(|link| {
                link.connected = false;
                link.losses += 1;
            });
        }
        // Why it does not come back, e.g. that nobody listens.
        Event::ClientError(error) => super::report(status, &Failure::nats("connecting to NATS")(error)),
        Event::ServerError(error) => super::report(status, &Failure::nats("the NATS server complains")(error)),
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_share_the_credentials_of_the_first_that_has_them() {
        let settings = NatsSettings::parse("nats://one:4222, nats://ada:p%40ss@two", false).expect("two servers");
        assert_eq!(settings.servers.iter().map(ServerAddr::host).collect::<Vec<_>>(), ["one", "two"]);
        assert!(
            matches!(&settings.credentials, Some(Credentials::User { name, password }) if name == "ada" && **password == "p@ss")
        );
    }

    #[test]
    fn a_name_alone_is_a_token() {
        let settings = NatsSettings::parse("tls://s3cret@host", false).expect("one server");
        assert!(matches!(&settings.credentials, Some(Credentials::Token(token)) if **token == "s3cret"));
    }

    #[test]
    fn neither_settings_nor_refusals_show_a_password() {
        let settings = NatsSettings::parse("nats://ada:s3cret@host", false).expect("one server");
        assert!(!format!("{settings:?}").contains("s3cret"));
        let refused = NatsSettings::parse("http://ada:s3cret@host", false).expect_err("not of NATS");
        assert!(!format!("{refused} {refused:?}").contains("s3cret"));
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for urls in ["", "http://host", "nats://", "nats://host,", "nats://host:port", "nats://a b"] {
            assert!(NatsSettings::parse(urls, false).is_err(), "{urls:?}");
        }
    }
}
