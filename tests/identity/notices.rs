//! Notices: mails that tell users of acts on their account, in the commit of the act.

use crate::app::{Identity, PASSWORD, Person, creation, refusal, register_admin};
use crate::ecg_app::Answer;
use crate::matrix::world::document;
use crate::on_both_stores;
use crate::sign_in::{sign_in, with_password};
use crate::totp::{Device, code, device};
use futures::future::join_all;
use registrar::executor::RequestContext;
use registrar::messages::inbox::{CapturedMessage, InboxReader};
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::message::Kind;
use registrar_aggregates::user::{Locale, Phone, Role, SystemRole, Username};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

const NEW: &str = "another horse entirely, quite blue";

/// Tries to sign in from an address.
async fn from(it: &Identity, address: &str, name: &str, password: &str, code: Option<&str>) -> Answer {
    let mut body = json!({ "username": name, "password": password });
    if let Some(code) = code {
        body["totp-code"] = json!(code);
    }
    it.app.call("POST", "/v1/login/").token(None).peer(&format!("{address}:4711")).json(&body).send().await
}

/// Signs in from an address, which must succeed.
async fn enter(it: &Identity, address: &str, name: &str) {
    let answer = from(it, address, name, PASSWORD, None).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn inbox(it: &Identity) -> Vec<CapturedMessage> {
    InboxReader::default().next(it.node()).await.unwrap()
}

/// Kinds and addresses of all messages, in order.
async fn told(it: &Identity) -> Vec<(Kind, String)> {
    inbox(it).await.into_iter().map(|message| (message.message.kind, message.texts.to.clone())).collect()
}

fn to(kind: Kind, address: &str) -> (Kind, String) {
    (kind, address.to_owned())
}

/// A user of Acme with a password, in a session.
async fn person(it: &Identity, email: &str, role: Role) -> Person {
    let id = with_password(it, email, role, |_| {}).await;
    let token = sign_in(it, email).await["access-token"].as_str().unwrap().to_owned();
    Person { id, email: email.into(), individual: None, token }
}

/// An enabled device of a user, with its recovery codes.
async fn enabled(it: &Identity, person: &Person) -> (Device, Vec<String>) {
    let device = device(it, person).await;
    let codes = json!([code(&device.secret, -1), code(&device.secret, 0)]);
    let body = json!({ "password": PASSWORD, "codes": codes });
    let enabled = it.post(person, &format!("{}enable/", device.path), &body).await;
    let codes = enabled["meta"]["recovery-codes"].as_array().unwrap();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (device, codes)
}

on_both_stores! {
    async fn a_sign_in_from_a_new_network_is_told_once(database) {
        let it = Identity::open(&database).await;
        let ada = "ada@example.com";
        with_password(&it, ada, Role::Provider, |creation| creation.locale = Locale::EsUs).await;
        // The first network of all is no news, nor is a known one.
        for address in ["192.0.2.1", "192.0.2.99", "192.0.2.1"] {
            enter(&it, address, ada).await;
        }
        // Nor is what is refused.
        refusal(&from(&it, "198.51.100.1", ada, "wrong", None).await, 401, "bad-credentials");
        assert!(told(&it).await.is_empty());
        enter(&it, "198.51.100.1", ada).await;
        let messages = inbox(&it).await;
        let [message] = &*messages else { panic!("{} messages", messages.len()) };
        assert_eq!((message.message.kind, message.texts.to.as_str()), (Kind::NewSignIn, ada));
        let home = Some(OrganizationId(it.acme));
        assert_eq!((message.message.locale, message.message.organization_id), (Locale::EsUs, home));
        let content = &message.texts.content;
        assert!(content.text.contains("ada") && content.text.contains("Acme"), "{}", content.text);
        assert_eq!((&content.code, &content.link), (&None, &None));
        for address in ["198.51.100.7", "192.0.2.1"] {
            enter(&it, address, ada).await;
        }
        assert_eq!(told(&it).await.len(), 1);
    }

    async fn of_sign_ins_at_once_from_a_new_network_one_is_told(database) {
        let it = Identity::open(&database).await;
        with_password(&it, "ada@example.com", Role::Provider, |_| {}).await;
        enter(&it, "192.0.2.1", "ada@example.com").await;
        let attempts = (0..4).map(|_| from(&it, "198.51.100.1", "ada@example.com", PASSWORD, None));
        let answers = join_all(attempts).await;
        assert!(answers.iter().any(|answer| answer.status == 201), "{answers:?}");
        assert_eq!(told(&it).await, [to(Kind::NewSignIn, "ada@example.com")]);
    }

    async fn programs_admins_and_people_without_a_verified_address_are_told_of_no_sign_in(database) {
        let it = Identity::open(&database).await;
        let hash = it.app.state.passwords.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        with_password(&it, "ada@example.com", Role::Provider, |creation| {
            creation.contacts.email_verified = false;
            creation.contacts.phone = Phone::parse("+12025550123").ok();
            creation.contacts.phone_verified = true;
            creation.username = Username::Phone;
        }).await;
        let program = creation("program@example.com", Some(hash.clone()));
        let part = Some(FirstGrant::System(SystemRole::Service));
        membership::create(it.node(), &RequestContext::system(), program, part).await.unwrap();
        register_admin(it.node(), "root@example.com", &hash).await;
        for name in ["+12025550123", "program@example.com", "root@example.com"] {
            for address in ["192.0.2.1", "198.51.100.1"] {
                enter(&it, address, name).await;
            }
        }
        assert!(told(&it).await.is_empty());
    }

    async fn a_recovery_code_is_told(database) {
        let it = Identity::open(&database).await;
        let ada = person(&it, "ada@example.com", Role::Provider).await;
        let (device, codes) = enabled(&it, &ada).await;
        enter_with(&it, "", &ada, &code(&device.secret, 1)).await;
        assert!(told(&it).await.is_empty());
        enter_with(&it, "", &ada, &codes[0]).await;
        assert_eq!(told(&it).await, [to(Kind::SecondFactorRecovery, &ada.email)]);
        // A used code is refused and told no more. From a new network both are told.
        refusal(&from(&it, "192.0.2.1", &ada.email, PASSWORD, Some(&codes[0])).await, 401, "totp-invalid");
        assert_eq!(told(&it).await.len(), 1);
        enter_with(&it, "192.0.2.1", &ada, &codes[1]).await;
        let mut kinds: Vec<_> = told(&it).await.into_iter().map(|(kind, _)| kind.name()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["new-sign-in", "second-factor-recovery", "second-factor-recovery"]);
    }

    async fn a_second_factor_that_an_admin_disables_is_told_to_its_owner(database) {
        let it = Identity::open(&database).await;
        let ada = person(&it, "ada@example.com", Role::Provider).await;
        let grace = person(&it, "grace@example.com", Role::Admin).await;
        let password = json!({ "password": PASSWORD });
        let (device, _) = enabled(&it, &ada).await;
        let disable = format!("{}disable/", device.path);
        let wrong = it.call(&grace, "POST", &disable).json(&json!({ "password": "wrong" })).send().await;
        refusal(&wrong, 403, "bad-credentials");
        assert!(told(&it).await.is_empty());
        it.post(&grace, &disable, &password).await;
        assert_eq!(told(&it).await, [to(Kind::SecondFactorRecovery, "ada@example.com")]);
        // It is disabled already.
        let head = it.head().await;
        it.post(&grace, &disable, &password).await;
        assert_eq!(it.head().await, head);
        // Her own acts are no news to her.
        let (device, _) = enabled(&it, &ada).await;
        it.post(&ada, &format!("{}disable/", device.path), &password).await;
        assert_eq!(told(&it).await.len(), 1);
    }

    async fn a_person_whom_an_admin_adds_is_told(database) {
        let it = Identity::open(&database).await;
        let stranger = it.person_as("stranger@example.com", None).await;
        let acme = it.acme;
        let role = Role::Provider.id(OrganizationId(acme));
        let act = |act: &str| format!("/v1/organizations/{acme}/{act}-user/");
        let by_address = document("organizations", json!({ "email": "stranger@example.com", "role-id": role }));
        it.post(&it.admin, &act("add"), &by_address).await;
        let messages = inbox(&it).await;
        let [message] = &*messages else { panic!("{} messages", messages.len()) };
        assert_eq!(told(&it).await, [to(Kind::OrganizationAdded, "stranger@example.com")]);
        assert_eq!(message.message.organization_id, Some(OrganizationId(acme)));
        let content = &message.texts.content;
        assert_eq!(content.subject.as_deref(), Some("You were added to Acme"));
        assert_eq!(content.link.as_deref(), Some(it.app.state.settings.composer.app_url()));
        // A member who is added again, or gets a role, is told nothing.
        let head = it.head().await;
        it.post(&it.admin, &act("add"), &by_address).await;
        let pair = document("user-organizations", json!({ "user-id": stranger.id, "organization-id": acme }));
        it.post(&it.admin, "/v1/user-organizations/", &pair).await;
        assert_eq!(it.head().await, head);
        let own = document("organizations", json!({ "user-id": stranger.id }));
        it.post(&stranger, &act("remove"), &own).await;
        assert_eq!(told(&it).await.len(), 1);
        it.post(&it.system, "/v1/user-organizations/", &pair).await;
        let added = to(Kind::OrganizationAdded, "stranger@example.com");
        assert_eq!(told(&it).await, [added.clone(), added]);
        // Nor is one whom nothing was added to.
        let unknown = document("organizations", json!({ "user-id": Uuid::now_v7() }));
        it.post_refused(&it.admin, &act("add"), &unknown, 400, "validation-error").await;
    }

    async fn a_changed_password_is_told_to_the_verified_address(database) {
        let it = Identity::open(&database).await;
        let ada = person(&it, "ada@example.com", Role::Provider).await;
        let path = |id: Uuid| format!("/v1/users/{id}/change-password/");
        let change = |old: &str, new: &str| json!({ "old-password": old, "new-password": new });
        let wrong = it.call(&ada, "POST", &path(ada.id)).json(&change("wrong", NEW)).send().await;
        refusal(&wrong, 403, "bad-credentials");
        it.post_refused(&ada, &path(ada.id), &change(PASSWORD, "short"), 400, "validation-error").await;
        assert!(it.kinds_to("ada@example.com").await.is_empty());
        it.post(&ada, &path(ada.id), &change(PASSWORD, NEW)).await;
        assert_eq!(it.kinds_to("ada@example.com").await, ["password-changed"]);
        let told = it.messages_to("ada@example.com").await.pop().unwrap();
        assert!(told["code"].is_null() && told["link"].is_null() && !told.to_string().contains(NEW), "{told}");
        // While another address waits, the verified one is told.
        it.post(&ada, &format!("/v1/users/{}/change-email/", ada.id), &json!({ "email": "king@example.com" })).await;
        let support = json!({ "context": "carium-support", "new-password": "a password that support has thought of" });
        it.post(&it.system, &path(ada.id), &support).await;
        assert_eq!(it.kinds_to("ada@example.com").await, ["password-changed", "address-changed", "password-changed"]);
        assert_eq!(it.kinds_to("king@example.com").await, ["reverify-email"]);
        // Without a verified address no notice is sent, and the password changes nevertheless.
        let id = with_password(&it, "unverified@example.com", Role::Provider, |creation| {
            creation.contacts.email_verified = false;
        })
        .await;
        it.post(&it.system, &path(id), &support).await;
        assert!(it.kinds_to("unverified@example.com").await.is_empty());
        // The mail of a program reaches the people who run it.
        let program = it.person_as("program@example.com", Some(FirstGrant::System(SystemRole::Service))).await;
        it.post(&it.system, &path(program.id), &support).await;
        assert_eq!(it.kinds_to("program@example.com").await, ["password-changed"]);
    }
}

/// Signs a user in with a code of the second factor, from an address or, without one, from where tests are.
async fn enter_with(it: &Identity, address: &str, person: &Person, code: &str) {
    let answer = if address.is_empty() {
        let body: Value = json!({ "username": person.email, "password": PASSWORD, "totp-code": code });
        it.app.call("POST", "/v1/login/").token(None).json(&body).send().await
    } else {
        from(it, address, &person.email, PASSWORD, Some(code)).await
    };
    assert_eq!(answer.status, 201, "{answer:?}");
}
