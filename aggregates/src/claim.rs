//! Claims: values that must be unique among many aggregates, taken and released with the events that use them.

/// Effect of an event on a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Gives the key to this aggregate alone; refused if another aggregate holds it.
    Take(ClaimKey),
    /// Frees the key.
    Release(ClaimKey),
}

/// A value that is unique within its scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// Scope of uniqueness, e.g. `account-email`.
    pub scope: &'static str,
    /// The normalised value: equal values are equal text.
    pub value: String,
    /// Field named in a refusal, in the words of the domain, e.g. `account.email`.
    pub field: &'static str,
}

impl ClaimKey {
    /// The sign-in e-mail address of a person, unique among all accounts.
    #[must_use]
    pub fn account_email(email: &crate::values::EmailAddress) -> Self {
        ClaimKey { scope: "account-email", value: email.comparable(), field: "account.email" }
    }

    /// One of an organization's slots for API keys: they bound the number of keys.
    #[must_use]
    pub fn api_key_place(organization: crate::values::OrganizationId, place: u8) -> Self {
        ClaimKey { scope: "api-key-place", value: format!("{organization}/{place}"), field: "keys" }
    }

    /// The handle of an organization, case-insensitive.
    #[must_use]
    pub fn organization_handle(handle: &str) -> Self {
        ClaimKey { scope: "organization-handle", value: crate::text::fold(handle), field: "name" }
    }

    /// The running move of a group in an organization; one at a time.
    #[must_use]
    pub fn group_move(organization: crate::values::OrganizationId) -> Self {
        ClaimKey { scope: "group-move", value: organization.to_string(), field: "task" }
    }

    /// The name of a group among its siblings, case-insensitive.
    #[must_use]
    pub fn group_name(
        organization: crate::values::OrganizationId,
        parent: Option<crate::values::GroupId>,
        name: &str,
    ) -> Self {
        let parent = parent.map_or_else(String::new, |parent| parent.to_string());
        ClaimKey {
            scope: "group-name",
            value: format!("{organization}/{parent}/{}", crate::text::fold(name)),
            field: "name",
        }
    }

    /// The telephone number of a user, unique among users who are not archived.
    #[must_use]
    pub fn user_phone(phone: &crate::user::Phone) -> Self {
        ClaimKey { scope: "user-phone", value: phone.as_str().to_owned(), field: "phone" }
    }

    /// The enabled TOTP configuration of a user; one at a time.
    #[must_use]
    pub fn enabled_totp(user: crate::values::UserId) -> Self {
        ClaimKey { scope: "totp-enabled", value: user.to_string(), field: "enabled" }
    }

    /// The pending TOTP configuration of a user; one at a time.
    #[must_use]
    pub fn pending_totp(user: crate::values::UserId) -> Self {
        ClaimKey { scope: "totp-pending", value: user.to_string(), field: "enabled" }
    }

    /// The code of a short link, never released: a printed code must not lead elsewhere one day.
    #[must_use]
    pub fn short_code(code: &crate::url_shortener::ShortCode) -> Self {
        ClaimKey { scope: "short-code", value: code.to_string(), field: "code" }
    }

    /// The setting of a feature for one target; one at a time.
    #[must_use]
    pub fn feature_setting(feature: &crate::feature::FeatureId, target: crate::feature::setting::Target) -> Self {
        ClaimKey { scope: "feature-setting", value: format!("{feature}/{}", target.text()), field: "featureId" }
    }

    /// The name of a general message in an organization and a locale, case-insensitive.
    #[must_use]
    pub fn general_message(
        organization: crate::values::OrganizationId,
        locale: crate::user::Locale,
        name: &str,
    ) -> Self {
        let value = format!("{organization}/{}/{}", locale.name(), crate::text::fold(name));
        ClaimKey { scope: "general-message", value, field: "name" }
    }

    /// The domain of a theme, in any spelling.
    #[must_use]
    pub fn theme_domain(domain: &crate::theme::DomainName) -> Self {
        ClaimKey { scope: "theme-domain", value: domain.comparable(), field: "domain" }
    }

    /// The version of a document for the people of an organization, or for all people; published once.
    #[must_use]
    pub fn service_document(organization: Option<crate::values::OrganizationId>, name: &str, version: u32) -> Self {
        let owner = organization.map_or_else(String::new, |organization| organization.to_string());
        ClaimKey { scope: "service-document", value: format!("{owner}/{version}/{name}"), field: "version" }
    }

    /// The open invitation of an address by a friend; one at a time.
    #[must_use]
    pub fn registration_invitation(email: &crate::values::EmailAddress) -> Self {
        ClaimKey { scope: "registration-invitation", value: email.comparable(), field: "invitedEmail" }
    }

    /// An address that an organization is onboarding; one open request at a time.
    #[must_use]
    pub fn onboarding_address(organization: crate::values::OrganizationId, address: &crate::user::Contact) -> Self {
        let (address, field) = match address {
            crate::user::Contact::Email(email) => (email.comparable(), "patientEmail"),
            crate::user::Contact::Phone(phone) => (phone.as_str().to_owned(), "phoneNumber"),
        };
        ClaimKey { scope: "onboarding-address", value: format!("{organization}/{address}"), field }
    }

    /// An individual whose person is being onboarded; one open request at a time.
    #[must_use]
    pub fn onboarding_individual(individual: crate::values::IndividualId) -> Self {
        ClaimKey { scope: "onboarding-individual", value: individual.to_string(), field: "patient" }
    }

    /// The code of an invitation, by its keyed digest. It leads to the onboarding request.
    #[must_use]
    pub fn referral_code(digest: &str) -> Self {
        ClaimKey { scope: "referral-code", value: digest.to_owned(), field: "code" }
    }

    /// The template of an owner for a purpose; one at a time.
    #[must_use]
    pub fn message_template(
        owner: crate::message::template::Owner,
        purpose: crate::message::template::Purpose,
    ) -> Self {
        ClaimKey { scope: "message-template", value: format!("{}/{}", owner.text(), purpose.text()), field: "type" }
    }
}
