//! Statuses of text messages, which the gateway signs.

use super::publisher::Publisher;
use super::*;
use crate::ecg_app::ISSUER;
use hmac::{Hmac, KeyInit, Mac};
use registrar::messages::channels::STATUS_PATH;
use sha1::Sha1;

/// The token in the URL of the gateway.
const TOKEN: &str = "to:ken";

/// The signature of an address and members, as Twilio's documentation says.
fn signature(token: &str, url: &str, form: &str) -> String {
    use base64::Engine;
    let url_of = reqwest::Url::parse(&format!("http://a/?{form}")).unwrap();
    let mut members: Vec<(String, String)> = url_of.query_pairs().into_owned().collect();
    members.sort();
    let text: String = members.into_iter().map(|(name, value)| name + &value).collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    mac.update(text.as_bytes());
    base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn target(message: MessageId) -> String {
    format!("{STATUS_PATH}?message={message}")
}

fn sent<'a>(it: &'a Identity, target: &str, form: &str, signature: &str) -> Call<'a> {
    let call = it.app.call("POST", target).token(None).header("x-twilio-signature", signature);
    call.header("content-type", "application/x-www-form-urlencoded").bytes(form.to_owned())
}

/// The request by which the gateway brings a status.
pub fn call<'a>(it: &'a Identity, message: MessageId, form: &str) -> Call<'a> {
    let target = target(message);
    sent(it, &target, form, &signature(TOKEN, &format!("{ISSUER}{target}"), form))
}

on_both_stores! {
    async fn the_end_of_a_text_message_is_recorded_once(database) {
        let (it, _sns) = Publisher::open(&database).await;
        let message = message_to(it.node(), "+12025550123").await;
        for on_the_way in ["accepted", "queued", "sending", "sent"] {
            taken_for_nothing(&it, call(&it, message, &format!("MessageSid=SM1&MessageStatus={on_the_way}"))).await;
        }
        let failed = "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003&To=%2B12025550123&From=%2B12025550199";
        taken(call(&it, message, failed)).await;
        taken_for_nothing(&it, call(&it, message, failed)).await;
        taken(call(&it, message, "MessageSid=SM1&MessageStatus=delivered")).await;
        taken_for_nothing(&it, call(&it, message, "MessageSid=SM1&MessageStatus=read")).await;
        let expected = ["message.composed", "message.captured", "message.reported", "message.reported"];
        assert_eq!(events(&it, message).await, expected);
        assert_eq!(it.logs("").await, Vec::<Value>::new(), "no mail");
    }

    async fn a_status_of_no_text_message_of_ours_is_taken_for_nothing(database) {
        let (it, _sns) = Publisher::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let form = "MessageSid=SM1&MessageStatus=delivered";
        for message in [mail, MessageId(Uuid::now_v7())] {
            taken_for_nothing(&it, call(&it, message, form)).await;
        }
        for target in [STATUS_PATH.to_owned(), format!("{STATUS_PATH}?message=x"), format!("{STATUS_PATH}?a=b")] {
            let signature = signature(TOKEN, &format!("{ISSUER}{target}"), form);
            taken_for_nothing(&it, sent(&it, &target, form, &signature)).await;
        }
    }

    async fn a_status_that_the_gateway_has_not_signed_is_refused(database) {
        let (it, _sns) = Publisher::open(&database).await;
        let (message, other) = (message_to(it.node(), "+12025550123").await, message_to(it.node(), "+12025550124").await);
        let form = "MessageSid=SM1&MessageStatus=failed";
        let url = format!("{ISSUER}{}", target(message));
        let good = signature(TOKEN, &url, form);
        for (why, call) in [
            ("another message", sent(&it, &target(other), form, &good)),
            ("another status", sent(&it, &target(message), &form.replace("failed", "delivered"), &good)),
            ("one more member", sent(&it, &target(message), &format!("{form}&ErrorCode=1"), &good)),
            ("another token", sent(&it, &target(message), form, &signature("other", &url, form))),
            ("another server", sent(&it, &target(message), form, &signature(TOKEN, &url.replace("registrar", "other"), form))),
            ("no signature", sent(&it, &target(message), form, "")),
            ("no Base64", sent(&it, &target(message), form, "*")),
            ("no header", it.app.call("POST", &target(message)).token(None).bytes(form)),
            ("no text", sent(&it, &target(message), "MessageStatus=%ff", &good)),
        ] {
            let answer = refused(&it, call, 403).await;
            assert_eq!(answer.json()["code"], "forbidden", "{why}");
        }
        refused(&it, sent(&it, &target(message), &"a=b&".repeat(5_000), &good), 413).await;
        taken(sent(&it, &target(message), form, &good)).await;
        assert_eq!((reports(&it, message).await, reports(&it, other).await), (1, 0));
    }

    async fn without_a_gateway_every_status_is_refused(database) {
        let it = Identity::open(&database).await;
        let message = message_to(it.node(), "+12025550123").await;
        refused(&it, call(&it, message, "MessageSid=SM1&MessageStatus=failed"), 403).await;
    }
}
