//! The catalogue of features, and who has which.

use crate::collection::{Collection, Counted, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::stamped::{Kept, Stamped};
use registrar_aggregates::feature::setting::{Setting, SettingEvent, Target};
use registrar_aggregates::feature::{Definition, FeatureEvent, FeatureId};
use registrar_aggregates::values::FeatureSettingId;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// A feature as it is now.
pub type FeatureDocument = Stamped<CatalogueEntry>;
/// A setting as it is now.
pub type FeatureSettingDocument = Stamped<SettingEntry>;

/// Oldest first.
pub const BY_CREATION: Sort<FeatureDocument> = Sort(&["created_at"], PhantomData);
/// `true` for what may be set without force, else `false`.
pub const ASSIGNABLE: TextKey<FeatureDocument> = TextKey("assignable", PhantomData);
/// Oldest first.
pub const SETTINGS_BY_CREATION: Sort<FeatureSettingDocument> = Sort(&["created_at"], PhantomData);
/// Finds the settings of a feature.
pub const FEATURE_ID: TextKey<FeatureSettingDocument> = TextKey("feature_id", PhantomData);
/// Finds the settings of a user.
pub const USER_ID: TextKey<FeatureSettingDocument> = TextKey("user_id", PhantomData);
/// Finds the settings of an organization, and those of users within it.
pub const ORGANIZATION_ID: TextKey<FeatureSettingDocument> = TextKey("organization_id", PhantomData);
/// `user` or `organization`.
pub const TARGET: TextKey<FeatureSettingDocument> = TextKey("target", PhantomData);

/// A feature of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueEntry {
    /// Its identifier.
    pub id: FeatureId,
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
}

/// A setting with its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingEntry {
    /// Its identifier.
    pub id: FeatureSettingId,
    /// What it is.
    #[serde(flatten)]
    pub setting: Setting,
}

impl Kept for CatalogueEntry {
    type Event = FeatureEvent;
    const COLLECTION: &'static Collection = &Collection {
        name: "features",
        keys: &[
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "assignable", kind: KeyKind::Text },
        ],
        indexes: &[&["created_at"]],
        counted: &[Counted::by(&[]), Counted::by(&["assignable"])],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn keys(document: &FeatureDocument) -> Vec<KeyValue> {
        vec![document.created_key(), KeyValue::Text(document.definition.assignable.to_string())]
    }

    fn creates(event: &FeatureEvent) -> bool {
        matches!(event, FeatureEvent::Created { .. })
    }

    fn create(event: &FeatureEvent) -> Option<Self> {
        let FeatureEvent::Created { id, definition } = event else { return None };
        Some(CatalogueEntry { id: id.clone(), definition: definition.clone() })
    }

    fn change(mut self, event: &FeatureEvent) -> Option<Self> {
        let (FeatureEvent::Created { definition, .. } | FeatureEvent::Amended { definition }) = event;
        self.definition.clone_from(definition);
        Some(self)
    }
}

impl Kept for SettingEntry {
    type Event = SettingEvent;
    const COLLECTION: &'static Collection = &Collection {
        name: "feature_settings",
        keys: &[
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "feature_id", kind: KeyKind::Text },
            KeyColumn { name: "user_id", kind: KeyKind::Text },
            KeyColumn { name: "organization_id", kind: KeyKind::Text },
            KeyColumn { name: "target", kind: KeyKind::Text },
        ],
        indexes: &[
            &["target", "created_at"],
            &["feature_id", "created_at"],
            &["user_id", "created_at"],
            &["organization_id", "created_at"],
        ],
        counted: &[Counted::by(&["target"])],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn keys(document: &FeatureSettingDocument) -> Vec<KeyValue> {
        let (user, organization) = match document.setting.target {
            Target::User(user) => (user.to_string(), String::new()),
            Target::UserIn(user, organization) => (user.to_string(), organization.to_string()),
            Target::Organization(organization) => (String::new(), organization.to_string()),
        };
        let target = if user.is_empty() { "organization" } else { "user" };
        let texts = [document.setting.feature_id.to_string(), user, organization, target.to_owned()];
        std::iter::once(document.created_key()).chain(texts.map(KeyValue::Text)).collect()
    }

    fn creates(event: &SettingEvent) -> bool {
        matches!(event, SettingEvent::Created { .. })
    }

    fn create(event: &SettingEvent) -> Option<Self> {
        let SettingEvent::Created { id, setting } = event else { return None };
        Some(SettingEntry { id: *id, setting: setting.clone() })
    }

    fn change(mut self, event: &SettingEvent) -> Option<Self> {
        match event {
            SettingEvent::Created { .. } => {}
            SettingEvent::Switched { switch } => self.setting.switch = *switch,
            SettingEvent::Removed { .. } => return None,
        }
        Some(self)
    }
}
