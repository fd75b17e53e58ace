//! Features: what there is, what is on for somebody, and for whom it is set.

mod settings;

pub(super) use settings::{
    create_organization, create_user, get_organization, get_user, list_organization, list_user, update_organization,
    update_user,
};

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::refusals::{NO_FEATURE, attribute, member};
use super::times;
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::directory::DirectoryError;
use crate::directory::features::{self, Said};
use crate::executor::Outcome;
use registrar_aggregates::feature::setting::Switch;
use registrar_aggregates::feature::{Amendment, Definition, Feature, FeatureCommand, FeatureId, Stage};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::features::{ASSIGNABLE, BY_CREATION, FeatureDocument};
use registrar_projections::sessions::SessionDocument;
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, users};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Most users of one request.
const USERS_MAX: usize = 1_000;

/// The catalogue; with a subject, what is on for it.
pub(super) async fn list(call: Call) -> Answered {
    let window = call.window()?;
    let mut query = Query::<FeatureDocument>::sorted(&BY_CREATION, Direction::Ascending);
    if let Some(assignable) = call.arguments.flag("filter[assignable]") {
        query = query.equal(&ASSIGNABLE, assignable.to_string());
    }
    let documents = call.documents();
    let subjects = subjects(&call).await?;
    if subjects.is_empty() {
        let page = documents.page(query.page(window.offset, window.limit)).await?.value;
        return Ok(Reply::Page(page.items.iter().map(resource).collect(), window, page.total));
    }
    // What is on is no key. The whole catalogue is read for it, which holds what developers have ever switched and so
    // stays short, whatever the number of users.
    let catalogue = documents.page(query.uncounted()).await?.value.items;
    let on: Vec<_> = catalogue.iter().filter(|feature| subjects.iter().all(|said| said.is_on(feature))).collect();
    let shown = on.iter().skip(window.offset.try_into().unwrap_or(usize::MAX));
    let shown = shown.take(window.limit.try_into().unwrap_or(usize::MAX)).map(|feature| resource(feature));
    Ok(Reply::Page(shown.collect(), window, on.len() as u64))
}

/// What is said for whom the query names, each of whom the caller must be able to look at. An organization beside a
/// user is where the user is looked at; otherwise that is where the caller is.
async fn subjects(call: &Call) -> Result<Vec<Said>, ApiError> {
    let (node, access) = (&call.app.node, call.access());
    let named = call.uuid("filter[organization-id]").map(OrganizationId);
    if let Some(organization) = named
        && !access.organization(&call.holder, organization, Operation::Read).await?
    {
        return Err(call.forbidden());
    }
    let mut users: Vec<Arc<UserDocument>> = Vec::new();
    let mut organizations = Vec::new();
    if let Some(user) = call.uuid("filter[user-id]") {
        let found = call.user_by_id(UserId(user)).await?.filter(|user| call.holder.sees(user));
        users.push(found.ok_or_else(|| call.forbidden())?);
    }
    if let Some(individual) = call.uuid("filter[individual-id]") {
        let found = node.documents.find::<IndividualDocument>(&individual.to_string()).await?.value;
        let individual = found.ok_or_else(|| call.forbidden())?;
        if !access.individual_as(&call.holder, &individual).await? {
            return Err(call.forbidden());
        }
        match individual.owner {
            Owner::User(owner) => users.extend(call.user_by_id(owner).await?),
            Owner::Organization(owner) => organizations.push(owner),
        }
    }
    if users.is_empty() {
        organizations.extend(named);
    }
    let mut said = Vec::new();
    if !users.is_empty() {
        let within = if named.is_some() { named } else { session_organization(call).await? };
        for user in users {
            said.push(Said::for_user(node, &user, within).await?);
        }
    }
    for organization in organizations {
        said.push(Said::for_organization(node, organization).await?);
    }
    Ok(said)
}

/// The organization that the caller's session is in. Of those who administer the system the principal does not tell,
/// since they reach every one.
async fn session_organization(call: &Call) -> Result<Option<OrganizationId>, ApiError> {
    let Some(session) = call.caller.as_ref().and_then(|caller| caller.principal.session) else {
        return Ok(call.organization());
    };
    let found = call.documents().find::<SessionDocument>(&session.to_string()).await?.value;
    Ok(found.and_then(|session| session.state.scope).map(|scope| scope.organization_id))
}

pub(super) async fn create(mut call: Call) -> Answered {
    check_administers(&call)?;
    let attributes = call.attributes()?;
    let id = FeatureId::parse(attributes.text("id").unwrap_or_default());
    let id = id.map_err(|problem| attribute("id", problem.to_string()))?;
    let definition = Definition {
        stage: attributes.word("stage").ok_or_else(|| attribute("stage", "is none of the allowed values"))?,
        description: attributes.text("description").map(str::to_owned),
        global_enabled: attributes.flag("global-enabled"),
        assignable: attributes.flag("assignable"),
    };
    let answer = |outcome: &Outcome| outcome.document::<FeatureDocument>().map(|found| Reply::created(resource(found)));
    call.remember(answer);
    let command = FeatureCommand::Create { id: id.clone(), definition };
    let outcome = call.app.node.executor.execute::<Feature>(&call.context, &id.to_string(), command, None).await;
    let outcome = outcome.map_err(DirectoryError::from)?;
    answer(&outcome).ok_or_else(|| ApiError::internal("a feature was created without a document"))
}

pub(super) async fn get(call: Call) -> Answered {
    let feature = find(&call).await?;
    Ok(Reply::found(resource(&feature)))
}

pub(super) async fn update(mut call: Call) -> Answered {
    let before = find(&call).await?;
    check_administers(&call)?;
    // Identifiers are compared as they are, letter case and all: others differ in nothing else.
    if call.body.pointer("/data/id").and_then(Value::as_str).is_some_and(|sent| sent != call.path_text()) {
        let source = Source::Pointer("/data/id".to_owned());
        return Err(ApiError::Wrong(vec![Wrong { contradicts: true, ..Wrong::at(source, "is not that of the path") }]));
    }
    let attributes = call.attributes()?;
    let amendment = Amendment {
        stage: attributes.word::<Stage>("stage"),
        description: attributes.text("description").map(|description| Some(description.to_owned())),
        global_enabled: attributes.get("global-enabled").and_then(Value::as_bool),
        assignable: attributes.get("assignable").and_then(Value::as_bool),
    };
    let answer = |outcome: &Outcome| outcome.document::<FeatureDocument>().map(|found| Reply::found(resource(found)));
    call.remember(answer);
    let (id, command) = (before.id.to_string(), FeatureCommand::Amend(amendment));
    let outcome = call.app.node.executor.execute::<Feature>(&call.context, &id, command, None).await;
    let outcome = outcome.map_err(DirectoryError::from)?;
    // Nothing was different: it is still what it was, or what somebody else has made of it since.
    match answer(&outcome) {
        Some(reply) => Ok(reply),
        None => get(call).await,
    }
}

pub(super) async fn add_users(call: Call) -> Answered {
    let feature = find(&call).await?;
    check_administers(&call)?;
    let users = named_users(&call).await?;
    let switch = call.body.word("state").unwrap_or(Switch::Enabled);
    let force = call.body.flag("force");
    let reply = remembered(&call, &feature);
    features::assign(&call.app.node, &call.context, &feature.id, &users, switch, force).await?;
    Ok(reply)
}

pub(super) async fn remove_users(call: Call) -> Answered {
    let feature = find(&call).await?;
    check_administers(&call)?;
    let users = named_users(&call).await?;
    let reply = remembered(&call, &feature);
    features::unassign(&call.app.node, &call.context, &feature.id, &users).await?;
    Ok(reply)
}

/// The feature as it is shown after a change of its settings, which do not show in it.
fn remembered(call: &Call, feature: &FeatureDocument) -> Reply {
    let shown = resource(feature);
    let again = shown.clone();
    call.remember(move |_| Some(Reply::created(again.clone())));
    Reply::created(shown)
}

/// The users that a body names by identifier or by e-mail address, each once.
async fn named_users(call: &Call) -> Result<Vec<UserId>, ApiError> {
    let documents = call.documents();
    let (name, given) = match (call.body.texts("user-ids"), call.body.texts("user-emails")) {
        (Some(ids), _) => ("user-ids", ids),
        (None, emails) => ("user-emails", emails.unwrap_or_default()),
    };
    if given.len() > USERS_MAX {
        return Err(member(name, format!("must not have more than {USERS_MAX} elements")));
    }
    let by_id = name == "user-ids";
    // What has not the form of a key is nobody's.
    let keys: Vec<Option<String>> = if by_id {
        let ids = call.body.uuids(name).unwrap_or_default();
        ids.iter().map(|id| Some(id.to_string())).collect()
    } else {
        given.iter().map(|email| EmailAddress::parse(email).ok().map(|email| users::email_key(&email))).collect()
    };
    let query = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending).uncounted();
    let wanted = keys.iter().flatten().cloned().collect();
    let query = if by_id { query.one_of(&users::ID, wanted) } else { query.one_of(&users::EMAIL, wanted) };
    let known: HashMap<String, UserId> = documents
        .page(query)
        .await?
        .value
        .items
        .into_iter()
        .map(|user| {
            let id = user.profile.id;
            let email = user.contacts.email.as_ref().filter(|_| !by_id).map(users::email_key);
            (email.unwrap_or_else(|| id.to_string()), id)
        })
        .collect();
    let mut named = Vec::new();
    let mut wrong = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        match key.as_ref().and_then(|key| known.get(key)) {
            Some(user) if named.contains(user) => {}
            Some(user) => named.push(*user),
            None => wrong.push(Wrong::at(Source::Pointer(format!("/{name}/{index}")), "is no user")),
        }
    }
    if wrong.is_empty() { Ok(named) } else { Err(ApiError::Wrong(wrong)) }
}

/// The feature of the path.
async fn find(call: &Call) -> Result<Arc<FeatureDocument>, ApiError> {
    call.documents().find::<FeatureDocument>(call.path_text()).await?.value.ok_or(NO_FEATURE)
}

/// Features and who has which are for those who administer the system.
fn check_administers(call: &Call) -> Result<(), ApiError> {
    if call.holder.holds_everything() { Ok(()) } else { Err(call.forbidden()) }
}

fn resource(feature: &FeatureDocument) -> Resource {
    let definition = &feature.definition;
    Resource::new(
        "features",
        &feature.id,
        json!({
            "assignable": definition.assignable,
            "created-time": times::write(feature.created_at),
            "description": definition.description,
            "global-enabled": definition.global_enabled,
            "last-modified-time": times::write(feature.updated_at),
            "stage": definition.stage,
        }),
    )
}
