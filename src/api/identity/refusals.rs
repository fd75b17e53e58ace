//! Errors of this dialect for refusals of the domain.

use crate::access::resource::Guarded;
use crate::api::common::error::{RequestViolation, Source};
use crate::api::common::refusal::{RefusalMessages, answer_to};
use crate::api::common::{ApiError, limits};
use crate::journal::JournalError;
use crate::processes::passwords::PasswordError;
use crate::processes::recovery::ResetError;
use crate::processes::sessions::SessionOpenError;
use crate::processes::sign_in::SignInError;
use crate::processes::sign_up::SignUpError;
use crate::processes::{DirectoryError, Refusal};
use crate::security::{self, Event};
use axum::http::StatusCode;
use registrar_aggregates::Violation;
use registrar_aggregates::user::UserError;
use registrar_projections::features::{FeatureDocument, FeatureSettingDocument};
use registrar_projections::general_messages::GeneralMessageDocument;
use registrar_projections::groups::GroupDocument;
use registrar_projections::message_templates::MessageTemplateDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use registrar_projections::organization_codes::OrganizationCodeDocument;
use registrar_projections::registration_invitations::RegistrationInvitationDocument;
use registrar_projections::themes::ThemeDocument;
use registrar_projections::totps::TotpDocument;
use registrar_projections::url_shorteners::UrlShortenerDocument;
use registrar_projections::{OrganizationDocument, UserDocument};
use serde_json::{Value, json};

/// User unknown, or hidden from the caller.
pub(super) const NO_USER: ApiError = ApiError::NotFound(UserDocument::NOT_FOUND);
/// Setting unknown, or hidden from the caller.
pub(super) const NO_SETTING: ApiError = ApiError::NotFound(FeatureSettingDocument::NOT_FOUND);
/// Template unknown, or hidden from the caller.
pub(super) const NO_TEMPLATE: ApiError = ApiError::NotFound(MessageTemplateDocument::NOT_FOUND);
/// Session ended, unknown, or another person's.
pub(super) const NO_SESSION: ApiError = ApiError::NotFound("Session not found");

/// Error code of a one-time code or a referral code that is wrong, used, expired or of an unknown name.
pub(super) const CODE_INVALID: &str = "code-invalid";

/// Finding for an attribute of the request document.
pub(super) fn attribute(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![RequestViolation::attribute(name, detail)])
}

/// Finding for a member of a plain request body.
pub(super) fn member(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![RequestViolation::at(Source::Pointer(format!("/{name}")), detail)])
}

/// Finding for a query parameter.
pub(super) fn parameter(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![RequestViolation::parameter(name, detail)])
}

/// Refusal with an error code of its own.
pub(super) fn refused(status: StatusCode, code: &'static str, detail: &'static str) -> ApiError {
    ApiError::Refused { status, code, detail, meta: None }
}

/// The refusal of a one-time code, the same for every reason: wrong, expired, used, or of an unknown name.
pub(super) fn code_invalid() -> ApiError {
    refused(StatusCode::BAD_REQUEST, CODE_INVALID, "the code is wrong, has expired, or was used before")
}

/// The error of a sign-in that follows another act, which stays; told in the body.
pub(super) fn login_error(error: &ApiError) -> Value {
    error.identity_errors().into_iter().next().unwrap_or_default()
}

/// Attribute name of a domain field in this dialect's documents: the same words joined by hyphens, but for some that the
/// dialect calls otherwise.
fn attribute_name(field: &str) -> String {
    let other_name = match field {
        "account.email" => "email",
        "featureId" => "feature-name",
        "handle" => "name",
        "organization.name" => "display-name",
        "owner" => "owner-id",
        "timeZone" => "tz",
        field => return kebab_case(field),
    };
    other_name.to_owned()
}

/// `currentPage` as `current-page`.
fn kebab_case(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push('-');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Conflict of an attribute with stored data.
fn taken(name: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Wrong(vec![RequestViolation { contradicts: true, ..RequestViolation::attribute(name, detail) }])
}

/// Errors of processes, mapped to this dialect.
pub(super) trait IntoApiError {
    /// The error for the client.
    fn into_api_error(self) -> ApiError;
}

/// Function form of [`IntoApiError::into_api_error`], for `map_err`.
pub(super) fn into_api_error(error: impl IntoApiError) -> ApiError {
    error.into_api_error()
}

impl IntoApiError for ApiError {
    fn into_api_error(self) -> ApiError {
        self
    }
}

impl IntoApiError for JournalError {
    fn into_api_error(self) -> ApiError {
        self.into()
    }
}

impl IntoApiError for DirectoryError {
    fn into_api_error(self) -> ApiError {
        match self {
            DirectoryError::Journal(JournalError::ClaimTaken { field, .. }) => {
                taken(&attribute_name(field), "is taken already")
            }
            DirectoryError::Journal(error) => error.into(),
            DirectoryError::Refused(refused) => answer_to(&refused, &IdentityMessages),
        }
    }
}

/// Messages of this dialect.
struct IdentityMessages;

impl RefusalMessages<Refusal> for IdentityMessages {
    fn missing(&self, refusal: &Refusal) -> Option<&'static str> {
        match refusal {
            Refusal::User(_) => Some(UserDocument::NOT_FOUND),
            Refusal::Organization(_) => Some(OrganizationDocument::NOT_FOUND),
            Refusal::Group(_) => Some(GroupDocument::NOT_FOUND),
            Refusal::Feature(_) => Some(FeatureDocument::NOT_FOUND),
            Refusal::Setting(_) => Some(FeatureSettingDocument::NOT_FOUND),
            Refusal::GeneralMessage(_) => Some(GeneralMessageDocument::NOT_FOUND),
            Refusal::Theme(_) => Some(ThemeDocument::NOT_FOUND),
            Refusal::MessageTemplate(_) => Some(MessageTemplateDocument::NOT_FOUND),
            Refusal::OrganizationCode(_) => Some(OrganizationCodeDocument::NOT_FOUND),
            Refusal::Totp(_) => Some(TotpDocument::NOT_FOUND),
            Refusal::RegistrationInvitation(_) => Some(RegistrationInvitationDocument::NOT_FOUND),
            Refusal::UrlShortener(_) => Some(UrlShortenerDocument::NOT_FOUND),
            Refusal::Onboarding(_) => Some(OnboardingDocument::NOT_FOUND),
            // No command of this dialect addresses an admin, an API key, a message or a task.
            Refusal::Admin(_) | Refusal::ApiKey(_) | Refusal::Message(_) | Refusal::Task(_) => None,
            // Never refused as not found.
            Refusal::AccessToken(_)
            | Refusal::Roster(_)
            | Refusal::Session(_)
            | Refusal::Guard(_)
            | Refusal::OneTimeCode(_)
            | Refusal::Quota(_)
            | Refusal::Individual(_)
            | Refusal::Tree(_)
            | Refusal::Placement(_)
            | Refusal::Staffing(_)
            | Refusal::ServiceDocument(_)
            | Refusal::Unfit(_)
            | Refusal::Granting(_) => None,
        }
    }

    fn invalid(&self, refusal: &Refusal, violations: &[Violation]) -> ApiError {
        let detail = |violation: &Violation| match refusal {
            Refusal::User(UserError::NotAMember) => "is none of the user's".to_owned(),
            _ => violation.detail.clone(),
        };
        let wrong =
            |violation: &Violation| RequestViolation::attribute(&attribute_name(&violation.field), detail(violation));
        ApiError::Wrong(violations.iter().map(wrong).collect())
    }

    fn taken(&self, refusal: &Refusal, field: &'static str) -> ApiError {
        let contradicts = if field == "owner" { "is another" } else { "is taken" };
        taken(&attribute_name(field), format!("{contradicts}: {refusal}"))
    }

    fn wrong_code(&self, refusal: &Refusal) -> ApiError {
        if matches!(refusal, Refusal::Onboarding(_)) {
            return code_invalid();
        }
        let detail = "the codes are wrong, not consecutive, or were used before";
        refused(StatusCode::BAD_REQUEST, "totp-invalid", detail)
    }
}

impl IntoApiError for SessionOpenError {
    fn into_api_error(self) -> ApiError {
        match self {
            SessionOpenError::SignInElsewhere(url) => ApiError::Refused {
                status: StatusCode::FORBIDDEN,
                code: "sso-required",
                detail: "the organization has a sign-in of its own",
                meta: Some(json!({ "redirect-url": url })),
            },
            SessionOpenError::Retired => {
                refused(StatusCode::FORBIDDEN, "organization-retired", "the organization is retired")
            }
            SessionOpenError::NotAMember => {
                security::refused(Event::Session, "no member of the organization");
                ApiError::Forbidden
            }
            SessionOpenError::Directory(error) => error.into_api_error(),
        }
    }
}

impl IntoApiError for SignInError {
    fn into_api_error(self) -> ApiError {
        match self {
            SignInError::BadCredentials => {
                refused(StatusCode::UNAUTHORIZED, "bad-credentials", "wrong user name or password")
            }
            SignInError::CodeNeeded => {
                refused(StatusCode::UNAUTHORIZED, "totp-required", "a code of the second factor is needed")
            }
            SignInError::PasswordNeeded => {
                let detail = "the address was corrected after the sign-up: sign in with the password";
                refused(StatusCode::UNAUTHORIZED, "bad-credentials", detail)
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
            SignInError::OrganizationRetired => SessionOpenError::Retired.into_api_error(),
            SignInError::AgreementsNeeded(documents) => ApiError::Refused {
                status: StatusCode::FORBIDDEN,
                code: "agreements-required",
                detail: "documents must be agreed to first",
                meta: Some(json!({ "service-document-ids": documents })),
            },
            SignInError::NoSuchDocument(_) => member("service-document-agreements", "names no document"),
            SignInError::Locked(locked) => answer_to(&Refusal::from(locked), &IdentityMessages),
            SignInError::Busy(busy) => busy.into(),
            SignInError::NotLookedUp => ApiError::Unavailable(None),
            SignInError::Directory(error) => error.into_api_error(),
        }
    }
}

impl IntoApiError for ResetError {
    fn into_api_error(self) -> ApiError {
        match self {
            ResetError::Password(PasswordError::Weak(weak)) => member("password", weak.to_string()),
            ResetError::Password(PasswordError::Busy(busy)) => busy.into(),
            ResetError::Password(PasswordError::NotLookedUp) => ApiError::Unavailable(None),
            ResetError::Directory(error) => error.into_api_error(),
        }
    }
}

impl IntoApiError for SignUpError {
    fn into_api_error(self) -> ApiError {
        let at = |field: &str, detail: String| {
            RequestViolation::at(Source::Pointer(format!("/{}", attribute_name(field))), detail)
        };
        match self {
            SignUpError::Invalid(violations) => {
                ApiError::Wrong(violations.into_iter().map(|wrong| at(&wrong.field, wrong.detail)).collect())
            }
            SignUpError::Taken { field } => {
                let wrong = at(field, "is taken already".to_owned());
                ApiError::Wrong(vec![RequestViolation { contradicts: true, ..wrong }])
            }
            SignUpError::TooMany(exceeded) => limits::too_many(exceeded),
            SignUpError::Busy(busy) => busy.into(),
            SignUpError::NotLookedUp => ApiError::Unavailable(None),
            SignUpError::Directory(error) => error.into_api_error(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::attribute_name;

    #[test]
    fn an_attribute_has_the_words_of_its_field() {
        for (field, attribute) in [
            ("comment", "comment"),
            ("firstName", "first-name"),
            ("communicationPreferences", "communication-preferences"),
            ("defaultOrganizationId", "default-organization-id"),
            ("osVersion", "os-version"),
            ("organization.timezone", "organization.timezone"),
        ] {
            assert_eq!(attribute_name(field), attribute);
        }
    }

    #[test]
    fn some_fields_have_another_name_in_the_dialect() {
        assert_eq!(attribute_name("timeZone"), "tz");
        assert_eq!(attribute_name("organization.name"), "display-name");
    }
}
