//! Templates of messages: of organizations and of themes, for e-mail and for text messages.

mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, ids};
use crate::matrix::world::{amendment, document};
use crate::on_both_stores;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const EMAILS: &str = "/v1/organization-email-templates/";
const TEXT_MESSAGES: &str = "/v1/organization-sms-templates/";
const EMAIL: &str = "organization-email-templates";
const SMS: &str = "organization-sms-templates";

/// The creation of a template of an e-mail, with further or other attributes.
fn email(organization: Uuid, kind: &str, others: Value) -> Value {
    let mut attributes = json!({
        "organization-id": organization, "type": kind, "locale": "en_US", "format": "txt", "subject": "Welcome",
        "template": "Hello {{ first_name }}"
    });
    put(&mut attributes, others);
    document(EMAIL, attributes)
}

/// The creation of a template of a text message, with further or other attributes.
fn text_message(organization: Uuid, kind: &str, others: Value) -> Value {
    let mut attributes = json!({
        "organization-id": organization, "type": kind, "locale": "en_US", "template": "{{ first_name }}: {{ code }}"
    });
    put(&mut attributes, others);
    document(SMS, attributes)
}

/// Puts members in place of those of the same names; null removes one.
fn put(attributes: &mut Value, others: Value) {
    let attributes = attributes.as_object_mut().unwrap();
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value.clone());
        }
    }
}

fn id(shown: &Value) -> String {
    shown["data"]["id"].as_str().unwrap().to_owned()
}

fn at(path: &str, shown: &Value) -> String {
    format!("{path}{}/", id(shown))
}

impl Identity {
    async fn email_template(&self, organization: Uuid, kind: &str, others: Value) -> Value {
        self.post(&self.system, EMAILS, &email(organization, kind, others)).await
    }

    /// Creates a template that must be refused; answers its pointer and its detail.
    async fn unfit(&self, path: &str, body: &Value, status: u16) -> (String, String) {
        let code = if status == 409 { "conflict" } else { "validation-error" };
        let error = self.post_refused(&self.admin, path, body, status, code).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&error["source"]["pointer"]), text(&error["detail"]))
    }
}

on_both_stores! {
    async fn templates_of_mail_are_stored_shown_and_changed(database) {
        let it = Identity::open(&database).await;
        let others = json!({ "support-email": "help@acme.example.com", "support-email-title": "Help" });
        let created = it.post(&it.admin, EMAILS, &email(it.acme, "onboarding", others)).await;
        let mut shown = created["data"]["attributes"].clone();
        assert_eq!(created["data"]["type"], EMAIL);
        assert_eq!(shown["created-time"].as_str().unwrap().len(), 19);
        for time in ["created-time", "last-modified-time"] {
            shown.as_object_mut().unwrap().remove(time);
        }
        let expected = json!({
            "format": "txt", "locale": "en_US", "organization-id": it.acme, "subject": "Welcome",
            "support-email": "help@acme.example.com", "support-email-title": "Help",
            "template": "Hello {{ first_name }}", "theme-id": null, "type": "onboarding"
        });
        assert_eq!(shown, expected);
        let path = at(EMAILS, &created);
        assert_eq!(it.get(&it.admin, &path).await, created);
        assert_eq!(it.get(&it.system, &path).await, created);

        let part = json!({ "subject": "Hi", "locale": "es_US", "support-email": "", "support-email-title": "" });
        let change = amendment(EMAIL, &id(&created), part);
        let changed = it.patch(&it.admin, &path, &change).await;
        let shown = &changed["data"]["attributes"];
        assert_eq!((&shown["subject"], &shown["locale"]), (&json!("Hi"), &json!("es_US")));
        assert_eq!((&shown["support-email"], &shown["support-email-title"]), (&Value::Null, &Value::Null));
        assert_eq!(shown["template"], "Hello {{ first_name }}");
        let head = it.head().await;
        assert_eq!(it.patch(&it.admin, &path, &change).await, changed);
        assert_eq!(it.head().await, head, "what is so already is no event");

        let html = it.email_template(it.acme, "verify-email", json!({ "format": "html" })).await;
        let foreign = it.email_template(it.other, "verify-email", json!({})).await;
        let list = async |caller: &Person, query: &str| ids(&it.get(caller, &format!("{EMAILS}?{query}")).await);
        let [first, second, third] = [&created, &html, &foreign].map(id);
        let (first, second, third) = (first.as_str(), second.as_str(), third.as_str());
        assert_eq!(list(&it.system, "").await, [first, second, third]);
        assert_eq!(list(&it.admin, "").await, [first, second]);
        assert_eq!(list(&it.admin, &format!("organization-id={}", it.acme)).await, [first, second]);
        assert_eq!(list(&it.admin, "filter[format]=html").await, [second]);
        assert_eq!(list(&it.admin, "filter[locale]=es_US").await, [first]);
        assert_eq!(list(&it.system, "filter[type]=verify-email").await, [second, third]);
        assert_eq!(list(&it.other_admin, "filter[type]=verify-email").await, [third]);
        assert!(list(&it.service, "").await.is_empty());
    }

    async fn templates_of_text_messages_are_stored_shown_and_changed(database) {
        let it = Identity::open(&database).await;
        let created = it.post(&it.admin, TEXT_MESSAGES, &text_message(it.acme, "verify", json!({}))).await;
        let mut shown = created["data"]["attributes"].clone();
        assert_eq!(created["data"]["type"], SMS);
        for time in ["created-time", "last-modified-time"] {
            assert_eq!(shown.as_object_mut().unwrap().remove(time).unwrap().as_str().unwrap().len(), 19);
        }
        let expected = json!({
            "locale": "en_US", "organization-id": it.acme, "template": "{{ first_name }}: {{ code }}", "theme-id": null,
            "type": "verify"
        });
        assert_eq!(shown, expected);
        let path = at(TEXT_MESSAGES, &created);
        assert_eq!(it.get(&it.admin, &path).await, created);
        let change = amendment(SMS, &id(&created), json!({ "type": "reset-password", "template": "{{ code }}" }));
        let changed = it.patch(&it.admin, &path, &change).await;
        let shown = &changed["data"]["attributes"];
        assert_eq!((&shown["type"], &shown["template"]), (&json!("reset-password"), &json!("{{ code }}")));
        // Each channel lists and finds its own.
        let mail = it.email_template(it.acme, "onboarding", json!({})).await;
        assert_eq!(ids(&it.get(&it.admin, TEXT_MESSAGES).await), [id(&created)]);
        let of_kind = format!("{TEXT_MESSAGES}?filter[type]=reset-password");
        assert_eq!(ids(&it.get(&it.admin, &of_kind).await), [id(&created)]);
        assert_eq!(ids(&it.get(&it.admin, EMAILS).await), [id(&mail)]);
        for (path, shown, kind) in [(EMAILS, &created, EMAIL), (TEXT_MESSAGES, &mail, SMS)] {
            it.get_refused(&it.admin, &at(path, shown), 404, "not-found").await;
            let change = amendment(kind, &id(shown), json!({ "template": "a" }));
            it.patch_refused(&it.admin, &at(path, shown), &change, 404, "not-found").await;
        }
        it.get_refused(&it.admin, &format!("{TEXT_MESSAGES}?filter[format]=txt"), 400, "validation-error").await;
    }

    async fn an_owner_has_one_template_for_a_purpose(database) {
        let it = Identity::open(&database).await;
        let first = it.email_template(it.acme, "onboarding", json!({})).await;
        let (pointer, _) = it.unfit(EMAILS, &email(it.acme, "onboarding", json!({ "subject": "Other" })), 409).await;
        assert_eq!(pointer, "/data/attributes/type");
        // Another format, locale, kind, organization or channel is another purpose.
        let second = it.email_template(it.acme, "onboarding", json!({ "format": "html" })).await;
        it.email_template(it.acme, "onboarding", json!({ "locale": "es_US" })).await;
        it.email_template(it.acme, "verify-email", json!({})).await;
        it.email_template(it.other, "onboarding", json!({})).await;
        it.post(&it.admin, TEXT_MESSAGES, &text_message(it.acme, "onboarding", json!({}))).await;
        let collides = amendment(EMAIL, &id(&second), json!({ "format": "txt" }));
        let error = it.patch_refused(&it.admin, &at(EMAILS, &second), &collides, 409, "conflict").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/type");
        // A purpose that is given up is free.
        let elsewhere = amendment(EMAIL, &id(&first), json!({ "type": "reverify-email" }));
        it.patch(&it.admin, &at(EMAILS, &first), &elsewhere).await;
        it.patch(&it.admin, &at(EMAILS, &second), &collides).await;
    }

    async fn a_template_outside_of_the_language_is_refused_with_its_line_and_rule(database) {
        let it = Identity::open(&database).await;
        let hostile = "{% set a = 'marked' %}".to_owned() + &"{% set a = a + a %}".repeat(60) + "{{ a }}";
        for (text, rule) in [
            ("Hello\n{{ marked }}", "breaks a rule in line 2: uses an unknown name"),
            ("{{ first_name", "breaks a rule in line 1: has a tag without its end"),
            ("{% if code %}marked", "breaks a rule in line 1: has a syntax error"),
            ("{{ code|safe }}", "breaks a rule in line 1: uses an unknown filter"),
            ("{{ debug() }}", "breaks a rule in line 1: uses an unknown name"),
            ("{% include 'marked' %}", "breaks a rule in line 1: has an unknown tag"),
            ("{% for marked in range(100000) %}{% endfor %}", "breaks a rule in line 1: has an unknown tag"),
            ("{{ 'marked' * 100000000 }}", "breaks a rule in line 1: "),
            (&*hostile, "breaks a rule in line 1: takes too long"),
            ("\n \n", "should not be empty"),
            ("a\u{1b}", "must not contain control characters"),
            ("\u{202e}a", "must not contain characters that override the direction of the text"),
        ] {
            for (path, body) in [
                (EMAILS, email(it.acme, "onboarding", json!({ "template": text }))),
                (TEXT_MESSAGES, text_message(it.acme, "onboarding", json!({ "template": text }))),
            ] {
                let (pointer, detail) = it.unfit(path, &body, 400).await;
                assert_eq!(pointer, "/data/attributes/template");
                assert!(detail.contains(rule) && !detail.contains("marked"), "{text}: {detail}");
            }
        }
        let large = json!({ "template": "ä".repeat(33 * 1024) });
        let (_, detail) = it.unfit(EMAILS, &email(it.acme, "onboarding", large), 400).await;
        assert!(detail.ends_with("must not be larger than 65536 bytes"), "{detail}");
        let fit = json!({ "template": "\"".repeat(64 * 1024) });
        let created = it.post(&it.admin, EMAILS, &email(it.acme, "onboarding", fit)).await;
        let broken = amendment(EMAIL, &id(&created), json!({ "template": "{{ marked }}" }));
        let error = it.patch_refused(&it.admin, &at(EMAILS, &created), &broken, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/template");
    }

    async fn an_unfit_member_of_a_template_is_named(database) {
        let it = Identity::open(&database).await;
        for (others, member) in [
            (json!({ "subject": "a\nBcc: b@example.com" }), "subject"),
            (json!({ "subject": "{{ 'a\nb' }}" }), "subject"),
            (json!({ "subject": "{{ marked }}" }), "subject"),
            (json!({ "subject": " " }), "subject"),
            (json!({ "subject": "a".repeat(256) }), "subject"),
            (json!({ "subject": "{{ 'a' * 256 }}" }), "subject"),
            (json!({ "subject": null }), "subject"),
            (json!({ "support-email": "nonsense" }), "support-email"),
            (json!({ "support-email-title": "a\r\nb" }), "support-email-title"),
            (json!({ "type": "verify" }), "type"),
            (json!({ "type": "password-changed" }), "type"),
            (json!({ "locale": "de_DE" }), "locale"),
            (json!({ "format": "sms" }), "format"),
            (json!({ "format": null }), "format"),
            (json!({ "organization-id": null }), "organization-id"),
            (json!({ "theme-id": Uuid::now_v7() }), "organization-id"),
            (json!({ "created-time": "2024-01-01 00:00:00" }), "created-time"),
        ] {
            let (pointer, detail) = it.unfit(EMAILS, &email(it.acme, "onboarding", others.clone()), 400).await;
            assert_eq!(pointer, format!("/data/attributes/{member}"), "{others} {detail}");
        }
        for (others, member) in [
            (json!({ "type": "verify-email" }), "type"),
            (json!({ "subject": "a" }), "subject"),
            (json!({ "template": "ä".repeat(1_601) }), "template"),
        ] {
            let (pointer, _) = it.unfit(TEXT_MESSAGES, &text_message(it.acme, "onboarding", others), 400).await;
            assert_eq!(pointer, format!("/data/attributes/{member}"));
        }
        let created = it.email_template(it.acme, "onboarding", json!({})).await;
        let moved = amendment(EMAIL, &id(&created), json!({ "organization-id": it.other }));
        let error = it.patch_refused(&it.system, &at(EMAILS, &created), &moved, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/organization-id");
    }

    async fn templates_of_other_organizations_are_unknown(database) {
        let it = Identity::open(&database).await;
        let created = it.email_template(it.acme, "onboarding", json!({})).await;
        let mut told = vec![];
        for organization in [it.acme, Uuid::now_v7()] {
            let body = email(organization, "verify-email", json!({}));
            told.push(it.post_refused(&it.other_admin, EMAILS, &body, 400, "validation-error").await);
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0]["source"]["pointer"], "/data/attributes/organization-id");
        let change = |id: &str| amendment(EMAIL, id, json!({ "subject": "a" }));
        let mut told = vec![];
        for id in [id(&created), Uuid::now_v7().to_string()] {
            let path = format!("{EMAILS}{id}/");
            let read = it.get_refused(&it.other_admin, &path, 404, "not-found").await;
            told.push((read, it.patch_refused(&it.other_admin, &path, &change(&id), 404, "not-found").await));
            it.get_refused(&it.service, &path, 404, "not-found").await;
        }
        assert_eq!(told[0], told[1]);
        let mut told = vec![];
        for organization in [it.acme, Uuid::now_v7()] {
            told.push(it.find_nothing(&it.other_admin, &format!("{EMAILS}?organization-id={organization}")).await);
        }
        assert_eq!(told[0], told[1]);
        let body = email(it.acme, "verify-email", json!({}));
        for caller in [&it.service, &it.provider, &it.participant] {
            it.post_refused(caller, EMAILS, &body, 403, "forbidden").await;
            it.get_refused(caller, &format!("{EMAILS}?organization-id={}", it.acme), 403, "forbidden").await;
        }
    }

    async fn templates_of_themes_are_for_system_admins(database) {
        let it = Identity::open(&database).await;
        let theme = it.theme("templates.example.com").await;
        let of_theme = |kind: &str| email(it.acme, kind, json!({ "organization-id": null, "theme-id": theme }));
        let created = it.post(&it.system, EMAILS, &of_theme("onboarding")).await;
        let shown = &created["data"]["attributes"];
        assert_eq!((&shown["theme-id"], &shown["organization-id"]), (&json!(theme), &Value::Null));
        it.post_refused(&it.system, EMAILS, &of_theme("onboarding"), 409, "conflict").await;
        let unknown = email(it.acme, "onboarding", json!({ "organization-id": null, "theme-id": Uuid::now_v7() }));
        it.post_refused(&it.system, EMAILS, &unknown, 400, "validation-error").await;
        let text = json!({ "organization-id": null, "theme-id": theme });
        it.post(&it.system, TEXT_MESSAGES, &text_message(it.acme, "onboarding", text)).await;
        let own = it.email_template(it.acme, "onboarding", json!({})).await;
        let of_theme_alone = format!("{EMAILS}?theme-id={theme}");
        assert_eq!(ids(&it.get(&it.system, &of_theme_alone).await), [id(&created)]);
        assert_eq!(ids(&it.get(&it.system, EMAILS).await), [id(&created), id(&own)]);
        let path = at(EMAILS, &created);
        let change = amendment(EMAIL, &id(&created), json!({ "subject": "Hi" }));
        for caller in [&it.admin, &it.other_admin, &it.service] {
            it.post_refused(caller, EMAILS, &of_theme("verify-email"), 403, "forbidden").await;
            it.find_nothing(caller, &of_theme_alone).await;
            it.get_refused(caller, &path, 404, "not-found").await;
            it.patch_refused(caller, &path, &change, 404, "not-found").await;
        }
        assert_eq!(ids(&it.get(&it.admin, EMAILS).await), [id(&own)]);
        assert_eq!(it.patch(&it.system, &path, &change).await["data"]["attributes"]["subject"], "Hi");
    }

    async fn templates_end_with_their_organization(database) {
        let it = Identity::open(&database).await;
        let ward = it.organization("Ward", Authorization::Open).await;
        let created = it.email_template(ward, "onboarding", json!({})).await;
        it.retire(OrganizationId(ward)).await;
        let addition = email(ward, "verify-email", json!({}));
        let error = it.post_refused(&it.system, EMAILS, &addition, 409, "conflict").await;
        assert_eq!(error["detail"], "the organization is retired");
        assert_eq!(it.get(&it.system, &at(EMAILS, &created)).await, created);
        it.delete(OrganizationId(ward)).await;
        let error = it.post_refused(&it.system, EMAILS, &addition, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/organization-id");
        it.get_refused(&it.system, &at(EMAILS, &created), 404, "not-found").await;
        let change = amendment(EMAIL, &id(&created), json!({ "subject": "a" }));
        it.patch_refused(&it.system, &at(EMAILS, &created), &change, 404, "not-found").await;
        it.find_nothing(&it.system, EMAILS).await;
        it.find_nothing(&it.system, &format!("{EMAILS}?organization-id={ward}")).await;
    }
}
