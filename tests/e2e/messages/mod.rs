//! Messages to people: composed with the acts that cause them, delivered by one node, captured without a server.

pub mod choosing;
mod erased;
pub mod gateway;
mod hostile;
pub mod mail_server;
mod stock_servers;

use crate::on_both_stores;
use crate::process::{PATIENCE, registrar, run};
use crate::support::*;
use gateway::GatewayServer;
use mail_server::{CERTIFICATE, Conduct, MailServer, Security, header};
use registrar::executor::ExecuteError;
use registrar::messages::channels::{Channels, Gateway, Mailer};
use registrar::messages::compose::{ComposedMessage, MessageOrder};
use registrar::messages::inbox::InboxReader;
use registrar::messages::templates::Variables;
use registrar::messages::{Composer, delivery};
use registrar::node::Node;
use registrar_aggregates::message::delivery::{
    About, AboutKind, Composition, Content, Message, MessageCommand, MessageEvent, Obstacle,
};
use registrar_aggregates::message::report::{Outcome, Report, ReportSource};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::processes::Streams;
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{MessageId, RecipientId};
use registrar_aggregates::{DomainEvent, Refusal};
use registrar_projections::messages::{MessageDocument, MessageTexts, State};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const FROM: &str = "Registrar <no-reply@registrar.example>";
/// No six digits: those stand in some digest or time sooner or later.
const CODE: &str = "Q83-5917-Z";

/// A channel of e-mails by a server.
pub fn mail_by(url: &str, authority: Option<&[u8]>) -> Channels {
    Channels { mail: Some(Arc::new(Mailer::new(url, FROM, authority).unwrap())), texts: None }
}

fn texts_by(gateway: &GatewayServer) -> Channels {
    let gateway = Gateway::new(&gateway.url(), "+12025550199").unwrap();
    Channels { mail: None, texts: Some(Arc::new(gateway)) }
}

/// A code for an address, to a recipient of its own.
pub fn code_to(address: &str) -> MessageOrder {
    let is_number = address.starts_with('+');
    let id = Uuid::now_v7();
    MessageOrder {
        kind: if is_number { Kind::Verify } else { Kind::VerifyEmail },
        channel: if is_number { Channel::Sms } else { Channel::Email },
        locale: Locale::EnUs,
        organization: None,
        recipient: RecipientId(id),
        about: About { kind: AboutKind::User, id },
        to: address.to_owned(),
        variables: Variables {
            code: Some(CODE.to_owned()),
            first_name: Some("Ada".to_owned()),
            expires_minutes: Some(10),
            ..Variables::default()
        },
    }
}

/// Composes a message in a commit of its own.
pub async fn compose(node: &Node, channels: &Channels, order: MessageOrder) -> MessageId {
    let message = Composer::new("https://app.example.com", channels).compose(node, order).await.unwrap();
    let composed = node.executor.execute_process(&context(), |streams| message.add_to(streams)).await;
    composed.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
    message.id()
}

/// Deliveries of a node in the background, until they are dropped.
struct Deliveries(JoinHandle<()>);

impl Deliveries {
    fn start(node: &Arc<Node>, channels: &Channels) -> Self {
        Deliveries(tokio::spawn(delivery::run(Arc::clone(node), channels.clone(), CancellationToken::new())))
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn message(node: &Node, id: MessageId) -> MessageDocument {
    let found = node.documents.find::<MessageDocument>(&id.to_string()).await.unwrap();
    MessageDocument::clone(&found.value.expect("the message has a document"))
}

/// Waits until a message is in a state.
pub async fn until(node: &Node, id: MessageId, state: State) -> MessageDocument {
    let begun = Instant::now();
    loop {
        let message = message(node, id).await;
        if message.progress == state {
            return message;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "{message:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn texts(node: &Node, id: MessageId) -> Option<Arc<MessageTexts>> {
    node.documents.find::<MessageTexts>(&id.to_string()).await.unwrap().value
}

/// The events of a message.
pub async fn events(node: &Node, id: MessageId) -> Vec<MessageEvent> {
    let stored = node.journal.stream("message", &id.to_string(), 0).await.unwrap();
    let read = stored.iter().map(|event| {
        let payload = serde_json::from_str(&event.payload).unwrap();
        match DomainEvent::from_payload("message", payload).unwrap() {
            DomainEvent::Message(event) => event,
            other => panic!("{other:?}"),
        }
    });
    read.collect()
}

/// The obstacles of the attempts that failed and were followed by another one.
pub async fn obstacles(node: &Node, id: MessageId) -> Vec<Obstacle> {
    let deferred = |event| match event {
        MessageEvent::Deferred { obstacle, .. } => Some(obstacle),
        _ => None,
    };
    events(node, id).await.into_iter().filter_map(deferred).collect()
}

/// Fails if a mark is in the clear in any table.
async fn assert_nowhere(database: &Database, marks: &[&str]) {
    let mut sql = database.sql().await;
    for table in sql.tables().await {
        for row in sql.rows(&table).await {
            for mark in marks {
                let found = row.contains(mark) || row.contains(&hex(mark.as_bytes()));
                assert!(!found, "{mark} stands in {table}: {row}");
            }
        }
    }
}

on_both_stores! {
    async fn a_message_is_sent_once_and_stands_nowhere_in_the_clear(database) {
        let (node, server) = (database.open().await, MailServer::start([]).await);
        let channels = mail_by(&server.url(), None);
        let id = compose(&node, &channels, code_to("ada@marked.example")).await;
        assert_eq!(message(&node, id).await.progress, State::Waiting);
        assert_eq!(texts(&node, id).await.unwrap().content.code.as_deref(), Some(CODE));
        assert_nowhere(&database, &[CODE, "marked.example"]).await;

        let deliveries = Deliveries::start(&node, &channels);
        let sent = until(&node, id, State::Sent).await;
        assert_eq!((sent.attempts, sent.answer, sent.obstacle), (1, Some(250), None));
        assert!(texts(&node, id).await.is_none(), "address and texts are gone from the documents");
        let [mail] = <[_; 1]>::try_from(server.mails()).unwrap();
        assert_eq!((mail.from.as_str(), mail.to.as_str()), ("no-reply@registrar.example", "ada@marked.example"));
        assert_eq!(mail.id, format!("<{id}@registrar.example>"));
        for (name, value) in [("From", FROM), ("To", "ada@marked.example"), ("Auto-Submitted", "auto-generated")] {
            assert_eq!(header(&mail.content, name), value);
        }
        assert!(mail.content.contains("multipart/alternative"), "{}", mail.content);
        for part in ["text/plain", "text/html", CODE] {
            assert!(mail.content.contains(part), "{part}: {}", mail.content);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(deliveries);
        assert_eq!(server.transactions(), 1);
        assert_nowhere(&database, &[CODE, "marked.example"]).await;
        let events = events(&node, id).await;
        let [MessageEvent::Composed(_), MessageEvent::AttemptStarted { number: 1, .. }, MessageEvent::Sent { .. }] = &*events
        else {
            panic!("{events:?}")
        };
    }

    async fn a_message_is_tried_again_after_passing_failures_under_one_identifier(database) {
        let plan = [Conduct::RefuseRecipient(450), Conduct::RefuseContent(451), Conduct::DieAfterContent];
        let (node, server) = (database.open().await, MailServer::start(plan).await);
        let channels = mail_by(&server.url(), None);
        let id = compose(&node, &channels, code_to("ada@example.com")).await;
        let _deliveries = Deliveries::start(&node, &channels);
        let begun = Instant::now();
        let sent = until(&node, id, State::Sent).await;
        assert!(begun.elapsed() >= Duration::from_millis(6_500), "1, 2 and 4 seconds lie between the attempts");
        assert_eq!(sent.attempts, 4);
        let expected = [Obstacle::Postponed, Obstacle::Postponed, Obstacle::Interrupted];
        assert_eq!(obstacles(&node, id).await, expected);
        // The connection ended after the content: the client could not know that it was accepted.
        let mails = server.mails();
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[0].id, mails[1].id);
        assert_eq!(header(&mails[0].content, "Date"), header(&mails[1].content, "Date"));
    }

    async fn a_refusal_for_good_ends_a_message(database) {
        for conduct in [Conduct::RefuseRecipient(550), Conduct::RefuseContent(554)] {
            let (node, server) = (database.open().await, MailServer::start([conduct]).await);
            let channels = mail_by(&server.url(), None);
            let id = compose(&node, &channels, code_to("ada@marked.example")).await;
            let _deliveries = Deliveries::start(&node, &channels);
            let failed = until(&node, id, State::Failed).await;
            assert_eq!((failed.attempts, failed.obstacle), (1, Some(Obstacle::Rejected)));
            assert!(failed.answer.is_some_and(|answer| [550, 554].contains(&answer)));
            assert!(texts(&node, id).await.is_none());
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!((server.transactions(), server.mails().len()), (1, 0));
            // The server's words repeat the address.
            assert_nowhere(&database, &[CODE, "marked.example"]).await;
        }
    }

    async fn a_message_composed_by_a_clock_that_was_ahead_is_sent_all_the_same(database) {
        let (node, server) = (database.open().await, MailServer::start([]).await);
        let MessageOrder { kind, channel, locale, recipient, about, to, .. } = code_to("ada@example.com");
        let (id, composed_at) = (MessageId(Uuid::now_v7()), chrono::Utc::now() + chrono::TimeDelta::days(1));
        let (subject, html) = (Some("Code".to_owned()), Some(format!("<p>{CODE}</p>")));
        let content = Content { subject, text: CODE.to_owned(), html, code: None, link: None };
        let composition =
            Composition { id, channel, kind, locale, organization_id: None, recipient, about, to, content, composed_at };
        let compose = MessageCommand::Compose { composition: Box::new(composition), captured: false };
        node.executor.execute::<Message>(&context(), &id.to_string(), compose, None).await.unwrap();
        let _deliveries = Deliveries::start(&node, &mail_by(&server.url(), None));
        assert_eq!(until(&node, id, State::Sent).await.attempts, 1);
    }

    async fn a_server_that_hangs_keeps_no_other_message_back(database) {
        let (node, server) = (database.open().await, MailServer::start([Conduct::Hang]).await);
        let gateway = GatewayServer::start([]).await;
        let channels = Channels { texts: texts_by(&gateway).texts, ..mail_by(&server.url(), None) };
        let hanging = compose(&node, &channels, code_to("ada@example.com")).await;
        let _deliveries = Deliveries::start(&node, &channels);
        until(&node, hanging, State::Attempting).await;
        for address in ["grace@example.com", "+12025550123"] {
            let other = compose(&node, &channels, code_to(address)).await;
            until(&node, other, State::Sent).await;
        }
        assert_eq!(message(&node, hanging).await.progress, State::Attempting);
    }

    async fn messages_that_cannot_be_attempted_keep_no_other_one_back(database) {
        let (node, server) = (database.open().await, MailServer::start([]).await);
        let channels = mail_by(&server.url(), None);
        // More than a look at the queue reads.
        for number in 0..30 {
            compose(&node, &channels, code_to(&format!("ada{number}@example.com"))).await;
        }
        let mut sql = database.sql().await;
        let table = format!("messages_g{}", sql.number("SELECT generation FROM journal_head").await);
        let alter = format!("UPDATE {table} SET body = replace(body, '\"attempts\":0', '\"attempts\":5')");
        assert_eq!(sql.run(&alter).await.unwrap(), 30);
        let other = compose(&node, &channels, code_to("grace@example.com")).await;
        let _deliveries = Deliveries::start(&node, &channels);
        until(&node, other, State::Sent).await;
        assert_eq!(server.transactions(), 1);
    }

    async fn an_attempt_without_an_end_is_cut_off_by_the_next_leader(database) {
        let (node, server) = (database.open().await, MailServer::start([]).await);
        let channels = mail_by(&server.url(), None);
        let id = compose(&node, &channels, code_to("ada@example.com")).await;
        let start = MessageCommand::StartAttempt { number: 1, at: chrono::Utc::now() };
        node.executor.execute::<Message>(&context(), &id.to_string(), start, None).await.unwrap();
        let begun = Instant::now();
        let _deliveries = Deliveries::start(&node, &channels);
        assert_eq!(until(&node, id, State::Sent).await.attempts, 2);
        assert!(begun.elapsed() >= Duration::from_secs(5), "the former leader has time to notice");
        assert_eq!(obstacles(&node, id).await, [Obstacle::CutOff]);
        assert_eq!(server.mails().len(), 1);
    }

    async fn of_two_nodes_one_delivers(database) {
        let server = MailServer::start([]).await;
        let (a, b) = tokio::join!(database.open(), database.open());
        let channels = mail_by(&server.url(), None);
        let (one, _two) = (Deliveries::start(&a, &channels), Deliveries::start(&b, &channels));
        let mut ids = Vec::new();
        for number in 0..10 {
            ids.push(compose(&b, &channels, code_to(&format!("ada{number}@example.com"))).await);
        }
        for id in &ids {
            until(&a, *id, State::Sent).await;
        }
        drop(one);
        for number in 10..20 {
            ids.push(compose(&a, &channels, code_to(&format!("ada{number}@example.com"))).await);
        }
        for id in &ids {
            until(&b, *id, State::Sent).await;
        }
        let mut sent: Vec<_> = server.mails().into_iter().map(|mail| mail.id).collect();
        sent.sort();
        sent.dedup();
        assert_eq!((sent.len(), server.mails().len()), (20, 20));
    }

    async fn a_message_without_a_server_is_captured(database) {
        let node = database.open().await;
        let none = Channels::default();
        let at_once = compose(&node, &none, code_to("ada@example.com")).await;
        assert_eq!(message(&node, at_once).await.progress, State::Captured);
        // Composed where a server was configured, which is gone by now.
        let later = compose(&node, &mail_by("smtp://127.0.0.1:9", None), code_to("grace@example.com")).await;
        let _deliveries = Deliveries::start(&node, &none);
        until(&node, later, State::Captured).await;
        let mut reader = InboxReader::default();
        let read: Vec<_> = reader.next(&node).await.unwrap().iter().map(|captured| captured.message.id).collect();
        assert_eq!(read, [at_once, later]);
        assert!(reader.next(&node).await.unwrap().is_empty());
        let third = compose(&node, &none, code_to("+12025550123")).await;
        let read = reader.next(&node).await.unwrap();
        assert!(read.len() == 1 && read[0].message.id == third && read[0].is_to("+12025550123"));
        assert_nowhere(&database, &[CODE, "ada@example.com"]).await;
    }

    async fn a_reader_misses_none_of_the_messages_of_one_moment(database) {
        let (node, composer) = (database.open().await, Composer::new("https://app.example.com", &Channels::default()));
        let mut reader = InboxReader::default();
        let mut composed = Vec::new();
        for number in 0..250 {
            let order = code_to(&format!("ada{number}@example.com"));
            composed.push(composer.compose(&node, order).await.unwrap());
        }
        let (together, later) = composed.split_at(130);
        for messages in [together, later] {
            // In one commit, so that all were captured at the same time.
            let add = |streams: &mut Streams| messages.iter().try_for_each(|message| message.add_to(streams));
            let stored = node.executor.execute_process(&context(), add).await;
            stored.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
            let mut read = Vec::new();
            loop {
                let page = reader.next(&node).await.unwrap();
                if page.is_empty() {
                    break;
                }
                read.extend(page.iter().map(|captured| captured.message.id));
            }
            let mut expected: Vec<_> = messages.iter().map(ComposedMessage::id).collect();
            read.sort();
            expected.sort();
            assert_eq!(read, expected);
        }
    }

    async fn a_captured_message_is_read_once_whatever_is_reported_of_it(database) {
        let (node, none) = (database.open().await, Channels::default());
        let id = compose(&node, &none, code_to("ada@example.com")).await;
        let mut reader = InboxReader::default();
        assert_eq!(reader.next(&node).await.unwrap().len(), 1);
        let report = Report {
            id: "cmVwb3J0".into(),
            source: ReportSource::Dsn,
            outcome: Outcome::Bounced,
            class: None,
            at: chrono::Utc::now(),
            destination: None,
            destination_key: None,
            subject: None,
            sender: None,
            provider_id: None,
            raw: None,
        };
        let record = MessageCommand::RecordReport(Box::new(report));
        node.executor.execute::<Message>(&context(), &id.to_string(), record, None).await.unwrap();
        assert!(message(&node, id).await.report.is_some());
        assert!(reader.next(&node).await.unwrap().is_empty());
        assert_eq!(InboxReader::default().next(&node).await.unwrap().len(), 1);
    }

    async fn a_text_message_goes_to_the_gateway(database) {
        let (node, gateway) = (database.open().await, GatewayServer::start([503, 429]).await);
        let channels = texts_by(&gateway).reporting_to("http://127.0.0.1:8080");
        let id = compose(&node, &channels, code_to("+12025550123")).await;
        let _deliveries = Deliveries::start(&node, &channels);
        let sent = until(&node, id, State::Sent).await;
        assert_eq!((sent.attempts, sent.answer), (3, Some(201)));
        assert_eq!(obstacles(&node, id).await, [Obstacle::Postponed, Obstacle::Postponed]);
        let requests = gateway.requests();
        assert_eq!(requests.len(), 3);
        // AC1:to:ken
        assert_eq!(requests[0].authorization, "Basic QUMxOnRvOmtlbg==");
        let form = &requests[2].form;
        assert_eq!((form["To"].as_str(), form["From"].as_str()), ("+12025550123", "+12025550199"));
        assert!(form["Body"].lines().any(|line| line == CODE), "{}", form["Body"]);
        assert_eq!(form["StatusCallback"], format!("http://127.0.0.1:8080/hooks/sms/status?message={id}"));
    }

    async fn a_message_that_the_gateway_refuses_is_not_tried_again(database) {
        let (node, gateway) = (database.open().await, GatewayServer::start([400]).await);
        let channels = texts_by(&gateway);
        let id = compose(&node, &channels, code_to("+12025550123")).await;
        let _deliveries = Deliveries::start(&node, &channels);
        let failed = until(&node, id, State::Failed).await;
        assert_eq!((failed.attempts, failed.answer, failed.obstacle), (1, Some(400), Some(Obstacle::Rejected)));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(gateway.requests().len(), 1);
    }

    async fn the_inbox_prints_captured_messages_beside_a_server(database) {
        let server = crate::process::Server::start(&database.settings);
        let node = database.open_as_program().await;
        let none = Channels::default();
        let id = compose(&node, &none, code_to("Ada@example.com")).await;
        compose(&node, &none, code_to("grace@example.com")).await;
        let printed = run(&database.settings, &["inbox", "--to", "ada@EXAMPLE.com"]);
        let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [message] = &*lines else { panic!("{printed}") };
        let mut members: Vec<_> = message.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let expected = ["at", "channel", "code", "html", "id", "kind", "link", "locale", "subject", "text", "to"];
        assert_eq!(members, expected);
        for (member, value) in [
            ("id", id.to_string().as_str()),
            ("channel", "email"),
            ("kind", "verify-email"),
            ("locale", "en_US"),
            ("to", "Ada@example.com"),
            ("code", CODE),
        ] {
            assert_eq!(message[member], value);
        }
        assert_eq!(message["link"], Value::Null);
        assert!(message["text"].as_str().unwrap().contains(CODE) && message["html"].as_str().unwrap().contains("<p"));
        assert_eq!(run(&database.settings, &["inbox"]).lines().count(), 2);

        let mut following = registrar(&database.settings, &["inbox", "--follow", "--to", "+12025550123"]);
        let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        compose(&node, &none, code_to("+12025550123")).await;
        let line = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["channel"], "sms");
        assert_eq!((&message["html"], &message["subject"]), (&Value::Null, &Value::Null));
        following.kill().unwrap();
        following.wait().unwrap();
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_tls_to_a_server_whose_certificate_is_trusted() {
    let database = Database::sqlite_with_tables();
    let node = database.open().await;
    for security in [Security::StartTls, Security::Tls] {
        let server = MailServer::start_with(security, []).await;
        let url = match security {
            Security::Tls => format!("smtps://ada:pass%20word@{}", server.address),
            _ => format!("smtp://ada:pass%20word@{}?tls=required", server.address),
        };
        let distrusting = mail_by(&url, None);
        let id = compose(&node, &distrusting, code_to("ada@example.com")).await;
        let deliveries = Deliveries::start(&node, &distrusting);
        let begun = Instant::now();
        while obstacles(&node, id).await.is_empty() {
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(deliveries);
        assert_eq!(obstacles(&node, id).await[0], Obstacle::Unreachable);
        assert_eq!((server.transactions(), server.sign_ins()), (0, vec![]));

        let trusting = mail_by(&url, Some(CERTIFICATE.as_bytes()));
        let _deliveries = Deliveries::start(&node, &trusting);
        until(&node, id, State::Sent).await;
        assert!(server.mails().iter().all(|mail| mail.encrypted) && server.mails().len() == 1);
        // NUL ada NUL pass word
        assert_eq!(server.sign_ins(), ["AGFkYQBwYXNzIHdvcmQ="]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_offer_tls_gets_neither_password_nor_message() {
    let database = Database::sqlite_with_tables();
    let (node, server) = (database.open().await, MailServer::start([]).await);
    let url = format!("smtp://ada:password@{}?tls=required", server.address);
    let channels = mail_by(&url, Some(CERTIFICATE.as_bytes()));
    let id = compose(&node, &channels, code_to("ada@example.com")).await;
    let _deliveries = Deliveries::start(&node, &channels);
    let begun = Instant::now();
    while obstacles(&node, id).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((server.transactions(), server.sign_ins()), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_the_clear_behind_the_one_to_starttls_end_the_connection() {
    let database = Database::sqlite_with_tables();
    let (node, server) = (database.open().await, MailServer::start_with(Security::StartTlsInjected, []).await);
    let url = format!("smtp://ada:password@{}?tls=required", server.address);
    let channels = mail_by(&url, Some(CERTIFICATE.as_bytes()));
    let id = compose(&node, &channels, code_to("ada@example.com")).await;
    let _deliveries = Deliveries::start(&node, &channels);
    let begun = Instant::now();
    while obstacles(&node, id).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(obstacles(&node, id).await[0], Obstacle::Unreachable);
    assert_eq!((server.transactions(), server.sign_ins()), (0, vec![]));
}
