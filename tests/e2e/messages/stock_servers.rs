//! The real program and a stock mail server: aiosmtpd takes the mails, and Python's own parser reads them.

use super::choosing::{organization, store};
use super::hostile::HEADERS;
use super::{CODE, code_to, compose, mail_by, message, obstacles, texts, until};
use crate::process::{PATIENCE, Server, registrar};
use crate::python;
use crate::support::Database;
use chrono::SubsecRound;
use registrar::messages::compose::MessageOrder;
use registrar::node::Node;
use registrar_aggregates::message::Format;
use registrar_aggregates::message::delivery::Obstacle;
use registrar_aggregates::message::template::Owner;
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::MessageId;
use registrar_projections::messages::State;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const FROM: &str = "Registrar für Ärzte <no-reply@registrar.example>";
/// Credentials that a server takes if it asks for some, and as they stand in a URL.
const CREDENTIALS: [&str; 2] = ["ada", "pass word"];
const IN_URL: &str = "ada:pass%20word@";

/// A running server; it ends with the test.
struct StockServer {
    child: Child,
    lines: mpsc::Receiver<String>,
    port: u16,
}

impl StockServer {
    /// A server with one of the certificates of the tests.
    fn start(security: &str, certificate: &str, credentials: &[&str]) -> Self {
        let mut command = python::script("messages/stock_server.py");
        command.arg(security).args(["cert", "key"].map(|part| tls_file(&format!("{certificate}.{part}.pem"))));
        let mut child = command.args(credentials).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let port = lines.recv_timeout(PATIENCE).unwrap().parse().unwrap();
        StockServer { child, lines, port }
    }

    /// The next mail, or the next attempt to sign in.
    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// Mails and attempts that were not read yet.
    fn rest(&self) -> Vec<Value> {
        self.lines.try_iter().map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls").join(name)
}

/// The real program with this mail server, whose certificate must be number one.
fn serve(database: &Database, url: &str) -> Server {
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_SMTP_URL", url).env("REGISTRAR_SMTP_CA", tls_file("one.cert.pem"));
    command.env("REGISTRAR_MAIL_FROM", FROM);
    Server::spawn(command)
}

/// Composes a message that the real program will send.
async fn composed(node: &Node, order: MessageOrder) -> MessageId {
    compose(node, &mail_by("smtp://127.0.0.1:9", None), order).await
}

/// Waits until so many attempts have failed; answers what was in their way.
async fn failures(node: &Node, id: MessageId, attempts: usize) -> Vec<Obstacle> {
    let begun = Instant::now();
    loop {
        let obstacles = obstacles(node, id).await;
        if obstacles.len() >= attempts {
            return obstacles;
        }
        assert!(begun.elapsed() < PATIENCE, "{obstacles:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn headers(mail: &Value) -> Vec<[&str; 2]> {
    let headers = mail["headers"].as_array().unwrap().iter();
    headers.map(|header| [0, 1].map(|part: usize| header[part].as_str().unwrap())).collect()
}

/// The only header of this name.
fn header<'m>(mail: &'m Value, name: &str) -> &'m str {
    let values: Vec<_> = headers(mail).into_iter().filter(|header| header[0] == name).collect();
    let [[_, value]] = &*values else { panic!("{name}: {mail}") };
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_parser_reads_mails_as_they_were_composed() {
    let database = Database::sqlite_with_tables();
    let node = database.open_as_program().await;
    let mut built_in = MessageOrder { locale: Locale::EsUs, ..code_to("ada@example.com") };
    built_in.variables.first_name = Some("Zoë".to_owned());
    // Lines that end a mail or begin a command, and one that is longer than a mail may have.
    let odd = format!(".\n..\n\n.{{{{ code }}}}\nQUIT\n{}\n", "ä".repeat(1_200));
    let acme = organization(&node, None).await;
    store(&node, Owner::Organization(acme), Locale::EnUs, Format::Txt, &odd).await;
    let own = MessageOrder { organization: Some(acme), ..code_to("grace@bücher.example") };
    let mut sent = Vec::new();
    for (order, to) in [(built_in, "ada@example.com"), (own, "grace@xn--bcher-kva.example")] {
        let id = composed(&node, order).await;
        sent.push((id, to, texts(&node, id).await.unwrap().content.clone()));
    }

    let server = StockServer::start("clear", "one", &[]);
    let _registrar = serve(&database, &format!("smtp://127.0.0.1:{}", server.port));
    for (id, ..) in &sent {
        until(&node, *id, State::Sent).await;
    }
    let mails = [server.next(), server.next()];
    for (id, to, content) in sent {
        let name = format!("<{id}@registrar.example>");
        let mail = mails.iter().find(|mail| header(mail, "Message-ID") == name).unwrap();
        assert_eq!((&mail["sender"], &mail["recipients"]), (&json!("no-reply@registrar.example"), &json!([to])));
        for (member, expected) in [("defects", json!([])), ("lines", json!(true)), ("ascii", json!(true))] {
            assert_eq!(mail[member], expected, "{member}: {mail}");
        }
        let mut names: Vec<_> = headers(mail).into_iter().map(|[name, _]| name).collect();
        names.sort_unstable();
        assert_eq!(names, HEADERS);
        let from = json!([["Registrar für Ärzte", "no-reply@registrar.example"]]);
        assert_eq!(mail["addresses"], json!({ "from": from, "to": [["", to]] }));
        assert_eq!(Some(header(mail, "Subject")), content.subject.as_deref());
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        let composed_at = message(&node, id).await.composed_at;
        assert_eq!(mail["date"], composed_at.trunc_subsecs(0).to_rfc3339());
        assert_eq!(mail["kind"], "multipart/alternative");
        let parts = mail["parts"].as_array().unwrap();
        let kinds: Vec<_> = parts.iter().map(|part| (&part[0], &part[1])).collect();
        assert_eq!(kinds, [(&json!("text/plain"), &json!("utf-8")), (&json!("text/html"), &json!("utf-8"))]);
        for (part, composed) in parts.iter().zip([content.text.as_str(), content.html.as_deref().unwrap()]) {
            assert_eq!(part[2].as_str().unwrap().trim_end(), composed.trim_end());
            assert!(composed.contains(CODE) && !composed.is_ascii());
        }
    }
    let spanish = mails.iter().find(|mail| mail["recipients"][0] == "ada@example.com").unwrap();
    assert!(!header(spanish, "Subject").is_ascii());
    assert!(spanish["parts"][0][2].as_str().unwrap().lines().any(|line| line == CODE));
    assert_eq!(server.rest(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_server_takes_a_mail_after_a_sign_in() {
    for (security, scheme, query) in
        [("clear", "smtp", ""), ("starttls", "smtp", "?tls=required"), ("tls", "smtps", "")]
    {
        let (database, server) = (Database::sqlite_with_tables(), StockServer::start(security, "one", &CREDENTIALS));
        let _registrar = serve(&database, &format!("{scheme}://{IN_URL}127.0.0.1:{}{query}", server.port));
        let node = database.open_as_program().await;
        let id = composed(&node, code_to("ada@example.com")).await;
        assert_eq!(until(&node, id, State::Sent).await.attempts, 1, "{security}");
        let encrypted = security != "clear";
        let sign_in = json!({ "event": "sign-in", "mechanism": "PLAIN", "right": true, "encrypted": encrypted });
        assert_eq!(server.next(), sign_in);
        let mail = server.next();
        assert_eq!((&mail["event"], &mail["encrypted"]), (&json!("mail"), &json!(encrypted)));
        assert_eq!(header(&mail, "Message-ID"), format!("<{id}@registrar.example>"));
        assert_eq!(server.rest(), Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_server_gets_no_mail_with_wrong_credentials() {
    let (database, server) = (Database::sqlite_with_tables(), StockServer::start("starttls", "one", &CREDENTIALS));
    let registrar = serve(&database, &format!("smtp://ada:other@127.0.0.1:{}?tls=required", server.port));
    let node = database.open_as_program().await;
    let id = composed(&node, code_to("ada@example.com")).await;
    let obstacles = failures(&node, id, 2).await;
    drop(registrar);
    assert!(obstacles.iter().all(|obstacle| *obstacle == Obstacle::Unauthorized), "{obstacles:?}");
    let told = server.rest();
    let refused = |event: &Value| event["event"] == "sign-in" && event["right"] == false && event["encrypted"] == true;
    assert!(told.len() >= 2 && told.iter().all(refused), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_server_with_another_certificate_gets_neither_password_nor_mail() {
    for (security, scheme, query) in [("starttls", "smtp", "?tls=required"), ("tls", "smtps", "")] {
        let (database, server) = (Database::sqlite_with_tables(), StockServer::start(security, "two", &CREDENTIALS));
        let registrar = serve(&database, &format!("{scheme}://{IN_URL}127.0.0.1:{}{query}", server.port));
        let node = database.open_as_program().await;
        let id = composed(&node, code_to("ada@example.com")).await;
        let obstacles = failures(&node, id, 2).await;
        drop(registrar);
        assert!(obstacles.iter().all(|obstacle| *obstacle == Obstacle::Unreachable), "{obstacles:?}");
        assert_eq!(server.rest(), Vec::<Value>::new(), "{security}");
    }
}
