//! The `themes` read model: one document per theme with its present state.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use crate::users::email_key;
use registrar_aggregates::theme::{Brand, ThemeEvent};
use registrar_aggregates::values::ThemeId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a theme.
pub type ThemeDocument = Stamped<ThemeEntry>;

crate::collection! {
    "themes" of ThemeDocument, hot: false, id: |theme| theme.id.to_string();
    keys {
        CREATED_AT: Text = |theme| time_key(theme.created_at);
        /// Time of the last change.
        pub UPDATED_AT: Text = |theme| time_key(theme.updated_at);
        /// The domain in its comparable form.
        pub DOMAIN: Text = |theme| theme.brand.domain.comparable();
        /// The support address, as [`email_key`] writes it; empty without one.
        pub SUPPORT_EMAIL: Text = |theme| theme.brand.support_email.as_ref().map(email_key).unwrap_or_default();
    }
    indexes { [CREATED_AT], [DOMAIN], [SUPPORT_EMAIL, CREATED_AT] }
    counts { [] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A theme with its authors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThemeEntry {
    /// Identifier of the theme.
    pub id: ThemeId,
    /// Content of the theme.
    #[serde(flatten)]
    pub brand: Brand,
    /// Actor of the creation, by the identifier in the metadata of events.
    pub created_by: String,
    /// Actor of the last change, likewise.
    pub updated_by: String,
}

impl AggregateState for ThemeEntry {
    type Event = ThemeEvent;
    /// The entries themselves have the actor.
    const UNLISTED: &'static [&'static str] = &["createdBy", "updatedBy"];

    fn create(event: &RecordedEvent, change: &ThemeEvent) -> Option<Self> {
        let ThemeEvent::Created { id, brand } = change else { return None };
        let author = &event.metadata.actor.id;
        Some(ThemeEntry { id: *id, brand: brand.clone(), created_by: author.clone(), updated_by: author.clone() })
    }

    fn change(self, event: &RecordedEvent, change: &ThemeEvent) -> Option<Self> {
        let (ThemeEvent::Created { brand, .. } | ThemeEvent::Amended { brand, .. }) = change;
        Some(ThemeEntry { brand: brand.clone(), updated_by: event.metadata.actor.id.clone(), ..self })
    }
}
