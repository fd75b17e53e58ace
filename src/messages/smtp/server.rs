//! The address of a mail server, with what the connection needs: security and credentials.

use axum::http::Uri;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use percent_encoding::percent_decode_str;

/// Beginning of a certificate in a PEM file.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Reason why a mailer cannot be made. No message repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailerError {
    /// Not the URL of a mail server.
    #[error(
        "must look like smtp://host:25, smtp://user:password@host:587?tls=required or smtps://user:password@host, reserved \
         characters of user and password encoded"
    )]
    Url,
    /// Not a sender.
    #[error("must be an address such as no-reply@example.org or Registrar <no-reply@example.org>")]
    Sender,
    /// The file of authorities has no certificates, or those given cannot be used.
    #[error("has no certificates that can be used (PEM)")]
    Authority,
}

/// Security of a connection.
#[derive(Clone)]
pub(super) enum Security {
    /// In the clear.
    Clear,
    /// In the clear at first; nothing is sent before the server has agreed to TLS.
    StartTls(TlsParameters),
    /// TLS from the start.
    Tls(TlsParameters),
}

/// A mail server. There is no `Debug`, since it holds a password.
#[derive(Clone)]
pub(super) struct MailServer {
    /// Host name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
}

impl MailServer {
    /// Parses a URL. Certificates of the server come from an authority of `authority`, a text of PEM, or without one from
    /// those that Mozilla lists.
    pub(super) fn parse(url: &str, authority: Option<&[u8]>) -> Result<Self, MailerError> {
        // A fragment is dropped by the parser: `smtp://ada:25#x@host` would be a server named `ada`.
        if url.contains('#') {
            return Err(MailerError::Url);
        }
        let uri: Uri = url.parse().map_err(|_| MailerError::Url)?;
        let (default_port, starts, wraps) = match (uri.scheme_str(), uri.query()) {
            (Some("smtp"), None) => (25, false, false),
            (Some("smtp"), Some("tls=required")) => (587, true, false),
            (Some("smtps"), None) => (465, false, true),
            _ => return Err(MailerError::Url),
        };
        let authority_part = uri.authority().ok_or(MailerError::Url)?;
        let (user, place) = match authority_part.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority_part.as_str()),
        };
        let has_sound_port = place == authority_part.host() || authority_part.port_u16().is_some_and(|port| port > 0);
        if !["", "/"].contains(&uri.path()) || authority_part.host().is_empty() || !has_sound_port {
            return Err(MailerError::Url);
        }
        let host = authority_part.host().trim_matches(['[', ']']).to_owned();
        let port = authority_part.port_u16().unwrap_or(default_port);
        let security = match (starts, wraps) {
            (true, _) => Security::StartTls(tls(&host, authority)?),
            (_, true) => Security::Tls(tls(&host, authority)?),
            (false, false) => Security::Clear,
        };
        Ok(MailServer { host, port, security, credentials: user.map(credentials).transpose()? })
    }

    /// Whether passwords and messages go to the server in the clear.
    pub(super) fn is_in_the_clear(&self) -> bool {
        matches!(self.security, Security::Clear)
    }
}

fn credentials(user: &str) -> Result<Credentials, MailerError> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| MailerError::Url);
    let (user, password) = user.split_once(':').ok_or(MailerError::Url)?;
    Ok(Credentials::new(decoded(user)?, decoded(password)?))
}

fn tls(host: &str, authority: Option<&[u8]>) -> Result<TlsParameters, MailerError> {
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match authority {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        // Without one, no server would be trusted, and nothing would say why.
        Some(pem) if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) => return Err(MailerError::Authority),
        Some(pem) => {
            let certificate = Certificate::from_pem(pem).map_err(|_| MailerError::Authority)?;
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate)
        }
    };
    builder.build_rustls().map_err(|_| MailerError::Authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> MailServer {
        MailServer::parse(url, None).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_url_names_host_port_security_and_credentials() {
        let plain = parsed("smtp://mail.example.org");
        assert_eq!((plain.host.as_str(), plain.port), ("mail.example.org", 25));
        assert!(plain.is_in_the_clear() && plain.credentials.is_none());
        let local = parsed("smtp://[::1]:2525/");
        assert_eq!((local.host.as_str(), local.port), ("::1", 2525));
        let starting = parsed("smtp://ada%40example.org:pa%3Ass@mail.example.org?tls=required");
        assert!(matches!(starting.security, Security::StartTls(_)) && starting.port == 587);
        let expected = Credentials::new("ada@example.org".to_owned(), "pa:ss".to_owned());
        assert!(starting.credentials == Some(expected));
        let wrapped = parsed("smtps://user:password@mail.example.org");
        assert!(matches!(wrapped.security, Security::Tls(_)) && wrapped.port == 465 && !wrapped.is_in_the_clear());
    }

    #[test]
    fn a_url_of_another_form_is_refused_without_being_repeated() {
        for url in [
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://user@mail.example.org",
            "smtp://mail.example.org:99999",
            "smtp://mail.example.org:0",
            "smtp://mail.example.org/path",
            "smtp://mail.example.org?tls=opportunistic",
            "smtps://mail.example.org?tls=required",
            "smtp://a:secret%ff@mail.example.org",
            "smtp://a:25#secret@mail.example.org",
        ] {
            let refused = MailServer::parse(url, None).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert_eq!(refused, MailerError::Url);
            assert!(!refused.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_authority_is_a_certificate() {
        for authority in ["", "no certificate"] {
            let refused = MailServer::parse("smtps://mail.example.org", Some(authority.as_bytes())).err();
            assert_eq!(refused, Some(MailerError::Authority), "{authority}");
        }
    }
}
