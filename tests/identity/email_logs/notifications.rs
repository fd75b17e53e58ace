//! Notifications of Amazon SES, which SNS brings: their senders and their effects.

use super::publisher::{Publisher, TOPIC, time};
use super::*;
use chrono::TimeDelta;
use registrar::api::ApiSettings;
use registrar::auth::Rate;
use std::time::Duration;

/// A time of outcomes.
const AT: &str = "2026-01-31T08:00:00.000Z";

on_both_stores! {
    async fn a_notification_is_recorded_once_in_either_version_of_signatures(database) {
        let (it, sns) = Publisher::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        for (version, kind) in [("1", "Transient"), ("2", "Permanent")] {
            let text = bounce(mail, "ada@example.com", kind, AT).to_string();
            let mut message = sns.message("Notification", &text);
            message["SignatureVersion"] = json!(version);
            let message = sns.signed(message);
            taken(sns.call(&it, &message)).await;
            taken_for_nothing(&it, sns.call(&it, &message)).await;
            // Brought by another subscription, without a subject.
            let mut again = sns.message("Notification", &text);
            again.as_object_mut().unwrap().remove("Subject");
            taken_for_nothing(&it, sns.call(&it, &sns.signed(again))).await;
        }
        let expected = ["message.composed", "message.captured", "message.reported", "message.reported"];
        assert_eq!(events(&it, mail).await, expected);
        assert_eq!(attributes(&it.logs("").await, "bounce-type"), ["Permanent", "Transient"]);
        assert_eq!((sns.certificates_asked(), sns.asked()), (1, vec![]), "a certificate is kept");
    }

    async fn a_notification_about_no_message_of_ours_is_taken_like_any_other(database) {
        let (it, sns) = Publisher::open(&database).await;
        let (mail, number) = (message_to(it.node(), "ada@example.com").await, message_to(it.node(), "+12025550123").await);
        let unknown = MessageId(Uuid::now_v7());
        let mut other = delivery(mail, "ada@example.com", AT);
        other["notificationType"] = json!("Received");
        let mut nameless = delivery(mail, "ada@example.com", AT);
        (nameless["mail"]["headers"], nameless["mail"]["commonHeaders"]) = (json!([]), json!({}));
        for text in [
            delivery(unknown, "ada@example.com", AT).to_string(),
            delivery(number, "ada@example.com", AT).to_string(),
            other.to_string(),
            nameless.to_string(),
            "Successfully validated SNS topic for Amazon SES event publishing.".to_owned(),
        ] {
            let message = sns.signed(sns.message("Notification", &text));
            taken_for_nothing(&it, sns.call(&it, &message)).await;
        }
    }

    async fn a_forged_message_is_refused_and_stores_nothing(database) {
        let (it, sns) = Publisher::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let text = bounce(mail, "ada@example.com", "Permanent", AT).to_string();
        let good = sns.signed(sns.message("Notification", &text));
        let edited = |edits: &[(&str, Value)]| {
            let mut message = good.clone();
            for (member, value) in edits {
                message[*member] = value.clone();
            }
            message
        };
        // Signed as it is sent.
        let signed = |edits: &[(&str, Value)]| sns.signed(edited(edits));
        let other_topic = json!("arn:aws:sns:eu-west-1:123456789012:others");
        let [old, early] = [TimeDelta::minutes(-61), TimeDelta::minutes(6)].map(|since| json!(time(since)));
        let elsewhere = Publisher::start().await;
        for (why, message) in [
            ("another text", edited(&[("Message", json!(text.replace("ada@", "eve@")))])),
            ("another subject", edited(&[("Subject", json!("other"))])),
            ("no signature", edited(&[("Signature", json!(""))])),
            ("another signature", edited(&[("Signature", json!("c2lnbmF0dXJl"))])),
            ("a signature of the other version", edited(&[("SignatureVersion", json!("1"))])),
            ("an unknown version", signed(&[("SignatureVersion", json!("3"))])),
            ("another topic", signed(&[("TopicArn", other_topic)])),
            ("the topic and more", signed(&[("TopicArn", json!(format!("{TOPIC}\n")))])),
            ("an old message", signed(&[("Timestamp", old)])),
            ("a message of the future", signed(&[("Timestamp", early)])),
            ("no time", signed(&[("Timestamp", json!("today"))])),
            ("a certificate of another origin", signed(&[("SigningCertURL", json!(elsewhere.url("/certificate.pem")))])),
            ("a certificate of another host", signed(&[("SigningCertURL", json!("https://evil.example/certificate.pem"))])),
            (
                "a certificate by the name of a user",
                signed(&[("SigningCertURL", json!(format!("http://a@{}/certificate.pem", sns.address)))]),
            ),
            ("no certificate", signed(&[("SigningCertURL", json!(sns.url("/certificate.txt")))])),
            ("a certificate with a query", signed(&[("SigningCertURL", json!(sns.url("/?a=.pem")))])),
            ("an unknown certificate", signed(&[("SigningCertURL", json!(sns.url("/unknown.pem")))])),
            ("a certificate behind a redirect", signed(&[("SigningCertURL", json!(sns.url("/redirect.pem")))])),
            ("a key of another kind", signed(&[("SigningCertURL", json!(sns.url("/elliptic.pem")))])),
            ("a large certificate", signed(&[("SigningCertURL", json!(sns.url("/large.pem")))])),
        ] {
            let answer = refused(&it, sns.call(&it, &message), 403).await;
            assert_eq!((answer.json()["code"].clone(), answer.text.contains("signature")), (json!("forbidden"), false), "{why}");
        }
        assert!(elsewhere.asked().is_empty() && elsewhere.certificates_asked() == 0);
        assert!(!sns.asked().iter().any(|path| path.contains("Action")), "{:?}", sns.asked());
        taken(sns.call(&it, &good)).await;
        assert_eq!(reports(&it, mail).await, 1);
    }

    async fn a_body_that_is_no_message_is_refused(database) {
        let (it, sns) = Publisher::open(&database).await;
        let call = |body: String| it.app.call("POST", SES).token(None).header("content-type", "text/plain").bytes(body);
        let good = sns.notification(&json!({}));
        let twice = good.to_string().replacen('{', r#"{"Type":"Notification","#, 1);
        let mut other = good.clone();
        other["Type"] = json!("Other");
        for body in [String::new(), "{".to_owned(), "[]".to_owned(), "{}".to_owned(), twice, other.to_string()] {
            refused(&it, call(body), 400).await;
        }
        refused(&it, call("x".repeat(128 * 1024 + 1)), 413).await;
        assert_eq!((sns.certificates_asked(), sns.asked()), (0, vec![]));
        assert_eq!(it.app.call("GET", SES).token(None).send().await.status, 405);
    }

    async fn a_certificate_that_cannot_be_had_now_is_asked_for_again(database) {
        let (it, sns) = Publisher::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let mut message = sns.notification(&delivery(mail, "ada@example.com", AT));
        message["SigningCertURL"] = json!(sns.url("/broken.pem"));
        let answer = refused(&it, sns.call(&it, &message), 503).await;
        assert!(answer.headers.contains_key("retry-after"));
        message["SigningCertURL"] = json!(sns.url("/other.pem"));
        taken(sns.call(&it, &message)).await;
    }

    async fn a_subscription_of_a_permitted_topic_is_confirmed_at_a_permitted_origin_alone(database) {
        let (it, sns) = Publisher::open(&database).await;
        let confirmation = sns.message("SubscriptionConfirmation", "You have chosen to subscribe.");
        let other = Publisher::start().await;
        for url in [
            other.url("/?Action=ConfirmSubscription"),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "http://127.0.0.1/".to_owned(),
            format!("http://[::1]:{}/?Action=ConfirmSubscription", sns.address.port()),
            format!("http://localhost:{}/?Action=ConfirmSubscription", sns.address.port()),
            format!("http://{}@evil.example/", sns.address),
            "file:///etc/passwd".to_owned(),
            String::new(),
        ] {
            let mut message = confirmation.clone();
            message["SubscribeURL"] = json!(url);
            refused(&it, sns.call(&it, &sns.signed(message)), 403).await;
        }
        let mut foreign = confirmation.clone();
        foreign["TopicArn"] = json!("arn:aws:sns:eu-west-1:123456789012:others");
        refused(&it, sns.call(&it, &sns.signed(foreign)), 403).await;
        let mut unsigned = sns.signed(confirmation.clone());
        unsigned["Token"] = json!("other");
        refused(&it, sns.call(&it, &unsigned), 403).await;
        assert!(other.asked().is_empty() && sns.asked().is_empty(), "{:?}", sns.asked());

        // A redirect is not followed, and SNS may bring the message again.
        let mut redirected = confirmation.clone();
        redirected["SubscribeURL"] = json!(sns.url("/?Action=Redirect"));
        refused(&it, sns.call(&it, &sns.signed(redirected)), 503).await;
        assert_eq!(sns.asked(), ["/?Action=Redirect"]);
        taken_for_nothing(&it, sns.call(&it, &sns.signed(confirmation))).await;
        assert_eq!(sns.asked()[1..], ["/?Action=ConfirmSubscription&Token=2336412f37"]);
        let ended = sns.signed(sns.message("UnsubscribeConfirmation", "You have chosen to end it."));
        taken_for_nothing(&it, sns.call(&it, &ended)).await;
        assert_eq!(sns.asked().len(), 2);
    }

    async fn without_topics_every_notification_is_refused(database) {
        let (it, sns) = (Identity::open(&database).await, Publisher::start().await);
        let mail = message_to(it.node(), "ada@example.com").await;
        let message = sns.notification(&delivery(mail, "ada@example.com", AT));
        refused(&it, sns.call(&it, &message), 403).await;
        assert_eq!(sns.certificates_asked(), 0);
    }

    async fn senders_count_as_strangers_of_their_network(database) {
        let sns = Publisher::start().await;
        let stranger_rate = Some(Rate { requests: 2, window: Duration::from_secs(60) });
        let it = Identity::with(&database, ApiSettings { stranger_rate, ..sns.settings() }).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let message = sns.notification(&delivery(mail, "ada@example.com", AT));
        let sent = async |peer: &str| sns.call(&it, &message).peer(peer).send().await.status.as_u16();
        let statuses = [sent("192.0.2.1:1").await, sent("192.0.2.2:1").await, sent("192.0.2.3:1").await];
        assert_eq!((statuses, sent("198.51.100.1:1").await), ([204, 204, 429], 204));
    }
}
