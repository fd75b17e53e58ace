//! Settings of features for users and organizations.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::feature::setting::{Setting, SettingEvent, Target};
use registrar_aggregates::values::{FeatureSettingId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

/// The present state of a setting.
pub type FeatureSettingDocument = Stamped<SettingEntry>;

crate::collection! {
    "feature_settings" of FeatureSettingDocument, hot: false, id: |setting| setting.id.to_string();
    keys {
        CREATED_AT: Text = |setting| time_key(setting.created_at);
        /// Finds the settings of a feature.
        pub FEATURE_ID: Text = |setting| setting.setting.feature_id.to_string();
        /// Finds the settings of a user.
        pub USER_ID: Text = |setting| setting.user().map(|user| user.to_string()).unwrap_or_default();
        /// Finds the settings of an organization, and those of users within it.
        pub ORGANIZATION_ID: Text =
            |setting| setting.organization().map(|organization| organization.to_string()).unwrap_or_default();
        /// `user` or `organization`.
        pub TARGET: Text = |setting| if setting.user().is_some() { "user" } else { "organization" }.to_owned();
    }
    indexes {
        [TARGET, CREATED_AT],
        [FEATURE_ID, CREATED_AT],
        [USER_ID, CREATED_AT],
        [ORGANIZATION_ID, CREATED_AT],
    }
    counts { [TARGET] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A setting with its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingEntry {
    /// Identifier of the setting.
    pub id: FeatureSettingId,
    /// Content of the setting.
    #[serde(flatten)]
    pub setting: Setting,
}

impl SettingEntry {
    fn user(&self) -> Option<UserId> {
        match self.setting.target {
            Target::User(user) | Target::UserIn(user, _) => Some(user),
            Target::Organization(_) => None,
        }
    }

    fn organization(&self) -> Option<OrganizationId> {
        match self.setting.target {
            Target::Organization(organization) | Target::UserIn(_, organization) => Some(organization),
            Target::User(_) => None,
        }
    }
}

impl AggregateState for SettingEntry {
    type Event = SettingEvent;

    fn create(_: &RecordedEvent, change: &SettingEvent) -> Option<Self> {
        let SettingEvent::Created { id, setting } = change else { return None };
        Some(SettingEntry { id: *id, setting: setting.clone() })
    }

    fn change(mut self, _: &RecordedEvent, change: &SettingEvent) -> Option<Self> {
        match change {
            SettingEvent::Created { .. } => {}
            SettingEvent::Switched { switch } => self.setting.switch = *switch,
            SettingEvent::Removed { .. } => return None,
        }
        Some(self)
    }
}
