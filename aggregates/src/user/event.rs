//! What happens to a user.

use super::contacts::{Contacts, Phone, Username};
use super::creation::Creation;
use super::preferences::Preferences;
use super::profile::{BirthDate, Classification, Locale, Names, Role, SystemRole, UserState};
use crate::facts::{EventFacts, event_names};
use crate::values::{EmailAddress, IndividualId, OrganizationId};
use crate::{Claim, ClaimKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use uuid::Uuid;

/// Facts of a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum UserEvent {
    /// A user was created.
    #[serde(rename = "user.created")]
    Created(Box<Creation>),
    /// The names of a user changed.
    #[serde(rename = "user.names-amended")]
    NamesAmended {
        /// The names from now on.
        names: Names,
    },
    /// The date of birth of a user changed.
    #[serde(rename = "user.birth-date-amended")]
    BirthDateAmended {
        /// The date from now on.
        birth_date: BirthDate,
    },
    /// A user has another e-mail address, not verified yet.
    #[serde(rename = "user.email-amended")]
    EmailAmended {
        /// The address before, if it is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<EmailAddress>,
        /// The address from now on.
        email: EmailAddress,
        /// The last verified address, which stays the user's until the new one is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<EmailAddress>,
    },
    /// A user has another telephone number, not verified yet.
    #[serde(rename = "user.phone-amended")]
    PhoneAmended {
        /// The number before, if it is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Phone>,
        /// The number from now on.
        phone: Phone,
        /// The last verified number, which stays the user's until the new one is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Phone>,
    },
    /// The telephone number of a user was found to be its own.
    #[serde(rename = "user.phone-confirmed")]
    PhoneConfirmed {
        /// The verified number before, which is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Phone>,
        /// Whether all sessions are over.
        #[serde(default)]
        ends_sessions: bool,
    },
    /// A user signs in with another contact.
    #[serde(rename = "user.username-selected")]
    UsernameChosen {
        /// Address that the user signs in with from now on.
        username: Username,
    },
    /// A user chose a locale.
    #[serde(rename = "user.locale-selected")]
    LocaleChosen {
        /// Locale from now on.
        #[serde(deserialize_with = "crate::personal::opened")]
        locale: Locale,
    },
    /// A user chose a time zone.
    #[serde(rename = "user.time-zone-selected")]
    TimeZoneChosen {
        /// Time zone from now on, by its IANA name.
        time_zone: String,
    },
    /// The communication preferences of a user changed.
    #[serde(rename = "user.preferences-amended")]
    PreferencesAmended {
        /// All preferences from now on, by channel.
        #[serde(deserialize_with = "crate::personal::opened")]
        preferences: Preferences,
    },
    /// The classification of a user changed.
    #[serde(rename = "user.classified")]
    Classified {
        /// Classification from now on.
        classification: Classification,
    },
    /// A user has another password.
    #[serde(rename = "user.password-changed")]
    PasswordChanged {
        /// Its hash in PHC form. A secret.
        password_hash: String,
        /// State of the account from now on.
        state: UserState,
        /// Whether all sessions are over.
        ends_sessions: bool,
    },
    /// A user must not sign in, and all its sessions are over.
    #[serde(rename = "user.disabled")]
    Disabled {
        /// State of the account from now on.
        state: UserState,
    },
    /// A user may sign in again.
    #[serde(rename = "user.enabled")]
    Enabled {
        /// State of the account from now on.
        state: UserState,
    },
    /// A user was archived for good; the contacts are free again.
    #[serde(rename = "user.archived")]
    Archived {
        /// The e-mail address that is free again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<EmailAddress>,
        /// The telephone number that is free again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<Phone>,
        /// The verified address that was kept beside it, free again as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_email: Option<EmailAddress>,
        /// The verified number that was kept beside it, free again as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_phone: Option<Phone>,
    },
    /// A user is a member of an organization.
    #[serde(rename = "user.organization-joined")]
    OrganizationJoined {
        /// The organization.
        organization_id: OrganizationId,
        /// Number of the membership among all that the user ever had.
        number: u64,
    },
    /// A user is a member of an organization no longer, and has no roles there.
    #[serde(rename = "user.organization-removed")]
    OrganizationRemoved {
        /// The organization.
        organization_id: OrganizationId,
    },
    /// Sessions of a user begin in another organization.
    #[serde(rename = "user.default-organization-changed")]
    DefaultOrganizationChanged {
        /// The organization; absent if the user is a member of none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<OrganizationId>,
    },
    /// A user has a role in an organization.
    #[serde(rename = "user.role-granted")]
    RoleGranted {
        /// The organization.
        organization_id: OrganizationId,
        /// The role.
        role: Role,
    },
    /// A user has a role in an organization no longer.
    #[serde(rename = "user.role-revoked")]
    RoleRevoked {
        /// The organization.
        organization_id: OrganizationId,
        /// The role.
        role: Role,
    },
    /// A user has a role in the whole system.
    #[serde(rename = "user.system-role-granted")]
    SystemRoleGranted {
        /// The role.
        role: SystemRole,
    },
    /// A user has a role in the whole system no longer.
    #[serde(rename = "user.system-role-revoked")]
    SystemRoleRevoked {
        /// The role.
        role: SystemRole,
    },
    /// A user agrees to documents.
    #[serde(rename = "user.documents-agreed")]
    DocumentsAgreed {
        /// The documents, each by the identifier of its version.
        documents: BTreeSet<Uuid>,
    },
    /// None of the agreements of a user counts any more.
    #[serde(rename = "user.agreements-deleted")]
    AgreementsDeleted {},
    /// An individual is a user's own.
    #[serde(rename = "user.individual-added")]
    IndividualAdded {
        /// The individual.
        individual_id: IndividualId,
    },
    /// The e-mail address of a user was found to be its own.
    #[serde(rename = "user.email-confirmed")]
    EmailConfirmed {
        /// The verified address before, which is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<EmailAddress>,
        /// The verified address.
        email: EmailAddress,
        /// Whether all sessions are over.
        ends_sessions: bool,
    },
    /// A user has its verified e-mail address again, since the new one was not confirmed.
    #[serde(rename = "user.email-restored")]
    EmailRestored {
        /// The address that waited, which is free now.
        former: EmailAddress,
        /// The address from now on.
        email: EmailAddress,
    },
    /// A user has its verified telephone number again, since the new one was not confirmed.
    #[serde(rename = "user.phone-restored")]
    PhoneRestored {
        /// The number that waited, which is free now.
        former: Phone,
        /// The number from now on.
        phone: Phone,
    },
    /// All sessions of a user are over.
    #[serde(rename = "user.sessions-ended")]
    SessionsEnded {},
    /// The account of a user belongs to another organization, or to the system.
    #[serde(rename = "user.home-changed")]
    HomeChanged {
        /// The organization; absent for the system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<OrganizationId>,
    },
}

event_names!(UserEvent {
    Created => "user.created" @ "1.0" Insert, clear [
        "/id", "/state", "/home/organizationId", "/username", "/contacts/phoneType", "/classification",
        "/passwordExpiresAt",
    ];
    NamesAmended => "user.names-amended" @ "1.0" Update, clear [];
    BirthDateAmended => "user.birth-date-amended" @ "1.0" Update, clear [];
    EmailAmended => "user.email-amended" @ "1.0" Update, clear [];
    PhoneAmended => "user.phone-amended" @ "1.0" Update, clear [];
    PhoneConfirmed => "user.phone-confirmed" @ "1.0" Update, clear [];
    UsernameChosen => "user.username-selected" @ "1.0" Update, clear ["/username"];
    LocaleChosen => "user.locale-selected" @ "1.0" Update, clear [];
    TimeZoneChosen => "user.time-zone-selected" @ "1.0" Update, clear [];
    PreferencesAmended => "user.preferences-amended" @ "1.0" Update, clear [] whole ["/preferences"];
    Classified => "user.classified" @ "1.0" Update, clear ["/classification"];
    PasswordChanged => "user.password-changed" @ "1.0" Update, clear ["/state"];
    Disabled => "user.disabled" @ "1.0" Update, clear ["/state"];
    Enabled => "user.enabled" @ "1.0" Update, clear ["/state"];
    Archived => "user.archived" @ "1.0" Update, clear [];
    OrganizationJoined => "user.organization-joined" @ "1.0" Update, clear ["/organizationId"];
    OrganizationRemoved => "user.organization-removed" @ "1.0" Update, clear ["/organizationId"];
    DefaultOrganizationChanged => "user.default-organization-changed" @ "1.0" Update, clear ["/organizationId"];
    RoleGranted => "user.role-granted" @ "1.0" Update, clear ["/organizationId", "/role"];
    RoleRevoked => "user.role-revoked" @ "1.0" Update, clear ["/organizationId", "/role"];
    SystemRoleGranted => "user.system-role-granted" @ "1.0" Update, clear ["/role"];
    SystemRoleRevoked => "user.system-role-revoked" @ "1.0" Update, clear ["/role"];
    DocumentsAgreed => "user.documents-agreed" @ "1.0" Update, clear ["/documents/*"];
    AgreementsDeleted => "user.agreements-deleted" @ "1.0" Update, clear [];
    IndividualAdded => "user.individual-added" @ "1.0" Update, clear ["/individualId"];
    EmailConfirmed => "user.email-confirmed" @ "1.0" Update, clear [];
    EmailRestored => "user.email-restored" @ "1.0" Update, clear [];
    PhoneRestored => "user.phone-restored" @ "1.0" Update, clear [];
    HomeChanged => "user.home-changed" @ "1.0" Update, clear ["/organizationId"];
    SessionsEnded => "user.sessions-ended" @ "1.0" Update, clear [];
});

/// Names the event and nothing of what it holds: most of it is personal, some of it secret.
impl fmt::Debug for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl EventFacts for UserEvent {
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        let email = |email: &Option<EmailAddress>, claim: fn(ClaimKey) -> Claim| {
            email.as_ref().map(|email| claim(ClaimKey::account_email(email)))
        };
        let phone = |phone: &Option<Phone>, claim: fn(ClaimKey) -> Claim| {
            phone.as_ref().map(|phone| claim(ClaimKey::user_phone(phone)))
        };
        match self {
            UserEvent::Created(creation) => {
                let Contacts { email: address, phone: number, .. } = &creation.contacts;
                email(address, Claim::Take).into_iter().chain(phone(number, Claim::Take)).collect()
            }
            UserEvent::EmailAmended { former, email: address, .. } => {
                exchanged(former.as_ref().map(ClaimKey::account_email), ClaimKey::account_email(address))
            }
            UserEvent::PhoneAmended { former, phone: number, .. } => {
                exchanged(former.as_ref().map(ClaimKey::user_phone), ClaimKey::user_phone(number))
            }
            UserEvent::EmailConfirmed { former, .. } => email(former, Claim::Release).into_iter().collect(),
            UserEvent::PhoneConfirmed { former, .. } => phone(former, Claim::Release).into_iter().collect(),
            UserEvent::EmailRestored { former, .. } => vec![Claim::Release(ClaimKey::account_email(former))],
            UserEvent::PhoneRestored { former, .. } => vec![Claim::Release(ClaimKey::user_phone(former))],
            UserEvent::Archived { email: address, phone: number, kept_email, kept_phone } => {
                let emails = [address, kept_email].into_iter().filter_map(|address| email(address, Claim::Release));
                emails
                    .chain([number, kept_phone].into_iter().filter_map(|number| phone(number, Claim::Release)))
                    .collect()
            }
            UserEvent::NamesAmended { .. }
            | UserEvent::BirthDateAmended { .. }
            | UserEvent::UsernameChosen { .. }
            | UserEvent::LocaleChosen { .. }
            | UserEvent::TimeZoneChosen { .. }
            | UserEvent::PreferencesAmended { .. }
            | UserEvent::Classified { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::Disabled { .. }
            | UserEvent::Enabled { .. }
            | UserEvent::OrganizationJoined { .. }
            | UserEvent::OrganizationRemoved { .. }
            | UserEvent::DefaultOrganizationChanged { .. }
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. }
            | UserEvent::SystemRoleGranted { .. }
            | UserEvent::SystemRoleRevoked { .. }
            | UserEvent::DocumentsAgreed { .. }
            | UserEvent::AgreementsDeleted {}
            | UserEvent::IndividualAdded { .. }
            | UserEvent::HomeChanged { .. }
            | UserEvent::SessionsEnded {} => vec![],
        }
    }

    fn own_act(&self) -> bool {
        match self {
            UserEvent::EmailAmended { .. }
            | UserEvent::PhoneAmended { .. }
            | UserEvent::PhoneConfirmed { .. }
            | UserEvent::EmailConfirmed { .. }
            | UserEvent::EmailRestored { .. }
            | UserEvent::PhoneRestored { .. }
            | UserEvent::UsernameChosen { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::SessionsEnded {}
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. }
            | UserEvent::SystemRoleGranted { .. }
            | UserEvent::SystemRoleRevoked { .. } => true,
            UserEvent::Created(_)
            | UserEvent::NamesAmended { .. }
            | UserEvent::BirthDateAmended { .. }
            | UserEvent::LocaleChosen { .. }
            | UserEvent::TimeZoneChosen { .. }
            | UserEvent::PreferencesAmended { .. }
            | UserEvent::Classified { .. }
            | UserEvent::Disabled { .. }
            | UserEvent::Enabled { .. }
            | UserEvent::Archived { .. }
            | UserEvent::OrganizationJoined { .. }
            | UserEvent::OrganizationRemoved { .. }
            | UserEvent::DefaultOrganizationChanged { .. }
            | UserEvent::DocumentsAgreed { .. }
            | UserEvent::AgreementsDeleted {}
            | UserEvent::IndividualAdded { .. }
            | UserEvent::HomeChanged { .. } => false,
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            UserEvent::Created(_) | UserEvent::PasswordChanged { .. } => &["/passwordHash"],
            _ => &[],
        }
    }
}

/// One key for another; another spelling of the same changes nothing.
fn exchanged(former: Option<ClaimKey>, key: ClaimKey) -> Vec<Claim> {
    if former.as_ref() == Some(&key) {
        return vec![];
    }
    former.map(Claim::Release).into_iter().chain([Claim::Take(key)]).collect()
}
