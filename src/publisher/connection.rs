//! The connection to NATS: settings, patient connecting, and detection of losses.

use super::backoff::{self, Backoff};
use super::failure::{Failure, PublishResult};
use super::status::PublisherStatus;
use crate::vault::TlsFiles;
use crate::vault::private_file;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// NATS servers and the values to publish.
#[derive(Clone)]
pub struct NatsSettings {
    servers: Vec<ServerAddr>,
    /// Options of every connection: credentials and trusted authorities.
    options: ConnectOptions,
    /// Whether a server that offers no TLS is refused.
    encrypted: bool,
    /// Whether the URLs hold credentials.
    signs_in: bool,
    publish_personal: bool,
}

enum Credentials {
    Token(Zeroizing<String>),
    User { name: String, password: Zeroizing<String> },
}

/// A setting that does not name NATS servers. The text is not shown, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the NATS URL is not one: expected nats://[user:password@]host[:port], or several of them separated by commas")]
pub struct NotANatsUrl;

/// Files of a connection to NATS, beside its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatsFiles {
    /// The authorities whose certificates are trusted, as PEM; `None` for those of the system.
    pub authority: Option<PathBuf>,
    /// The user's token and seed, as NATS tools write them.
    pub credentials: Option<PathBuf>,
    /// The seed of the user's NKey.
    pub seed: Option<PathBuf>,
    /// The client's certificate and its private key, as PEM.
    pub identity: Option<TlsFiles>,
}

/// Reason why files cannot be used for a connection to NATS.
#[derive(Debug, thiserror::Error)]
pub enum NatsFilesError {
    /// A file cannot be used.
    #[error("{path} cannot be used: {reason}", path = path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Defect of the file.
        reason: String,
    },
    /// Several credentials were given, and a connection signs in with one.
    #[error("a credentials file, the seed of an NKey, and a user, password or token in the URL exclude each other")]
    Several,
}

impl NatsSettings {
    /// Parses `urls`: one or several servers of a cluster, separated by commas. `nats://` and `tls://`, with user and
    /// password or a token before the host if the server wants them; the first URL that has them speaks for all.
    ///
    /// With `publish_personal`, personal values are published in the clear.
    ///
    /// # Errors
    /// [`NotANatsUrl`].
    pub fn parse(urls: &str, publish_personal: bool) -> Result<Self, NotANatsUrl> {
        let (mut servers, mut credentials) = (Vec::new(), None);
        for url in urls.split(',').map(str::trim) {
            let address: ServerAddr = url.parse().map_err(|_| NotANatsUrl)?;
            if address.host().is_empty() {
                return Err(NotANatsUrl);
            }
            // The client library ignores them there, and would log them.
            credentials = credentials.or(Credentials::of(&address)?);
            servers.push(without_credentials(address)?);
        }
        // The first server names further ones of the cluster, without a scheme of their own.
        let encrypted = servers.iter().all(is_encrypted);
        let signs_in = credentials.is_some();
        let options = ConnectOptions::new().name("registrar").reconnect_delay_callback(backoff::delay);
        let options = match credentials {
            None => options,
            Some(Credentials::Token(token)) => options.token(token.to_string()),
            Some(Credentials::User { name, password }) => options.user_and_password(name, password.to_string()),
        };
        Ok(NatsSettings { servers, options: options.require_tls(encrypted), encrypted, signs_in, publish_personal })
    }

    /// Adds the content of the files. An authority or a certificate of the client makes TLS mandatory for every
    /// URL. Secrets are read once; certificates are read at each connection, so renewed ones count.
    ///
    /// # Errors
    /// [`NatsFilesError`].
    pub fn with(self, files: NatsFiles) -> Result<Self, NatsFilesError> {
        let NatsSettings { servers, mut options, mut encrypted, mut signs_in, publish_personal } = self;
        let failed = |path: &Path, reason: &dyn std::fmt::Display| NatsFilesError::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let secret = |path: &Path| private_file::read(path).map_err(|error| failed(path, &error));
        if let Some(path) = &files.credentials {
            let text = secret(path)?;
            // The library's message about an unreadable text may repeat it.
            let read = options.credentials(&text);
            options = read.map_err(|_| failed(path, &"it holds no credentials of a NATS user"))?;
        }
        if let Some(path) = &files.seed {
            let text = secret(path)?;
            let seed = text.lines().map(str::trim).find(|line| is_seed_of_user(line));
            let seed = seed.ok_or_else(|| failed(path, &"it holds no seed of a NATS user, which begins with SU"))?;
            options = options.nkey(seed.to_owned());
        }
        if usize::from(signs_in) + usize::from(files.credentials.is_some()) + usize::from(files.seed.is_some()) > 1 {
            return Err(NatsFilesError::Several);
        }
        signs_in |= files.credentials.is_some() || files.seed.is_some();
        if let Some(path) = files.authority {
            certificates(&path).map_err(|reason| failed(&path, &reason))?;
            options = options.add_root_certificates(path);
            encrypted = true;
        }
        if let Some(TlsFiles { certificate, key }) = files.identity {
            certificates(&certificate).map_err(|reason| failed(&certificate, &reason))?;
            let text = secret(&key)?;
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| failed(&key, &error))?;
            options = options.add_client_certificate(certificate, key);
            encrypted = true;
        }
        let options = options.require_tls(encrypted);
        Ok(NatsSettings { servers, options, encrypted, signs_in, publish_personal })
    }

    /// Whether personal values are published in the clear.
    #[must_use]
    pub fn publish_personal(&self) -> bool {
        self.publish_personal
    }

    /// Hosts that are connected to in the clear.
    pub fn hosts_in_the_clear(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().filter(|server| !self.encrypted && !is_encrypted(server)).map(ServerAddr::host)
    }
}

/// Whether the URL of a server asks for TLS.
fn is_encrypted(server: &ServerAddr) -> bool {
    server.tls_required() || server.as_url_str().starts_with("wss:")
}

/// Whether a line is the seed of a user's NKey: 58 letters of base32, the first two of which name its kind.
fn is_seed_of_user(line: &str) -> bool {
    let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    line.len() == 58 && line.starts_with("SU") && line.bytes().all(base32)
}

/// Checks the certificates now rather than at the first connection.
fn certificates(path: &Path) -> Result<(), String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
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

/// A connection for a few requests: made at once or not at all.
///
/// # Errors
/// `Nats` if it is not made within `timeout`.
pub(super) async fn connect(settings: &NatsSettings, timeout: Duration) -> PublishResult<Client> {
    let connected = async_nats::connect_with_options(settings.servers.as_slice(), settings.options.clone());
    match tokio::time::timeout(timeout, connected).await {
        Ok(connected) => connected.map_err(Failure::nats("connecting to NATS")),
        Err(elapsed) => Err(Failure::nats("connecting to NATS")(elapsed)),
    }
}

/// A client that reconnects by itself, and the state of its connection.
pub(super) struct Connection {
    pub(super) client: Client,
    link: watch::Receiver<Link>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    connected: bool,
    /// Number of losses: a short interruption counts too, since messages in flight are lost.
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
            let options = settings.options.clone().event_callback(move |event| {
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

    /// Waits until there is a connection. Returns its number, for [`Connection::lost`].
    pub(super) async fn established(&mut self) -> u64 {
        match self.link.wait_for(|link| link.connected).await.map(|link| link.losses) {
            Ok(losses) => losses,
            // The client holds the other end, and it lives as long as this.
            Err(_) => std::future::pending().await,
        }
    }

    /// Replaces that connection by another one. The server states its limits when a connection begins, and the client
    /// applies them: it would not send messages that the server would accept by now.
    pub(super) async fn renew(&mut self, losses: u64) {
        // A failed reconnect means that the connection is gone already.
        let _ = self.client.force_reconnect().await;
        let _ = tokio::time::timeout(super::API_TIMEOUT, self.lost(losses)).await;
    }

    /// Waits until that connection is lost.
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
        // Reason why the connection stays down, e.g. refused by the host.
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
        assert!(settings.signs_in);
        let address = "nats://ada:p%40ss@two".parse().expect("a server");
        let credentials = Credentials::of(&address).expect("credentials");
        assert!(
            matches!(&credentials, Some(Credentials::User { name, password }) if name == "ada" && **password == "p@ss")
        );
    }

    #[test]
    fn a_name_alone_is_a_token() {
        let credentials = Credentials::of(&"tls://s3cret@host".parse().expect("a server")).expect("credentials");
        assert!(matches!(&credentials, Some(Credentials::Token(token)) if **token == "s3cret"));
    }

    #[test]
    fn a_server_is_spoken_to_in_the_clear_unless_its_url_or_a_file_asks_for_tls() {
        let settings = |urls| NatsSettings::parse(urls, false).expect("servers");
        let in_the_clear =
            |settings: &NatsSettings| settings.hosts_in_the_clear().map(str::to_owned).collect::<Vec<_>>();
        for (urls, hosts) in [
            ("nats://one,tls://two,ws://three,wss://four", &["one", "three"][..]),
            ("one:4222", &["one"]),
            ("tls://one,tls://two", &[]),
        ] {
            assert_eq!(in_the_clear(&settings(urls)), hosts, "{urls}");
        }
        let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/tls/one.cert.pem").into();
        let files = NatsFiles { authority: Some(authority), ..NatsFiles::default() };
        assert_eq!(in_the_clear(&settings("nats://one").with(files).expect("an authority")), [""; 0]);
    }

    #[test]
    fn unusable_credential_files_are_refused_without_repeating_their_contents() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            let mut file = private_file::create(&path).expect("a file");
            std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
            path
        };
        const SEED: &str = "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY";
        let (seed, other) = (write("seed", SEED), write("other", "s3cret"));
        let with = |url, files| NatsSettings::parse(url, false).expect("a server").with(files);
        let of_seed = |path: &Path| NatsFiles { seed: Some(path.to_owned()), ..NatsFiles::default() };
        let of_credentials = NatsFiles { credentials: Some(other.clone()), ..NatsFiles::default() };
        assert!(with("tls://host", of_seed(&seed)).is_ok());
        for (files, told) in [
            (of_seed(&other), "it holds no seed of a NATS user"),
            (of_credentials, "it holds no credentials of a NATS user"),
            (NatsFiles { authority: Some(other.clone()), ..NatsFiles::default() }, "it holds no certificate"),
            (of_seed(&folder.path().join("none")), "No such file"),
        ] {
            let refused = with("tls://host", files).expect_err("refused").to_string();
            assert!(refused.contains(told) && !refused.contains("s3cret"), "{refused}");
        }
        let twice = with("tls://ada:s3cret@host", of_seed(&seed)).expect_err("refused").to_string();
        assert!(twice.contains("exclude each other") && !twice.contains("s3cret"), "{twice}");
    }

    #[test]
    fn neither_settings_nor_refusals_show_a_password() {
        let settings = NatsSettings::parse("nats://ada:s3cret@host", false).expect("one server");
        assert!(!format!("{settings:?}").contains("s3cret"));
        let refused = NatsSettings::parse("http://ada:s3cret@host", false).expect_err("not of NATS");
        assert!(!format!("{refused} {refused:?}").contains("s3cret"));
    }

    #[test]
    fn malformed_server_urls_are_refused() {
        for urls in ["", "http://host", "nats://", "nats://host,", "nats://host:port", "nats://a b"] {
            assert!(NatsSettings::parse(urls, false).is_err(), "{urls:?}");
        }
    }
}
