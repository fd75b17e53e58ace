//! Requests: who creates them, what is refused, and how they are listed.

use super::*;
use crate::groups::{V1, new_group_with};

/// A provider of Other, which is restricted, who leads a group there.
async fn leader_elsewhere(it: &Identity, individuals: &[Uuid]) -> Person {
    let leader = it.person("leader", it.other, Some(Role::Provider)).await;
    let more = json!({ "leader-ids": [leader.id], "individual-ids": individuals });
    it.post(&it.other_admin, V1, &new_group_with(it.other, "Ward", &more)).await;
    leader
}

on_both_stores! {
    async fn a_provider_onboards_a_patient_by_mail_and_text_message(database) {
        let it = Identity::open(&database).await;
        let attributes = patient(&it, json!({
            "patient-email": ADA, "phone-number": PHONE, "email-user-now": true,
            "communication-preferences": { "sms": { "reminders": true } },
        })).await;
        let head = it.head().await;
        let created = onboard(&it, &it.provider, attributes.clone()).await;
        let mut shown = created["attributes"].clone();
        let invites = shown["last-invite"].take();
        let (time, _) = (shown["created-time"].clone(), shown["email-dsn"].take());
        assert_eq!(time.as_str().unwrap().len(), 19);
        assert_eq!(shown, json!({
            "claimed-by": null, "claimed-time": null, "created-by": it.provider.id, "created-time": time, "done": false,
            "email-dsn": null, "last-invite": null, "onboard-type": "patient", "organization": it.acme,
            "patient": attributes["patient"], "patient-email": ADA, "phone-number": PHONE, "provider-roles": [],
            "registering-time": null, "status": "created",
        }));
        for caller in [&it.provider, &it.admin, &it.system] {
            assert_eq!(it.get(caller, &path_of(&created)).await["data"], created);
        }

        // Each channel has a code of its own.
        let mut codes = vec![];
        for (channel, address) in [("email", ADA), ("sms", PHONE)] {
            let messages = it.messages_to(address).await;
            let [message] = messages.as_slice() else { panic!("{messages:?}") };
            assert_eq!((&message["kind"], &message["channel"]), (&json!("onboarding"), &json!(channel)));
            assert_eq!((&invites[channel]["id"], &invites[channel]["type"]), (&message["id"], &json!(channel)));
            assert!(message["text"].as_str().unwrap().contains(message["link"].as_str().unwrap()), "{message}");
            codes.push(it.referral_code(address).await);
        }
        assert!(codes[0] != codes[1] && codes.iter().all(|code| code.len() == 20), "{codes:?}");

        // The account waits for its person, with everything but a way in.
        let account = it.account(ADA).await.unwrap();
        assert_eq!((account.state, account.home()), (UserState::Init, Some(OrganizationId(it.acme))));
        let individual: IndividualId = serde_json::from_value(attributes["patient"].clone()).unwrap();
        assert_eq!(account.individuals, [individual]);
        assert_eq!(roles_in(&account, it.acme), Some(vec![Role::Member]));
        assert!(!account.contacts.email_verified && !account.contacts.phone_verified);
        let user = format!("/v1/users/{}/?with-signups=true", account.profile.id);
        let user = it.get(&it.admin, &user).await["data"]["attributes"].take();
        assert_eq!(user["onboarding-requests"], json!([{ "id": created["id"] }]));
        assert_eq!((&user["phone"], &user["registered"]), (&json!(PHONE), &json!(false)));
        assert_eq!(user["communication-preferences"]["sms"], json!({ "reminders": true }));

        // Neither the addresses nor the codes are in the clear in any event.
        let events = it.node().journal.read(head, usize::MAX).await.unwrap();
        let hidden = |payload: &str| [ADA, PHONE, &codes[0], &codes[1]].iter().all(|text| !payload.contains(text));
        assert!(events.iter().all(|event| hidden(&event.payload)));
    }

    async fn captured_invitations_count_as_sent(database) {
        let it = Identity::open(&database).await;
        let both = json!({ "patient-email": ADA, "phone-number": PHONE, "email-user-now": true });
        let created = onboard(&it, &it.admin, patient(&it, both).await).await;
        for channel in ["email", "sms"] {
            assert_eq!(created["attributes"]["last-invite"][channel]["status"], "sent");
        }
        let delivery = &created["attributes"]["email-dsn"];
        let mail = &created["attributes"]["last-invite"]["email"]["id"];
        assert_eq!((&delivery["type"], &delivery["id"]), (&json!("email-dsn"), mail));
        let told = &delivery["attributes"];
        assert_eq!((&told["state"], &told["email"], &told["bounce"]), (&json!("sent"), &json!(ADA), &Value::Null));
        let user = it.account(ADA).await.unwrap().profile.id.to_string();
        assert_eq!(users_invited(&it, "sent").await, [user]);
    }

    async fn the_first_invitation_goes_where_the_request_says_and_only_if_it_says_so(database) {
        let it = Identity::open(&database).await;
        let both = json!({ "patient-email": ADA, "phone-number": PHONE });
        let silent = onboard(&it, &it.admin, patient(&it, both).await).await;
        let none = json!({ "email": null, "sms": null });
        assert_eq!((&silent["attributes"]["last-invite"], &silent["attributes"]["email-dsn"]), (&none, &Value::Null));
        assert!(it.messages_to(ADA).await.is_empty() && it.messages_to(PHONE).await.is_empty());

        let by_text = json!({
            "patient-email": EVE, "phone-number": "+13035550124", "notifications": ["sms", "sms"],
            "email-user-now": true, "username": "+13035550124",
        });
        let created = onboard(&it, &it.admin, patient(&it, by_text).await).await;
        assert_eq!(created["attributes"]["last-invite"]["email"], Value::Null);
        assert!(it.messages_to(EVE).await.is_empty());
        assert_eq!(it.messages_to("+13035550124").await.len(), 1);
        let user = it.account(EVE).await.unwrap();
        assert_eq!(user.username_text(), "+13035550124");
    }

    async fn a_request_that_is_unfit_is_refused_by_its_member(database) {
        let it = Identity::open(&database).await;
        let whole = patient(&it, json!({ "patient-email": ADA })).await;
        let nurse = nurse(&it, json!({ "patient-email": ADA }));
        for (attributes, member, detail) in [
            (with(whole.clone(), json!({ "patient-email": null })), "patient-email", "phone-number is required"),
            (with(whole.clone(), json!({ "patient": null })), "patient", "is required for a patient"),
            (with(nurse.clone(), json!({ "patient": whole["patient"] })), "patient", "is for patients only"),
            (with(whole.clone(), json!({ "patient-email": "ada" })), "patient-email", ""),
            (with(whole.clone(), json!({ "patient-email": "a\u{202e}da@b.example" })), "patient-email", ""),
            (with(whole.clone(), json!({ "phone-number": "123" })), "phone-number", ""),
            (with(whole.clone(), json!({ "username": "phone" })), "username", "one of the given addresses"),
            (with(whole.clone(), json!({ "username": EVE })), "username", "one of the given addresses"),
            (with(whole.clone(), json!({ "provider-roles": ["org.provider"] })), "provider-roles", "providers only"),
            (with(nurse.clone(), json!({ "provider-roles": ["org.member"] })), "provider-roles", ""),
            (with(nurse.clone(), json!({ "provider-roles": ["system.admin"] })), "provider-roles", ""),
            (with(whole.clone(), json!({ "notifications": ["sms"] })), "notifications", "without an address"),
            (with(whole.clone(), json!({ "notifications": ["fax"] })), "notifications/0", ""),
            (with(whole.clone(), json!({ "auto-sign-up": true })), "password", "is required"),
            (with(whole.clone(), json!({ "password": PASSWORD })), "password", "only with auto-sign-up"),
            (with(whole.clone(), json!({ "auto-sign-up": true, "password": "ada" })), "password", ""),
            (with(whole.clone(), json!({ "communication-preferences": [] })), "communication-preferences", ""),
            (with(whole.clone(), json!({ "created-by": it.provider.id })), "created-by", ""),
        ] {
            let (named, told) = not_created(&it, &it.admin, &attributes, 400).await;
            let place = named.strip_prefix(member);
            assert!(place.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{named}: {attributes}");
            assert!(told.contains(detail), "{told}: {attributes}");
        }
        let other_type = document("onboardings", whole);
        it.post_refused(&it.admin, REQUESTS, &other_type, 409, "conflict").await;
        assert!(it.account(ADA).await.is_none());
    }

    async fn unseen_resources_are_refused_like_unknown_ones(database) {
        let it = Identity::open(&database).await;
        let whole = patient(&it, json!({ "patient-email": ADA })).await;
        // Another organization, and individuals and groups of others.
        let mut told = vec![];
        for organization in [Uuid::now_v7(), it.acme] {
            let attributes = with(whole.clone(), json!({ "organization": organization }));
            told.push(not_created(&it, &it.other_admin, &attributes, 400).await);
        }
        assert_eq!((told[0].0.as_str(), &told[0]), ("organization", &told[1]));

        let (foreign, own) = (it.individual(it.other).await, it.participant.individual.unwrap());
        let mut told = vec![];
        // The individual of a person is theirs to bring along.
        for individual in [Uuid::now_v7(), foreign, own] {
            let attributes = with(whole.clone(), json!({ "patient": individual }));
            told.push(not_created(&it, &it.admin, &attributes, 400).await);
        }
        assert!(told.iter().all(|one| *one == told[0]) && told[0].0 == "patient", "{told:?}");
        // System admins see the individual, which is none of the organization all the same.
        let attributes = with(whole.clone(), json!({ "patient": foreign }));
        assert_eq!(not_created(&it, &it.system, &attributes, 400).await, told[0]);

        let group = it.post(&it.other_admin, V1, &new_group_with(it.other, "Ward", &json!({}))).await["data"].take();
        for name in ["individual-group-id", "individual-group-ids"] {
            let mut told = vec![];
            for group in [Uuid::now_v7().to_string(), id(&group).to_owned()] {
                let group = if name.ends_with('s') { json!([group]) } else { json!(group) };
                told.push(not_created(&it, &it.admin, &with(whole.clone(), json!({ name: group })), 400).await);
            }
            assert_eq!((told[0].0.starts_with(name), &told[0]), (true, &told[1]));
        }
        let attributes = with(whole, json!({ "individual-group-ids": [id(&group)] }));
        let (named, _) = not_created(&it, &it.system, &attributes, 400).await;
        assert_eq!(named, "individual-group-ids/0");
    }

    async fn only_providers_and_admins_onboard(database) {
        let it = Identity::open(&database).await;
        let attributes = patient(&it, json!({ "patient-email": ADA })).await;
        let acting = represented(&it, &it.admin).await;
        for caller in [&it.participant, &it.service, &acting] {
            it.post_refused(caller, REQUESTS, &request(attributes.clone()), 403, "forbidden").await;
        }
        let created = onboard(&it, &it.provider, attributes).await;
        let list = format!("{REQUESTS}?organization={}", it.acme);
        for caller in [&it.participant, &it.service] {
            it.get_refused(caller, &list, 403, "forbidden").await;
        }
        let unknown = it.get_refused(&it.participant, &path(Uuid::now_v7()), 404, "not-found").await;
        for caller in [&it.participant, &it.service, &it.other_admin] {
            assert_eq!(it.get_refused(caller, &path_of(&created), 404, "not-found").await, unknown);
            it.patch_refused(caller, &path_of(&created), &corrected(&created, EVE), 404, "not-found").await;
            it.post_refused(caller, &format!("{}email/", path_of(&created)), &resend(), 404, "not-found").await;
        }
        it.patch_refused(&acting, &path_of(&created), &corrected(&created, EVE), 403, "forbidden").await;
    }

    async fn providers_hand_out_no_roles_passwords_and_confirmations(database) {
        let it = Identity::open(&database).await;
        let whole = patient(&it, json!({ "patient-email": ADA })).await;
        for attributes in [
            nurse(&it, json!({ "patient-email": ADA })),
            nurse(&it, json!({ "patient-email": ADA, "provider-roles": ["org.admin"] })),
            with(whole.clone(), json!({ "auto-confirm": true })),
            with(whole.clone(), json!({ "auto-sign-up": true, "password": PASSWORD })),
            with(whole.clone(), json!({ "password": PASSWORD })),
        ] {
            it.post_refused(&it.provider, REQUESTS, &request(attributes), 403, "forbidden").await;
        }
        // Nor do they take over what admins hand out: the new address would get the roles.
        let attributes = nurse(&it, json!({ "patient-email": ADA, "email-user-now": true }));
        let created = onboard(&it, &it.admin, attributes).await;
        assert_eq!(created["attributes"]["provider-roles"], json!(["org.provider"]));
        assert_eq!(it.messages_to(ADA).await[0]["kind"], "onboarding-provider");
        it.get(&it.provider, &path_of(&created)).await;
        it.patch_refused(&it.provider, &path_of(&created), &corrected(&created, EVE), 403, "forbidden").await;
        it.post_refused(&it.provider, &format!("{}email/", path_of(&created)), &resend(), 403, "forbidden").await;
        // The groups of a request are those that its creator may change.
        let ward = it.ward("Ward 7").await;
        let attributes = with(whole, json!({ "individual-group-ids": [ward] }));
        it.post_refused(&it.provider, REQUESTS, &request(attributes), 403, "forbidden").await;
    }

    async fn providers_of_a_restricted_organization_onboard_the_individuals_that_they_see(database) {
        let it = Identity::open(&database).await;
        let (seen, unseen) = (it.individual(it.other).await, it.individual(it.other).await);
        let leader = leader_elsewhere(&it, &[seen]).await;
        let of = |individual: Uuid, address: &str| {
            json!({ "organization": it.other, "patient": individual, "patient-email": address })
        };
        let unknown = not_created(&it, &leader, &of(Uuid::now_v7(), ADA), 400).await;
        assert_eq!(not_created(&it, &leader, &of(unseen, ADA), 400).await, unknown);
        let own = onboard(&it, &leader, of(seen, ADA)).await;
        let other = onboard(&it, &it.other_admin, of(unseen, EVE)).await;
        it.get(&leader, &path_of(&own)).await;
        let unknown = it.get_refused(&leader, &path(Uuid::now_v7()), 404, "not-found").await;
        assert_eq!(it.get_refused(&leader, &path_of(&other), 404, "not-found").await, unknown);
        it.patch_refused(&leader, &path_of(&other), &corrected(&other, "eva@unknown.example"), 404, "not-found").await;

        let list = |query: &str| format!("{REQUESTS}?organization={}{query}", it.other);
        let both = format!("&patient-ids={seen}&patient-ids={unseen}");
        let by_address = format!("&email={EVE}");
        for (query, found) in [("", 1), (both.as_str(), 1), (by_address.as_str(), 0)] {
            let shown = it.get(&leader, &list(query)).await;
            assert_eq!((ids(&shown).len(), &shown["meta"]["page[total]"]), (found, &json!(found)), "{query}");
            assert!(found == 0 || ids(&shown) == [id(&own)], "{query}");
        }
        assert_eq!(ids(&it.get(&it.other_admin, &list("")).await), [id(&own), id(&other)]);
        assert_eq!(ids(&it.get(&it.other_admin, &list(&both)).await).len(), 2);
    }

    async fn requests_are_listed_by_organization_kind_address_and_individual(database) {
        let it = Identity::open(&database).await;
        let (ada, _) = invite(&it, &it.admin, ADA).await;
        let (eve, _) = invite(&it, &it.provider, EVE).await;
        let nurse = onboard(&it, &it.admin, nurse(&it, json!({ "patient-email": "kim@unknown.example" }))).await;
        let individual = it.individual(it.other).await;
        let foreign = json!({ "organization": it.other, "patient": individual });
        let foreign = with(foreign, json!({ "patient-email": "max@unknown.example" }));
        onboard(&it, &it.other_admin, foreign).await;
        let list = |query: &str| format!("{REQUESTS}?organization={}&{query}", it.acme);
        let one = format!("patient-ids={}", ada["attributes"]["patient"].as_str().unwrap());
        let foreign = format!("patient-ids={individual}");
        let unlike = format!("{one}&email={EVE}");
        for (query, found) in [
            ("", vec![&ada, &eve]),
            ("onboard-type=patient", vec![&ada, &eve]),
            ("onboard-type=provider", vec![&nurse]),
            ("email=ADA@Unknown.example", vec![&ada]),
            ("email=max@unknown.example", vec![]),
            ("email=nonsense", vec![]),
            ("email=ada@unknown.example&onboard-type=provider", vec![]),
            (one.as_str(), vec![&ada]),
            (foreign.as_str(), vec![]),
            (unlike.as_str(), vec![]),
            ("page[limit]=1&page[offset]=1", vec![&eve]),
        ] {
            let shown = it.get(&it.provider, &list(query)).await;
            assert_eq!(ids(&shown), found.iter().map(|request| id(request)).collect::<Vec<_>>(), "{query}");
        }
        let shown = it.get(&it.admin, &list("with-invite=true&page[limit]=1")).await;
        assert_eq!((&shown["data"][0], &shown["meta"]["page[total]"]), (&ada, &json!(2)));
        let plain = it.get(&it.admin, &list("")).await;
        assert!(plain["data"][0]["attributes"].get("last-invite").is_none());

        let unknown = it.find_nothing(&it.other_admin, &format!("{REQUESTS}?organization={}", Uuid::now_v7())).await;
        assert_eq!(it.find_nothing(&it.other_admin, &list("with-invite=true")).await, unknown);
        let many: Vec<_> = (0..101).map(|_| format!("patient-ids={}", Uuid::now_v7())).collect();
        for (query, parameter) in [
            (REQUESTS.to_owned(), "organization"),
            (list(&many.join("&")), "patient-ids"),
            (list("patient-ids=ada"), "patient-ids"),
            (list("onboard-type=both"), "onboard-type"),
        ] {
            let error = it.get_refused(&it.admin, &query, 400, "validation-error").await;
            assert_eq!(error["source"]["parameter"], parameter, "{query}");
        }
    }

    async fn an_address_an_individual_or_a_member_that_is_known_is_a_conflict(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let first = patient(&it, json!({ "patient-email": ADA, "phone-number": PHONE })).await;
        onboard(&it, &it.provider, first.clone()).await;
        // That of a user elsewhere has no account of its own, and yet is taken.
        let second = patient(&it, json!({ "patient-email": grace.email })).await;
        onboard(&it, &it.provider, second.clone()).await;
        let free = async |more: Value| patient(&it, with(json!({ "patient-email": EVE }), more)).await;
        for (attributes, member) in [
            (free(json!({ "patient-email": "Ada@UNKNOWN.example" })).await, "patient-email"),
            (free(json!({ "phone-number": PHONE })).await, "phone-number"),
            (free(json!({ "patient": first["patient"] })).await, "patient"),
            (free(json!({ "patient": second["patient"] })).await, "patient"),
            (free(json!({ "patient-email": "GRACE@example.com" })).await, "patient-email"),
            (free(json!({ "patient-email": it.participant.email })).await, "patient-email"),
            (free(json!({ "patient-email": it.admin.email })).await, "patient-email"),
            (nurse(&it, json!({ "patient-email": ADA })), "patient-email"),
            (nurse(&it, json!({ "patient-email": it.provider.email })), "patient-email"),
        ] {
            assert_eq!(not_created(&it, &it.admin, &attributes, 409).await.0, member, "{attributes}");
        }
        assert!(it.account(EVE).await.is_none());
        // Another organization onboards the same people.
        for address in [ADA, &grace.email] {
            let individual = it.individual(it.other).await;
            let attributes = json!({ "organization": it.other, "patient": individual, "patient-email": address });
            if address == ADA {
                onboard(&it, &it.other_admin, attributes).await;
            } else {
                not_created(&it, &it.other_admin, &attributes, 409).await;
            }
        }
    }

    async fn a_provider_comes_upon_thirty_accounts_in_an_hour(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        let whole = patient(&it, json!({ "patient-email": grace.email })).await;
        onboard(&it, &it.provider, whole.clone()).await;
        for _ in 1..30 {
            not_created(&it, &it.provider, &whole, 409).await;
        }
        // Then it makes no difference whether the next address has an account.
        let free = patient(&it, json!({ "patient-email": ADA })).await;
        for attributes in [&whole, &free] {
            it.post_refused(&it.provider, REQUESTS, &request(attributes.clone()), 429, "rate-limited").await;
        }
        onboard(&it, &it.admin, free).await;
    }

    async fn of_creations_at_once_for_one_address_or_individual_one_succeeds(database) {
        let it = Identity::open(&database).await;
        let grace = it.person("grace", it.other, Some(Role::Provider)).await;
        for round in 0..3 {
            let (address, held) = (format!("ada-{round}@unknown.example"), round == 2);
            // Without an account of its own the request alone decides.
            let address = if held { &grace.email } else { &address };
            let individual = it.individual(it.acme).await;
            let mut calls = vec![];
            for caller in [&it.admin, &it.provider, &it.system] {
                let attributes = match round {
                    0 => patient(&it, json!({ "patient-email": address })).await,
                    _ => json!({ "organization": it.acme, "patient": individual, "patient-email": address }),
                };
                calls.push(it.call(caller, "POST", REQUESTS).json(&request(attributes)));
            }
            let statuses = at_once(&it, calls).await;
            assert_eq!((count(&statuses, 201), count(&statuses, 409)), (1, 2), "{statuses:?}");
        }
        // Of two organizations both succeed, with one account.
        let attributes = json!({ "organization": it.other, "patient": it.individual(it.other).await });
        let theirs = request(with(attributes, json!({ "patient-email": EVE, "email-user-now": true })));
        let ours = request(patient(&it, json!({ "patient-email": EVE, "email-user-now": true })).await);
        let calls = [(&it.admin, &ours), (&it.other_admin, &theirs)];
        let calls = calls.map(|(caller, body)| it.call(caller, "POST", REQUESTS).json(body));
        assert_eq!(at_once(&it, calls.into()).await, [201, 201]);
        assert_eq!(it.messages_to(EVE).await.len(), 2);
    }
}
