//! Codes of invitations: what they tell their holders, and how people come in by them.

use super::*;
use crate::app::token;
use crate::sign_in::attempt;
use chrono::Utc;
use registrar::executor::{ExecuteError, RequestContext};
use registrar::processes::Refusal;
use registrar::processes::onboarding::{by_referral_code, referral_digest};
use registrar_aggregates::message::Channel;
use registrar_aggregates::onboarding::{Invitation, Onboarding, OnboardingCommand, VALIDITY};
use registrar_aggregates::processes::sign_up::{self, Choices, ReferralSignUp, ReferredAccount};
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::user::{Contact, User};
use registrar_aggregates::values::{EmailAddress, MessageId, UserId};
use zeroize::Zeroizing;

fn claim(request: &Value) -> String {
    format!("{}claim/", path_of(request))
}

async fn carry_out(it: &Identity, decide: impl Fn(&mut Streams) -> Step<()> + Send) {
    let done = it.node().executor.execute_process(&RequestContext::system(), decide).await;
    done.map_err(|error: ExecuteError<Refusal>| error.to_string()).unwrap();
}

/// Does what a sign-up by the code of an invitation does with a pending account.
async fn signs_up(it: &Identity, code: &str, user: UserId) {
    let request = by_referral_code(it.node(), code).await.unwrap().unwrap();
    let (digest, choices) = (referral_digest(it.node(), code), Choices::default());
    let hash = it.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let sign_up = ReferralSignUp {
        request: request.id,
        digest: &digest,
        account: ReferredAccount::Present(user),
        hash: &hash,
        choices: &choices,
        individual: IndividualId(Uuid::now_v7()),
        invitation: None,
        now: Utc::now(),
    };
    carry_out(it, |streams| sign_up::by_referral(streams, &sign_up)).await;
}

/// Does what the confirmation of a sign-up does.
async fn confirms(it: &Identity, user: UserId, email: &str) {
    let contact = Contact::Email(EmailAddress::parse(email).unwrap());
    let (individual, now) = (IndividualId(Uuid::now_v7()), Utc::now());
    carry_out(it, |streams| sign_up::complete(streams, user, &contact, individual, None, now)).await;
}

fn individual_of(request: &Value) -> IndividualId {
    serde_json::from_value(request["attributes"]["patient"].clone()).unwrap()
}

async fn state_of(it: &Identity, user: UserId) -> UserState {
    let (_, state) = it.node().executor.state::<User>(&user.to_string()).await.unwrap();
    state.profile().unwrap().state
}

on_both_stores! {
    async fn a_code_tells_its_holder_who_invites(database) {
        let it = Identity::open(&database).await;
        let both = json!({ "patient-email": ADA, "phone-number": PHONE, "email-user-now": true });
        let created = onboard(&it, &it.admin, patient(&it, both).await).await;
        let (mail, text) = (it.referral_code(ADA).await, it.referral_code(PHONE).await);
        let expected = json!({
            "onboarding-request": { "done": false, "status": "created" },
            "organization": { "display-name": "Acme", "id": it.acme },
        });
        let head = it.head().await;
        for attributes in [
            code_of(&mail),
            code_of(&text),
            json!({ "code": mail, "email": "ADA@Unknown.example" }),
            json!({ "code": mail, "phone-number": PHONE }),
            json!({ "code": text, "email": ADA, "phone-number": PHONE }),
        ] {
            assert_eq!(info(&it, attributes).await, expected);
        }
        assert_eq!(it.head().await, head);
        let whole = looks_up(&it, code_of(&mail)).send().await.ok();
        assert_eq!(whole["data"]["id"], created["id"]);
        for attributes in [
            code_of("AAAAAAAAAAAAAAAAAAAA"),
            code_of(""),
            code_of(&mail.to_lowercase()),
            json!({ "code": mail, "email": EVE }),
            json!({ "code": text, "email": ADA, "phone-number": "+13035550199" }),
        ] {
            is_unknown(&it, attributes).await;
        }
        for attributes in [json!({}), json!({ "email": ADA }), json!({ "code": 7 }), json!({ "code": mail, "email": "ada" })] {
            it.refused(looks_up(&it, attributes), 400, "validation-error").await;
        }
    }

    async fn the_holder_of_an_address_claims_with_their_own_account(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Member)).await;
        let (unknown, _) = invite(&it, &it.provider, ADA).await;
        let (created, code) = invite(&it, &it.provider, &grace.email).await;
        // The answer does not tell that there is an account.
        let (mut known, mut unknown) = (created["attributes"].clone(), unknown["attributes"].clone());
        for attributes in [&mut known, &mut unknown] {
            for name in ["created-time", "patient", "patient-email"] {
                attributes[name].take();
            }
            for pointer in ["/email-dsn/id", "/email-dsn/attributes", "/last-invite/email"] {
                if let Some(value) = attributes.pointer_mut(pointer) {
                    value.take();
                }
            }
        }
        assert_eq!(known, unknown);
        // Nothing has happened to the account yet.
        let user = it.account(&grace.email).await.unwrap();
        assert_eq!((roles_in(&user, it.acme), user.invitation.name()), (None, "none"));
        it.get_refused(&it.admin, &format!("/v1/users/{}/", grace.id), 404, "not-found").await;

        assert_eq!(it.post(&grace, &claim(&created), &code_of(&code)).await, Value::Null);
        let shown = shown(&it, &created).await;
        assert_eq!((&shown["status"], &shown["done"]), (&json!("claimed"), &json!(true)));
        assert_eq!((&shown["claimed-by"], shown["claimed-time"].as_str().unwrap().len()), (&json!(grace.id), 19));
        let user = it.account(&grace.email).await.unwrap();
        assert_eq!(roles_in(&user, it.acme), Some(vec![Role::Member]));
        assert_eq!(roles_in(&user, it.other), Some(vec![Role::Member]));
        assert_eq!(user.home(), Some(OrganizationId(it.other)));
        let individual = individual_of(&created);
        assert_eq!(user.individuals, [individual, IndividualId(grace.individual.unwrap())]);
        it.get(&grace, &format!("/v1/individuals/{individual}/")).await;
        let done = info(&it, code_of(&code)).await["onboarding-request"].take();
        assert_eq!(done, json!({ "done": true, "status": "claimed" }));
        // A code is used once.
        it.post_refused(&grace, &claim(&created), &code_of(&code), 400, "code-invalid").await;
        it.post_refused(&it.participant, &claim(&created), &code_of(&code), 400, "code-invalid").await;
    }

    async fn a_code_that_is_not_valid_claims_nothing(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, code) = invite(&it, &it.provider, ADA).await;
        let (other, other_code) = invite(&it, &it.admin, EVE).await;
        it.post(&it.provider, &format!("{}email/", path_of(&created)), &resend()).await;
        let (unknown, malformed) = (format!("{}claim/", path(Uuid::now_v7())), format!("{}claim/", path("no-such")));
        let mut told = vec![];
        for (path, code) in [
            (claim(&created), "AAAAAAAAAAAAAAAAAAAA"),
            (claim(&created), ""),
            // Void, and of another request.
            (claim(&created), code.as_str()),
            (claim(&created), other_code.as_str()),
            (claim(&other), code.as_str()),
            (unknown, other_code.as_str()),
            (malformed, other_code.as_str()),
        ] {
            told.push(it.post_refused(&grace, &path, &code_of(code), 400, "code-invalid").await);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        it.post_refused(&grace, &claim(&created), &json!({}), 400, "validation-error").await;
        let acting = represented(&it, &grace).await;
        it.post_refused(&acting, &claim(&other), &code_of(&other_code), 403, "forbidden").await;
        // The creator of a request does not claim it.
        it.post_refused(&it.admin, &claim(&other), &code_of(&other_code), 403, "forbidden").await;
    }

    async fn an_expired_code_reads_like_an_unknown_one(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, _) = invite(&it, &it.provider, ADA).await;
        let code = "AAAAAAAAAAAAAAAAAAAA";
        let expires_at = Utc::now();
        let invitation = Invitation {
            message: MessageId(Uuid::now_v7()),
            channel: Channel::Email,
            digest: referral_digest(it.node(), code),
            at: expires_at - VALIDITY,
            expires_at,
        };
        let (context, executor) = (RequestContext::system(), &it.node().executor);
        let command = OnboardingCommand::Invite(invitation);
        executor.execute::<Onboarding>(&context, id(&created), command, None).await.unwrap();
        is_unknown(&it, code_of(code)).await;
        it.post_refused(&grace, &claim(&created), &code_of(code), 400, "code-invalid").await;
        let form = json!({ "referral-code": code, "username": ADA, "password": PASSWORD });
        let call = it.app.call("POST", "/v1/sign-up/").token(None).json(&form);
        let error = it.refused(call, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/referral-code");
    }

    async fn a_look_up_without_a_code_is_refused(database) {
        let it = Identity::open(&database).await;
        for (attributes, member) in [
            (json!({}), "code"),
            (json!({ "email": ADA }), "code"),
            (json!({ "code": 7 }), "code"),
            (json!({ "code": "x".repeat(21) }), "code"),
            (json!({ "code": "", "email": "ada" }), "email"),
            (json!({ "code": "", "phone-number": "123" }), "phone-number"),
            (json!({ "code": "", "status": "created" }), "status"),
        ] {
            let error = it.refused(looks_up(&it, attributes.clone()), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], format!("/data/attributes/{member}"), "{attributes}");
        }
    }

    async fn wrong_codes_are_counted_for_their_network(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, code) = invite(&it, &it.provider, ADA).await;
        let claims = |code: &str| it.call(&grace, "POST", &claim(&created)).json(&code_of(code));
        let guesses = (0..30).map(|number| looks_up(&it, code_of(&format!("guess-{number}"))).peer("192.0.2.2:4711"));
        for answer in join_all(guesses.map(Call::send)).await {
            refusal(&answer, 404, "not-found");
        }
        for number in 0..30 {
            let answer = claims(&format!("guess-{number}")).peer("192.0.2.2:4711").send().await;
            refusal(&answer, 400, "code-invalid");
        }
        let head = it.head().await;
        for call in [looks_up(&it, code_of(&code)), looks_up(&it, code_of("guess")), claims(&code), claims("guess")] {
            let answer = call.peer("192.0.2.3:4711").send().await;
            refusal(&answer, 429, "rate-limited");
            let seconds: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=15 * 60).contains(&seconds), "{seconds}");
        }
        assert_eq!(it.head().await, head);
        let answer = claims(&code).peer("198.51.100.1:4711").send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    async fn of_two_claims_at_once_one_succeeds(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        for number in 0..3 {
            let (created, code) = invite(&it, &it.provider, &format!("ada-{number}@unknown.example")).await;
            let claims = [&grace, &it.other_admin];
            let claims = claims.map(|person| it.call(person, "POST", &claim(&created)).json(&code_of(&code)));
            let statuses = at_once(&it, claims.into()).await;
            assert_eq!((count(&statuses, 201), count(&statuses, 400)), (1, 1), "{statuses:?}");
            let individual = individual_of(&created);
            let mut holders = vec![];
            for person in [&grace, &it.other_admin] {
                let user = it.account(&person.email).await.unwrap();
                holders.extend(user.individuals.contains(&individual).then_some(json!(person.id)));
            }
            assert_eq!(holders, [shown(&it, &created).await["claimed-by"].take()]);
        }
    }

    async fn a_pending_account_ends_when_its_person_claims_with_another_one(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let (created, code) = invite(&it, &it.provider, ADA).await;
        let pending = it.account(ADA).await.unwrap().profile.id;
        it.post(&grace, &claim(&created), &code_of(&code)).await;
        assert_eq!((state_of(&it, pending).await, it.account(ADA).await.is_none()), (UserState::Archived, true));
        let user = it.account(&grace.email).await.unwrap();
        assert_eq!((&*user.individuals, user.invitation.name()), (&[individual_of(&created)][..], "accepted"));
        assert_eq!(shown(&it, &created).await["claimed-by"], json!(grace.id));
        assert_eq!(users_invited(&it, "accepted").await.len(), 1);
        // The address is free for another person.
        let attributes = json!({ "patient-email": ADA });
        onboard(&it, &it.provider, patient(&it, attributes).await).await;
    }

    async fn an_account_that_waits_for_another_organization_comes_over(database) {
        let it = Identity::open(&database).await;
        let individual = it.individual(it.other).await;
        let theirs = json!({ "organization": it.other, "patient": individual, "patient-email": ADA });
        let theirs = onboard(&it, &it.other_admin, with(theirs, json!({ "email-user-now": true }))).await;
        let their_code = it.referral_code(ADA).await;
        let user = it.account(ADA).await.unwrap().profile.id;
        let (ours, code) = invite(&it, &it.provider, ADA).await;
        let waiting = it.account(ADA).await.unwrap();
        assert_eq!((waiting.profile.id, roles_in(&waiting, it.acme)), (user, None));

        signs_up(&it, &code, user).await;
        let registered = it.account(ADA).await.unwrap();
        assert_eq!((registered.state, registered.home()), (UserState::Registered, Some(OrganizationId(it.acme))));
        assert_eq!(roles_in(&registered, it.acme), Some(vec![Role::Member]));
        assert_eq!(roles_in(&registered, it.other), None);
        assert_eq!(registered.individuals, [individual_of(&ours)]);
        let now = shown(&it, &ours).await;
        assert_eq!((&now["status"], now["registering-time"].is_string()), (&json!("registering"), true));
        it.get_refused(&it.other_admin, &format!("/v1/users/{user}/"), 404, "not-found").await;
        // Providers change no address of a person who signs up.
        it.patch_refused(&it.provider, &path_of(&ours), &corrected(&ours, EVE), 403, "forbidden").await;

        confirms(&it, user, ADA).await;
        let now = shown(&it, &ours).await;
        assert_eq!((&now["status"], &now["claimed-by"]), (&json!("claimed"), &json!(user)));
        assert_eq!(shown(&it, &theirs).await["status"], "created");
        // The other invitation is claimed by the account as it is now.
        let ada = Person { id: user.0, email: ADA.into(), individual: None, token: token(&it.app, user.0).await };
        it.post(&ada, &claim(&theirs), &code_of(&their_code)).await;
        let both = it.account(ADA).await.unwrap();
        assert_eq!(both.individuals, [IndividualId(individual), individual_of(&ours)]);
        assert_eq!(roles_in(&both, it.other), Some(vec![Role::Member]));
    }

    async fn roles_and_groups_of_a_provider_begin_with_the_claim(database) {
        let it = Identity::open(&database).await;
        let ward = it.ward("Ward 7").await;
        let sent = json!({
            "patient-email": it.other_admin.email, "provider-roles": ["org.provider", "org.admin"],
            "individual-group-ids": [ward], "individual-group-id": ward, "email-user-now": true,
        });
        let created = onboard(&it, &it.admin, nurse(&it, sent)).await;
        assert_eq!(created["attributes"]["provider-roles"], json!(["org.admin", "org.provider"]));
        assert_eq!(it.shown(&it.admin, &ward).await["members"], json!([]));
        let code = it.referral_code(&it.other_admin.email).await;
        it.post(&it.other_admin, &claim(&created), &code_of(&code)).await;
        let user = it.account(&it.other_admin.email).await.unwrap();
        assert_eq!(roles_in(&user, it.acme), Some(vec![Role::Admin, Role::Provider]));
        assert_eq!(it.shown(&it.admin, &ward).await["members"][0]["id"], json!(it.other_admin.id));

        // A pending admin has no part in the organization, so that no admin leaves it to an account without a person.
        let sent = json!({ "patient-email": ADA, "provider-roles": ["org.admin"], "email-user-now": true });
        let created = onboard(&it, &it.admin, nurse(&it, sent)).await;
        let pending = it.account(ADA).await.unwrap();
        assert_eq!((pending.state, roles_in(&pending, it.acme)), (UserState::Init, None));
        let code = it.referral_code(ADA).await;
        signs_up(&it, &code, pending.profile.id).await;
        assert_eq!(roles_in(&it.account(ADA).await.unwrap(), it.acme), None);
        confirms(&it, pending.profile.id, ADA).await;
        assert_eq!(roles_in(&it.account(ADA).await.unwrap(), it.acme), Some(vec![Role::Admin]));
        assert_eq!(shown(&it, &created).await["done"], true);
    }

    async fn the_individual_of_a_patient_is_in_its_groups_at_once(database) {
        let it = Identity::open(&database).await;
        let led = json!({ "leader-ids": [it.provider.id] });
        let (one, two) = (it.new_node("Ward 7", &led).await, it.new_node("Ward 8", &led).await);
        for address in [ADA, &it.other_admin.email] {
            let groups = json!({ "patient-email": address, "individual-group-id": one, "individual-group-ids": [two] });
            let created = onboard(&it, &it.provider, patient(&it, groups).await).await;
            for ward in [&one, &two] {
                let shown = it.shown(&it.provider, ward).await;
                let mut individuals = shown["individuals"].as_array().unwrap().iter();
                let own = individuals.find(|one| one["id"] == created["attributes"]["patient"]).unwrap();
                assert_eq!(own["registered"], false);
            }
        }
    }

    async fn an_admin_signs_a_person_up(database) {
        let it = Identity::open(&database).await;
        let with_password = json!({ "auto-sign-up": true, "password": PASSWORD, "email-user-now": true });
        let sign_in = async |address: &str| attempt(&it, &json!({ "username": address, "password": PASSWORD })).await;
        // The person confirms the address.
        let attributes = with(patient(&it, json!({ "patient-email": ADA })).await, with_password.clone());
        let created = onboard(&it, &it.admin, attributes).await;
        let shown_now = &created["attributes"];
        assert_eq!((&shown_now["status"], &shown_now["done"]), (&json!("registering"), &json!(false)));
        let ada = it.account(ADA).await.unwrap();
        assert_eq!((ada.state, roles_in(&ada, it.acme)), (UserState::Registered, Some(vec![Role::Member])));
        refusal(&sign_in(ADA).await, 403, "forbidden");
        info(&it, code_of(&it.referral_code(ADA).await)).await;
        it.patch_refused(&it.provider, &path_of(&created), &corrected(&created, EVE), 403, "forbidden").await;

        // The admin confirms the person, and not the address.
        let confirmed = with(with_password.clone(), json!({ "auto-confirm": true }));
        let attributes = with(patient(&it, json!({ "patient-email": EVE })).await, confirmed);
        let created = onboard(&it, &it.admin, attributes).await;
        let eve = it.account(EVE).await.unwrap();
        assert_eq!((eve.state, eve.contacts.email_verified), (UserState::Confirmed, false));
        assert_eq!(created["attributes"]["claimed-by"], json!(eve.profile.id));
        assert_eq!((&created["attributes"]["done"], eve.invitation.name()), (&json!(true), "accepted"));
        assert_eq!(eve.individuals, [individual_of(&created)]);
        assert_eq!(sign_in(EVE).await.status, 201);
        assert!(it.messages_to(EVE).await.is_empty());

        // An admin sets no password for the account of another organization's user.
        let attributes = with(patient(&it, json!({ "patient-email": it.other_admin.email })).await, with_password);
        assert_eq!(not_created(&it, &it.admin, &attributes, 409).await.0, "patient-email");
    }

    async fn an_invitation_that_confirms_needs_no_code_beside_it(database) {
        let it = Identity::open(&database).await;
        let sent = json!({ "patient-email": ADA, "auto-confirm": true, "email-user-now": true });
        let created = onboard(&it, &it.admin, patient(&it, sent).await).await;
        assert_eq!(created["attributes"]["status"], "created");
        let (code, user) = (it.referral_code(ADA).await, it.account(ADA).await.unwrap().profile.id);
        signs_up(&it, &code, user).await;
        assert_eq!(shown(&it, &created).await["status"], "claimed");
        let ada = it.account(ADA).await.unwrap();
        assert_eq!((ada.state, ada.contacts.email_verified), (UserState::Confirmed, true));
    }
}
