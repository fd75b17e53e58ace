//! The `message_templates` read model: templates of messages, of organizations and of themes.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::message::template::{Owner, Template, TemplateEvent};
use registrar_aggregates::values::MessageTemplateId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a template.
pub type MessageTemplateDocument = Stamped<TemplateEntry>;

crate::collection! {
    "message_templates" of MessageTemplateDocument, hot: false, id: |template| template.id.to_string();
    keys {
        CREATED_AT: Text = |template| time_key(template.created_at);
        /// Channel of the messages.
        pub CHANNEL: Text = |template| template.template.purpose.format.channel().name().to_owned();
        /// Finds the templates of an organization; empty for those of a theme.
        pub ORGANIZATION_ID: Text = |template| match template.template.owner {
            Owner::Organization(organization) => organization.to_string(),
            Owner::Theme(_) => String::new(),
        };
        /// Finds the templates of a theme; empty for those of an organization.
        pub THEME_ID: Text = |template| match template.template.owner {
            Owner::Organization(_) => String::new(),
            Owner::Theme(theme) => theme.to_string(),
        };
        /// Kind of the messages.
        pub KIND: Text = |template| template.template.purpose.kind.name().to_owned();
        /// Language and country.
        pub LOCALE: Text = |template| template.template.purpose.locale.name().to_owned();
        /// Format of the text.
        pub FORMAT: Text = |template| template.template.purpose.format.name().to_owned();
    }
    indexes {
        [CHANNEL, CREATED_AT],
        [CHANNEL, ORGANIZATION_ID, CREATED_AT],
        [CHANNEL, THEME_ID, CREATED_AT],
    }
    counts { [CHANNEL] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A template with its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateEntry {
    /// Identifier of the template.
    pub id: MessageTemplateId,
    /// Content of the template.
    #[serde(flatten)]
    pub template: Template,
}

impl AggregateState for TemplateEntry {
    type Event = TemplateEvent;

    fn create(_: &RecordedEvent, change: &TemplateEvent) -> Option<Self> {
        let TemplateEvent::Created { id, template } = change else { return None };
        Some(TemplateEntry { id: *id, template: template.clone() })
    }

    fn change(mut self, _: &RecordedEvent, change: &TemplateEvent) -> Option<Self> {
        let (TemplateEvent::Created { template, .. } | TemplateEvent::Amended { template, .. }) = change;
        self.template.clone_from(template);
        Some(self)
    }
}
