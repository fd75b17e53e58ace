//! A small gateway of text messages, in the form of Twilio's.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A request of a client.
#[derive(Debug, Clone)]
pub struct Request {
    pub form: HashMap<String, String>,
    pub authorization: String,
}

#[derive(Default)]
struct Parts {
    plan: Mutex<VecDeque<u16>>,
    requests: Mutex<Vec<Request>>,
}

/// A running gateway; it ends with the test.
#[derive(Clone)]
pub struct GatewayServer {
    pub address: SocketAddr,
    parts: Arc<Parts>,
}

impl GatewayServer {
    /// A gateway that answers its requests with these codes, one after the other, and all further ones with 201.
    pub async fn start(plan: impl IntoIterator<Item = u16>) -> Self {
        let parts = Arc::new(Parts { plan: Mutex::new(plan.into_iter().collect()), ..Parts::default() });
        let routes = Router::new().route("/2010-04-01/Accounts/AC1/Messages.json", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, routes.with_state(Arc::clone(&parts))).into_future());
        GatewayServer { address, parts }
    }

    pub fn url(&self) -> String {
        format!("http://AC1:to%3Aken@{}/2010-04-01/Accounts/AC1/Messages.json", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.parts.requests.lock().unwrap().clone()
    }
}

async fn answer(
    State(parts): State<Arc<Parts>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    parts.requests.lock().unwrap().push(Request { form, authorization });
    let code = parts.plan.lock().unwrap().pop_front().unwrap_or(201);
    (StatusCode::from_u16(code).unwrap(), Json(json!({ "sid": "SM1", "status": "queued" })))
}
