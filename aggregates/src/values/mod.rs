//! Domain values: validation, once for all callers.

mod checks;
mod json;

pub use checks::{
    Finding, Problem, check_free_text, check_length, check_line, check_name, check_required_text, check_text,
    check_visible, trimmed_name,
};
pub use json::JsonBounds;
pub(crate) use json::{check_members, check_texts};

use crate::text;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// Identifies an admin: its stream, its person's key, and the subject of its tokens.
    AdminId
);
uuid_id!(
    /// Identifies the natural person behind an admin.
    PersonId
);
uuid_id!(
    /// Identifies the contact side of a person.
    PartyId
);
uuid_id!(
    /// Identifies a postal address.
    AddressId
);
uuid_id!(
    /// Identifies a telephone number.
    PhoneNumberId
);
uuid_id!(
    /// Identifies a sign-in account.
    AccountId
);
uuid_id!(
    /// Identifies an organization in every dialect: its stream and its tenancy.
    OrganizationId
);
uuid_id!(
    /// Identifies the assignment of a study mode to an organization.
    OrganizationModeId
);
uuid_id!(
    /// Identifies an address of an organization.
    OrganizationAddressId
);
uuid_id!(
    /// Identifies an API key: its stream, and the user name of its holder.
    ApiKeyId
);

uuid_id!(
    /// Identifies a user: a person who signs in.
    UserId
);
uuid_id!(
    /// Identifies a session: a sign-in with its consequences.
    SessionId
);
uuid_id!(
    /// Identifies a TOTP configuration: a secret from which a user's device makes codes.
    TotpId
);
uuid_id!(
    /// Identifies the setting of a feature for a user or an organization.
    FeatureSettingId
);
uuid_id!(
    /// Identifies a general message of an organization.
    GeneralMessageId
);
uuid_id!(
    /// Identifies a theme: a brand that organizations point at.
    ThemeId
);
uuid_id!(
    /// Identifies an individual: the subject of records.
    IndividualId
);
uuid_id!(
    /// Identifies a group of individuals: a node of an organization's tree.
    GroupId
);
uuid_id!(
    /// Identifies a task: background work.
    TaskId
);
uuid_id!(
    /// Identifies a short link: its stream and that of its visits.
    UrlShortenerId
);
uuid_id!(
    /// Identifies a version of a document that people agree to.
    ServiceDocumentId
);
uuid_id!(
    /// Identifies the invitation of an address by a friend: its stream, and the key that seals the address.
    RegistrationInvitationId
);
uuid_id!(
    /// Identifies a template of messages.
    MessageTemplateId
);
uuid_id!(
    /// Identifies a message: its stream, and the header by which reports of its delivery name it.
    MessageId
);
uuid_id!(
    /// Identifies an onboarding request: the invitation of a person by an organization.
    OnboardingRequestId
);
uuid_id!(
    /// Identifies the recipient of a message, whose key seals it: a user, or while there is none, the request or the
    /// invitation that holds the address.
    RecipientId
);

/// A sign-in e-mail address, as entered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Longest address accepted, in characters (RFC 5321 4.5.3.1.3, path without its brackets).
    pub const LENGTH_MAX: usize = 254;

    /// Checks the form: a dot-string, an `@`, a domain name (RFC 5321 4.1.2); surrounding space is dropped.
    ///
    /// # Errors
    /// `NotAnEmail`, `TooLong`, `Invisible`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        check_length(text, Self::LENGTH_MAX)?;
        let (local, domain) = text.rsplit_once('@').ok_or(Problem::NotAnEmail)?;
        let atom = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| {
                    c.is_ascii_alphanumeric()
                        || "!#$%&'*+-/=?^_`{|}~".contains(c)
                        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
                })
        };
        let local_ok = local.len() <= 64 && local.split('.').all(atom);
        if !local_ok || text::domain_in_ascii(domain).is_none() {
            return Err(Problem::NotAnEmail);
        }
        check_visible(text)?;
        Ok(EmailAddress(text.to_owned()))
    }

    /// The form that is equal for spellings of the same address: NFC, lower case, domain in its ASCII form.
    #[must_use]
    pub fn comparable(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let local = local.nfc().collect::<String>().to_lowercase();
        let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
        format!("{local}@{domain}")
    }

    /// The address as entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Data region of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum RegionCode {
    /// United States.
    #[serde(rename = "US")]
    Us,
    /// European Union.
    #[serde(rename = "EU")]
    Eu,
}

impl RegionCode {
    /// Reads `US` or `EU`.
    ///
    /// # Errors
    /// `UnknownRegion` for anything else; letter case matters.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "US" => Ok(RegionCode::Us),
            "EU" => Ok(RegionCode::Eu),
            _ => Err(Problem::UnknownRegion),
        }
    }

    /// The code as written.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            RegionCode::Us => "US",
            RegionCode::Eu => "EU",
        }
    }

    /// The region's name in English.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RegionCode::Us => "United States",
            RegionCode::Eu => "European Union",
        }
    }
}

/// A country of ISO 3166-1, by its alpha-2 code in upper case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CountryCode(String);

impl CountryCode {
    /// Reads an alpha-2 code; letter case matters.
    ///
    /// # Errors
    /// `UnknownCountry`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        rust_iso3166::from_alpha2(text)
            .map(|country| CountryCode(country.alpha2.to_owned()))
            .ok_or(Problem::UnknownCountry)
    }

    /// The code as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country's usual English name, `United States` rather than ISO's inverted long form.
    #[must_use]
    pub fn name(&self) -> String {
        match self.0.as_str() {
            "US" => "United States".to_owned(),
            "GB" => "United Kingdom".to_owned(),
            code => rust_iso3166::from_alpha2(code).map_or_else(|| code.to_owned(), |country| country.name.to_owned()),
        }
    }

    /// Name of a state or province of this country; without a list (all countries but the United States) the code
    /// itself.
    ///
    /// # Errors
    /// `UnknownState` for a code that is not in the list of the United States.
    pub fn state_name(&self, state: &str) -> Result<String, Problem> {
        if self.0 != "US" {
            return Ok(state.to_owned());
        }
        rust_iso3166::iso3166_2::from_code(&format!("US-{state}"))
            .map(|subdivision| subdivision.name.to_owned())
            .ok_or(Problem::UnknownState)
    }
}

#[cfg(test)]
mod tests;
