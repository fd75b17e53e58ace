//! Confirming a sign-up.

use super::*;
use crate::forgot_password::{Seen, visible};
use crate::on_both_stores;
use crate::service_documents::{publish, version, within};
use chrono::Utc;
use futures::future::join_all;
use registrar::executor::RequestContext;
use registrar::processes::codes::code_digest;
use registrar::processes::{membership, organizations};
use registrar_aggregates::one_time_code::{OneTimeCode, OneTimeCodeCommand, VALIDITY, stream};
use registrar_aggregates::organization::TenancyAmendment;
use registrar_aggregates::user::{Role, UserState};
use registrar_aggregates::values::{OrganizationId, UserId};
use std::time::{Duration, Instant};

/// Tries a wrong code; answers the status.
async fn guess(it: &Identity, name: &str) -> u16 {
    confirm(it, name, WRONG).await.status.as_u16()
}

/// Confirms with the last code to Ada, and asks for a session.
async fn enter(it: &Identity) -> Value {
    let code = it.inbox_code(ADA).await;
    send(it, CONFIRM, &json!({ "username": ADA, "confirmation-code": code, "login": true })).await.ok()
}

/// Everything that a stranger sees of a series of requests about one name, from a network of its own. Of the answer to a
/// request for another message only the form is compared: the kind and the identifier of a sign-up differ by name.
async fn series(it: &Identity, network: usize, name: &str) -> Vec<Seen> {
    let guess = json!({ "username": name, "confirmation-code": WRONG });
    let again = json!({ "username": name });
    let mut requests = vec![(RESEND, &again)];
    requests.extend([(CONFIRM, &guess); 6]);
    requests.extend([(RESEND, &again), (CONFIRM, &guess), (RESEND, &again)]);
    let mut seen = Vec::new();
    for (path, sent) in requests {
        let begun = Instant::now();
        let mut answer = from(it, network, path, sent).await;
        assert!(begun.elapsed() >= Duration::from_millis(250), "{path} for {name} comes too early");
        if path == RESEND && answer.status == 201 {
            answer.text = masked(&answer);
            answer.headers.remove("content-length");
        }
        seen.push(visible(&answer));
    }
    seen
}

fn masked(answer: &Answer) -> String {
    let mut body = answer.json();
    let kind = body["signup-request-type"].take();
    assert!(["onboard", "org-code"].contains(&kind.as_str().unwrap()), "{kind}");
    let id: Uuid = body["signup-request-id"].take().as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7, "{id}");
    body.to_string()
}

on_both_stores! {
    async fn a_code_confirms_an_account_once(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({ "tz": "Europe/London" }))).await;
        let code = it.inbox_code(ADA).await;
        is_wrong(&it, ADA, WRONG).await;
        // Spaces of a code that was copied do not matter.
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        let sent = json!({ "username": " ADA@example.com ", "confirmation-code": spaced, "tz": "Europe/Paris" });
        let head = it.head().await;
        assert_eq!(send(&it, CONFIRM, &sent).await.ok(), json!({ "account-type": "regular" }));
        let events = it.events_since(head).await;
        assert!(events.contains(&"user.sign-up-confirmed".to_owned()) && events.contains(&"one-time-code.used".to_owned()), "{events:?}");
        let user = seen(&it, &it.admin, ada).await;
        let expected = json!({
            "state": "confirmed", "registered": true, "email-verified": true, "tz": "Europe/Paris", "tz-explicit": true,
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&user[name], value, "{name}");
        }
        assert!(user["registration-completed-time"].is_string(), "{user}");
        assert!(signs_in(&it, ADA).await);
        for code in [code.as_str(), WRONG, ""] {
            is_wrong(&it, ADA, code).await;
        }
        assert!(signs_in(&it, ADA).await);
    }

    async fn a_person_is_signed_in_with_the_confirmation(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({}))).await;
        let info = enter(&it).await;
        assert_eq!((&info["user-id"], &info["account-type"]), (&json!(ada), &json!("regular")));
        let token = info["access-token"].as_str().unwrap().to_owned();
        let person = Person { id: ada, email: ADA.into(), individual: None, token };
        let who = it.post(&person, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["organization-id"], json!(it.acme));
        assert_eq!(who["data"]["roles"], json!(["org.member"]));
        assert!(seen(&it, &it.admin, ada).await["last-login-time"].is_string());
    }

    async fn a_refused_sign_in_is_told_beside_the_confirmation(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({}))).await;
        let [terms] = publish(it.node(), [within(it.acme, version("terms", 1))]).await;
        let told = enter(&it).await;
        assert_eq!((&told["account-type"], &told["login-error"]["code"]), (&json!("regular"), &json!("agreements-required")));
        assert_eq!(told["login-error"]["meta"]["service-document-ids"], json!([terms]));
        assert!(told.get("access-token").is_none(), "{told}");
        assert_eq!(seen(&it, &it.admin, ada).await["state"], "confirmed");

        // Staff of an organization with a sign-in of its own enter there.
        let invited = invite(&it, &it.other_admin, it.other, json!({
            "patient": null, "patient-email": "grace@example.com", "onboard-type": "provider",
        })).await;
        let url = TenancyAmendment { sign_in_url: Some(Some("https://idp.example.org".into())), ..TenancyAmendment::default() };
        organizations::amend(it.node(), &RequestContext::system(), OrganizationId(it.other), url, None).await.unwrap();
        let form = referral(&invited.code, "grace@example.com", json!({ "service-document-agreements": [] }));
        assert_eq!(send(&it, SIGN_UP, &form).await.ok(), json!({ "account-type": "provider" }));
        let code = it.inbox_code("grace@example.com").await;
        let sent = json!({ "username": "grace@example.com", "confirmation-code": code, "login": true });
        let told = send(&it, CONFIRM, &sent).await.ok();
        assert_eq!((&told["account-type"], &told["login-error"]["code"]), (&json!("provider"), &json!("sso-required")));
    }

    async fn no_answer_tells_whether_a_name_has_an_account(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({ "contact-phone-mobile": PHONE }))).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "patient-email": "invited@example.com" })).await;
        let referred = invite(&it, &it.admin, it.acme, json!({ "patient-email": "referred@example.com" })).await;
        send(&it, SIGN_UP, &referral(&referred.code, "referred@example.com", json!({}))).await.ok();
        signs_up(&it, &form("finished@example.com", json!({}))).await;
        confirms(&it, "finished@example.com", "finished@example.com").await;
        for name in ["disabled@example.com", "archived@example.com"] {
            signs_up(&it, &form(name, json!({}))).await;
        }
        let disabled = holder(&it, "disabled@example.com").await.unwrap();
        it.post(&it.admin, &format!("/v1/users/{disabled}/disable/"), &json!({})).await;
        let archived = holder(&it, "archived@example.com").await.unwrap();
        membership::archive(it.node(), &RequestContext::system(), UserId(archived)).await.unwrap();
        let hash = it.app.state.passwords.hash(zeroize::Zeroizing::new(NEW.to_owned())).await.unwrap();
        crate::app::register_admin(it.node(), "root@example.com", &hash).await;

        let head = it.head().await;
        let nobody = series(&it, 1, "nobody@example.com").await;
        assert_eq!(it.head().await, head, "an unknown name leaves events");
        let statuses: Vec<_> = nobody.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, [201, 400, 400, 400, 400, 400, 429, 201, 400, 429]);
        let names = [
            ADA, "invited@example.com", "referred@example.com", "finished@example.com", "disabled@example.com",
            "archived@example.com", "root@example.com", "provider@example.com", "+12025550199",
        ];
        let all = join_all(names.iter().enumerate().map(|(place, name)| series(&it, 2 + place, name))).await;
        for (name, seen) in names.iter().zip(all) {
            assert_eq!(seen, nobody, "{name}");
        }
        assert_eq!(it.kinds_to(ADA).await, ["verify-email"; 3]);
        assert_eq!(it.kinds_to("invited@example.com").await, ["onboarding"; 3]);
        assert_eq!(it.referral_code("invited@example.com").await.len(), invited.code.len());
        assert_eq!(it.kinds_to("finished@example.com").await, ["verify-email"]);
        assert_eq!(it.kinds_to("disabled@example.com").await, ["verify-email"]);
        assert!(it.kinds_to("provider@example.com").await.is_empty());
        // Names that are none are refused by their form alone.
        for name in ["", "ada", "+1", &"x".repeat(255)] {
            refusal(&confirm(&it, name, WRONG).await, 400, "code-invalid");
        }
    }

    async fn a_code_is_good_for_ten_minutes(database) {
        let it = open(&database).await;
        let ada = UserId(signs_up(&it, &form(ADA, json!({}))).await);
        let (purpose, code) = (Purpose::SignUp, "135790");
        for (issued, status) in [(Utc::now() - VALIDITY, 400), (Utc::now(), 201)] {
            let to = Contact::Email(EmailAddress::parse(ADA).unwrap());
            let digest = code_digest(it.node(), ada, purpose, code);
            let command = OneTimeCodeCommand::Issue { user: ada, purpose, to, digest, now: issued };
            let (context, executor) = (RequestContext::system(), &it.node().executor);
            executor.execute::<OneTimeCode>(&context, &stream(ada, purpose), command, None).await.unwrap();
            assert_eq!(confirm(&it, ADA, code).await.status, status);
        }
    }

    async fn many_guesses_at_once_are_five_at_most(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        let code = it.inbox_code(ADA).await;
        for name in [ADA, "nobody@example.com"] {
            let guesses = join_all((0..24).map(|_| guess(&it, name))).await;
            let mut wrong = guesses.iter().filter(|status| **status == 400).count();
            assert!(guesses.iter().all(|status| [400, 429, 503].contains(status)), "{guesses:?}");
            while guess(&it, name).await == 400 {
                wrong += 1;
            }
            assert_eq!(wrong, 5, "{name}: {guesses:?}");
        }
        let locked = confirm(&it, ADA, &code).await;
        refusal(&locked, 429, "rate-limited");
        let seconds: u64 = locked.header("retry-after").parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
        // Another code begins with five tries.
        send(&it, RESEND, &json!({ "username": ADA })).await.ok();
        confirms(&it, ADA, ADA).await;
    }

    async fn wrong_codes_of_any_names_lock_their_network(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        let sent = json!({ "username": ADA, "confirmation-code": it.inbox_code(ADA).await });
        let names: Vec<String> = (0..60).map(|number| format!("{number}@example.com")).collect();
        for few in names.chunks(12) {
            let guesses = few.iter().map(|name| json!({ "username": name, "confirmation-code": WRONG }));
            let guesses: Vec<_> = guesses.collect();
            for answer in join_all(guesses.iter().map(|guess| from(&it, 1, CONFIRM, guess))).await {
                refusal(&answer, 400, "code-invalid");
            }
        }
        refusal(&from(&it, 1, CONFIRM, &sent).await, 429, "rate-limited");
        // Codes of invitations are counted with them.
        refusal(&from(&it, 1, SIGN_UP, &referral("unknown", ADA, json!({}))).await, 429, "rate-limited");
        assert_eq!(from(&it, 2, CONFIRM, &sent).await.status, 201);
    }

    async fn a_confirmation_is_of_no_use_to_an_account_that_ended(database) {
        let it = open(&database).await;
        let mut codes = Vec::new();
        for name in ["disabled@example.com", "archived@example.com"] {
            let id = signs_up(&it, &form(name, json!({}))).await;
            codes.push((name, id, it.inbox_code(name).await));
        }
        it.post(&it.admin, &format!("/v1/users/{}/disable/", codes[0].1), &json!({})).await;
        membership::archive(it.node(), &RequestContext::system(), UserId(codes[1].1)).await.unwrap();
        for (name, _, code) in &codes {
            is_wrong(&it, name, code).await;
        }
        assert_eq!(seen(&it, &it.admin, codes[0].1).await["email-verified"], false);
        // Enabled again, it waits for the code as before.
        it.post(&it.admin, &format!("/v1/users/{}/enable/", codes[0].1), &json!({})).await;
        assert_eq!(confirm(&it, codes[0].0, &codes[0].2).await.status, 201);

        signs_up(&it, &form(ADA, json!({}))).await;
        let code = it.inbox_code(ADA).await;
        it.retire(OrganizationId(it.acme)).await;
        is_wrong(&it, ADA, &code).await;
        send(&it, RESEND, &json!({ "username": ADA })).await.ok();
        assert_eq!(it.messages_to(ADA).await.len(), 1);
        assert!(!signs_in(&it, ADA).await);
    }

    async fn the_sender_of_an_invitation_sees_that_a_friend_has_signed_up(database) {
        let it = open(&database).await;
        let invitation = json!({ "invited-email": ADA });
        let made = it.post(&it.participant, "/v1/registration-invitations/", &document("registration-invitations", invitation)).await;
        let path = format!("/v1/registration-invitations/{}/", made["data"]["id"].as_str().unwrap());
        let claimed = async || it.get(&it.participant, &path).await["data"]["attributes"]["claimed-time"].take();
        // A stranger who types the address beside a number, and confirms the number, does not claim it.
        signs_up(&it, &form(PHONE, json!({ "email": ADA }))).await;
        confirms(&it, PHONE, PHONE).await;
        assert!(claimed().await.is_null());
        let id = holder(&it, PHONE).await.unwrap();
        membership::archive(it.node(), &RequestContext::system(), UserId(id)).await.unwrap();
        signs_up(&it, &form(ADA, json!({}))).await;
        assert!(claimed().await.is_null());
        confirms(&it, ADA, ADA).await;
        assert!(claimed().await.is_string());
    }

    async fn a_wrong_code_is_never_remembered_as_a_success(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        let sent = async |code: &str, login: bool| {
            let call = it.app.call("POST", CONFIRM).token(None).header("idempotency-key", "one");
            call.json(&json!({ "username": ADA, "confirmation-code": code, "login": login })).send().await
        };
        for _ in 0..2 {
            let answer = sent(WRONG, false).await;
            refusal(&answer, 400, "code-invalid");
            assert!(answer.headers.get("idempotency-replayed").is_none());
        }
        let code = it.inbox_code(ADA).await;
        let first = sent(&code, true).await;
        assert!(first.status == 201 && first.json()["access-token"].is_string(), "{first:?}");
        let head = it.head().await;
        let again = sent(&code, true).await;
        assert_eq!((again.header("idempotency-replayed"), again.text.as_str()), ("true", first.text.as_str()));
        assert_eq!(it.head().await, head);
    }

    async fn an_account_that_never_signed_up_has_nothing_to_confirm(database) {
        let it = open(&database).await;
        crate::sign_in::with_password(&it, ADA, Role::Provider, |creation| {
            (creation.state, creation.contacts.email_verified) = (UserState::Registered, false);
        }).await;
        // It was registered past the API, without a code or an invitation.
        send(&it, RESEND, &json!({ "username": ADA })).await.ok();
        assert!(it.messages_to(ADA).await.is_empty());
        is_wrong(&it, ADA, WRONG).await;
    }
}
