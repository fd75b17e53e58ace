//! A connection to a server that is not encrypted yet: each read ends with a line.
//!
//! `lettre` reads ahead, and keeps what it has read when it goes over to TLS. Behind the answer to STARTTLS somebody between
//! both ends could write further answers in the clear, which would then count as encrypted ones of the server: a mail would
//! be taken for sent that no server has accepted. Here what follows that answer is left to TLS, which refuses it.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

/// The connection. TLS reads through it as well, in pieces that end where lines would.
#[derive(Debug)]
pub(super) struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects to the first address of a host that answers, each within `patience`.
    pub(super) async fn connect(host: &str, port: u16, patience: Duration) -> io::Result<Self> {
        let mut failure = io::Error::other("the host has no address");
        for address in tokio::net::lookup_host((host, port)).await? {
            match tokio::time::timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(Wire(BufReader::new(stream)));
                }
                Ok(Err(error)) => failure = error,
                Err(elapsed) => failure = elapsed.into(),
            }
        }
        Err(failure)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.0).poll_fill_buf(context))?;
        let line = read.iter().position(|byte| *byte == b'\n').map_or(read.len(), |end| end + 1);
        let length = line.min(into.remaining());
        into.put_slice(&read[..length]);
        Pin::new(&mut self.0).consume(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_read_ends_with_a_line_and_leaves_the_rest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let wire = Wire::connect("127.0.0.1", port, Duration::from_secs(10)).await;
        let mut wire = wire.expect("it listens");
        let (mut server, _) = listener.accept().await.expect("a client");
        server.write_all(b"220 go on\r\n250 injected\r\nrest").await.expect("it reads");
        drop(server);
        let mut pieces = Vec::new();
        loop {
            let mut piece = [0; 64];
            let length = wire.read(&mut piece).await.expect("bytes");
            if length == 0 {
                break;
            }
            pieces.push(String::from_utf8_lossy(&piece[..length]).into_owned());
        }
        assert_eq!(pieces[..2], ["220 go on\r\n", "250 injected\r\n"]);
        assert_eq!(pieces[2..].concat(), "rest");
    }

    #[tokio::test]
    async fn a_host_that_refuses_is_not_connected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let refused = Wire::connect("127.0.0.1", port, Duration::from_secs(10)).await.err();
        assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
    }
}
