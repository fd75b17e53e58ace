//! The operations on users and their passwords.

use crate::app::PASSWORD;
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, List, Resource, people};
use crate::matrix::request;
use crate::matrix::world::{Caller, Request, World, amendment};
use crate::suite::Suite;
use crate::{agreements, passwords};
use registrar_aggregates::user::Role;
use serde_json::{Value, json};

/// The new password; it contains no name of a person in the world.
const OTHER_PASSWORD: &str = "seventeen purple elephants dance";

/// Operations on a provider of A who is a member of B: the person, A and the system manage the account.
pub const SUITE: Suite = Suite {
    tests: &[
        ("list-users", super::lists_show_the_visible_users::TEST),
        ("get-user", super::a_user_is_shown_with_everything_but_secrets::TEST),
        ("update-user", super::a_user_is_changed_by_itself_and_by_its_admins::TEST),
        ("change-user-email", super::an_address_is_changed_by_a_command_too::TEST),
        ("change-user-password", passwords::the_session_that_changes_the_password_goes_on_and_the_others_end::TEST),
        ("confirm-user-phone", super::a_telephone_number_is_confirmed_if_it_is_the_users::TEST),
        ("disable-user", super::a_user_is_disabled_and_enabled_again::TEST),
        ("enable-user", super::a_user_is_disabled_and_enabled_again::TEST),
        (
            "delete-user-service-document-agreements",
            agreements::binding_documents_are_agreed_to_before_a_session_opens::TEST,
        ),
        ("check-password-strength", passwords::a_password_is_judged_and_not_kept::TEST),
    ],
    table: "
        list-users                           200 others
        get-user                             404 stranger operator auditor, 200 others
        update-user                          200 managers, 404 stranger operator auditor, 403 others
        change-user-email                    201 managers, 404 stranger operator auditor, 403 others
        change-user-password                 201 administrator support system, 404 stranger operator auditor, 403 others
        change-user-password:oneself         404 stranger operator auditor, 403 others
        confirm-user-phone                   201 service managers, 404 stranger, 403 others
        disable-user                         201 managers, 404 stranger, 403 others
        enable-user                          201 managers, 404 stranger, 403 others
        delete-user-service-document-agreements  201 support service system, 404 administrator narrowed, 403 others
        check-password-strength              201 anonymous keys others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "users",
    caller: "system",
    create: Lacks("people come by invitation and by command line"),
    read: Has("get-user"),
    update: Has("update-user"),
    list: Has(List {
        operation: "list-users",
        rows: |world| {
            Box::pin(async move {
                people(world, 3).await;
                format!("organization-id={}", world.identity.acme)
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Sent {
        method: "PATCH",
        request: |world| {
            Box::pin(async move {
                let taken = world.shared_person(None).await.email;
                let request = request(world, "update-user", world.caller("system")).await;
                let mut body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
                body["data"]["attributes"] = json!({ "email": taken });
                request.json(body)
            })
        },
        pointer: "/data/attributes/email",
    }),
};

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    match operation {
        "list-users" => return Some(Request::to(format!("/v1/users/?organization-id={acme}"))),
        "check-password-strength" => {
            let body = json!({ "password": world.name("a password") });
            return Some(Request::to("/v1/password-strength/").json(body));
        }
        "delete-user-service-document-agreements" => {
            let path = format!("/v1/users/{}/delete-service-document-agreements/", caller.id);
            return Some(Request::to(path).json(json!({})).personal());
        }
        "change-user-password:oneself" => {
            let person = world.signed_in_person().await;
            let body = json!({ "old-password": PASSWORD, "new-password": OTHER_PASSWORD });
            let path = format!("/v1/users/{}/change-password/", person.id);
            return Some(Request::to(path).json(body).of(&person.token));
        }
        "get-user"
        | "update-user"
        | "change-user-email"
        | "change-user-password"
        | "confirm-user-phone"
        | "disable-user"
        | "enable-user" => {}
        _ => return None,
    }
    let person = world.shared_person(Some(Role::Provider)).await;
    let path = |rest: &str| format!("/v1/users/{}/{rest}", person.id);
    Some(match operation {
        "update-user" => {
            let attributes = json!({ "last-name": world.name("Renamed") });
            Request::to(path("")).json(amendment("users", &person.id.to_string(), attributes))
        }
        "change-user-email" => {
            let email = format!("{}@example.com", world.name("moved"));
            Request::to(path("change-email/")).json(json!({ "email": email }))
        }
        "change-user-password" => {
            let body = json!({ "context": "carium-support", "new-password": OTHER_PASSWORD });
            Request::to(path("change-password/")).json(body)
        }
        "confirm-user-phone" => {
            let user = world.made("GET", &path(""), Value::Null).await;
            let number = user["data"]["attributes"]["phone"].clone();
            Request::to(path("confirm-phone/")).json(json!({ "phone-number": number }))
        }
        "disable-user" => Request::to(path("disable/")).json(json!({})),
        "enable-user" => {
            world.made("POST", &path("disable/"), json!({})).await;
            Request::to(path("enable/")).json(json!({}))
        }
        _ => Request::to(path("")),
    })
}
