//! Sign-up by the code of an organization.

use super::*;
use crate::app::register_admin;
use crate::on_both_stores;
use crate::service_documents::{publish, version, within};
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::values::OrganizationId;

/// The form that Acme has its people fill in.
fn questions() -> Value {
    json!({
        "type": "object",
        "required": ["mrn"],
        "properties": { "mrn": { "type": "string", "pattern": "^[0-9]{6}$" }, "notes": { "type": "string" } },
    })
}

on_both_stores! {
    async fn a_person_signs_up_by_the_code_of_an_organization(database) {
        let it = Identity::open(&database).await;
        let ward = it.ward("Ward 7").await;
        it.sign_up_code(CODE, json!({ "individual-group-id": ward, "enrollment-schema": questions() })).await;
        let [terms] = publish(it.node(), [within(it.acme, version("terms", 1))]).await;
        let head = it.head().await;
        let ada = signs_up(&it, &form(ADA, json!({
            "organization-code": "SPRING",
            "contact-phone-mobile": PHONE,
            "birth-date": "1815-12-10",
            "gender": "female",
            "preferred-name": " Gussie ",
            "notifications": ["sms"],
            "source": "email",
            "set-username": "email",
            "locale": "es_US",
            "tz": "Europe/London",
            "enrollment-data": { "mrn": "123456" },
            "service-document-agreements": [terms],
            "auto-confirm": true,
            "auto-sign-up": true,
        }))).await;
        let events = it.events_since(head).await;
        for name in [
            "user.created", "user.enrolled", "user.documents-agreed", "individual.recorded", "one-time-code.issued",
            "quota.used", "message.composed",
        ] {
            assert!(events.iter().any(|event| event == name), "no {name}: {events:?}");
        }

        let user = seen(&it, &it.admin, ada).await;
        let expected = json!({
            "state": "registered",
            "registered": false,
            "enabled": true,
            "email": ADA,
            "email-verified": false,
            "phone": PHONE,
            "phone-type": "mobile",
            "phone-verified": false,
            "username": ADA,
            "first-name": "Ada",
            "last-name": "Lovelace",
            "birth-date": "1815-12-10",
            "locale": "es_US",
            "locale-explicit": true,
            "tz": "Europe/London",
            "tz-explicit": true,
            "organization-ids": [it.acme],
            "org-code-signup-requests": [{ "id": ada, "organization-code-id": CODE }],
            "onboarding-requests": [],
            "enrollment-data": { "mrn": "123456" },
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&user[name], value, "{name}");
        }
        let roles: Vec<_> = user["roles"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
        assert_eq!(roles, ["org.member"]);
        let individual = user["primary-individual-id"].as_str().unwrap();
        let placed = it.shown(&it.admin, &ward).await;
        let own = placed["individuals"].as_array().unwrap().iter().find(|one| one["id"] == individual);
        assert_eq!(own.unwrap()["preferred-name"], "Gussie", "{placed}");

        assert!(it.messages_to(PHONE).await.is_empty());
        let message = it.messages_to(ADA).await.pop().unwrap();
        let code = message["code"].as_str().unwrap();
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{message}");
        assert_eq!((&message["kind"], &message["locale"]), (&json!("verify-email"), &json!("es_US")));
        assert!(message["text"].as_str().unwrap().contains(code), "{message}");
        // The code is needed for any form.
        refusal(&attempt(&it, &json!({ "username": ADA, "password": NEW })).await, 403, "forbidden");
        confirms(&it, ADA, ADA).await;
        assert!(signs_in(&it, ADA).await);
        // The events are those of the organization, and the system is the actor: sign-ups have no caller.
        let events = it.app.get("/audit/events?eventType=user.enrolled").await.ok();
        let event = events["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(event["aggregateId"], json!(ada));
        assert_eq!(event["metadata"]["actor"]["type"], "system");
        assert_eq!(event["metadata"]["organizationId"], json!(it.acme));
    }

    async fn a_code_goes_by_the_channel_that_is_wanted(database) {
        let it = open(&database).await;
        let number = |last: usize| format!("+1202555010{last}");
        for (place, (more, by_phone)) in [
            (json!({}), false),
            (json!({ "source": "sms" }), true),
            (json!({ "notifications": ["sms", "email"] }), true),
            (json!({ "notifications": ["sms"], "source": "email" }), false),
            (json!({ "set-username": "phone" }), false),
        ].into_iter().enumerate() {
            let (email, phone) = (format!("{place}@example.com"), number(place));
            signs_up(&it, &with(form(&email, json!({ "contact-phone-mobile": phone })), more.clone())).await;
            let counts = (it.messages_to(&email).await.len(), it.messages_to(&phone).await.len());
            assert_eq!(counts, if by_phone { (0, 1) } else { (1, 0) }, "{more}");
        }
        for (place, (more, by_phone)) in [
            (json!({}), true),
            (json!({ "notifications": ["email"] }), false),
        ].into_iter().enumerate() {
            let (email, phone) = (format!("other{place}@example.com"), number(place + 5));
            let id = signs_up(&it, &with(form(&phone, json!({ "email": email })), more.clone())).await;
            let counts = (it.messages_to(&email).await.len(), it.messages_to(&phone).await.len());
            assert_eq!(counts, if by_phone { (0, 1) } else { (1, 0) }, "{more}");
            // The contact that got the code is verified, although another name is typed with it.
            confirms(&it, &phone, if by_phone { &phone } else { &email }).await;
            let user = seen(&it, &it.admin, id).await;
            assert_eq!((&user["phone-verified"], &user["email-verified"]), (&json!(by_phone), &json!(!by_phone)));
        }
    }

    async fn everything_that_a_form_has_wrong_is_told_at_once(database) {
        let it = Identity::open(&database).await;
        it.sign_up_code("Plain", json!({})).await;
        it.sign_up_code(CODE, json!({ "enrollment-schema": questions() })).await;
        let plain = |username: &str, more: Value| with(form(username, json!({ "organization-code": "Plain" })), more);
        let deep = (0..16).fold(json!({}), |inner, _| json!({ "a": inner }));
        for (wrong, pointers) in [
            (plain("ada", json!({})), vec!["/username"]),
            (plain("", json!({})), vec!["/username"]),
            (plain("a\u{202e}da@example.com", json!({})), vec!["/username"]),
            (plain("+1 202", json!({})), vec!["/username"]),
            (plain(ADA, json!({ "first-name": " ", "last-name": "Love\u{202e}lace" })), vec!["/first-name", "/last-name"]),
            (plain(ADA, json!({ "first-name": "x".repeat(256), "last-name": "\u{200b}" })), vec!["/first-name", "/last-name"]),
            (plain(ADA, json!({ "email": "king@example.com" })), vec!["/email"]),
            (plain(PHONE, json!({ "contact-phone-mobile": "+12025550199" })), vec!["/contact-phone-mobile"]),
            (plain(ADA, json!({ "contact-phone-mobile": "12025550123" })), vec!["/contact-phone-mobile"]),
            (plain(ADA, json!({ "set-username": "phone", "source": "sms" })), vec!["/set-username", "/source"]),
            (plain(ADA, json!({ "service-document-agreements": ["terms"] })), vec!["/service-document-agreements"]),
            (plain(ADA, json!({ "password": "short" })), vec!["/password"]),
            (plain(ADA, json!({ "password": "password1" })), vec!["/password"]),
            (plain(ADA, json!({ "password": "x".repeat(256) })), vec!["/password"]),
            (plain(ADA, json!({ "last-name": "Zebrowskaya", "password": "Zebrowskaya!" })), vec!["/password"]),
            (plain(ADA, json!({ "enrollment-data": deep })), vec!["/enrollment-data"]),
            (plain(ADA, json!({ "enrollment-data": { "a\u{202e}": 1 } })), vec!["/enrollment-data"]),
            (plain(ADA, json!({ "enrollment-data": { "a": 9_007_199_254_740_993_u64 } })), vec!["/enrollment-data"]),
            (plain(ADA, json!({ "preferred-name": "\u{2066}" })), vec!["/preferred-name"]),
            (form(ADA, json!({})), vec!["/enrollment-data"]),
            (form(ADA, json!({ "enrollment-data": { "mrn": "12345" } })), vec!["/enrollment-data"]),
            (
                plain(ADA, json!({
                    "email": "x", "set-username": "phone", "source": "sms", "enrollment-data": { "a": "\u{202e}" },
                    "preferred-name": " ", "service-document-agreements": ["x"], "password": "short",
                })),
                vec![
                    "/email", "/set-username", "/source", "/enrollment-data", "/preferred-name",
                    "/service-document-agreements", "/password",
                ],
            ),
        ] {
            refused_at(&it, &wrong, 400, &pointers).await;
        }
        let error = refused_at(&it, &form(ADA, json!({ "enrollment-data": { "mrn": "secret" } })), 400, &["/enrollment-data"]).await;
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains("mrn") && !detail.contains("secret"), "{detail}");
        assert!(holder(&it, ADA).await.is_none() && it.messages_to(ADA).await.is_empty());
    }

    async fn a_body_of_another_shape_is_refused_before_anything_is_done(database) {
        let it = open(&database).await;
        for (member, value) in [
            ("username", json!(1)), ("password", json!(null)), ("first-name", json!(["Ada"])), ("last-name", json!({})),
            ("organization-code", json!(7)), ("referral-code", json!("x")), ("enrollment-data", json!("text")),
            ("enrollment-data", json!([])), ("notifications", json!(["pigeon"])), ("notifications", json!("sms")),
            ("locale", json!("de_DE")), ("birth-date", json!("yesterday")), ("tz", json!("Mars/Olympus")),
            ("gender", json!("unheard")), ("set-username", json!("handle")), ("source", json!("pigeon")),
            ("auto-confirm", json!("yes")), ("service-document-agreements", json!("all")), ("roles", json!(["org.admin"])),
            ("state", json!("confirmed")),
        ] {
            let call = it.app.call("POST", SIGN_UP).token(None).json(&form(ADA, json!({ member: value })));
            it.refused(call, 400, "validation-error").await;
        }
        for missing in ["username", "password", "first-name", "last-name", "organization-code"] {
            let mut form = form(ADA, json!({}));
            form.as_object_mut().unwrap().remove(missing);
            it.refused(it.app.call("POST", SIGN_UP).token(None).json(&form), 400, "validation-error").await;
        }
        let head = it.head().await;
        let flood = json!({ "notes": "x".repeat(5 * 1024 * 1024) });
        for notes in [json!({ "notes": "x".repeat(17 * 1024) }), flood] {
            let form = form(ADA, json!({ "enrollment-data": notes }));
            let answer = it.app.call("POST", SIGN_UP).token(None).json(&form).send().await;
            refusal(&answer, 413, "too-large");
        }
        let nested = format!("{{\"enrollment-data\":{}", "[".repeat(15_000));
        let call = it.app.call("POST", SIGN_UP).token(None).header("content-type", "application/json").bytes(nested);
        assert_eq!(call.send().await.status, 400);
        assert_eq!(it.head().await, head);
        // Data within the bounds is kept as it was sent.
        let data = json!({ "notes": "\u{1f469}\u{200d}\u{1f52c}".repeat(1_000), "weight": 82.5, "none": null });
        let ada = signs_up(&it, &form(ADA, json!({ "enrollment-data": data }))).await;
        assert_eq!(seen(&it, &it.admin, ada).await["enrollment-data"], data);
    }

    async fn closed_codes_read_like_unknown_ones(database) {
        let it = open(&database).await;
        let [retired, deleted] = [
            it.organization("Retired", Authorization::Open).await,
            it.organization("Deleted", Authorization::Open).await,
        ];
        for (id, organization) in [("Retired", retired), ("Deleted", deleted)] {
            it.post(&it.system, CODES, &crate::organization_codes::code(organization, id, json!({}))).await;
        }
        it.retire(OrganizationId(retired)).await;
        it.delete(OrganizationId(deleted)).await;
        it.sign_up_code("Expired", json!({ "expires-at": "2000-01-01 00:00:00" })).await;
        let sent = |code: &str| form(ADA, json!({ "organization-code": code }));
        let unknown = refused_at(&it, &sent("Unknown"), 400, &["/organization-code"]).await;
        for code in ["Retired", "Deleted", "expired", "", "a b", &"x".repeat(300)] {
            assert_eq!(refused_at(&it, &sent(code), 400, &["/organization-code"]).await, unknown, "{code}");
        }
        // Nothing else is told without a valid code: neither of the account nor of the form.
        let taken = form(&it.participant.email, json!({ "organization-code": "Unknown", "password": "short" }));
        assert_eq!(refused_at(&it, &taken, 400, &["/organization-code"]).await, unknown);
    }

    async fn binding_documents_are_agreed_to_at_once(database) {
        let it = open(&database).await;
        let [all, own, other] = publish(it.node(), [
            version("terms", 1), within(it.acme, version("terms", 1)), within(it.other, version("terms", 1)),
        ]).await;
        let agreeing = |documents: &[Uuid]| form(ADA, json!({ "service-document-agreements": documents }));
        let pointer = ["/service-document-agreements"];
        let error = refused_at(&it, &form(ADA, json!({})), 400, &pointer).await;
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains(&all.to_string()) && detail.contains(&own.to_string()), "{detail}");
        refused_at(&it, &agreeing(&[all]), 400, &pointer).await;
        refused_at(&it, &agreeing(&[all, own, other]), 400, &pointer).await;
        refused_at(&it, &agreeing(&[all, own, Uuid::now_v7()]), 400, &pointer).await;
        signs_up(&it, &agreeing(&[all, own])).await;
        confirms(&it, ADA, ADA).await;
        assert!(signs_in(&it, ADA).await, "the agreements count at sign-in");
    }

    async fn a_taken_address_is_told_to_holders_of_a_code(database) {
        let it = open(&database).await;
        let hash = it.app.state.passwords.hash(zeroize::Zeroizing::new(NEW.to_owned())).await.unwrap();
        register_admin(it.node(), "root@example.com", &hash).await;
        signs_up(&it, &form(ADA, json!({ "contact-phone-mobile": PHONE }))).await;
        let participant = it.participant.email.clone();
        for (taken, pointer) in [
            (form(&participant.to_uppercase(), json!({})), "/username"),
            (form(" Ada@EXAMPLE.com ", json!({})), "/username"),
            (form("root@example.com", json!({})), "/username"),
            (form(PHONE, json!({})), "/username"),
            (form("new@example.com", json!({ "contact-phone-mobile": PHONE })), "/contact-phone-mobile"),
            (form("+12025550199", json!({ "email": participant })), "/email"),
        ] {
            refused_at(&it, &taken, 409, &[pointer]).await;
        }
        assert_eq!(it.kinds_to(ADA).await, ["verify-email"], "nobody is told again");
    }

    async fn a_network_is_told_of_few_taken_addresses(database) {
        let it = open(&database).await;
        let sent = async |network: usize, name: &str| from(&it, network, SIGN_UP, &form(name, json!({}))).await.status.as_u16();
        // Of one address as often as of many; others of the network go on.
        for _ in 0..10 {
            assert_eq!(sent(1, &it.participant.email).await, 409);
        }
        let locked = from(&it, 1, SIGN_UP, &form(&it.participant.email, json!({}))).await;
        refusal(&locked, 429, "rate-limited");
        let seconds: u64 = locked.header("retry-after").parse().unwrap();
        assert!((1..=60 * 60).contains(&seconds), "{seconds}");
        assert_eq!((sent(1, "first@example.com").await, sent(2, &it.participant.email).await), (201, 409));
        // A network that tries a list is refused after ten taken addresses, also for a free one.
        let known = [&it.system, &it.service, &it.admin, &it.provider, &it.participant, &it.other_admin];
        let mut names: Vec<String> = known.iter().map(|person| person.email.clone()).collect();
        for name in ["a", "b", "c", "d"] {
            names.push(it.person(name, it.acme, None).await.email);
        }
        for name in &names {
            assert_eq!(sent(3, name).await, 409, "{name}");
        }
        assert_eq!((sent(3, &names[0]).await, sent(3, "second@example.com").await), (429, 429));
        assert_eq!(sent(4, "second@example.com").await, 201);
    }

    async fn an_address_that_got_too_many_messages_counts_like_a_taken_one(database) {
        let it = open(&database).await;
        for number in 0..10 {
            let address = format!("{number}@example.com");
            floods(&it, &address).await;
            refusal(&from(&it, 1, SIGN_UP, &form(&address, json!({}))).await, 429, "rate-limited");
        }
        refusal(&from(&it, 1, SIGN_UP, &form(ADA, json!({}))).await, 429, "rate-limited");
        assert_eq!(from(&it, 2, SIGN_UP, &form(ADA, json!({}))).await.status, 201);
    }

    async fn another_organization_sees_nothing_of_a_sign_up(database) {
        let it = open(&database).await;
        let ada = signs_up(&it, &form(ADA, json!({ "enrollment-data": { "mrn": "123456" } }))).await;
        for caller in [&it.other_admin, &it.participant] {
            it.get_refused(caller, &format!("/v1/users/{ada}/"), 404, "not-found").await;
        }
        it.find_nothing(&it.other_admin, &format!("/v1/users/?email={ADA}&organization-id={}", it.other)).await;
        // Her answers to the organization are not for one that she joins later.
        registrar::processes::membership::join(
            it.node(), &registrar::executor::RequestContext::system(),
            &registrar_aggregates::granting::Granter::system(),
            registrar_aggregates::values::UserId(ada), OrganizationId(it.other), None,
        ).await.unwrap();
        let user = seen(&it, &it.other_admin, ada).await;
        assert!(user.get("enrollment-data").is_none(), "{user}");
        assert_eq!(seen(&it, &it.admin, ada).await["enrollment-data"], json!({ "mrn": "123456" }));
    }

    async fn a_request_with_a_key_signs_up_once(database) {
        let it = open(&database).await;
        let sent = async |body: Value| {
            let call = it.app.call("POST", SIGN_UP).token(None).header("idempotency-key", "one");
            call.json(&body).send().await
        };
        let first = sent(form(ADA, json!({}))).await;
        let head = it.head().await;
        let again = sent(form(ADA, json!({}))).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.status, again.text), (first.status, first.text));
        assert_eq!((it.head().await, it.messages_to(ADA).await.len()), (head, 1));
        // Without the key it is another sign-up.
        refused_at(&it, &form(ADA, json!({})), 409, &["/username"]).await;
    }

    async fn the_journal_has_nothing_personal_of_a_sign_up_in_the_clear(database) {
        let it = open(&database).await;
        signs_up(&it, &form("augusta@unheard-of.example", json!({
            "first-name": "Augusta-Ada", "preferred-name": "Gussie-Gus", "enrollment-data": { "notes": "Likes-sums" },
            "contact-phone-mobile": PHONE, "birth-date": "1815-12-10",
        }))).await;
        let mut sql = database.sql().await;
        let journal = |table: &String| {
            table.starts_with("events") || ["claims", "idempotency_keys", "snapshots", "streams"].contains(&table.as_str())
        };
        let mut rows = String::new();
        for table in sql.tables().await.iter().filter(|table| journal(table)) {
            rows.push_str(&sql.rows(table).await.join("\n"));
        }
        // Binary columns are written in hexadecimal digits.
        let digits = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let has = |text: &str| rows.contains(text) || rows.contains(&digits(text));
        assert!(has("user.enrolled"), "the events are read");
        for text in ["unheard-of", "Augusta-Ada", "Gussie-Gus", "Likes-sums", PHONE, "1815-12-10", NEW] {
            assert!(!has(text), "{text} stands in the journal");
        }
    }
}
