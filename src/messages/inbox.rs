//! Captured messages: those of channels without a server, kept to be read here.

use crate::journal::JournalResult;
use crate::node::Node;
use registrar_aggregates::message::delivery::Content;
use registrar_aggregates::personal::ERASED;
use registrar_aggregates::values::EmailAddress;
use registrar_projections::messages::{BY_PLACE, MessageDocument, MessageTexts, PLACE, STATE, State};
use registrar_projections::stamped::time_key;
use registrar_projections::{Direction, Query};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Messages read at once: their texts are opened one by one.
const PAGE: u64 = 100;

/// A captured message. There is no `Debug`, since its texts let a reader act for the recipient.
#[derive(Clone)]
pub struct CapturedMessage {
    /// The message.
    pub message: MessageDocument,
    /// Address and texts.
    pub texts: Arc<MessageTexts>,
}

impl CapturedMessage {
    /// Whether the message went to an address, in any spelling of it.
    #[must_use]
    pub fn is_to(&self, address: &str) -> bool {
        comparable(&self.texts.to) == comparable(address)
    }

    /// The message as `registrar inbox` prints it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let MessageTexts { to, content, .. } = &*self.texts;
        let Content { subject, text, html, code, link } = content;
        json!({
            "id": self.message.id,
            "at": time_key(self.message.composed_at),
            "channel": self.message.channel.name(),
            "kind": self.message.kind.name(),
            "locale": self.message.locale.name(),
            "to": to,
            "subject": subject,
            "text": text,
            "html": html,
            "code": code,
            "link": link,
        })
    }
}

fn comparable(address: &str) -> String {
    EmailAddress::parse(address).map_or_else(|_| address.trim().to_owned(), |address| address.comparable())
}

/// A reader of the captured messages, in the order in which they were captured.
#[derive(Default)]
pub struct InboxReader {
    /// Time of the last page's last message, as its key has it.
    until: String,
    /// Messages of that time that were returned.
    seen: BTreeSet<String>,
}

impl InboxReader {
    /// The next captured messages, none at the end; those captured later come with a later call. Messages of erased
    /// recipients are left out.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn next(&mut self, node: &Node) -> JournalResult<Vec<CapturedMessage>> {
        loop {
            let query = Query::<MessageDocument>::sorted(&BY_PLACE, Direction::Ascending);
            let query = query.equal(&STATE, State::Captured.name()).at_least(&PLACE, self.until.clone());
            let query = query.uncounted().page(0, PAGE + self.seen.len() as u64);
            let page = node.documents.page(query).await?.value.items;
            let new: Vec<_> = page.into_iter().filter(|message| !self.seen.contains(&message.id.to_string())).collect();
            if new.is_empty() {
                return Ok(vec![]);
            }
            let texts =
                node.documents.find_all::<MessageTexts>(new.iter().map(|message| message.id.to_string())).await?;
            for message in &new {
                self.note(message);
            }
            let of_message = |message: MessageDocument| {
                let texts = texts.iter().find(|texts| texts.id == message.id && texts.to != ERASED)?;
                Some(CapturedMessage { message, texts: Arc::clone(texts) })
            };
            let found: Vec<_> = new.into_iter().filter_map(of_message).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    fn note(&mut self, message: &MessageDocument) {
        let time = time_key(message.place());
        if time > self.until {
            self.until = time;
            self.seen.clear();
        }
        self.seen.insert(message.id.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn spellings_of_an_address_are_one() {
        assert_eq!(comparable("Ada@Bücher.example"), comparable("ada@xn--bcher-kva.example"));
        assert_ne!(comparable("ada@example.com"), comparable("ada@example.org"));
        assert_eq!(comparable(" +12025550123 "), comparable("+12025550123"));
    }
}
