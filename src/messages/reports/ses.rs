//! Notifications of Amazon SES about mails: bounces, complaints, deliveries and delays, in both of its forms (feedback
//! notifications and published events).
//!
//! SES gives each mail an identifier of its own. Ours stands among the original headers, which feedback notifications have
//! where that is switched on, and published events always.

use super::{MessageReadings, Reading, address, message_id, word};
use chrono::DateTime;
use registrar_aggregates::message::report::{Outcome, RAW_BYTES_MAX, ReportSource, line, masked};
use registrar_aggregates::message::template::LINE_LENGTH_MAX;
use registrar_aggregates::values::MessageId;
use serde_json::Value;

/// Most recipients of one notification that are read. A mail of ours has one.
const RECIPIENTS_MAX: usize = 8;

/// Fate of a mail, as a notification tells it.
struct Fate<'n> {
    outcome: Outcome,
    class: &'n str,
    at: &'n str,
    /// Identifier that SES gave the bounce or the complaint.
    feedback: &'n str,
    recipients: Vec<&'n str>,
}

/// Reads a notification; `None` if it is none of SES.
#[must_use]
pub fn read(text: &str) -> Option<MessageReadings> {
    let mut notification: Value = serde_json::from_str(text).ok().filter(Value::is_object)?;
    let raw = raw(&mut notification);
    let mail = &notification["mail"];
    let message = message_of(mail);
    let Some(fate) = fate(&notification) else { return Some(MessageReadings { message, readings: vec![] }) };
    let named = if fate.recipients.is_empty() { texts(&mail["destination"], None) } else { fate.recipients.clone() };
    // A report without an address is one all the same.
    let recipients = if named.is_empty() { vec![""] } else { named };
    let reading = Reading {
        source: ReportSource::Ses,
        outcome: fate.outcome,
        class: word(fate.class),
        at: DateTime::parse_from_rfc3339(fate.at).ok().map(|at| at.to_utc()),
        mark: fate.feedback.to_owned(),
        destination: None,
        subject: mail["commonHeaders"]["subject"].as_str().and_then(|subject| line(subject, LINE_LENGTH_MAX)),
        sender: mail["source"].as_str().and_then(address),
        provider_id: mail["messageId"].as_str().and_then(word),
        raw,
    };
    let to = |recipient| Reading { destination: address(recipient), ..reading.clone() };
    let readings = recipients.into_iter().take(RECIPIENTS_MAX).map(to).collect();
    Some(MessageReadings { message, readings })
}

/// Our identifier among the original headers.
fn message_of(mail: &Value) -> Option<MessageId> {
    let common = mail["commonHeaders"]["messageId"].as_str().and_then(message_id);
    common.or_else(|| {
        let ours = mail["headers"].as_array()?.iter().filter(|header| is_header(header, "Message-ID"));
        ours.filter_map(|header| header["value"].as_str()).find_map(message_id)
    })
}

fn is_header(header: &Value, name: &str) -> bool {
    header["name"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(name))
}

fn fate(notification: &Value) -> Option<Fate<'_>> {
    let address = Some("emailAddress");
    let kind = notification["notificationType"].as_str().or_else(|| notification["eventType"].as_str())?;
    let (part, outcome, class, recipients, member) = match kind {
        "Bounce" => {
            let outcome = match notification["bounce"]["bounceType"].as_str() {
                Some("Permanent") => Outcome::Bounced,
                Some("Transient") => Outcome::Delayed,
                _ => Outcome::Undetermined,
            };
            ("bounce", outcome, "bounceSubType", "bouncedRecipients", address)
        }
        "Complaint" => ("complaint", Outcome::Complained, "complaintFeedbackType", "complainedRecipients", address),
        "Delivery" => ("delivery", Outcome::Delivered, "", "recipients", None),
        "DeliveryDelay" => ("deliveryDelay", Outcome::Delayed, "delayType", "delayedRecipients", address),
        // On its way, or nothing of the mail's fate: sent, opened, clicked.
        _ => return None,
    };
    let part = &notification[part];
    let text = |name: &str| part[name].as_str().unwrap_or_default();
    Some(Fate {
        outcome,
        class: text(class),
        at: text("timestamp"),
        feedback: text("feedbackId"),
        recipients: texts(&part[recipients], member),
    })
}

/// The texts of a list, or those of a member of its elements.
fn texts<'v>(list: &'v Value, member: Option<&str>) -> Vec<&'v str> {
    let text = |element: &'v Value| member.map_or(element, |member| &element[member]).as_str();
    list.as_array().into_iter().flatten().filter_map(text).collect()
}

/// The notification as it is kept. Codes and links of the subject are masked in the notification itself, and the encoded
/// subject among the headers is taken out. `None` if it is too long.
fn raw(notification: &mut Value) -> Option<String> {
    if let Some(subject) = notification.pointer_mut("/mail/commonHeaders/subject")
        && let Some(text) = subject.as_str().map(masked)
    {
        *subject = text.into();
    }
    if let Some(Value::Array(headers)) = notification.pointer_mut("/mail/headers") {
        headers.retain(|header| !is_header(header, "Subject"));
    }
    serde_json::to_string(notification).ok().filter(|text| text.len() <= RAW_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    const ID: MessageId = MessageId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007));

    fn mail() -> Value {
        json!({
            "timestamp": "2026-11-30T10:00:00.000Z",
            "messageId": "0102018c-aaaa-000000",
            "source": "Registrar <no-reply@example.org>",
            "destination": ["ada@example.com"],
            "headers": [
                { "name": "Message-ID", "value": format!("<{ID}@example.org>") },
                { "name": "Subject", "value": "=?utf-8?b?Q29kZSAxMjM0NTY=?=" },
            ],
            "commonHeaders": { "subject": "Code 123456", "messageId": format!("<{ID}@example.org>") },
        })
    }

    fn bounce(kind: &str) -> Value {
        json!({
            "notificationType": "Bounce",
            "bounce": {
                "bounceType": kind,
                "bounceSubType": "General",
                "bouncedRecipients": [{ "emailAddress": "ada@example.com", "status": "5.1.1" }],
                "timestamp": "2026-11-30T10:00:05.250Z",
                "feedbackId": "0102018c-bbbb-000000",
            },
            "mail": mail(),
        })
    }

    fn of(notification: &Value) -> MessageReadings {
        read(&notification.to_string()).expect("a notification")
    }

    fn outcome(notification: &Value) -> Option<Outcome> {
        of(notification).readings.first().map(|reading| reading.outcome)
    }

    #[test]
    fn a_bounce_is_read_with_everything_that_a_log_shows() {
        let MessageReadings { message, mut readings } = of(&bounce("Permanent"));
        assert_eq!((message, readings.len()), (Some(ID), 1));
        let reading = readings.remove(0);
        assert_eq!((reading.outcome, reading.class.as_deref()), (Outcome::Bounced, Some("General")));
        assert_eq!(reading.at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-11-30T10:00:05.250+00:00"));
        assert_eq!(reading.destination.as_deref(), Some("ada@example.com"));
        assert_eq!(reading.sender.as_deref(), Some("no-reply@example.org"));
        assert_eq!(reading.provider_id.as_deref(), Some("0102018c-aaaa-000000"));
        assert_eq!(reading.subject.as_deref(), Some("Code ***"));
        let raw = reading.raw.expect("a text");
        assert!(raw.contains("\"bounceType\"") && !raw.contains("123456") && !raw.contains("Q29kZSAx"), "{raw}");
    }

    #[test]
    fn outcomes_follow_from_kind_and_type() {
        assert_eq!(outcome(&bounce("Transient")), Some(Outcome::Delayed));
        assert_eq!(outcome(&bounce("Undetermined")), Some(Outcome::Undetermined));
        assert_eq!(outcome(&bounce("Nonsense")), Some(Outcome::Undetermined));
        let complaint = json!({ "complaintFeedbackType": "abuse", "complainedRecipients": [] });
        let complained = json!({ "eventType": "Complaint", "complaint": complaint, "mail": mail() });
        assert_eq!(outcome(&complained), Some(Outcome::Complained));
        let delivery = json!({ "recipients": ["Ada <ada@example.com>"], "timestamp": "2026-11-30T10:00:01.000Z" });
        let delivered = json!({ "notificationType": "Delivery", "delivery": delivery, "mail": mail() });
        assert_eq!(outcome(&delivered), Some(Outcome::Delivered));
        assert_eq!(of(&delivered).readings[0].destination.as_deref(), Some("ada@example.com"));
        let delay = json!({ "delayType": "MailboxFull", "delayedRecipients": [{ "emailAddress": "ada@example.com" }] });
        assert_eq!(
            outcome(&json!({ "eventType": "DeliveryDelay", "deliveryDelay": delay, "mail": mail() })),
            Some(Outcome::Delayed)
        );
        for other in ["Send", "Open", "Click", "Rendering Failure", "bounce"] {
            assert_eq!(outcome(&json!({ "eventType": other, "mail": mail() })), None, "{other}");
        }
    }

    #[test]
    fn a_message_is_found_by_its_header_alone() {
        let mut notification = bounce("Permanent");
        notification["mail"]["commonHeaders"] = Value::Null;
        assert_eq!(of(&notification).message, Some(ID));
        notification["mail"]["headers"] = json!([{ "name": "Message-ID" }, 7, { "value": "x" }]);
        assert_eq!(of(&notification).message, None);
        notification["mail"] = json!("x");
        let MessageReadings { message, readings } = of(&notification);
        assert_eq!((message, readings.len()), (None, 1));
    }

    #[test]
    fn a_notification_of_any_form_is_bounded() {
        for text in ["", "Successfully validated SNS topic", "[]", "7", "null", "{"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(of(&json!({})), MessageReadings { message: None, readings: vec![] });
        let mut many = bounce("Permanent");
        let hostile = format!("\u{202e}<{}\r\n>", "x".repeat(1_000));
        many["bounce"]["bouncedRecipients"] = (0..99).map(|_| json!({ "emailAddress": hostile })).collect();
        many["bounce"]["bounceSubType"] = json!("no such\nuser");
        many["mail"]["filler"] = json!("x".repeat(RAW_BYTES_MAX));
        let readings = of(&many).readings;
        assert_eq!(readings.len(), RECIPIENTS_MAX);
        for reading in readings {
            assert_eq!((reading.class, reading.raw), (None, None));
            assert!(reading.destination.is_some_and(|address| address.chars().all(|letter| letter == 'x')));
        }
    }
}
