//! Settings of features as resources of their own: those of organizations, and those of users.

use super::check_administers;
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::api::common::error::Wrong;
use crate::api::identity::call::{Answered, Call, Members};
use crate::api::identity::documents::{Reply, Resource};
use crate::api::identity::refusals::{NO_SETTING, attribute};
use crate::directory::{features, user_by_email};
use crate::executor::Outcome;
use crate::journal::JournalResult;
use axum::http::StatusCode;
use registrar_aggregates::feature::setting::{Setting, Switch, Target};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::features::{
    FEATURE_ID, FeatureDocument, FeatureSettingDocument, ORGANIZATION_ID, SETTINGS_BY_CREATION, TARGET, USER_ID,
};
use registrar_projections::{Direction, Document, OrganizationDocument, Query, UserDocument};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

type Settings = Query<FeatureSettingDocument>;

/// The answer to a change of a setting.
fn done() -> Reply {
    Reply::Plain(StatusCode::OK, Value::Null)
}

pub(in crate::api::identity) async fn list_organization(call: Call) -> Answered {
    let query = settings(&call, "organization");
    let query = match call.uuid("organization-id").map(OrganizationId) {
        Some(organization) => {
            if !call.access().organization(&call.holder, organization, Operation::Write).await? {
                return Err(call.forbidden());
            }
            query.equal(&ORGANIZATION_ID, organization.to_string())
        }
        None if call.holder.holds_everything() => query,
        None => query.one_of(&ORGANIZATION_ID, administered(&call)),
    };
    let window = call.window()?;
    let page = call.documents().page(query.page(window.offset, window.limit)).await?.value;
    let around = Around::of(&call, &page.items).await?;
    let resources = page.items.iter().map(|setting| around.resource(setting));
    Ok(Reply::Page(resources.collect(), window, page.total))
}

pub(in crate::api::identity) async fn create_organization(mut call: Call) -> Answered {
    check_administers(&call)?;
    let attributes = call.attributes()?;
    let feature = feature(&call, &attributes).await?;
    let organization = organization(&call, &attributes).await?;
    let (Some(feature), Some(organization)) = (&feature, &organization) else {
        let wrong = [
            feature.is_none().then(|| Wrong::attribute("feature-name", "is no feature")),
            organization.is_none().then(|| Wrong::attribute("organization-id", "is no organization")),
        ];
        return Err(ApiError::Wrong(wrong.into_iter().flatten().collect()));
    };
    let target = Target::Organization(organization.profile.id);
    let around = Around::new([feature], [], [organization]);
    create(&call, &attributes, feature, target, around).await
}

pub(in crate::api::identity) async fn get_organization(call: Call) -> Answered {
    let setting = of_organization(&call).await?;
    show(&call, &setting).await
}

pub(in crate::api::identity) async fn update_organization(call: Call) -> Answered {
    let setting = of_organization(&call).await?;
    switch(call, &setting).await
}

pub(in crate::api::identity) async fn list_user(call: Call) -> Answered {
    let mut query = settings(&call, "user");
    let within = call.uuid("filter[organization-id]").map(OrganizationId);
    if let Some(organization) = within {
        query = query.equal(&ORGANIZATION_ID, organization.to_string());
    }
    let query = match named(&call).await? {
        Some(users) => {
            let oneself = users.iter().all(|user| call.is(*user));
            let query = query.one_of(&USER_ID, users.iter().map(ToString::to_string).collect());
            if oneself || call.holder.holds_everything() {
                query
            } else {
                // What holds elsewhere is for those who administer that.
                let elsewhere = administered(&call).into_iter().chain([String::new()]);
                query.one_of(&ORGANIZATION_ID, elsewhere.collect())
            }
        }
        None if call.holder.holds_everything() => query,
        // Of an organization its admins see those of everybody; whoever asks for nobody in particular sees their own.
        None if within.is_some_and(|organization| call.holder.is_admin(organization)) => query,
        None => query.equal(&USER_ID, call.user()?.profile.id.to_string()),
    };
    let window = call.window()?;
    let page = call.documents().page(query.page(window.offset, window.limit)).await?.value;
    let around = Around::of(&call, &page.items).await?;
    let resources = page.items.iter().map(|setting| around.resource(setting));
    Ok(Reply::Page(resources.collect(), window, page.total))
}

pub(in crate::api::identity) async fn create_user(mut call: Call) -> Answered {
    check_administers(&call)?;
    let attributes = call.attributes()?;
    let feature = feature(&call, &attributes).await?;
    let user = match attributes.uuid("user-id") {
        Some(user) => call.user_by_id(UserId(user)).await?,
        None => None,
    };
    let organization = organization(&call, &attributes).await?;
    let elsewhere = attributes.text("organization-id").is_some() && organization.is_none();
    let (Some(feature), Some(user), false) = (&feature, &user, elsewhere) else {
        let wrong = [
            feature.is_none().then(|| Wrong::attribute("feature-name", "is no feature")),
            user.is_none().then(|| Wrong::attribute("user-id", "is no user")),
            elsewhere.then(|| Wrong::attribute("organization-id", "is no organization")),
        ];
        return Err(ApiError::Wrong(wrong.into_iter().flatten().collect()));
    };
    let id = user.profile.id;
    let target = organization.map_or(Target::User(id), |within| Target::UserIn(id, within.profile.id));
    let around = Around::new([feature], [user], []);
    create(&call, &attributes, feature, target, around).await
}

pub(in crate::api::identity) async fn get_user(call: Call) -> Answered {
    let setting = of_user(&call).await?;
    show(&call, &setting).await
}

pub(in crate::api::identity) async fn update_user(call: Call) -> Answered {
    let setting = of_user(&call).await?;
    switch(call, &setting).await
}

fn settings(call: &Call, target: &str) -> Settings {
    let query = Settings::sorted(&SETTINGS_BY_CREATION, Direction::Ascending).equal(&TARGET, target);
    match call.arguments.text("filter[feature-name]") {
        Some(feature) => query.equal(&FEATURE_ID, feature),
        None => query,
    }
}

/// The organizations that the caller administers, as keys hold them.
fn administered(call: &Call) -> Vec<String> {
    let own = call.holder.organizations().filter(|organization| call.holder.is_admin(*organization));
    own.map(|organization| organization.to_string()).collect()
}

/// Whom a list is about, if it is about somebody: oneself, or a user whom the caller manages. Named twice, it is one
/// and the same, or nobody.
async fn named(call: &Call) -> Result<Option<Vec<UserId>>, ApiError> {
    let node = &call.app.node;
    let id = call.uuid("user-id").map(UserId);
    let email = call.arguments.text("user-email");
    let found = match (id, email) {
        (None, None) => return Ok(None),
        (Some(id), None) => call.user_by_id(id).await?,
        (_, Some(email)) => user_by_email(node, email).await?.filter(|user| id.is_none_or(|id| id == user.profile.id)),
    };
    match found {
        Some(user) if call.is(user.profile.id) || call.holder.manages(&user) => Ok(Some(vec![user.profile.id])),
        // Whoever sees everybody learns that there is nobody.
        None if call.holder.holds_everything() => Ok(Some(vec![])),
        _ => Err(call.forbidden()),
    }
}

/// The setting of the path, if it is an organization's and the caller may look at it.
async fn of_organization(call: &Call) -> Result<Arc<FeatureSettingDocument>, ApiError> {
    let setting = find(call).await?;
    match setting.setting.target {
        Target::Organization(organization) if call.holder.is_admin(organization) => Ok(setting),
        _ => Err(NO_SETTING),
    }
}

/// The setting of the path, if it is a user's and the caller may look at it.
async fn of_user(call: &Call) -> Result<Arc<FeatureSettingDocument>, ApiError> {
    let setting = find(call).await?;
    let seen = match setting.setting.target {
        Target::Organization(_) => false,
        Target::User(user) | Target::UserIn(user, _) if call.is(user) => true,
        Target::UserIn(_, organization) => call.holder.is_admin(organization),
        Target::User(user) => {
            let user = call.user_by_id(user).await?;
            user.is_some_and(|user| call.holder.manages(&user))
        }
    };
    if seen { Ok(setting) } else { Err(NO_SETTING) }
}

async fn find(call: &Call) -> Result<Arc<FeatureSettingDocument>, ApiError> {
    let id = call.path_id(NO_SETTING)?.to_string();
    call.documents().find::<FeatureSettingDocument>(&id).await?.value.ok_or(NO_SETTING)
}

async fn show(call: &Call, setting: &FeatureSettingDocument) -> Answered {
    let around = Around::of(call, std::slice::from_ref(setting)).await?;
    Ok(Reply::found(around.resource(setting)))
}

async fn create(
    call: &Call,
    attributes: &Map<String, Value>,
    feature: &FeatureDocument,
    target: Target,
    around: Around,
) -> Answered {
    let switch = attributes.word("state").ok_or_else(|| attribute("state", "is none of the allowed values"))?;
    let setting = Setting { feature_id: feature.id.clone(), target, switch };
    let around = Arc::new(around);
    let answer = move |outcome: &Outcome| {
        outcome.document::<FeatureSettingDocument>().map(|found| Reply::created(around.resource(found)))
    };
    call.remember(answer.clone());
    let force = attributes.flag("force");
    let outcome = features::create(&call.app.node, &call.context, setting, force).await?;
    answer(&outcome).ok_or_else(|| ApiError::internal("a setting was made without a document"))
}

async fn switch(mut call: Call, setting: &FeatureSettingDocument) -> Answered {
    check_administers(&call)?;
    let attributes = call.attributes()?;
    let state: Option<Switch> = attributes.word("state");
    let state = state.ok_or_else(|| attribute("state", "is none of the allowed values"))?;
    call.remember(|_| Some(done()));
    features::switch(&call.app.node, &call.context, setting, state, attributes.flag("force")).await?;
    Ok(done())
}

/// The feature that attributes name.
async fn feature(call: &Call, attributes: &Map<String, Value>) -> JournalResult<Option<Arc<FeatureDocument>>> {
    let name = attributes.text("feature-name").unwrap_or_default();
    Ok(call.documents().find::<FeatureDocument>(name).await?.value)
}

/// The organization that attributes name.
async fn organization(
    call: &Call,
    attributes: &Map<String, Value>,
) -> JournalResult<Option<Arc<OrganizationDocument>>> {
    match attributes.uuid("organization-id") {
        Some(id) => Ok(call.documents().find::<OrganizationDocument>(&id.to_string()).await?.value),
        None => Ok(None),
    }
}

/// What settings tell of the things that they are about.
struct Around {
    features: HashMap<String, Arc<FeatureDocument>>,
    users: HashMap<String, Arc<UserDocument>>,
    organizations: HashMap<String, Arc<OrganizationDocument>>,
}

impl Around {
    fn new<'d>(
        features: impl IntoIterator<Item = &'d Arc<FeatureDocument>>,
        users: impl IntoIterator<Item = &'d Arc<UserDocument>>,
        organizations: impl IntoIterator<Item = &'d Arc<OrganizationDocument>>,
    ) -> Self {
        Around { features: by_id(features), users: by_id(users), organizations: by_id(organizations) }
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
        Ok(Around::new(&features, &users, &organizations))
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
                return Resource::new("organization-features", document.id, attributes);
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
        Resource::new("user-features", document.id, attributes)
    }
}

fn by_id<'d, D: Document>(documents: impl IntoIterator<Item = &'d Arc<D>>) -> HashMap<String, Arc<D>> {
    documents.into_iter().map(|document| (document.id(), Arc::clone(document))).collect()
}
