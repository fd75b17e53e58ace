//! Invitations of a request: others that follow, corrected addresses, reports of deliveries, and their end.

use super::*;
use registrar_aggregates::onboarding::Onboarding;
use registrar_aggregates::organization::Authorization;

on_both_stores! {
    async fn another_invitation_voids_the_one_before(database) {
        let it = Identity::open(&database).await;
        let both = json!({ "patient-email": ADA, "phone-number": PHONE });
        let created = onboard(&it, &it.provider, patient(&it, both).await).await;
        let again = format!("{}email/", path_of(&created));
        let (mut mails, mut texts) = (vec![], vec![]);
        for caller in [&it.provider, &it.admin, &it.system] {
            let shown = it.post(caller, &again, &resend()).await["data"].take();
            assert_eq!(shown["id"], created["id"]);
            mails.push(it.referral_code(ADA).await);
            texts.push(it.referral_code(PHONE).await);
            let last = it.messages_to(ADA).await.pop().unwrap();
            assert_eq!(shown["attributes"]["last-invite"]["email"]["id"], last["id"]);
        }
        for code in mails.iter().chain(&texts).filter(|code| ![&mails[2], &texts[2]].contains(code)) {
            is_unknown(&it, code_of(code)).await;
        }
        // Three messages in ten minutes for an address, of all senders.
        let head = it.head().await;
        let answer = it.call(&it.admin, "POST", &again).json(&resend()).send().await;
        refusal(&answer, 429, "rate-limited");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
        assert_eq!((it.head().await, it.messages_to(ADA).await.len()), (head, 3));
        for code in [&mails[2], &texts[2]] {
            info(&it, code_of(code)).await;
        }
        // The request is not created either where its invitation cannot be sent.
        it.patch(&it.admin, &path_of(&created), &corrected(&created, EVE)).await;
        let attributes = patient(&it, json!({ "patient-email": ADA, "email-user-now": true })).await;
        let call = it.call(&it.admin, "POST", REQUESTS).json(&request(attributes));
        it.refused(call, 429, "rate-limited").await;
        assert!(it.account(ADA).await.is_none());
    }

    async fn a_corrected_address_voids_the_invitation_to_the_former_one(database) {
        let it = Identity::open(&database).await;
        let attributes = json!({ "patient-email": ADA, "phone-number": PHONE, "email-user-now": true });
        let created = onboard(&it, &it.provider, patient(&it, attributes).await).await;
        let (mail, text) = (it.referral_code(ADA).await, it.referral_code(PHONE).await);
        let user = it.account(ADA).await.unwrap().profile.id;
        let amended = it.patch(&it.provider, &path_of(&created), &corrected(&created, EVE)).await["data"].take();
        let shown = &amended["attributes"];
        assert_eq!((&shown["patient-email"], &shown["email-dsn"]), (&json!(EVE), &Value::Null));
        assert_eq!(shown["last-invite"]["email"], Value::Null);
        assert_eq!(shown["last-invite"]["sms"], created["attributes"]["last-invite"]["sms"]);
        assert!(it.account(ADA).await.is_none());
        assert_eq!(it.account(EVE).await.unwrap().profile.id, user);
        is_unknown(&it, code_of(&mail)).await;
        info(&it, code_of(&text)).await;
        // Nothing was sent by itself.
        assert!(it.messages_to(EVE).await.is_empty());
        it.post(&it.provider, &format!("{}email/", path_of(&created)), &resend()).await;
        info(&it, code_of(&it.referral_code(EVE).await)).await;
        // The former address is free again.
        invite(&it, &it.provider, ADA).await;
    }

    async fn an_address_that_cannot_be_taken_is_refused(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, _) = invite(&it, &it.admin, ADA).await;
        invite(&it, &it.admin, EVE).await;
        let held = json!({ "patient-email": grace.email, "email-user-now": true });
        let held = onboard(&it, &it.admin, patient(&it, held).await).await;
        for address in [EVE, "EVE@unknown.example", &grace.email, &it.participant.email] {
            let body = corrected(&created, address);
            let error = it.patch_refused(&it.admin, &path_of(&created), &body, 409, "conflict").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/email", "{address}");
        }
        for address in ["", "eve", "e\u{200b}ve@unknown.example"] {
            let body = corrected(&created, address);
            let error = it.patch_refused(&it.admin, &path_of(&created), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/email", "{address}");
        }
        let code = it.referral_code(&grace.email).await;
        it.post(&grace, &format!("{}claim/", path_of(&held)), &code_of(&code)).await;
        let body = corrected(&held, "max@unknown.example");
        it.patch_refused(&it.admin, &path_of(&held), &body, 409, "conflict").await;
        it.post_refused(&it.admin, &format!("{}email/", path_of(&held)), &resend(), 409, "conflict").await;
    }

    async fn a_provider_tries_thirty_addresses_in_an_hour(database) {
        let it = Identity::open(&database).await;
        let (created, _) = invite(&it, &it.provider, ADA).await;
        let body = corrected(&created, &it.other_admin.email);
        for _ in 0..30 {
            it.patch_refused(&it.provider, &path_of(&created), &body, 409, "conflict").await;
        }
        for address in [&*it.other_admin.email, EVE] {
            let body = corrected(&created, address);
            it.patch_refused(&it.provider, &path_of(&created), &body, 429, "rate-limited").await;
        }
        // The present address, and those of people who are seen, are no news.
        it.patch(&it.provider, &path_of(&created), &corrected(&created, ADA)).await;
        let body = corrected(&created, &it.participant.email);
        it.patch_refused(&it.provider, &path_of(&created), &body, 409, "conflict").await;
        it.patch(&it.admin, &path_of(&created), &corrected(&created, EVE)).await;
    }

    async fn programs_report_the_delivery_of_a_text_message(database) {
        let it = Identity::open(&database).await;
        let attributes = json!({ "phone-number": PHONE, "email-user-now": true });
        let created = onboard(&it, &it.admin, patient(&it, attributes).await).await;
        let text = created["attributes"]["last-invite"]["sms"]["id"].as_str().unwrap().to_owned();
        let at = format!("{TEXTS}{text}/update-status/");
        let user = it.account(PHONE).await.unwrap().profile.id.to_string();
        let told = async |attributes: Value| it.post(&it.service, &at, &report(&text, attributes)).await;
        assert_eq!(told(json!({ "status": "delivered" })).await, json!({}));
        let after = shown(&it, &created).await["last-invite"]["sms"].take();
        assert_eq!((&after["status"], &after["error"]), (&json!("delivered"), &Value::Null));
        assert_eq!(after["respond-time"].as_str().unwrap().len(), 19);
        assert_eq!(users_invited(&it, "sent").await, std::slice::from_ref(&user));
        // Neither the same again nor what is late changes anything.
        let head = it.head().await;
        for status in ["delivered", "sent", "queued", "Delivered"] {
            told(json!({ "status": status })).await;
        }
        told(json!({ "error": "no status" })).await;
        assert_eq!((it.head().await, shown(&it, &created).await["last-invite"]["sms"].take()), (head, after));

        told(json!({ "status": "undelivered", "error": "30003" })).await;
        let after = shown(&it, &created).await["last-invite"]["sms"].take();
        assert_eq!((&after["status"], &after["error"]), (&json!("failed"), &json!("30003")));
        assert_eq!((users_invited(&it, "failed").await, users_invited(&it, "sent").await), (vec![user], vec![]));
    }

    async fn a_report_about_another_message_is_answered_like_one_about_none(database) {
        let it = Identity::open(&database).await;
        let attributes = json!({ "patient-email": ADA, "phone-number": PHONE, "email-user-now": true });
        let created = onboard(&it, &it.admin, patient(&it, attributes).await).await;
        let invites = &created["attributes"]["last-invite"];
        let (mail, text) = (invites["email"]["id"].as_str().unwrap(), invites["sms"]["id"].as_str().unwrap());
        let at = |id: &str| format!("{TEXTS}{id}/update-status/");
        let delivered = |id: &str| report(id, json!({ "status": "delivered" }));
        let unknown = Uuid::now_v7().to_string();
        let told = it.post_refused(&it.service, &at(&unknown), &delivered(&unknown), 404, "not-found").await;
        for id in [mail, id(&created)] {
            assert_eq!(it.post_refused(&it.service, &at(id), &delivered(id), 404, "not-found").await, told);
        }
        for caller in [&it.admin, &it.provider, &it.other_admin] {
            it.post_refused(caller, &at(text), &delivered(text), 403, "forbidden").await;
        }
        for (attributes, member) in [
            (json!({ "status": "eaten" }), "status"),
            (json!({ "status": "failed", "error": "a\u{202e}b" }), "error"),
            (json!({ "status": "failed", "error": "a\nb" }), "error"),
            (json!({ "status": "failed", "error": "x".repeat(256) }), "error"),
        ] {
            let body = report(text, attributes);
            let error = it.post_refused(&it.service, &at(text), &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{member}"));
        }
        // The fate of a message that another one has replaced does not matter any more.
        it.post(&it.admin, &format!("{}email/", path_of(&created)), &resend()).await;
        let head = it.head().await;
        it.post(&it.service, &at(text), &delivered(text)).await;
        assert_eq!(it.head().await, head);
    }

    async fn a_retired_or_deleted_organization_onboards_no_person(database) {
        let it = Identity::open(&database).await;
        let ended = it.organization("Ended", Authorization::Open).await;
        let individual = async || it.individual(ended).await;
        let of = |individual: Uuid, address: &str| {
            json!({ "organization": ended, "patient": individual, "patient-email": address, "email-user-now": true })
        };
        let created = onboard(&it, &it.system, of(individual().await, ADA)).await;
        let (code, other) = (it.referral_code(ADA).await, individual().await);
        it.retire(OrganizationId(ended)).await;
        it.post_refused(&it.system, REQUESTS, &request(of(other, EVE)), 409, "conflict").await;
        it.post_refused(&it.system, &format!("{}email/", path_of(&created)), &resend(), 409, "conflict").await;
        it.get(&it.system, &path_of(&created)).await;
        let claim = format!("{}claim/", path_of(&created));
        it.post_refused(&it.other_admin, &claim, &code_of(&code), 400, "code-invalid").await;
        is_unknown(&it, code_of(&code)).await;

        it.delete(OrganizationId(ended)).await;
        let (named, _) = not_created(&it, &it.system, &of(other, EVE), 400).await;
        assert_eq!(named, "organization");
        it.get_refused(&it.system, &path_of(&created), 404, "not-found").await;
        it.find_nothing(&it.system, &format!("{REQUESTS}?organization={ended}")).await;
        is_unknown(&it, code_of(&code)).await;
        it.post_refused(&it.other_admin, &claim, &code_of(&code), 400, "code-invalid").await;
    }

    async fn the_address_of_a_request_without_an_account_is_erased_by_itself(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, _) = invite(&it, &it.admin, &grace.email).await;
        let erase = format!("UPDATE subject_keys SET wrapped_key = NULL WHERE subject_id = '{}'", id(&created));
        assert_eq!(database.sql().await.run(&erase).await.unwrap(), 1);
        // Another node has neither keys nor documents in its caches.
        let node = database.open().await;
        let (_, state) = node.executor.state::<Onboarding>(id(&created)).await.unwrap();
        let erased = state.progress().unwrap().email.clone().unwrap();
        assert_eq!(erased.as_str(), registrar_aggregates::personal::ERASED);
        let user = it.account(&grace.email).await.unwrap();
        assert_eq!(user.contacts.email.as_ref().unwrap().as_str(), grace.email);
    }
}
