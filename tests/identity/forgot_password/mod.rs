//! Forgotten passwords: a code goes to accounts that can use it, guesses are bounded, and no answer tells which names
//! there are.

mod guesses;

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::ecg_app::Answer;
use crate::matrix::world::{Request, World};
use crate::sign_in::{attempt, sign_in, with_password};
use crate::suite::Suite;
use crate::support::Database;
use crate::totp::{code, device};
use crate::{on_both_stores, shapes};
use registrar::executor::{ExecuteError, RequestContext};
use registrar::messages::Composer;
use registrar::processes::Refusal;
use registrar::processes::accounts::{self, Contact};
use registrar::processes::codes::{self, CodeOrder};
use registrar::processes::notices::about;
use registrar_aggregates::message::Kind;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::user::{Locale, Names, Phone, Role, UserState};
use registrar_aggregates::values::{EmailAddress, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

const FORGOT: &str = "/v1/forgot-password/";
const CONFIRM: &str = "/v1/confirm-forgot-password/";
const ADA: &str = "ada@example.com";
const PHONE: &str = "+12025550123";
const NEW: &str = "another horse entirely, quite blue";
/// No code: codes have digits alone.
const WRONG: &str = "wrong";

pub const SUITE: Suite = Suite {
    tests: &[
        ("forgot-password", a_code_sets_a_password_and_ends_every_session::TEST),
        ("confirm-forgot-password", a_code_sets_a_password_and_ends_every_session::TEST),
    ],
    table: "
        forgot-password          201 anonymous keys others
        confirm-forgot-password  201 anonymous keys others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[],
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    match operation {
        "forgot-password" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Some(Request::to(FORGOT).json(json!({ "username": person.email })))
        }
        "confirm-forgot-password" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let to = Contact::Email(EmailAddress::parse(&person.email).unwrap());
            let code = issued(&world.identity, person.id, Purpose::Password, to).await;
            let body = json!({ "username": person.email, "confirmation-code": code, "password": NEW });
            Some(Request::to(CONFIRM).json(body))
        }
        _ => None,
    }
}

/// Issues a code past the API; answers it.
pub async fn issued(identity: &Identity, user: Uuid, purpose: Purpose, to: Contact) -> String {
    let order = CodeOrder {
        user: UserId(user),
        purpose,
        to: to.clone(),
        kind: Kind::ForgotPassword,
        locale: Locale::EnUs,
        organization: None,
        names: Names { first_name: String::new(), last_name: String::new() },
        about: about(UserId(user)),
    };
    let node = identity.node();
    let prepared = codes::prepare(node, &Composer::default(), order).await.unwrap();
    let issue = |streams: &mut Streams| -> Step<()> { prepared.add_to(streams) };
    let done = node.executor.execute_process(&RequestContext::system(), issue).await;
    done.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
    identity.inbox_code(to.as_str()).await
}

async fn forget(identity: &Identity, sent: &Value) -> Answer {
    let answer = identity.app.call("POST", FORGOT).token(None).json(sent).send().await;
    shapes::check("POST", FORGOT, &answer);
    answer
}

/// Asks for a code and answers it.
async fn code_for(identity: &Identity, name: &str) -> String {
    assert_eq!(forget(identity, &json!({ "username": name })).await.ok(), json!(null));
    identity.inbox_code(name.trim()).await
}

fn entered(name: &str, code: &str, password: &str) -> Value {
    json!({ "username": name, "confirmation-code": code, "password": password })
}

async fn confirm(identity: &Identity, sent: &Value) -> Answer {
    let answer = identity.app.call("POST", CONFIRM).token(None).json(sent).send().await;
    shapes::check("POST", CONFIRM, &answer);
    answer
}

async fn is_wrong(identity: &Identity, name: &str, code: &str) {
    refusal(&confirm(identity, &entered(name, code, NEW)).await, 400, "code-invalid");
}

async fn signs_in(identity: &Identity, name: &str, password: &str) -> bool {
    attempt(identity, &json!({ "username": name, "password": password })).await.status == 201
}

async fn ada(identity: &Identity) -> Uuid {
    with_password(identity, ADA, Role::Provider, |_| {}).await
}

/// Ada with a verified telephone number.
async fn reachable(identity: &Identity) -> Uuid {
    with_password(identity, ADA, Role::Provider, |creation| {
        creation.contacts.phone = Phone::parse(PHONE).ok();
        creation.contacts.phone_verified = true;
    })
    .await
}

/// Status, text and headers of an answer.
pub type Seen = (u16, String, Vec<(String, String)>);

/// Everything of an answer that a stranger sees, but for its own identifier and the seconds that pass.
pub fn visible(answer: &Answer) -> Seen {
    let own = ["x-request-id", "retry-after", "x-ratelimit-reset"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status.as_u16(), answer.text.clone(), headers)
}

on_both_stores! {
    async fn a_code_sets_a_password_and_ends_every_session(database) {
        let identity = Identity::open(&database).await;
        let id = ada(&identity).await;
        let token = sign_in(&identity, ADA).await["access-token"].as_str().unwrap().to_owned();
        let code = code_for(&identity, " ADA@example.com ").await;
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
        let message = identity.messages_to(ADA).await.pop().unwrap();
        assert_eq!((&message["kind"], &message["channel"]), (&json!("forgot-password"), &json!("email")));
        assert!(message["text"].as_str().unwrap().contains(&code), "{message}");
        assert!(signs_in(&identity, ADA, PASSWORD).await, "until then the password stays");
        // Spaces of a code that was copied do not matter.
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        assert_eq!(confirm(&identity, &entered(ADA, &spaced, NEW)).await.ok(), json!({}));
        assert_eq!(identity.kinds_to(ADA).await, ["forgot-password", "password-changed"]);
        assert!(identity.messages_to(ADA).await.iter().all(|message| message["to"] == ADA));
        let read = identity.app.call("GET", "/v1/organizations/").token(Some(&token)).send().await;
        refusal(&read, 401, "unauthenticated");
        assert!(signs_in(&identity, ADA, NEW).await && !signs_in(&identity, ADA, PASSWORD).await);
        // A code is used once.
        is_wrong(&identity, ADA, &code).await;
        // Events of the account belong to its home, and the system is the actor: the person was not signed in.
        let events = identity.app.get("/audit/events?eventType=user.password-changed").await.ok();
        let event = events["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(event["aggregateId"], json!(id));
        assert_eq!(event["metadata"]["actor"]["type"], "system");
        assert_eq!(event["metadata"]["organizationId"], json!(identity.acme));
    }

    async fn a_person_signs_in_with_the_new_password_and_a_refusal_is_told_beside(database) {
        let identity = Identity::open(&database).await;
        let id = ada(&identity).await;
        let login = |code: &str, password: &str| {
            let mut sent = entered(ADA, code, password);
            sent["login"] = json!(true);
            sent
        };
        let reset = code_for(&identity, ADA).await;
        let info = confirm(&identity, &login(&reset, NEW)).await.ok();
        assert_eq!(info["user-id"], json!(id));
        let token = info["access-token"].as_str().unwrap().to_owned();
        let person = Person { id, email: ADA.into(), individual: None, token };
        identity.get(&person, "/v1/organizations/").await;

        let device = device(&identity, &person).await;
        let codes = [code(&device.secret, -1), code(&device.secret, 0)];
        identity.post(&person, &format!("{}enable/", device.path), &json!({ "password": NEW, "codes": codes })).await;
        let reset = code_for(&identity, ADA).await;
        let told = confirm(&identity, &login(&reset, PASSWORD)).await.ok();
        let error = &told["login-error"];
        assert_eq!((&error["code"], &error["status"]), (&json!("totp-required"), &json!(401)), "{told}");
        assert!(error["detail"].is_string() && told.get("access-token").is_none(), "{told}");
        // The password is the new one nevertheless.
        let body = json!({ "username": ADA, "password": PASSWORD });
        refusal(&attempt(&identity, &body).await, 401, "totp-required");
    }

    async fn a_code_is_void_after_another_one_and_after_a_change_of_the_address(database) {
        let identity = Identity::open(&database).await;
        let id = ada(&identity).await;
        let first = code_for(&identity, ADA).await;
        let second = code_for(&identity, ADA).await;
        // By chance they are equal once in a million times.
        if first != second {
            is_wrong(&identity, ADA, &first).await;
        }
        let change = format!("/v1/users/{id}/change-email/");
        identity.post(&identity.admin, &change, &json!({ "email": "king@example.com" })).await;
        // While the new address waits, the verified one is good for a reset.
        assert_eq!(identity.kinds_to(ADA).await.last().map(String::as_str), Some("address-changed"));
        let king = Contact::Email(EmailAddress::parse("king@example.com").unwrap());
        let system = RequestContext::system();
        accounts::confirm_contact(identity.node(), &system, UserId(id), None, king).await.unwrap();
        is_wrong(&identity, "king@example.com", &second).await;
        is_wrong(&identity, ADA, &second).await;
        assert!(signs_in(&identity, "king@example.com", PASSWORD).await);
    }

    async fn a_code_comes_over_the_channel_that_is_asked_for(database) {
        let identity = Identity::open(&database).await;
        reachable(&identity).await;
        let by_email = code_for(&identity, ADA).await;
        assert_eq!(forget(&identity, &json!({ "username": ADA, "source": "sms" })).await.ok(), json!(null));
        let message = identity.messages_to(PHONE).await.pop().unwrap();
        assert_eq!((&message["kind"], &message["channel"]), (&json!("reset-password"), &json!("sms")));
        let by_phone = identity.inbox_code(PHONE).await;
        assert!(message["text"].as_str().unwrap().lines().any(|line| line == by_phone), "{message}");
        if by_email != by_phone {
            is_wrong(&identity, ADA, &by_phone).await;
        }
        let mut sent = entered(ADA, &by_phone, NEW);
        sent["source"] = json!("sms");
        assert_eq!(confirm(&identity, &sent).await.ok(), json!({}));
        assert!(signs_in(&identity, ADA, NEW).await);
        // The code of the other channel is void, and the notice goes to the verified address.
        is_wrong(&identity, ADA, &by_email).await;
        assert_eq!(identity.kinds_to(ADA).await, ["forgot-password", "password-changed"]);
        assert_eq!(identity.kinds_to(PHONE).await, ["reset-password"]);
    }

    async fn a_wrong_code_is_never_remembered_as_a_success(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        code_for(&identity, ADA).await;
        for _ in 0..2 {
            let call = identity.app.call("POST", CONFIRM).token(None).header("idempotency-key", "one");
            let answer = call.json(&entered(ADA, WRONG, NEW)).send().await;
            refusal(&answer, 400, "code-invalid");
            assert!(answer.headers.get("idempotency-replayed").is_none());
        }
        assert!(signs_in(&identity, ADA, PASSWORD).await);
    }

    async fn a_password_of_support_is_replaced_by_a_code_as_well(database) {
        let identity = Identity::open(&database).await;
        let id = ada(&identity).await;
        let support = json!({ "context": "carium-support", "new-password": "a password that support made up" });
        identity.post(&identity.system, &format!("/v1/users/{id}/change-password/"), &support).await;
        let code = code_for(&identity, ADA).await;
        assert_eq!(confirm(&identity, &entered(ADA, &code, NEW)).await.ok(), json!({}));
        assert!(signs_in(&identity, ADA, NEW).await);
    }

    async fn a_reset_completes_a_sign_up_that_was_not_confirmed(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, ADA, Role::Provider, |creation| {
            (creation.state, creation.contacts.email_verified) = (UserState::Registered, false);
        })
        .await;
        let code = code_for(&identity, ADA).await;
        assert_eq!(confirm(&identity, &entered(ADA, &code, NEW)).await.ok(), json!({}));
        let user = identity.get(&identity.admin, &format!("/v1/users/{id}/")).await["data"]["attributes"].take();
        assert_eq!((&user["state"], &user["email-verified"]), (&json!("confirmed"), &json!(true)), "{user}");
        assert!(signs_in(&identity, ADA, NEW).await);
        assert_eq!(identity.kinds_to(ADA).await, ["forgot-password", "password-changed"]);
    }

    async fn no_code_is_stored_in_the_clear(database) {
        let identity = Identity::open(&database).await;
        reachable(&identity).await;
        let used = code_for(&identity, ADA).await;
        forget(&identity, &json!({ "username": ADA, "source": "sms" })).await;
        let out = identity.inbox_code(PHONE).await;
        is_wrong(&identity, ADA, "135790").await;
        assert_eq!(confirm(&identity, &entered(ADA, &used, NEW)).await.status, 201);
        for code in [used.as_str(), &out, "135790"] {
            assert_nowhere(&database, code).await;
        }
        // Nor is the digest of one shown to auditors: six digits are found by trying.
        let events = identity.app.get("/audit/events?eventType=one-time-code.issued").await.ok();
        let items = events["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.iter().all(|item| item["payload"]["digest"] == "***"), "{events}");
        let entries = stored(&database, "audit_entries").await;
        assert!(entries.contains("OneTimeCode"), "{entries}");
    }
}

/// The rows of the tables whose names begin like this.
async fn stored(database: &Database, table: &str) -> String {
    let mut sql = database.sql().await;
    let mut all = String::new();
    for name in sql.tables().await.into_iter().filter(|name| name.starts_with(table)) {
        all.push_str(&sql.rows(&name).await.join("\n"));
    }
    all
}

/// Fails if a code is in any table: six digits on their own. Within digests and times every six digits stand somewhere.
async fn assert_nowhere(database: &Database, code: &str) {
    let rows = stored(database, "").await;
    let within = |neighbour: Option<char>| {
        neighbour.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '.' | '-' | '_'))
    };
    for (at, _) in rows.match_indices(code) {
        let (before, after) = (rows[..at].chars().next_back(), rows[at + code.len()..].chars().next());
        // A line break of a text is written as two characters, the second of them a letter.
        let line = rows[..at].ends_with("\\n") || rows[at + code.len()..].starts_with("\\n");
        let alone = line || !within(before) && !within(after);
        assert!(!alone, "{code} stands in a table: {}", &rows[at.saturating_sub(80)..at]);
    }
}
