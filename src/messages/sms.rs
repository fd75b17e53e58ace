//! Text messages by a gateway in the form of Twilio's: one POST of a form for each message.
//!
//! The gateway has no identifier of ours by which it could recognise a message that it has accepted already, so an
//! attempt without an answer may lead to a second one on the telephone.
//!
//! It reports to an address that names the message, and signs what it sends there with its token.

use crate::store::hosts::is_this_machine;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use http_client::header::CONTENT_TYPE;
use http_client::{Client, StatusCode, Url};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use registrar_aggregates::message::delivery::{Failure, Obstacle};
use registrar_aggregates::values::MessageId;
use registrar_projections::messages::MessageTexts;
use sha1::Sha1;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest wait for the gateway.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for a connection to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Path to which a gateway reports.
pub const STATUS_PATH: &str = "/hooks/sms/status";

/// Reason why a gateway cannot be used. No message repeats the URL, which holds a password.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Not the URL of a gateway.
    #[error(
        "must look like https://sid:token@host/2010-04-01/Accounts/sid/Messages.json, reserved characters of sid and token \
         encoded"
    )]
    Url,
    /// Not a sender.
    #[error("must be a telephone number (E.164), or a name of up to 11 letters and digits that the gateway knows")]
    Sender,
    /// No client can be made.
    #[error("cannot be used: {0}")]
    Client(#[from] http_client::Error),
}

/// Sends text messages by one gateway, in the name of one sender.
#[derive(Clone)]
pub struct Gateway {
    client: Client,
    /// Address, without the credentials.
    url: String,
    user: String,
    password: Zeroizing<String>,
    from: String,
    /// Address of this server for the gateway, without a slash at its end.
    public_url: Option<String>,
}

impl Gateway {
    /// A gateway at `url`, which holds the credentials, with `from` as the sender. Nothing is connected yet.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn new(url: &str, from: &str) -> Result<Self, GatewayError> {
        // A fragment is dropped by the parser: the rest of a password with a sign that is not encoded.
        if url.contains('#') {
            return Err(GatewayError::Url);
        }
        let uri: Uri = url.parse().map_err(|_| GatewayError::Url)?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or(GatewayError::Url)?;
        let authority = uri.authority().ok_or(GatewayError::Url)?.as_str();
        let (credentials, place) = authority.rsplit_once('@').ok_or(GatewayError::Url)?;
        let (user, password) = credentials.split_once(':').ok_or(GatewayError::Url)?;
        let decoded =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| GatewayError::Url);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{scheme}://{place}{path}");
        // What the client cannot parse, such as a port beyond 65535, would fail with every message.
        Url::parse(&url).map_err(|_| GatewayError::Url)?;
        if !is_sender(from) {
            return Err(GatewayError::Sender);
        }
        // Fails if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Only the configured gateway is asked: no redirect is followed, and no proxy of the environment is used.
        let client = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(http_client::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Gateway {
            client,
            url,
            user: decoded(user)?,
            password: Zeroizing::new(decoded(password)?),
            from: from.to_owned(),
            public_url: None,
        })
    }

    /// Names the address of this server, for reports.
    #[must_use]
    pub fn reporting_to(self, public_url: &str) -> Self {
        Gateway { public_url: Some(public_url.trim_end_matches('/').to_owned()), ..self }
    }

    /// Address for reports on a message; `None` where the gateway could not reach it. Twilio refuses a message with an
    /// address of the own machine.
    fn callback(&self, id: MessageId) -> Option<String> {
        let is_here = |url: &str| url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_this_machine));
        let public_url = self.public_url.as_ref().filter(|url| !is_here(url) || is_here(&self.url))?;
        Some(format!("{public_url}{STATUS_PATH}?message={id}"))
    }

    /// Whether the gateway has signed a request: HMAC-SHA1 with its token over the address and the sorted members of the
    /// form. `target` is path and query as they were sent. Without a token nothing is signed.
    #[must_use]
    pub fn has_signed(&self, target: &str, form: &[(String, String)], signature: &str) -> bool {
        let (Some(public_url), Ok(signature)) = (&self.public_url, BASE64.decode(signature)) else { return false };
        let mut members: Vec<_> = form.iter().collect();
        members.sort();
        members.dedup();
        let is_signature_of = |url: String| {
            let mut mac =
                Hmac::<Sha1>::new_from_slice(self.password.as_bytes()).expect("HMAC takes keys of any length");
            mac.update(url.as_bytes());
            mac.update(target.as_bytes());
            for (name, value) in &members {
                mac.update(name.as_bytes());
                mac.update(value.as_bytes());
            }
            // Compares in constant time.
            mac.verify_slice(&signature).is_ok()
        };
        !self.password.is_empty() && spellings(public_url).into_iter().any(is_signature_of)
    }

    /// Hands a message to the gateway and returns the status of its answer, whose body is not read.
    pub(super) async fn send(&self, id: MessageId, texts: &MessageTexts) -> Result<u16, Failure> {
        let callback = self.callback(id);
        let form = [("To", &texts.to), ("From", &self.from), ("Body", &texts.content.text)];
        let form = form.into_iter().chain(callback.as_ref().map(|callback| ("StatusCallback", callback)));
        let encoded = form.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let encoded: Vec<_> = encoded.collect();
        let request = self.client.post(&self.url).basic_auth(&self.user, Some(&*self.password));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded.join("&"));
        match request.send().await {
            Ok(response) => judged(response.status()),
            Err(error) => Err(not_answered(&error)),
        }
    }
}

/// An address without its port and with one: Twilio signs either.
fn spellings(url: &str) -> Vec<String> {
    let Ok(uri) = url.parse::<Uri>() else { return vec![] };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return vec![] };
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let path = uri.path().trim_end_matches('/');
    vec![format!("{scheme}://{host}{path}"), format!("{scheme}://{host}:{port}{path}")]
}

/// Whether a text is a telephone number, a short code or the name of a sender.
fn is_sender(from: &str) -> bool {
    let digits = from.strip_prefix('+');
    let is_number = |text: &str| (3..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |text: &str| {
        (1..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
    };
    digits.map_or_else(|| is_number(from) || is_name(from), is_number)
}

/// An answer. What the gateway refuses of the message itself is final; credentials, address and load are not the
/// message's fault.
fn judged(status: StatusCode) -> Result<u16, Failure> {
    let code = status.as_u16();
    let obstacle = match code {
        200..=299 => return Ok(code),
        401 | 403 => Obstacle::Unauthorized,
        400 | 410 | 413 | 414 | 415 | 422 => Obstacle::Rejected,
        _ => Obstacle::Postponed,
    };
    Err(Failure { obstacle, answer: Some(code) })
}

fn not_answered(error: &http_client::Error) -> Failure {
    let obstacle = match () {
        () if error.is_timeout() => Obstacle::TimedOut,
        () if error.is_connect() => Obstacle::Unreachable,
        () => Obstacle::Interrupted,
    };
    obstacle.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const URL: &str = "https://AC12:12345@api.example.com/2010-04-01/Accounts/AC12/Messages.json";

    fn gateway(url: &str, public_url: &str) -> Gateway {
        Gateway::new(url, "+12025550199").unwrap_or_else(|error| panic!("{error}")).reporting_to(public_url)
    }

    /// The example of Twilio's documentation.
    fn example() -> Vec<(String, String)> {
        let members = [
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
            ("To", "+18005551212"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
        ];
        members.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn a_signature_is_that_of_twilios_documentation() {
        let (target, signature) = ("/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let ours = gateway(URL, "https://mycompany.com/");
        assert!(ours.has_signed(target, &example(), signature));
        assert!(gateway(URL, "https://mycompany.com:443").has_signed(target, &example(), signature));
        let mut altered = example();
        altered[0].1 = "1235".to_owned();
        assert!(!ours.has_signed(target, &altered, signature));
        assert!(!ours.has_signed("/myapp.php?foo=1&bar=3", &example(), signature));
        assert!(!gateway(URL, "https://mycompany.example").has_signed(target, &example(), signature));
        assert!(!gateway(&URL.replace("12345", "12346"), "https://mycompany.com").has_signed(
            target,
            &example(),
            signature
        ));
        for other in ["", "RSOYDt4T1cUTdK1PDd93", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "*"] {
            assert!(!ours.has_signed(target, &example(), other), "{other}");
        }
        let unreported = Gateway::new(URL, "+12025550199").unwrap_or_else(|error| panic!("{error}"));
        assert!(!unreported.has_signed(target, &example(), signature), "no address is known");
    }

    #[test]
    fn without_a_token_nothing_is_signed() {
        let open = gateway(&URL.replace("12345", ""), "https://mycompany.com");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"").expect("any length");
        mac.update(b"https://mycompany.com/");
        let signature = BASE64.encode(mac.finalize().into_bytes());
        assert!(!open.has_signed("/", &[], &signature));
    }

    #[test]
    fn reports_are_asked_for_where_they_can_arrive() {
        let id = MessageId(Uuid::nil());
        let local = "http://AC12:12345@127.0.0.1:8090/Messages.json";
        let callback = |url: &str, public_url: &str| gateway(url, public_url).callback(id);
        let query = "hooks/sms/status?message=00000000-0000-0000-0000-000000000000";
        assert_eq!(callback(URL, "https://a.example/r/"), Some(format!("https://a.example/r/{query}")));
        assert_eq!(callback(local, "http://127.0.0.1:8080"), Some(format!("http://127.0.0.1:8080/{query}")));
        assert_eq!(callback(URL, "http://127.0.0.1:8080"), None);
        assert_eq!(callback(URL, "http://localhost"), None);
    }

    #[test]
    fn a_url_names_gateway_and_credentials() {
        let url = "https://AC12:to%3Aken@api.example.com:8443/2010-04-01/Accounts/AC12/Messages.json";
        let gateway = Gateway::new(url, "+12025550199").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(gateway.url, "https://api.example.com:8443/2010-04-01/Accounts/AC12/Messages.json");
        assert_eq!((gateway.user.as_str(), gateway.password.as_str()), ("AC12", "to:ken"));
        for url in [
            "api.example.com",
            "ftp://a:b@api.example.com/",
            "https://api.example.com/",
            "https://a@api.example.com/",
            "https://a:b@api.example.com:99999/",
            "https://a:b@api.example.com/Messages.json#c",
        ] {
            let refused = Gateway::new(url, "+12025550199").err();
            assert!(matches!(refused, Some(GatewayError::Url)), "{url}");
        }
    }

    #[test]
    fn a_sender_is_a_number_a_short_code_or_a_name() {
        for from in ["+12025550199", "12345", "Registrar", "Acme Care 1"] {
            assert!(is_sender(from), "{from}");
        }
        for from in ["", "+", "+1202555x", "An overlong name", "a&To=b", "a\nb"] {
            assert!(!is_sender(from), "{from}");
        }
    }

    #[test]
    fn a_refusal_of_the_message_is_final_and_one_of_the_caller_is_not() {
        let obstacle = |code: u16| {
            let status = StatusCode::from_u16(code).unwrap_or_else(|error| panic!("{error}"));
            judged(status).err().map(|failure| failure.obstacle)
        };
        assert_eq!(obstacle(201), None);
        for code in [400, 422] {
            assert!(obstacle(code).is_some_and(Obstacle::is_final), "{code}");
        }
        for code in [302, 401, 403, 404, 408, 429, 500, 503] {
            assert!(obstacle(code).is_some_and(|obstacle| !obstacle.is_final()), "{code}");
        }
    }
}
