//! The state of an admin, and its changes by events.

use super::event::{AdminEvent, Registration};
use crate::values::{
    AccountId, AddressId, AdminId, CountryCode, EmailAddress, PartyId, PersonId, PhoneNumberId, Problem, RegionCode,
    check_text,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// State for an admin's decisions: everything but the time stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The admin.
    pub id: AdminId,
    /// The natural person.
    pub person_id: PersonId,
    /// The contact side of the person.
    pub party_id: PartyId,
    /// Granted policies, each once.
    pub policies: Vec<String>,
    /// Custom permissions, each once.
    pub custom_permissions: Vec<String>,
    /// Name and contact e-mail.
    pub person: Person,
    /// Identifier in the system of origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_identifier: Option<String>,
    /// Addresses in order.
    pub addresses: Vec<Address>,
    /// Telephone numbers in order.
    pub phone_numbers: Vec<PhoneNumber>,
    /// The sign-in account, if the admin has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// The state is `{"Active": profile}` or `{"Inactive": profile}`, hence the first `*`.
pub(super) const PERSONAL_STATE: &[&str] = &[
    "/*/person/firstName",
    "/*/person/lastName",
    "/*/person/suffix",
    "/*/person/emailAddress",
    "/*/legacyIdentifier",
    "/*/addresses/*/addressLine1",
    "/*/addresses/*/addressLine2",
    "/*/addresses/*/city",
    "/*/addresses/*/postalCode",
    "/*/addresses/*/stateProvinceCode",
    "/*/phoneNumbers/*/phoneNumber",
    "/*/phoneNumbers/*/extension",
    "/*/account/email",
    "/*/account/passwordHash",
];

/// Name and contact e-mail of a person. Empty optional text equals no text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "AdminPerson"))]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Code of the salutation, from 1 up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub salutation: Option<u32>,
    /// Given name, not blank.
    pub first_name: String,
    /// Family name, not blank.
    pub last_name: String,
    /// Name suffix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Address for contact; any text, since the documented sample is not an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
}

/// A postal address without its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddressDetails {
    /// Code of the kind of address, from 1 up.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub address_type: u32,
    /// First line of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_line1: Option<String>,
    /// Second line of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_line2: Option<String>,
    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// State or province; checked for the United States only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_province_code: Option<String>,
    /// Country, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_code: Option<CountryCode>,
    /// Data region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_code: Option<RegionCode>,
}

impl AddressDetails {
    /// Problems of the address as a whole: member, in wire spelling, and problem.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, Problem)> {
        let texts = [
            ("addressLine1", &self.address_line1),
            ("addressLine2", &self.address_line2),
            ("city", &self.city),
            ("postalCode", &self.postal_code),
            ("stateProvinceCode", &self.state_province_code),
        ];
        let mut problems: Vec<_> = texts
            .into_iter()
            .filter_map(|(name, text)| check_text(text.as_deref()?).err().map(|problem| (name, problem)))
            .collect();
        if self.address_type == 0 {
            problems.push(("addressType", Problem::NotACode));
        }
        if let (Some(country), Some(state)) = (&self.country_code, self.state_province_code.as_deref())
            && !state.is_empty()
            && let Err(problem) = country.state_name(state)
        {
            problems.push(("stateProvinceCode", problem));
        }
        problems
    }
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "AdminAddress"))]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Identifier, kept for the whole life of the address.
    pub id: AddressId,
    /// Content of the address.
    #[serde(flatten)]
    pub details: AddressDetails,
}

/// A telephone number without its identity. Empty text equals no text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumberDetails {
    /// Code of the kind of number, from 1 up.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub phone_type: u32,
    /// The number as entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
}

impl PhoneNumberDetails {
    pub(super) fn problems(&self) -> Vec<(&'static str, Problem)> {
        let texts = [("phoneNumber", &self.phone_number), ("extension", &self.extension)];
        let mut problems: Vec<_> = texts
            .into_iter()
            .filter_map(|(name, text)| check_text(text.as_deref()?).err().map(|problem| (name, problem)))
            .collect();
        if self.phone_type == 0 {
            problems.push(("phoneType", Problem::NotACode));
        }
        problems
    }

    pub(super) fn drop_empty_texts(&mut self) {
        drop_if_empty(&mut self.phone_number);
        drop_if_empty(&mut self.extension);
    }
}

/// Keeps the first of equal entries: a repeated grant has no meaning.
pub(super) fn collapse(entries: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| seen.insert(entry.clone()));
}

/// Replaces empty text with `None`.
pub(super) fn drop_if_empty(text: &mut Option<String>) {
    text.take_if(|text| text.is_empty());
}

/// A telephone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "AdminPhoneNumber"))]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumber {
    /// Identifier, kept for the whole life of the number.
    pub id: PhoneNumberId,
    /// Content of the number.
    #[serde(flatten)]
    pub details: PhoneNumberDetails,
}

/// Sign-in account of an admin.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "AdminAccount"))]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Sign-in name, unique among all accounts.
    pub email: EmailAddress,
    /// Argon2id hash in PHC string format. A secret.
    pub password_hash: String,
    /// Expiry of a password that another person set. Absent in events of earlier releases: the password then never
    /// expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_expires_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

impl From<Registration> for Profile {
    fn from(registration: Registration) -> Self {
        let Registration {
            id,
            person_id,
            party_id,
            policies,
            custom_permissions,
            person,
            legacy_identifier,
            addresses,
            phone_numbers,
            account,
        } = registration;
        Profile {
            id,
            person_id,
            party_id,
            policies,
            custom_permissions,
            person,
            legacy_identifier,
            addresses,
            phone_numbers,
            account,
        }
    }
}

impl Profile {
    pub(super) fn evolve(&mut self, event: AdminEvent) {
        match event {
            AdminEvent::GrantsAmended { policies, custom_permissions } => {
                self.policies = policies;
                self.custom_permissions = custom_permissions;
            }
            AdminEvent::PersonAmended { person } => self.person = person,
            AdminEvent::PartyAmended { legacy_identifier } => self.legacy_identifier = legacy_identifier,
            AdminEvent::AddressAdded { address, index } => {
                self.addresses.insert(index.min(self.addresses.len()), address)
            }
            AdminEvent::AddressAmended { address } => replace_by(&mut self.addresses, address, |entry| entry.id),
            AdminEvent::AddressRemoved { address_id } => self.addresses.retain(|entry| entry.id != address_id),
            AdminEvent::PhoneNumberAdded { phone_number, index } => {
                self.phone_numbers.insert(index.min(self.phone_numbers.len()), phone_number);
            }
            AdminEvent::PhoneNumberAmended { phone_number } => {
                replace_by(&mut self.phone_numbers, phone_number, |entry| entry.id)
            }
            AdminEvent::PhoneNumberRemoved { phone_number_id } => {
                self.phone_numbers.retain(|entry| entry.id != phone_number_id)
            }
            AdminEvent::PasswordChanged { password_hash, expires_at, .. } => {
                if let Some(account) = &mut self.account {
                    (account.password_hash, account.password_expires_at) = (password_hash, expires_at);
                }
            }
            // A registration comes only once, and active or inactive belongs to the state, not to the profile.
            AdminEvent::Registered(_)
            | AdminEvent::SessionsEnded {}
            | AdminEvent::Activated {}
            | AdminEvent::Deactivated {} => {}
        }
    }
}

fn replace_by<T, K: PartialEq>(entries: &mut [T], entry: T, key: impl Fn(&T) -> K) {
    let wanted = key(&entry);
    if let Some(place) = entries.iter_mut().find(|entry| key(entry) == wanted) {
        *place = entry;
    }
}
