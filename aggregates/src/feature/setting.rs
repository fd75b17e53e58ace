//! Whether a feature is on for one user or one organization. A missing setting falls back: from the user's setting to
//! that of the organization, then to the feature's own.

use super::FeatureId;
use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{FeatureSettingId, OrganizationId, UserId};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Target of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FeatureSettingTarget"))]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// An organization.
    Organization(OrganizationId),
    /// A user in every organization.
    User(UserId),
    /// A user in one organization.
    UserIn(UserId, OrganizationId),
}

impl Target {
    /// A text that is unique to the target.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Target::Organization(organization) => format!("organization/{organization}"),
            Target::User(user) => format!("user/{user}"),
            Target::UserIn(user, organization) => format!("user/{user}/{organization}"),
        }
    }
}

/// State that a setting gives a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// The feature is on.
    Enabled,
    /// The feature is off.
    Disabled,
    /// The organization's setting decides, else the feature's own.
    DontCare,
}

/// The effective state: the first setting other than `DontCare`, else the global default.
#[must_use]
pub fn effective(said: impl IntoIterator<Item = Option<Switch>>, global: bool) -> bool {
    said.into_iter()
        .flatten()
        .find_map(|switch| match switch {
            Switch::Enabled => Some(true),
            Switch::Disabled => Some(false),
            Switch::DontCare => None,
        })
        .unwrap_or(global)
}

/// Life cycle of a setting. After its removal, a new setting for the same target has another identifier.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureSetting {
    /// Never created.
    #[default]
    Absent,
    /// Present.
    Present(Setting),
    /// Removed.
    Removed,
}

/// A present setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FeatureSetting"))]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// The feature.
    pub feature_id: FeatureId,
    /// Target that the setting is for.
    pub target: Target,
    /// State that the setting gives the feature.
    pub switch: Switch,
}

/// Commands of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingCommand {
    /// Creates the setting.
    Create {
        /// The setting.
        id: FeatureSettingId,
        /// The new setting.
        setting: Setting,
    },
    /// Changes the state.
    Set(Switch),
    /// Removes the setting.
    Remove,
}

/// Events of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum SettingEvent {
    /// A feature was set for a user or an organization.
    #[serde(rename = "feature-setting.created")]
    Created {
        /// The setting.
        id: FeatureSettingId,
        /// The new setting.
        setting: Setting,
    },
    /// The setting of a feature changed.
    #[serde(rename = "feature-setting.switched")]
    Switched {
        /// The new state.
        switch: Switch,
    },
    /// The setting of a feature was removed.
    #[serde(rename = "feature-setting.removed")]
    Removed {
        /// The setting before its removal.
        setting: Setting,
    },
}

event_names!(SettingEvent {
    Created => "feature-setting.created" @ "1.0" Insert, clear [
        "/id", "/setting/featureId", "/setting/target/organization", "/setting/target/user", "/setting/target/userIn/*",
        "/setting/switch",
    ];
    Switched => "feature-setting.switched" @ "1.0" Update, clear ["/switch"];
    Removed => "feature-setting.removed" @ "1.0" Delete, clear [
        "/setting/featureId", "/setting/target/organization", "/setting/target/user", "/setting/target/userIn/*",
        "/setting/switch",
    ];
});

impl EventFacts for SettingEvent {
    fn claims(&self) -> Vec<Claim> {
        let key = |setting: &Setting| ClaimKey::feature_setting(&setting.feature_id, setting.target);
        match self {
            SettingEvent::Created { setting, .. } => vec![Claim::Take(key(setting))],
            SettingEvent::Removed { setting } => vec![Claim::Release(key(setting))],
            SettingEvent::Switched { .. } => vec![],
        }
    }
}

/// Refusals of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Setting not found, or removed.
    #[error("setting not found")]
    NotFound,
    /// The identifier is taken.
    #[error("setting already exists")]
    AlreadyExists,
}

impl Refuse for SettingError {
    fn kind(&self) -> RefusalKind {
        match self {
            SettingError::NotFound => RefusalKind::NotFound,
            SettingError::AlreadyExists => RefusalKind::Taken { field: "featureId" },
        }
    }
}

impl Decide for FeatureSetting {
    fn creates(command: &SettingCommand) -> bool {
        matches!(command, SettingCommand::Create { .. })
    }

    fn decide(&self, command: SettingCommand) -> Result<Vec<SettingEvent>, SettingError> {
        match (self, command) {
            (FeatureSetting::Absent, SettingCommand::Create { id, setting }) => {
                Ok(vec![SettingEvent::Created { id, setting }])
            }
            (FeatureSetting::Present(_) | FeatureSetting::Removed, SettingCommand::Create { .. }) => {
                Err(SettingError::AlreadyExists)
            }
            (FeatureSetting::Present(setting), SettingCommand::Set(switch)) => {
                Ok(if setting.switch == switch { vec![] } else { vec![SettingEvent::Switched { switch }] })
            }
            (FeatureSetting::Present(setting), SettingCommand::Remove) => {
                Ok(vec![SettingEvent::Removed { setting: setting.clone() }])
            }
            (FeatureSetting::Absent | FeatureSetting::Removed, SettingCommand::Set(_) | SettingCommand::Remove) => {
                Err(SettingError::NotFound)
            }
        }
    }
}

impl FeatureSetting {
    /// Whether the setting exists: created and not removed.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        matches!(self, FeatureSetting::Present(_))
    }

    fn evolve(&mut self, event: SettingEvent) {
        match (&mut *self, event) {
            (FeatureSetting::Absent, SettingEvent::Created { setting, .. }) => *self = FeatureSetting::Present(setting),
            (FeatureSetting::Present(setting), SettingEvent::Switched { switch }) => setting.switch = switch,
            (FeatureSetting::Present(_), SettingEvent::Removed { .. }) => *self = FeatureSetting::Removed,
            // Recorded events are never refused.
            _ => {}
        }
    }
}

aggregate!(FeatureSetting, "feature-setting", SettingCommand, SettingEvent, SettingError);
