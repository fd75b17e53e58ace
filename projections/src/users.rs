//! The `users` read model: one document a user, with everything that tells what it may: state, memberships, roles, and
//! its posts in groups.

use crate::activities;
use crate::collection::{Collection, Counted, Document, KeyColumn, KeyKind, KeyValue, SEPARATOR, sortable};
use crate::document::DocumentKey;
use crate::query::{SearchKey, Sort, TextKey, TextsKey};
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::state_document::{self, StateDocument};
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::group::staffing::{Post, Staffing, StaffingEvent, keeps_posts};
use registrar_aggregates::session::{Account, Origin, SessionEvent};
use registrar_aggregates::text::fold as fold_text;
use registrar_aggregates::user::{Profile, Role, UserEvent, UserState, Username};
use registrar_aggregates::values::{EmailAddress, GroupId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 3;

/// Finds users by a number of identifiers.
pub const ID: TextKey<UserDocument> = TextKey("id", PhantomData);
/// Time of the last change.
pub const UPDATED_AT: TextKey<UserDocument> = TextKey("updated_at", PhantomData);
/// The e-mail address as [`email_key`] writes it; empty without one.
pub const EMAIL: TextKey<UserDocument> = TextKey("email", PhantomData);
/// The telephone number; empty without one.
pub const PHONE: TextKey<UserDocument> = TextKey("phone", PhantomData);
/// First name, folded.
pub const FIRST_NAME: TextKey<UserDocument> = TextKey("first_name", PhantomData);
/// Last name, folded.
pub const LAST_NAME: TextKey<UserDocument> = TextKey("last_name", PhantomData);
/// Date of birth; empty without one.
pub const BIRTH_DATE: TextKey<UserDocument> = TextKey("birth_date", PhantomData);
/// `true` for one that is neither disabled nor archived.
pub const ENABLED: TextKey<UserDocument> = TextKey("enabled", PhantomData);
/// `true` for one whose sign-in contact is known to be its own.
pub const VERIFIED: TextKey<UserDocument> = TextKey("verified", PhantomData);
/// `true` if the e-mail address is known to be its own.
pub const EMAIL_VERIFIED: TextKey<UserDocument> = TextKey("email_verified", PhantomData);
/// `true` if the telephone number is known to be its own.
pub const PHONE_VERIFIED: TextKey<UserDocument> = TextKey("phone_verified", PhantomData);
/// `true` for one that has individuals and works for no organization.
pub const PARTICIPANT: TextKey<UserDocument> = TextKey("participant", PhantomData);
/// `true` for one that has set a password and confirmed it.
pub const REGISTERED: TextKey<UserDocument> = TextKey("registered", PhantomData);
/// What it counts as; empty as long as nobody said.
pub const CLASSIFICATION: TextKey<UserDocument> = TextKey("classification", PhantomData);
/// Its primary individual; empty without one.
pub const PRIMARY_INDIVIDUAL: TextKey<UserDocument> = TextKey("primary_individual", PhantomData);
/// Where it belongs and what it is there, as [`member_of`], [`holding`], [`leading`] and [`working_in`] write it.
pub const PLACES: TextsKey<UserDocument> = TextsKey("places", PhantomData);
/// Names, e-mail address and telephone number.
pub const SEARCH: SearchKey<UserDocument> = SearchKey("search", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<UserDocument> = Sort(&["created_at"], PhantomData);
/// By identifier.
pub const BY_ID: Sort<UserDocument> = Sort(&[], PhantomData);
/// By e-mail address.
pub const BY_EMAIL: Sort<UserDocument> = Sort(&["email"], PhantomData);
/// By first name.
pub const BY_FIRST_NAME: Sort<UserDocument> = Sort(&["first_name"], PhantomData);
/// By last name.
pub const BY_LAST_NAME: Sort<UserDocument> = Sort(&["last_name"], PhantomData);

/// What [`member_of`] begins with.
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

/// Place of those who hold a role, by the role's identifier.
#[must_use]
pub fn holding(role: Uuid) -> String {
    format!("role:{role}")
}

/// Place of the leaders of a group.
#[must_use]
pub fn leading(group: GroupId) -> String {
    format!("leads:{group}")
}

/// Place of those who work in a group.
#[must_use]
pub fn working_in(group: GroupId) -> String {
    format!("works:{group}")
}

/// An e-mail address as the key holds it.
#[must_use]
pub fn email_key(email: &EmailAddress) -> String {
    sortable(email.comparable())
}

/// A name as keys hold it.
#[must_use]
pub fn name_key(name: &str) -> String {
    sortable(fold_text(name))
}

/// A user as it is now. Members of the profile are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserDocument {
    /// Everything but its posts.
    pub profile: Profile,
    /// Version of its stream that the document reflects.
    pub version: u64,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
    /// Time of the last change of what it may.
    pub grants_at: DateTime<Utc>,
    /// When it could sign in for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it last signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<DateTime<Utc>>,
    /// Numbers of its roles by their identifiers: positions of the events that gave them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assignments: BTreeMap<Uuid, u64>,
    /// Its posts in the groups of organizations.
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
    /// Whether it has individuals and works for no organization.
    #[must_use]
    pub fn is_participant(&self) -> bool {
        let works = self
            .memberships
            .values()
            .any(|membership| membership.roles.contains(&Role::Provider) || membership.roles.contains(&Role::Admin));
        !self.individuals.is_empty() && !works && self.system_roles.is_empty()
    }

    /// Whether the contact that it signs in with is known to be its own.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        match self.username {
            Username::Email => self.contacts.email_verified,
            Username::Phone => self.contacts.phone_verified,
        }
    }

    /// Whether it has set a password and confirmed it.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        !matches!(self.state, UserState::Init | UserState::Registered | UserState::RegisteredDisabled)
    }

    /// What it signs in with; empty if it has no such contact.
    #[must_use]
    pub fn username_text(&self) -> &str {
        let contacts = &self.contacts;
        match self.username {
            Username::Email => contacts.email.as_ref().map(EmailAddress::as_str),
            Username::Phone => contacts.phone.as_ref().map(registrar_aggregates::user::Phone::as_str),
        }
        .unwrap_or_default()
    }

    /// First name, a space, last name, as far as they are known.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.names.first_name, self.names.last_name).trim().to_owned()
    }

    /// Its posts in organizations where it has a role that posts need. Others are not in force: they were given before
    /// posts needed a role.
    pub fn standing_posts(&self) -> impl Iterator<Item = (OrganizationId, &Staffing)> {
        let posts = self.posts.iter().map(|(organization, posts)| (*organization, posts));
        posts.filter(|(organization, _)| keeps_posts(&self.profile, *organization))
    }

    /// The same in one organization.
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

impl Document for UserDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "users",
        keys: &[
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "updated_at", kind: KeyKind::Text },
            KeyColumn { name: "email", kind: KeyKind::Text },
            KeyColumn { name: "phone", kind: KeyKind::Text },
            KeyColumn { name: "first_name", kind: KeyKind::Text },
            KeyColumn { name: "last_name", kind: KeyKind::Text },
            KeyColumn { name: "birth_date", kind: KeyKind::Text },
            KeyColumn { name: "enabled", kind: KeyKind::Text },
            KeyColumn { name: "verified", kind: KeyKind::Text },
            KeyColumn { name: "email_verified", kind: KeyKind::Text },
            KeyColumn { name: "phone_verified", kind: KeyKind::Text },
            KeyColumn { name: "participant", kind: KeyKind::Text },
            KeyColumn { name: "registered", kind: KeyKind::Text },
            KeyColumn { name: "classification", kind: KeyKind::Text },
            KeyColumn { name: "primary_individual", kind: KeyKind::Text },
            KeyColumn { name: "places", kind: KeyKind::Texts },
            KeyColumn { name: "search", kind: KeyKind::Search },
        ],
        indexes: &[
            &["created_at"],
            &["updated_at"],
            &["email"],
            &["phone"],
            &["first_name"],
            &["last_name"],
            &["primary_individual"],
            &["places"],
        ],
        counted: &[
            Counted::by(&[]),
            Counted::by(&["enabled", "verified"]),
            Counted::by(&["enabled", "verified", "participant"]),
            Counted::by(&["enabled", "verified"]).each("places", MEMBER_OF),
            Counted::by(&["enabled", "verified", "participant"]).each("places", MEMBER_OF),
        ],
        hot: true,
    };

    fn id(&self) -> String {
        self.profile.id.to_string()
    }

    fn keys(&self) -> Vec<KeyValue> {
        let Profile { names, contacts, .. } = &self.profile;
        let email = contacts.email.as_ref();
        let phone = contacts.phone.as_ref().map_or("", |phone| phone.as_str());
        let (first, last) = (fold_text(&names.first_name), fold_text(&names.last_name));
        let shown_email = fold_text(email.map_or("", EmailAddress::as_str));
        let text = KeyValue::Text;
        let flag = |value: bool| KeyValue::Text(value.to_string());
        vec![
            text(time_key(self.created_at)),
            text(time_key(self.updated_at)),
            text(email.map(email_key).unwrap_or_default()),
            text(phone.to_owned()),
            text(sortable(first.clone())),
            text(sortable(last.clone())),
            text(self.birth_date.as_ref().map_or_else(String::new, |date| date.as_str().to_owned())),
            flag(self.state.is_enabled()),
            flag(self.is_verified()),
            flag(contacts.email_verified),
            flag(contacts.phone_verified),
            flag(self.is_participant()),
            flag(self.is_registered()),
            text(self.classification.map_or("", |classification| classification.name()).to_owned()),
            text(self.individuals.first().map_or_else(String::new, ToString::to_string)),
            KeyValue::Texts(self.places()),
            text(format!("{first} {last}{SEPARATOR}{shown_email}{SEPARATOR}{phone}")),
        ]
    }
}

impl StateDocument for UserDocument {
    type Event = UserEvent;
    const ENTITY: &'static str = "User";
    const PERSONAL: &'static [&'static str] =
        &["/names/firstName", "/names/lastName", "/birthDate", "/contacts/email", "/contacts/phone"];
    /// Counters that mean nothing to people.
    const UNLISTED: &'static [&'static str] = &["epoch", "joined"];

    fn creates(change: &UserEvent) -> bool {
        matches!(change, UserEvent::Created(_))
    }

    fn create(event: &RecordedEvent, change: &UserEvent) -> Option<Self> {
        let UserEvent::Created(creation) = change else { return None };
        let document = UserDocument {
            profile: Profile { password_hash: None, ..(**creation).clone().into() },
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            grants_at: event.recorded_at,
            completed_at: None,
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
            | UserEvent::IndividualAdded { .. } => {}
            _ => return Some(self.completed(event)),
        }
        self.grants_at = event.recorded_at;
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.profile)
    }
}

impl UserDocument {
    fn completed(mut self, event: &RecordedEvent) -> Self {
        if self.completed_at.is_none() && self.profile.state == UserState::Confirmed {
            self.completed_at = Some(event.recorded_at);
        }
        self
    }
}

/// The user whose posts a stream tells.
fn staffed(event: &RecordedEvent) -> Option<(OrganizationId, String)> {
    let (organization, user) = event.aggregate_id.split_once('/')?;
    Some((OrganizationId(Uuid::try_parse(organization).ok()?), user.to_owned()))
}

/// The user who has just signed in.
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

/// Documents that the fold looks at.
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
