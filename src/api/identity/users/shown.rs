//! Users as a viewer may see them.

use crate::api::common::ApiError;
use crate::api::identity::call::Call;
use crate::api::identity::documents::Resource;
use crate::api::identity::{onboarding, times};
use crate::journal::JournalResult;
use registrar_aggregates::user::{Role, Username};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::organization_codes::OrganizationCodeDocument;
use registrar_projections::{OrganizationDocument, UserDocument};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Organizations referenced by a response, by identifier.
pub(in crate::api::identity) struct Organizations(BTreeMap<OrganizationId, Arc<OrganizationDocument>>);

impl Organizations {
    /// The existing ones among some identifiers.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn named(call: &Call, ids: BTreeSet<OrganizationId>) -> Result<Self, ApiError> {
        let ids = ids.iter().map(ToString::to_string);
        let found = call.documents().find_all::<OrganizationDocument>(ids).await?;
        Ok(Organizations(found.into_iter().map(|found| (found.id, found)).collect()))
    }

    /// The organization with this identifier, if loaded.
    pub(in crate::api::identity) fn get(&self, id: OrganizationId) -> Option<&OrganizationDocument> {
        self.0.get(&id).map(|found| &**found)
    }
}

/// Optional details of a user in a response.
#[derive(Deserialize)]
pub(in crate::api::identity) struct Details {
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    #[serde(rename = "with-roles")]
    roles: bool,
    #[serde(rename = "with-signups")]
    sign_ups: bool,
}

/// Sign-up of a user: the code, or the onboarding requests.
#[derive(Default)]
pub(super) struct SignUps {
    code: Option<Arc<OrganizationCodeDocument>>,
    /// Onboarding requests that the caller sees.
    requests: Vec<String>,
}

impl SignUps {
    /// The sign-ups of a user, if the response has them.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn of(call: &Call, user: &UserDocument, details: &Details) -> JournalResult<Self> {
        if !details.sign_ups {
            return Ok(SignUps::default());
        }
        let code = match &user.sign_up_code {
            Some(code) => call.documents().find(code.as_str()).await?.value,
            None => None,
        };
        Ok(SignUps { code, requests: onboarding::of_user(call, user).await? })
    }
}

/// Limits of a viewer on some users: memberships of organizations that the viewer sees, and personal values only of
/// users for whose account or care the viewer is responsible.
pub(in crate::api::identity) struct Viewer {
    organizations: Organizations,
    personal: BTreeSet<UserId>,
    current: Option<OrganizationId>,
}

impl Viewer {
    /// The caller's limits on `users`.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn of(call: &Call, users: &[UserDocument]) -> Result<Self, ApiError> {
        let memberships = users.iter().flat_map(|user| user.memberships.keys().copied());
        let seen = memberships.filter(|organization| call.holder.sees_organization(*organization)).collect();
        let organizations = Organizations::named(call, seen).await?;
        let personal = call.access().only_personal(&call.holder, users).await?;
        Ok(Viewer { organizations, personal, current: call.current_organization() })
    }

    /// Adds an organization that the viewer is known to see.
    pub(in crate::api::identity) fn with(mut self, organization: Arc<OrganizationDocument>) -> Self {
        self.organizations.0.insert(organization.id, organization);
        self
    }

    /// A membership as a pair of user and organization.
    pub(in crate::api::identity) fn pair(&self, user: &UserDocument, organization: OrganizationId) -> Resource {
        let found = self.organizations.get(organization);
        let attributes = json!({
            "user-id": user.profile.id,
            "organization-id": organization,
            "organization-name": found.map(OrganizationDocument::handle).unwrap_or_default(),
            "organization-display-name": found.map(|found| found.name.clone()).unwrap_or_default(),
            "organization-count": self.memberships(user).count(),
        });
        Resource::new("user-organizations", format!("{}_{organization}", user.profile.id), attributes)
    }

    /// A user in a list, or after a change.
    pub(in crate::api::identity) fn resource(&self, user: &UserDocument) -> Resource {
        Resource::new("users", user.profile.id, self.attributes(user)).at(user)
    }

    /// A user among those who signed up by a code; the contract shows less of them.
    pub(in crate::api::identity) fn sign_up(&self, user: &UserDocument) -> Resource {
        let mut attributes = self.attributes(user);
        if let Some(attributes) = attributes.as_object_mut() {
            for beside in ["additional-individuals", "organization-admin", "organization-count", "shared-with"] {
                attributes.remove(beside);
            }
        }
        Resource::new("organization-code-users", user.profile.id, attributes)
    }

    /// A user in a response with this user alone.
    pub(super) fn detail(&self, user: &UserDocument, details: &Details, sign_ups: &SignUps) -> Resource {
        let mut attributes = self.attributes(user);
        attributes["organizations"] = self.memberships(user).map(|(organization, _)| reference(organization)).collect();
        if details.roles {
            attributes["roles"] = self.roles(user, details.organization);
        }
        if details.sign_ups {
            let code =
                sign_ups.code.as_deref().filter(|code| self.organizations.get(code.terms.organization_id).is_some());
            // The answers to the organization are for those who see both.
            let personal = self.personal.contains(&user.profile.id) && code.is_some();
            if let Some(data) = user.enrollment.as_ref().filter(|_| personal).and_then(|told| told.data.as_ref()) {
                attributes["enrollment-data"] = json!(data);
            }
            let request = code.map(|code| json!({ "id": user.profile.id, "organization-code-id": code.spelling }));
            attributes["org-code-signup-requests"] = request.into_iter().collect();
            attributes["onboarding-requests"] = sign_ups.requests.iter().map(|id| json!({ "id": id })).collect();
        }
        Resource::new("users", user.profile.id, attributes).at(user)
    }

    /// Memberships visible to the viewer, with their roles.
    pub(in crate::api::identity) fn memberships<'v>(
        &'v self,
        user: &'v UserDocument,
    ) -> impl Iterator<Item = (&'v OrganizationDocument, &'v BTreeSet<Role>)> {
        let memberships = user.memberships.iter();
        memberships.filter_map(|(id, membership)| Some((self.organizations.get(*id)?, &membership.roles)))
    }

    fn roles(&self, user: &UserDocument, only: Option<OrganizationId>) -> Value {
        let within = self.memberships(user).filter(|(organization, _)| only.is_none_or(|only| only == organization.id));
        let own = within.flat_map(|(organization, roles)| {
            let id = organization.id;
            roles.iter().map(move |role| {
                json!({
                    "id": role.id(id),
                    "name": role.name(),
                    "display-name": display_name(role.name()),
                    "organization-id": id,
                    "organization-name": organization.handle(),
                    "organization-display-name": organization.name,
                })
            })
        });
        let system = user.system_roles.iter().filter(|_| only.is_none()).map(|role| {
            json!({
                "id": role.id(),
                "name": role.name(),
                "display-name": display_name(role.name()),
                "organization-id": null,
                "organization-name": null,
                "organization-display-name": null,
            })
        });
        own.chain(system).collect()
    }

    fn attributes(&self, user: &UserDocument) -> Value {
        let contacts = &user.contacts;
        let time = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(times::write);
        let grants = times::write(user.grants_at);
        let personal = self.personal.contains(&user.profile.id);
        let own: Vec<_> = self.memberships(user).map(|(organization, _)| organization.id).collect();
        let default = user.default_organization.filter(|id| own.contains(id));
        let admin = self
            .current
            .is_some_and(|organization| own.contains(&organization) && user.acts_as(Role::Admin, organization));
        let shared = self.memberships(user).filter(|(_, roles)| roles.contains(&Role::Member));
        let shared_with: Vec<_> = shared
            .map(|(organization, _)| {
                let mut shared = reference(organization);
                shared["type"] = json!("organization");
                shared["contact-message"] = Value::Null;
                shared
            })
            .collect();
        let individuals = if personal { user.individuals.as_slice() } else { &[] };
        let dependants: Vec<_> = individuals
            .iter()
            .skip(1)
            .map(|id| {
                // Only the owner of a dependant is stored here.
                json!({ "id": id, "first-name": "", "last-name": "", "birth-date": null, "organization-logo-url": null })
            })
            .collect();
        let username = if personal || user.username == Username::Email { user.username_text() } else { "" };
        json!({
            "additional-individuals": dependants,
            "authz-last-event-time": grants,
            "authz-last-populated-time": grants,
            "auto-confirm": false,
            "auto-sign-up": false,
            "birth-date": user.birth_date.as_ref().filter(|_| personal).map(|date| date.as_str()),
            "classification": user.classification,
            "communication-preferences": if personal { json!(user.preferences) } else { json!({}) },
            "date-created": times::write(user.created_at),
            "date-last-modified": times::write(user.updated_at),
            "default-organization-id": default,
            "email": contacts.email,
            "email-verified": contacts.email_verified,
            "enabled": user.state.is_enabled(),
            "first-name": user.names.first_name,
            "last-login-time": time(user.last_login_at.filter(|_| personal)),
            "last-modified-time": times::write(user.updated_at),
            "last-name": user.names.last_name,
            "locale": user.locale,
            "locale-explicit": user.locale_explicit,
            "organization-admin": admin,
            "organization-count": own.len(),
            "organization-id": default,
            "organization-ids": own,
            "organization-logo-url": null,
            "phone": contacts.phone.as_ref().filter(|_| personal),
            "phone-type": if personal { contacts.phone_type } else { Default::default() },
            "phone-verified": personal && contacts.phone_verified,
            "primary-individual-id": individuals.first(),
            "registered": user.is_registered(),
            "registration-completed-time": time(user.completed_at),
            "registration-invite": user.invitation,
            "shared-with": shared_with,
            "state": user.state,
            "status": null,
            "tz": user.time_zone,
            "tz-explicit": user.time_zone_explicit,
            "username": username,
        })
    }
}

fn reference(organization: &OrganizationDocument) -> Value {
    json!({
        "id": organization.id,
        "name": organization.handle(),
        "display-name": organization.name,
    })
}

/// Display name of a role.
pub(in crate::api::identity) fn display_name(role: &str) -> &'static str {
    match role {
        "org.admin" => "Organization administrator",
        "org.provider" => "Provider",
        "org.member" => "Participant",
        "system.admin" => "System administrator",
        "system.support" => "Support",
        _ => "Service account",
    }
}
