//! Reports about messages: those of Amazon SES, of mail servers and of the gateway, and the list of those about
//! mails.

mod invitations;
mod mail_servers;
mod notifications;
mod publisher;
mod texts;

use crate::app::Identity;
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{LISTED_ONLY, List, NOT_CHANGED, Resource};
use crate::ecg_app::{Answer, Call};
use crate::matrix::world::{Request, World};
use crate::on_both_stores;
use crate::suite::Suite;
use crate::support::Database;
use publisher::Publisher;
use registrar::executor::{ExecuteError, RequestContext};
use registrar::messages::Composer;
use registrar::messages::compose::MessageOrder;
use registrar::messages::templates::Variables;
use registrar::node::Node;
use registrar_aggregates::Refusal;
use registrar_aggregates::message::delivery::{About, AboutKind};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{MessageId, RecipientId};
use serde_json::{Value, json};
use std::future::ready;
use uuid::Uuid;

const LOGS: &str = "/v1/email-logs/";
const SES: &str = "/hooks/mail/ses";
const DSN: &str = "/hooks/mail/dsn";
/// Content type of mails.
const MAIL: &str = "message/rfc822";
/// A bounce as Postfix writes it, of a message with this identifier to this address.
const BOUNCE: &str = include_str!("../../../src/messages/reports/dsn_bounce.eml");
const BOUNCED: (&str, &str) = ("01900000-0000-7000-8000-000000000007", "ada@example.com");

pub const SUITE: Suite = Suite {
    tests: &[("list-email-logs", reports_are_listed_the_latest_outcome_first::TEST)],
    table: "
        list-email-logs  200 administrator system, 403 others
    ",
    request: |_, operation, _| Box::pin(ready((operation == "list-email-logs").then(|| Request::to(LOGS)))),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "email-logs",
    caller: "system",
    create: Lacks("is written by reports"),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-email-logs",
        rows: |world| {
            Box::pin(async move {
                for _ in 0..3 {
                    let report = mail_report(world).await;
                    let system = world.caller("system").authorization.clone();
                    assert_eq!(world.send("POST", &report, system.as_deref(), &[]).await.status, 204);
                }
                format!("filter[destination]={}", BOUNCED.1)
            })
        },
        paged: Has(()),
        scope: Lacks("only the system lists them"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("every report is a new one"),
};

/// A report of a mail server about a new message.
pub async fn mail_report(world: &World) -> Request {
    let message = message_to(world.identity.node(), BOUNCED.1).await;
    Request::to(DSN).text(MAIL, bounce_of(message, BOUNCED.1))
}

/// Composes a message to an address or a number, in a commit of its own.
async fn message_to(node: &Node, address: &str) -> MessageId {
    let (id, is_number) = (Uuid::now_v7(), address.starts_with('+'));
    let order = MessageOrder {
        kind: if is_number { Kind::Verify } else { Kind::VerifyEmail },
        channel: if is_number { Channel::Sms } else { Channel::Email },
        locale: Locale::EnUs,
        organization: None,
        recipient: RecipientId(id),
        about: About { kind: AboutKind::User, id },
        to: address.to_owned(),
        variables: Variables { code: Some("Q83-5917-Z".to_owned()), expires_minutes: Some(10), ..Variables::default() },
    };
    let message = Composer::default().compose(node, order).await.unwrap();
    let composed = node.executor.execute_process(&RequestContext::system(), |streams| message.add_to(streams)).await;
    composed.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
    message.id()
}

/// The bounce of a message to an address.
fn bounce_of(message: MessageId, address: &str) -> String {
    BOUNCE.replace(BOUNCED.0, &message.to_string()).replace(BOUNCED.1, address)
}

/// The names of the events of a message.
async fn events(it: &Identity, message: MessageId) -> Vec<String> {
    let events = it.node().journal.stream("message", &message.to_string(), 0).await.unwrap();
    events.into_iter().map(|event| event.event_type).collect()
}

/// Number of reports that are recorded of a message.
async fn reports(it: &Identity, message: MessageId) -> usize {
    events(it, message).await.iter().filter(|name| *name == "message.reported").count()
}

/// Sends a request that must be answered; it may store anything.
async fn taken(call: Call<'_>) {
    let answer = call.send().await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{answer:?}");
}

/// Sends a request that must be refused and must store nothing.
async fn refused(it: &Identity, call: Call<'_>, status: u16) -> Answer {
    let head = it.head().await;
    let answer = call.send().await;
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(it.head().await, head, "something was stored: {answer:?}");
    answer
}

/// Sends a request that is taken and must store nothing.
async fn taken_for_nothing(it: &Identity, call: Call<'_>) {
    refused(it, call, 204).await;
}

impl Identity {
    /// A call of a mail server with this mail, with the token of the administrator.
    fn mailed(&self, mail: impl Into<String>) -> Call<'_> {
        self.app.call("POST", DSN).header("content-type", MAIL).bytes(mail.into())
    }

    async fn logs(&self, query: &str) -> Vec<Value> {
        let list = self.get(&self.system, &format!("{LOGS}?{query}")).await;
        list["data"].as_array().unwrap().clone()
    }
}

/// Values of an attribute, row by row.
fn attributes(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row["attributes"][name].clone()).collect()
}

/// A notification about a message; `part` is the rest of it.
fn notification(message: MessageId, address: &str, part: Value) -> Value {
    let mut notification = json!({
        "mail": {
            "timestamp": "2026-01-31T08:00:00.000Z",
            "messageId": "0102018c-aaaa-000000",
            "source": "no-reply@example.org",
            "destination": [address],
            "headers": [
                { "name": "Message-ID", "value": format!("<{message}@example.org>") },
                { "name": "Subject", "value": "Code 123456" },
            ],
            "commonHeaders": { "subject": "Code 123456", "messageId": format!("<{message}@example.org>") },
        },
    });
    notification.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    notification
}

fn bounce(message: MessageId, address: &str, kind: &str, at: &str) -> Value {
    let bounce = json!({
        "bounceType": kind,
        "bounceSubType": "General",
        "bouncedRecipients": [{ "emailAddress": address, "diagnosticCode": "smtp; 550 5.1.1" }],
        "timestamp": at,
        "feedbackId": "0102018c-bbbb-000000",
    });
    notification(message, address, json!({ "notificationType": "Bounce", "bounce": bounce }))
}

fn delivery(message: MessageId, address: &str, at: &str) -> Value {
    let delivery = json!({ "timestamp": at, "recipients": [address], "smtpResponse": "250 ok" });
    notification(message, address, json!({ "notificationType": "Delivery", "delivery": delivery }))
}

/// Fails if a mark is in the clear in any table.
async fn assert_nowhere(database: &Database, marks: &[&str]) {
    let mut sql = database.sql().await;
    for table in sql.tables().await {
        for row in sql.rows(&table).await {
            for mark in marks {
                let hexadecimal = crate::support::hex(mark.as_bytes());
                assert!(!row.contains(mark) && !row.contains(&hexadecimal), "{mark} stands in {table}: {row}");
            }
        }
    }
}

on_both_stores! {
    async fn reports_are_listed_the_latest_outcome_first(database) {
        let (it, sns) = Publisher::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        taken(it.mailed(bounce_of(mail, "ada@example.com"))).await;
        let late = delivery(mail, "Ada@example.com", "2026-01-31T08:00:05.250Z");
        taken(sns.call(&it, &sns.notification(&late))).await;
        let early = bounce(mail, "ada@example.com", "Transient", "2026-01-31T08:00:01.000Z");
        taken(sns.call(&it, &sns.notification(&early))).await;

        let rows = it.logs("").await;
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row["id"].is_u64() && row["type"] == "email-logs"), "{rows:?}");
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert!(ids.is_sorted(), "by outcome, not by arrival: {ids:?}");
        let bounced = rows.iter().find(|row| row["attributes"]["bounce-type"] == "Permanent").unwrap();
        let shown = &bounced["attributes"];
        assert_eq!(*shown, json!({
            "bounce-subtype": "5.1.1",
            "bounce-type": "Permanent",
            "destination": "ada@example.com",
            "event-received": shown["event-received"],
            "notification-type": "Bounce",
            "ses-id": null,
            "ses-raw": null,
            "source": "no-reply@example.org",
            "subject": "Code ***",
            "timestamp": shown["timestamp"],
        }));
        let of_ses: Vec<_> = rows.iter().filter(|row| row["attributes"]["ses-id"].is_string()).cloned().collect();
        assert_eq!(attributes(&of_ses, "timestamp"), ["2026-01-31 08:00:05", "2026-01-31 08:00:01"]);
        assert_eq!(attributes(&of_ses, "notification-type"), ["Delivery", "Bounce"]);
        assert_eq!(attributes(&of_ses, "bounce-type"), [Value::Null, json!("Transient")]);
        assert_eq!(attributes(&of_ses, "bounce-subtype"), [Value::Null, json!("General")]);
        assert_eq!(attributes(&of_ses, "destination"), ["Ada@example.com", "ada@example.com"]);
        assert_eq!(attributes(&of_ses, "ses-id"), ["0102018c-aaaa-000000"; 2]);
        let raw = &of_ses[1]["attributes"]["ses-raw"];
        assert_eq!(raw["bounce"], early["bounce"]);
        assert_eq!(raw["mail"]["commonHeaders"]["subject"], "Code ***");
        assert_eq!(raw["mail"]["headers"].as_array().unwrap().len(), 1, "{raw}");
    }

    async fn reports_are_found_by_address_and_by_time(database) {
        let (it, sns) = Publisher::open(&database).await;
        for (address, at) in [
            ("ada@example.com", "2026-01-31T08:00:00.000Z"),
            ("ADA@example.com", "2026-01-31T09:00:00.000Z"),
            ("grace@example.com", "2026-01-31T10:00:00.000Z"),
        ] {
            let mail = message_to(it.node(), address).await;
            taken(sns.call(&it, &sns.notification(&delivery(mail, address, at)))).await;
        }
        let found = async |query: &str| attributes(&it.logs(query).await, "timestamp");
        let hours = |hours: &[u32]| hours.iter().map(|hour| json!(format!("2026-01-31 {hour:02}:00:00"))).collect::<Vec<_>>();
        let [since, until] = ["gte", "lte"].map(|bound| format!("filter[timestamp][{bound}]=2026-01-31 "));
        for (query, expected) in [
            ("filter[destination]=Ada@Example.com".to_owned(), hours(&[9, 8])),
            ("filter[destination]=grace@example.com".to_owned(), hours(&[10])),
            ("filter[destination]=eve@example.com".to_owned(), vec![]),
            ("filter[destination]=nobody".to_owned(), vec![]),
            (format!("{since}09:00:00"), hours(&[10, 9])),
            (format!("{until}09:00:00"), hours(&[9, 8])),
            (format!("{since}08:00:01&{until}09:59:59"), hours(&[9])),
            (format!("{since}10:00:00&{until}09:00:00"), vec![]),
            (format!("filter[destination]=ada@example.com&{since}08:30:00"), hours(&[9])),
            ("page[limit]=1&page[offset]=1".to_owned(), hours(&[9])),
        ] {
            assert_eq!(found(&query.replace(' ', "%20")).await, expected, "{query}");
        }
        for (query, parameter) in [
            ("filter[timestamp][gte]=yesterday", "filter[timestamp][gte]"),
            ("filter[timestamp][lte]=2026-13-01%2000:00:00", "filter[timestamp][lte]"),
            ("page[limit]=0", "page[limit]"),
        ] {
            let error = it.get_refused(&it.system, &format!("{LOGS}?{query}"), 400, "validation-error").await;
            assert_eq!(error["source"]["parameter"], parameter);
        }
    }

    async fn personal_values_of_a_report_stand_nowhere_in_the_clear(database) {
        let (it, sns) = Publisher::open(&database).await;
        let address = "ada@marked.example";
        let mail = message_to(it.node(), address).await;
        taken(it.mailed(bounce_of(mail, address).replace("Code 123456", "Marked subject"))).await;
        taken(sns.call(&it, &sns.notification(&delivery(mail, address, "2026-01-31T08:00:00.000Z")))).await;
        let number = message_to(it.node(), "+12025550147").await;
        taken(texts::call(&it, number, "MessageSid=SM1&MessageStatus=delivered&To=%2B12025550147")).await;
        assert_eq!(reports(&it, mail).await + reports(&it, number).await, 3);
        assert_eq!(attributes(&it.logs("").await, "destination"), [address; 2]);
        assert_nowhere(&database, &["marked.example", "Marked subject", "2025550147"]).await;
    }
}
