//! Features: functions that are on for some tenants or users and off for others. The catalogue is here, the assignments
//! in [`setting`].

pub mod setting;
#[cfg(test)]
mod tests;

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{Problem, check_free_text, check_length};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest identifier, in characters.
pub const ID_LENGTH_MAX: usize = 255;
/// Longest description, in characters.
pub const DESCRIPTION_LENGTH_MAX: usize = 1_000;

/// Identifier of a feature, chosen by its creator: letters of ASCII, digits, `.`, `_` and `-`; neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FeatureId(String);

impl FeatureId {
    /// Checks the form.
    ///
    /// # Errors
    /// `Blank`, `TooLong`, `NotAnIdentifier`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::Blank);
        }
        check_length(text, ID_LENGTH_MAX)?;
        // Clients resolve `.` and `..` away from a path, so that a feature of that name would be unreachable.
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !matches!(text, "." | "..");
        if fits { Ok(FeatureId(text.to_owned())) } else { Err(Problem::NotAnIdentifier) }
    }
}

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stage of a feature's development.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In trial by its developers.
    Alpha,
    /// In trial by selected users.
    Beta,
    /// Generally available.
    Ga,
}

/// Definition of a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FeatureDefinition"))]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Stage of development.
    pub stage: Stage,
    /// Display description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the feature is on where no setting says otherwise.
    pub global_enabled: bool,
    /// Whether the feature may be assigned without force.
    pub assignable: bool,
}

impl Definition {
    /// Refuses an assignment, unless the feature is assignable or `force` is set.
    ///
    /// # Errors
    /// `NotAssignable`.
    pub fn check_assignable(&self, force: bool) -> Result<(), FeatureError> {
        if self.assignable || force { Ok(()) } else { Err(FeatureError::NotAssignable) }
    }
}

/// Life cycle of a feature.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feature {
    /// Never created.
    #[default]
    Absent,
    /// In the catalogue.
    Present(Definition),
}

/// Commands of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureCommand {
    /// Creates the feature.
    Create {
        /// The feature.
        id: FeatureId,
        /// Definition of the feature.
        definition: Definition,
    },
    /// Changes the given members, all of them or none.
    Amend(Amendment),
}

/// Changes of a feature. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new stage.
    pub stage: Option<Stage>,
    /// The new description; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// Whether the feature is on where no setting says otherwise.
    pub global_enabled: Option<bool>,
    /// Whether the feature may be assigned without force.
    pub assignable: Option<bool>,
}

/// Events of a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum FeatureEvent {
    /// A feature was added to the catalogue.
    #[serde(rename = "feature.created")]
    Created {
        /// The feature.
        id: FeatureId,
        /// Definition of the feature.
        definition: Definition,
    },
    /// The definition of a feature changed.
    #[serde(rename = "feature.amended")]
    Amended {
        /// The new definition.
        definition: Definition,
    },
}

event_names!(FeatureEvent {
    Created => "feature.created" @ "1.0" Insert, clear ["/id", "/definition/stage", "/definition/description"];
    Amended => "feature.amended" @ "1.0" Update, clear ["/definition/stage", "/definition/description"];
});

impl EventFacts for FeatureEvent {}

/// Refusals of a feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Feature not found.
    #[error("feature not found")]
    NotFound,
    /// The identifier is taken.
    #[error("feature already exists")]
    AlreadyExists,
    /// The feature may not be assigned without force.
    #[error("the feature is not assignable without force")]
    NotAssignable,
    /// The description is invalid.
    #[error("description {0}")]
    UnfitDescription(Problem),
}

impl Refuse for FeatureError {
    fn kind(&self) -> RefusalKind {
        match self {
            FeatureError::NotFound => RefusalKind::NotFound,
            FeatureError::AlreadyExists => RefusalKind::Taken { field: "id" },
            FeatureError::NotAssignable => RefusalKind::Conflict,
            FeatureError::UnfitDescription(problem) => RefusalKind::invalid("description", problem),
        }
    }
}

impl Decide for Feature {
    fn creates(command: &FeatureCommand) -> bool {
        matches!(command, FeatureCommand::Create { .. })
    }

    fn decide(&self, command: FeatureCommand) -> Result<Vec<FeatureEvent>, FeatureError> {
        match (self, command) {
            (Feature::Absent, FeatureCommand::Create { id, definition }) => {
                let definition = fit(definition)?;
                Ok(vec![FeatureEvent::Created { id, definition }])
            }
            (Feature::Present(_), FeatureCommand::Create { .. }) => Err(FeatureError::AlreadyExists),
            (Feature::Absent, FeatureCommand::Amend(_)) => Err(FeatureError::NotFound),
            (Feature::Present(present), FeatureCommand::Amend(amendment)) => {
                let definition = fit(Definition {
                    stage: amendment.stage.unwrap_or(present.stage),
                    description: amendment.description.unwrap_or_else(|| present.description.clone()),
                    global_enabled: amendment.global_enabled.unwrap_or(present.global_enabled),
                    assignable: amendment.assignable.unwrap_or(present.assignable),
                })?;
                Ok(if definition == *present { vec![] } else { vec![FeatureEvent::Amended { definition }] })
            }
        }
    }
}

fn fit(definition: Definition) -> Result<Definition, FeatureError> {
    let description = definition.description.as_deref().unwrap_or_default();
    check_free_text(description, DESCRIPTION_LENGTH_MAX).map_err(FeatureError::UnfitDescription)?;
    Ok(definition)
}

impl Feature {
    fn evolve(&mut self, event: FeatureEvent) {
        let (FeatureEvent::Created { definition, .. } | FeatureEvent::Amended { definition }) = event;
        *self = Feature::Present(definition);
    }
}

aggregate!(Feature, "feature", FeatureCommand, FeatureEvent, FeatureError);
