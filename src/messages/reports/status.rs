//! Statuses of text messages, as the gateway sends them: a form in Twilio's words.

use super::{Reading, word};
use percent_encoding::percent_decode_str;
use registrar_aggregates::message::report::{ADDRESS_LENGTH_MAX, Outcome, ReportSource, line};
use std::borrow::Cow;

/// The decoded members of a form; `None` if it is no text.
#[must_use]
pub fn members(form: &[u8]) -> Option<Vec<(String, String)>> {
    let form = std::str::from_utf8(form).ok()?;
    let pairs = form.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// Reads a form; `None` for a status on the way. The form itself is not kept: it may hold the text of the message.
#[must_use]
pub fn read(form: &[(String, String)]) -> Option<Reading> {
    let member = |name: &str| form.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str());
    let outcome = match member("MessageStatus") {
        "delivered" | "read" => Outcome::Delivered,
        "undelivered" | "failed" | "canceled" => Outcome::Bounced,
        _ => return None,
    };
    let sid = word(member("MessageSid"));
    Some(Reading {
        source: ReportSource::Sms,
        outcome,
        class: word(member("ErrorCode")),
        at: None,
        mark: sid.clone().unwrap_or_default(),
        destination: line(member("To"), ADDRESS_LENGTH_MAX),
        subject: None,
        sender: None,
        provider_id: sid,
        raw: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_as_browsers_encode_it() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = members(b"To=%2B12025550123&&Body=a+b%26%C3%A4&Empty&A=1&A=2");
        let [to, body] = [pair("To", "+12025550123"), pair("Body", "a b&ä")];
        assert_eq!(read, Some(vec![to, body, pair("Empty", ""), pair("A", "1"), pair("A", "2")]));
        assert_eq!(members(b""), Some(vec![]));
        assert_eq!(members(b"a=%ff"), None);
        assert_eq!(members(b"a=\xff"), None);
    }

    #[test]
    fn only_ends_are_reported() {
        let status = |status: &str| {
            let form = format!("MessageSid=SM1&MessageStatus={status}&ErrorCode=30003&To=%2B12025550123&Body=123456");
            read(&members(form.as_bytes()).expect("a form"))
        };
        for on_the_way in ["accepted", "queued", "sending", "sent", "", "Delivered"] {
            assert_eq!(status(on_the_way), None, "{on_the_way}");
        }
        let bounced = status("undelivered").expect("a reading");
        assert_eq!((bounced.outcome, bounced.class.as_deref()), (Outcome::Bounced, Some("30003")));
        assert_eq!(bounced.destination.as_deref(), Some("+12025550123"));
        assert!(!format!("{bounced:?}").contains("123456"));
        assert_eq!(status("delivered"), status("read"), "what was read was delivered");
    }
}
