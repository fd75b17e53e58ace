//! What is known of a user.

use super::contacts::{Contacts, Username};
use super::event::UserEvent;
use super::home::Home;
use super::preferences::Preferences;
use crate::values::{IndividualId, OrganizationId, Problem, UserId};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// Where a user is in life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// Invited; no password yet.
    Init,
    /// Has a password; the contact is to be confirmed.
    Registered,
    /// May sign in.
    Confirmed,
    /// May sign in after setting another password.
    ForceResetPassword,
    /// Was confirmed, must not sign in.
    Disabled,
    /// Was registered, must not sign in.
    RegisteredDisabled,
    /// At the end: must not sign in, and has no contacts any more.
    Archived,
}

impl UserState {
    /// Whether the user counts: neither disabled nor archived.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        !matches!(self, UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived)
    }
}

/// Names of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserNames"))]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// Given name; may be empty.
    pub first_name: String,
    /// Family name; may be empty.
    pub last_name: String,
}

/// A date of birth, `YYYY-MM-DD`. A text, since that of an erased person is none that is in the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BirthDate(String);

impl BirthDate {
    /// Checks that it is in the calendar.
    ///
    /// # Errors
    /// `NotADate`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| Problem::NotADate)?;
        if date.to_string() == text { Ok(BirthDate(text.to_owned())) } else { Err(Problem::NotADate) }
    }

    /// The date as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Language and country in which a user is addressed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Locale {
    /// English.
    #[default]
    #[serde(rename = "en_US")]
    EnUs,
    /// Spanish.
    #[serde(rename = "es_US")]
    EsUs,
}

/// What a user counts as in reports; staff are `Carium`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Staff of the service itself.
    Carium,
    /// An organization or user of a customer.
    Customer,
    /// The same, for tests.
    CustomerTest,
}

impl Classification {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Classification::Carium => "carium",
            Classification::Customer => "customer",
            Classification::CustomerTest => "customer_test",
        }
    }
}

/// A role in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Role {
    /// Administers the organization.
    #[serde(rename = "org.admin")]
    Admin,
    /// Works with individuals of the organization.
    #[serde(rename = "org.provider")]
    Provider,
    /// Takes part in the organization.
    #[serde(rename = "org.member")]
    Member,
}

/// A role in the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SystemRole {
    /// Holds every grant.
    #[serde(rename = "system.admin")]
    Admin,
    /// Helps users of every organization.
    #[serde(rename = "system.support")]
    Support,
    /// Marks an account of a program.
    #[serde(rename = "system.service")]
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Provider, Role::Member];

    /// The role as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Admin => "org.admin",
            Role::Provider => "org.provider",
            Role::Member => "org.member",
        }
    }

    /// Its identifier in an organization: follows from the organization's.
    #[must_use]
    pub fn id(self, organization: OrganizationId) -> Uuid {
        Uuid::new_v5(&organization.0, self.name().as_bytes())
    }
}

impl SystemRole {
    /// Every role.
    pub const ALL: [SystemRole; 3] = [SystemRole::Admin, SystemRole::Support, SystemRole::Service];

    /// The role as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SystemRole::Admin => "system.admin",
            SystemRole::Support => "system.support",
            SystemRole::Service => "system.service",
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(self) -> Uuid {
        Uuid::new_v5(&Uuid::nil(), self.name().as_bytes())
    }
}

/// A user's belonging to an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Which of the user's memberships it is, counted from 1: who comes back has another one.
    pub number: u64,
    /// Roles there.
    pub roles: BTreeSet<Role>,
}

/// A user that is there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Its stream, and the subject of its tokens.
    pub id: UserId,
    /// Where it is in life.
    pub state: UserState,
    /// Of one that is disabled: where it goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_disabled: Option<UserState>,
    /// What it is called.
    pub names: Names,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<BirthDate>,
    /// The home of the account; absent as long as one from before homes were recorded has joined no organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// How it is reached.
    pub contacts: Contacts,
    /// Which contact it signs in with.
    pub username: Username,
    /// Its locale.
    pub locale: Locale,
    /// Whether it chose the locale itself.
    pub locale_explicit: bool,
    /// Its time zone, an IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether it chose the time zone itself.
    pub time_zone_explicit: bool,
    /// What it wishes to get.
    pub preferences: Preferences,
    /// What it counts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Where it belongs.
    pub memberships: BTreeMap<OrganizationId, Membership>,
    /// Memberships that there ever were.
    pub joined: u64,
    /// The organization that a session begins in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_organization: Option<OrganizationId>,
    /// Roles in the whole system.
    pub system_roles: BTreeSet<SystemRole>,
    /// Its individuals, the primary one first.
    pub individuals: Vec<IndividualId>,
    /// Documents that it agrees to, each by the identifier of its version.
    pub agreements: BTreeSet<Uuid>,
    /// Counts what ends all sessions: one of another epoch is over.
    pub epoch: u64,
    /// Hash of the password in PHC form. Known from events only: a state that is written down anywhere has none.
    #[serde(skip)]
    pub password_hash: Option<String>,
    /// Until when that password is good, if somebody else set it. As little written down.
    #[serde(skip)]
    pub password_expires_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("memberships", &self.memberships)
            .field("system_roles", &self.system_roles)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// Whether it has a role in an organization and is enabled.
    #[must_use]
    pub fn acts_as(&self, role: Role, organization: OrganizationId) -> bool {
        self.state.is_enabled()
            && self.memberships.get(&organization).is_some_and(|membership| membership.roles.contains(&role))
    }

    /// Takes an event in. A creation is the state's, not the profile's.
    pub fn evolve(&mut self, event: UserEvent) {
        match event {
            UserEvent::Created(_) => {}
            UserEvent::NamesAmended { names } => self.names = names,
            UserEvent::BirthDateAmended { birth_date } => self.birth_date = Some(birth_date),
            UserEvent::EmailAmended { email, kept, .. } => self.contacts.has_email(email, false, kept),
            UserEvent::PhoneAmended { phone, kept, .. } => self.contacts.has_phone(phone, false, kept),
            UserEvent::EmailConfirmed { email, ends_sessions, .. } => {
                self.contacts.has_email(email, true, None);
                self.epoch += u64::from(ends_sessions);
            }
            UserEvent::PhoneConfirmed { ends_sessions, .. } => {
                (self.contacts.phone_verified, self.contacts.verified_phone) = (true, None);
                self.epoch += u64::from(ends_sessions);
            }
            UserEvent::EmailRestored { email, .. } => self.contacts.has_email(email, true, None),
            UserEvent::PhoneRestored { phone, .. } => self.contacts.has_phone(phone, true, None),
            UserEvent::UsernameChosen { username } => self.username = username,
            UserEvent::LocaleChosen { locale } => (self.locale, self.locale_explicit) = (locale, true),
            UserEvent::TimeZoneChosen { time_zone } => {
                (self.time_zone, self.time_zone_explicit) = (Some(time_zone), true);
            }
            UserEvent::PreferencesAmended { preferences } => self.preferences = preferences,
            UserEvent::Classified { classification } => self.classification = Some(classification),
            UserEvent::PasswordChanged { password_hash, state, ends_sessions } => {
                (self.password_hash, self.password_expires_at) = (Some(password_hash), None);
                self.state = state;
                self.epoch += u64::from(ends_sessions);
            }
            UserEvent::SessionsEnded {} => self.epoch += 1,
            UserEvent::Disabled { state } => {
                self.before_disabled = Some(std::mem::replace(&mut self.state, state));
                self.epoch += 1;
            }
            UserEvent::Enabled { state } => (self.state, self.before_disabled) = (state, None),
            UserEvent::Archived { .. } => {
                (self.state, self.epoch) = (UserState::Archived, self.epoch + 1);
                self.contacts = Contacts::default();
            }
            UserEvent::OrganizationJoined { organization_id, number } => {
                self.memberships.insert(organization_id, Membership { number, roles: BTreeSet::new() });
                self.joined = number;
                self.settle(Home::of(organization_id));
            }
            UserEvent::OrganizationRemoved { organization_id } => {
                // An event of its own says so as well, but none did before homes were recorded.
                if self.home() == Some(organization_id) {
                    self.home = Some(Home { organization_id: self.heir(organization_id) });
                }
                self.memberships.remove(&organization_id);
            }
            UserEvent::DefaultOrganizationChanged { organization_id } => self.default_organization = organization_id,
            UserEvent::HomeChanged { organization_id } => self.home = Some(Home { organization_id }),
            UserEvent::RoleGranted { organization_id, role } => {
                if let Some(membership) = self.memberships.get_mut(&organization_id) {
                    membership.roles.insert(role);
                }
            }
            UserEvent::RoleRevoked { organization_id, role } => {
                if let Some(membership) = self.memberships.get_mut(&organization_id) {
                    membership.roles.remove(&role);
                }
            }
            UserEvent::SystemRoleGranted { role } => {
                self.system_roles.insert(role);
                self.settle(Home::SYSTEM);
            }
            UserEvent::SystemRoleRevoked { role } => {
                self.system_roles.remove(&role);
            }
            UserEvent::DocumentsAgreed { documents } => self.agreements.extend(documents),
            UserEvent::AgreementsDeleted {} => self.agreements.clear(),
            UserEvent::IndividualAdded { individual_id } => self.individuals.push(individual_id),
        }
    }
}
