use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

#[test]
fn an_address_that_stands_for_all_is_reached_on_this_machine() {
    let reach = |address: &str| reachable(("http", address.parse().expect("an address")));
    assert_eq!(reach("0.0.0.0:8080"), "http://127.0.0.1:8080");
    assert_eq!(reach("[::]:8080"), "http://[::1]:8080");
    assert_eq!(reach("192.0.2.7:80"), "http://192.0.2.7:80");
    let secure = reachable(("https", "0.0.0.0:8443".parse().expect("an address")));
    assert_eq!(secure, "https://127.0.0.1:8443");
}

#[tokio::test]
async fn a_feed_ends_when_the_server_stops() {
    let endless = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let feed = ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(endless)).into_response();
    let shutdown = CancellationToken::new();
    let response = connections::ending_with(&shutdown, feed);
    let body = tokio::spawn(axum::body::to_bytes(response.into_body(), 1024));
    tokio::task::yield_now().await;
    assert!(!body.is_finished());
    shutdown.cancel();
    assert!(body.await.expect("no panic").expect("an end").is_empty());
}

#[tokio::test]
async fn a_taken_port_is_reported_with_the_option_to_change_it() {
    let taken = listen("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let refused = listen(taken.local_addr().expect("its address")).await.expect_err("taken").to_string();
    assert!(refused.starts_with("cannot listen on 127.0.0.1:") && refused.contains("--listen"), "{refused}");
}

/// A server that holds its responses until released.
struct HeldServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    began: Arc<Notify>,
    release: Arc<Notify>,
    served: tokio::task::JoinHandle<()>,
}

fn service(router: Router, limits: ConnectionLimits) -> connections::Service {
    connections::Service { router, limits, trusted_proxies: Vec::new(), tls: None }
}

async fn held() -> HeldServer {
    held_within(ConnectionLimits::default()).await
}

async fn held_within(limits: ConnectionLimits) -> HeldServer {
    let listener = listen("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (began, release, shutdown) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
    let (tell, wait) = (Arc::clone(&began), Arc::clone(&release));
    let handler = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        tell.notify_one();
        wait.notified().await;
        peer.ip().to_string()
    };
    let router = Router::new().route("/", get(handler));
    let stopping = shutdown.clone();
    let served = tokio::spawn(async move { connections::answer(listener, service(router, limits), &stopping).await });
    HeldServer { address, shutdown, began, release, served }
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_server_stops() {
    let server = held().await;
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("sent");
    server.began.notified().await;
    server.shutdown.cancel();
    assert!(!server.served.is_finished());
    server.release.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer and an end");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
    server.served.await.expect("it stops");
}

#[tokio::test]
async fn an_unread_response_does_not_delay_the_shutdown() {
    let listener = listen("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (shutdown, sent) = (CancellationToken::new(), Arc::new(Notify::new()));
    let told = Arc::clone(&sent);
    let endless = move || {
        let told = Arc::clone(&told);
        let pieces = stream::iter(0..).map(move |piece| {
            // Larger than the buffers of either side.
            if piece == 1 {
                told.notify_one();
            }
            Ok::<_, std::io::Error>(vec![0_u8; 1024 * 1024])
        });
        async move { Body::from_stream(pieces) }
    };
    let (router, stopping) = (Router::new().route("/", get(endless)), shutdown.clone());
    let served = tokio::spawn(async move {
        connections::answer(listener, service(router, ConnectionLimits::default()), &stopping).await;
    });
    let mut client = TcpStream::connect(address).await.expect("connected");
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("sent");
    sent.notified().await;
    let told = std::time::Instant::now();
    shutdown.cancel();
    served.await.expect("it stops");
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[tokio::test]
async fn connections_without_a_request_do_not_delay_the_shutdown() {
    let server = held().await;
    let mut idle = TcpStream::connect(server.address).await.expect("connected");
    let mut slow = TcpStream::connect(server.address).await.expect("connected");
    slow.write_all(b"GET / HTT").await.expect("sent");
    server.shutdown.cancel();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
    drop(slow);
    server.served.await.expect("it stops");
}

#[tokio::test]
async fn connections_without_a_request_do_not_block_other_clients() {
    let server = held_within(ConnectionLimits { total: 20, per_address: 10 }).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(server.address).await.expect("connected");
        client.write_all(b"GET / HTT").await.expect("sent");
        silent.push(client);
    }
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.expect("sent");
    server.began.notified().await;
    // A connection being answered does not give way to those that follow.
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.expect("connected"));
    }
    server.release.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer and an end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The first ones have given way.
    assert_eq!(silent[0].read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = held().await;
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    let head = format!("GET / HTTP/1.1\r\nhost: here\r\nx: {}\r\n\r\n", "a".repeat(128 * 1024));
    // The server may hang up before the whole head is sent.
    let _ = client.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 431");
}
