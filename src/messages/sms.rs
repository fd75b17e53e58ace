//! Text messages by a gateway in the form of Twilio's: one POST of a form for each message.
//!
//! The gateway has no identifier of ours by which it could recognise a message that it has accepted already, so an
//! attempt without an answer may lead to a second one on the telephone.

use axum::http::Uri;
use http_client::header::CONTENT_TYPE;
use http_client::{Client, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use registrar_aggregates::message::delivery::{Failure, Obstacle};
use registrar_projections::messages::MessageTexts;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest wait for the gateway.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for a connection to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
pub struct Gateway {
    client: Client,
    /// Address, without the credentials.
    url: String,
    user: String,
    password: Zeroizing<String>,
    from: String,
}

impl Gateway {
    /// A gateway at `url`, which holds the credentials, with `from` as the sender. Nothing is connected yet.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn new(url: &str, from: &str) -> Result<Self, GatewayError> {
        let uri: Uri = url.parse().map_err(|_| GatewayError::Url)?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or(GatewayError::Url)?;
        let authority = uri.authority().ok_or(GatewayError::Url)?.as_str();
        let (credentials, place) = authority.rsplit_once('@').ok_or(GatewayError::Url)?;
        let (user, password) = credentials.split_once(':').ok_or(GatewayError::Url)?;
        let decoded =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| GatewayError::Url);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
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
            url: format!("{scheme}://{place}{path}"),
            user: decoded(user)?,
            password: Zeroizing::new(decoded(password)?),
            from: from.to_owned(),
        })
    }

    /// Hands a message to the gateway and returns the status of its answer, whose body is not read.
    pub(super) async fn send(&self, texts: &MessageTexts) -> Result<u16, Failure> {
        let form = [("To", &texts.to), ("From", &self.from), ("Body", &texts.content.text)];
        let encoded = form.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let request = self.client.post(&self.url).basic_auth(&self.user, Some(&*self.password));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded.join("&"));
        match request.send().await {
            Ok(response) => judged(response.status()),
            Err(error) => Err(not_answered(&error)),
        }
    }
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

    #[test]
    fn a_url_names_gateway_and_credentials() {
        let url = "https://AC12:to%3Aken@api.example.com:8443/2010-04-01/Accounts/AC12/Messages.json";
        let gateway = Gateway::new(url, "+12025550199").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(gateway.url, "https://api.example.com:8443/2010-04-01/Accounts/AC12/Messages.json");
        assert_eq!((gateway.user.as_str(), gateway.password.as_str()), ("AC12", "to:ken"));
        for url in
            ["api.example.com", "ftp://a:b@api.example.com/", "https://api.example.com/", "https://a@api.example.com/"]
        {
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
