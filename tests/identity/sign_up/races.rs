//! Sign-ups at once: exactly one wins.

use super::*;
use crate::on_both_stores;
use crate::support::while_commits_wait;
use futures::future::join_all;

/// Requests at once: as many as the test server hashes passwords for, one after the other.
const AT_ONCE: usize = 8;

/// Sends sign-ups so that their commits meet; answers the statuses in order.
async fn at_once(it: &Identity, forms: &[Value]) -> Vec<u16> {
    let answers = while_commits_wait(it.node(), join_all(forms.iter().map(|form| send(it, SIGN_UP, form)))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses
}

fn one_of(others: u16) -> Vec<u16> {
    std::iter::once(201).chain([others; AT_ONCE - 1]).collect()
}

on_both_stores! {
    async fn one_of_many_sign_ups_for_an_address_wins(database) {
        let it = open(&database).await;
        let spellings = [ADA, "ADA@example.com", "ada@EXAMPLE.com", " ada@example.com "];
        let forms: Vec<_> = (0..AT_ONCE).map(|number| form(spellings[number % spellings.len()], json!({}))).collect();
        let head = it.head().await;
        assert_eq!(at_once(&it, &forms).await, one_of(409));
        let events = it.events_since(head).await;
        for name in ["user.created", "individual.recorded", "one-time-code.issued", "message.composed"] {
            assert_eq!(events.iter().filter(|event| *event == name).count(), 1, "{name}: {events:?}");
        }
        assert_eq!(it.messages_to(ADA).await.len(), 1);
        confirms(&it, ADA, ADA).await;
    }

    async fn one_of_many_sign_ups_with_a_number_wins(database) {
        let it = open(&database).await;
        let forms: Vec<_> = (0..AT_ONCE)
            .map(|number| match number % 2 {
                0 => form(&format!("{number}@example.com"), json!({ "contact-phone-mobile": PHONE })),
                _ => form(PHONE, json!({ "email": format!("{number}@example.com") })),
            })
            .collect();
        assert_eq!(at_once(&it, &forms).await, one_of(409));
        let owner = holder(&it, PHONE).await.unwrap();
        let mut owners = Vec::new();
        for number in 0..AT_ONCE {
            owners.extend(holder(&it, &format!("{number}@example.com")).await);
        }
        assert_eq!(owners, [owner], "the losers hold nothing");
    }

    async fn one_of_many_sign_ups_by_an_invitation_wins(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({})).await;
        let forms: Vec<_> = (0..AT_ONCE)
            .map(|number| referral(&invited.code, ADA, json!({ "password": format!("{NEW} {number}") })))
            .collect();
        assert_eq!(at_once(&it, &forms).await, one_of(409));
        assert_eq!(it.kinds_to(ADA).await, ["onboarding", "verify-email"]);
        confirms(&it, ADA, ADA).await;
        let mut entered = 0;
        for number in 0..AT_ONCE {
            let body = json!({ "username": ADA, "password": format!("{NEW} {number}") });
            entered += usize::from(attempt(&it, &body).await.status == 201);
        }
        assert_eq!(entered, 1, "the password of the winner");
    }

    async fn the_last_use_of_an_invitation_is_one(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "auto-confirm": true })).await;
        let forms = vec![referral(&invited.code, ADA, json!({})); AT_ONCE];
        let head = it.head().await;
        let statuses = at_once(&it, &forms).await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        // The others find the account opened, or the code used up.
        assert!(statuses.iter().all(|status| [201, 400, 409].contains(status)), "{statuses:?}");
        let events = it.events_since(head).await;
        for name in ["user.registered", "user.sign-up-confirmed"] {
            assert_eq!(events.iter().filter(|event| *event == name).count(), 1, "{name}: {events:?}");
        }
    }

    async fn a_code_is_used_once_by_many_at_once(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        let code = it.inbox_code(ADA).await;
        let sent = json!({ "username": ADA, "confirmation-code": code });
        let calls = join_all((0..4).map(|_| send(&it, CONFIRM, &sent)));
        let answers = while_commits_wait(it.node(), calls).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400, 400, 400]);
    }

    async fn a_sign_up_and_an_onboarding_of_one_address_both_come_to_an_end(database) {
        let it = open(&database).await;
        let individual = it.individual(it.other).await;
        let request = json!({ "organization": it.other, "patient": individual, "patient-email": ADA, "email-user-now": true });
        let onboarding = it.call(&it.other_admin, "POST", REQUESTS).json(&document("onboarding-requests", request));
        let sent = form(ADA, json!({}));
        let (onboarded, signed_up) =
            while_commits_wait(it.node(), async { futures::join!(onboarding.send(), send(&it, SIGN_UP, &sent)) }).await;
        assert_eq!(onboarded.status, 201, "{onboarded:?}");
        match signed_up.status.as_u16() {
            // The request finds the account of the person, who claims it after a sign-in.
            201 => confirms(&it, ADA, ADA).await,
            // The pending account of the request has the address.
            409 => {
                let code = it.referral_code(ADA).await;
                signs_up(&it, &referral(&code, ADA, json!({}))).await;
                confirms(&it, ADA, ADA).await;
            }
            status => panic!("{status}: {signed_up:?}"),
        }
        assert!(signs_in(&it, ADA).await);
    }
}
