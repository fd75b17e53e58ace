//! Limits on guesses of codes, which hold alike for names without an account.

use super::*;
use crate::app::{creation, register_admin};
use crate::ecg_app::App;
use registrar::api::ApiSettings;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::organizations;
use registrar_aggregates::organization::TenancyAmendment;
use registrar_aggregates::values::OrganizationId;
use zeroize::Zeroizing;

/// Tries a wrong code; answers the status.
async fn guess(identity: &Identity, name: &str) -> u16 {
    confirm(identity, &entered(name, WRONG, NEW)).await.status.as_u16()
}

/// Everything that a stranger sees of a series of requests about one name, from a network of its own.
async fn series(app: &App, network: usize, name: &str, source: Option<&str>) -> Vec<Seen> {
    let peer = format!("198.51.{network}.1:4711");
    let (mut forgotten, mut guess) = (json!({ "username": name }), entered(name, WRONG, NEW));
    if let Some(source) = source {
        (forgotten["source"], guess["source"]) = (json!(source), json!(source));
    }
    let mut seen = Vec::new();
    let mut requests = vec![(FORGOT, &forgotten)];
    requests.extend([(CONFIRM, &guess); 6]);
    requests.extend([(FORGOT, &forgotten), (CONFIRM, &guess)]);
    for (path, sent) in requests {
        seen.push(visible(&app.call("POST", path).token(None).peer(&peer).json(sent).send().await));
    }
    seen
}

on_both_stores! {
    async fn no_answer_tells_whether_a_name_has_an_account(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        for (name, state) in [("init", UserState::Init), ("disabled", UserState::Disabled)] {
            let email = format!("{name}@example.com");
            with_password(&identity, &email, Role::Provider, |creation| creation.state = state).await;
        }
        let gone = with_password(&identity, "gone@example.com", Role::Provider, |_| {}).await;
        membership::archive(identity.node(), &RequestContext::system(), UserId(gone)).await.unwrap();
        // An account of staff that signs in at its organization, an unverified address, and an admin of Registrar.
        let (node, system, other) = (identity.node(), RequestContext::system(), OrganizationId(identity.other));
        let hash = identity.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        let url = TenancyAmendment { sign_in_url: Some(Some("https://idp.example.org".into())), ..TenancyAmendment::default() };
        organizations::amend(node, &system, other, url, None).await.unwrap();
        let part = Some(FirstGrant::Member(other, Some(Role::Provider)));
        membership::create(node, &system, creation("elsewhere@example.com", Some(hash.clone())), part).await.unwrap();
        with_password(&identity, "unverified@example.com", Role::Provider, |creation| {
            creation.contacts.email_verified = false;
        })
        .await;
        register_admin(node, "root@example.com", &hash).await;

        let head = identity.head().await;
        let nobody = series(&identity.app, 0, "nobody@example.com", None).await;
        assert_eq!(identity.head().await, head, "an unknown name leaves events");
        let statuses: Vec<_> = nobody.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, [201, 400, 400, 400, 400, 400, 429, 201, 400]);
        let names = [
            (ADA, None),
            (ADA, Some("sms")),
            ("nobody@example.com", Some("sms")),
            ("init@example.com", None),
            ("disabled@example.com", None),
            ("gone@example.com", None),
            ("elsewhere@example.com", None),
            ("unverified@example.com", None),
            ("root@example.com", None),
            (PHONE, None),
            ("no address", Some("email")),
            ("", None),
        ];
        // A few at once: the test server hashes one password at a time, and few wait.
        for (chunk, few) in names.chunks(4).enumerate() {
            let seen = futures::future::join_all(few.iter().enumerate().map(|(place, (name, source))| {
                series(&identity.app, 1 + chunk * 4 + place, name, *source)
            }));
            for ((name, source), seen) in few.iter().zip(seen.await) {
                assert_eq!(seen, nobody, "{name:?} by {source:?}");
            }
        }
        assert_eq!(identity.kinds_to(ADA).await, ["forgot-password", "forgot-password"]);
        for (name, _) in &names[2..] {
            assert!(identity.messages_to(name).await.is_empty(), "{name}");
        }
    }

    async fn a_name_whose_address_got_other_messages_is_answered_like_an_unknown_one(database) {
        let identity = Identity::open(&database).await;
        let id = ada(&identity).await;
        for _ in 0..3 {
            let to = Contact::Email(EmailAddress::parse(ADA).unwrap());
            issued(&identity, id, Purpose::Email, to).await;
        }
        let nobody = series(&identity.app, 0, "nobody@example.com", None).await;
        assert_eq!(series(&identity.app, 1, ADA, None).await, nobody);
        assert_eq!(identity.messages_to(ADA).await.len(), 3, "none is sent beyond the quota");
    }

    async fn another_server_answers_alike_as_well(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        let other = App::over(database.open().await, ApiSettings::default()).await;
        let nobody = series(&identity.app, 0, "nobody@example.com", None).await;
        assert_eq!(series(&identity.app, 1, ADA, None).await, nobody);
        assert_eq!(series(&other, 2, "nobody@example.com", None).await, nobody);
        // The events of the first server lock the account, and its address has had three messages.
        assert_eq!(series(&other, 3, ADA, None).await, nobody);
        assert_eq!(identity.messages_to(ADA).await.len(), 3);
    }

    async fn an_address_gets_three_codes_in_ten_minutes(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        for name in [ADA, "ADA@example.com", "ada@EXAMPLE.com"] {
            code_for(&identity, name).await;
        }
        let last = identity.inbox_code(ADA).await;
        let head = identity.head().await;
        assert_eq!(forget(&identity, &json!({ "username": ADA })).await.ok(), json!(null));
        assert_eq!((identity.head().await, identity.messages_to(ADA).await.len()), (head, 3));
        // The last code that was sent is still good.
        assert_eq!(confirm(&identity, &entered(ADA, &last, NEW)).await.status, 201);
    }

    async fn many_guesses_at_once_are_five_at_most(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        let code = code_for(&identity, ADA).await;
        for name in [ADA, "nobody@example.com"] {
            let guesses = futures::future::join_all((0..24).map(|_| guess(&identity, name))).await;
            let mut wrong = guesses.iter().filter(|status| **status == 400).count();
            assert!(guesses.iter().all(|status| [400, 429, 503].contains(status)), "{guesses:?}");
            while guess(&identity, name).await == 400 {
                wrong += 1;
            }
            assert_eq!(wrong, 5, "{name}: {guesses:?}");
        }
        let locked = confirm(&identity, &entered(ADA, &code, NEW)).await;
        refusal(&locked, 429, "rate-limited");
        let seconds: u64 = locked.header("retry-after").parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
        assert!(signs_in(&identity, ADA, PASSWORD).await);
        // Another code begins with five tries.
        let code = code_for(&identity, ADA).await;
        is_wrong(&identity, ADA, WRONG).await;
        assert_eq!(confirm(&identity, &entered(ADA, &code, NEW)).await.status, 201);
    }

    async fn wrong_codes_of_any_names_lock_their_network(database) {
        let identity = Identity::open(&database).await;
        ada(&identity).await;
        let code = code_for(&identity, ADA).await;
        let from = |peer: &'static str, sent: Value| {
            let identity = &identity;
            async move { identity.app.call("POST", CONFIRM).token(None).peer(peer).json(&sent).send().await }
        };
        let names: Vec<String> = (0..60).map(|number| format!("{number}@example.com")).collect();
        for few in names.chunks(6) {
            let answers = few.iter().map(|name| from("192.0.2.1:4711", entered(name, WRONG, NEW)));
            for answer in futures::future::join_all(answers).await {
                refusal(&answer, 400, "code-invalid");
            }
        }
        // Adjacent addresses count as one network.
        let locked = from("192.0.2.99:4711", entered(ADA, &code, NEW)).await;
        refusal(&locked, 429, "rate-limited");
        // Sign-ins are counted apart, and other networks are not concerned.
        let credentials = json!({ "username": ADA, "password": PASSWORD });
        let call = identity.app.call("POST", "/v1/login/").token(None).peer("192.0.2.1:4711").json(&credentials);
        assert_eq!(call.send().await.status, 201);
        assert_eq!(from("192.0.3.1:4711", entered(ADA, &code, NEW)).await.status, 201);
    }

    async fn a_weak_password_uses_no_code_and_does_not_tell_whether_it_is_right(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, ADA, Role::Provider, |creation| {
            creation.names.last_name = "Zebrowskaya".to_owned();
        })
        .await;
        let code = code_for(&identity, ADA).await;
        let call = |code: &str, password: &str| {
            identity.app.call("POST", CONFIRM).token(None).json(&entered(ADA, code, password))
        };
        for (given, weak) in [(code.as_str(), "short"), (WRONG, "short"), (code.as_str(), "password1")] {
            let error = identity.refused(call(given, weak), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/password");
        }
        // Words of the owner are told to readers of the code alone.
        let error = identity.refused(call(&code, "Zebrowskaya!"), 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/password");
        refusal(&call(WRONG, "Zebrowskaya!").send().await, 400, "code-invalid");
        for wrong in [json!({}), json!({ "username": ADA }), entered(ADA, &"1".repeat(21), NEW), entered(ADA, &code, &"x".repeat(256))] {
            let call = identity.app.call("POST", CONFIRM).token(None).json(&wrong);
            identity.refused(call, 400, "validation-error").await;
        }
        for wrong in [json!({}), json!({ "username": 1 }), json!({ "username": ADA, "source": "pigeon" })] {
            let call = identity.app.call("POST", FORGOT).token(None).json(&wrong);
            identity.refused(call, 400, "validation-error").await;
        }
        assert_eq!(call(&code, NEW).send().await.status, 201);
    }
}
