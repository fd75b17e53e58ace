//! Users as they are shown.

use crate::api::common::ApiError;
use crate::api::identity::call::Call;
use crate::api::identity::documents::Resource;
use crate::api::identity::times;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::{OrganizationDocument, UserDocument};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// Organizations that are named beside something, by their identifiers.
pub(in crate::api::identity) struct Organizations(BTreeMap<OrganizationId, Arc<OrganizationDocument>>);

impl Organizations {
    /// Those that users are members of.
    pub(in crate::api::identity) async fn of<'u>(
        call: &Call,
        users: impl Iterator<Item = &'u UserDocument>,
    ) -> Result<Self, ApiError> {
        let ids: BTreeSet<_> = users.flat_map(|user| user.memberships.keys().copied()).collect();
        Self::named(call, ids).await
    }

    /// Those with these identifiers.
    pub(in crate::api::identity) async fn named(call: &Call, ids: BTreeSet<OrganizationId>) -> Result<Self, ApiError> {
        let ids = ids.iter().map(ToString::to_string);
        let found = call.documents().find_all::<OrganizationDocument>(ids).await?;
        Ok(Organizations(found.into_iter().map(|found| (found.profile.id, found)).collect()))
    }

    /// One of them.
    pub(in crate::api::identity) fn get(&self, id: OrganizationId) -> Option<&OrganizationDocument> {
        self.0.get(&id).map(|found| &**found)
    }
}

/// The organization that is the current one for the caller of a list or of a single user.
pub(super) fn current(call: &Call) -> Option<OrganizationId> {
    let named = call.arguments.text("organization-id").and_then(|id| Uuid::try_parse(id).ok()).map(OrganizationId);
    named.or_else(|| call.organization()).or_else(|| call.holder.as_user().and_then(|user| user.default_organization))
}

/// A user in a list.
pub(super) fn resource(call: &Call, user: &UserDocument, organizations: &Organizations) -> Resource {
    Resource::new("users", user.profile.id, attributes(call, user, organizations))
}

/// A user by itself.
pub(super) fn detail(call: &Call, user: &UserDocument, organizations: &Organizations) -> Resource {
    let mut attributes = attributes(call, user, organizations);
    let known = user.memberships.keys().filter_map(|id| organizations.get(*id));
    attributes["organizations"] = known.map(reference).collect();
    if call.arguments.flag("with-roles") == Some(true) {
        let only = call.uuid("organization-id").map(OrganizationId);
        attributes["roles"] = roles(user, organizations, only);
    }
    if call.arguments.flag("with-signups") == Some(true) {
        // There is no sign-up that could be on record.
        attributes["onboarding-requests"] = json!([]);
        attributes["org-code-signup-requests"] = json!([]);
    }
    Resource::new("users", user.profile.id, attributes)
}

fn reference(organization: &OrganizationDocument) -> Value {
    json!({
        "id": organization.profile.id,
        "name": organization.handle(),
        "display-name": organization.name,
    })
}

fn roles(user: &UserDocument, organizations: &Organizations, only: Option<OrganizationId>) -> Value {
    let within = user.memberships.iter().filter(|(id, _)| only.is_none_or(|only| only == **id));
    let own = within.flat_map(|(id, membership)| {
        let organization = organizations.get(*id);
        membership.roles.iter().map(move |role| {
            json!({
                "id": role.id(*id),
                "name": role.name(),
                "display-name": display_name(role.name()),
                "organization-id": id,
                "organization-name": organization.map(OrganizationDocument::handle),
                "organization-display-name": organization.map(|organization| &organization.name),
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

/// What a role is called for people.
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

fn attributes(call: &Call, user: &UserDocument, organizations: &Organizations) -> Value {
    let contacts = &user.contacts;
    let time = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(times::write);
    let grants = times::write(user.grants_at);
    // One that is in a list is shown as it was stored; what was deleted is nobody's organization any more.
    let own: Vec<_> = user.memberships.keys().filter(|id| organizations.get(**id).is_some()).collect();
    let default = user.default_organization.filter(|id| own.contains(&id));
    let admin = current(call).is_some_and(|organization| user.acts_as(Role::Admin, organization));
    let shared = user.memberships.iter().filter(|(_, membership)| membership.roles.contains(&Role::Member));
    let shared_with: Vec<_> = shared
        .filter_map(|(id, _)| organizations.get(*id))
        .map(|organization| {
            let mut shared = reference(organization);
            shared["type"] = json!("organization");
            shared["contact-message"] = Value::Null;
            shared
        })
        .collect();
    let dependants: Vec<_> = user
        .individuals
        .iter()
        .skip(1)
        .map(|id| {
            // Of a dependant nothing is kept here but whose it is.
            json!({ "id": id, "first-name": "", "last-name": "", "birth-date": null, "organization-logo-url": null })
        })
        .collect();
    json!({
        "additional-individuals": dependants,
        "authz-last-event-time": grants,
        "authz-last-populated-time": grants,
        "auto-confirm": false,
        "auto-sign-up": false,
        "birth-date": user.birth_date.as_ref().map(|date| date.as_str()),
        "classification": user.classification,
        "communication-preferences": user.preferences,
        "date-created": times::write(user.created_at),
        "date-last-modified": times::write(user.updated_at),
        "default-organization-id": default,
        "email": contacts.email,
        "email-verified": contacts.email_verified,
        "enabled": user.state.is_enabled(),
        "first-name": user.names.first_name,
        "last-login-time": time(user.last_login_at),
        "last-modified-time": times::write(user.updated_at),
        "last-name": user.names.last_name,
        "locale": user.locale,
        "locale-explicit": user.locale_explicit,
        "organization-admin": admin,
        "organization-count": own.len(),
        "organization-id": default,
        "organization-ids": own,
        "organization-logo-url": null,
        "phone": contacts.phone,
        "phone-type": contacts.phone_type,
        "phone-verified": contacts.phone_verified,
        "primary-individual-id": user.individuals.first(),
        "registered": user.is_registered(),
        "registration-completed-time": time(user.completed_at),
        "registration-invite": "none",
        "shared-with": shared_with,
        "state": user.state,
        "status": null,
        "tz": user.time_zone,
        "tz-explicit": user.time_zone_explicit,
        "username": user.username_text(),
    })
}
