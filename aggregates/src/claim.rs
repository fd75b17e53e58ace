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
}
