//! Creation of a user.

use super::contacts::{Contacts, Username};
use super::home::Home;
use super::profile::{BirthDate, Classification, InvitationState, Locale, Names, Profile, UserState};
use crate::organization_code::OrganizationCodeId;
use crate::values::{OnboardingRequestId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Data of a new user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    /// The user.
    pub id: UserId,
    /// Initial state of the account.
    pub state: UserState,
    /// Names of the person.
    pub names: Names,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<BirthDate>,
    /// Organization or system that owns the account; the system where none is named. Absent from events of earlier
    /// releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Code of the organization by which the user signed up. Absent from events of earlier releases, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up_code: Option<OrganizationCodeId>,
    /// Addresses of the user.
    pub contacts: Contacts,
    /// Contact with which the user signs in.
    pub username: Username,
    /// Locale until the user chooses one.
    #[serde(deserialize_with = "crate::personal::opened")]
    pub locale: Locale,
    /// Time zone (IANA name) until the user chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Class of the user in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// The onboarding request for which the account was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboarding: Option<OnboardingRequestId>,
    /// Hash of the password in PHC form, if the user has one. A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Expiry of a password that another person set. Absent in events of earlier releases: the password then never
    /// expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_expires_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creation").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl From<Creation> for Profile {
    fn from(creation: Creation) -> Self {
        let Creation {
            id,
            state,
            names,
            birth_date,
            home,
            sign_up_code,
            contacts,
            username,
            locale,
            time_zone,
            classification,
            onboarding,
            password_hash,
            password_expires_at,
        } = creation;
        Profile {
            id,
            state,
            before_disabled: None,
            names,
            birth_date,
            home,
            sign_up_code,
            contacts,
            username,
            locale,
            locale_explicit: false,
            time_zone,
            time_zone_explicit: false,
            preferences: BTreeMap::new(),
            classification,
            memberships: BTreeMap::new(),
            joined: 0,
            default_organization: None,
            system_roles: BTreeSet::new(),
            individuals: Vec::new(),
            agreements: BTreeSet::new(),
            invitation: InvitationState::None,
            onboarding,
            registered_at: None,
            corrections: 0,
            enrollment: None,
            epoch: 0,
            password_hash,
            password_expires_at,
        }
    }
}
