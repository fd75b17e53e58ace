//! The `users` read model: one document per user, with everything that access checks need: state, memberships, roles,
//! and posts in groups.

mod keys;

pub use keys::{
    BIRTH_DATE, BY_CREATION, BY_EMAIL, BY_FIRST_NAME, BY_ID, BY_LAST_NAME, BY_WAITING, CLASSIFICATION, EMAIL,
    EMAIL_VERIFIED, ENABLED, FIRST_NAME, ID, INVITATION, LAST_NAME, PARTICIPANT, PHONE, PHONE_VERIFIED, PLACES,
    PRIMARY_INDIVIDUAL, REGISTERED, SEARCH, SIGN_UP_CODE, STATE, UPDATED_AT, VERIFIED, VERIFIED_EMAIL, WAITING_SINCE,
};

use crate::activities;
use crate::collection::exact;
use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::state_document::{self, StateDocument};
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::group::staffing::{Post, Staffing, StaffingEvent, keeps_posts};
use registrar_aggregates::session::{Account, Origin, SessionEvent};
use registrar_aggregates::text::fold as fold_text;
use registrar_aggregates::user::{Profile, Role, SignInName, UserEvent, UserState};
use registrar_aggregates::values::{EmailAddress, GroupId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Deref;
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 5;

/// Prefix of [`member_of`].
const MEMBER_OF: &str = "in:";

/// Place of one user alone.
#[must_use]
pub fn being(user: UserId) -> String {
    format!("user:{user}")
}

/// Place of the members of an organization.
#[must_use]
pub fn member_of(organization: OrganizationId) -> String {
    format!("{MEMBER_OF}{organization}")
}

/// Place of the holders of a role, by the role's identifier.
#[must_use]
pub fn holding(role: Uuid) -> String {
    format!("role:{role}")
}

/// Place of the leaders of a group.
#[must_use]
pub fn leading(group: GroupId) -> String {
    format!("leads:{group}")
}

/// Place of the members of a group.
#[must_use]
pub fn working_in(group: GroupId) -> String {
    format!("works:{group}")
}

/// An e-mail address, as the key holds it.
#[must_use]
pub fn email_key(email: &EmailAddress) -> String {
    exact(email.comparable())
}

/// A name, as keys hold it.
#[must_use]
pub fn name_key(name: &str) -> String {
    exact(fold_text(name))
}

/// The present state of a user. Members of the profile are accessible as the document's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserDocument {
    /// The user without posts.
    pub profile: Profile,
    /// Stream version that the document reflects.
    pub version: u64,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
    /// Time of the last change of rights.
    pub grants_at: DateTime<Utc>,
    /// Time from which the user could first sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Start of the wait of a pending e-mail address while a verified one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_waiting_since: Option<DateTime<Utc>>,
    /// Start of the wait of a pending telephone number while a verified one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_waiting_since: Option<DateTime<Utc>>,
    /// Time at which support set the password that must be changed at the next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<DateTime<Utc>>,
    /// Time of the last sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<DateTime<Utc>>,
    /// Numbers of the user's roles by their identifiers: positions of the events that granted them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assignments: BTreeMap<Uuid, u64>,
    /// Posts in the groups of organizations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub posts: BTreeMap<OrganizationId, Staffing>,
}

impl Deref for UserDocument {
    type Target = Profile;

    fn deref(&self) -> &Profile {
        &self.profile
    }
}

impl UserDocument {
    /// Whether the user has individuals and works for no organization.
    #[must_use]
    pub fn is_participant(&self) -> bool {
        !self.individuals.is_empty() && !self.works() && self.system_roles.is_empty()
    }

    /// Whether the user works for an organization.
    #[must_use]
    pub fn works(&self) -> bool {
        let mut roles = self.memberships.values().map(|membership| &membership.roles);
        roles.any(|roles| roles.contains(&Role::Provider) || roles.contains(&Role::Admin))
    }

    /// Whether the user has a verified contact; one kept beside a pending one counts.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.contacts.proven_email().is_some() || self.contacts.proven_phone().is_some()
    }

    /// Whether the user has set a password and confirmed the account.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        !matches!(self.state, UserState::Init | UserState::Registered | UserState::RegisteredDisabled)
    }

    /// Whether access to a contact of the user is enough for a new password or a session. A corrected address of a sign-up
    /// is not, until the user signs in with the password: anyone who knew the former address could correct it.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.corrections == 0 || self.last_login_at.is_some()
    }

    /// Sign-in name; empty if the user has no such contact.
    #[must_use]
    pub fn username_text(&self) -> &str {
        self.sign_in_name().map_or("", SignInName::as_str)
    }

    /// First name, a space, last name, if known.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.names.first_name, self.names.last_name).trim().to_owned()
    }

    /// Posts in organizations where the user has a role that qualifies for posts. Others are inactive: they were given
    /// before posts needed a role.
    pub fn standing_posts(&self) -> impl Iterator<Item = (OrganizationId, &Staffing)> {
        let posts = self.posts.iter().map(|(organization, posts)| (*organization, posts));
        posts.filter(|(organization, _)| keeps_posts(&self.profile, *organization))
    }

    /// The active posts in one organization.
    #[must_use]
    pub fn standing_posts_in(&self, organization: OrganizationId) -> Option<&Staffing> {
        self.posts.get(&organization).filter(|_| keeps_posts(&self.profile, organization))
    }

    fn places(&self) -> Vec<String> {
        let memberships = self.memberships.iter().flat_map(|(organization, membership)| {
            let roles = membership.roles.iter().map(|role| holding(role.id(*organization)));
            std::iter::once(member_of(*organization)).chain(roles)
        });
        let system = self.system_roles.iter().map(|role| holding(role.id()));
        let posts = self.standing_posts().flat_map(|(_, staffing)| {
            let leads = staffing.leads.iter().copied().map(leading);
            leads.chain(staffing.works_in.iter().copied().map(working_in))
        });
        std::iter::once(being(self.profile.id)).chain(memberships).chain(system).chain(posts).collect()
    }
}

impl StateDocument for UserDocument {
    type Event = UserEvent;
    const PERSONAL: &'static [&'static str] = &[
        "/names/firstName",
        "/names/lastName",
        "/birthDate",
        "/contacts/email",
        "/contacts/verifiedEmail",
        "/contacts/phone",
        "/contacts/verifiedPhone",
        "/locale",
        "/timeZone",
        "/preferences/**",
        "/enrollment/**",
    ];
    /// Internal counters.
    const UNLISTED: &'static [&'static str] = &["epoch", "joined"];

    fn create(event: &RecordedEvent, change: &UserEvent) -> Option<Self> {
        let UserEvent::Created(creation) = change else { return None };
        let document = UserDocument {
            profile: Profile { password_hash: None, ..(**creation).clone().into() },
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            grants_at: event.recorded_at,
            completed_at: None,
            email_waiting_since: None,
            phone_waiting_since: None,
            reset_at: None,
            last_login_at: None,
            assignments: BTreeMap::new(),
            posts: BTreeMap::new(),
        };
        Some(document.completed(event))
    }

    fn change(mut self, event: &RecordedEvent, change: &UserEvent) -> Option<Self> {
        self.profile.evolve(change.clone());
        self.profile.password_hash = None;
        self.version = event.sequence;
        self.updated_at = event.recorded_at;
        self.note_waiting(event.recorded_at, change);
        if let UserEvent::PasswordChanged { state, .. } = change {
            self.reset_at = (*state == UserState::ForceResetPassword).then_some(event.recorded_at);
        }
        match change {
            UserEvent::RoleGranted { organization_id, role } => {
                self.assignments.insert(role.id(*organization_id), event.position);
            }
            UserEvent::RoleRevoked { organization_id, role } => {
                self.assignments.remove(&role.id(*organization_id));
            }
            UserEvent::OrganizationRemoved { organization_id } => {
                for role in Role::ALL {
                    self.assignments.remove(&role.id(*organization_id));
                }
            }
            UserEvent::SystemRoleGranted { role } => {
                self.assignments.insert(role.id(), event.position);
            }
            UserEvent::SystemRoleRevoked { role } => {
                self.assignments.remove(&role.id());
            }
            UserEvent::OrganizationJoined { .. }
            | UserEvent::Disabled { .. }
            | UserEvent::Enabled { .. }
            | UserEvent::Archived { .. }
            | UserEvent::HomeChanged { .. }
            | UserEvent::IndividualAdded { .. }
            | UserEvent::IndividualRemoved { .. }
            | UserEvent::PrimaryIndividualChanged { .. } => {}
            UserEvent::Created(_)
            | UserEvent::NamesAmended { .. }
            | UserEvent::BirthDateAmended { .. }
            | UserEvent::EmailAmended { .. }
            | UserEvent::EmailConfirmed { .. }
            | UserEvent::EmailRestored { .. }
            | UserEvent::PhoneAmended { .. }
            | UserEvent::PhoneConfirmed { .. }
            | UserEvent::PhoneRestored { .. }
            | UserEvent::UsernameChosen { .. }
            | UserEvent::LocaleChosen { .. }
            | UserEvent::TimeZoneChosen { .. }
            | UserEvent::PreferencesAmended { .. }
            | UserEvent::Classified { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::Registered { .. }
            | UserEvent::SignUpConfirmed {}
            | UserEvent::SignUpCorrected { .. }
            | UserEvent::Enrolled { .. }
            | UserEvent::SessionsEnded {}
            | UserEvent::InvitationNoted { .. }
            | UserEvent::DefaultOrganizationChanged { .. }
            | UserEvent::DocumentsAgreed { .. }
            | UserEvent::AgreementsDeleted {} => return Some(self.completed(event)),
        }
        self.grants_at = event.recorded_at;
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.profile)
    }
}

impl UserDocument {
    /// Start of the longer wait of a pending contact.
    fn waiting_since(&self) -> Option<DateTime<Utc>> {
        self.email_waiting_since.into_iter().chain(self.phone_waiting_since).min()
    }

    /// Notes the start of a wait; another address restarts it.
    fn note_waiting(&mut self, now: DateTime<Utc>, change: &UserEvent) {
        let contacts = &self.profile.contacts;
        let since = |former: Option<DateTime<Utc>>, waits: bool, amended: bool| match (waits, former) {
            (false, _) => None,
            (true, Some(former)) if !amended => Some(former),
            (true, _) => Some(now),
        };
        let email_amended = matches!(change, UserEvent::EmailAmended { .. });
        let phone_amended = matches!(change, UserEvent::PhoneAmended { .. });
        self.email_waiting_since = since(self.email_waiting_since, contacts.waiting_email().is_some(), email_amended);
        self.phone_waiting_since = since(self.phone_waiting_since, contacts.waiting_phone().is_some(), phone_amended);
    }

    fn completed(mut self, event: &RecordedEvent) -> Self {
        if self.completed_at.is_none() && self.profile.state == UserState::Confirmed {
            self.completed_at = Some(event.recorded_at);
        }
        self
    }
}

/// The organization and user of a staffing's stream.
fn staffed(event: &RecordedEvent) -> Option<(OrganizationId, String)> {
    let (organization, user) = event.aggregate_id.split_once('/')?;
    Some((OrganizationId(Uuid::try_parse(organization).ok()?), user.to_owned()))
}

/// The user of a sign-in event.
fn signed_in(event: &RecordedEvent) -> Option<UserId> {
    match &*event.event {
        DomainEvent::Session(SessionEvent::Opened(opening))
            if opening.origin == Origin::SignIn && opening.account == Account::User =>
        {
            Some(opening.user_id)
        }
        _ => None,
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    match &*event.event {
        DomainEvent::User(_) => state_document::wants::<UserDocument>(event),
        DomainEvent::Staffing(_) => {
            staffed(event).map(|(_, user)| DocumentKey::of::<UserDocument>(user)).into_iter().collect()
        }
        DomainEvent::Session(_) => activities::wants(event),
        _ => vec![],
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    match &*event.event {
        DomainEvent::User(_) => state_document::fold::<UserDocument>(event, documents),
        DomainEvent::Staffing(change) => {
            let Some((organization, user)) = staffed(event) else { return Ok(()) };
            documents.update::<UserDocument>(&user, |document| {
                let staffing = document.posts.entry(organization).or_default();
                let (post, group, present) = match change {
                    StaffingEvent::Appointed { post, group, .. } => (post, *group, true),
                    StaffingEvent::Relieved { post, group } => (post, *group, false),
                };
                let groups = match post {
                    Post::Leader => &mut staffing.leads,
                    Post::Member => &mut staffing.works_in,
                };
                if present {
                    groups.insert(group)
                } else {
                    groups.remove(&group)
                };
                if staffing.leads.is_empty() && staffing.works_in.is_empty() {
                    document.posts.remove(&organization);
                }
                document.grants_at = event.recorded_at;
            })
        }
        DomainEvent::Session(_) => match signed_in(event) {
            Some(user) => {
                let at = event.recorded_at;
                documents.update::<UserDocument>(&user.to_string(), |document| document.last_login_at = Some(at))
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}
