//! The servers of both channels.

pub use super::sms::{Gateway, GatewayError};
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

    /// Hands a message to the server of its channel; the code of the answer if it was accepted. `None` without a server.
    pub(super) async fn send(&self, message: &MessageDocument, texts: &MessageTexts) -> Option<Result<u16, Failure>> {
        match message.channel {
            Channel::Email => Some(self.mail.as_ref()?.send(message, texts).await),
            Channel::Sms => Some(self.texts.as_ref()?.send(texts).await),
        }
    }
}
