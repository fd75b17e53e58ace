//! The servers of both channels.

pub use super::sms::{Gateway, GatewayError, STATUS_PATH};
pub use super::smtp::{Mailer, MailerError};

use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::Failure;
use registrar_projections::messages::{MessageDocument, MessageTexts};
use std::sync::Arc;

/// The configured servers. Messages of a channel without one are captured. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Channels {
    /// Mail server.
    pub mail: Option<Arc<Mailer>>,
    /// Gateway of text messages.
    pub texts: Option<Arc<Gateway>>,
}

impl Channels {
    /// Whether a channel has a server.
    #[must_use]
    pub fn have(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.mail.is_some(),
            Channel::Sms => self.texts.is_some(),
        }
    }

    /// Names the address of this server, for reports of the gateway.
    #[must_use]
    pub fn reporting_to(self, public_url: &str) -> Self {
        let texts = self.texts.map(|gateway| Arc::new(Arc::unwrap_or_clone(gateway).reporting_to(public_url)));
        Channels { mail: self.mail, texts }
    }

    /// Hands a message to the server of its channel; the code of the answer if it was accepted. `None` without a server.
    pub(super) async fn send(&self, message: &MessageDocument, texts: &MessageTexts) -> Option<Result<u16, Failure>> {
        match message.channel {
            Channel::Email => Some(self.mail.as_ref()?.send(message, texts).await),
            Channel::Sms => Some(self.texts.as_ref()?.send(message.id, texts).await),
        }
    }
}
