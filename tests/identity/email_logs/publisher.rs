//! A small SNS on this machine: it signs messages and serves the certificate of its key.

use super::SES;
use crate::app::Identity;
use crate::ecg_app::{Call, ISSUER};
use crate::support::Database;
use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use registrar::api::ApiSettings;
use registrar::messages::channels::Gateway;
use registrar::messages::reports::ReportSources;
use registrar::messages::reports::sns::{Origins, Topics};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mails";
/// Gateway of text messages whose statuses are taken; nothing is sent to it.
pub const GATEWAY: &str = "http://AC1:to%3Aken@127.0.0.1:9/2010-04-01/Accounts/AC1/Messages.json";
const CERTIFICATE: &str = include_str!("../../e2e/sns/certificate.pem");
const KEY: &str = include_str!("../../e2e/sns/key.pem");

pub struct Publisher {
    pub address: SocketAddr,
    key: RsaKeyPair,
    /// Paths of the requests that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Publisher {
    pub async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, routes).into_future());
        let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
        Publisher { address, key, asked }
    }

    /// A server that believes a publisher and the gateway.
    pub async fn open(database: &Database) -> (Identity, Self) {
        let publisher = Publisher::start().await;
        let settings = publisher.settings();
        (Identity::with(database, settings).await, publisher)
    }

    pub fn settings(&self) -> ApiSettings {
        let origins = Origins::parse(&self.url("")).unwrap();
        let topics = Topics::new([TOPIC.to_owned()].into(), origins).unwrap();
        let gateway = Gateway::new(GATEWAY, "+12025550199").unwrap().reporting_to(ISSUER);
        let reports = ReportSources { topics: Some(Arc::new(topics)), texts: Some(Arc::new(gateway)) };
        ApiSettings { reports, ..ApiSettings::default() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Paths that were asked for, certificates of the usual path aside.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|path| *path != "/certificate.pem").cloned().collect()
    }

    pub fn certificates_asked(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| *path == "/certificate.pem").count()
    }

    /// A message that is not signed yet.
    pub fn message(&self, kind: &str, text: &str) -> Value {
        let mut message = json!({
            "Type": kind,
            "MessageId": Uuid::new_v4(),
            "TopicArn": TOPIC,
            "Message": text,
            "Timestamp": time(TimeDelta::zero()),
            "SignatureVersion": "2",
            "SigningCertURL": self.url("/certificate.pem"),
        });
        if kind == "Notification" {
            message["Subject"] = json!("Amazon SES Email Event Notification");
            message["UnsubscribeURL"] = json!(self.url("/?Action=Unsubscribe"));
        } else {
            message["Token"] = json!("2336412f37");
            message["SubscribeURL"] = json!(self.url("/?Action=ConfirmSubscription&Token=2336412f37"));
        }
        message
    }

    /// A signed notification.
    pub fn notification(&self, notification: &Value) -> Value {
        self.signed(self.message("Notification", &notification.to_string()))
    }

    /// Signs a message in the version that it names.
    pub fn signed(&self, mut message: Value) -> Value {
        let text = signed_text(&message);
        let signature = if message["SignatureVersion"] == "1" { sign_by_sha1(&text) } else { self.sign(&text) };
        message["Signature"] = json!(BASE64_STANDARD.encode(signature));
        message
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        signature
    }

    /// The request by which SNS brings a message.
    pub fn call<'a>(&self, it: &'a Identity, message: &Value) -> Call<'a> {
        let call = it.app.call("POST", SES).token(None).header("content-type", "text/plain; charset=UTF-8");
        let kind = message["Type"].as_str().unwrap_or_default();
        call.header("x-amz-sns-message-type", kind).bytes(message.to_string())
    }
}

/// The current time and so much, as SNS writes it.
pub fn time(since: TimeDelta) -> String {
    let time: DateTime<Utc> = Utc::now() + since;
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The text that is signed, as Amazon's documentation says.
fn signed_text(message: &Value) -> String {
    let members: &[&str] = match message["Type"].as_str() {
        Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let given = members.iter().filter_map(|name| Some((name, message[*name].as_str()?)));
    given.map(|(name, value)| format!("{name}\n{value}\n")).collect()
}

/// A signature of version 1, by OpenSSL: the library of the server makes none.
fn sign_by_sha1(text: &str) -> Vec<u8> {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/sns/key.pem");
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha1", "-sign", key]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut signing = command.spawn().unwrap();
    signing.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let signed = signing.wait_with_output().unwrap();
    assert!(signed.status.success());
    signed.stdout
}

/// The certificate, a redirect to it, and other things.
async fn answer(State(asked): State<Arc<Mutex<Vec<String>>>>, OriginalUri(uri): OriginalUri) -> Response {
    let path = uri.path_and_query().unwrap().as_str().to_owned();
    let response = match path.as_str() {
        "/certificate.pem" | "/other.pem" => CERTIFICATE.into_response(),
        "/redirect.pem" => (StatusCode::FOUND, [(LOCATION, "/certificate.pem")]).into_response(),
        "/elliptic.pem" => include_str!("../../e2e/tls/one.cert.pem").into_response(),
        "/large.pem" => ("x".repeat(1024 * 1024) + CERTIFICATE).into_response(),
        "/broken.pem" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        path if path.starts_with("/?Action=ConfirmSubscription") => "<ConfirmSubscriptionResponse/>".into_response(),
        path if path.starts_with("/?Action=Redirect") => {
            (StatusCode::FOUND, [(LOCATION, "/?Action=ConfirmSubscription")]).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    asked.lock().unwrap().push(path);
    response
}
