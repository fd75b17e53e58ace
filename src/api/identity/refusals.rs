//! How refusals of the domain read in this dialect.

use crate::access::resource::Guarded;
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::directory::sessions::NotOpened;
use crate::directory::sign_in::SignInError;
use crate::directory::{DirectoryError, Refusal};
use crate::journal::JournalError;
use crate::security::{self, Event};
use axum::http::StatusCode;
use registrar_aggregates::feature::FeatureError;
use registrar_aggregates::feature::setting::SettingError;
use registrar_aggregates::group::GroupError;
use registrar_aggregates::individual::IndividualError;
use registrar_aggregates::organization::OrganizationError;
use registrar_aggregates::session::SessionError;
use registrar_aggregates::session::guard::GuardError;
use registrar_aggregates::totp::TotpError;
use registrar_aggregates::user::UserError;
use registrar_aggregates::values::Finding;
use registrar_projections::features::{FeatureDocument, FeatureSettingDocument};
use registrar_projections::groups::GroupDocument;
use registrar_projections::totps::TotpDocument;
use registrar_projections::{OrganizationDocument, UserDocument};
use serde_json::json;

/// The user is unknown, or not seen by the caller.
pub(super) const NO_USER: ApiError = ApiError::NotFound(UserDocument::NOT_FOUND);
/// The setting is unknown, or not seen by the caller.
pub(super) const NO_SETTING: ApiError = ApiError::NotFound(FeatureSettingDocument::NOT_FOUND);
/// The session is over, unknown, or another person's.
pub(super) const NO_SESSION: ApiError = ApiError::NotFound("Session not found");

/// An attribute of the document that was sent is wrong.
pub(super) fn attribute(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![Wrong::attribute(name, detail)])
}

/// A member of the plain body that was sent is wrong.
pub(super) fn member(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![Wrong::at(Source::Pointer(format!("/{name}")), detail)])
}

/// A parameter of the query is wrong.
pub(super) fn parameter(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![Wrong::parameter(name, detail)])
}

/// A refusal with a code of its own.
pub(super) fn refused(status: StatusCode, code: &'static str, detail: &'static str) -> ApiError {
    ApiError::Refused { status, code, detail, meta: None }
}

/// What a field of the domain is called in documents of this dialect.
fn attribute_name(field: &str) -> &str {
    match field {
        "firstName" => "first-name",
        "lastName" => "last-name",
        "timeZone" => "tz",
        "communicationPreferences" => "communication-preferences",
        "handle" => "name",
        "providerType" => "provider-type",
        "account.email" => "email",
        "organization.name" => "display-name",
        other => other,
    }
}

/// An attribute of the document that was sent contradicts what is stored.
fn taken(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![Wrong { contradicts: true, ..Wrong::attribute(name, detail) }])
}

fn findings(findings: &[Finding]) -> ApiError {
    let wrong =
        findings.iter().map(|finding| Wrong::attribute(attribute_name(&finding.field), finding.problem.to_string()));
    ApiError::Wrong(wrong.collect())
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Journal(JournalError::ClaimTaken { field, .. }) => {
                taken(attribute_name(field), "is taken already")
            }
            DirectoryError::Journal(error) => error.into(),
            DirectoryError::Refused(refused) => refused.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let conflict = |refusal: &dyn std::fmt::Display| ApiError::Conflict(refusal.to_string());
        match &refusal {
            Refusal::User(error) => match error {
                UserError::NotFound => NO_USER,
                UserError::Invalid(found) => findings(found),
                UserError::NoSuchContact => attribute("username", error.to_string()),
                UserError::NotAMember => attribute("default-organization-id", "is none of the user's"),
                UserError::AlreadyExists
                | UserError::Archived
                | UserError::OtherEmail
                | UserError::OtherPhone
                | UserError::OtherPassword
                | UserError::Oneself
                | UserError::TooManyMemberships
                | UserError::TooManyIndividuals => conflict(&refusal),
            },
            Refusal::Organization(OrganizationError::NotFound) => ApiError::NotFound(OrganizationDocument::NOT_FOUND),
            Refusal::Organization(OrganizationError::Invalid(found)) => findings(found),
            Refusal::Granting(error) => {
                security::refused(Event::Grant, &error.to_string());
                ApiError::Forbidden
            }
            Refusal::Group(GroupError::NotFound) => ApiError::NotFound(GroupDocument::NOT_FOUND),
            Refusal::Group(GroupError::UnfitName(problem)) => attribute("name", problem.to_string()),
            Refusal::Group(error @ (GroupError::UnfitTag(_) | GroupError::TooManyTags)) => {
                attribute("tags", error.to_string())
            }
            Refusal::Feature(FeatureError::NotFound) => ApiError::NotFound(FeatureDocument::NOT_FOUND),
            Refusal::Feature(error @ FeatureError::AlreadyExists) => taken("id", format!("is taken: {error}")),
            Refusal::Setting(error @ SettingError::AlreadyExists) => {
                taken("feature-name", format!("is taken: {error}"))
            }
            Refusal::Individual(error @ IndividualError::OtherOwner) => {
                taken("owner-id", format!("is another: {error}"))
            }
            Refusal::Feature(FeatureError::UnfitDescription(problem)) => attribute("description", problem.to_string()),
            Refusal::Setting(SettingError::NotFound) => NO_SETTING,
            Refusal::Session(SessionError::Over | SessionError::OtherToken) => {
                ApiError::Unauthenticated { credentials_sent: true }
            }
            Refusal::Guard(GuardError::Locked { until }) => {
                let seconds = (*until - chrono::Utc::now()).num_seconds() + 1;
                ApiError::TooManyRequests { reset_seconds: u64::try_from(seconds).unwrap_or(1).max(1) }
            }
            Refusal::Totp(TotpError::NotFound) => ApiError::NotFound(TotpDocument::NOT_FOUND),
            Refusal::Totp(TotpError::NotConsecutive | TotpError::UsedCode) => refused(
                StatusCode::BAD_REQUEST,
                "totp-invalid",
                "the codes are wrong, not consecutive, or were used before",
            ),
            Refusal::Checkin(error) => {
                let registrar_aggregates::checkin::CheckinError::Unfit { field, problem } = error;
                let name = match *field {
                    "appVersion" => "app-version",
                    "osVersion" => "os-version",
                    other => other,
                };
                attribute(name, problem.to_string())
            }
            Refusal::Admin(_)
            | Refusal::Roster(_)
            | Refusal::Session(_)
            | Refusal::Totp(_)
            | Refusal::Feature(_)
            | Refusal::Group(_)
            | Refusal::Tree(_)
            | Refusal::Placement(_)
            | Refusal::Staffing(_)
            | Refusal::Organization(_)
            | Refusal::Task(_) => conflict(&refusal),
        }
    }
}

impl From<NotOpened> for ApiError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::SignInElsewhere(url) => ApiError::Refused {
                status: StatusCode::FORBIDDEN,
                code: "sso-required",
                detail: "the organization has a sign-in of its own",
                meta: Some(json!({ "redirect-url": url })),
            },
            NotOpened::Retired => refused(StatusCode::FORBIDDEN, "organization-retired", "the organization is retired"),
            NotOpened::NotAMember => {
                security::refused(Event::Session, "no member of the organization");
                ApiError::Forbidden
            }
            NotOpened::Directory(error) => error.into(),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => {
                refused(StatusCode::UNAUTHORIZED, "bad-credentials", "wrong user name or password")
            }
            SignInError::CodeNeeded => {
                refused(StatusCode::UNAUTHORIZED, "totp-required", "a code of the second factor is needed")
            }
            SignInError::BadCode => {
                refused(StatusCode::UNAUTHORIZED, "totp-invalid", "the code is wrong, or was used before")
            }
            SignInError::Disabled => refused(StatusCode::FORBIDDEN, "account-disabled", "the account is disabled"),
            SignInError::Unconfirmed => refused(StatusCode::FORBIDDEN, "forbidden", "the account is not confirmed yet"),
            SignInError::ResetNeeded => {
                let detail = "another password must be set first: send it as new-password beside the present one";
                refused(StatusCode::FORBIDDEN, "password-reset-required", detail)
            }
            SignInError::ResetOverdue => {
                let detail = "the password that support has set counts no longer; support must set another one";
                refused(StatusCode::FORBIDDEN, "password-reset-required", detail)
            }
            SignInError::FirstPasswordOver => {
                let detail = "the first password counts no longer; support or an operator must set another one";
                refused(StatusCode::FORBIDDEN, "password-reset-required", detail)
            }
            SignInError::ResetNotNeeded => member("new-password", "is taken only where another password must be set"),
            SignInError::SamePassword => member("new-password", "must be another one"),
            SignInError::Weak(weak) => member("new-password", weak.to_string()),
            SignInError::SetUpNeeded => {
                let detail = "a second factor must be set up first: sign in with totp-setup for its secret, then with two codes \
                              of it, one after the other, in totp-setup-codes";
                refused(StatusCode::FORBIDDEN, "totp-setup-required", detail)
            }
            SignInError::SetUpNotNeeded => member("totp-setup", "is taken only where a second factor must be set up"),
            SignInError::OrganizationRetired => NotOpened::Retired.into(),
            SignInError::AgreementsNeeded(documents) => ApiError::Refused {
                status: StatusCode::FORBIDDEN,
                code: "agreements-required",
                detail: "documents must be agreed to first",
                meta: Some(json!({ "service-document-ids": documents })),
            },
            SignInError::NoSuchDocument(_) => member("service-document-agreements", "names no document"),
            SignInError::Locked(locked) => crate::directory::Refusal::from(locked).into(),
            SignInError::Busy(busy) => busy.into(),
            SignInError::NotLookedUp => ApiError::Unavailable(None),
            SignInError::Directory(error) => error.into(),
        }
    }
}
