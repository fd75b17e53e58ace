//! Reports about the messages of an invitation, made by the libraries and servers that make them elsewhere: each reaches
//! the invitation, and reports about mails reach their list.

mod postfix;

use crate::identity_stock::{ADMIN_PASSWORD, organization};
use crate::messages::gateway::GatewayServer;
use crate::messages::mail_server::{Conduct, MailServer};
use crate::process::{PATIENCE, Server, registrar, run};
use crate::python;
use crate::support::Database;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use postfix::Postfix;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Contacts of the person who is invited.
const EMAIL: &str = "ada@example.com";
const NUMBER: &str = "+12025550123";
/// Senders of mails and of text messages.
const MAIL_FROM: &str = "no-reply@registrar.example";
const SMS_FROM: &str = "+12025550199";
/// Token of the gateway, which stands in its URL.
const TOKEN: &str = "to:ken";
const MANAGER: &str = "grace@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// An invitation by mail and by text message that the real program has sent.
struct Invitation {
    server: Server,
    client: Client,
    /// Token of the administrator, who brings reports and reads their list.
    administrator: String,
    /// Token of the admin of the organization, who has invited.
    manager: String,
    id: String,
    _database: Database,
}

impl Invitation {
    /// Starts the program with these settings beside those of the test, and invites. Messages of a channel without a
    /// server are captured.
    async fn send(settings: &[(&str, &str)]) -> Self {
        let database = Database::sqlite_with_tables();
        let mut command = registrar(&database.settings, &["serve"]);
        command.env("REGISTRAR_ADMIN_PASSWORD", ADMIN_PASSWORD).envs(settings.iter().copied());
        let server = Server::spawn(command);
        let organization = organization(&server.url).await;
        let arguments = ["user", "create", "--organization", organization.as_str(), "--role", "org.admin"];
        run(&database.settings, &[arguments.as_slice(), &["--email", MANAGER, "--password", PASSWORD]].concat());
        let administrator = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]);
        let client = Client::builder().no_proxy().build().unwrap();

        let credentials = json!({ "username": MANAGER, "password": PASSWORD });
        let session = answered(client.post(format!("{}/v1/login/", server.url)).json(&credentials)).await;
        let manager = session["access-token"].as_str().unwrap().to_owned();
        let attributes = json!({
            "organization": organization,
            "onboard-type": "provider",
            "patient-email": EMAIL,
            "phone-number": NUMBER,
            "notifications": ["email", "sms"],
            "email-user-now": true,
        });
        let creation = json!({ "data": { "type": "onboarding-requests", "attributes": attributes } });
        let creating = client.post(format!("{}/v1/onboarding-requests/", server.url)).json(&creation);
        let created = answered(creating.bearer_auth(&manager)).await;
        let id = created["data"]["id"].as_str().unwrap().to_owned();
        let administrator = administrator.trim().to_owned();
        Invitation { server, client, administrator, manager, id, _database: database }
    }

    /// Waits until an attribute has a value; answers all attributes.
    async fn until(&self, pointer: &str, value: &str) -> Value {
        let begun = Instant::now();
        loop {
            let request = self.client.get(format!("{}/v1/onboarding-requests/{}/", self.server.url, self.id));
            let mut shown = answered(request.bearer_auth(&self.manager)).await;
            let attributes = shown["data"]["attributes"].take();
            if attributes.pointer(pointer).and_then(Value::as_str) == Some(value) {
                return attributes;
            }
            assert!(begun.elapsed() < PATIENCE, "{pointer} of {attributes}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Brings a report to one of the places for them; answers the status.
    async fn report(&self, path: &str, content_type: &str, token: Option<&str>, report: String) -> u16 {
        let request = self.client.post(format!("{}{path}", self.server.url)).header("content-type", content_type);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.body(report).send().await.unwrap().status().as_u16()
    }

    async fn notify(&self, message: &Value) -> u16 {
        self.report("/hooks/mail/ses", "text/plain; charset=UTF-8", None, message.to_string()).await
    }

    /// Type and class of each report about mails to the person, the latest outcome first.
    async fn reports(&self) -> Vec<Value> {
        let request = self.client.get(format!("{}/v1/email-logs/?filter[destination]={EMAIL}", self.server.url));
        let list = answered(request.bearer_auth(&self.administrator)).await;
        let attributes = list["data"].as_array().unwrap().iter().map(|row| &row["attributes"]);
        attributes.map(|shown| json!([shown["notification-type"], shown["bounce-type"], shown["source"]])).collect()
    }
}

/// Sends a request that must succeed; answers the body.
async fn answered(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// A status of the text message, signed by the library of the gateway: the form, and the signatures of the address with
/// its port and without it.
async fn signed_status(address: &str, status: &str) -> (String, Vec<String>) {
    let form = json!({
        "AccountSid": "AC1",
        "ApiVersion": "2010-04-01",
        "ErrorMessage": "Número & más",
        "From": SMS_FROM,
        "MessageSid": "SM1",
        "MessageStatus": status,
        "To": NUMBER,
    });
    let asked = json!({ "token": TOKEN, "address": address, "form": form });
    let told = python::run_aside(python::script("message_reports/stock_gateway.py"), asked.to_string()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let signatures = told["signatures"].as_array().unwrap().iter();
    let signatures = signatures.map(|signature| signature.as_str().unwrap().to_owned()).collect();
    (told["form"].as_str().unwrap().to_owned(), signatures)
}

/// Certificates by their paths.
type Certificates = Arc<Mutex<HashMap<String, String>>>;

async fn certificate(State(certificates): State<Certificates>, uri: Uri) -> Result<String, StatusCode> {
    certificates.lock().unwrap().get(uri.path()).cloned().ok_or(StatusCode::NOT_FOUND)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_signed_by_the_library_of_the_gateway_reaches_the_invitation() {
    let gateway = GatewayServer::start([]).await;
    let url = gateway.url();
    let it = Invitation::send(&[("REGISTRAR_SMS_URL", url.as_str()), ("REGISTRAR_SMS_FROM", SMS_FROM)]).await;
    it.until("/last-invite/sms/status", "sent").await;
    let [sent] = <[_; 1]>::try_from(gateway.requests()).unwrap();
    let address = sent.form["StatusCallback"].as_str();
    assert!(address.starts_with(&format!("{}/hooks/sms/status?message=", it.server.url)), "{address}");
    let report = async |form: &str, signature: &str| {
        let request = it.client.post(address).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("x-twilio-signature", signature).body(form.to_owned());
        request.send().await.unwrap().status().as_u16()
    };

    let (delivered, signatures) = signed_status(address, "delivered").await;
    let (failed, others) = signed_status(address, "failed").await;
    assert_eq!(signatures.len(), 2);
    for signature in &signatures {
        assert_eq!(report(&failed, signature).await, 403);
    }
    assert_eq!(report(&delivered, &others[0]).await, 403);
    it.until("/last-invite/sms/status", "sent").await;
    for signature in &signatures {
        assert_eq!(report(&delivered, signature).await, 204);
    }
    it.until("/last-invite/sms/status", "delivered").await;
    let (late, signatures) = signed_status(address, "sent").await;
    assert_eq!(report(&late, &signatures[0]).await, 204);
    it.until("/last-invite/sms/status", "delivered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_signed_by_a_stock_publisher_reach_the_invitation_and_the_list() {
    let (mails, certificates) = (MailServer::start([]).await, Certificates::default());
    let routes = Router::new().fallback(certificate).with_state(Arc::clone(&certificates));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    let url = mails.url();
    let it = Invitation::send(&[
        ("REGISTRAR_SMTP_URL", url.as_str()),
        ("REGISTRAR_MAIL_FROM", MAIL_FROM),
        ("REGISTRAR_SNS_TOPICS", "arn:aws:sns:eu-west-1:123456789012:mails"),
        ("REGISTRAR_SNS_CERT_ORIGINS", origin.as_str()),
    ])
    .await;
    it.until("/last-invite/email/status", "sent").await;
    let mail = mails.mails().into_iter().find(|mail| mail.to == EMAIL).unwrap();

    let mut publisher = python::script("message_reports/stock_publisher.py");
    publisher.args(["mails", &mail.id, EMAIL]);
    let published: Vec<Value> = serde_json::from_str(&python::run_aside(publisher, String::new()).await).unwrap();
    let mut messages = Vec::new();
    for (number, notification) in published.iter().enumerate() {
        let mut message: Value = serde_json::from_str(notification["message"].as_str().unwrap()).unwrap();
        // The address of the certificate is not signed.
        let path = format!("/SimpleNotificationService-{number}.pem");
        message["SigningCertURL"] = json!(format!("{origin}{path}"));
        let certificate = notification["certificate"].as_str().unwrap().to_owned();
        certificates.lock().unwrap().insert(path, certificate);
        messages.push(message);
    }
    let versions: Vec<_> = messages.iter().map(|message| message["SignatureVersion"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1", "2", "2"]);
    let [delayed, delivered, bounced] = <[_; 3]>::try_from(messages).unwrap();

    let mut forged = delivered.clone();
    forged["Message"] = bounced["Message"].clone();
    assert_eq!(it.notify(&forged).await, 403);
    assert_eq!(it.reports().await, Vec::<Value>::new());
    assert_eq!([it.notify(&delayed).await, it.notify(&delivered).await], [204, 204]);
    it.until("/last-invite/email/status", "delivered").await;
    assert_eq!([it.notify(&bounced).await, it.notify(&bounced).await], [204, 204]);
    let shown = it.until("/email-dsn/attributes/state", "bounced").await;
    assert_eq!(shown["email-dsn"]["attributes"]["bounce"], json!({ "type": "Permanent", "subtype": "General" }));
    assert_eq!(shown["last-invite"]["email"]["status"], "failed");
    let source = "sender@example.com";
    let expected = [
        json!(["Bounce", "Permanent", source]),
        json!(["Delivery", null, source]),
        json!(["Bounce", "Transient", source]),
    ];
    assert_eq!(it.reports().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounce_made_by_postfix_reaches_the_invitation_and_the_list() {
    // The server refuses the invitation, and takes the bounce.
    let mails = MailServer::start([Conduct::RefuseRecipient(550)]).await;
    let Some(postfix) = Postfix::start(mails.address).await else { return };
    let url = postfix.url();
    let it = Invitation::send(&[("REGISTRAR_SMTP_URL", url.as_str()), ("REGISTRAR_MAIL_FROM", MAIL_FROM)]).await;
    let begun = Instant::now();
    while mails.mails().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no bounce; Postfix has logged {}", postfix.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bounce = mails.mails().remove(0);
    assert_eq!((bounce.from.as_str(), bounce.to.as_str(), mails.transactions()), ("", MAIL_FROM, 2));
    it.until("/last-invite/email/status", "sent").await;

    let report =
        async |token: &str| it.report("/hooks/mail/dsn", "message/rfc822", Some(token), bounce.content.clone()).await;
    assert_eq!(report(&it.manager).await, 403);
    it.until("/last-invite/email/status", "sent").await;
    // The second time it is known.
    assert_eq!([report(&it.administrator).await, report(&it.administrator).await], [204, 204]);
    let shown = it.until("/email-dsn/attributes/state", "bounced").await;
    // The server has given no class of its own with its 550.
    assert_eq!(shown["email-dsn"]["attributes"]["bounce"], json!({ "type": "Permanent", "subtype": "5.0.0" }));
    assert_eq!(shown["last-invite"]["email"]["status"], "failed");
    assert_eq!(it.reports().await, [json!(["Bounce", "Permanent", MAIL_FROM])]);
}
