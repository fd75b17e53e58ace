//! Onboarding: organizations bring people in by invitations with a code, whose holders sign up by it or claim with an
//! account of their own. Foreign organizations, participants and providers get no further than they may.

mod claims;
mod creation;
mod invitations;
mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, ids, refusal};
use crate::ecg_app::{Answer, Call};
use crate::matrix::world::{amendment, document};
use crate::support::while_commits_wait;
use crate::{on_both_stores, shapes};
use futures::future::join_all;
use registrar_aggregates::user::{Role, UserState};
use registrar_aggregates::values::{IndividualId, OrganizationId};
use registrar_projections::UserDocument;
use serde_json::{Value, json};
use std::fmt::Display;
use uuid::Uuid;

const KIND: &str = "onboarding-requests";
const REQUESTS: &str = "/v1/onboarding-requests/";
const TEXTS: &str = "/v1/onboarding-texts/";
const INFO: &str = "/v1/onboarding-info/";
const SYNTHETIC: &str = "/v1/synthetic-user-tokens/";

const ADA: &str = "ada@unknown.example";
const EVE: &str = "eve@unknown.example";
const PHONE: &str = "+13035550123";
const PASSWORD: &str = "a quiet lamp above nine stairs";

fn path(id: impl Display) -> String {
    format!("{REQUESTS}{id}/")
}

fn id(request: &Value) -> &str {
    request["id"].as_str().unwrap()
}

fn path_of(request: &Value) -> String {
    path(id(request))
}

fn request(attributes: Value) -> Value {
    document(KIND, attributes)
}

/// Attributes with some more, of which null removes one.
fn with(mut attributes: Value, more: Value) -> Value {
    let members = attributes.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    attributes
}

fn resend() -> Value {
    document("onboarding-requests-email", json!({}))
}

fn report(text: &str, attributes: Value) -> Value {
    amendment("onboarding-texts", text, attributes)
}

fn corrected(request: &Value, email: &str) -> Value {
    amendment(KIND, id(request), json!({ "email": email }))
}

/// Attributes of a request of Acme for a new individual, with some more.
async fn patient(it: &Identity, more: Value) -> Value {
    with(json!({ "organization": it.acme, "patient": it.individual(it.acme).await }), more)
}

/// Attributes of a request of Acme for a provider, with some more.
fn nurse(it: &Identity, more: Value) -> Value {
    with(json!({ "organization": it.acme, "onboard-type": "provider" }), more)
}

/// Creates a request; answers its resource.
async fn onboard(it: &Identity, caller: &Person, attributes: Value) -> Value {
    it.post(caller, REQUESTS, &request(attributes)).await["data"].take()
}

/// Creates a request of Acme for a new individual, whose person is invited by mail; answers its resource and the code.
async fn invite(it: &Identity, caller: &Person, address: &str) -> (Value, String) {
    let attributes = patient(it, json!({ "patient-email": address, "email-user-now": true })).await;
    (onboard(it, caller, attributes).await, it.referral_code(address).await)
}

/// The roles of a user in an organization; `None` for no member.
fn roles_in(user: &UserDocument, organization: Uuid) -> Option<Vec<Role>> {
    let membership = user.memberships.get(&OrganizationId(organization))?;
    Some(membership.roles.iter().copied().collect())
}

/// Attributes of a request as its admin sees it.
async fn shown(it: &Identity, request: &Value) -> Value {
    it.get(&it.system, &path_of(request)).await["data"]["attributes"].take()
}

/// The first error of a refused creation: where it points, and its detail.
async fn not_created(it: &Identity, caller: &Person, attributes: &Value, status: u16) -> (String, String) {
    let code = if status == 409 { "conflict" } else { "validation-error" };
    let error = it.post_refused(caller, REQUESTS, &request(attributes.clone()), status, code).await;
    let pointer = error["source"]["pointer"].as_str().unwrap_or_default();
    let name = pointer.strip_prefix("/data/attributes/").unwrap_or(pointer);
    (name.to_owned(), error["detail"].as_str().unwrap().to_owned())
}

fn looks_up(it: &Identity, attributes: Value) -> Call<'_> {
    it.app.call("POST", INFO).token(None).json(&document("onboarding-info", attributes))
}

/// Looks a code up; answers the attributes.
async fn info(it: &Identity, attributes: Value) -> Value {
    let answer = looks_up(it, attributes).send().await;
    shapes::check("POST", INFO, &answer);
    answer.ok()["data"]["attributes"].take()
}

/// Looks a code up, which must be answered like an unknown one.
async fn is_unknown(it: &Identity, attributes: Value) {
    let error = it.refused(looks_up(it, attributes), 404, "not-found").await;
    assert_eq!(error["detail"], "Invitation not found", "{error}");
}

fn code_of(code: &str) -> Value {
    json!({ "code": code })
}

/// A session that the service account opens on behalf of a person.
async fn represented(it: &Identity, person: &Person) -> Person {
    let opened = it.post(&it.service, SYNTHETIC, &json!({ "data": { "user-id": person.id } })).await;
    Person { token: opened["data"]["access-token"].as_str().unwrap().to_owned(), ..person.clone() }
}

/// Identifiers of the users of Acme in a state of their invitation, people without a verified address among them.
async fn users_invited(it: &Identity, state: &str) -> Vec<String> {
    let everybody = "filter[include-participants]=true&filter[include-unverified]=true";
    let query = format!("organization-id={}&{everybody}&filter[registration-invite]={state}", it.acme);
    ids(&it.get(&it.admin, &format!("/v1/users/?{query}")).await)
}

/// The statuses of creations that meet in the queue.
async fn at_once(it: &Identity, calls: Vec<Call<'_>>) -> Vec<u16> {
    let answers: Vec<Answer> = while_commits_wait(it.node(), join_all(calls.into_iter().map(Call::send))).await;
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}
