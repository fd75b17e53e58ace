//! Messages of Amazon SNS, and the proof of their sender.
//!
//! Anyone may post a message here; the signature shows that a topic of the operator's published it. The checks that
//! cost nothing come first: the topic, the time, the place of the certificate. Certificates come from permitted
//! origins alone, and are kept for a day. A signature of version 1 rests on SHA-1; topics sign by SHA-256 where
//! `SignatureVersion` is set to 2.
//!
//! The signed text is unambiguous, though its parts are joined by line breaks: topic and type end it, and each is compared
//! with what it must be.

mod certificates;
mod origins;

pub use origins::Origins;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use certificates::{Algorithm, Certificate};
use chrono::{DateTime, TimeDelta, Utc};
use http_client::{Client, StatusCode, Url};
use origins::PublicAddresses;
use quick_cache::sync::Cache;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Oldest message that is taken. SNS repeats one for so long.
const AGE_MAX: TimeDelta = TimeDelta::hours(1);
/// Largest difference of the clocks.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);
/// Longest wait for a certificate or a confirmation.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for a place to ask.
const PLACE_PATIENCE: Duration = Duration::from_secs(2);
/// Requests to permitted origins at once: forged messages may name many certificates.
const ASKED_AT_ONCE: usize = 8;
/// Largest answer, in bytes. A certificate has two thousand.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Certificates that are kept.
const CERTIFICATES_KEPT: usize = 16;
/// Time for which a certificate is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Reason why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SnsError {
    /// Not the form of a message.
    #[error("not a message of Amazon SNS")]
    Malformed,
    /// Nothing shows that a permitted topic sent it. The text is for the security log.
    #[error("{0}")]
    Forged(&'static str),
    /// The certificate cannot be had, or the subscription not confirmed, at the moment.
    #[error("a permitted origin does not answer")]
    Unreachable(#[source] Option<http_client::Error>),
}

/// A message of a permitted topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnsMessage {
    /// A notification, with its text.
    Notification(String),
    /// The topic was subscribed to, and the subscription is confirmed.
    Confirmed,
    /// The subscription was ended.
    Ended,
}

/// Topics that may report, and the way to check that they do.
pub struct Topics {
    names: BTreeSet<String>,
    origins: Origins,
    client: Client,
    certificates: Cache<String, Arc<KeptCertificate>>,
    places: Semaphore,
}

struct KeptCertificate {
    certificate: Certificate,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "Notification" => Some(Kind::Notification),
            "SubscriptionConfirmation" => Some(Kind::SubscriptionConfirmation),
            "UnsubscribeConfirmation" => Some(Kind::UnsubscribeConfirmation),
            _ => None,
        }
    }
}

/// A message as it is sent. Members that are not signed, and not needed, are left out.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message: String,
    message_id: String,
    topic_arn: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

impl Envelope {
    /// The text that is signed; `None` without a member that its kind has.
    fn signed_text(&self, kind: Kind) -> Option<String> {
        let mut parts = vec![("Message", &self.message), ("MessageId", &self.message_id)];
        if kind == Kind::Notification {
            parts.extend(self.subject.as_ref().map(|subject| ("Subject", subject)));
            parts.push(("Timestamp", &self.timestamp));
        } else {
            parts.push(("SubscribeURL", self.subscribe_url.as_ref()?));
            parts.push(("Timestamp", &self.timestamp));
            parts.push(("Token", self.token.as_ref()?));
        }
        parts.extend([("TopicArn", &self.topic_arn), ("Type", &self.kind)]);
        Some(parts.into_iter().flat_map(|(name, value)| [name, "\n", value.as_str(), "\n"]).collect())
    }

    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let sent_at = DateTime::parse_from_rfc3339(&self.timestamp).ok();
        let age = sent_at.map(|sent_at| now.signed_duration_since(sent_at));
        age.is_some_and(|age| age <= AGE_MAX && age >= -CLOCKS_DIFFER)
    }
}

impl Topics {
    /// Topics by their names (ARN), whose certificates come from these origins.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(names: BTreeSet<String>, origins: Origins) -> Result<Self, http_client::Error> {
        // Fails if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No redirect is followed, since it could lead anywhere, and no proxy of the environment is used.
        let builder = Client::builder().timeout(PATIENCE).redirect(http_client::redirect::Policy::none()).no_proxy();
        let client = match origins {
            Origins::Amazon => builder.dns_resolver(PublicAddresses).build()?,
            Origins::Named(_) => builder.build()?,
        };
        let (certificates, places) = (Cache::new(CERTIFICATES_KEPT), Semaphore::new(ASKED_AT_ONCE));
        Ok(Topics { names, origins, client, certificates, places })
    }

    /// Whether a text is the name of a topic.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let parts: Vec<_> = text.split(':').collect();
        let is_filled = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic()));
        is_filled && matches!(&*parts, ["arn", _, "sns", _, _, _])
    }

    /// Checks who sent a message. A subscription of a permitted topic is confirmed.
    ///
    /// # Errors
    /// [`SnsError`]; nothing was asked or confirmed for a message that is malformed, and nothing confirmed for a forged one.
    pub async fn open(&self, body: &[u8], now: DateTime<Utc>) -> Result<SnsMessage, SnsError> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| SnsError::Malformed)?;
        let kind = Kind::named(&envelope.kind).ok_or(SnsError::Malformed)?;
        let text = envelope.signed_text(kind).ok_or(SnsError::Malformed)?;
        if !self.names.contains(&envelope.topic_arn) {
            return Err(SnsError::Forged("another topic"));
        }
        if !envelope.is_fresh(now) {
            return Err(SnsError::Forged("another time"));
        }
        let region = envelope.topic_arn.split(':').nth(3).unwrap_or_default();
        let place = self.permitted(&envelope.signing_cert_url, region);
        let is_certificate = |url: &Url| url.path().ends_with(".pem") && url.query().is_none();
        let place = place.filter(is_certificate).ok_or(SnsError::Forged("a certificate of another origin"))?;
        let algorithm = Algorithm::of_version(&envelope.signature_version);
        let algorithm = algorithm.ok_or(SnsError::Forged("another version of signatures"))?;
        let signature = BASE64.decode(&envelope.signature).map_err(|_| SnsError::Forged("no signature"))?;
        let kept = self.certificate(&place).await?;
        if !kept.certificate.is_valid_at(now) {
            return Err(SnsError::Forged("a certificate of another time"));
        }
        if !kept.certificate.has_signed(text.as_bytes(), algorithm, &signature) {
            return Err(SnsError::Forged("another signature"));
        }
        match kind {
            Kind::Notification => Ok(SnsMessage::Notification(envelope.message)),
            Kind::SubscriptionConfirmation => {
                let place = self.permitted(envelope.subscribe_url.as_deref().unwrap_or_default(), region);
                self.confirm(&place.ok_or(SnsError::Forged("a subscription at another origin"))?).await
            }
            Kind::UnsubscribeConfirmation => Ok(SnsMessage::Ended),
        }
    }

    fn permitted(&self, url: &str, region: &str) -> Option<Url> {
        Url::parse(url).ok().filter(|url| self.origins.permit(url, region))
    }

    async fn certificate(&self, place: &Url) -> Result<Arc<KeptCertificate>, SnsError> {
        if let Some(kept) = self.certificates.get(place.as_str())
            && kept.since.elapsed() < KEPT_FOR
        {
            return Ok(kept);
        }
        let (status, pem) = self.ask(place).await?;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(SnsError::Unreachable(None));
        }
        let certificate = if status.is_success() { Certificate::read(&pem) } else { None };
        let certificate = certificate.ok_or(SnsError::Forged("no certificate"))?;
        let kept = Arc::new(KeptCertificate { certificate, since: Instant::now() });
        self.certificates.insert(place.as_str().to_owned(), Arc::clone(&kept));
        Ok(kept)
    }

    async fn confirm(&self, place: &Url) -> Result<SnsMessage, SnsError> {
        let (status, _) = self.ask(place).await?;
        if status.is_success() { Ok(SnsMessage::Confirmed) } else { Err(SnsError::Unreachable(None)) }
    }

    /// Status and beginning of the answer at a permitted URL.
    async fn ask(&self, place: &Url) -> Result<(StatusCode, Vec<u8>), SnsError> {
        let waiting = tokio::time::timeout(PLACE_PATIENCE, self.places.acquire());
        let _place =
            waiting.await.map_err(|_| SnsError::Unreachable(None))?.map_err(|_| SnsError::Unreachable(None))?;
        // The URL of a subscription has its token, which no log may have.
        let failed = |error: http_client::Error| SnsError::Unreachable(Some(error.without_url()));
        let mut response = self.client.get(place.clone()).send().await.map_err(failed)?;
        let mut answer = Vec::new();
        while answer.len() <= ANSWER_BYTES_MAX {
            let Some(part) = response.chunk().await.map_err(failed)? else { break };
            answer.extend_from_slice(&part);
        }
        answer.truncate(ANSWER_BYTES_MAX);
        Ok((response.status(), answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mails";

    fn message(kind: &str) -> Value {
        json!({
            "Type": kind,
            "Message": "text",
            "MessageId": "id",
            "TopicArn": TOPIC,
            "Subject": "subject",
            "Timestamp": "2026-11-30T10:00:00.000Z",
            "SignatureVersion": "2",
            "Signature": "c2lnbmF0dXJl",
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/a.txt",
            "Token": "token",
            "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        })
    }

    fn signed(message: &Value) -> Option<String> {
        let envelope: Envelope = serde_json::from_value(message.clone()).expect("an envelope");
        envelope.signed_text(Kind::named(&envelope.kind).expect("a kind"))
    }

    async fn opened(message: &str) -> Result<SnsMessage, String> {
        let topics = Topics::new([TOPIC.to_owned()].into(), Origins::Amazon).expect("a client");
        let now = DateTime::parse_from_rfc3339("2026-11-30T11:00:00Z").expect("a time").to_utc();
        topics.open(message.as_bytes(), now).await.map_err(|error| error.to_string())
    }

    #[test]
    fn the_signed_text_is_that_of_amazons_documentation() {
        let mut notification = message("Notification");
        let with_subject = "Message\ntext\nMessageId\nid\nSubject\nsubject\nTimestamp\n2026-11-30T10:00:00.000Z\nTopicArn\n\
                            arn:aws:sns:eu-west-1:123456789012:mails\nType\nNotification\n";
        assert_eq!(signed(&notification).as_deref(), Some(with_subject));
        notification["Subject"] = Value::Null;
        assert_eq!(signed(&notification), Some(with_subject.replace("Subject\nsubject\n", "")));
        let confirmation = "Message\ntext\nMessageId\nid\nSubscribeURL\n\
                            https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription\nTimestamp\n\
                            2026-11-30T10:00:00.000Z\nToken\ntoken\nTopicArn\narn:aws:sns:eu-west-1:123456789012:mails\n\
                            Type\nSubscriptionConfirmation\n";
        assert_eq!(signed(&message("SubscriptionConfirmation")).as_deref(), Some(confirmation));
        let mut without_token = message("UnsubscribeConfirmation");
        without_token["Token"] = Value::Null;
        assert_eq!(signed(&without_token), None);
    }

    #[tokio::test]
    async fn no_certificate_is_asked_for_a_message_that_is_refused_without_one() {
        let edited = |member: &str, value: &str| {
            let mut message = message("Notification");
            message[member] = json!(value);
            message.to_string()
        };
        for (message, reason) in [
            (String::new(), "not a message of Amazon SNS"),
            ("{}".to_owned(), "not a message of Amazon SNS"),
            (edited("Type", "Other"), "not a message of Amazon SNS"),
            (edited("TopicArn", "arn:aws:sns:eu-west-1:123456789012:others"), "another topic"),
            (edited("TopicArn", &format!("{TOPIC}\n")), "another topic"),
            (edited("Timestamp", "2026-11-30T09:59:59.999Z"), "another time"),
            (edited("Timestamp", "2026-11-30T11:05:01.000Z"), "another time"),
            (edited("Timestamp", "yesterday"), "another time"),
            (edited("SigningCertURL", "https://evil.example/a.pem"), "a certificate of another origin"),
            (message("Notification").to_string(), "a certificate of another origin"),
        ] {
            assert_eq!(opened(&message).await, Err(reason.to_owned()), "{message}");
        }
        let at_amazon = "https://sns.eu-west-1.amazonaws.com/a.pem";
        let mut other = message("Notification");
        (other["SigningCertURL"], other["SignatureVersion"]) = (json!(at_amazon), json!("3"));
        assert_eq!(opened(&other.to_string()).await, Err("another version of signatures".to_owned()));
        (other["SignatureVersion"], other["Signature"]) = (json!("1"), json!("*"));
        assert_eq!(opened(&other.to_string()).await, Err("no signature".to_owned()));
        let twice = message("Notification").to_string().replacen('{', r#"{"Type":"Notification","#, 1);
        assert_eq!(opened(&twice).await, Err("not a message of Amazon SNS".to_owned()));
    }

    #[test]
    fn a_topic_is_named_by_its_arn() {
        for name in [TOPIC, "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a.fifo"] {
            assert!(Topics::is_name(name), "{name}");
        }
        for other in
            ["", "mails", "arn:aws:sqs:eu-west-1:123456789012:a", "arn:aws:sns:eu-west-1::a", "arn:aws:sns:a:b:c:d"]
        {
            assert!(!Topics::is_name(other), "{other}");
        }
    }
}
