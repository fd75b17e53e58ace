//! A mail server that accepts every message at once and keeps nothing but its identifier and the time.

use anyhow::Context;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running sink; dropping it stops accepting connections.
pub(crate) struct MailSink {
    address: SocketAddr,
    mails: Arc<Mails>,
    accepting: JoinHandle<()>,
}

/// Accepted messages. They are counted in a channel of their own, which wakes the waiting round.
struct Mails {
    accepted: Mutex<Vec<Mail>>,
    count: watch::Sender<usize>,
}

/// An accepted message.
#[derive(Clone)]
pub(crate) struct Mail {
    /// Value of the header `Message-ID`.
    pub(crate) id: String,
    /// Time at which the whole content was there.
    pub(crate) at: Instant,
}

impl MailSink {
    /// Starts a sink on a free port of this machine.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mails = Arc::new(Mails { accepted: Mutex::default(), count: watch::Sender::new(0) });
        let serving = Arc::clone(&mails);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mails = Arc::clone(&serving);
                // A client that goes away ends its conversation.
                tokio::spawn(async move { converse(stream, &mails).await });
            }
        });
        Ok(MailSink { address, mails, accepting })
    }

    /// Value of `REGISTRAR_SMTP_URL`.
    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Number of accepted messages.
    pub(crate) fn count(&self) -> usize {
        *self.mails.count.borrow()
    }

    /// Waits until `count` messages were accepted in all.
    pub(crate) async fn reach(&self, count: usize, within: Duration) -> anyhow::Result<()> {
        let mut counted = self.mails.count.subscribe();
        let reached = tokio::time::timeout(within, counted.wait_for(|accepted| *accepted >= count));
        let late = || format!("{} of {count} messages arrived within {} s", self.count(), within.as_secs());
        reached.await.with_context(late)?.context("the sink has ended")?;
        Ok(())
    }

    /// The accepted messages after the first `skipped` ones, in the order of their arrival.
    pub(crate) fn since(&self, skipped: usize) -> Vec<Mail> {
        let accepted = self.mails.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.iter().skip(skipped).cloned().collect()
    }

    /// Verifies that every message has an identifier of its own: none was sent twice.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mails = self.since(0);
        let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.id.as_str()).collect();
        anyhow::ensure!(!ids.contains(""), "a message has no Message-ID");
        anyhow::ensure!(ids.len() == mails.len(), "{} messages arrived twice", mails.len() - ids.len());
        Ok(())
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Mails {
    fn note(&self, id: String) {
        let mail = Mail { id, at: Instant::now() };
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        self.count.send_modify(|count| *count += 1);
    }
}

/// A conversation to its end; the client may send any number of messages.
async fn converse(stream: TcpStream, mails: &Mails) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 ready").await?;
    while let Some(line) = next_line(&mut stream).await? {
        let answer = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-ready\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let Some(id) = read_content(&mut stream).await? else { return Ok(()) };
                mails.note(id);
                "250 accepted"
            }
            "QUIT" => return say(&mut stream, "221 bye").await,
            _ => "250 ok",
        };
        say(&mut stream, answer).await?;
    }
    Ok(())
}

async fn say(stream: &mut BufReader<TcpStream>, answer: &str) -> io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await
}

async fn next_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).await?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads a content to its end; answers its identifier. `None` if the connection ends before.
async fn read_content(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let (mut id, mut in_headers) = (String::new(), true);
    while let Some(line) = next_line(stream).await? {
        if line == "." {
            return Ok(Some(id));
        }
        in_headers &= !line.is_empty();
        if in_headers
            && let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("Message-ID")
        {
            value.trim().clone_into(&mut id);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::MailSink;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const MAIL: &str = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
        Subject: x\r\nMessage-ID: <1@x>\r\n\r\nMessage-ID: <2@x>\r\n.\r\n";

    #[tokio::test]
    async fn the_sink_counts_messages_of_one_connection_and_tells_repeated_ones() {
        let sink = MailSink::start().await.expect("a port");
        let mut client = TcpStream::connect(sink.address).await.expect("it listens");
        client.write_all(format!("EHLO x\r\n{MAIL}").as_bytes()).await.expect("it reads");
        sink.reach(1, Duration::from_secs(10)).await.expect("it accepts");
        assert_eq!((sink.since(0)[0].id.as_str(), sink.check().is_ok()), ("<1@x>", true));
        client.write_all(format!("{MAIL}QUIT\r\n").as_bytes()).await.expect("it reads");
        sink.reach(2, Duration::from_secs(10)).await.expect("it accepts");
        assert!(sink.check().is_err());
        assert_eq!(sink.since(1).len(), 1);
        let mut told = String::new();
        client.read_to_string(&mut told).await.expect("it ends");
        assert!(
            told.starts_with("220 ready\r\n250-ready\r\n") && told.ends_with("250 accepted\r\n221 bye\r\n"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_wait_for_too_many_messages_ends() {
        let sink = MailSink::start().await.expect("a port");
        let late = sink.reach(1, Duration::from_millis(10)).await.expect_err("nobody sends");
        assert!(late.to_string().starts_with("0 of 1 messages"), "{late}");
    }
}
