//! Questions of access: whether, with what, and who. What is granted to whom is decided by [`crate::access`]; here it
//! is asked.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource as Document, Window};
use super::refusals::{NO_USER, parameter};
use super::times;
use crate::access::{AccessQuery, Holder, Operation, Part, Resource};
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::journal::JournalResult;
use axum::http::StatusCode;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::user::{BirthDate, Phone};
use registrar_aggregates::values::{EmailAddress, GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::individuals::{self, owner_key};
use registrar_projections::{Direction, Query, UserDocument, users};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Most queries of one question.
const QUERIES_MAX: usize = 100;
/// Most users of one question.
const USERS_MAX: usize = 1_000;
/// Most rows of a page.
const LIMIT_MAX: u64 = 100_000;
/// Rows of a page where nothing is said.
const LIMIT: u64 = 5_000;
/// Users of one question that are looked at at once.
const AT_ONCE: usize = 32;

/// Whether a user may do everything that is asked.
pub(super) async fn check(call: Call) -> Answered {
    let holder = subject(&call, call.body.uuid("user-id")).await?;
    let queries = queries(&call.body, "")?;
    let allow = call.access().allows_all(&holder, &queries).await?;
    Ok(Reply::said(json!({ "allow": allow })))
}

/// The same of many users: of each one all queries together, or each by itself.
pub(super) async fn check_bulk(call: Call) -> Answered {
    if !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let asked = call.body.get("multi-user-ids").unwrap_or(&Value::Null);
    let queries = &queries(asked, "/multi-user-ids")?;
    let texts = &asked.texts("access-query").unwrap_or_default();
    let individually = asked.flag("individually");
    let mut users = asked.uuids("user-ids").unwrap_or_default();
    let mut seen = BTreeSet::new();
    users.retain(|user| seen.insert(*user));
    if users.len() > USERS_MAX {
        let detail = format!("must not name more than {USERS_MAX} users");
        return Err(ApiError::Wrong(vec![Wrong::at(Source::Pointer("/multi-user-ids/user-ids".to_owned()), detail)]));
    }
    let access = &call.access();
    let verdicts = stream::iter(users).map(|user| async move {
        let holder = access.holder(UserId(user)).await?;
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

/// With what of a kind a user may do something.
pub(super) async fn list_resources(call: Call) -> Answered {
    let holder = subject(&call, call.body.uuid("user-id")).await?;
    let queries = queries(&call.body, "")?;
    let (open, others): (Vec<_>, Vec<_>) = queries.into_iter().partition(AccessQuery::is_open);
    let [open] = <[AccessQuery; 1]>::try_from(open).map_err(|_| {
        let detail = "must have exactly one query for a group, individual or organization without an identifier";
        ApiError::Wrong(vec![Wrong::at(Source::Pointer("/access-query".to_owned()), detail)])
    })?;
    let number = |name, default| call.body.get(name).and_then(Value::as_u64).unwrap_or(default);
    let window = Window { limit: number("page[limit]", LIMIT), offset: number("page[offset]", 0) };
    let nothing = || Ok(Reply::said(ids(&[], window, 0)));
    let (access, organization) = (call.access(), call.body.uuid("organization-id").map(OrganizationId));
    for other in &others {
        if let (Resource::Group(Some(group)), Operation::Contain) = (&other.resource, other.operation)
            && !access.may_name_group(&call.holder, *group).await?
        {
            return nothing();
        }
    }
    let found = access.list(&holder, &open, &others, organization, part(window)).await?;
    let Some(found) = found else { return nothing() };
    Ok(Reply::said(ids(&found.items, window, found.total)))
}

/// The individuals with whom a user may do something, narrowed by what is known of the people behind them. Reading and
/// changing an individual go together, so that the answer is the same for both.
pub(super) async fn list_individuals(call: Call) -> Answered {
    let holder = subject(&call, call.uuid("user-id")).await?;
    let window = call.window_up_to(LIMIT_MAX)?;
    let nothing = || Ok(Reply::Plain(StatusCode::OK, ids(&[], window, 0)));
    let access = call.access();
    let organization = call.uuid("filter[organization-id]").map(OrganizationId);
    let people = people(&call)?;
    let Some(mut query) = access.individuals(&holder, organization).await? else { return nothing() };
    if let Some(group) = call.uuid("filter[group-id]").map(GroupId) {
        if !access.may_name_group(&call.holder, group).await? {
            return nothing();
        }
        query = access.inside(query, group).await?;
    }
    if let Some(leader) = call.uuid("filter[group-members-with-leader-id]") {
        let leader = call.user_by_id(UserId(leader)).await?.filter(|leader| call.holder.sees(leader));
        let Some(leader) = leader else { return nothing() };
        query = query.contains_any(&individuals::SCOPES, access.led_by(&leader, &call.holder).await?);
    }
    if let Some(owners) = call.uuids("filter[exclude-owner-ids]") {
        let owners = owners.iter().filter_map(|owner| Uuid::try_parse(owner).ok());
        let either = owners.flat_map(|id| [Owner::User(UserId(id)), Owner::Organization(OrganizationId(id))]);
        query = query.none_of(&individuals::OWNER, either.map(owner_key).collect());
    }
    if let Some(people) = people {
        query = query.related(&users::PRIMARY_INDIVIDUAL, people, true);
    }
    if let Some(registered) = call.arguments.flag("filter[registered]") {
        // Nobody has registered for an individual without a user of its own: it is left when those are taken away who
        // have.
        let people = all_people().equal(&users::REGISTERED, "true");
        query = query.related(&users::PRIMARY_INDIVIDUAL, people, registered);
    }
    let found = call.documents().ids(query.page(window.offset, window.limit)).await?.value;
    Ok(Reply::Plain(StatusCode::OK, ids(&found.items, window, found.total)))
}

/// Who may do something with at least one of some resources.
pub(super) async fn list_accessors(call: Call) -> Answered {
    if !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let window = call.window_up_to(LIMIT_MAX)?;
    let organization = call.uuid("organization-id").map(OrganizationId);
    let resources = call.arguments.texts("resource-id").filter_map(|id| Uuid::try_parse(id).ok());
    let access = call.access();
    let found = if call.arguments.text("resource-type") == Some("organization") {
        let operation = match call.arguments.text("operation") {
            Some("write") => Operation::Write,
            _ => Operation::Read,
        };
        let resources: Vec<_> = resources.map(OrganizationId).collect();
        access.accessors_of_organizations(&resources, operation, organization, part(window)).await?
    } else {
        let resources: Vec<_> = resources.map(IndividualId).collect();
        access.accessors_of_individuals(&resources, organization, part(window)).await?
    };
    let users: Vec<_> = found.items.iter().map(|id| json!({ "id": id })).collect();
    let answer = json!({ "data": users, "meta": window.meta(found.total) });
    Ok(Reply::Plain(StatusCode::OK, answer))
}

/// How far the grants of a user reflect what happened.
///
/// Grants are no copy that something fills later: every question derives them from documents that are written in the
/// commit of the events that they follow from. So the last change of the user's state, memberships, roles and posts is
/// at the same time the moment as of which its grants are known, and they are never behind it. Both times are the same
/// by what they are, and are compared all the same.
pub(super) async fn status(call: Call) -> Answered {
    let id = UserId(call.path_id(NO_USER)?);
    let user = call.user_by_id(id).await?.ok_or(NO_USER)?;
    if !call.holder.may_ask_about(id) {
        return Err(if call.holder.sees(&user) { call.forbidden() } else { NO_USER });
    }
    let (populated, latest) = (user.grants_at, user.grants_at);
    let attributes = json!({
        "last-populated-at": times::write(populated),
        "latest-event-at": times::write(latest),
        "up-to-date": populated >= latest,
    });
    Ok(Reply::found(Document::new("authz-user-status", id, attributes)))
}

/// The user that is asked about, if the caller may; one that there is not holds nothing.
async fn subject(call: &Call, user: Option<Uuid>) -> Result<Holder, ApiError> {
    let user = UserId(user.unwrap_or_default());
    if !call.holder.may_ask_about(user) {
        return Err(call.forbidden());
    }
    Ok(call.access().holder(user).await?)
}

/// The queries of a question that stands at `place` of the body.
fn queries(asked: &Value, place: &str) -> Result<Vec<AccessQuery>, ApiError> {
    let texts = asked.texts("access-query").unwrap_or_default();
    if texts.len() > QUERIES_MAX {
        let (source, detail) =
            (format!("{place}/access-query"), format!("must not have more than {QUERIES_MAX} elements"));
        return Err(ApiError::Wrong(vec![Wrong::at(Source::Pointer(source), detail)]));
    }
    let mut queries = Vec::new();
    let mut wrong = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match AccessQuery::parse(text) {
            Some(query) => queries.push(query),
            None => {
                let source = Source::Pointer(format!("{place}/access-query/{index}"));
                wrong.push(Wrong::at(source, "is no type:id:operation"));
            }
        }
    }
    if wrong.is_empty() { Ok(queries) } else { Err(ApiError::Wrong(wrong)) }
}

fn all_people() -> Query<UserDocument> {
    Query::sorted(&users::BY_ID, Direction::Ascending)
}

/// What is asked of the people behind individuals; nothing if nothing is.
fn people(call: &Call) -> Result<Option<Query<UserDocument>>, ApiError> {
    let text = |name| call.arguments.text(name);
    let account_type = match text("filter[account-type]") {
        None => None,
        Some("provider") => Some("false"),
        Some("regular") => Some("true"),
        Some(_) => {
            return Err(parameter("filter[account-type]", "must be one of the following values: provider, regular"));
        }
    };
    // What has not the form of a contact is nobody's.
    let email =
        text("filter[email]").map(|email| EmailAddress::parse(email).map(|email| users::email_key(&email)).ok());
    let phone = text("filter[phone]").map(|phone| Phone::parse(phone).map(|phone| phone.as_str().to_owned()).ok());
    let born = text("filter[birth-date]").map(|date| BirthDate::parse(date).map(|date| date.as_str().to_owned()).ok());
    let flag = |name| call.arguments.flag(name).map(|flag| Some(flag.to_string()));
    let asked = [
        (&users::FIRST_NAME, text("filter[first-name]").map(|name| Some(users::name_key(name)))),
        (&users::LAST_NAME, text("filter[last-name]").map(|name| Some(users::name_key(name)))),
        (&users::EMAIL, email),
        (&users::PHONE, phone),
        (&users::BIRTH_DATE, born),
        (&users::EMAIL_VERIFIED, flag("filter[email-verified]")),
        (&users::PHONE_VERIFIED, flag("filter[phone-verified]")),
        (&users::PARTICIPANT, account_type.map(|participant| Some(participant.to_owned()))),
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

fn part(window: Window) -> Part {
    Part { limit: window.limit, offset: window.offset }
}

fn ids(found: &[String], window: Window, total: u64) -> Value {
    json!({ "meta": window.meta(total), "resource-ids": found })
}
