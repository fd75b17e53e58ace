//! The servers that messages are delivered by, and where their links lead.

use super::clear_text::{ClearText, Connection};
use super::files::path;
use super::{ConfigError, given, parse};
use crate::messages::channels::{Channels, Gateway, GatewayError, Mailer, MailerError};
use crate::messages::reports::sns::{Origins, Topics};
use axum::http::Uri;
use clap::Args;
use std::ffi::OsString;
use std::sync::Arc;

const SMTP_URL: &str = "REGISTRAR_SMTP_URL";
const SMTP_CA: &str = "REGISTRAR_SMTP_CA";
const MAIL_FROM: &str = "REGISTRAR_MAIL_FROM";
const SMS_URL: &str = "REGISTRAR_SMS_URL";
const SMS_FROM: &str = "REGISTRAR_SMS_FROM";
const SNS_TOPICS: &str = "REGISTRAR_SNS_TOPICS";
const SNS_CERT_ORIGINS: &str = "REGISTRAR_SNS_CERT_ORIGINS";

/// The settings of messages.
#[derive(Debug, Clone, Default, Args)]
pub struct MessageArgs {
    /// Mail server, such as smtp://user:password@host:587?tls=required or smtps://user:password@host [default: e-mails are captured]
    #[arg(long, env = SMTP_URL, value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// File of the authority that the certificate of the mail server comes from, as PEM [default: those that Mozilla lists]
    #[arg(long, env = SMTP_CA, value_name = "FILE", hide_env_values = true)]
    pub smtp_ca: Option<OsString>,
    /// Sender of e-mails, such as Registrar <no-reply@example.org>; needed with a mail server
    #[arg(long, env = MAIL_FROM, value_name = "ADDRESS", hide_env_values = true)]
    pub mail_from: Option<String>,
    /// Gateway of text messages, such as https://sid:token@host/2010-04-01/Accounts/sid/Messages.json [default: text messages are captured]
    #[arg(long, env = SMS_URL, value_name = "URL", hide_env_values = true)]
    pub sms_url: Option<String>,
    /// Sender of text messages, such as +12025550199; needed with a gateway
    #[arg(long, env = SMS_FROM, value_name = "NUMBER", hide_env_values = true)]
    pub sms_from: Option<String>,
    /// Address that links of messages lead to [default: the public URL]
    #[arg(long, env = "REGISTRAR_APP_URL", value_name = "URL", hide_env_values = true)]
    pub app_url: Option<String>,
    /// Topics of Amazon SNS that may report on mails, by their ARN, separated by commas [default: none]
    #[arg(long, env = SNS_TOPICS, value_name = "LIST", hide_env_values = true)]
    pub sns_topics: Option<String>,
    /// Origins that certificates of SNS messages may come from, separated by commas [default: those of Amazon in the topic's region]
    #[arg(long, env = SNS_CERT_ORIGINS, value_name = "LIST", hide_env_values = true)]
    pub sns_cert_origins: Option<String>,
}

/// Checked settings of messages.
#[derive(Clone, Default)]
pub struct MessageSettings {
    /// Servers of the channels.
    pub channels: Channels,
    /// Topics of Amazon SNS that may report, if any.
    pub topics: Option<Arc<Topics>>,
    /// Address that links of messages lead to, without a slash at its end, if configured.
    pub app_url: Option<String>,
}

impl MessageArgs {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`]; also for clear text beyond this machine that is not allowed.
    pub fn resolve(self, clear: &ClearText) -> Result<MessageSettings, ConfigError> {
        let MessageArgs { smtp_url, smtp_ca, mail_from, sms_url, sms_from, app_url, sns_topics, sns_cert_origins } =
            self;
        let smtp_url = given(smtp_url);
        let authority = path(smtp_ca)
            .map(|path| {
                let read = std::fs::read(&path);
                read.map_err(|error| ConfigError::new(SMTP_CA, format!("{} cannot be used: {error}", path.display())))
            })
            .transpose()?;
        if smtp_url.is_none() && authority.is_some() {
            return Err(ConfigError::new(SMTP_URL, format!("is needed with {SMTP_CA}")));
        }
        let mail = with_sender([(SMTP_URL, smtp_url), (MAIL_FROM, mail_from)])?
            .map(|(url, from)| mailer(&url, &from, authority.as_deref(), clear))
            .transpose()?;
        let texts = with_sender([(SMS_URL, sms_url), (SMS_FROM, sms_from)])?
            .map(|(url, from)| gateway(&url, &from, clear))
            .transpose()?;
        let channels = Channels { mail: mail.map(Arc::new), texts: texts.map(Arc::new) };
        let app_url = given(app_url).map(|url| parse::base_url("REGISTRAR_APP_URL", &url)).transpose()?;
        let topics = topics(sns_topics, sns_cert_origins)?.map(Arc::new);
        Ok(MessageSettings { channels, topics, app_url })
    }
}

/// The topics that may report. Origins of certificates have no effect without them, and are checked all the same.
fn topics(names: Option<String>, origins: Option<String>) -> Result<Option<Topics>, ConfigError> {
    let origins = given(origins).map_or(Ok(Origins::default()), |list| {
        Origins::parse(&list).map_err(|entry| {
            let problem = format!(
                "must list origins such as https://sns.eu-west-1.amazonaws.com, or http:// on this machine, not {entry:?}"
            );
            ConfigError::new(SNS_CERT_ORIGINS, problem)
        })
    })?;
    let Some(names) = given(names) else { return Ok(None) };
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(|name| {
        let problem = || format!("must list topics such as arn:aws:sns:eu-west-1:123456789012:mails, not {name:?}");
        if Topics::is_name(name) { Ok(name.to_owned()) } else { Err(ConfigError::new(SNS_TOPICS, problem())) }
    });
    let topics = Topics::new(names.collect::<Result<_, _>>()?, origins);
    topics.map(Some).map_err(|error| ConfigError::new(SNS_TOPICS, format!("cannot be used: {error}")))
}

/// A server and its sender, which every server needs. A sender alone has no effect.
fn with_sender(
    [(url_name, url), (from_name, from)]: [(&'static str, Option<String>); 2],
) -> Result<Option<(String, String)>, ConfigError> {
    match (given(url), given(from)) {
        (Some(url), Some(from)) => Ok(Some((url, from))),
        (None, _) => Ok(None),
        (Some(_), None) => Err(ConfigError::new(from_name, format!("is needed with {url_name}"))),
    }
}

/// No message repeats the URL, which may hold a password.
fn mailer(url: &str, from: &str, authority: Option<&[u8]>, clear: &ClearText) -> Result<Mailer, ConfigError> {
    let mailer = Mailer::new(url, from, authority).map_err(|error| {
        let name = match error {
            MailerError::Url => SMTP_URL,
            MailerError::Sender => MAIL_FROM,
            MailerError::Authority => SMTP_CA,
        };
        ConfigError::new(name, error.to_string())
    })?;
    if let Some(host) = mailer.host_in_the_clear() {
        clear.check(Connection::Smtp, SMTP_URL, host, "add ?tls=required, or let it begin with smtps://")?;
    }
    Ok(mailer)
}

fn gateway(url: &str, from: &str, clear: &ClearText) -> Result<Gateway, ConfigError> {
    let gateway = Gateway::new(url, from).map_err(|error| {
        let name = if matches!(error, GatewayError::Sender) { SMS_FROM } else { SMS_URL };
        ConfigError::new(name, error.to_string())
    })?;
    if let Ok(uri) = url.parse::<Uri>()
        && let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host())
    {
        clear.check(Connection::Sms, SMS_URL, host, "let it begin with https://")?;
    }
    Ok(gateway)
}
