//! Mail over SMTP, by `lettre`: its messages and its connections, kept between messages.
//!
//! Connections are kept here and not by the pool of `lettre`. That one takes a connection back when the future that uses
//! it is dropped, by a timeout for example, amid an answer; the next message would then take the answer of the former one
//! for its own. Here a connection is kept only after a whole transaction.

mod server;
mod wire;

pub use server::MailerError;

use lettre::address::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use registrar_aggregates::message::delivery::{Failure, Obstacle};
use registrar_aggregates::values::{EmailAddress, MessageId};
use registrar_projections::messages::{MessageDocument, MessageTexts};
use server::{MailServer, Security};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use wire::Wire;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a kept connection to say that it is still open.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time without a message for which a connection is kept; servers close idle ones after a minute and more.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Most connections that are kept.
const KEPT_MAX: usize = 12;
/// Answer of a server that waits for the content.
const GO_ON: u16 = 354;
/// Answers that want credentials, or other ones (RFC 4954): the operator can mend that.
const UNAUTHORIZED: [u16; 4] = [530, 534, 535, 538];

/// Sends mails by one server, in the name of one sender.
pub struct Mailer {
    server: MailServer,
    from: Mailbox,
    /// Domain of the sender in its ASCII form: it greets the server and ends the identifiers of messages.
    domain: String,
    kept: Mutex<Vec<KeptConnection>>,
}

struct KeptConnection {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Mailer {
    /// A mailer by the server at `url`, with `from` as the sender. Certificates of the server come from an authority of
    /// `authority` (PEM), or without one from those that Mozilla lists. Nothing is connected yet.
    ///
    /// # Errors
    /// [`MailerError`].
    pub fn new(url: &str, from: &str, authority: Option<&[u8]>) -> Result<Self, MailerError> {
        let server = MailServer::parse(url, authority)?;
        let from = sender(from).ok_or(MailerError::Sender)?;
        let domain = from.email.domain().to_owned();
        Ok(Mailer { server, from, domain, kept: Mutex::default() })
    }

    /// Host of the server, if passwords and messages go there in the clear.
    #[must_use]
    pub fn host_in_the_clear(&self) -> Option<&str> {
        self.server.is_in_the_clear().then_some(self.server.host.as_str())
    }

    /// Hands a message to the server and returns the code of its answer.
    ///
    /// Dropping the future closes the connection. Whether the server has accepted the message is then unknown, unless
    /// its content was not sent to the end.
    pub(super) async fn send(&self, message: &MessageDocument, texts: &MessageTexts) -> Result<u16, Failure> {
        let to = in_ascii(&texts.to).ok_or(Obstacle::Undeliverable)?;
        let mail = self.written(message, texts, &to).ok_or(Obstacle::Undeliverable)?;
        let mut connection = self.connection().await?;
        let answer = transact(&mut connection, &self.from.email, &to, &mail).await?;
        self.keep(connection);
        Ok(answer)
    }

    /// A message as it is sent. Its identifier and its date are the same in every attempt.
    fn written(&self, message: &MessageDocument, texts: &MessageTexts, to: &Address) -> Option<String> {
        let content = &texts.content;
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let parts = MultiPart::alternative_plain_html(in_lines(&content.text), in_lines(content.html.as_deref()?));
        let mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(content.subject.clone()?)
            .date(SystemTime::from(message.composed_at))
            .message_id(Some(self.message_id(message.id)))
            .raw_header(automatic)
            .multipart(parts);
        mail.ok().and_then(|mail| String::from_utf8(mail.formatted()).ok())
    }

    /// The header by which reports of the delivery name the message.
    fn message_id(&self, id: MessageId) -> String {
        format!("<{id}@{}>", self.domain)
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, Failure> {
        while let Some(mut kept) = self.take() {
            let check = tokio::time::timeout(CHECK_TIMEOUT, kept.test_connected());
            if check.await.unwrap_or(false) {
                return Ok(kept);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let MailServer { host, port, security, credentials } = &self.server;
        let hello = ClientId::Domain(self.domain.clone());
        let greeted = match security {
            Security::Tls(parameters) => {
                let (place, patience) = ((host.as_str(), *port), Some(CONNECT_TIMEOUT));
                AsyncSmtpConnection::connect_tokio1(place, patience, &hello, Some(parameters.clone()), None).await
            }
            Security::Clear | Security::StartTls(_) => {
                let wire = Wire::connect(host, *port, CONNECT_TIMEOUT).await.map_err(|error| not_reached(&error))?;
                AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello).await
            }
        };
        let mut connection = greeted.map_err(|error| not_connected(&error))?;
        if let Security::StartTls(parameters) = security {
            let encrypted = connection.starttls(parameters.clone(), &hello).await;
            encrypted.map_err(|error| not_connected(&error))?;
        }
        if let Some(credentials) = credentials {
            let signed_in = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            signed_in.map_err(|error| not_signed_in(&error))?;
        }
        Ok(connection)
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut kept = self.kept();
        kept.retain(|kept| kept.since.elapsed() < IDLE_MAX);
        kept.pop().map(|kept| kept.connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX && !connection.has_broken() {
            kept.push(KeptConnection { connection, since: Instant::now() });
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<KeptConnection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sender, with or without a name.
fn sender(text: &str) -> Option<Mailbox> {
    let named = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    let (name, address) = named.map_or(("", text), |(name, address)| (name.trim().trim_matches('"'), address));
    let name = (!name.is_empty()).then(|| name.to_owned());
    let is_line = name.as_ref().is_none_or(|name| !name.chars().any(char::is_control));
    in_ascii(address).filter(|_| is_line).map(|address| Mailbox::new(name, address))
}

/// An address with its domain in the ASCII form, which every server takes.
fn in_ascii(address: &str) -> Option<Address> {
    let address = EmailAddress::parse(address).ok()?;
    let (local, _) = address.as_str().rsplit_once('@')?;
    let comparable = address.comparable();
    let (_, domain) = comparable.rsplit_once('@')?;
    Address::new(local, domain).ok()
}

/// A text whose line breaks are all alike. For some servers a CR alone ends a line, so that a text with one could end the
/// content, and go on with commands of its own.
fn in_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A mail as the content of a transaction: lines that begin with a dot have another one (RFC 5321, 4.5.2), and a dot alone
/// ends it.
///
/// It is written in one piece. `lettre` 0.11.23 writes the end apart, without `TCP_NODELAY`: the end then waits until the
/// server has acknowledged the rest, which Linux delays by 40 ms. Each mail took 44 ms on one machine, in place of 0.1.
fn framed(mail: &str) -> String {
    let first = if mail.starts_with('.') { "." } else { "" };
    format!("{first}{}\r\n.\r\n", mail.replace("\r\n.", "\r\n.."))
}

/// One transaction; the code of the answer to the content. An answer to another command than the last one, or an
/// intermediate one, accepts nothing.
async fn transact(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    mail: &str,
) -> Result<u16, Failure> {
    let parameters = parameters(connection, [from, to], mail)?;
    let failed = |error: Error| not_accepted(&error);
    connection.command(Mail::new(Some(from.clone()), parameters)).await.map_err(failed)?;
    connection.command(Rcpt::new(to.clone(), vec![])).await.map_err(failed)?;
    let ready = connection.command(Data).await.map_err(failed)?;
    if u16::from(ready.code()) != GO_ON {
        return Err(Obstacle::Interrupted.into());
    }
    let answer = u16::from(connection.command(framed(mail)).await.map_err(failed)?.code());
    if (200..300).contains(&answer) { Ok(answer) } else { Err(Obstacle::Interrupted.into()) }
}

/// What the server has to be capable of for letters beyond ASCII in addresses; texts are encoded in any case.
fn parameters(
    connection: &AsyncSmtpConnection,
    addresses: [&Address; 2],
    mail: &str,
) -> Result<Vec<MailParameter>, Failure> {
    let is_ascii = addresses.into_iter().all(|address| AsRef::<str>::as_ref(address).is_ascii()) && mail.is_ascii();
    let has = |extension| connection.server_info().supports_feature(extension);
    if is_ascii {
        Ok(vec![])
    } else if has(Extension::SmtpUtfEight) && has(Extension::EightBitMime) {
        Ok(vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)])
    } else {
        Err(Obstacle::Undeliverable.into())
    }
}

fn answer(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

fn not_reached(error: &io::Error) -> Failure {
    let is_late = error.kind() == io::ErrorKind::TimedOut;
    if is_late { Obstacle::TimedOut.into() } else { Obstacle::Unreachable.into() }
}

/// A server that does not want to talk, or no TLS: another attempt may find another state of things, whatever the code.
fn not_connected(error: &Error) -> Failure {
    let obstacle = match answer(error) {
        Some(_) => Obstacle::Postponed,
        None if error.is_timeout() => Obstacle::TimedOut,
        None => Obstacle::Unreachable,
    };
    Failure { obstacle, answer: answer(error) }
}

fn not_signed_in(error: &Error) -> Failure {
    let obstacle = match () {
        () if error.is_transient() => Obstacle::Postponed,
        () if error.is_permanent() || error.is_client() => Obstacle::Unauthorized,
        () => Obstacle::Interrupted,
    };
    Failure { obstacle, answer: answer(error) }
}

fn not_accepted(error: &Error) -> Failure {
    let answer = answer(error);
    let obstacle = match answer {
        Some(code) if UNAUTHORIZED.contains(&code) => Obstacle::Unauthorized,
        Some(_) if error.is_permanent() => Obstacle::Rejected,
        Some(_) => Obstacle::Postponed,
        None => Obstacle::Interrupted,
    };
    Failure { obstacle, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let mailer = |from: &str| Mailer::new("smtp://127.0.0.1:2525", from, None);
        let named = mailer("Registrar <no-reply@Example.org>").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(named.from.to_string(), "Registrar <no-reply@example.org>");
        assert_eq!(
            named.message_id(MessageId(uuid::Uuid::nil())),
            "<00000000-0000-0000-0000-000000000000@example.org>"
        );
        let international = mailer("no-reply@bücher.example").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(international.domain, "xn--bcher-kva.example");
        for from in ["", "Registrar", "a@b@c", "a@example.org, b@example.org", "a\r\nBcc: b <a@example.org>"] {
            assert_eq!(mailer(from).err(), Some(MailerError::Sender), "{from}");
        }
    }

    #[test]
    fn no_line_of_a_mail_but_the_last_is_a_dot_alone() {
        assert_eq!(framed("A: b\r\n\r\nc"), "A: b\r\n\r\nc\r\n.\r\n");
        assert_eq!(framed(".\r\n.\r\n..a\r\nb.\r\n"), "..\r\n..\r\n...a\r\nb.\r\n\r\n.\r\n");
    }

    #[test]
    fn every_line_of_a_text_ends_alike() {
        assert_eq!(in_lines("a\r\nb\nc\r.\rd\r\r\n"), "a\nb\nc\n.\nd\n\n");
    }

    #[test]
    fn an_address_has_its_domain_in_ascii_and_its_name_as_written() {
        let written = |address: &str| in_ascii(address).map(|address| address.to_string());
        assert_eq!(written("Ada@Bücher.example").as_deref(), Some("Ada@xn--bcher-kva.example"));
        assert_eq!(written("jürgen@example.org").as_deref(), Some("jürgen@example.org"));
        assert_eq!(written("a@example.org\r\nRCPT TO:<b@example.org>"), None);
    }
}
