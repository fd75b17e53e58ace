//! A light HTTP client: one connection, one request at a time. The load generator shares the machine with the server,
//! so it must cost little.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    authorization: String,
    /// Address that a proxy states for the client.
    forwarded_for: Option<String>,
}

impl Client {
    /// Connects to a server on this machine.
    pub(crate) async fn connect(address: &str, token: &str) -> anyhow::Result<Self> {
        ensure!(address.starts_with("127.0.0.1:"), "load goes to this machine only");
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender, host: address.to_owned(), authorization: format!("Bearer {token}"), forwarded_for: None })
    }

    /// The same client, as seen behind a proxy that states its address.
    pub(crate) fn behind_proxy(self, address: String) -> Self {
        Client { forwarded_for: Some(address), ..self }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        request = request.header(AUTHORIZATION, &self.authorization);
        if let Some(address) = &self.forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body.unwrap_or_default()))?).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Sends a GET request that must succeed.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let (status, body) = self.send(Method::GET, path, None).await?;
        ensure!(status == StatusCode::OK, "GET {path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// Sends a POST request that must succeed.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let (status, answer) = self.send(Method::POST, path, Some(body)).await?;
        ensure!(status.is_success(), "POST {path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}

/// One connection per client.
pub(crate) async fn clients(address: &str, token: &str, count: usize) -> anyhow::Result<Vec<Client>> {
    let connected = (0..count).map(|_| Client::connect(address, token));
    futures::future::try_join_all(connected).await.context("cannot connect")
}
