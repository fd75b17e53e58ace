//! Changed contacts: the new one gets a code, which the person confirms in a session, and the one before gets a notice.

use crate::app::{Identity, PASSWORD, Person, refusal, token};
use crate::ecg_app::Answer;
use crate::matrix::world::{Caller, Request, World};
use crate::sign_in::{attempt, sign_in, with_password};
use crate::suite::Suite;
use crate::{on_both_stores, shapes};
use registrar::executor::RequestContext;
use registrar::processes::accounts;
use registrar_aggregates::user::{Amendment, Phone, Role, UserState};
use registrar_aggregates::values::{EmailAddress, UserId};
use registrar_projections::UserDocument;
use serde_json::{Value, json};
use uuid::Uuid;

const ADA: &str = "ada@example.com";
const KING: &str = "king@example.com";
const ONE: &str = "+12025550123";
const OTHER: &str = "+12025550124";
/// No code: codes have digits alone.
const WRONG: &str = "wrong";

pub const SUITE: Suite = Suite {
    tests: &[("confirm-contact", a_new_address_is_confirmed_by_the_code_that_was_sent_to_it::TEST)],
    table: "
        confirm-contact          404 ecg-admins, 201 others
        confirm-contact:another  404 stranger operator auditor, 403 others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[],
};

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    match operation {
        "confirm-contact" => {
            // Sessions end with a confirmation, so each caller is another person of the same kind.
            let another = world.another(caller).await;
            let id = match &another {
                Some(authorization) => subject(authorization),
                None => caller.id,
            };
            let code = waiting_code(world, id).await.unwrap_or_default();
            Some(request_of(id, &code).sent_with(another))
        }
        "confirm-contact:another" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let code = waiting_code(world, person.id).await.unwrap();
            Some(request_of(person.id, &code))
        }
        _ => None,
    }
}

fn request_of(id: Uuid, code: &str) -> Request {
    Request::to(path(id, "confirm-contact/")).json(json!({ "confirmation-code": code }))
}

/// Gives a user a number that waits for its confirmation; answers the code. `None` for callers who are no users.
async fn waiting_code(world: &World, id: Uuid) -> Option<String> {
    let found = world.identity.node().documents.find::<UserDocument>(&id.to_string()).await.unwrap();
    found.value?;
    let number = format!("+1303{:07}", 5_550_000 + world.next());
    let body = change(id, &json!({ "phone": number }));
    world.made("PATCH", &path(id, ""), body).await;
    Some(world.identity.inbox_code(&number).await)
}

/// The user or admin of a token.
fn subject(authorization: &str) -> Uuid {
    use base64::Engine;
    let payload = authorization.split('.').nth(1).unwrap();
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sub"].as_str().unwrap().parse().unwrap()
}

fn path(id: Uuid, rest: &str) -> String {
    format!("/v1/users/{id}/{rest}")
}

fn change(id: Uuid, attributes: &Value) -> Value {
    json!({ "data": { "type": "users", "id": id, "attributes": attributes } })
}

fn entered(code: &str) -> Value {
    json!({ "confirmation-code": code })
}

/// Ada with a session.
async fn ada(identity: &Identity) -> Person {
    let id = with_password(identity, ADA, Role::Provider, |_| {}).await;
    signed_in(identity, id).await
}

async fn signed_in(identity: &Identity, id: Uuid) -> Person {
    Person { id, email: ADA.into(), individual: None, token: token(&identity.app, id).await }
}

async fn confirm(identity: &Identity, person: &Person, code: &str) -> Answer {
    let path = path(person.id, "confirm-contact/");
    let answer = identity.call(person, "POST", &path).json(&entered(code)).send().await;
    shapes::check("POST", &path, &answer);
    answer
}

async fn is_wrong(identity: &Identity, person: &Person, code: &str) {
    refusal(&confirm(identity, person, code).await, 400, "code-invalid");
}

/// Changes contacts as the person; answers the shown user.
async fn amend(identity: &Identity, person: &Person, attributes: Value) -> Value {
    identity.patch(person, &path(person.id, ""), &change(person.id, &attributes)).await["data"]["attributes"].take()
}

async fn shown(identity: &Identity, person: &Person) -> Value {
    identity.get(&identity.system, &path(person.id, "")).await["data"]["attributes"].take()
}

on_both_stores! {
    async fn a_new_address_is_confirmed_by_the_code_that_was_sent_to_it(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let other = signed_in(&identity, ada.id).await;
        let user = amend(&identity, &ada, json!({ "email": KING })).await;
        assert_eq!((&user["email"], &user["email-verified"]), (&json!(KING), &json!(false)));
        assert_eq!((identity.kinds_to(KING).await, identity.kinds_to(ADA).await), (vec!["reverify-email".to_owned()], vec!["address-changed".to_owned()]));
        let code = identity.inbox_code(KING).await;
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
        let notice = identity.messages_to(ADA).await.pop().unwrap();
        assert!(notice["code"].is_null() && !notice.to_string().contains(KING), "{notice}");
        assert_eq!(confirm(&identity, &ada, &code).await.ok(), json!(null));
        let user = shown(&identity, &ada).await;
        assert_eq!((&user["email-verified"], &user["username"]), (&json!(true), &json!(KING)));
        // The calling session goes on, the others end.
        identity.get(&ada, "/v1/organizations/").await;
        identity.get_refused(&other, "/v1/organizations/", 401, "unauthenticated").await;
        sign_in(&identity, KING).await;
        refusal(&attempt(&identity, &json!({ "username": ADA, "password": PASSWORD })).await, 401, "bad-credentials");
        // A code is used once, and there is nothing left to confirm.
        is_wrong(&identity, &ada, &code).await;
    }

    async fn a_number_is_confirmed_by_a_text_message(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        // A first number has no predecessor that gets a notice.
        amend(&identity, &ada, json!({ "phone": ONE })).await;
        let message = identity.messages_to(ONE).await.pop().unwrap();
        assert_eq!((&message["kind"], &message["channel"]), (&json!("verify"), &json!("sms")));
        assert!(identity.messages_to(ADA).await.is_empty());
        let code = identity.inbox_code(ONE).await;
        assert_eq!(confirm(&identity, &ada, &code).await.ok(), json!(null));
        assert_eq!(shown(&identity, &ada).await["phone-verified"], true);
        amend(&identity, &ada, json!({ "phone": OTHER })).await;
        assert_eq!((identity.kinds_to(OTHER).await, identity.kinds_to(ONE).await), (vec!["verify".to_owned()], vec!["verify".to_owned(), "address-changed".to_owned()]));
        let code = identity.inbox_code(OTHER).await;
        assert_eq!(confirm(&identity, &ada, &code).await.ok(), json!(null));
        assert_eq!(shown(&identity, &ada).await["phone"], OTHER);
    }

    async fn both_contacts_are_confirmed_each_by_its_own_code(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        amend(&identity, &ada, json!({ "email": KING, "phone": ONE })).await;
        let (by_email, by_phone) = (identity.inbox_code(KING).await, identity.inbox_code(ONE).await);
        assert_eq!(confirm(&identity, &ada, &by_phone).await.ok(), json!(null));
        let user = shown(&identity, &ada).await;
        // By chance one code is both, once in a million times.
        if by_email != by_phone {
            assert_eq!((&user["email-verified"], &user["phone-verified"]), (&json!(false), &json!(true)));
            assert_eq!(confirm(&identity, &ada, &by_email).await.ok(), json!(null));
            assert_eq!(shown(&identity, &ada).await["email-verified"], true);
        }
    }

    async fn codes_are_guessed_five_times_however_many_at_once(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        amend(&identity, &ada, json!({ "email": KING, "phone": ONE })).await;
        let codes = [identity.inbox_code(KING).await, identity.inbox_code(ONE).await];
        let guesses = futures::future::join_all((0..24).map(|_| confirm(&identity, &ada, WRONG))).await;
        let statuses: Vec<_> = guesses.iter().map(|answer| answer.status.as_u16()).collect();
        assert!(statuses.iter().all(|status| [400, 409, 429].contains(status)), "{statuses:?}");
        let mut wrong = statuses.iter().filter(|status| **status == 400).count();
        while confirm(&identity, &ada, WRONG).await.status == 400 {
            wrong += 1;
        }
        // Each of them counts for both contacts.
        assert_eq!(wrong, 5, "{statuses:?}");
        for code in &codes {
            let locked = confirm(&identity, &ada, code).await;
            refusal(&locked, 429, "rate-limited");
            let seconds: u64 = locked.header("retry-after").parse().unwrap();
            assert!((1..=600).contains(&seconds), "{seconds}");
        }
        assert_eq!(shown(&identity, &ada).await["email-verified"], false);
        // Another address has a code with tries of its own.
        amend(&identity, &ada, json!({ "email": "countess@example.com" })).await;
        let code = identity.inbox_code("countess@example.com").await;
        assert_eq!(confirm(&identity, &ada, &code).await.ok(), json!(null));
    }

    async fn only_the_person_confirms_a_contact(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        amend(&identity, &ada, json!({ "email": KING })).await;
        let (own, body) = (path(ada.id, "confirm-contact/"), entered(&identity.inbox_code(KING).await));
        for caller in [&identity.admin, &identity.system, &identity.service] {
            identity.post_refused(caller, &own, &body, 403, "forbidden").await;
        }
        identity.post_refused(&identity.other_admin, &own, &body, 404, "not-found").await;
        identity.refused(identity.app.call("POST", &own).token(None).json(&body), 401, "unauthenticated").await;
        // A program that acts for the person changes no address.
        let made = identity.post(&identity.service, "/v1/synthetic-user-tokens/", &json!({ "data": { "user-id": ada.id } })).await;
        let acting = Person { token: made["data"]["access-token"].as_str().unwrap().to_owned(), ..ada.clone() };
        identity.post_refused(&acting, &own, &body, 403, "forbidden").await;
        for unfit in [json!({}), json!({ "confirmation-code": 123_456 }), entered(&"1".repeat(21))] {
            identity.post_refused(&ada, &own, &unfit, 400, "validation-error").await;
        }
        // Without a contact that waits no code is right, and nothing is counted.
        let idle = path(identity.provider.id, "confirm-contact/");
        identity.post_refused(&identity.provider, &idle, &body, 400, "code-invalid").await;
        assert_eq!(identity.call(&ada, "POST", &own).json(&body).send().await.status, 201);
    }

    async fn a_code_is_void_once_the_contact_is_another_one(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        amend(&identity, &ada, json!({ "email": KING })).await;
        let first = identity.inbox_code(KING).await;
        identity.post(&identity.admin, &path(ada.id, "change-email/"), &json!({ "email": "countess@example.com" })).await;
        let second = identity.inbox_code("countess@example.com").await;
        if first != second {
            is_wrong(&identity, &ada, &first).await;
        }
        // Back at the verified address, which needs no code, that of the other one confirms nothing.
        amend(&identity, &ada, json!({ "email": ADA })).await;
        is_wrong(&identity, &ada, &second).await;
        assert_eq!(shown(&identity, &ada).await["email"], ADA);
        // Each change told the verified address, the way back did not.
        assert_eq!(identity.kinds_to(ADA).await, ["address-changed", "address-changed"]);
        identity.get(&ada, "/v1/organizations/").await;
    }

    async fn the_same_contact_again_sends_nothing(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        amend(&identity, &ada, json!({ "email": KING, "phone": ONE })).await;
        let head = identity.head().await;
        amend(&identity, &ada, json!({ "email": "KING@example.com", "phone": ONE })).await;
        identity.post(&ada, &path(ada.id, "change-email/"), &json!({ "email": KING })).await;
        assert_eq!(identity.head().await, head);
        assert_eq!((identity.kinds_to(KING).await.len(), identity.kinds_to(ONE).await.len()), (1, 1));
        // Other changes of the account send nothing either.
        amend(&identity, &ada, json!({ "last-name": "King" })).await;
        assert_eq!(identity.head().await, head + 1);
    }

    async fn a_contact_that_got_three_codes_is_not_changed_to(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let to = async |email: &str| amend(&identity, &ada, json!({ "email": email })).await;
        for _ in 0..3 {
            to(KING).await;
            to(ADA).await;
        }
        // In any spelling, over either operation, and for everybody: the address is the one that is spared.
        let (own, king) = (path(ada.id, ""), "King@example.com");
        let error = identity.patch_refused(&ada, &own, &change(ada.id, &json!({ "email": king, "last-name": "King" })), 429, "rate-limited").await;
        assert_eq!(error["status"], 429);
        identity.post_refused(&ada, &path(ada.id, "change-email/"), &json!({ "email": KING }), 429, "rate-limited").await;
        let theirs = path(identity.provider.id, "change-email/");
        identity.post_refused(&identity.provider, &theirs, &json!({ "email": KING }), 429, "rate-limited").await;
        let user = shown(&identity, &ada).await;
        assert_eq!((&user["email"], &user["last-name"]), (&json!(ADA), &json!("Example")));
        assert_eq!(identity.kinds_to(KING).await, ["reverify-email"; 3]);
        to("countess@example.com").await;
    }

    async fn accounts_that_do_not_sign_in_get_no_code(database) {
        let identity = Identity::open(&database).await;
        for (name, state) in [("init", UserState::Init), ("registered", UserState::Registered), ("disabled", UserState::Disabled)] {
            let email = format!("{name}@example.com");
            let id = with_password(&identity, &email, Role::Provider, |creation| creation.state = state).await;
            let to = format!("{name}@other.example.com");
            identity.post(&identity.admin, &path(id, "change-email/"), &json!({ "email": to })).await;
            assert!(identity.messages_to(&to).await.is_empty(), "{name}");
            assert_eq!(identity.kinds_to(&email).await, ["address-changed"], "{name}");
        }
    }

    async fn acts_of_the_command_line_send_nothing(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let amendment = Amendment {
            email: EmailAddress::parse(KING).ok(),
            phone: Phone::parse(ONE).ok(),
            ..Amendment::default()
        };
        let (node, system) = (identity.node(), RequestContext::system());
        accounts::amend(node, &system, UserId(ada.id), amendment, None).await.unwrap();
        for address in [KING, ONE, ADA] {
            assert!(identity.messages_to(address).await.is_empty(), "{address}");
        }
    }

    async fn a_change_is_made_once_however_many_at_once(database) {
        let identity = Identity::open(&database).await;
        let ada = ada(&identity).await;
        let body = change(ada.id, &json!({ "email": KING }));
        let own = path(ada.id, "");
        let changes = (0..8).map(|_| identity.call(&ada, "PATCH", &own).json(&body).send());
        let answers = futures::future::join_all(changes).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        assert_eq!((identity.kinds_to(KING).await.len(), identity.kinds_to(ADA).await.len()), (1, 1));
        // A precondition holds for the messages as well.
        let stale = json!({ "email": "countess@example.com" });
        let call = identity.call(&ada, "PATCH", &own).header("if-match", "\"1-0\"").json(&change(ada.id, &stale));
        identity.refused(call, 412, "precondition-failed").await;
        assert!(identity.messages_to("countess@example.com").await.is_empty());
    }
}
