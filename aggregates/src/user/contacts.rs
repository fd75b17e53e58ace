//! Contacts of a user. A new address is claimed for the user at once, so that no other user takes it, but stays
//! pending: until it is confirmed the last verified one stays claimed as well, and stays the sign-in name. After a day
//! without confirmation the server puts the verified one back (`src/processes/accounts.rs`).

use super::event::UserEvent;
use super::profile::{Profile, UserState};
use super::{Amendment, UserError, calling_codes};
use crate::ClaimKey;
use crate::message::Channel;
use crate::values::{EmailAddress, Problem};
use serde::{Deserialize, Serialize};

/// A telephone number in international form (E.164): a plus sign and 8 to 15 digits, the first of them not 0. Numbers
/// that earlier releases recorded may have any calling code and length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Phone(String);

impl Phone {
    /// Checks form, country calling code, and whether a number there may be as long. Whether the number is in use is
    /// not known.
    ///
    /// # Errors
    /// `NotAPhone`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let phone = Phone::parse_stored(text)?;
        if calling_codes::is_possible(phone.digits()) { Ok(phone) } else { Err(Problem::NotAPhone) }
    }

    /// Checks the form alone, to find a number that may have been recorded by an earlier release.
    ///
    /// # Errors
    /// `NotAPhone`.
    pub fn parse_stored(text: &str) -> Result<Self, Problem> {
        let digits = text.strip_prefix('+').ok_or(Problem::NotAPhone)?;
        let fits = (8..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if fits { Ok(Phone(text.to_owned())) } else { Err(Problem::NotAPhone) }
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the number belongs to the North American plan.
    #[must_use]
    pub fn is_north_american(&self) -> bool {
        self.0.len() == 12 && self.0.starts_with("+1")
    }
}

/// The kind of line of a telephone number; empty text while unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PhoneType {
    /// Unknown.
    #[default]
    #[serde(rename = "")]
    Unknown,
    /// A fixed line.
    Landline,
    /// A mobile line.
    Mobile,
    /// A line over the Internet.
    Voip,
}

/// A contact of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserContact"))]
#[serde(rename_all = "camelCase")]
pub enum Contact {
    /// E-mail address.
    Email(EmailAddress),
    /// Telephone number.
    Phone(Phone),
}

impl Contact {
    /// The contact as text, as it was entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Contact::Email(email) => email.as_str(),
            Contact::Phone(phone) => phone.as_str(),
        }
    }

    /// The kind of the contact.
    #[must_use]
    pub const fn kind(&self) -> Username {
        match self {
            Contact::Email(_) => Username::Email,
            Contact::Phone(_) => Username::Phone,
        }
    }

    /// The channel of messages to the contact.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Contact::Email(_) => Channel::Email,
            Contact::Phone(_) => Channel::Sms,
        }
    }

    /// The claim that reserves the contact for a user. Spellings of one contact have one claim.
    #[must_use]
    pub fn claim(&self) -> ClaimKey {
        match self {
            Contact::Email(email) => ClaimKey::account_email(email),
            Contact::Phone(phone) => ClaimKey::user_phone(phone),
        }
    }

    /// Whether both are spellings of one contact.
    #[must_use]
    pub fn is_same(&self, other: &Contact) -> bool {
        self.claim() == other.claim()
    }
}

/// Change of a contact that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactChange {
    /// The new contact, not verified yet.
    pub to: Contact,
    /// The last verified one, kept until then.
    pub kept: Option<Contact>,
}

impl From<SignInName<'_>> for Contact {
    fn from(name: SignInName<'_>) -> Self {
        match name {
            SignInName::Email(email) => Contact::Email(email.clone()),
            SignInName::Phone(phone) => Contact::Phone(phone.clone()),
        }
    }
}

/// Contacts of a user, with their verification.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserContacts", extend("required" = ["emailVerified", "phoneType", "phoneVerified"])))]
#[serde(rename_all = "camelCase")]
pub struct Contacts {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The last verified address, kept while another one is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_email: Option<EmailAddress>,
    /// Telephone number, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Kind of line.
    #[serde(default)]
    pub phone_type: PhoneType,
    /// Whether the number is verified.
    pub phone_verified: bool,
    /// The last verified number, kept while another one is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_phone: Option<Phone>,
}

/// Contact with which a user signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Username {
    /// The e-mail address.
    Email,
    /// The telephone number.
    Phone,
}

/// The sign-in name of a user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignInName<'a> {
    /// An e-mail address.
    Email(&'a EmailAddress),
    /// A telephone number.
    Phone(&'a Phone),
}

impl<'a> SignInName<'a> {
    /// The name as text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            SignInName::Email(email) => email.as_str(),
            SignInName::Phone(phone) => phone.as_str(),
        }
    }

    /// The claim that reserves the name for the user.
    #[must_use]
    pub fn claim(self) -> ClaimKey {
        match self {
            SignInName::Email(email) => ClaimKey::account_email(email),
            SignInName::Phone(phone) => ClaimKey::user_phone(phone),
        }
    }
}

impl Contacts {
    /// The verified e-mail address: the shown one, or the one kept while another is pending.
    #[must_use]
    pub fn proven_email(&self) -> Option<&EmailAddress> {
        if self.email_verified { self.email.as_ref() } else { self.verified_email.as_ref() }
    }

    /// The verified telephone number: the shown one, or the one kept while another is pending.
    #[must_use]
    pub fn proven_phone(&self) -> Option<&Phone> {
        if self.phone_verified { self.phone.as_ref() } else { self.verified_phone.as_ref() }
    }

    /// The pending e-mail address, if a verified one is kept.
    #[must_use]
    pub fn waiting_email(&self) -> Option<&EmailAddress> {
        self.email.as_ref().filter(|_| !self.email_verified && self.verified_email.is_some())
    }

    /// The pending telephone number, if a verified one is kept.
    #[must_use]
    pub fn waiting_phone(&self) -> Option<&Phone> {
        self.phone.as_ref().filter(|_| !self.phone_verified && self.verified_phone.is_some())
    }

    /// The verified contact of a kind: the shown one, or the one kept while another is pending.
    #[must_use]
    pub fn proven(&self, kind: Username) -> Option<Contact> {
        match kind {
            Username::Email => self.proven_email().cloned().map(Contact::Email),
            Username::Phone => self.proven_phone().cloned().map(Contact::Phone),
        }
    }

    /// Whether a contact is verified: the shown one, or the one kept while another is pending.
    #[must_use]
    pub fn proves(&self, contact: &Contact) -> bool {
        self.proven(contact.kind()).is_some_and(|proven| proven.is_same(contact))
    }

    /// The shown contacts that are not verified, whether a verified one is kept beside them or there never was one.
    pub fn unverified(&self) -> impl Iterator<Item = Contact> + '_ {
        let email = self.email.clone().filter(|_| !self.email_verified).map(Contact::Email);
        let phone = self.phone.clone().filter(|_| !self.phone_verified).map(Contact::Phone);
        email.into_iter().chain(phone)
    }

    /// The contacts that an amendment changes. A different spelling is no change, nor is a return to the verified one.
    #[must_use]
    pub fn changes(&self, amendment: &Amendment) -> Vec<ContactChange> {
        let of_email = |email: &EmailAddress| {
            let Some(UserEvent::EmailAmended { email, kept, .. }) = self.amend_email(email.clone()) else {
                return None;
            };
            Some(ContactChange { to: Contact::Email(email), kept: kept.map(Contact::Email) })
        };
        let of_phone = |phone: &Phone| {
            let Some(UserEvent::PhoneAmended { phone, kept, .. }) = self.amend_phone(phone.clone()) else {
                return None;
            };
            Some(ContactChange { to: Contact::Phone(phone), kept: kept.map(Contact::Phone) })
        };
        let email = amendment.email.as_ref().and_then(of_email);
        email.into_iter().chain(amendment.phone.as_ref().and_then(of_phone)).collect()
    }

    /// The event of a new e-mail address. A different spelling of the same address is no change.
    pub(super) fn amend_email(&self, email: EmailAddress) -> Option<UserEvent> {
        if self.email.as_ref().is_some_and(|shown| is_same(shown, &email)) {
            return None;
        }
        let (former, kept) = match (self.email_verified, &self.verified_email) {
            (true, _) => (None, self.email.clone()),
            (false, Some(kept)) if is_same(kept, &email) => return self.restore_email(),
            (false, kept) => (self.email.clone(), kept.clone()),
        };
        Some(UserEvent::EmailAmended { former, email, kept })
    }

    /// The event of a new telephone number.
    pub(super) fn amend_phone(&self, phone: Phone) -> Option<UserEvent> {
        if self.phone.as_ref() == Some(&phone) {
            return None;
        }
        let (former, kept) = match (self.phone_verified, &self.verified_phone) {
            (true, _) => (None, self.phone.clone()),
            (false, Some(kept)) if *kept == phone => return self.restore_phone(),
            (false, kept) => (self.phone.clone(), kept.clone()),
        };
        Some(UserEvent::PhoneAmended { former, phone, kept })
    }

    pub(super) fn confirm_email(&self, email: &EmailAddress) -> Result<Vec<UserEvent>, UserError> {
        let shown = self.email.as_ref().filter(|shown| is_same(shown, email)).ok_or(UserError::OtherEmail)?;
        if self.email_verified {
            return Ok(vec![]);
        }
        let former = self.verified_email.clone();
        Ok(vec![UserEvent::EmailConfirmed { former, email: shown.clone(), ends_sessions: true }])
    }

    pub(super) fn confirm_phone(&self, phone: &Phone) -> Result<Vec<UserEvent>, UserError> {
        if self.phone.as_ref() != Some(phone) {
            return Err(UserError::OtherPhone);
        }
        if self.phone_verified {
            return Ok(vec![]);
        }
        Ok(vec![UserEvent::PhoneConfirmed { former: self.verified_phone.clone(), ends_sessions: true }])
    }

    /// Reverts the pending address, unless it is another than `email`.
    pub(super) fn revert_email(&self, email: &EmailAddress) -> Vec<UserEvent> {
        let waits = self.waiting_email().is_some_and(|waiting| is_same(waiting, email));
        self.restore_email().filter(|_| waits).into_iter().collect()
    }

    /// Reverts the pending number, unless it is another than `phone`.
    pub(super) fn revert_phone(&self, phone: &Phone) -> Vec<UserEvent> {
        let waits = self.waiting_phone() == Some(phone);
        self.restore_phone().filter(|_| waits).into_iter().collect()
    }

    fn restore_email(&self) -> Option<UserEvent> {
        Some(UserEvent::EmailRestored { former: self.email.clone()?, email: self.verified_email.clone()? })
    }

    fn restore_phone(&self) -> Option<UserEvent> {
        Some(UserEvent::PhoneRestored { former: self.phone.clone()?, phone: self.verified_phone.clone()? })
    }

    /// The event that frees all contacts.
    pub(super) fn archive(&self) -> UserEvent {
        UserEvent::Archived {
            email: self.email.clone(),
            phone: self.phone.clone(),
            kept_email: self.verified_email.clone(),
            kept_phone: self.verified_phone.clone(),
        }
    }

    pub(super) fn has_email(&mut self, email: EmailAddress, verified: bool, kept: Option<EmailAddress>) {
        (self.email, self.email_verified, self.verified_email) = (Some(email), verified, kept);
    }

    pub(super) fn has_phone(&mut self, phone: Phone, verified: bool, kept: Option<Phone>) {
        (self.phone, self.phone_verified, self.verified_phone) = (Some(phone), verified, kept);
        self.phone_type = PhoneType::Unknown;
    }
}

impl Profile {
    /// The sign-in name: the verified address of the chosen contact, else that of the other one. A user without a
    /// verified contact signs in with the chosen one as it is; a pending address is never a name.
    #[must_use]
    pub fn sign_in_name(&self) -> Option<SignInName<'_>> {
        let contacts = &self.contacts;
        let email = contacts.proven_email().map(SignInName::Email);
        let phone = contacts.proven_phone().map(SignInName::Phone);
        match self.username {
            Username::Email => email.or(phone).or(contacts.email.as_ref().map(SignInName::Email)),
            Username::Phone => phone.or(email).or(contacts.phone.as_ref().map(SignInName::Phone)),
        }
    }

    /// The contact of a kind by which a forgotten password is replaced: a verified one, or, while the sign-up is not
    /// confirmed, the one that the user signed up with. `None` for accounts that a new password does not let in.
    #[must_use]
    pub fn recovery_contact(&self, kind: Username) -> Option<Contact> {
        match self.state {
            UserState::Confirmed | UserState::ForceResetPassword => self.contacts.proven(kind),
            UserState::Registered => self.sign_in_name().map(Contact::from).filter(|name| name.kind() == kind),
            UserState::Init | UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived => None,
        }
    }
}

/// Whether two spellings are one address.
fn is_same(one: &EmailAddress, other: &EmailAddress) -> bool {
    one.comparable() == other.comparable()
}
