//! Onboarding requests: organizations bring people in, by invitations with a code. Codes are looked up and used in
//! [`mod@codes`].

mod codes;
mod creation;
mod shown;

pub(super) use codes::{claim, get_info};
pub(super) use creation::create;

use super::call::{Attributes, Call, EmptyBody, HandlerResult, Parameters, Parsed, QueryExt};
use super::documents::Reply;
use super::named;
use super::refusals::attribute;
use crate::access::resource::{OnboardingAct, OrganizationAct};
use crate::api::common::ApiError;
use crate::journal::JournalResult;
use crate::processes::{DirectoryError, onboarding};
use chrono::Utc;
use futures::future::try_join_all;
use registrar_aggregates::onboarding::{DeliveryReport, InvitationStatus, OnboardKind};
use registrar_aggregates::values::{EmailAddress, IndividualId, OrganizationId};
use registrar_projections::messages::MessageDocument;
use registrar_projections::onboarding_requests::{
    BY_CREATION, CREATOR, EMAIL, INDIVIDUAL, LIST, OnboardingDocument, USER_ID, creator_key, email_key, individual_key,
    list_key,
};
use registrar_projections::{Direction, IndividualDocument, OrganizationDocument, Query, UserDocument};
use serde::Deserialize;
use serde_json::json;
use shown::{resource, row};
use std::collections::BTreeSet;

/// Key that no request has.
const NO_KEY: &str = "-";
/// Requests shown with a user. A person has one for each organization that onboarded them.
const OF_USER_MAX: u64 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Filters {
    organization: OrganizationId,
    email: Option<String>,
    onboard_type: OnboardKind,
    patient_ids: Option<Vec<IndividualId>>,
    with_invite: bool,
}

#[derive(Deserialize)]
pub(super) struct Correction {
    email: Parsed<EmailAddress>,
}

#[derive(Deserialize)]
pub(super) struct Report {
    status: Option<String>,
    error: Option<String>,
}

/// Requests of an organization and a kind. Providers of a restricted organization find those of the individuals that they
/// see, and without individuals in the query those that they created.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<Filters>) -> HandlerResult {
    let (id, act) = (filters.organization.to_string(), OrganizationAct::Onboard);
    let Some(organization) = call.rightful::<OrganizationDocument>(&id, act).await? else { return call.nothing() };
    let (id, kind, with_invite) = (organization.id, filters.onboard_type, filters.with_invite);
    let sees_all = kind == OnboardKind::Provider || call.holder.is_admin(id) || call.access().is_open(id).await?;
    let individuals = match filters.patient_ids {
        Some(individuals) if !sees_all => Some(seen(&call, individuals).await?),
        individuals => individuals,
    };
    let email = filters.email.map(|email| match EmailAddress::parse(&email) {
        Ok(email) => email_key(id, kind, &email),
        Err(_) => NO_KEY.to_owned(),
    });
    // Each of these keys begins with organization and kind; a condition on the list itself beside one of them would let
    // SQLite walk through the whole list.
    let whole_list = individuals.is_none() && email.is_none() && sees_all;
    let own = (individuals.is_none() && !sees_all).then(|| call.holder.account_id()).flatten();
    let query = Query::<OnboardingDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .when(individuals, |query, individuals| {
            let keys = individuals.into_iter().map(|individual| individual_key(id, kind, individual));
            query.one_of(&INDIVIDUAL, keys.collect())
        })
        .when(email, |query, email| query.equal(&EMAIL, email))
        .when(own, |query, own| query.equal(&CREATOR, creator_key(id, kind, own)))
        .when(whole_list.then(|| list_key(id, kind)), |query, list| query.equal(&LIST, list));
    call.list(query, move |document| if with_invite { resource(document) } else { row(document) }).await
}

/// The individuals of a list that the caller sees.
async fn seen(call: &Call, individuals: Vec<IndividualId>) -> JournalResult<Vec<IndividualId>> {
    let distinct: BTreeSet<_> = individuals.iter().map(ToString::to_string).collect();
    let found = call.documents().find_all::<IndividualDocument>(distinct).await?;
    let seen = found.into_iter().map(|individual| async move {
        let seen = call.may(&*individual, ()).await?;
        JournalResult::Ok(seen.then_some(individual.id))
    });
    Ok(try_join_all(seen).await?.into_iter().flatten().collect())
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<OnboardingDocument>(OnboardingAct::See).await?)))
}

/// Corrects the address. The invitation to the former one is void, and another one is sent by a call of its own. The
/// answer tells whether an account holds the new one, so each address counts as a look-up unless its user is seen anyway.
pub(super) async fn update(call: Call, Attributes(correction): Attributes<Correction>) -> HandlerResult {
    let request = call.load::<OnboardingDocument>(OnboardingAct::Amend).await?;
    call.own_acts_only()?;
    let expected = call.expected(&*request)?;
    let Correction { email: Parsed(email) } = correction;
    if !request.has_email(&email) {
        named::by_address(&call, email.as_str()).await?;
    }
    call.commit_document::<OnboardingDocument, DirectoryError, _>(
        request.id.to_string(),
        Reply::found,
        resource,
        |node, context| onboarding::amend_email(node, context, &request, &email, expected),
    )
    .await
}

/// Invites the person again, by every channel whose address is known.
pub(super) async fn resend(call: Call, Attributes(EmptyBody {}): Attributes<EmptyBody>) -> HandlerResult {
    let request = call.load::<OnboardingDocument>(OnboardingAct::Invite).await?;
    let (composer, channels) = (&call.app.settings.composer, request.channels());
    call.commit_document::<OnboardingDocument, DirectoryError, _>(
        request.id.to_string(),
        Reply::created,
        resource,
        |node, context| onboarding::invite(node, context, composer, &request, &channels),
    )
    .await
}

/// Stores what a program reports about a text message; without a status nothing.
pub(super) async fn report_text(call: Call, Attributes(told): Attributes<Report>) -> HandlerResult {
    call.require(call.holder.is_service())?;
    let text = call.load::<MessageDocument>(()).await?;
    let done = Reply::said(json!({}));
    let Some(status) = told.status else { return Ok(done) };
    let status = reported(&status)?;
    let report = DeliveryReport { error: told.error, ..DeliveryReport::of(text.id, status, Utc::now()) };
    call.commit(done, |node, context| onboarding::note_report(node, context, &text, &report)).await
}

/// A status in our words, or in those of a gateway for text messages.
fn reported(status: &str) -> Result<InvitationStatus, ApiError> {
    match status.to_ascii_lowercase().as_str() {
        "created" | "accepted" | "scheduled" | "queued" | "sending" => Ok(InvitationStatus::Created),
        "sent" => Ok(InvitationStatus::Sent),
        "delivered" | "read" => Ok(InvitationStatus::Delivered),
        "failed" | "undelivered" | "canceled" => Ok(InvitationStatus::Failed),
        _ => {
            let all = InvitationStatus::ALL.map(InvitationStatus::name).join(", ");
            Err(attribute("status", format!("must be one of {all}")))
        }
    }
}

/// Identifiers of the requests of a user that the caller sees; people see their own.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(super) async fn of_user(call: &Call, user: &UserDocument) -> JournalResult<Vec<String>> {
    let query = Query::<OnboardingDocument>::sorted(&BY_CREATION, Direction::Ascending);
    let query = query.equal(&USER_ID, user.profile.id.to_string()).uncounted().page(0, OF_USER_MAX);
    let found = call.documents().page(query).await?.value.items;
    let own = call.is(user.profile.id);
    let seen = found.iter().map(|request| async move {
        let seen = own || call.may(request, OnboardingAct::See).await?;
        JournalResult::Ok(seen.then(|| request.id.to_string()))
    });
    Ok(try_join_all(seen).await?.into_iter().flatten().collect())
}
