//! The tenancy of an organization: its handle, access and sign-in.

use super::content;
use super::replace;
use super::{OrganizationError, OrganizationEvent, Record, Stamp};
use crate::user::Classification;
use crate::values::{Finding, Problem, ThemeId, check_length, check_name, check_text};
use serde::{Deserialize, Serialize};

/// Longest handle, in characters.
pub const HANDLE_LENGTH_MAX: usize = 255;
/// Longest kind of provider and longest web address, in characters.
const TEXT_LENGTH_MAX: usize = 255;
/// Default time zone of an organization.
pub const TIME_ZONE_DEFAULT: &str = "UTC";

/// Rule by which providers see the individuals of an organization.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// Every provider sees every individual.
    #[default]
    Open,
    /// Only providers who share a group with the individual, and admins.
    Restricted,
}

/// The tenancy of an organization.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationTenancy", extend("required" = ["authorization"])))]
#[serde(rename_all = "camelCase", default)]
pub struct Tenancy {
    /// Unique name, case-insensitive. Only organizations registered before handles were introduced have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// Rule by which providers see individuals.
    pub authorization: Authorization,
    /// Class of the organization in reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Kind of provider, in the organization's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_type: Option<String>,
    /// Theme of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme_id: Option<ThemeId>,
    /// Sign-in page of the organization's providers, if not this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_url: Option<String>,
}

impl Tenancy {
    /// Whether every member is unset.
    #[must_use]
    pub fn is_unsaid(&self) -> bool {
        *self == Tenancy::default()
    }

    /// Problems of the tenancy.
    pub(super) fn problems(&self) -> Vec<Finding> {
        let text = |value: &Option<String>, max| match value {
            Some(text) => check_length(text, max).and_then(|()| check_text(text)),
            None => Ok(()),
        };
        let handle =
            self.handle.as_deref().map_or(Ok(()), check_name).and_then(|()| text(&self.handle, HANDLE_LENGTH_MAX));
        let checked = [
            ("handle", handle),
            ("providerType", text(&self.provider_type, TEXT_LENGTH_MAX)),
            ("signInUrl", text(&self.sign_in_url, TEXT_LENGTH_MAX)),
        ];
        let found = checked.into_iter().filter_map(|(field, checked)| Some((field, checked.err()?)));
        found.map(|(field, problem)| Finding { field: field.to_owned(), problem }).collect()
    }
}

/// Changes of the tenancy. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TenancyAmendment {
    /// The new handle.
    pub handle: Option<String>,
    /// The new display name.
    pub name: Option<String>,
    /// The new time zone (IANA name).
    pub time_zone: Option<String>,
    /// The new rule by which providers see individuals.
    pub authorization: Option<Authorization>,
    /// The new class in reports.
    pub classification: Option<Classification>,
    /// The new kind of provider.
    pub provider_type: Option<String>,
    /// The new theme; `Some(None)` clears it.
    pub theme_id: Option<Option<ThemeId>>,
    /// The new sign-in page of its providers; `Some(None)` for this service.
    pub sign_in_url: Option<Option<String>>,
}

impl Record {
    /// One event for each changed part; all of them open one version of the master data.
    pub(super) fn amend_tenancy(
        &self,
        amendment: TenancyAmendment,
        stamp: &Stamp,
    ) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        let profile = &self.profile;
        let TenancyAmendment {
            handle,
            name,
            time_zone,
            authorization,
            classification,
            provider_type,
            theme_id,
            sign_in_url,
        } = amendment;
        let former = &profile.tenancy;
        let tenancy = Tenancy {
            handle: handle.map(|handle| handle.trim().to_owned()).or_else(|| former.handle.clone()),
            authorization: authorization.unwrap_or(former.authorization),
            classification: classification.or(former.classification),
            provider_type: provider_type.or_else(|| former.provider_type.clone()),
            theme_id: theme_id.unwrap_or(former.theme_id),
            sign_in_url: sign_in_url.unwrap_or_else(|| former.sign_in_url.clone()),
        };
        let mut findings = stamp.problems("");
        findings.extend(tenancy.problems());
        findings.extend(name.as_deref().map(content::name_problems).unwrap_or_default());
        let zone_problem = time_zone.as_ref().filter(|zone| zone.parse::<chrono_tz::Tz>().is_err());
        findings
            .extend(zone_problem.map(|_| Finding { field: "timeZone".to_owned(), problem: Problem::UnknownTimeZone }));
        if !findings.is_empty() {
            return Err(OrganizationError::Invalid(findings));
        }
        let start = replace::start_after(Some(self.latest), stamp.at);
        let edition = || replace::edition(start, &stamp.remark, &super::Remark::default());
        let mut events = Vec::new();
        if let Some(name) = name.filter(|name| *name != profile.name) {
            events.push(OrganizationEvent::Renamed { name, edition: edition() });
        }
        if time_zone.is_some() && time_zone != profile.details.time_zone {
            let details = super::Details { time_zone, ..profile.details.clone() };
            events.push(OrganizationEvent::DetailsAmended { details: Box::new(details), edition: edition() });
        }
        if tenancy != *former {
            let former_handle = former.handle.clone();
            events.push(OrganizationEvent::TenancyAmended {
                former_handle,
                tenancy: Box::new(tenancy),
                edition: edition(),
            });
        }
        Ok(events)
    }
}
