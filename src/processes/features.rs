//! Feature overrides of users and organizations: create, change and remove them, and look up which features are on.

use super::{DirectoryError, ProcessResult, Refusal, commit};
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use registrar_aggregates::feature::setting::{
    FeatureSetting, Setting, SettingCommand, SettingError, Switch, Target, effective,
};
use registrar_aggregates::feature::{FeatureError, FeatureId};
use registrar_aggregates::processes::features::{self as rules, Assignee};
use registrar_aggregates::values::{FeatureSettingId, OrganizationId, UserId};
use registrar_projections::features::{
    FEATURE_ID, FeatureDocument, FeatureSettingDocument, ORGANIZATION_ID, SETTINGS_BY_CREATION, TARGET, USER_ID,
};
use registrar_projections::{Direction, Query, UserDocument};
use std::collections::HashMap;
use uuid::Uuid;

/// Retries of the look-up after another request has created one of the settings.
const RETRIES_MAX: usize = 8;

/// Creates a setting.
///
/// # Errors
/// `NotAssignable` without force; `AlreadyExists`.
pub async fn create(node: &Node, context: &RequestContext, setting: Setting, force: bool) -> ProcessResult {
    check_assignable(node, &setting.feature_id, force).await?;
    let context = within(context, setting.target);
    let id = FeatureSettingId(Uuid::now_v7());
    let command = SettingCommand::Create { id, setting };
    match node.executor.execute::<FeatureSetting>(&context, &id.to_string(), command, None).await {
        Err(ExecuteError::Journal(JournalError::ClaimTaken { .. })) => {
            Err(Refusal::Setting(SettingError::AlreadyExists).into())
        }
        done => Ok(done?),
    }
}

/// Changes the value of a setting.
///
/// # Errors
/// `NotAssignable` without force; `NotFound` if it was removed meanwhile; `VersionConflict` if it is not at the
/// `expected` version.
pub async fn switch(
    node: &Node,
    context: &RequestContext,
    setting: &FeatureSettingDocument,
    switch: Switch,
    force: bool,
    expected: Option<u64>,
) -> ProcessResult {
    check_assignable(node, &setting.setting.feature_id, force).await?;
    let context = within(context, setting.setting.target);
    let (id, command) = (setting.id.to_string(), SettingCommand::Set(switch));
    Ok(node.executor.execute::<FeatureSetting>(&context, &id, command, expected).await?)
}

/// Sets a feature to the same value for some users of any organization: existing settings are switched, missing ones
/// created.
///
/// # Errors
/// `NotAssignable` without force.
pub async fn assign(
    node: &Node,
    context: &RequestContext,
    feature: &FeatureId,
    users: &[UserId],
    switch: Switch,
    force: bool,
) -> ProcessResult {
    check_assignable(node, feature, force).await?;
    for _ in 0..RETRIES_MAX {
        let settings = settings_of(node, feature, users).await?.into_iter();
        let known: HashMap<Target, FeatureSettingId> = settings.map(|found| (found.setting.target, found.id)).collect();
        let assignee = |user: &UserId| Assignee {
            user: *user,
            known: known.get(&Target::User(*user)).copied(),
            new: FeatureSettingId(Uuid::now_v7()),
        };
        let assignees: Vec<_> = users.iter().map(assignee).collect();
        let done = commit(node, context, |streams| rules::assign(streams, feature, &assignees, switch));
        match done.await {
            // Lost race: another request has created a setting of one of them, which is found now.
            Err(DirectoryError::Journal(JournalError::ClaimTaken { .. })) => {}
            done => return done,
        }
    }
    Err(JournalError::VersionConflict.into())
}

/// Removes every setting of a feature for some users of any organization, so that the settings of their
/// organizations and the feature's own value count again.
///
/// # Errors
/// Only those of the journal; users without one are passed over.
pub async fn unassign(node: &Node, context: &RequestContext, feature: &FeatureId, users: &[UserId]) -> ProcessResult {
    let settings: Vec<_> = settings_of(node, feature, users).await?.into_iter().map(|found| found.id).collect();
    commit(node, context, |streams| rules::remove(streams, &settings)).await
}

/// Feature overrides for a user or an organization, in order of precedence.
pub struct FeatureOverrides(Vec<HashMap<FeatureId, Switch>>);

impl FeatureOverrides {
    /// Overrides for a user within an organization, which count only if the user belongs to it.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn for_user(
        node: &Node,
        user: &UserDocument,
        organization: Option<OrganizationId>,
    ) -> JournalResult<Self> {
        let id = user.profile.id;
        let organization = organization.filter(|organization| user.memberships.contains_key(organization));
        let all = read(node, settings().equal(&USER_ID, id.to_string())).await?;
        let level = |target: Target| {
            let of_target = all.iter().filter(|found| found.setting.target == target);
            of_target.map(|found| (found.setting.feature_id.clone(), found.setting.switch)).collect::<HashMap<_, _>>()
        };
        let mut levels: Vec<_> =
            organization.map(|organization| level(Target::UserIn(id, organization))).into_iter().collect();
        levels.push(level(Target::User(id)));
        if let Some(organization) = organization {
            levels.extend(FeatureOverrides::for_organization(node, organization).await?.0);
        }
        Ok(FeatureOverrides(levels))
    }

    /// Overrides for an organization.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn for_organization(node: &Node, organization: OrganizationId) -> JournalResult<Self> {
        let query = settings().equal(&TARGET, "organization").equal(&ORGANIZATION_ID, organization.to_string());
        let overrides = read(node, query).await?.into_iter();
        Ok(FeatureOverrides(vec![
            overrides.map(|found| (found.setting.feature_id.clone(), found.setting.switch)).collect(),
        ]))
    }

    /// Whether a feature is on.
    #[must_use]
    pub fn is_on(&self, feature: &FeatureDocument) -> bool {
        effective(self.0.iter().map(|level| level.get(&feature.id).copied()), feature.definition.global_enabled)
    }
}

fn settings() -> Query<FeatureSettingDocument> {
    Query::sorted(&SETTINGS_BY_CREATION, Direction::Ascending)
}

async fn read(node: &Node, query: Query<FeatureSettingDocument>) -> JournalResult<Vec<FeatureSettingDocument>> {
    node.documents.verified(query).await
}

/// The settings of a feature for some users, general ones and those within organizations.
async fn settings_of(node: &Node, feature: &FeatureId, users: &[UserId]) -> JournalResult<Vec<FeatureSettingDocument>> {
    let users = users.iter().map(ToString::to_string).collect();
    read(node, settings().equal(&FEATURE_ID, feature.to_string()).one_of(&USER_ID, users)).await
}

/// Reads the document and not the cached aggregate, which may be a stale read after a commit of another node.
async fn check_assignable(node: &Node, feature: &FeatureId, force: bool) -> Result<(), DirectoryError> {
    let found = node.documents.find::<FeatureDocument>(&feature.to_string()).await?.value;
    let checked = found.ok_or(FeatureError::NotFound).and_then(|found| found.definition.check_assignable(force));
    Ok(checked.map_err(Refusal::from)?)
}

/// Settings for or within an organization belong to it.
fn within(context: &RequestContext, target: Target) -> RequestContext {
    match target {
        Target::Organization(organization) | Target::UserIn(_, organization) => context.within(organization),
        Target::User(_) => context.clone(),
    }
}
