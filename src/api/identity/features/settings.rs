//! Feature settings as resources: of organizations, and of users.

use crate::access::resource::{CatalogueAct, Guarded, OrganizationAct, UserAct};
use crate::api::common::ApiError;
use crate::api::common::error::RequestViolation;
use crate::api::identity::call::{Attributes, Call, HandlerResult, Parameters, QueryExt};
use crate::api::identity::documents::{Reply, Resource};
use crate::api::identity::refusals::NO_SETTING;
use crate::journal::JournalResult;
use crate::processes::{features, user_by_verified_email};
use axum::http::StatusCode;
use registrar_aggregates::feature::setting::{Setting, Switch, Target};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::features::{
    FEATURE_ID, FeatureDocument, FeatureSettingDocument, ORGANIZATION_ID, SETTINGS_BY_CREATION, TARGET, USER_ID,
};
use registrar_projections::{Direction, Document, OrganizationDocument, Query, UserDocument};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

type Settings = Query<FeatureSettingDocument>;

#[derive(Deserialize)]
pub(in crate::api::identity) struct OrganizationSettingFilters {
    #[serde(rename = "filter[feature-name]")]
    feature: Option<String>,
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
}

#[derive(Deserialize)]
pub(in crate::api::identity) struct UserSettingFilters {
    #[serde(rename = "filter[feature-name]")]
    feature: Option<String>,
    #[serde(rename = "filter[organization-id]")]
    within: Option<OrganizationId>,
    #[serde(rename = "user-id")]
    user: Option<UserId>,
    #[serde(rename = "user-email")]
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::api::identity) struct NewOrganizationSetting {
    feature_name: String,
    organization_id: OrganizationId,
    state: Switch,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::api::identity) struct NewUserSetting {
    feature_name: String,
    user_id: UserId,
    organization_id: Option<OrganizationId>,
    state: Switch,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
pub(in crate::api::identity) struct Change {
    state: Switch,
    #[serde(default)]
    force: bool,
}

pub(in crate::api::identity) async fn list_organization(
    call: Call,
    Parameters(filters): Parameters<OrganizationSettingFilters>,
) -> HandlerResult {
    let query = settings("organization", filters.feature);
    let query = match filters.organization {
        Some(id) => {
            let found = call.rightful::<OrganizationDocument>(&id.to_string(), OrganizationAct::Administer).await?;
            let Some(found) = found else { return call.nothing() };
            query.equal(&ORGANIZATION_ID, found.id.to_string())
        }
        None if call.holder.holds_everything() => query,
        None => query.one_of(&ORGANIZATION_ID, administered(&call)),
    };
    list(&call, query).await
}

pub(in crate::api::identity) async fn list_user(
    call: Call,
    Parameters(filters): Parameters<UserSettingFilters>,
) -> HandlerResult {
    let query = settings("user", filters.feature)
        .when(filters.within, |query, within| query.equal(&ORGANIZATION_ID, within.to_string()));
    let query = match subject(&call, filters.user, filters.email.as_deref()).await? {
        Subject::Account(user) => {
            let query = query.equal(&USER_ID, user.to_string());
            if call.is(user) || call.holder.holds_everything() {
                query
            } else {
                // Only admins of another organization may see settings within it.
                let own = administered(&call).into_iter().chain([String::new()]);
                query.one_of(&ORGANIZATION_ID, own.collect())
            }
        }
        Subject::Member(user) => query.equal(&USER_ID, user.to_string()).one_of(&ORGANIZATION_ID, administered(&call)),
        Subject::Unknown => return call.nothing(),
        Subject::Anybody if call.holder.holds_everything() => query,
        // Admins of an organization see every user's settings in it; others see their own.
        Subject::Anybody if filters.within.is_some_and(|within| call.holder.is_admin(within)) => query,
        Subject::Anybody => query.equal(&USER_ID, call.user()?.profile.id.to_string()),
    };
    list(&call, query).await
}

async fn list(call: &Call, query: Settings) -> HandlerResult {
    let page = call.page(query).await?;
    let related = RelatedResources::of(call, &page.items).await?;
    Ok(page.show(|setting| related.resource(setting)))
}

fn settings(target: &str, feature: Option<String>) -> Settings {
    let query = Settings::sorted(&SETTINGS_BY_CREATION, Direction::Ascending).equal(&TARGET, target);
    query.when(feature, |query, feature| query.equal(&FEATURE_ID, feature))
}

/// Organizations that the caller administers, as index keys.
fn administered(call: &Call) -> Vec<String> {
    let own = call.holder.organizations().filter(|organization| call.holder.is_admin(*organization));
    own.map(|organization| organization.to_string()).collect()
}

/// User whose settings are listed.
enum Subject {
    /// A user whose account is the caller's, or is administered by the caller.
    Account(UserId),
    /// A member of an organization that the caller administers.
    Member(UserId),
    Unknown,
    Anybody,
}

/// The user named by identifier, by address, or by both; unknown if these differ.
async fn subject(call: &Call, id: Option<UserId>, email: Option<&str>) -> Result<Subject, ApiError> {
    let found = match (id, email) {
        (None, None) => return Ok(Subject::Anybody),
        (Some(id), None) => call.seen::<UserDocument>(id).await?,
        (_, Some(email)) => {
            let user = user_by_verified_email(&call.app.node, email).await?;
            user.filter(|user| id.is_none_or(|id| id == user.profile.id) && call.holder.sees(user))
        }
    };
    let Some(user) = found else { return Ok(Subject::Unknown) };
    if call.may(&*user, UserAct::Change).await? {
        return Ok(Subject::Account(user.profile.id));
    }
    call.require(user.memberships.keys().any(|organization| call.holder.is_admin(*organization)))?;
    Ok(Subject::Member(user.profile.id))
}

pub(in crate::api::identity) async fn create_organization(
    call: Call,
    Attributes(new): Attributes<NewOrganizationSetting>,
) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let feature = call.seen::<FeatureDocument>(&new.feature_name).await?;
    let organization = call.seen::<OrganizationDocument>(new.organization_id).await?;
    check([
        ("feature-name", feature.is_some(), FeatureDocument::NAMES_NONE),
        ("organization-id", organization.is_some(), OrganizationDocument::NAMES_NONE),
    ])?;
    let related = RelatedResources::new(&feature, &None, &organization);
    create(&call, feature, new.state, Target::Organization(new.organization_id), new.force, related).await
}

pub(in crate::api::identity) async fn create_user(
    call: Call,
    Attributes(new): Attributes<NewUserSetting>,
) -> HandlerResult {
    call.require(call.holder.holds_everything())?;
    let feature = call.seen::<FeatureDocument>(&new.feature_name).await?;
    let user = call.seen::<UserDocument>(new.user_id).await?;
    let organization = match new.organization_id {
        Some(id) => call.seen::<OrganizationDocument>(id).await?,
        None => None,
    };
    check([
        ("feature-name", feature.is_some(), FeatureDocument::NAMES_NONE),
        ("user-id", user.is_some(), UserDocument::NAMES_NONE),
        ("organization-id", organization.is_some() || new.organization_id.is_none(), OrganizationDocument::NAMES_NONE),
    ])?;
    let target = match new.organization_id {
        Some(within) => Target::UserIn(new.user_id, within),
        None => Target::User(new.user_id),
    };
    let related = RelatedResources::new(&feature, &user, &None);
    create(&call, feature, new.state, target, new.force, related).await
}

/// Reports every attribute that names no existing resource.
fn check<const N: usize>(attributes: [(&str, bool, &str); N]) -> Result<(), ApiError> {
    let wrong = attributes.into_iter().filter(|(_, fits, _)| !fits);
    let wrong: Vec<_> = wrong.map(|(name, _, detail)| RequestViolation::attribute(name, detail)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::Wrong(wrong)) }
}

async fn create(
    call: &Call,
    feature: Option<Arc<FeatureDocument>>,
    switch: Switch,
    target: Target,
    force: bool,
    related: RelatedResources,
) -> HandlerResult {
    let feature = feature.ok_or(ApiError::NotFound(FeatureDocument::NOT_FOUND))?;
    let setting = Setting { feature_id: feature.id.clone(), target, switch };
    let related = Arc::new(related);
    let created = call
        .commit_rendered(
            move |outcome| {
                let made = outcome.document::<FeatureSettingDocument>();
                made.map(|made| Reply::created(related.resource(made)))
            },
            |node, context| features::create(node, context, setting, force),
        )
        .await?;
    created.ok_or_else(|| ApiError::internal("a setting was made without a document"))
}

pub(in crate::api::identity) async fn get_organization(call: Call) -> HandlerResult {
    show(&call, is_organizations).await
}

pub(in crate::api::identity) async fn get_user(call: Call) -> HandlerResult {
    show(&call, is_users).await
}

pub(in crate::api::identity) async fn update_organization(
    call: Call,
    Attributes(change): Attributes<Change>,
) -> HandlerResult {
    switch(&call, change, is_organizations).await
}

pub(in crate::api::identity) async fn update_user(call: Call, Attributes(change): Attributes<Change>) -> HandlerResult {
    switch(&call, change, is_users).await
}

fn is_organizations(target: Target) -> bool {
    matches!(target, Target::Organization(_))
}

fn is_users(target: Target) -> bool {
    !is_organizations(target)
}

/// The setting in the path, of the kind that the path is for.
async fn load(
    call: &Call,
    act: CatalogueAct,
    kind: fn(Target) -> bool,
) -> Result<Arc<FeatureSettingDocument>, ApiError> {
    // A setting of the other kind is not found, regardless of the caller's rights.
    let setting = call.load::<FeatureSettingDocument>(CatalogueAct::See).await?;
    if !kind(setting.setting.target) {
        return Err(NO_SETTING);
    }
    call.require(call.may(&*setting, act).await?)?;
    Ok(setting)
}

async fn show(call: &Call, kind: fn(Target) -> bool) -> HandlerResult {
    let setting = load(call, CatalogueAct::See, kind).await?;
    let related = RelatedResources::of(call, std::slice::from_ref(&*setting)).await?;
    Ok(Reply::found(related.resource(&setting)))
}

async fn switch(call: &Call, change: Change, kind: fn(Target) -> bool) -> HandlerResult {
    let setting = load(call, CatalogueAct::Change, kind).await?;
    let expected = call.expected(&*setting)?;
    let done = Reply::Plain(StatusCode::OK, Value::Null);
    call.commit(done, |node, context| features::switch(node, context, &setting, change.state, change.force, expected))
        .await
}

/// Features, users and organizations referenced by a page of settings.
struct RelatedResources {
    features: HashMap<String, Arc<FeatureDocument>>,
    users: HashMap<String, Arc<UserDocument>>,
    organizations: HashMap<String, Arc<OrganizationDocument>>,
}

impl RelatedResources {
    fn new(
        feature: &Option<Arc<FeatureDocument>>,
        user: &Option<Arc<UserDocument>>,
        organization: &Option<Arc<OrganizationDocument>>,
    ) -> Self {
        RelatedResources { features: by_id(feature), users: by_id(user), organizations: by_id(organization) }
    }

    async fn of(call: &Call, settings: &[FeatureSettingDocument]) -> JournalResult<Self> {
        let (mut features, mut users, mut organizations) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for setting in settings {
            features.insert(setting.setting.feature_id.to_string());
            match setting.setting.target {
                Target::Organization(organization) => organizations.insert(organization.to_string()),
                Target::User(user) | Target::UserIn(user, _) => users.insert(user.to_string()),
            };
        }
        let documents = call.documents();
        let (features, users, organizations) = futures::try_join!(
            documents.find_all::<FeatureDocument>(features),
            documents.find_all::<UserDocument>(users),
            documents.find_all::<OrganizationDocument>(organizations),
        )?;
        Ok(RelatedResources { features: by_id(&features), users: by_id(&users), organizations: by_id(&organizations) })
    }

    fn resource(&self, document: &FeatureSettingDocument) -> Resource {
        let setting = &document.setting;
        let feature = setting.feature_id.to_string();
        let (user, within) = match setting.target {
            Target::Organization(organization) => {
                let found = self.organizations.get(&organization.to_string());
                let known = self.features.get(&feature);
                let attributes = json!({
                    "feature-assignable": known.is_some_and(|known| known.definition.assignable),
                    "feature-id": feature,
                    "feature-name": feature,
                    "organization-id": organization,
                    "organization-name": found.map(|found| found.handle()).unwrap_or_default(),
                    "state": setting.switch,
                });
                return Resource::new("organization-features", document.id, attributes).at(document);
            }
            Target::User(user) => (user, None),
            Target::UserIn(user, organization) => (user, Some(organization)),
        };
        let found = self.users.get(&user.to_string());
        let attributes = json!({
            "feature-id": feature,
            "feature-name": feature,
            "organization-id": within,
            "state": setting.switch,
            "user-email": found.and_then(|found| found.contacts.email.as_ref()).map(EmailAddress::as_str),
            "user-id": user,
        });
        Resource::new("user-features", document.id, attributes).at(document)
    }
}

fn by_id<'d, D: Document>(documents: impl IntoIterator<Item = &'d Arc<D>>) -> HashMap<String, Arc<D>> {
    documents.into_iter().map(|document| (document.id(), Arc::clone(document))).collect()
}
