//! The catalogue of features, and their settings.

mod settings;

pub use settings::{
    BY_CREATION as SETTINGS_BY_CREATION, FEATURE_ID, FeatureSettingDocument, ORGANIZATION_ID, SettingEntry, TARGET,
    USER_ID,
};

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::feature::{Definition, FeatureEvent, FeatureId};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a feature.
pub type FeatureDocument = Stamped<CatalogueEntry>;

crate::collection! {
    "features" of FeatureDocument, hot: false, id: |feature| feature.id.to_string();
    keys {
        CREATED_AT: Text = |feature| time_key(feature.created_at);
        /// `true` for a feature that may be assigned without force, else `false`.
        pub ASSIGNABLE: Text = |feature| feature.definition.assignable.to_string();
    }
    indexes { [CREATED_AT] }
    counts { [], [ASSIGNABLE] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A feature of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueEntry {
    /// Identifier of the feature.
    pub id: FeatureId,
    /// Definition of the feature.
    #[serde(flatten)]
    pub definition: Definition,
}

impl AggregateState for CatalogueEntry {
    type Event = FeatureEvent;

    fn create(_: &RecordedEvent, change: &FeatureEvent) -> Option<Self> {
        let FeatureEvent::Created { id, definition } = change else { return None };
        Some(CatalogueEntry { id: id.clone(), definition: definition.clone() })
    }

    fn change(mut self, _: &RecordedEvent, change: &FeatureEvent) -> Option<Self> {
        let (FeatureEvent::Created { definition, .. } | FeatureEvent::Amended { definition }) = change;
        self.definition.clone_from(definition);
        Some(self)
    }
}
