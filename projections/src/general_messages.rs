//! The `general_messages` read model: one document per general message of an organization.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::general_message::{GeneralMessageEvent, Message};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a general message.
pub type GeneralMessageDocument = Stamped<Message>;

crate::collection! {
    "general_messages" of GeneralMessageDocument, hot: false, id: |message| message.id.to_string();
    keys {
        CREATED_AT: Text = |message| time_key(message.created_at);
        /// Finds the messages of an organization.
        pub ORGANIZATION_ID: Text = |message| message.organization_id.to_string();
    }
    indexes { [ORGANIZATION_ID, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

impl AggregateState for Message {
    type Event = GeneralMessageEvent;

    fn create(_: &RecordedEvent, change: &GeneralMessageEvent) -> Option<Self> {
        let GeneralMessageEvent::Created(message) = change else { return None };
        Some(message.clone())
    }

    fn change(mut self, _: &RecordedEvent, change: &GeneralMessageEvent) -> Option<Self> {
        let (GeneralMessageEvent::Created(Message { message, .. }) | GeneralMessageEvent::Amended { message }) = change;
        self.message.clone_from(message);
        Some(self)
    }
}
