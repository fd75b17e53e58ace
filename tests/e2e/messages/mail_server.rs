//! A small mail server that does what a test plans: accept, refuse, hang, die.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Certificate of the server, which it is its own authority of.
pub const CERTIFICATE: &str = include_str!("../tls/one.cert.pem");
const KEY: &str = include_str!("../tls/one.key.pem");

/// What the server does with one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Accepts the message, after a short while.
    Accept,
    /// Refuses the recipient with this code.
    RefuseRecipient(u16),
    /// Refuses the content with this code.
    RefuseContent(u16),
    /// Never answers the recipient.
    Hang,
    /// Accepts the content and ends the connection without saying so.
    DieAfterContent,
    /// Accepts the content and never says so.
    HangAfterContent,
}

/// Security of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Clear,
    StartTls,
    /// As `StartTls`, but somebody between client and server adds answers in the clear to the one to STARTTLS.
    StartTlsInjected,
    Tls,
}

/// A message that the server has accepted.
#[derive(Debug, Clone)]
pub struct Mail {
    pub id: String,
    pub from: String,
    pub to: String,
    pub content: String,
    pub encrypted: bool,
}

/// Beginning of a conversation.
struct Opening {
    /// Whether the server speaks first.
    greets: bool,
    encrypted: bool,
    /// Answer to STARTTLS.
    to_starttls: &'static str,
}

impl Opening {
    /// A conversation that is encrypted, from its beginning or after STARTTLS.
    fn encrypted(greets: bool) -> Self {
        Opening { greets, encrypted: true, to_starttls: "" }
    }
}

#[derive(Default)]
struct State {
    plan: VecDeque<Conduct>,
    transactions: usize,
    mails: Vec<Mail>,
    sign_ins: Vec<String>,
}

/// A running server; it ends with the test.
#[derive(Clone)]
pub struct MailServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    /// A server that does with its transactions what is planned, one after the other, and accepts all further ones.
    pub async fn start(plan: impl IntoIterator<Item = Conduct>) -> Self {
        Self::start_with(Security::Clear, plan).await
    }

    pub async fn start_with(security: Security, plan: impl IntoIterator<Item = Conduct>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = State { plan: plan.into_iter().collect(), ..State::default() };
        let server = MailServer { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                // A client that goes away ends its conversation.
                tokio::spawn(async move { server.serve(stream, security).await });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Messages that were accepted, whether or not the client learned it.
    pub fn mails(&self) -> Vec<Mail> {
        self.state().mails.clone()
    }

    /// Transactions that have begun.
    pub fn transactions(&self) -> usize {
        self.state().transactions
    }

    /// Credentials in base64, as clients gave them.
    pub fn sign_ins(&self) -> Vec<String> {
        self.state().sign_ins.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, stream: TcpStream, security: Security) -> io::Result<()> {
        if security == Security::Tls {
            let stream = acceptor().accept(stream).await?;
            return self.converse(stream, None, Opening::encrypted(true)).await.map(drop);
        }
        let offers = (security != Security::Clear).then(acceptor);
        let to_starttls = match security {
            Security::StartTlsInjected => "220 go on\r\n250-ready\r\n250 AUTH PLAIN",
            _ => "220 go on",
        };
        let opening = Opening { greets: true, encrypted: false, to_starttls };
        let Some(stream) = self.converse(stream, offers.as_ref(), opening).await? else { return Ok(()) };
        let Some(acceptor) = offers else { return Ok(()) };
        let stream = acceptor.accept(stream).await?;
        // After STARTTLS the client speaks first.
        self.converse(stream, None, Opening::encrypted(false)).await.map(drop)
    }

    /// A conversation; the connection, if the client wants TLS from now on.
    async fn converse<S>(&self, stream: S, offers: Option<&TlsAcceptor>, opening: Opening) -> io::Result<Option<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Opening { greets, encrypted, to_starttls } = opening;
        let mut stream = BufReader::new(stream);
        if greets {
            say(&mut stream, "220 ready").await?;
        }
        let (mut from, mut to, mut conduct) = (String::new(), String::new(), Conduct::Accept);
        loop {
            let Some(line) = read_line(&mut stream).await? else { return Ok(None) };
            let command = line.to_ascii_uppercase();
            match command.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => {
                    let tls = if offers.is_some() { "250-STARTTLS\r\n" } else { "" };
                    say(&mut stream, &format!("250-ready\r\n{tls}250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8"))
                        .await?;
                }
                "STARTTLS" => {
                    say(&mut stream, to_starttls).await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => {
                    let given = line.rsplit(' ').next().unwrap_or_default().to_owned();
                    self.state().sign_ins.push(given);
                    say(&mut stream, "235 welcome").await?;
                }
                "MAIL" => {
                    from = address(&line);
                    conduct = {
                        let mut state = self.state();
                        state.transactions += 1;
                        state.plan.pop_front().unwrap_or(Conduct::Accept)
                    };
                    say(&mut stream, "250 ok").await?;
                }
                "RCPT" => {
                    to = address(&line);
                    match conduct {
                        Conduct::RefuseRecipient(code) => say(&mut stream, &format!("{code} not {to}")).await?,
                        Conduct::Hang => pending::<()>().await,
                        _ => say(&mut stream, "250 ok").await?,
                    }
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let Some(content) = read_content(&mut stream).await? else { return Ok(None) };
                    if let Conduct::RefuseContent(code) = conduct {
                        say(&mut stream, &format!("{code} not for {to}")).await?;
                        continue;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let id = header(&content, "Message-ID");
                    let mail = Mail { id, from: from.clone(), to: to.clone(), content, encrypted };
                    self.state().mails.push(mail);
                    match conduct {
                        Conduct::DieAfterContent => return Ok(None),
                        Conduct::HangAfterContent => pending::<()>().await,
                        _ => say(&mut stream, "250 accepted").await?,
                    }
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return Ok(None);
                }
                _ => say(&mut stream, "250 ok").await?,
            }
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).await?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

async fn read_content<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<String>> {
    let mut content = String::new();
    while let Some(line) = read_line(stream).await? {
        if line == "." {
            return Ok(Some(content));
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
        content.push('\n');
    }
    Ok(None)
}

fn address(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap_or_default();
    rest.split('>').next().unwrap_or_default().to_owned()
}

/// The value of a header of a mail.
pub fn header(content: &str, name: &str) -> String {
    let headers = content.lines().take_while(|line| !line.is_empty());
    let mut values = headers.filter_map(|line| line.split_once(": ")).filter(|(header, _)| *header == name);
    values.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
}
