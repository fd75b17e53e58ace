//! Claims: values that must be unique among many aggregates, taken and released with the events that use them.

/// What an event does to a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// From now on only this aggregate holds the key; refused if another one does.
    Take(ClaimKey),
    /// The key is free again.
    Release(ClaimKey),
}

/// A value that may stand once within its scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// What the value is unique among, e.g. `account-email`.
    pub scope: &'static str,
    /// The value, already normalised: equal values are equal text.
    pub value: String,
    /// Field that a refused caller is told about, in the words of the domain, e.g. `account.email`.
    pub field: &'static str,
}

impl ClaimKey {
    /// The e-mail address that a person signs in with, unique among all who sign in.
    #[must_use]
    pub fn account_email(email: &crate::values::EmailAddress) -> Self {
        ClaimKey { scope: "account-email", value: email.comparable(), field: "account.email" }
    }

    /// One of the places that an organization has for API keys: there are no more keys than places.
    #[must_use]
    pub fn api_key_place(organization: crate::values::OrganizationId, place: u8) -> Self {
        ClaimKey { scope: "api-key-place", value: format!("{organization}/{place}"), field: "keys" }
    }

    /// The handle of an organization, letter case aside.
    #[must_use]
    pub fn organization_handle(handle: &str) -> Self {
        ClaimKey { scope: "organization-handle", value: crate::text::fold(handle), field: "name" }
    }

    /// The one move of a group of an organization that is under way.
    #[must_use]
    pub fn group_move(organization: crate::values::OrganizationId) -> Self {
        ClaimKey { scope: "group-move", value: organization.to_string(), field: "task" }
    }

    /// The name of a group among its siblings, letter case aside.
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

    /// The telephone number of a user, unique among all that are not archived.
    #[must_use]
    pub fn user_phone(phone: &crate::user::Phone) -> Self {
        ClaimKey { scope: "user-phone", value: phone.as_str().to_owned(), field: "phone" }
    }

    /// The one TOTP configuration of a user that is in force.
    #[must_use]
    pub fn enabled_totp(user: crate::values::UserId) -> Self {
        ClaimKey { scope: "totp-enabled", value: user.to_string(), field: "enabled" }
    }

    /// The one TOTP configuration of a user that is in the making.
    #[must_use]
    pub fn pending_totp(user: crate::values::UserId) -> Self {
        ClaimKey { scope: "totp-pending", value: user.to_string(), field: "enabled" }
    }

    /// The one setting of a feature for one target.
    #[must_use]
    pub fn feature_setting(feature: &crate::feature::FeatureId, target: crate::feature::setting::Target) -> Self {
        ClaimKey { scope: "feature-setting", value: format!("{feature}/{}", target.text()), field: "featureId" }
    }
}
