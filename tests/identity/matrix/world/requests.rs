//! Requests, how they are sent, and their answers.

use super::World;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request as HttpRequest;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// A valid request: path, body, and the authorization if it differs from the caller's.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub body: Option<String>,
    /// Content type of the body.
    pub content_type: &'static str,
    pub authorization: Option<String>,
    /// Authorization of the only permitted sender, if there is one.
    pub owner: Option<String>,
    /// Whether the request was made for one caller.
    pub personal: bool,
}

impl Request {
    pub fn to(path: impl Into<String>) -> Self {
        let content_type = "application/json";
        Request { path: path.into(), body: None, content_type, authorization: None, owner: None, personal: false }
    }

    /// Sets a body that is no JSON.
    pub fn text(self, content_type: &'static str, body: String) -> Self {
        Request { body: Some(body), content_type, ..self }
    }

    pub fn json(self, body: Value) -> Self {
        Request { body: Some(body.to_string()), ..self }
    }

    /// Marks the request as one about its caller, so that no other caller sends it.
    pub fn personal(self) -> Self {
        Request { personal: true, ..self }
    }

    /// Replaces the authorization, if one is given.
    pub fn sent_with(self, authorization: Option<String>) -> Self {
        Request { authorization, personal: true, ..self }
    }

    /// Marks the request as one about a resource that belongs to the holder of `token` alone.
    pub fn of(self, token: &str) -> Self {
        Request { owner: Some(format!("Bearer {token}")), ..self }
    }
}

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub replayed: bool,
    pub etag: Option<String>,
    pub text: String,
}

impl Response {
    /// The body; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A JSON:API document.
pub fn document(kind: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "attributes": attributes } })
}

/// A JSON:API document for a partial change.
pub fn amendment(kind: &str, id: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "id": id, "attributes": attributes } })
}

impl World {
    /// Sends a request as the system administrator, which must succeed; answers the body.
    pub async fn made(&self, method: &str, path: &str, body: Value) -> Value {
        let system = self.caller("system").authorization.clone();
        let request = Request { body: Some(body.to_string()).filter(|body| body != "null"), ..Request::to(path) };
        let sent = self.send(method, &request, system.as_deref(), &[]).await;
        assert!(sent.is_success(), "{method} {path}: {sent:?}");
        sent.json()
    }

    /// Creates a resource as the system administrator; answers its identifier.
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
    ) -> Response {
        self.send_to(&self.routes, method, request, authorization, headers).await
    }

    /// Sends a request to a server. The event feed, which never ends, is not read.
    pub async fn send_to(
        &self,
        routes: &Router,
        method: &str,
        request: &Request,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Response {
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
                sent = sent.header("content-type", request.content_type);
                Body::from(body.clone())
            }
            None => Body::empty(),
        };
        let response = tower::ServiceExt::oneshot(routes.clone(), sent.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        let endless = content_type.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let bytes = if endless { Default::default() } else { axum::body::to_bytes(body, usize::MAX).await.unwrap() };
        Response {
            status: parts.status.as_u16(),
            etag: parts.headers.get("etag").map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned()),
            replayed: parts.headers.get("idempotency-replayed").is_some_and(|value| value == "true"),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Waits until a queued move of a group is done, so that its task changes nothing later. The API has no way to wait
    /// for a task, so the group is read repeatedly, for ten seconds at most.
    pub async fn settled(&self, moved: &Response) {
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
