//! Sign-up by the code of an invitation.

use super::*;
use crate::matrix::world::amendment;
use crate::on_both_stores;
use crate::service_documents::{publish, version, within};
use crate::sign_in::with_password;
use registrar::executor::RequestContext;
use registrar::processes::{accounts, membership};
use registrar_aggregates::user::{Amendment, Role};
use registrar_aggregates::values::{OrganizationId, UserId};

on_both_stores! {
    async fn an_invited_person_signs_up_and_confirms(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({})).await;
        let ada = holder(&it, ADA).await.unwrap();
        let more = json!({ "locale": "es_US", "tz": "Europe/London" });
        assert_eq!(signs_up(&it, &referral(&invited.code, " ADA@example.com ", more)).await, ada);
        assert_eq!(status(&it, &it.admin, &invited.request).await, "registering");
        let user = seen(&it, &it.admin, ada).await;
        assert_eq!((&user["state"], &user["email-verified"]), (&json!("registered"), &json!(false)));
        assert_eq!((&user["locale"], &user["tz"]), (&json!("es_US"), &json!("Europe/London")));
        refusal(&attempt(&it, &json!({ "username": ADA, "password": NEW })).await, 403, "forbidden");
        assert_eq!(it.kinds_to(ADA).await, ["onboarding", "verify-email"]);
        confirms(&it, ADA, ADA).await;
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
        let user = seen(&it, &it.admin, ada).await;
        let expected = json!({
            "state": "confirmed",
            "email-verified": true,
            "organization-ids": [it.acme],
            "primary-individual-id": invited.individual,
            "registration-invite": "accepted",
            "onboarding-requests": [{ "id": invited.request }],
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&user[name], value, "{name}");
        }
        assert!(signs_in(&it, ADA).await);
        // The code is used up.
        refused_at(&it, &referral(&invited.code, ADA, json!({})), 400, &["/referral-code"]).await;
    }

    async fn an_invitation_may_be_proof_enough(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "auto-confirm": true })).await;
        signs_up(&it, &referral(&invited.code, ADA, json!({}))).await;
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
        assert_eq!(it.kinds_to(ADA).await, ["onboarding"]);
        assert!(signs_in(&it, ADA).await);
        let user = seen(&it, &it.admin, holder(&it, ADA).await.unwrap()).await;
        assert_eq!((&user["state"], &user["email-verified"]), (&json!("confirmed"), &json!(true)));
        // The form does not decide it.
        let invited = invite(&it, &it.other_admin, it.other, json!({ "patient-email": "grace@example.com" })).await;
        signs_up(&it, &referral(&invited.code, "grace@example.com", json!({ "auto-confirm": true }))).await;
        assert!(!signs_in(&it, "grace@example.com").await);
    }

    async fn a_provider_signs_up(database) {
        let it = open(&database).await;
        let more = json!({ "patient": null, "onboard-type": "provider", "provider-roles": ["org.admin"] });
        let invited = invite(&it, &it.admin, it.acme, more).await;
        let provider = json!({ "account-type": "provider" });
        assert_eq!(send(&it, SIGN_UP, &referral(&invited.code, ADA, json!({}))).await.ok(), provider);
        let code = it.inbox_code(ADA).await;
        assert_eq!(confirm(&it, ADA, &code).await.ok(), provider);
        let user = seen(&it, &it.admin, holder(&it, ADA).await.unwrap()).await;
        let roles: Vec<_> = user["roles"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
        assert_eq!(roles, ["org.admin"]);
    }

    async fn a_code_that_is_not_good_reads_like_an_unknown_one(database) {
        let it = open(&database).await;
        let former = invite(&it, &it.admin, it.acme, json!({})).await;
        let again = json!({ "data": { "type": "onboarding-requests-email", "attributes": {} } });
        it.post(&it.admin, &format!("{REQUESTS}{}/email/", former.request), &again).await;
        let code = it.referral_code(ADA).await;
        let clinic = it.organization("Clinic", registrar_aggregates::organization::Authorization::Open).await;
        let admin = it.person("clinic", clinic, Some(registrar_aggregates::user::Role::Admin)).await;
        let retired = invite(&it, &admin, clinic, json!({ "patient-email": "grace@example.com" })).await;
        it.retire(OrganizationId(clinic)).await;
        let pointer = ["/referral-code"];
        let unknown = refused_at(&it, &referral("unknown", ADA, json!({})), 400, &pointer).await;
        for (code, name) in [
            (former.code.as_str(), ADA),
            (code.as_str(), "king@example.com"),
            (code.as_str(), it.participant.email.as_str()),
            (code.as_str(), PHONE),
            (code.as_str(), ""),
            (code.to_lowercase().as_str(), ADA),
            (retired.code.as_str(), "grace@example.com"),
            ("", ADA),
        ] {
            let form = referral(code, name, json!({ "password": "short" }));
            assert_eq!(refused_at(&it, &form, 400, &pointer).await, unknown, "{code} for {name}");
        }
        // The holder of the right one is told what is wrong with the form.
        refused_at(&it, &referral(&code, ADA, json!({ "password": "short" })), 400, &["/password"]).await;
        let form = referral(&code, ADA, json!({ "set-username": "phone", "source": "sms", "password": "short" }));
        refused_at(&it, &form, 400, &["/set-username", "/source", "/password"]).await;
        for (member, value) in [("first-name", json!("Ada")), ("enrollment-data", json!({})), ("locale", json!("de_DE"))] {
            let call = it.app.call("POST", SIGN_UP).token(None).json(&referral(&code, ADA, json!({ member: value })));
            it.refused(call, 400, "validation-error").await;
        }
        signs_up(&it, &referral(&code, ADA, json!({}))).await;
    }

    async fn binding_documents_are_found_by_the_code_and_agreed_to(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({})).await;
        let [terms] = publish(it.node(), [within(it.acme, version("terms", 1))]).await;
        let listed = async |code: &str| {
            let path = format!("/v1/service-documents/?latest=true&referral-code={code}");
            crate::app::ids(&it.app.call("GET", &path).token(None).send().await.ok())
        };
        assert_eq!(listed(&invited.code).await, [terms.to_string()]);
        assert!(listed("unknown").await.is_empty());
        let pointer = ["/service-document-agreements"];
        refused_at(&it, &referral(&invited.code, ADA, json!({})), 400, &pointer).await;
        let agreed = json!({ "service-document-agreements": [terms] });
        signs_up(&it, &referral(&invited.code, ADA, agreed)).await;
        confirms(&it, ADA, ADA).await;
        assert!(signs_in(&it, ADA).await);
    }

    async fn a_person_with_an_account_is_told_to_claim_the_invitation(database) {
        let it = open(&database).await;
        signs_up(&it, &form(ADA, json!({}))).await;
        confirms(&it, ADA, ADA).await;
        let invited = invite(&it, &it.other_admin, it.other, json!({})).await;
        let error = refused_at(&it, &referral(&invited.code, ADA, json!({})), 409, &["/username"]).await;
        assert!(error["detail"].as_str().unwrap().contains("claim"), "{error}");
        let token = attempt(&it, &json!({ "username": ADA, "password": NEW })).await.ok()["access-token"].take();
        let id = holder(&it, ADA).await.unwrap();
        let ada = Person { id, email: ADA.into(), individual: None, token: token.as_str().unwrap().to_owned() };
        it.post(&ada, &format!("{REQUESTS}{}/claim/", invited.request), &json!({ "code": invited.code })).await;
        assert_eq!(status(&it, &it.other_admin, &invited.request).await, "claimed");
    }

    async fn nothing_of_another_account_is_compared_with_a_form(database) {
        let it = open(&database).await;
        with_password(&it, "ada.byron@example.com", Role::Provider, |creation| {
            creation.names.last_name = "Zebrowskaya".to_owned();
            creation.contacts.phone = Phone::parse(PHONE).ok();
            creation.contacts.phone_verified = true;
        })
        .await;
        publish(it.node(), [within(it.other, version("terms", 1))]).await;
        // An organization has invited an address of its own, together with the number of a stranger.
        let invited = invite(&it, &it.other_admin, it.other, json!({ "phone-number": PHONE })).await;
        let told = refused_at(&it, &referral(&invited.code, PHONE, json!({})), 409, &["/username"]).await;
        for more in [json!({ "password": "Zebrowskaya!" }), json!({ "password": "short" }), json!({ "source": "email" })] {
            assert_eq!(refused_at(&it, &referral(&invited.code, PHONE, more), 409, &["/username"]).await, told);
        }
    }

    async fn a_pending_account_comes_over_to_the_organization_that_its_owner_accepts(database) {
        let it = open(&database).await;
        let acme = invite(&it, &it.admin, it.acme, json!({ "phone-number": PHONE })).await;
        let other = invite(&it, &it.other_admin, it.other, json!({})).await;
        let ada = holder(&it, ADA).await.unwrap();
        assert_eq!(signs_up(&it, &referral(&other.code, ADA, json!({}))).await, ada);
        // The words of the former organization prove nothing: no code goes to a number that it typed.
        for name in [ADA, PHONE] {
            send(&it, RESEND, &json!({ "username": name, "notifications": ["sms"] })).await.ok();
        }
        assert_eq!(it.kinds_to(PHONE).await, ["onboarding"]);
        confirms(&it, ADA, ADA).await;
        let user = seen(&it, &it.other_admin, ada).await;
        assert_eq!(user["organization-ids"], json!([it.other]));
        assert_eq!(user["primary-individual-id"], json!(other.individual));
        assert_eq!(status(&it, &it.other_admin, &other.request).await, "claimed");
        it.get_refused(&it.admin, &format!("/v1/users/{ada}/"), 404, "not-found").await;
        // The other invitation is claimed by the account that there is now.
        refused_at(&it, &referral(&acme.code, ADA, json!({})), 409, &["/username"]).await;
        // It tells the former organization nothing of the person.
        let names = Amendment { first_name: Some("Augusta".to_owned()), ..Amendment::default() };
        accounts::amend(it.node(), &RequestContext::system(), UserId(ada), names, None).await.unwrap();
        let request = format!("{REQUESTS}{}/", acme.request);
        let elsewhere = json!({ "email": "mallory@example.com" });
        it.patch(&it.admin, &request, &amendment("onboarding-requests", &acme.request, elsewhere)).await;
        let again = document("onboarding-requests-email", json!({}));
        it.post(&it.admin, &format!("{request}email/"), &again).await;
        let mail = it.messages_to("mallory@example.com").await.pop().unwrap();
        assert!(!mail.to_string().contains("Augusta"), "{mail}");
    }

    async fn an_account_that_was_archived_is_opened_anew(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "patient": null, "onboard-type": "provider" })).await;
        let pending = holder(&it, ADA).await.unwrap();
        membership::archive(it.node(), &RequestContext::system(), UserId(pending)).await.unwrap();
        assert_eq!(holder(&it, ADA).await, None);
        send(&it, SIGN_UP, &referral(&invited.code, ADA, json!({}))).await.ok();
        let ada = holder(&it, ADA).await.unwrap();
        assert_ne!(ada, pending);
        let code = it.inbox_code(ADA).await;
        assert_eq!(confirm(&it, ADA, &code).await.ok(), json!({ "account-type": "provider" }));
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
        assert_eq!(seen(&it, &it.admin, ada).await["organization-ids"], json!([it.acme]));
        assert!(signs_in(&it, ADA).await);
    }

    async fn a_patient_whose_account_was_archived_gets_the_individual_with_the_next_one(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({})).await;
        let pending = holder(&it, ADA).await.unwrap();
        membership::archive(it.node(), &RequestContext::system(), UserId(pending)).await.unwrap();
        assert_eq!(seen(&it, &it.system, pending).await["primary-individual-id"], Value::Null);
        let ada = signs_up(&it, &referral(&invited.code, ADA, json!({}))).await;
        confirms(&it, ADA, ADA).await;
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
        assert_eq!(seen(&it, &it.admin, ada).await["primary-individual-id"], json!(invited.individual));
    }

    async fn a_sign_up_of_a_person_who_was_invited_by_mistake_is_of_no_use_for_the_right_address(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({ "patient-email": "adda@example.com" })).await;
        let stranger = signs_up(&it, &referral(&invited.code, "adda@example.com", json!({}))).await;
        let sent = it.inbox_code("adda@example.com").await;
        let request = format!("{REQUESTS}{}/", invited.request);
        let corrected = amendment("onboarding-requests", &invited.request, json!({ "email": ADA }));
        it.patch(&it.admin, &request, &corrected).await;
        assert_eq!((holder(&it, "adda@example.com").await, holder(&it, ADA).await), (None, None));
        for name in ["adda@example.com", ADA] {
            send(&it, RESEND, &json!({ "username": name })).await.ok();
            is_wrong(&it, name, &sent).await;
        }
        assert!(it.messages_to(ADA).await.is_empty(), "no code for a password of the stranger");

        it.post(&it.admin, &format!("{request}email/"), &document("onboarding-requests-email", json!({}))).await;
        let code = it.referral_code(ADA).await;
        let own = json!({ "password": "yet another horse, quite green" });
        let ada = signs_up(&it, &referral(&code, ADA, own)).await;
        assert_ne!(ada, stranger);
        confirms(&it, ADA, ADA).await;
        assert!(!signs_in(&it, ADA).await);
        assert_eq!(seen(&it, &it.admin, ada).await["primary-individual-id"], json!(invited.individual));
        assert_eq!(status(&it, &it.admin, &invited.request).await, "claimed");
    }

    async fn a_sign_up_is_begun_again_when_its_code_has_expired_and_not_before(database) {
        let it = open(&database).await;
        let invited = invite(&it, &it.admin, it.acme, json!({})).await;
        signs_up(&it, &referral(&invited.code, ADA, json!({}))).await;
        let other = json!({ "password": "yet another horse, quite green" });
        let error = refused_at(&it, &referral(&invited.code, ADA, other), 409, &["/referral-code"]).await;
        assert!(error["detail"].as_str().unwrap().contains("ten minutes"), "{error}");
        confirms(&it, ADA, ADA).await;
        assert!(signs_in(&it, ADA).await, "the first password counts");
    }
}
