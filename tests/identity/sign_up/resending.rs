//! Another message for an open sign-up, and the correction of a mistyped address.

use super::*;
use crate::on_both_stores;

const KING: &str = "king@example.com";

/// Asks for another message; answers kind and identifier.
async fn again(it: &Identity, sent: &Value) -> (String, Uuid) {
    let answer = send(it, RESEND, sent).await.ok();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("signup-request-type"), text("signup-request-id").parse().unwrap())
}

/// Corrects the address of a sign-up.
async fn correct(it: &Identity, from: &str, to: &str) -> (String, Uuid) {
    again(it, &json!({ "username": from, "new-email": to })).await
}

on_both_stores! {
    async fn another_code_is_sent_and_the_former_one_is_void(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({}))).await;
        let first = it.inbox_code(ADA).await;
        let head = it.head().await;
        assert_eq!(again(&it, &json!({ "username": " ADA@example.com " })).await, ("org-code".to_owned(), ada));
        let events = it.events_since(head).await;
        assert!(events.contains(&"one-time-code.issued".to_owned()), "{events:?}");
        let second = it.inbox_code(ADA).await;
        // By chance they are equal once in a million times.
        if first != second {
            is_wrong(&it, ADA, &first).await;
        }
        // The name of the older member.
        assert_eq!(again(&it, &json!({ "email": ADA })).await, ("org-code".to_owned(), ada));
        confirms(&it, ADA, ADA).await;
        assert_eq!(it.kinds_to(ADA).await, ["verify-email"; 3]);
    }

    async fn a_code_goes_by_the_channel_that_is_asked_for(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({ "contact-phone-mobile": PHONE }))).await;
        again(&it, &json!({ "username": ADA, "notifications": ["sms"] })).await;
        assert_eq!((it.kinds_to(ADA).await.len(), it.kinds_to(PHONE).await.len()), (1, 1));
        let message = it.messages_to(PHONE).await.pop().unwrap();
        assert_eq!((&message["kind"], &message["channel"]), (&json!("verify"), &json!("sms")));
        // A name is each contact of the account.
        again(&it, &json!({ "username": PHONE })).await;
        assert_eq!((it.kinds_to(ADA).await.len(), it.kinds_to(PHONE).await.len()), (1, 2));
        confirms(&it, ADA, PHONE).await;
        let user = seen(&it, &it.admin, holder(&it, ADA).await.unwrap()).await;
        assert_eq!((&user["email-verified"], &user["phone-verified"]), (&json!(false), &json!(true)));
    }

    async fn a_name_asks_twice_in_ten_minutes(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        for name in [ADA, "nobody@example.com"] {
            for spelling in [name.to_owned(), name.to_uppercase()] {
                again(&it, &json!({ "username": spelling })).await;
            }
            let head = it.head().await;
            let locked = send(&it, RESEND, &json!({ "email": name })).await;
            refusal(&locked, 429, "rate-limited");
            let seconds: u64 = locked.header("retry-after").parse().unwrap();
            assert!((1..=600).contains(&seconds), "{seconds}");
            assert_eq!(it.head().await, head);
        }
        assert_eq!(it.messages_to(ADA).await.len(), 3);
        confirms(&it, ADA, ADA).await;
    }

    async fn unknown_names_are_answered_alike_each_time(database) {
        let it = open(&database).await;
        let mut kinds = Vec::new();
        for number in 0..24 {
            let sent = json!({ "username": format!("nobody{number}@example.com") });
            let (first, second) = futures::join!(again(&it, &sent), again(&it, &sent));
            assert_eq!(first, second);
            kinds.push(first.0);
        }
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds, ["onboard", "org-code"]);
        for sent in [
            json!({}), json!({ "username": "" }), json!({ "username": "ada" }), json!({ "username": "+1" }),
            json!({ "email": "ada" }), json!({ "username": ADA, "new-email": "king" }), json!({ "username": 1 }),
            json!({ "username": ADA, "notifications": ["pigeon"] }), json!({ "username": ADA, "state": "confirmed" }),
        ] {
            let call = it.app.call("POST", RESEND).token(None).json(&sent);
            it.refused(call, 400, "validation-error").await;
        }
        let call = it.app.call("POST", RESEND).token(None);
        it.refused(call, 400, "validation-error").await;
    }

    async fn a_mistyped_address_is_corrected(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form("adda@example.com", json!({}))).await;
        let former = it.inbox_code("adda@example.com").await;
        assert_eq!(correct(&it, "adda@example.com", ADA).await, ("org-code".to_owned(), ada));
        assert_eq!((holder(&it, "adda@example.com").await, holder(&it, ADA).await), (None, Some(ada)));
        assert_eq!(it.kinds_to("adda@example.com").await, ["verify-email"]);
        is_wrong(&it, "adda@example.com", &former).await;
        let code = it.inbox_code(ADA).await;
        if former != code {
            is_wrong(&it, ADA, &former).await;
        }
        confirms(&it, ADA, ADA).await;
        assert!(signs_in(&it, ADA).await);
        assert_eq!(seen(&it, &it.admin, ada).await["email"], ADA);
        // The former address is free.
        signs_up(&it, &form("adda@example.com", json!({}))).await;
    }

    async fn a_stranger_who_corrects_an_address_takes_over_nothing(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        // A stranger who knows her address has the code sent to one of their own, and confirms that.
        correct(&it, ADA, "mallory@example.com").await;
        let mail = it.messages_to("mallory@example.com").await.pop().unwrap();
        assert!(!mail.to_string().contains("Ada"), "{mail}");
        let code = it.inbox_code("mallory@example.com").await;
        let sent = json!({ "username": "mallory@example.com", "confirmation-code": code, "login": true });
        let told = send(&it, CONFIRM, &sent).await.ok();
        assert_eq!(told["login-error"]["code"], "bad-credentials");
        assert!(told.get("access-token").is_none(), "{told}");
        // The corrected address gets no new password, and the registrant alone knows the first one.
        for path in ["/v1/forgot-password/", RESEND] {
            send(&it, path, &json!({ "username": "mallory@example.com" })).await.ok();
        }
        assert_eq!(it.kinds_to("mallory@example.com").await, ["verify-email"]);
        // Her own address is free, so she signs up again.
        let ada = signs_up(&it, &form(ADA, json!({}))).await;
        confirms(&it, ADA, ADA).await;
        assert_eq!(holder(&it, ADA).await, Some(ada));

        // Of an account with which one signs in by telephone no address is corrected.
        let grace = signs_up(&it, &form(PHONE, json!({ "email": "grace@example.com" }))).await;
        correct(&it, PHONE, "mallory2@example.com").await;
        correct(&it, "grace@example.com", "mallory2@example.com").await;
        assert!(it.messages_to("mallory2@example.com").await.is_empty());
        assert_eq!(holder(&it, "grace@example.com").await, Some(grace));
        confirms(&it, PHONE, "grace@example.com").await;
    }

    async fn a_corrected_address_helps_again_after_a_sign_in_with_the_password(database) {
        let it = open(&database).await;
        signs_up(&it, &form("adda@example.com", json!({}))).await;
        correct(&it, "adda@example.com", ADA).await;
        confirms(&it, ADA, ADA).await;
        let forget = async || send(&it, "/v1/forgot-password/", &json!({ "username": ADA })).await.ok();
        forget().await;
        assert_eq!(it.kinds_to(ADA).await, ["verify-email"]);
        assert!(signs_in(&it, ADA).await);
        forget().await;
        assert_eq!(it.kinds_to(ADA).await.last().map(String::as_str), Some("forgot-password"));
    }

    async fn a_taken_address_is_no_correction_and_is_not_told(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({}))).await;
        let head = it.head().await;
        let taken = it.participant.email.clone();
        assert_eq!(correct(&it, ADA, &taken).await, ("org-code".to_owned(), ada));
        assert_eq!(it.head().await, head, "nothing is stored");
        assert!(it.messages_to(&taken).await.is_empty());
        // The first code is still good.
        confirms(&it, ADA, ADA).await;
    }

    async fn corrections_reveal_few_taken_addresses_to_a_network(database) {
        let it = open(&database).await;
        let known = [&it.system, &it.service, &it.admin, &it.provider, &it.participant, &it.other_admin];
        let mut taken: Vec<String> = known.iter().map(|person| person.email.clone()).collect();
        for name in ["a", "b", "c", "d"] {
            taken.push(it.person(name, it.acme, None).await.email);
        }
        for (number, taken) in taken.iter().enumerate() {
            let own = format!("own{number}@example.com");
            from(&it, 9, SIGN_UP, &form(&own, json!({}))).await.ok();
            from(&it, 9, RESEND, &json!({ "username": own, "new-email": taken })).await.ok();
        }
        // Then no address is corrected, so that a free one does not differ.
        let sent = json!({ "username": "own0@example.com", "new-email": KING });
        from(&it, 9, RESEND, &sent).await.ok();
        assert!(it.messages_to(KING).await.is_empty());
        from(&it, 8, RESEND, &json!({ "username": "own1@example.com", "new-email": KING })).await.ok();
        assert_eq!(it.messages_to(KING).await.len(), 1);
    }

    async fn corrections_to_addresses_that_got_too_many_messages_are_few(database) {
        let it = open(&database).await;
        for number in 0..10 {
            let (own, flooded) = (format!("own{number}@example.com"), format!("{number}@example.com"));
            from(&it, 9, SIGN_UP, &form(&own, json!({}))).await.ok();
            floods(&it, &flooded).await;
            from(&it, 9, RESEND, &json!({ "username": own, "new-email": flooded })).await.ok();
        }
        let sent = json!({ "username": "own0@example.com", "new-email": KING });
        from(&it, 9, RESEND, &sent).await.ok();
        assert!(it.messages_to(KING).await.is_empty());
        from(&it, 8, RESEND, &json!({ "username": "own1@example.com", "new-email": KING })).await.ok();
        assert_eq!(it.messages_to(KING).await.len(), 1);
    }

    async fn an_address_is_corrected_three_times(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form("0@example.com", json!({}))).await;
        for number in 0..4 {
            let [former, new] = [number, number + 1].map(|number| format!("{number}@example.com"));
            assert_eq!(correct(&it, &former, &new).await, ("org-code".to_owned(), ada));
            assert_eq!(it.messages_to(&new).await.len(), usize::from(number < 3), "{new}");
        }
        assert_eq!(holder(&it, "3@example.com").await, Some(ada));
        confirms(&it, "3@example.com", "3@example.com").await;
    }

    async fn an_invitation_is_sent_again_to_where_the_organization_sent_it(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "phone-number": PHONE })).await;
        let request: Uuid = invited.request.parse().unwrap();
        let sent = json!({ "username": ADA, "new-email": "mallory@example.com", "notifications": ["email"] });
        assert_eq!(again(&it, &sent).await, ("onboard".to_owned(), request));
        assert!(it.messages_to("mallory@example.com").await.is_empty());
        assert_eq!(it.kinds_to(ADA).await, ["onboarding"; 2]);
        assert_eq!(it.kinds_to(PHONE).await.len(), 1);
        // The code before is void, and the last one good.
        refused_at(&it, &referral(&invited.code, ADA, json!({})), 400, &["/referral-code"]).await;
        let code = it.referral_code(ADA).await;
        send(&it, SIGN_UP, &referral(&code, ADA, json!({}))).await.ok();
        // A person who has signed up gets a code of six digits.
        let sent = json!({ "username": PHONE, "new-email": "mallory@example.com" });
        assert_eq!(again(&it, &sent).await, ("onboard".to_owned(), request));
        assert!(it.messages_to("mallory@example.com").await.is_empty());
        confirms(&it, ADA, PHONE).await;
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
    }

    async fn a_request_with_a_key_sends_once(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        let sent = async || {
            let call = it.app.call("POST", RESEND).token(None).header("idempotency-key", "one");
            call.json(&json!({ "username": ADA })).send().await
        };
        let first = sent().await;
        let again = sent().await;
        assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
        assert_eq!(it.messages_to(ADA).await.len(), 2);
    }
}
