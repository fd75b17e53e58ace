//! Framing of requests, byte by byte: two parsers of a connection must not see different requests on it.

use crate::process::Server;
use crate::support::Database;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A second request, in the place of a body or behind it. Its answer is the only one that contains this text.
const SMUGGLED: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: smuggled\r\n\r\n";
const ANSWER_TO_SMUGGLED: &str = "\"keys\"";

/// Everything that the server answers to these bytes until it closes the connection.
async fn answered(server: &Server, sent: &str) -> String {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut received)).await;
    let received = String::from_utf8_lossy(&received).into_owned();
    // A connection closed over unread bytes may be reset, which counts as closed.
    assert!(closed.is_ok(), "the connection stays open: {sent:?} {received}");
    received
}

fn answers(received: &str) -> usize {
    received.matches("HTTP/1.1 ").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_end_is_in_doubt_are_refused_and_end_their_connection() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let head = "POST /v1/login/ HTTP/1.1\r\nHost: registrar\r\nContent-Type: application/json\r\n";
    let length = SMUGGLED.len();
    for doubtful in [
        "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        "Content-Length: 0, 5\r\n".to_owned(),
        "Content-Length: +0\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length : 0\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        " Content-Length: 0\r\n".to_owned(),
        "X: y\r\n Content-Length: 0\r\n".to_owned(),
    ] {
        let received = answered(&server, &format!("{head}{doubtful}\r\n{SMUGGLED}")).await;
        assert!(received.starts_with("HTTP/1.1 400 "), "{doubtful:?} {received}");
        assert_eq!((answers(&received), received.contains(ANSWER_TO_SMUGGLED)), (1, false), "{doubtful:?} {received}");
    }
    // HTTP/1.0 has no chunked encoding.
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    let received = answered(&server, &format!("{old}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}")).await;
    assert!(received.contains(" 400 ") && !received.contains(ANSWER_TO_SMUGGLED), "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_count_and_a_length_besides_does_not_and_nothing_behind_them_is_answered() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let head = "POST /v1/login/ HTTP/1.1\r\nHost: registrar\r\nContent-Type: application/json\r\n";
    let long = SMUGGLED.len() + 5;
    for both in [
        format!("Content-Length: {long}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {long}\r\n"),
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ] {
        // An empty body, which the sign-in refuses, and a second request behind it (RFC 9112, section 6.3: the
        // connection ends).
        let received = answered(&server, &format!("{head}{both}\r\n0\r\n\r\n{SMUGGLED}")).await;
        assert!(received.starts_with("HTTP/1.1 400 "), "{both:?} {received}");
        assert!(received.to_lowercase().contains("connection: close"), "{both:?} {received}");
        assert_eq!((answers(&received), received.contains(ANSWER_TO_SMUGGLED)), (1, false), "{both:?} {received}");
    }
    // Two complete requests on one connection get two answers.
    let plain = "GET /healthz HTTP/1.1\r\nHost: registrar\r\n\r\n";
    let last = plain.replace("Host", "Connection: close\r\nHost");
    assert_eq!(answers(&answered(&server, &format!("{plain}{last}")).await), 2);
}
