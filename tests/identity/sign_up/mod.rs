//! People sign up by the code of an organization or by an invitation, and confirm an address. Answers tell of accounts
//! only to holders of a valid code.

mod by_code;
mod by_referral;
mod confirming;
mod races;
mod resending;
mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, refusal};
use crate::ecg_app::Answer;
use crate::forgot_password::issued;
use crate::matrix::world::document;
use crate::shapes;
use crate::sign_in::attempt;
use crate::support::Database;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::user::{Contact, Phone};
use registrar_aggregates::values::EmailAddress;
use serde_json::{Value, json};
use uuid::Uuid;

const SIGN_UP: &str = "/v1/sign-up/";
const CONFIRM: &str = "/v1/confirm-sign-up/";
const RESEND: &str = "/v1/resend-invitation/";
const CODES: &str = "/v1/organization-codes/";
const REQUESTS: &str = "/v1/onboarding-requests/";

const ADA: &str = "ada@example.com";
const PHONE: &str = "+12025550123";
/// The code of Acme.
const CODE: &str = "Spring";
/// The password of all who sign up.
const NEW: &str = "another horse entirely, quite blue";
/// No code: codes have digits alone.
const WRONG: &str = "wrong";

/// A server on which people sign up with Acme.
async fn open(database: &Database) -> Identity {
    let it = Identity::open(database).await;
    it.sign_up_code(CODE, json!({})).await;
    it
}

/// The form of a sign-up by the code of Acme, with further members.
fn form(username: &str, more: Value) -> Value {
    let form = json!({
        "organization-code": CODE,
        "username": username,
        "password": NEW,
        "first-name": "Ada",
        "last-name": "Lovelace",
    });
    with(form, more)
}

/// The form of a sign-up by an invitation.
fn referral(code: &str, username: &str, more: Value) -> Value {
    with(json!({ "referral-code": code, "username": username, "password": NEW }), more)
}

fn with(mut form: Value, more: Value) -> Value {
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    form
}

/// Sends a public request from a network of its own number.
async fn from(it: &Identity, network: usize, path: &str, body: &Value) -> Answer {
    let peer = format!("198.51.{network}.1:4711");
    let answer = it.app.call("POST", path).token(None).peer(&peer).json(body).send().await;
    shapes::check("POST", path, &answer);
    answer
}

async fn send(it: &Identity, path: &str, body: &Value) -> Answer {
    from(it, 0, path, body).await
}

/// Signs up, which must succeed; answers the identifier of the account that holds the address.
async fn signs_up(it: &Identity, form: &Value) -> Uuid {
    assert_eq!(send(it, SIGN_UP, form).await.ok(), json!({ "account-type": "regular" }), "{form}");
    holder(it, form["username"].as_str().unwrap()).await.expect("an account")
}

async fn confirm(it: &Identity, name: &str, code: &str) -> Answer {
    send(it, CONFIRM, &json!({ "username": name, "confirmation-code": code })).await
}

async fn is_wrong(it: &Identity, name: &str, code: &str) {
    refusal(&confirm(it, name, code).await, 400, "code-invalid");
}

/// Confirms with the last code that was sent to an address.
async fn confirms(it: &Identity, name: &str, address: &str) {
    let code = it.inbox_code(address).await;
    assert_eq!(confirm(it, name, &code).await.ok(), json!({ "account-type": "regular" }), "{name}");
}

/// Sends a sign-up that must be refused for these members, and must store nothing; answers the first error.
async fn refused_at(it: &Identity, form: &Value, status: u16, pointers: &[&str]) -> Value {
    let head = it.head().await;
    let answer = send(it, SIGN_UP, form).await;
    let error = refusal(&answer, status, if status == 409 { "conflict" } else { "validation-error" });
    let errors = answer.json();
    let errors = errors["errors"].as_array().unwrap().iter();
    let found: Vec<_> = errors.map(|error| error["source"]["pointer"].as_str().unwrap_or_default()).collect();
    assert_eq!(found, pointers, "{form}: {}", answer.text);
    assert_eq!(it.head().await, head, "something was stored: {form}");
    error
}

/// Sends an address as many messages as it gets in ten minutes.
async fn floods(it: &Identity, address: &str) {
    for _ in 0..3 {
        let to = Contact::Email(EmailAddress::parse(address).unwrap());
        issued(it, it.participant.id, Purpose::Email, to).await;
    }
}

/// The account that holds an address, verified or not.
async fn holder(it: &Identity, address: &str) -> Option<Uuid> {
    it.account(address).await.map(|user| user.profile.id.0)
}

/// The attributes of a user as a caller sees them.
async fn seen(it: &Identity, caller: &Person, user: Uuid) -> Value {
    it.get(caller, &format!("/v1/users/{user}/?with-signups=true&with-roles=true")).await["data"]["attributes"].take()
}

async fn signs_in(it: &Identity, name: &str) -> bool {
    attempt(it, &json!({ "username": name, "password": NEW })).await.status == 201
}

/// An onboarding request for Ada, whom the organization invites by e-mail.
struct Invited {
    request: String,
    individual: Uuid,
    code: String,
}

/// Onboards Ada with an organization, by its admin, with further attributes.
async fn invite(it: &Identity, admin: &Person, organization: Uuid, more: Value) -> Invited {
    let individual = it.individual(organization).await;
    let request =
        json!({ "organization": organization, "patient": individual, "patient-email": ADA, "email-user-now": true });
    let mut attributes = with(request, more);
    attributes.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let created = it.post(admin, REQUESTS, &document("onboarding-requests", attributes.clone())).await;
    let address = attributes["patient-email"].as_str().unwrap_or(PHONE);
    let request = created["data"]["id"].as_str().unwrap().to_owned();
    Invited { request, individual, code: it.referral_code(address).await }
}

/// Status of an onboarding request.
async fn status(it: &Identity, admin: &Person, request: &str) -> Value {
    it.get(admin, &format!("{REQUESTS}{request}/")).await["data"]["attributes"]["status"].take()
}
