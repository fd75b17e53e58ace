//! The operations on templates of messages. Each request has an organization of its own: there are few purposes.

use super::{EMAIL, EMAILS, SMS, TEXT_MESSAGES, email, text_message};
use crate::conformance::resource::Part::Has;
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query};
use crate::matrix::world::{Caller, Request, World, amendment, document};
use crate::suite::Suite;
use crate::themes::{self, THEMES};
use registrar_aggregates::organization::Authorization;
use serde_json::{Value, json};
use uuid::Uuid;

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organization-email-templates", super::templates_of_mail_are_stored_shown_and_changed::TEST),
        ("create-organization-email-template", super::templates_of_mail_are_stored_shown_and_changed::TEST),
        ("get-organization-email-template", super::templates_of_mail_are_stored_shown_and_changed::TEST),
        ("update-organization-email-template", super::templates_of_mail_are_stored_shown_and_changed::TEST),
        ("list-organization-sms-templates", super::templates_of_text_messages_are_stored_shown_and_changed::TEST),
        ("create-organization-sms-template", super::templates_of_text_messages_are_stored_shown_and_changed::TEST),
        ("get-organization-sms-template", super::templates_of_text_messages_are_stored_shown_and_changed::TEST),
        ("update-organization-sms-template", super::templates_of_text_messages_are_stored_shown_and_changed::TEST),
    ],
    table: "
        list-organization-email-templates         200 stranger sharing managers, 403 others
        list-organization-email-templates:themes  200 stranger sharing support service managers, 403 others
        create-organization-email-template        201 managers, 400 stranger sharing, 403 others
        create-organization-email-template:theme  201 administrator system, 403 others
        get-organization-email-template           200 managers, 404 stranger sharing support service, 403 others
        get-organization-email-template:theme     403 participant provider leader operator auditor, 200 administrator system, 404 others
        update-organization-email-template        200 managers, 404 stranger sharing support service, 403 others
        list-organization-sms-templates           200 stranger sharing managers, 403 others
        create-organization-sms-template          201 managers, 400 stranger sharing, 403 others
        get-organization-sms-template             200 managers, 404 stranger sharing support service, 403 others
        update-organization-sms-template          200 managers, 404 stranger sharing support service, 403 others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[EMAIL_TEMPLATES, SMS_TEMPLATES],
};

const EMAIL_TEMPLATES: Resource = Resource {
    kind: EMAIL,
    caller: "system",
    create: Has(Create {
        operation: "create-organization-email-template",
        listed: Has(|_, data| query(format!("organization-id={}", member(data, "organization-id")))),
    }),
    read: Has("get-organization-email-template"),
    update: Has("update-organization-email-template"),
    list: Has(List {
        operation: "list-organization-email-templates",
        rows: |world| {
            Box::pin(async move {
                let organization = ward(world).await;
                for kind in ["onboarding", "verify-email", "forgot-password"] {
                    world.made("POST", EMAILS, email(organization, kind, json!({}))).await;
                }
                format!("organization-id={organization}")
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/type" }),
};

const SMS_TEMPLATES: Resource = Resource {
    kind: SMS,
    create: Has(Create {
        operation: "create-organization-sms-template",
        listed: Has(|_, data| query(format!("organization-id={}", member(data, "organization-id")))),
    }),
    read: Has("get-organization-sms-template"),
    update: Has("update-organization-sms-template"),
    list: Has(List {
        operation: "list-organization-sms-templates",
        rows: |world| {
            Box::pin(async move {
                let organization = ward(world).await;
                for kind in ["onboarding", "verify", "reset-password"] {
                    world.made("POST", TEXT_MESSAGES, text_message(organization, kind, json!({}))).await;
                }
                format!("organization-id={organization}")
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    ..EMAIL_TEMPLATES
};

async fn ward(world: &World) -> Uuid {
    world.identity.organization(&world.name("Ward"), Authorization::Open).await
}

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    if !operation.contains("-email-template") && !operation.contains("-sms-template") {
        return None;
    }
    let is_email = operation.contains("-email-template");
    let (path, kind) = if is_email { (EMAILS, EMAIL) } else { (TEXT_MESSAGES, SMS) };
    if let Some((operation, "theme" | "themes")) = operation.split_once(':') {
        let theme = world.made_id(THEMES, themes::creation(world)).await;
        let body = of_theme(&theme);
        return Some(match operation {
            "list-organization-email-templates" => Request::to(format!("{path}?theme-id={theme}")),
            "create-organization-email-template" => Request::to(path).json(body),
            _ => Request::to(format!("{path}{}/", world.made_id(path, body).await)),
        });
    }
    let (organization, authorization) = world.organization_like_a(caller).await;
    let body = if is_email {
        email(organization, "onboarding", json!({}))
    } else {
        text_message(organization, "onboarding", json!({}))
    };
    let request = if operation.starts_with("list-") {
        Request::to(format!("{path}?organization-id={organization}"))
    } else if operation.starts_with("create-") {
        Request::to(path).json(body)
    } else {
        let id = world.made_id(path, body).await;
        let request = Request::to(format!("{path}{id}/"));
        let change = json!({ "template": format!("{} {{{{ link }}}}", world.name("text")) });
        if operation.starts_with("update-") { request.json(amendment(kind, &id, change)) } else { request }
    };
    Some(request.sent_with(authorization))
}

/// The creation of a template of a theme.
fn of_theme(theme: &str) -> Value {
    document(
        EMAIL,
        json!({
            "theme-id": theme, "type": "onboarding", "locale": "en_US", "format": "html", "subject": "Welcome",
            "template": "{{ link }}"
        }),
    )
}
