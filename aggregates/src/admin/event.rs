//! Events of an admin: one for each record that a command really changed, so that the audit trail has one entry for
//! each.

use super::AdminError;
use super::profile::{Account, Address, Person, PhoneNumber, collapse, drop_if_empty};
use crate::{
    Claim, ClaimKey,
    facts::{EventFacts, event_names},
    values::{
        AddressId, AdminId, EmailAddress, Finding, PartyId, PersonId, PhoneNumberId, Problem, check_name, check_text,
    },
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An account as opened; see [`Account`].
pub type AccountOpened = Account;

/// Data of a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The admin.
    pub id: AdminId,
    /// The natural person.
    pub person_id: PersonId,
    /// The contact side of the person.
    pub party_id: PartyId,
    /// Policies to grant, each once.
    pub policies: Vec<String>,
    /// Single permissions to grant, each once.
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
    /// The sign-in account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountOpened>,
}

impl Registration {
    /// Checks every field; fails with all invalid fields.
    pub(super) fn check(&self) -> Result<(), AdminError> {
        let mut findings = Vec::new();
        let mut find = |field: String, result: Result<(), Problem>| {
            if let Err(problem) = result {
                findings.push(Finding { field, problem });
            }
        };
        find("person.firstName".into(), check_name(&self.person.first_name));
        find("person.lastName".into(), check_name(&self.person.last_name));
        find("person.suffix".into(), check_text(self.person.suffix.as_deref().unwrap_or_default()));
        find("person.contactEmailAddress".into(), check_text(self.person.email_address.as_deref().unwrap_or_default()));
        find(
            "person.salutation".into(),
            if self.person.salutation == Some(0) { Err(Problem::NotACode) } else { Ok(()) },
        );
        find("legacyIdentifier".into(), check_text(self.legacy_identifier.as_deref().unwrap_or_default()));
        for (list, entries) in [("policies", &self.policies), ("customPermissions", &self.custom_permissions)] {
            for (index, entry) in entries.iter().enumerate() {
                find(format!("{list}[{index}]"), check_text(entry));
            }
        }
        for (index, address) in self.addresses.iter().enumerate() {
            for (member, problem) in address.details.problems() {
                find(format!("addresses[{index}].{member}"), Err(problem));
            }
        }
        for (index, phone_number) in self.phone_numbers.iter().enumerate() {
            for (member, problem) in phone_number.details.problems() {
                find(format!("phoneNumbers[{index}].{member}"), Err(problem));
            }
        }
        if findings.is_empty() { Ok(()) } else { Err(AdminError::Invalid(findings)) }
    }

    /// The recorded form: each grant once, empty text as `None`, as an amendment leaves them. Otherwise an amendment
    /// without changes would seem to change these.
    pub(super) fn normalised(mut self) -> Self {
        collapse(&mut self.policies);
        collapse(&mut self.custom_permissions);
        drop_if_empty(&mut self.person.suffix);
        drop_if_empty(&mut self.person.email_address);
        drop_if_empty(&mut self.legacy_identifier);
        for phone_number in &mut self.phone_numbers {
            phone_number.details.drop_empty_texts();
        }
        self
    }

    /// Sign-in name of the account, if the admin has one.
    #[must_use]
    pub fn account_email(&self) -> Option<&EmailAddress> {
        self.account.as_ref().map(|account| &account.email)
    }
}

/// Events of an admin. They carry whole records rather than differences, so that one event shows the full record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum AdminEvent {
    /// An admin was registered and is active.
    #[serde(rename = "admin.registered")]
    Registered(Box<Registration>),
    /// Policies or custom permissions of an admin changed.
    #[serde(rename = "admin.grants-amended")]
    GrantsAmended {
        /// All policies after the change.
        policies: Vec<String>,
        /// All custom permissions after the change.
        custom_permissions: Vec<String>,
    },
    /// The name or contact e-mail of an admin changed.
    #[serde(rename = "admin.person-amended")]
    PersonAmended {
        /// The person after the change.
        person: Person,
    },
    /// The legacy identifier of an admin changed.
    #[serde(rename = "admin.party-amended")]
    PartyAmended {
        /// The identifier after the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legacy_identifier: Option<String>,
    },
    /// An address of an admin was added.
    #[serde(rename = "admin.address-added")]
    AddressAdded {
        /// The address.
        address: Address,
        /// Position in the list, from 0.
        index: usize,
    },
    /// An address of an admin changed.
    #[serde(rename = "admin.address-amended")]
    AddressAmended {
        /// The address after the change.
        address: Address,
    },
    /// An address of an admin was removed.
    #[serde(rename = "admin.address-removed")]
    AddressRemoved {
        /// The address.
        address_id: AddressId,
    },
    /// A telephone number of an admin was added.
    #[serde(rename = "admin.phone-number-added")]
    PhoneNumberAdded {
        /// The telephone number.
        phone_number: PhoneNumber,
        /// Position in the list, from 0.
        index: usize,
    },
    /// A telephone number of an admin changed.
    #[serde(rename = "admin.phone-number-amended")]
    PhoneNumberAmended {
        /// The number after the change.
        phone_number: PhoneNumber,
    },
    /// A telephone number of an admin was removed.
    #[serde(rename = "admin.phone-number-removed")]
    PhoneNumberRemoved {
        /// The telephone number.
        phone_number_id: PhoneNumberId,
    },
    /// The password of an admin's account changed.
    #[serde(rename = "admin.password-changed")]
    PasswordChanged {
        /// Hash in PHC form. A secret.
        password_hash: String,
        /// Whether all sessions end.
        ends_sessions: bool,
        /// Expiry of a password that another person set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// All sessions and tokens of an admin ended.
    #[serde(rename = "admin.sessions-ended")]
    SessionsEnded {},
    /// An admin was activated.
    #[serde(rename = "admin.activated")]
    Activated {},
    /// An admin was deactivated.
    #[serde(rename = "admin.deactivated")]
    Deactivated {},
}

event_names!(AdminEvent {
    Registered => "admin.registered" @ "1.0" Insert, clear [
        "/id", "/personId", "/partyId", "/account/id", "/account/passwordExpiresAt", "/addresses/*/id", "/addresses/*/countryCode",
        "/addresses/*/regionCode", "/phoneNumbers/*/id", "/policies/*", "/customPermissions/*",
    ];
    GrantsAmended => "admin.grants-amended" @ "1.0" Update, clear ["/policies/*", "/customPermissions/*"];
    PersonAmended => "admin.person-amended" @ "1.0" Update of "Person", clear [];
    PartyAmended => "admin.party-amended" @ "1.0" Update of "Party", clear [];
    AddressAdded => "admin.address-added" @ "1.0" Insert of "PartyAddress", clear [
        "/address/id", "/address/countryCode", "/address/regionCode",
    ];
    AddressAmended => "admin.address-amended" @ "1.0" Update of "PartyAddress", clear [
        "/address/id", "/address/countryCode", "/address/regionCode",
    ];
    AddressRemoved => "admin.address-removed" @ "1.0" Delete of "PartyAddress", clear ["/addressId"];
    PhoneNumberAdded => "admin.phone-number-added" @ "1.0" Insert of "PhoneNumber", clear ["/phoneNumber/id"];
    PhoneNumberAmended => "admin.phone-number-amended" @ "1.0" Update of "PhoneNumber", clear ["/phoneNumber/id"];
    PhoneNumberRemoved => "admin.phone-number-removed" @ "1.0" Delete of "PhoneNumber", clear ["/phoneNumberId"];
    PasswordChanged => "admin.password-changed" @ "1.0" Update, clear ["/expiresAt"];
    SessionsEnded => "admin.sessions-ended" @ "1.0" Update, clear [];
    Activated => "admin.activated" @ "1.0" Update, clear [];
    Deactivated => "admin.deactivated" @ "1.0" Update, clear [];
});

impl EventFacts for AdminEvent {
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        match self {
            AdminEvent::Registered(registration) => registration
                .account_email()
                .map(|email| Claim::Take(ClaimKey::account_email(email)))
                .into_iter()
                .collect(),
            AdminEvent::GrantsAmended { .. }
            | AdminEvent::PersonAmended { .. }
            | AdminEvent::PartyAmended { .. }
            | AdminEvent::AddressAdded { .. }
            | AdminEvent::AddressAmended { .. }
            | AdminEvent::AddressRemoved { .. }
            | AdminEvent::PhoneNumberAdded { .. }
            | AdminEvent::PhoneNumberAmended { .. }
            | AdminEvent::PhoneNumberRemoved { .. }
            | AdminEvent::PasswordChanged { .. }
            | AdminEvent::SessionsEnded {}
            | AdminEvent::Activated {}
            | AdminEvent::Deactivated {} => vec![],
        }
    }

    fn own_act(&self) -> bool {
        match self {
            AdminEvent::GrantsAmended { .. } | AdminEvent::PasswordChanged { .. } | AdminEvent::SessionsEnded {} => {
                true
            }
            AdminEvent::Registered(_)
            | AdminEvent::PersonAmended { .. }
            | AdminEvent::PartyAmended { .. }
            | AdminEvent::AddressAdded { .. }
            | AdminEvent::AddressAmended { .. }
            | AdminEvent::AddressRemoved { .. }
            | AdminEvent::PhoneNumberAdded { .. }
            | AdminEvent::PhoneNumberAmended { .. }
            | AdminEvent::PhoneNumberRemoved { .. }
            | AdminEvent::Activated {}
            | AdminEvent::Deactivated {} => false,
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            AdminEvent::Registered(_) => &["/account/passwordHash"],
            AdminEvent::PasswordChanged { .. } => &["/passwordHash"],
            AdminEvent::GrantsAmended { .. }
            | AdminEvent::PersonAmended { .. }
            | AdminEvent::PartyAmended { .. }
            | AdminEvent::AddressAdded { .. }
            | AdminEvent::AddressAmended { .. }
            | AdminEvent::AddressRemoved { .. }
            | AdminEvent::PhoneNumberAdded { .. }
            | AdminEvent::PhoneNumberAmended { .. }
            | AdminEvent::PhoneNumberRemoved { .. }
            | AdminEvent::SessionsEnded {}
            | AdminEvent::Activated {}
            | AdminEvent::Deactivated {} => &[],
        }
    }
}
