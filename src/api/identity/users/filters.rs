//! Which users a list is of.

use super::shown::current;
use crate::api::common::ApiError;
use crate::api::identity::call::Call;
use crate::api::identity::refusals::parameter;
use crate::api::identity::times::{Comparison, Relation};
use chrono::{DateTime, Utc};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{EmailAddress, OrganizationId};
use registrar_projections::query::{Direction, Query, TextKey};
use registrar_projections::stamped::time_key;
use registrar_projections::{Document, UserDocument, users};

/// Nothing that is stored has this value.
const NOBODY: &str = "-";

/// The query that a list asks for, without its page.
pub(super) async fn query(call: &Call) -> Result<Query<UserDocument>, ApiError> {
    let arguments = &call.arguments;
    let organization = call.uuid("organization-id").map(OrganizationId);
    if let Some(organization) = organization
        && !call.holder.is_member(organization)
        && !call.holder.sees_all_of(organization)
    {
        return Err(call.forbidden());
    }
    let mut query = sorted(call);
    if let Some(organization) = organization {
        query = query.contains(&users::PLACES, users::member_of(organization));
    }
    if !organization.is_some_and(|organization| call.holder.sees_all_of(organization)) {
        query = call.holder.only_seen(query);
    }
    if let Some(shared) = call.uuid("shared-with-id").map(OrganizationId) {
        query = query.contains(&users::PLACES, users::holding(Role::Member.id(shared)));
    }
    if arguments.flag("filter[organization-admin]") == Some(true) {
        let role = current(call).map(|organization| Role::Admin.id(organization));
        query = query.contains(&users::PLACES, role.map_or_else(|| NOBODY.to_owned(), users::holding));
    }
    for (name, key) in [("filter[email-verified]", &users::EMAIL_VERIFIED), ("filter[enabled]", &users::ENABLED)] {
        if let Some(flag) = arguments.flag(name) {
            query = query.equal(key, flag.to_string());
        }
    }
    let includes = |name: &str| arguments.flag(name) == Some(true);
    // Who asks for those that are out of force sees them, whichever way it was asked.
    if !includes("filter[include-inactive]") && arguments.flag("filter[enabled]").is_none() {
        query = query.equal(&users::ENABLED, "true");
    }
    if !includes("filter[include-unverified]") && arguments.flag("filter[email-verified]").is_none() {
        query = query.equal(&users::VERIFIED, "true");
    }
    if !includes("filter[include-participants]") {
        query = query.equal(&users::PARTICIPANT, "false");
    }
    if arguments.flag("filter[include-tester]") == Some(false) {
        query = query.none_of(&users::CLASSIFICATION, vec!["customer_test".to_owned()]);
    }
    if let Some(classification) = arguments.text("filter[classification]") {
        query = query.equal(&users::CLASSIFICATION, classification);
    }
    if let Some(email) = arguments.text("email") {
        query = query.equal(&users::EMAIL, email_key(email));
    }
    if let Some(phone) = arguments.text("filter[phone-number]") {
        query = query.equal(&users::PHONE, phone);
    }
    if let Some(username) = arguments.text("filter[username]") {
        query = if username.starts_with('+') {
            query.equal(&users::PHONE, username)
        } else {
            query.equal(&users::EMAIL, email_key(username))
        };
    }
    if let Some(individuals) = call.uuids("filter[primary-individual-ids]") {
        query = query.one_of(&users::PRIMARY_INDIVIDUAL, individuals);
    }
    // Nobody was invited yet.
    if arguments.has("filter[registration-invite]")
        && !arguments.texts("filter[registration-invite]").any(|one| one == "none")
    {
        query = query.one_of(&users::ID, vec![]);
    }
    let comparisons = call.comparisons("filter[cmp-last-modified-time]", false)?;
    query = compared(query, &users::UPDATED_AT, &comparisons);
    if let Some(text) = arguments.text("text") {
        query = query.search(&users::SEARCH, text);
    }
    if arguments.texts("sort-by").count() > 1 {
        return Err(parameter("sort-by", "must not have more than one key"));
    }
    Ok(query)
}

fn sorted(call: &Call) -> Query<UserDocument> {
    let key = call.arguments.texts("sort-by").next().unwrap_or_default();
    let (direction, key) = match key.strip_prefix('-') {
        Some(key) => (Direction::Descending, key),
        None => (Direction::Ascending, key),
    };
    let sort = match key {
        "email" => &users::BY_EMAIL,
        "first-name" => &users::BY_FIRST_NAME,
        "last-name" => &users::BY_LAST_NAME,
        "id" => &users::BY_ID,
        _ => &users::BY_CREATION,
    };
    Query::sorted(sort, direction)
}

fn email_key(text: &str) -> String {
    EmailAddress::parse(text).map_or_else(|_| NOBODY.to_owned(), |email| users::email_key(&email))
}

/// Only documents whose time is as the comparisons say.
pub(in crate::api::identity) fn compared<D: Document>(
    mut query: Query<D>,
    key: &TextKey<D>,
    comparisons: &[Comparison],
) -> Query<D> {
    let text = |time: DateTime<Utc>| time_key(time);
    for comparison in comparisons {
        let time = text(comparison.time);
        query = match comparison.relation {
            Relation::Before => query.below(key, time),
            Relation::Until => query.at_most(key, time),
            Relation::After => query.above(key, time),
            Relation::Since => query.at_least(key, time),
        };
    }
    query
}
