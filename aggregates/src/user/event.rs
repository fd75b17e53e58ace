//! Events of a user.

use super::contacts::{Phone, Username};
use super::creation::Creation;
use super::enrollment::Enrollment;
use super::preferences::Preferences;
use super::profile::{BirthDate, Classification, InvitationState, Locale, Names, UserState};
use super::roles::{Role, SystemRole};
use crate::facts::event_names;
use crate::values::{EmailAddress, IndividualId, OnboardingRequestId, OrganizationId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use uuid::Uuid;

/// Events of a user.
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
        /// The new names.
        names: Names,
    },
    /// The date of birth of a user changed.
    #[serde(rename = "user.birth-date-amended")]
    BirthDateAmended {
        /// The new date of birth.
        birth_date: BirthDate,
    },
    /// The e-mail address of a user changed; it is not verified yet.
    #[serde(rename = "user.email-amended")]
    EmailAmended {
        /// The former address, if it is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<EmailAddress>,
        /// The new address.
        email: EmailAddress,
        /// The last verified address, which stays the user's until the new one is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<EmailAddress>,
    },
    /// The telephone number of a user changed; it is not verified yet.
    #[serde(rename = "user.phone-amended")]
    PhoneAmended {
        /// The former number, if it is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Phone>,
        /// The new number.
        phone: Phone,
        /// The last verified number, which stays the user's until the new one is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Phone>,
    },
    /// The telephone number of a user was verified.
    #[serde(rename = "user.phone-confirmed")]
    PhoneConfirmed {
        /// The former verified number, which is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Phone>,
        /// Whether all sessions end.
        #[serde(default)]
        ends_sessions: bool,
    },
    /// The mistyped e-mail address of a user who is signing up was corrected; it is not verified yet.
    #[serde(rename = "user.sign-up-corrected")]
    SignUpCorrected {
        /// The former address, which is free now.
        former: EmailAddress,
        /// The new address.
        email: EmailAddress,
    },
    /// The sign-in contact of a user changed.
    #[serde(rename = "user.username-selected")]
    UsernameChosen {
        /// The new sign-in contact.
        username: Username,
    },
    /// A user chose a locale.
    #[serde(rename = "user.locale-selected")]
    LocaleChosen {
        /// The new locale.
        #[serde(deserialize_with = "crate::personal::opened")]
        locale: Locale,
    },
    /// A user chose a time zone.
    #[serde(rename = "user.time-zone-selected")]
    TimeZoneChosen {
        /// The new time zone, by its IANA name.
        time_zone: String,
    },
    /// The communication preferences of a user changed.
    #[serde(rename = "user.preferences-amended")]
    PreferencesAmended {
        /// All preferences after the change, by channel.
        #[serde(deserialize_with = "crate::personal::opened")]
        preferences: Preferences,
    },
    /// The classification of a user changed.
    #[serde(rename = "user.classified")]
    Classified {
        /// The new classification.
        classification: Classification,
    },
    /// The password of a user changed.
    #[serde(rename = "user.password-changed")]
    PasswordChanged {
        /// Hash in PHC form. A secret.
        password_hash: String,
        /// The new state of the account.
        state: UserState,
        /// Whether all sessions end.
        ends_sessions: bool,
    },
    /// An invited user signed up with a first password; no address is confirmed yet.
    #[serde(rename = "user.registered")]
    Registered {
        /// Hash in PHC form. A secret.
        password_hash: String,
        /// The onboarding request by which the person signed up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        onboarding_id: Option<OnboardingRequestId>,
        /// Time of the event.
        at: DateTime<Utc>,
    },
    /// A user completed the sign-up, since an address was confirmed, and may sign in.
    #[serde(rename = "user.sign-up-confirmed")]
    SignUpConfirmed {},
    /// A user told more at sign-up: gender, preferred name, channels for notices, the form of the organization.
    #[serde(rename = "user.enrolled")]
    Enrolled {
        /// Everything that was told.
        #[serde(deserialize_with = "crate::personal::opened")]
        enrollment: Enrollment,
    },
    /// A user was disabled: sign-in is blocked and all sessions end.
    #[serde(rename = "user.disabled")]
    Disabled {
        /// The new state of the account.
        state: UserState,
    },
    /// A user was enabled and may sign in again.
    #[serde(rename = "user.enabled")]
    Enabled {
        /// The new state of the account.
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
        /// The verified address kept beside it, free again as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_email: Option<EmailAddress>,
        /// The verified number kept beside it, free again as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_phone: Option<Phone>,
    },
    /// A user became a member of an organization.
    #[serde(rename = "user.organization-joined")]
    OrganizationJoined {
        /// The organization.
        organization_id: OrganizationId,
        /// Number of the membership among all that the user ever had.
        number: u64,
    },
    /// A membership of a user ended, with its roles.
    #[serde(rename = "user.organization-removed")]
    OrganizationRemoved {
        /// The organization.
        organization_id: OrganizationId,
    },
    /// The default organization of a user changed: new sessions begin there.
    #[serde(rename = "user.default-organization-changed")]
    DefaultOrganizationChanged {
        /// The organization; absent if the user has no membership.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<OrganizationId>,
    },
    /// A role in an organization was granted to a user.
    #[serde(rename = "user.role-granted")]
    RoleGranted {
        /// The organization.
        organization_id: OrganizationId,
        /// The role.
        role: Role,
    },
    /// A role in an organization was revoked from a user.
    #[serde(rename = "user.role-revoked")]
    RoleRevoked {
        /// The organization.
        organization_id: OrganizationId,
        /// The role.
        role: Role,
    },
    /// A role in the whole system was granted to a user.
    #[serde(rename = "user.system-role-granted")]
    SystemRoleGranted {
        /// The role.
        role: SystemRole,
    },
    /// A role in the whole system was revoked from a user.
    #[serde(rename = "user.system-role-revoked")]
    SystemRoleRevoked {
        /// The role.
        role: SystemRole,
    },
    /// A user agreed to documents.
    #[serde(rename = "user.documents-agreed")]
    DocumentsAgreed {
        /// The documents, each by the identifier of its version.
        documents: BTreeSet<Uuid>,
    },
    /// All agreements of a user were deleted.
    #[serde(rename = "user.agreements-deleted")]
    AgreementsDeleted {},
    /// An individual was added to a user.
    #[serde(rename = "user.individual-added")]
    IndividualAdded {
        /// The individual.
        individual_id: IndividualId,
    },
    /// The e-mail address of a user was verified.
    #[serde(rename = "user.email-confirmed")]
    EmailConfirmed {
        /// The former verified address, which is free now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<EmailAddress>,
        /// The verified address.
        email: EmailAddress,
        /// Whether all sessions end.
        ends_sessions: bool,
    },
    /// The verified e-mail address of a user was restored, since the new one was not confirmed.
    #[serde(rename = "user.email-restored")]
    EmailRestored {
        /// The pending address, which is free now.
        former: EmailAddress,
        /// The restored address.
        email: EmailAddress,
    },
    /// The verified telephone number of a user was restored, since the new one was not confirmed.
    #[serde(rename = "user.phone-restored")]
    PhoneRestored {
        /// The pending number, which is free now.
        former: Phone,
        /// The restored number.
        phone: Phone,
    },
    /// All sessions of a user ended.
    #[serde(rename = "user.sessions-ended")]
    SessionsEnded {},
    /// The account of a user moved to another organization, or to the system.
    #[serde(rename = "user.home-changed")]
    HomeChanged {
        /// The organization; absent for the system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization_id: Option<OrganizationId>,
    },
    /// An individual was taken away from a user; the next one is the primary one.
    #[serde(rename = "user.individual-removed")]
    IndividualRemoved {
        /// The individual.
        individual_id: IndividualId,
    },
    /// Another individual became the primary one of a user.
    #[serde(rename = "user.primary-individual-changed")]
    PrimaryIndividualChanged {
        /// The individual.
        individual_id: IndividualId,
    },
    /// The invitation of a person by an organization was sent, was accepted, or has failed.
    #[serde(rename = "user.invitation-noted")]
    InvitationNoted {
        /// The new state of the invitation.
        state: InvitationState,
    },
}

// Since 1.1 a creation may have the code or the onboarding request by which the user came in. One of 1.0 is read as it
// is, so that no upcaster is needed.
event_names!(UserEvent {
    Created => "user.created" @ "1.1" Insert, clear [
        "/id", "/state", "/home/organizationId", "/signUpCode", "/onboarding", "/username", "/contacts/phoneType",
        "/classification", "/passwordExpiresAt",
    ];
    NamesAmended => "user.names-amended" @ "1.0" Update, clear [];
    BirthDateAmended => "user.birth-date-amended" @ "1.0" Update, clear [];
    EmailAmended => "user.email-amended" @ "1.0" Update, clear [];
    PhoneAmended => "user.phone-amended" @ "1.0" Update, clear [];
    PhoneConfirmed => "user.phone-confirmed" @ "1.0" Update, clear [];
    SignUpCorrected => "user.sign-up-corrected" @ "1.0" Update, clear [];
    UsernameChosen => "user.username-selected" @ "1.0" Update, clear ["/username"];
    LocaleChosen => "user.locale-selected" @ "1.0" Update, clear [];
    TimeZoneChosen => "user.time-zone-selected" @ "1.0" Update, clear [];
    PreferencesAmended => "user.preferences-amended" @ "1.0" Update, clear [] whole ["/preferences"];
    Classified => "user.classified" @ "1.0" Update, clear ["/classification"];
    PasswordChanged => "user.password-changed" @ "1.0" Update, clear ["/state"];
    Registered => "user.registered" @ "1.0" Update, clear ["/onboardingId", "/at"];
    SignUpConfirmed => "user.sign-up-confirmed" @ "1.0" Update, clear [];
    Enrolled => "user.enrolled" @ "1.0" Update, clear [] whole ["/enrollment"];
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
    IndividualRemoved => "user.individual-removed" @ "1.0" Update, clear ["/individualId"];
    PrimaryIndividualChanged => "user.primary-individual-changed" @ "1.0" Update, clear ["/individualId"];
    InvitationNoted => "user.invitation-noted" @ "1.0" Update, clear ["/state"];
});

/// Prints the event's name but not its content: most of it is personal, some of it secret.
impl fmt::Debug for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}
