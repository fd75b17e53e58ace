//! Filters of the list of users.

use crate::api::common::ApiError;
use crate::api::identity::call::{Call, Parsed, QueryExt, StrictComparison, compared};
use registrar_aggregates::user::{Classification, Role};
use registrar_aggregates::values::{EmailAddress, IndividualId, OrganizationId};
use registrar_projections::query::{Direction, Query};
use registrar_projections::{OrganizationDocument, UserDocument, users};
use serde::Deserialize;

/// Key that no stored value has.
const NO_KEY: &str = "-";

#[derive(Deserialize)]
pub(in crate::api::identity) struct UserFilters {
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    #[serde(rename = "shared-with-id")]
    shared_with: Option<OrganizationId>,
    email: Option<String>,
    text: Option<String>,
    #[serde(default, rename = "sort-by")]
    sort_by: Vec<String>,
    #[serde(rename = "filter[organization-admin]")]
    admins: Option<bool>,
    #[serde(rename = "filter[email-verified]")]
    email_verified: Option<bool>,
    #[serde(rename = "filter[enabled]")]
    enabled: Option<bool>,
    #[serde(rename = "filter[include-inactive]")]
    include_inactive: bool,
    #[serde(rename = "filter[include-unverified]")]
    include_unverified: bool,
    #[serde(rename = "filter[include-participants]")]
    include_participants: bool,
    #[serde(rename = "filter[include-tester]")]
    include_tester: Option<bool>,
    #[serde(rename = "filter[classification]")]
    classification: Option<Classification>,
    #[serde(rename = "filter[phone-number]")]
    phone: Option<String>,
    #[serde(rename = "filter[username]")]
    username: Option<String>,
    #[serde(rename = "filter[primary-individual-ids]")]
    primary_individuals: Option<Vec<IndividualId>>,
    #[serde(rename = "filter[registration-invite]")]
    invite: Option<Vec<String>>,
    #[serde(default, rename = "filter[cmp-last-modified-time]")]
    modified: Vec<Parsed<StrictComparison>>,
}

/// Query of a list, without its page; `None` if it cannot match.
pub(super) async fn query(call: &Call, filters: UserFilters) -> Result<Option<Query<UserDocument>>, ApiError> {
    let mut query = sorted(&filters);
    let mut seen_whole = false;
    if let Some(organization) = filters.organization {
        if call.seen::<OrganizationDocument>(organization).await?.is_none() {
            return Ok(None);
        }
        query = query.contains(&users::PLACES, users::member_of(organization));
        seen_whole = call.holder.sees_all_of(organization);
    }
    if !seen_whole {
        query = call.holder.only_seen(query);
    }
    if let Some(shared) = filters.shared_with {
        if call.seen::<OrganizationDocument>(shared).await?.is_none() {
            return Ok(None);
        }
        query = query.contains(&users::PLACES, users::holding(Role::Member.id(shared)));
    }
    if filters.admins == Some(true) {
        let role = call.current_organization().map(|organization| users::holding(Role::Admin.id(organization)));
        query = query.contains(&users::PLACES, role.unwrap_or_else(|| NO_KEY.to_owned()));
    }
    let shown = by_personal(call, &filters).await?;
    // An explicit filter overrides the default of enabled and of verified users only.
    let only = |given: Option<bool>, included: bool| (!included && given.is_none()).then_some("true");
    query = query
        .when(filters.email_verified, |query, flag| query.equal(&users::EMAIL_VERIFIED, flag.to_string()))
        .when(filters.enabled, |query, flag| query.equal(&users::ENABLED, flag.to_string()))
        .when(only(filters.enabled, filters.include_inactive), |query, flag| query.equal(&users::ENABLED, flag))
        .when(only(filters.email_verified, filters.include_unverified), |query, flag| {
            query.equal(&users::VERIFIED, flag)
        })
        .when((!filters.include_participants).then_some("false"), |query, flag| query.equal(&users::PARTICIPANT, flag))
        .when(filters.include_tester.filter(|included| !included), |query, _| {
            query.none_of(&users::CLASSIFICATION, vec![Classification::CustomerTest.name().to_owned()])
        })
        .when(filters.invite, |query, states| query.one_of(&users::INVITATION, states))
        .when(filters.classification, |query, classification| {
            query.equal(&users::CLASSIFICATION, classification.name())
        })
        .when(shown, |query, people| query.one_of(&users::ID, people))
        .when(filters.email, |query, email| query.equal(&users::EMAIL, email_key(&email)))
        .when(filters.username.filter(|name| !is_phone(name)), |query, name| {
            query.equal(&users::EMAIL, email_key(&name))
        })
        .when(filters.text, |query, text| query.search(&users::SEARCH, &text));
    Ok(Some(compared(query, &users::UPDATED_AT, filters.modified)))
}

/// People matching the filters by telephone number and individual, if given, limited to those whose details the caller
/// may see: otherwise a filter would disclose values that the rows hide.
async fn by_personal(call: &Call, filters: &UserFilters) -> Result<Option<Vec<String>>, ApiError> {
    let phones = filters.phone.iter().chain(filters.username.iter().filter(|name| is_phone(name)));
    let mut query = Query::sorted(&users::BY_ID, Direction::Ascending);
    // One telephone number and one individual belong to one user each.
    let mut most = None;
    for phone in phones {
        query = query.one_of(&users::PHONE, vec![phone.clone()]);
        most = Some(1);
    }
    if let Some(individuals) = &filters.primary_individuals {
        query = query.one_of(&users::PRIMARY_INDIVIDUAL, individuals.iter().map(ToString::to_string).collect());
        most = most.or(Some(individuals.len() as u64));
    }
    let Some(most) = most else { return Ok(None) };
    let found = call.documents().verified(query.page(0, most)).await?;
    let shown = call.access().only_personal(&call.holder, &found).await?;
    Ok(Some(shown.iter().map(ToString::to_string).collect()))
}

fn is_phone(username: &str) -> bool {
    username.starts_with('+')
}

fn sorted(filters: &UserFilters) -> Query<UserDocument> {
    let key = filters.sort_by.first().map(String::as_str).unwrap_or_default();
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

/// An e-mail address as the key holds it; for any other text a key that no user has.
pub(in crate::api::identity) fn email_key(text: &str) -> String {
    EmailAddress::parse(text).map_or_else(|_| NO_KEY.to_owned(), |email| users::email_key(&email))
}
