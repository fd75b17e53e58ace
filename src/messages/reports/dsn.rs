//! Delivery status notifications: mails by which mail servers say what became of a mail (RFC 3464).
//!
//! Anyone may write such a mail and send it where those of mail servers arrive, so reading is bounded: the first part of
//! the mail, of each line as much as a mail may have (a longer one takes the parser quadratic time), few parts, few
//! recipients. Of the mail that came back only headers are read; its texts may hold a code, and are not kept.

use super::{MessageReadings, Reading, address, message_id, word};
use chrono::{DateTime, Utc};
use mailparse::{MailHeader, MailHeaderMap, ParsedMail, parse_headers, parse_mail};
use registrar_aggregates::message::report::{Outcome, RAW_BYTES_MAX, ReportSource, line, masked};
use registrar_aggregates::message::template::LINE_LENGTH_MAX;
use registrar_aggregates::values::MessageId;

/// Part of a notification that is read, in bytes. The mail that came back is the last thing in it.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Longest part of a line that is read, in bytes (RFC 5322 2.1.1).
const LINE_BYTES_MAX: usize = 998;
/// Most parts that are looked at. A notification has three.
const PARTS_MAX: usize = 8;
/// Most recipients that are read. A mail of ours has one.
const RECIPIENTS_MAX: usize = 8;

const STATUS: [&str; 2] = ["message/delivery-status", "message/global-delivery-status"];
const ORIGINAL: [&str; 4] = ["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"];

/// Reads a notification; `None` for a mail that is none.
#[must_use]
pub fn read(mail: &[u8]) -> Option<MessageReadings> {
    let mail = bounded(mail);
    let mail = parse_mail(&mail).ok().filter(|mail| mail.ctype.mimetype == "multipart/report")?;
    let status = body(part(&mail, &STATUS)?)?;
    let original = part(&mail, &ORIGINAL).and_then(body);
    let original = original.as_deref().map(|original| headers(original.as_bytes())).unwrap_or_default();
    let dated = mail.headers.get_first_value("Date").and_then(|date| time(&date));
    let subject = original.get_first_value("Subject").map(|subject| masked(&subject));
    let reading = Reading {
        source: ReportSource::Dsn,
        outcome: Outcome::Undetermined,
        class: None,
        at: dated,
        mark: String::new(),
        destination: None,
        subject: subject.and_then(|subject| line(&subject, LINE_LENGTH_MAX)),
        sender: original.get_first_value("From").as_deref().and_then(address),
        provider_id: None,
        raw: Some(shortened(&status).to_owned()),
    };
    let recipients = groups(&status);
    let readings = recipients.iter().filter_map(|group| of_recipient(&headers(group.as_bytes()), &reading));
    let readings = readings.take(RECIPIENTS_MAX).collect();
    Some(MessageReadings { message: message_of(&original, &mail), readings })
}

/// A mail of bounded size, with lines of bounded length.
fn bounded(mail: &[u8]) -> Vec<u8> {
    let mail = &mail[..mail.len().min(READ_BYTES_MAX)];
    let mut bounded = Vec::with_capacity(mail.len());
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.len() <= LINE_BYTES_MAX {
            bounded.extend_from_slice(line);
        } else {
            bounded.extend_from_slice(&line[..LINE_BYTES_MAX]);
            bounded.push(b'\n');
        }
    }
    bounded
}

/// The first part of one of these types.
fn part<'m>(mail: &'m ParsedMail<'m>, types: &[&str]) -> Option<&'m ParsedMail<'m>> {
    mail.subparts.iter().take(PARTS_MAX).find(|part| types.contains(&part.ctype.mimetype.as_str()))
}

fn body(part: &ParsedMail<'_>) -> Option<String> {
    part.get_body_raw().ok().map(|body| String::from_utf8_lossy(&body).into_owned())
}

fn headers(text: &[u8]) -> Vec<MailHeader<'_>> {
    parse_headers(text).map(|(headers, _)| headers).unwrap_or_default()
}

/// The groups of fields: the first one about the mail, then one about each recipient.
fn groups(status: &str) -> Vec<String> {
    let mut groups = vec![String::new()];
    for line in status.lines() {
        let is_blank = line.trim().is_empty();
        let has_fields = groups.last().is_some_and(|group| !group.is_empty());
        if is_blank && has_fields && groups.len() <= RECIPIENTS_MAX {
            groups.push(String::new());
        } else if !is_blank && let Some(group) = groups.last_mut() {
            // Groups beyond the bound are added to the last one, whose first fields count.
            group.push_str(line);
            group.push('\n');
        }
    }
    groups
}

/// The reading of a group about a recipient; `None` for the group about the mail, and where it was only handed on.
fn of_recipient(fields: &[MailHeader<'_>], reading: &Reading) -> Option<Reading> {
    let field = |name: &str| fields.get_first_value(name);
    let recipient = field("Original-Recipient").or_else(|| field("Final-Recipient"))?;
    let status = field("Status").unwrap_or_default();
    let status = status.split_whitespace().next().unwrap_or_default();
    let action = field("Action").unwrap_or_default().trim().to_lowercase();
    let outcome = match (action.as_str(), status.split('.').next()) {
        // A server that has given up says so with the status of its last attempt, which may be a passing one.
        ("failed", _) => Outcome::Bounced,
        ("delayed", _) => Outcome::Delayed,
        ("delivered", _) => Outcome::Delivered,
        // Handed on to a server that sends no notifications, or to the members of a list.
        ("relayed" | "expanded", _) => return None,
        (_, Some("5")) => Outcome::Bounced,
        (_, Some("4")) => Outcome::Delayed,
        (_, Some("2")) => Outcome::Delivered,
        _ => Outcome::Undetermined,
    };
    // The type of the address stands before it.
    let destination = recipient.split_once(';').map_or(recipient.as_str(), |(_, address)| address);
    let attempted_at = field("Last-Attempt-Date").and_then(|date| time(&date));
    Some(Reading {
        outcome,
        class: word(status),
        at: attempted_at.or(reading.at),
        destination: address(destination),
        ..reading.clone()
    })
}

/// Our identifier: that of the mail that came back, else of the one that the notification answers.
fn message_of(original: &[MailHeader<'_>], mail: &ParsedMail<'_>) -> Option<MessageId> {
    let ours = original.get_first_value("Message-ID").as_deref().and_then(message_id);
    ours.or_else(|| {
        let named = ["In-Reply-To", "References"].map(|name| mail.headers.get_first_value(name).unwrap_or_default());
        named.iter().flat_map(|named| named.split_whitespace()).find_map(message_id)
    })
}

/// A time of RFC 5322, with or without a comment behind it.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.split('(').next().unwrap_or_default().trim();
    DateTime::parse_from_rfc2822(text).ok().map(|time| time.to_utc())
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A bounce as Postfix writes it.
    const BOUNCE: &str = include_str!("dsn_bounce.eml");
    const ID: MessageId = MessageId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007));

    /// The bounce with one text in place of another.
    fn edited(from: &str, to: &str) -> MessageReadings {
        assert!(BOUNCE.contains(from), "{from}");
        read(BOUNCE.replace(from, to).as_bytes()).expect("a notification")
    }

    fn outcome(readings: &MessageReadings) -> Option<Outcome> {
        readings.readings.first().map(|reading| reading.outcome)
    }

    #[test]
    fn a_bounce_leads_back_to_its_message() {
        for mail in [BOUNCE.to_owned(), BOUNCE.replace('\n', "\r\n")] {
            let MessageReadings { message, mut readings } = read(mail.as_bytes()).expect("a notification");
            assert_eq!((message, readings.len()), (Some(ID), 1));
            let reading = readings.remove(0);
            assert_eq!((reading.outcome, reading.class.as_deref()), (Outcome::Bounced, Some("5.1.1")));
            assert_eq!(reading.destination.as_deref(), Some("ada@example.com"));
            assert_eq!(reading.sender.as_deref(), Some("no-reply@example.org"));
            assert_eq!(reading.subject.as_deref(), Some("Code ***"));
            assert_eq!(reading.at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-11-30T09:00:07+00:00"));
            let raw = reading.raw.expect("a text");
            assert!(raw.contains("Diagnostic-Code") && !raw.contains("123456"), "{raw}");
        }
    }

    #[test]
    fn an_outcome_follows_from_the_action_and_without_one_from_the_status() {
        for (action, status, expected) in [
            ("failed", "4.4.1", Outcome::Bounced),
            ("Failed", "5.0.0 (no such user)", Outcome::Bounced),
            ("delayed", "4.4.1", Outcome::Delayed),
            ("delivered", "2.0.0", Outcome::Delivered),
            ("lost", "5.0.0", Outcome::Bounced),
            ("", "4.2.2", Outcome::Delayed),
            ("", "2.1.5", Outcome::Delivered),
            ("", "", Outcome::Undetermined),
        ] {
            let text = BOUNCE.replace("Action: failed", &format!("Action: {action}"));
            let text = text.replace("Status: 5.1.1", &format!("Status: {status}"));
            let readings = read(text.as_bytes()).expect("a notification");
            assert_eq!(outcome(&readings), Some(expected), "{action} {status}");
        }
        for handed_on in ["relayed", "expanded"] {
            assert_eq!(outcome(&edited("Action: failed", &format!("Action: {handed_on}"))), None);
        }
    }

    #[test]
    fn headers_alone_and_encoded_parts_are_read() {
        assert_eq!(edited("Content-Type: message/rfc822", "Content-Type: text/rfc822-headers").message, Some(ID));
        let id = format!("Message-ID: <{ID}@example.org>");
        assert_eq!(edited(&id, "Message-ID: <other@example.net>").message, None);
        let answered =
            BOUNCE.replace(&id, "X: y").replace("Auto-Submitted:", &format!("In-Reply-To: <{ID}@a.example>\nX-A:"));
        assert_eq!(read(answered.as_bytes()).expect("a notification").message, Some(ID));
        let original =
            edited("Original-Recipient: rfc822;ada@example.com", "Original-Recipient: rfc822; <eve@example.com>");
        assert_eq!(original.readings[0].destination.as_deref(), Some("eve@example.com"));
        let encoded = edited("Subject: Code 123456", "Subject: =?utf-8?b?Q29kZSAxMjM0NTY=?=");
        assert_eq!(encoded.readings[0].subject.as_deref(), Some("Code ***"));
    }

    #[test]
    fn other_mails_are_no_notifications() {
        for mail in ["", "Subject: Out of office\n\nI am away.", "\r", "a: b\n\rc"] {
            assert_eq!(read(mail.as_bytes()), None, "{mail}");
        }
        assert_eq!(read(BOUNCE.replace("multipart/report", "multipart/mixed").as_bytes()), None);
        assert_eq!(read(BOUNCE.replace("message/delivery-status", "text/plain").as_bytes()), None);
    }

    #[test]
    fn a_hostile_mail_is_read_in_bounded_time_and_size() {
        let begun = std::time::Instant::now();
        let words = "=?".repeat(200_000);
        let parts = "--b\n\n".repeat(100_000);
        let nested = "Content-Type: multipart/report; boundary=b\n\n--b\n".repeat(300);
        for mail in [
            format!("Content-Type: {words}\n\n"),
            format!("Content-Type: multipart/report; boundary=b\n\n{parts}"),
            format!("Content-Type: multipart/report; boundary=\"\"\n\n{}", "--\n".repeat(100_000)),
            nested,
            BOUNCE.replace("Subject: Code 123456", &format!("Subject: {words}")),
            BOUNCE.replace("Status: 5.1.1", &format!("Status: {words}")),
            BOUNCE.replace("Status: 5.1.1", &"Status: 5.1.1\n\nFinal-Recipient: a;b\n".repeat(5_000)),
            "\u{ff}\0\n".repeat(100_000),
        ] {
            let readings = read(mail.as_bytes()).map(|found| found.readings).unwrap_or_default();
            assert!(readings.len() <= RECIPIENTS_MAX);
            for reading in readings {
                assert!(reading.raw.is_none_or(|raw| raw.len() <= RAW_BYTES_MAX));
            }
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
