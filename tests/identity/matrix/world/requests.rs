//! Requests, how they are sent, and their answers.

use super::World;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request as HttpRequest;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// A valid request: what stands in the path and in the body, and how its sender identifies if it is not the caller.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub body: Option<String>,
    pub authorization: Option<String>,
    /// The only one whose request it can be.
    pub owner: Option<String>,
    /// Whether it was made for one caller.
    pub personal: bool,
}

impl Request {
    pub fn to(path: impl Into<String>) -> Self {
        Request { path: path.into(), body: None, authorization: None, owner: None, personal: false }
    }

    pub fn json(self, body: Value) -> Self {
        Request { body: Some(body.to_string()), ..self }
    }

    /// About the caller itself, so that no other sends the same.
    pub fn personal(self) -> Self {
        Request { personal: true, ..self }
    }

    /// Sent with another authorization than usual, if there is one.
    pub fn sent_with(self, authorization: Option<String>) -> Self {
        Request { authorization, personal: true, ..self }
    }

    /// About something that belongs to the holder of this token alone.
    pub fn of(self, token: &str) -> Self {
        Request { owner: Some(format!("Bearer {token}")), ..self }
    }
}

/// The answer.
#[derive(Debug)]
pub struct Sent {
    pub status: u16,
    pub replayed: bool,
    pub etag: Option<String>,
    pub text: String,
}

impl Sent {
    /// The body; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A document of JSON:API.
pub fn document(kind: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "attributes": attributes } })
}

/// A partial change of one that has an identifier.
pub fn amendment(kind: &str, id: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "id": id, "attributes": attributes } })
}

impl World {
    /// The answer to the system administrator, which must be a success.
    pub async fn made(&self, method: &str, path: &str, body: Value) -> Value {
        let system = self.caller("system").authorization.clone();
        let request = Request { body: Some(body.to_string()).filter(|body| body != "null"), ..Request::to(path) };
        let sent = self.send(method, &request, system.as_deref(), &[]).await;
        assert!(sent.is_success(), "{method} {path}: {sent:?}");
        sent.json()
    }

    /// The identifier of a resource that the system administrator made.
    pub async fn made_id(&self, path: &str, body: Value) -> String {
        self.made("POST", path, body).await["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Sends a request with an authorization and further headers.
    pub async fn send(
        &self,
        method: &str,
        request: &Request,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Sent {
        self.send_to(&self.routes, method, request, authorization, headers).await
    }

    /// The same to a server. The feed of events, which never ends, is not read.
    pub async fn send_to(
        &self,
        routes: &Router,
        method: &str,
        request: &Request,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Sent {
        let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        let mut sent = HttpRequest::builder().method(method).uri(&request.path).extension(ConnectInfo(peer));
        for (name, value) in headers {
            sent = sent.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            sent = sent.header("authorization", authorization);
        }
        let body = match &request.body {
            Some(body) => {
                sent = sent.header("content-type", "application/json");
                Body::from(body.clone())
            }
            None => Body::empty(),
        };
        let response = tower::ServiceExt::oneshot(routes.clone(), sent.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        let endless = content_type.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let bytes = if endless { Default::default() } else { axum::body::to_bytes(body, usize::MAX).await.unwrap() };
        Sent {
            status: parts.status.as_u16(),
            etag: parts.headers.get("etag").map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned()),
            replayed: parts.headers.get("idempotency-replayed").is_some_and(|value| value == "true"),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Waits until a group that was sent on its way has arrived, so that its task changes nothing later. The API has no way
    /// to wait for a task, so it is read again, for ten seconds at most.
    pub async fn settled(&self, moved: &Sent) {
        let Ok(body) = serde_json::from_str::<Value>(&moved.text) else { return };
        let Some(task) = body["data"]["task-id"].as_str() else { return };
        let system = self.caller("system").authorization.clone();
        for _ in 0..1_000 {
            let sent = self.send("GET", &Request::to(format!("/v1/tasks/{task}/")), system.as_deref(), &[]).await;
            if sent.text.contains("\"done\"") || sent.text.contains("\"failed\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the task {task} does not end");
    }
}
