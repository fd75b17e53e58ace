//! Features: the catalogue, the features enabled for a subject, and the users with a setting of their own.

mod settings;

pub(super) use settings::{
    create_organization, create_user, get_organization, get_user, list_organization, list_user, update_organization,
    update_user,
};

use super::call::{Attributes, Call, HandlerResult, Parameters, Parsed, PlainBody, QueryExt};
use super::documents::{Reply, Resource};
use super::named;
use super::times;
use crate::access::resource::CatalogueAct;
use crate::api::common::ApiError;
use crate::api::common::precondition::Revision;
use crate::processes::features::{self, FeatureOverrides};
use registrar_aggregates::feature::setting::Switch;
use registrar_aggregates::feature::{Amendment, Definition, Feature, FeatureCommand, FeatureId, Stage};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::features::{ASSIGNABLE, BY_CREATION, FeatureDocument};
use registrar_projections::sessions::SessionDocument;
use registrar_projections::{Direction, IndividualDocument, OrganizationDocument, Query, UserDocument};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct FeatureFilters {
    #[serde(rename = "filter[assignable]")]
    assignable: Option<bool>,
    #[serde(rename = "filter[user-id]")]
    user: Option<UserId>,
    #[serde(rename = "filter[individual-id]")]
    individual: Option<IndividualId>,
    #[serde(rename = "filter[organization-id]")]
    organization: Option<OrganizationId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewFeature {
    id: Parsed<FeatureId>,
    stage: Stage,
    description: Option<String>,
    #[serde(default)]
    global_enabled: bool,
    #[serde(default)]
    assignable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    stage: Option<Stage>,
    description: Option<String>,
    global_enabled: Option<bool>,
    assignable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Assignment {
    #[serde(flatten)]
    users: named::UserReferences,
    state: Option<Switch>,
    #[serde(default)]
    force: bool,
}

/// The catalogue; with a subject, the features as enabled for it.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<FeatureFilters>) -> HandlerResult {
    let query = Query::<FeatureDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .when(filters.assignable, |query, assignable| query.equal(&ASSIGNABLE, assignable.to_string()));
    let Some(subjects) = subjects(&call, &filters).await? else { return call.nothing() };
    if subjects.is_empty() {
        return call.list(query, resource).await;
    }
    // The effective value is not an index key. The whole catalogue is read for it; it holds the flags that developers
    // have ever introduced and so stays short, with any number of users.
    let catalogue = call.documents().page(query.uncounted()).await?.value.items;
    let on = catalogue.iter().filter(|feature| subjects.iter().all(|overrides| overrides.is_on(feature)));
    call.part(on.map(resource).collect())
}

/// Settings in effect for the subjects of the query; `None` if the caller does not see one of them. An organization
/// beside a user is the context of the user's settings; otherwise the session's organization is.
async fn subjects(call: &Call, filters: &FeatureFilters) -> Result<Option<Vec<FeatureOverrides>>, ApiError> {
    let node = &call.app.node;
    if let Some(organization) = filters.organization
        && call.seen::<OrganizationDocument>(organization).await?.is_none()
    {
        return Ok(None);
    }
    let mut users: Vec<Arc<UserDocument>> = Vec::new();
    let mut organizations = Vec::new();
    if let Some(user) = filters.user {
        let Some(user) = call.seen::<UserDocument>(user).await? else { return Ok(None) };
        users.push(user);
    }
    if let Some(individual) = filters.individual {
        let Some(individual) = call.seen::<IndividualDocument>(individual).await? else { return Ok(None) };
        match individual.owner {
            Owner::User(owner) => users.extend(call.user_by_id(owner).await?),
            Owner::Organization(owner) => organizations.push(owner),
        }
    }
    if users.is_empty() {
        organizations.extend(filters.organization);
    }
    let mut overrides = Vec::new();
    if !users.is_empty() {
        let within = match filters.organization {
            Some(named) => Some(named),
            None => session_organization(call).await?,
        };
        for user in users {
            overrides.push(FeatureOverrides::for_user(node, &user, within).await?);
        }
    }
    for organization in organizations {
        overrides.push(FeatureOverrides::for_organization(node, organization).await?);
    }
    Ok(Some(overrides))
}

/// Organization of the caller's session. The principal of system admins lacks it, since they reach every organization.
async fn session_organization(call: &Call) -> Result<Option<OrganizationId>, ApiError> {
    let Some(session) = call.session_id() else { return Ok(call.organization()) };
    let found = call.documents().find::<SessionDocument>(&session.to_string()).await?.value;
    Ok(found.and_then(|session| session.state.scope).map(|scope| scope.organization_id))
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewFeature>) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let NewFeature { id: Parsed(id), stage, description, global_enabled, assignable } = new;
    let definition = Definition { stage, description, global_enabled, assignable };
    let command = FeatureCommand::Create { id: id.clone(), definition };
    call.execute::<Feature, FeatureDocument>(id.to_string(), None, command, Reply::created, resource).await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<FeatureDocument>(CatalogueAct::See).await?)))
}

pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let feature = call.load::<FeatureDocument>(CatalogueAct::Change).await?;
    let Changes { stage, description, global_enabled, assignable } = changes;
    let amendment = Amendment { stage, description: description.map(Some), global_enabled, assignable };
    let (id, revision, command) =
        (feature.id.to_string(), Some(Revision::from(&*feature)), FeatureCommand::Amend(amendment));
    call.execute::<Feature, FeatureDocument>(id, revision, command, Reply::found, resource).await
}

pub(super) async fn add_users(call: Call, PlainBody(asked): PlainBody<Assignment>) -> HandlerResult {
    let feature = call.load::<FeatureDocument>(CatalogueAct::Change).await?;
    let users = asked.users.existing(&call).await?;
    let switch = asked.state.unwrap_or(Switch::Enabled);
    // Settings are not part of the feature's resource.
    call.commit(Reply::created(resource(&feature)), |node, context| {
        features::assign(node, context, &feature.id, &users, switch, asked.force)
    })
    .await
}

pub(super) async fn remove_users(call: Call, PlainBody(asked): PlainBody<Assignment>) -> HandlerResult {
    let feature = call.load::<FeatureDocument>(CatalogueAct::Change).await?;
    let users = asked.users.existing(&call).await?;
    call.commit(Reply::created(resource(&feature)), |node, context| {
        features::unassign(node, context, &feature.id, &users)
    })
    .await
}

fn resource(feature: &FeatureDocument) -> Resource {
    let definition = &feature.definition;
    let attributes = json!({
        "assignable": definition.assignable,
        "created-time": times::write(feature.created_at),
        "description": definition.description,
        "global-enabled": definition.global_enabled,
        "last-modified-time": times::write(feature.updated_at),
        "stage": definition.stage,
    });
    Resource::new("features", &feature.id, attributes).at(feature)
}
