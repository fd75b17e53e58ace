//! The operations on sessions. Every caller may sign in and refresh.

use crate::app::{self, PASSWORD};
use crate::matrix::world::{Caller, Request, WORKLOAD_TOKEN, World, document};
use crate::suite::Suite;
use crate::{own_sessions, sign_in};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::UserId;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use uuid::Uuid;

pub const SUITE: Suite = Suite {
    tests: &[
        ("login", sign_in::a_user_who_signs_in_gets_tokens_and_a_profile::TEST),
        ("refresh-token", super::a_session_is_refreshed_any_number_of_times::TEST),
        ("internal-auth-v1", super::a_workload_is_known_by_its_token::TEST),
        ("internal-auth", super::a_workload_is_known_by_its_token::TEST),
        ("authenticate", sign_in::a_user_who_signs_in_gets_tokens_and_a_profile::TEST),
        ("get-session", super::a_session_is_shown_to_its_owner_and_to_programs::TEST),
        ("list-sessions", own_sessions::own_sessions_are_listed_and_ended::TEST),
        ("end-session", own_sessions::own_sessions_are_listed_and_ended::TEST),
        ("end-all-sessions", own_sessions::all_sessions_end_at_once_but_for_the_one_that_asks_if_it_is_kept::TEST),
        ("switch-user-organization", super::a_session_goes_to_another_organization_of_its_user::TEST),
        ("create-synthetic-user-token", super::a_program_gets_a_token_for_a_user::TEST),
        ("logout", super::a_session_ends_when_its_user_signs_out::TEST),
    ],
    table: "
        login                               201 anonymous keys others
        refresh-token                       201 anonymous keys others
        internal-auth-v1                    201 anonymous keys others
        internal-auth                       201 anonymous keys others
        authenticate                        201 others
        get-session                         200 administrator service system, 404 others
        list-sessions                       403 narrowed, 200 others
        end-session                         403 narrowed, 404 administrator operator auditor, 201 others
        end-all-sessions                    403 narrowed, 201 others
        switch-user-organization            201 participant provider leader admin, 404 ecg-admins, 403 others
        create-synthetic-user-token         201 administrator service system, 403 others
        create-synthetic-user-token:system  403 others
        logout                              409 ecg-admins, 201 others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[],
};

/// The authorization of a second session of the caller, for requests that end it; `None` for callers without sessions.
async fn own_session(world: &World, caller: &Caller) -> Option<String> {
    let is_user = caller.authorization.as_deref().is_some_and(|sent| sent.starts_with("Bearer "))
        && registrar::processes::user_by_id(world.identity.node(), UserId(caller.id)).await.unwrap().is_some();
    if !is_user {
        return None;
    }
    Some(format!("Bearer {}", app::token(&world.identity.app, caller.id).await))
}

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let digest = || Sha512::digest(WORKLOAD_TOKEN).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let post = |path: &str, body: Value| Some(Request::to(path).json(body));
    match operation {
        "login" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            post("/v1/login/", json!({ "username": person.email, "password": PASSWORD }))
        }
        "refresh-token" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let credentials = json!({ "username": person.email, "password": PASSWORD });
            let tokens = world.made("POST", "/v1/login/", credentials).await;
            post("/v1/refresh-token/", json!({ "refresh-token": tokens["refresh-token"] }))
        }
        "authenticate" => post("/v1/authenticate/", json!({})),
        "get-session" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let credentials = json!({ "username": person.email, "password": PASSWORD });
            let tokens = world.made("POST", "/v1/login/", credentials).await;
            Some(Request::to(format!("/v1/sessions/{}/", tokens["session-id"].as_str().unwrap())))
        }
        "list-sessions" => Some(Request::to("/v1/sessions/")),
        // Only the owner ends a session; admins have no session here.
        "end-session" => {
            let own = own_session(world, caller).await;
            let session = own.map_or_else(|| Uuid::nil().to_string(), |token| app::session_of(&token));
            Some(Request::to(format!("/v1/sessions/{session}/end/")).json(json!({})).personal())
        }
        "end-all-sessions" => {
            let request = Request::to("/v1/sessions/end-all/").json(json!({ "keep-current": true }));
            Some(request.sent_with(world.another(caller).await))
        }
        "switch-user-organization" => {
            let body = json!({ "organization-id": world.identity.acme, "set-default": true });
            Some(Request::to(format!("/v1/users/{}/switch-organization/", caller.id)).json(body).personal())
        }
        "create-synthetic-user-token" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let data = json!({ "user-id": person.id, "organization-id": world.identity.acme });
            post("/v1/synthetic-user-tokens/", json!({ "data": data }))
        }
        "create-synthetic-user-token:system" => {
            let data = json!({ "user-id": world.caller("support").id });
            post("/v1/synthetic-user-tokens/", json!({ "data": data }))
        }
        "internal-auth-v1" => post(
            "/v1/internal-auth/",
            json!({ "namespace": "clinic", "sa-name": "records", "sa-token-sha512": digest() }),
        ),
        "internal-auth" => post("/v2/internal-auth/", document("internal-auths", json!({ "token": WORKLOAD_TOKEN }))),
        "logout" => {
            let token = own_session(world, caller).await;
            Some(Request::to("/v1/logout/").json(json!({})).sent_with(token))
        }
        _ => None,
    }
}
