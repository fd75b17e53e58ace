//! A valid request for each operation of the identity dialect about people, organizations, roles and sessions. The
//! subject of each is new and belongs to organization A.

use super::world::{Caller, Request, WORKLOAD_TOKEN, World, amendment, document};
use crate::app::{self, PASSWORD};
use crate::totp::{code, device};
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use uuid::Uuid;

/// The new password; it contains no name of a person in the world.
const OTHER_PASSWORD: &str = "seventeen purple elephants dance";

/// The request of `operation`, optionally with a variant after a colon.
pub async fn request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    if let Some(request) = of_sessions(world, operation, caller).await {
        return Some(request);
    }
    if let Some(request) = of_second_factors(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_users(world, operation, caller).await {
        return Some(request);
    }
    if let Some(request) = of_members(world, operation, caller).await {
        return Some(request);
    }
    if let Some(request) = of_organizations(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_roles(world, operation, caller).await {
        return Some(request);
    }
    of_access(world, operation).await
}

/// The authorization of a second session of the caller, for requests that end it; `None` for callers without sessions.
async fn own_session(world: &World, caller: &Caller) -> Option<String> {
    let is_user = caller.authorization.as_deref().is_some_and(|sent| sent.starts_with("Bearer "))
        && registrar::processes::user_by_id(world.identity.node(), registrar_aggregates::values::UserId(caller.id))
            .await
            .unwrap()
            .is_some();
    if !is_user {
        return None;
    }
    Some(format!("Bearer {}", app::token(&world.identity.app, caller.id).await))
}

async fn of_sessions(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
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
        "check-password-strength" => post("/v1/password-strength/", json!({ "password": world.name("a password") })),
        "logout" => {
            let token = own_session(world, caller).await;
            Some(Request::to("/v1/logout/").json(json!({})).sent_with(token))
        }
        _ => None,
    }
}

async fn of_second_factors(world: &World, operation: &str) -> Option<Request> {
    const ROOT: &str = "/v1/mfa-totp/";
    let password = json!({ "password": PASSWORD });
    match operation {
        "list-totp-configurations" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Some(Request::to(format!("{ROOT}?filter[user-id]={}", person.id)))
        }
        "create-totp-configuration" => Some(Request::to(ROOT).json(json!({}))),
        "enable-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            let codes = [code(&device.secret, -1), code(&device.secret, 0)];
            let body = json!({ "password": PASSWORD, "codes": codes });
            Some(Request::to(format!("{}enable/", device.path)).json(body).of(&person.token))
        }
        "disable-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            let codes = [code(&device.secret, -1), code(&device.secret, 0)];
            let body = json!({ "password": PASSWORD, "codes": codes });
            world.identity.post(&person, &format!("{}enable/", device.path), &body).await;
            Some(Request::to(format!("{}disable/", device.path)).json(password).of(&person.token))
        }
        "delete-totp-configuration" => {
            let person = world.signed_in_person().await;
            let device = device(&world.identity, &person).await;
            Some(Request::to(device.path).of(&person.token))
        }
        _ => None,
    }
}

async fn of_users(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    match operation {
        "list-users" => return Some(Request::to(format!("/v1/users/?organization-id={acme}"))),
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

async fn of_organizations(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    let path = |rest: &str| format!("/v1/organizations/{acme}/{rest}");
    Some(match operation {
        "list-organizations" => Request::to("/v1/organizations/"),
        "create-organization" => {
            let attributes = json!({ "name": world.name("NEW"), "display-name": "A new one" });
            Request::to("/v1/organizations/").json(document("organizations", attributes))
        }
        "get-organization" => Request::to(path("")),
        "update-organization" => {
            let attributes = json!({ "display-name": world.name("Acme") });
            Request::to(path("")).json(amendment("organizations", &acme.to_string(), attributes))
        }
        "list-user-organizations" => Request::to(format!("/v1/user-organizations/?organization-id={acme}")),
        "list-user-organizations:user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/user-organizations/?user-id={}", person.id))
        }
        "create-user-organization" => {
            let person = world.shared_person(None).await;
            let attributes = json!({ "user-id": person.id, "organization-id": acme });
            Request::to("/v1/user-organizations/").json(document("user-organizations", attributes))
        }
        _ => return None,
    })
}

async fn of_members(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    let role = |role: Role| role.id(OrganizationId(acme));
    let act = |organization: Uuid, act: &str, attributes: Value| {
        let path = format!("/v1/organizations/{organization}/{act}-user/");
        Request::to(path).json(document("organizations", attributes))
    };
    Some(match operation {
        "add-organization-user" => {
            let person = world.shared_person(None).await;
            act(acme, "add", json!({ "user-id": person.id, "role-id": role(Role::Provider) }))
        }
        "add-organization-user:unseen" => act(acme, "add", json!({ "user-id": world.outsider().await.id })),
        "add-organization-user:records" => {
            let guest = world.guest().await;
            act(acme, "add", json!({ "user-id": guest.id, "role-id": role(Role::Member) }))
        }
        "remove-organization-user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            act(acme, "remove", json!({ "user-id": person.id }))
        }
        "remove-organization-user:oneself" => {
            let (organization, authorization) = world.organization_like_a(caller).await;
            act(organization, "remove", json!({ "user-id": caller.id })).sent_with(authorization)
        }
        _ => return None,
    })
}

async fn of_roles(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    let (role, participant) = (Role::Provider.id(OrganizationId(acme)), Role::Member.id(OrganizationId(acme)));
    let named = |role: Uuid, act: &str, user: Uuid| {
        Request::to(format!("/v1/roles/{role}/{act}-user/")).json(document("roles", json!({ "user-id": user })))
    };
    Some(match operation {
        "list-roles" => Request::to(format!("/v1/roles/?organization-id={acme}")),
        "list-role-users" => Request::to(format!("/v1/role-users/?role-id={role}")),
        "create-role-user" => {
            let person = world.shared_person(None).await;
            let attributes = json!({ "user-id": person.id, "role-id": role });
            Request::to("/v1/role-users/").json(document("role-users", attributes))
        }
        "create-role-user:records" => {
            let attributes = json!({ "user-id": world.guest().await.id, "role-id": participant });
            Request::to("/v1/role-users/").json(document("role-users", attributes))
        }
        "add-role-user:records" => named(participant, "add", world.guest().await.id),
        "add-role-user" => named(role, "add", world.shared_person(None).await.id),
        "add-role-user:system" => {
            named(SystemRole::Support.id(), "add", world.shared_person(Some(Role::Provider)).await.id)
        }
        "add-role-user:oneself" => named(role, "add", caller.id).personal(),
        "remove-role-user" => named(role, "remove", world.shared_person(Some(Role::Provider)).await.id),
        _ => return None,
    })
}

async fn of_access(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    let queries = json!([format!("organization:{acme}:read")]);
    Some(match operation {
        "check-resource-access" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "user-id": person.id, "access-query": queries });
            Request::to("/v1/authz-resource-access/").json(body)
        }
        "bulk-check-resource-access" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "multi-user-ids": { "user-ids": [person.id], "access-query": queries } });
            Request::to("/v1/bulk-authz-resource-access/").json(body)
        }
        "list-accessible-resources" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "user-id": person.id, "access-query": ["individual::read"] });
            Request::to("/v1/authz-get-accessible-resources/").json(body)
        }
        "list-authz-individuals" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/authz-individuals/?operation=read&user-id={}", person.id))
        }
        "list-resource-accessors" => Request::to(format!(
            "/v1/authz-resource-accessors/?operation=read&resource-type=organization&resource-id={acme}"
        )),
        "get-authz-user-status" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/authz-user-status/{}/", person.id))
        }
        "list-user-activities" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/user-activities/?filter[user-id]={}", person.id))
        }
        _ => return None,
    })
}
