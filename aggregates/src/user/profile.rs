//! The state of a user, and its changes by events.

use super::contacts::{Contacts, Username};
use super::enrollment::Enrollment;
use super::event::UserEvent;
use super::home::Home;
use super::preferences::Preferences;
use super::roles::{Membership, Role, SystemRole};
use crate::organization_code::OrganizationCodeId;
use crate::values::{IndividualId, OnboardingRequestId, OrganizationId, Problem, UserId};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// State of a user's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// Invited; no password yet.
    Init,
    /// Has a password; the contact is not confirmed yet.
    Registered,
    /// May sign in.
    Confirmed,
    /// May sign in after a change of the password.
    ForceResetPassword,
    /// Disabled after confirmation: must not sign in.
    Disabled,
    /// Disabled before confirmation: must not sign in.
    RegisteredDisabled,
    /// Archived: must not sign in, and has no contacts.
    Archived,
}

impl UserState {
    /// The state as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            UserState::Init => "init",
            UserState::Registered => "registered",
            UserState::Confirmed => "confirmed",
            UserState::ForceResetPassword => "force_reset_password",
            UserState::Disabled => "disabled",
            UserState::RegisteredDisabled => "registered_disabled",
            UserState::Archived => "archived",
        }
    }

    /// Whether the user is neither disabled nor archived.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        !matches!(self, UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived)
    }
}

/// State of a person's invitation by an organization.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserInvitationState"))]
#[serde(rename_all = "lowercase")]
pub enum InvitationState {
    /// Never invited, or not reached yet.
    #[default]
    None,
    /// An invitation was sent.
    Sent,
    /// The person has come in. This stays so.
    Accepted,
    /// No invitation arrived.
    Failed,
}

impl InvitationState {
    /// The state as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            InvitationState::None => "none",
            InvitationState::Sent => "sent",
            InvitationState::Accepted => "accepted",
            InvitationState::Failed => "failed",
        }
    }

    /// Whether nothing is known of an invitation.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == InvitationState::None
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

/// A date of birth, `YYYY-MM-DD`. A text, since the placeholder of an erased person is no calendar date.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BirthDate(String);

impl BirthDate {
    /// Checks that it is a calendar date.
    ///
    /// # Errors
    /// `NotADate`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| Problem::NotADate)?;
        if date.to_string() == text { Ok(BirthDate(text.to_owned())) } else { Err(Problem::NotADate) }
    }

    /// The date as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Language and country of texts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Locale {
    /// All locales, the default first.
    pub const ALL: [Locale; 2] = [Locale::EnUs, Locale::EsUs];

    /// The locale as text, such as `en_US`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Locale::EnUs => "en_US",
            Locale::EsUs => "es_US",
        }
    }
}

/// Class of a user or organization in reports; staff are `Carium`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Staff of the service itself.
    Carium,
    /// An organization or user of a customer.
    Customer,
    /// A test organization or user of a customer.
    CustomerTest,
}

impl Classification {
    /// The class as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Classification::Carium => "carium",
            Classification::Customer => "customer",
            Classification::CustomerTest => "customer_test",
        }
    }
}

/// A present user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Identifier: the user's stream, and the subject of its tokens.
    pub id: UserId,
    /// State of the account.
    pub state: UserState,
    /// Former state of a disabled user, restored when the user is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_disabled: Option<UserState>,
    /// Names of the user.
    pub names: Names,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<BirthDate>,
    /// The home of the account; absent for an account of a release without homes that has joined no organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Code of the organization by which the user signed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up_code: Option<OrganizationCodeId>,
    /// Contacts of the user.
    pub contacts: Contacts,
    /// Contact with which the user signs in.
    pub username: Username,
    /// Locale of the user.
    pub locale: Locale,
    /// Whether the user chose the locale.
    pub locale_explicit: bool,
    /// Time zone of the user, an IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether the user chose the time zone.
    pub time_zone_explicit: bool,
    /// Communication preferences.
    pub preferences: Preferences,
    /// Class of the user in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Memberships by organization.
    pub memberships: BTreeMap<OrganizationId, Membership>,
    /// Number of all memberships, ended ones included.
    pub joined: u64,
    /// The organization in which new sessions begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_organization: Option<OrganizationId>,
    /// Roles in the whole system.
    pub system_roles: BTreeSet<SystemRole>,
    /// Individuals of the user, the primary one first.
    pub individuals: Vec<IndividualId>,
    /// Agreed documents, each by the identifier of its version.
    pub agreements: BTreeSet<Uuid>,
    /// State of the person's invitation by an organization.
    #[serde(default, skip_serializing_if = "InvitationState::is_none")]
    pub invitation: InvitationState,
    /// The onboarding request by which the person signed up, or that waits for them to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboarding: Option<OnboardingRequestId>,
    /// Time of the last sign-up by an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<DateTime<Utc>>,
    /// Number of corrections of the address before it was confirmed. Anyone who knew the former address can have made
    /// them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrections: u8,
    /// Answers of the person at sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<Box<Enrollment>>,
    /// Counts the events that end all sessions: a session of another epoch is over.
    pub epoch: u64,
    /// Hash of the password in PHC form. Set by events only: no stored state contains it.
    #[serde(skip)]
    pub password_hash: Option<String>,
    /// Expiry of a password that another person set. Not in stored states either.
    #[serde(skip)]
    pub password_expires_at: Option<DateTime<Utc>>,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
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
    /// Whether the user is enabled and has a role in an organization.
    #[must_use]
    pub fn acts_as(&self, role: Role, organization: OrganizationId) -> bool {
        self.state.is_enabled()
            && self.memberships.get(&organization).is_some_and(|membership| membership.roles.contains(&role))
    }

    /// Applies an event. A creation is applied by the state, not the profile.
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
            UserEvent::Registered { password_hash, onboarding_id, at } => {
                (self.password_hash, self.password_expires_at) = (Some(password_hash), None);
                (self.state, self.registered_at) = (UserState::Registered, Some(at));
                self.onboarding = onboarding_id.or(self.onboarding);
            }
            UserEvent::SignUpConfirmed {} => self.state = UserState::Confirmed,
            UserEvent::Enrolled { enrollment } => self.enrollment = Some(Box::new(enrollment)),
            UserEvent::SignUpCorrected { email, .. } => {
                self.contacts.has_email(email, false, None);
                self.corrections = self.corrections.saturating_add(1);
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
                // A separate event says so as well, but releases without homes recorded none.
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
            UserEvent::IndividualRemoved { individual_id } => self.individuals.retain(|one| *one != individual_id),
            UserEvent::PrimaryIndividualChanged { individual_id } => {
                self.individuals.retain(|one| *one != individual_id);
                self.individuals.insert(0, individual_id);
            }
            UserEvent::InvitationNoted { state } => self.invitation = state,
        }
    }
}
