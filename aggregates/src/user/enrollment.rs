//! Enrollment: the words of people about themselves as they sign up, bounded and in one spelling. The answer equals the
//! stored value.

use super::NAME_LENGTH_MAX;
use crate::message::Channel;
use crate::organization_code::ENROLLMENT_BOUNDS;
use crate::values::{Finding, Problem, check_members, trimmed_name};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Gender, as a person states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserGender"))]
#[serde(rename_all = "snake_case")]
pub enum Gender {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Another one.
    Other,
    /// The person prefers not to answer.
    Pnta,
    /// Unknown.
    Unknown,
}

/// Answers of a person at sign-up, beside the members of the account.
#[derive(Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserEnrollment"))]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// The filled form of the organization, in the sender's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// Gender of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// Name by which the person wants to be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_name: Option<String>,
    /// Channels by which the person wants codes and notices, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Channel>,
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").finish_non_exhaustive()
    }
}

impl Enrollment {
    /// Whether nothing is told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Enrollment::default()
    }

    /// The enrollment with numbers in their plain form, without an empty form, repeated channels, or space around the
    /// name.
    ///
    /// # Errors
    /// All unfit members: of the form `TooLarge`, `TooManyMembers`, `TooDeep`, `InexactNumber`, `Nul`, `Override`; of the
    /// name those of [`trimmed_name`].
    pub fn checked(mut self) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        self.data = self.data.filter(|data| !data.is_empty());
        if let Some(data) = &mut self.data
            && let Err(problem) = check_form(data)
        {
            findings.push(problem.of("enrollmentData"));
        }
        if let Some(name) = &mut self.preferred_name {
            match trimmed_name(name, NAME_LENGTH_MAX) {
                Ok(trimmed) => *name = trimmed,
                Err(problem) => findings.push(problem.of("preferredName")),
            }
        }
        let mut channels: Vec<Channel> = Vec::new();
        for channel in self.notifications {
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        self.notifications = channels;
        if findings.is_empty() { Ok(self) } else { Err(findings) }
    }
}

fn check_form(data: &mut Map<String, Value>) -> Result<(), Problem> {
    ENROLLMENT_BOUNDS.check_size(&*data)?;
    ENROLLMENT_BOUNDS.members(data, 2, &mut 0)?;
    check_members(data)
}
