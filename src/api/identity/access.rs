//! Access questions: yes or no, with which resources, and by which users. [`crate::access`] decides; this module
//! translates.

use super::call::{Call, HandlerResult, Parameters, PlainBody, QueryExt};
use super::documents::{Paging, Reply, Resource as Document};
use super::refusals::parameter;
use super::times;
use crate::access::resource::UserAct;
use crate::access::{AccessQuery, Holder, Operation, PageRequest, Resource};
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::journal::JournalResult;
use axum::http::StatusCode;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::user::{BirthDate, Phone};
use registrar_aggregates::values::{EmailAddress, GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::individuals::{self, owner_key};
use registrar_projections::{Direction, Query, UserDocument, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Most queries per question.
const QUERIES_MAX: usize = 100;
/// Most users per question.
const USERS_MAX: usize = 1_000;
/// Largest page.
const LIMIT_MAX: u64 = 100_000;
/// Default page size.
const LIMIT: u64 = 5_000;
/// Users of one question that are checked concurrently.
const AT_ONCE: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Question {
    user_id: UserId,
    access_query: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ManyQuestions {
    multi_user_ids: Questions,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Questions {
    user_ids: Vec<UserId>,
    access_query: Vec<String>,
    #[serde(default)]
    individually: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ListQuestion {
    user_id: UserId,
    access_query: Vec<String>,
    organization_id: Option<OrganizationId>,
    #[serde(rename = "page[limit]", default = "limit")]
    limit: u64,
    #[serde(rename = "page[offset]", default)]
    offset: u64,
}

fn limit() -> u64 {
    LIMIT
}

#[derive(Deserialize)]
pub(super) struct IndividualFilters {
    #[serde(rename = "user-id")]
    user: UserId,
    #[serde(rename = "filter[organization-id]")]
    organization: Option<OrganizationId>,
    #[serde(rename = "filter[group-id]")]
    group: Option<GroupId>,
    #[serde(rename = "filter[group-members-with-leader-id]")]
    leader: Option<UserId>,
    #[serde(rename = "filter[exclude-owner-ids]")]
    without_owners: Option<Vec<Uuid>>,
    #[serde(rename = "filter[registered]")]
    registered: Option<bool>,
    #[serde(flatten)]
    people: PeopleFilters,
}

/// Filters on the people behind individuals.
#[derive(Deserialize)]
struct PeopleFilters {
    #[serde(rename = "filter[account-type]")]
    account_type: Option<String>,
    #[serde(rename = "filter[first-name]")]
    first_name: Option<String>,
    #[serde(rename = "filter[last-name]")]
    last_name: Option<String>,
    #[serde(rename = "filter[email]")]
    email: Option<String>,
    #[serde(rename = "filter[phone]")]
    phone: Option<String>,
    #[serde(rename = "filter[birth-date]")]
    born: Option<String>,
    #[serde(rename = "filter[email-verified]")]
    email_verified: Option<bool>,
    #[serde(rename = "filter[phone-verified]")]
    phone_verified: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AccessorFilters {
    resource_type: String,
    resource_id: Vec<Uuid>,
    operation: String,
    organization_id: Option<OrganizationId>,
}

/// Whether a user may do everything in the question.
pub(super) async fn check(call: Call, PlainBody(asked): PlainBody<Question>) -> HandlerResult {
    let holder = subject(&call, asked.user_id).await?;
    let queries = queries(&asked.access_query, "")?;
    let allow = call.access().allows_all(&holder, &queries).await?;
    Ok(Reply::said(json!({ "allow": allow })))
}

/// As [`check`] for many users: all queries together for each user, or each by itself.
pub(super) async fn check_bulk(call: Call, PlainBody(asked): PlainBody<ManyQuestions>) -> HandlerResult {
    call.require(call.holder.is_service())?;
    let Questions { user_ids: mut users, access_query: texts, individually } = asked.multi_user_ids;
    let (queries, texts) = (&queries(&texts, "/multi-user-ids")?, &texts);
    let mut seen = BTreeSet::new();
    users.retain(|user| seen.insert(*user));
    if users.len() > USERS_MAX {
        let detail = format!("must not name more than {USERS_MAX} users");
        return Err(ApiError::Wrong(vec![RequestViolation::at(
            Source::Pointer("/multi-user-ids/user-ids".to_owned()),
            detail,
        )]));
    }
    let access = &call.access();
    let verdicts = stream::iter(users).map(|user| async move {
        let holder = access.holder(user).await?;
        let verdict = |texts: &[String], allow| json!({ "access-query": texts, "allow": allow, "user-id": user });
        if !individually {
            return JournalResult::Ok(vec![verdict(texts, access.allows_all(&holder, queries).await?)]);
        }
        let each = queries.iter().zip(texts).map(|(query, text)| {
            let holder = &holder;
            async move { Ok(verdict(std::slice::from_ref(text), access.allows(holder, query).await?)) }
        });
        futures::future::try_join_all(each).await
    });
    let verdicts: Vec<Vec<Value>> = verdicts.buffered(AT_ONCE).try_collect().await?;
    Ok(Reply::said(json!({ "access-queries": verdicts.concat() })))
}

/// Resources of a kind that a user may act on.
pub(super) async fn list_resources(call: Call, PlainBody(asked): PlainBody<ListQuestion>) -> HandlerResult {
    let holder = subject(&call, asked.user_id).await?;
    let queries = queries(&asked.access_query, "")?;
    let (open, others): (Vec<_>, Vec<_>) = queries.into_iter().partition(AccessQuery::is_open);
    let [open] = <[AccessQuery; 1]>::try_from(open).map_err(|_| {
        let detail = "must have exactly one query for a group, individual or organization without an identifier";
        ApiError::Wrong(vec![RequestViolation::at(Source::Pointer("/access-query".to_owned()), detail)])
    })?;
    let paging = Paging { limit: asked.limit, offset: asked.offset };
    let nothing = || Ok(Reply::said(ids(&[], paging, 0)));
    let (access, organization) = (call.access(), asked.organization_id);
    for other in &others {
        if let (Resource::Group(Some(group)), Operation::Contain) = (&other.resource, other.operation)
            && !access.may_name_group(&call.holder, *group).await?
        {
            return nothing();
        }
    }
    let found = access.list(&holder, &open, &others, organization, part(paging)).await?;
    let Some(found) = found else { return nothing() };
    Ok(Reply::said(ids(&found.items, paging, found.total)))
}

/// Individuals that a user may act on, narrowed by filters on the people behind them. Reading and changing an
/// individual are granted together, so the answer is the same for both.
pub(super) async fn list_individuals(call: Call, Parameters(asked): Parameters<IndividualFilters>) -> HandlerResult {
    let holder = subject(&call, asked.user).await?;
    let paging = call.paging_up_to(LIMIT_MAX)?;
    let nothing = || Ok(Reply::Plain(StatusCode::OK, ids(&[], paging, 0)));
    let access = call.access();
    let people = people(asked.people)?;
    let Some(mut query) = access.individuals(&holder, asked.organization).await? else { return nothing() };
    if let Some(group) = asked.group {
        if !access.may_name_group(&call.holder, group).await? {
            return nothing();
        }
        query = access.inside(query, group).await?;
    }
    if let Some(leader) = asked.leader {
        let Some(leader) = call.seen::<UserDocument>(leader).await? else { return nothing() };
        query = query.contains_any(&individuals::SCOPES, access.led_by(&leader, &call.holder).await?);
    }
    let either = |id| [Owner::User(UserId(id)), Owner::Organization(OrganizationId(id))].map(owner_key);
    query = query
        .when(asked.without_owners, |query, owners| {
            query.none_of(&individuals::OWNER, owners.into_iter().flat_map(either).collect())
        })
        .when(people, |query, people| query.related(&users::PRIMARY_INDIVIDUAL, people, true))
        // An individual without a user of its own counts as unregistered: it remains once the registered are excluded.
        .when(asked.registered, |query, registered| {
            let people = all_people().equal(&users::REGISTERED, "true");
            query.related(&users::PRIMARY_INDIVIDUAL, people, registered)
        });
    let found = call.documents().ids(query.page(paging.offset, paging.limit)).await?.value;
    Ok(Reply::Plain(StatusCode::OK, ids(&found.items, paging, found.total)))
}

/// Users who may act on at least one of the resources.
pub(super) async fn list_accessors(call: Call, Parameters(asked): Parameters<AccessorFilters>) -> HandlerResult {
    call.require(call.holder.is_service())?;
    let paging = call.paging_up_to(LIMIT_MAX)?;
    let (access, within) = (call.access(), asked.organization_id);
    let found = if asked.resource_type == "organization" {
        let operation = if asked.operation == "write" { Operation::Write } else { Operation::Read };
        let resources: Vec<_> = asked.resource_id.into_iter().map(OrganizationId).collect();
        access.accessors_of_organizations(&resources, operation, within, part(paging)).await?
    } else {
        let resources: Vec<_> = asked.resource_id.into_iter().map(IndividualId).collect();
        access.accessors_of_individuals(&resources, within, part(paging)).await?
    };
    let users: Vec<_> = found.items.iter().map(|id| json!({ "id": id })).collect();
    let answer = json!({ "data": users, "meta": paging.meta(found.total) });
    Ok(Reply::Plain(StatusCode::OK, answer))
}

/// Freshness of a user's grants.
///
/// Grants are not a copy that is filled later: every question derives them from documents that are written in the
/// commit of the events that they follow from. So the last change of the user's state, memberships, roles and posts is
/// also the moment as of which its grants are known, and they are never behind it. Both times are equal by
/// construction, and are compared all the same.
pub(super) async fn status(call: Call) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Ask).await?;
    let (populated, latest) = (user.grants_at, user.grants_at);
    let attributes = json!({
        "last-populated-at": times::write(populated),
        "latest-event-at": times::write(latest),
        "up-to-date": populated >= latest,
    });
    Ok(Reply::found(Document::new("authz-user-status", user.profile.id, attributes)))
}

/// Grants of the user in question, if the caller may ask; an unknown user has none.
async fn subject(call: &Call, user: UserId) -> Result<Holder, ApiError> {
    call.require(call.holder.may_ask_about(user))?;
    Ok(call.access().holder(user).await?)
}

/// Queries of a question at `place` in the body.
fn queries(texts: &[String], place: &str) -> Result<Vec<AccessQuery>, ApiError> {
    if texts.len() > QUERIES_MAX {
        let (source, detail) =
            (format!("{place}/access-query"), format!("must not have more than {QUERIES_MAX} elements"));
        return Err(ApiError::Wrong(vec![RequestViolation::at(Source::Pointer(source), detail)]));
    }
    let mut queries = Vec::new();
    let mut wrong = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match AccessQuery::parse(text) {
            Some(query) => queries.push(query),
            None => {
                let source = Source::Pointer(format!("{place}/access-query/{index}"));
                wrong.push(RequestViolation::at(source, "must be type:id:operation"));
            }
        }
    }
    if wrong.is_empty() { Ok(queries) } else { Err(ApiError::Wrong(wrong)) }
}

fn all_people() -> Query<UserDocument> {
    Query::sorted(&users::BY_ID, Direction::Ascending)
}

/// Query for the people behind individuals; `None` without such filters.
fn people(asked: PeopleFilters) -> Result<Option<Query<UserDocument>>, ApiError> {
    let participant = match asked.account_type.as_deref() {
        None => None,
        Some("provider") => Some(Some("false".to_owned())),
        Some("regular") => Some(Some("true".to_owned())),
        Some(_) => return Err(parameter("filter[account-type]", "must be one of provider, regular")),
    };
    // A malformed contact belongs to no user.
    let email = asked.email.map(|email| EmailAddress::parse(&email).map(|email| users::email_key(&email)).ok());
    let phone = asked.phone.map(|phone| Phone::parse_stored(&phone).map(|phone| phone.as_str().to_owned()).ok());
    let born = asked.born.map(|date| BirthDate::parse(&date).map(|date| date.as_str().to_owned()).ok());
    let (name, flag) = (|name: String| Some(users::name_key(&name)), |flag: bool| Some(flag.to_string()));
    let asked = [
        (&users::FIRST_NAME, asked.first_name.map(name)),
        (&users::LAST_NAME, asked.last_name.map(name)),
        (&users::EMAIL, email),
        (&users::PHONE, phone),
        (&users::BIRTH_DATE, born),
        (&users::EMAIL_VERIFIED, asked.email_verified.map(flag)),
        (&users::PHONE_VERIFIED, asked.phone_verified.map(flag)),
        (&users::PARTICIPANT, participant),
    ];
    let mut people = None;
    for (key, value) in asked {
        if let Some(value) = value {
            let so_far = people.unwrap_or_else(all_people);
            people = Some(so_far.one_of(key, value.into_iter().collect()));
        }
    }
    Ok(people)
}

fn part(paging: Paging) -> PageRequest {
    PageRequest { limit: paging.limit, offset: paging.offset }
}

fn ids(found: &[String], paging: Paging, total: u64) -> Value {
    json!({ "meta": paging.meta(total), "resource-ids": found })
}
