//! The variables of templates, by kind of message.

use registrar_aggregates::message::Kind;
use registrar_aggregates::user::Names;
use serde::Serialize;

/// Names of all variables. Those that a message lacks are null.
pub const VARIABLES: [&str; 7] =
    ["code", "link", "first_name", "last_name", "organization", "support_email", "expires_minutes"];

/// Values of the variables of one message. There is no `Debug`, since a code is a secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Variables {
    /// Six digits to be typed.
    pub code: Option<String>,
    /// Address to be opened.
    pub link: Option<String>,
    /// First name of the addressee.
    pub first_name: Option<String>,
    /// Last name of the addressee.
    pub last_name: Option<String>,
    /// Display name of the organization.
    pub organization: Option<String>,
    /// Address for questions.
    pub support_email: Option<String>,
    /// Minutes for which the code or the link is valid.
    pub expires_minutes: Option<u32>,
}

/// Variables that every message of a kind has. It may have the names, the organization and the support address as well;
/// code, link and minutes that are not listed are null.
#[must_use]
pub const fn variables_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ForgotPassword | Kind::ResetPassword | Kind::VerifyEmail | Kind::ReverifyEmail | Kind::Verify => {
            &["code", "expires_minutes"]
        }
        Kind::Onboarding | Kind::OnboardingProvider => &["link", "expires_minutes", "organization"],
        Kind::RegistrationInvitation => &["link", "expires_minutes"],
        Kind::MessagingPatient | Kind::MessagingProvider => &["link"],
        Kind::OrganizationAdded => &["link", "organization"],
        Kind::AddressChanged
        | Kind::PasswordChanged
        | Kind::NewSignIn
        | Kind::SecondFactorRecovery
        | Kind::DeletionConfirmed => &[],
    }
}

impl Variables {
    /// The names of an addressee, as far as they are known, and nothing else.
    #[must_use]
    pub fn naming(names: &Names) -> Self {
        let known = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        let (first_name, last_name) = (known(&names.first_name), known(&names.last_name));
        Variables { first_name, last_name, ..Variables::default() }
    }

    /// Sample values of a kind: with everything that a message of the kind may have, and with what each of them has.
    #[must_use]
    pub fn samples(kind: Kind) -> [Self; 2] {
        let required = variables_of(kind);
        let of =
            |name: &str, optional: bool, value: &str| (optional || required.contains(&name)).then(|| value.to_owned());
        let sample = |optional: bool| Variables {
            code: of("code", false, "123456"),
            link: of("link", false, "https://app.example.com/sign-up?referral-code=Zm9vYmFyYmF6cXV4MTIz"),
            first_name: of("first_name", optional, "Ada"),
            last_name: of("last_name", optional, "Lovelace"),
            organization: of("organization", optional, "Smith & Daughters Clinic"),
            support_email: of("support_email", optional, "help@example.com"),
            expires_minutes: required.contains(&"expires_minutes").then_some(10),
        };
        [sample(true), sample(false)]
    }

    /// Whether the addressee, the organization and the support address are known.
    pub(super) fn is_complete(&self) -> bool {
        let optional = [&self.first_name, &self.last_name, &self.organization, &self.support_email];
        optional.into_iter().all(Option::is_some)
    }

    /// The values without control characters, for a text of one line.
    pub(super) fn in_one_line(&self) -> Self {
        let line = |value: &Option<String>| {
            value
                .as_ref()
                .map(|value| value.chars().map(|c| if super::rendering::ends_line(c) { ' ' } else { c }).collect())
        };
        Variables {
            code: line(&self.code),
            link: line(&self.link),
            first_name: line(&self.first_name),
            last_name: line(&self.last_name),
            organization: line(&self.organization),
            support_email: line(&self.support_email),
            expires_minutes: self.expires_minutes,
        }
    }
}
