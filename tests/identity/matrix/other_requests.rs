//! A valid request for each operation of the other dialects: ECG admins, site, cloud, audit, and Registrar's own.

use super::world::{Caller, Request, World};
use crate::ecg_app::{ADMINS, minimal};
use crate::site_app::{self, LIST, ORGANIZATIONS, named};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};

pub async fn request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    if let Some(request) = of_admins(world, operation, caller).await {
        return Some(request);
    }
    if let Some(request) = of_site(world, operation, caller).await {
        return Some(request);
    }
    if let Some(request) = of_cloud(world, operation).await {
        return Some(request);
    }
    if let Some(request) = of_audit(world, operation).await {
        return Some(request);
    }
    of_registrar(operation)
}

async fn of_admins(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    Some(match operation {
        "listEcgAdmins" => Request::to(ADMINS),
        "createEcgAdmin" => Request::to(ADMINS).json(minimal("Ada", &world.name("Lovelace"))),
        "listAllEcgAdminAuditTrails" => Request::to(format!("{ADMINS}/audit-trails")),
        "getEcgAdmin" => Request::to(format!("{ADMINS}/{}", world.ecg_admin().await)),
        "patchEcgAdmin" => {
            let steps = json!([{ "op": "replace", "path": "/person/lastName", "value": world.name("Renamed") }]);
            Request::to(format!("{ADMINS}/{}", world.ecg_admin().await)).json(steps)
        }
        "patchEcgAdmin:oneself" => {
            let steps = json!([{ "op": "add", "path": "/customPermissions/-", "value": "audit.read" }]);
            Request::to(format!("{ADMINS}/{}", caller.id)).json(steps).personal()
        }
        "activateEcgAdmin" => {
            let path = format!("{ADMINS}/{}", world.ecg_admin().await);
            world.made("POST", &format!("{path}/deactivate"), Value::Null).await;
            Request::to(format!("{path}/activate"))
        }
        "deactivateEcgAdmin" => Request::to(format!("{ADMINS}/{}/deactivate", world.ecg_admin().await)),
        "listEcgAdminAuditTrails" => Request::to(format!("{ADMINS}/{}/audit-trails", world.ecg_admin().await)),
        _ => return None,
    })
}

async fn of_site(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme.to_string();
    Some(match operation {
        "listOrganizations" => Request::to(LIST),
        "createOrganization" => Request::to(ORGANIZATIONS).json(named(&world.name("Site"))),
        "getOrganization" => Request::to(site_app::path(&acme)),
        "updateOrganization" => {
            let (id, authorization) = world.organization_like_a(caller).await;
            let path = site_app::path(&id.to_string());
            Request::to(path).json(named(&world.name("Renamed"))).sent_with(authorization)
        }
        "deleteOrganization" => {
            let (id, authorization) = world.organization_like_a(caller).await;
            Request::to(site_app::path(&id.to_string())).sent_with(authorization)
        }
        "retireOrganization" => {
            let (id, authorization) = world.organization_like_a(caller).await;
            let path = site_app::path(&format!("deleteOrganization/{id}"));
            Request::to(path).json(json!({ "comment": "closed" })).sent_with(authorization)
        }
        _ => return None,
    })
}

async fn of_cloud(world: &World, operation: &str) -> Option<Request> {
    let path = |rest: &str| format!("/v1/organizations/{}{rest}", world.identity.acme);
    Some(match operation {
        "organizationGetList" => Request::to("/v1/organizations"),
        "organizationGet" => Request::to(path("")),
        "organizationUpdate" => Request::to(path("")).json(json!({ "name": world.name("Acme") })),
        "activityGetList" => Request::to(path("/activities")),
        "activityGet" => {
            let key = world.caller("key-admin").authorization.clone();
            let sent = world.send("GET", &Request::to(path("/activities")), key.as_deref(), &[]).await;
            let activities: Value = serde_json::from_str(&sent.text).unwrap();
            Request::to(path(&format!("/activities/{}", activities["result"][0]["id"].as_str().unwrap())))
        }
        "openapiKeyGetList" => Request::to(path("/keys")),
        "openapiKeyCreate" => {
            Request::to(path("/keys")).json(json!({ "name": world.name("key"), "roles": ["developer"] }))
        }
        "openapiKeyGet" => Request::to(path(&format!("/keys/{}", world.api_key().await))),
        "openapiKeyUpdate" => {
            let key = path(&format!("/keys/{}", world.api_key().await));
            Request::to(key).json(json!({ "name": world.name("key") }))
        }
        "openapiKeyDelete" => Request::to(path(&format!("/keys/{}", world.api_key().await))),
        _ => return None,
    })
}

async fn of_audit(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "listEvents" => Request::to("/audit/events?limit=1"),
        "findEvent" => Request::to(format!("/audit/events/{}", registration(world).await)),
        "listHistory" => Request::to(format!("/audit/organization/{acme}/history")),
        "findState" => Request::to(format!("/audit/organization/{acme}")),
        "findDifferences" => Request::to(format!("/audit/organization/{acme}/diff")),
        "findSnapshot" => {
            Request::to(format!("/audit/organizations/{acme}/snapshot?asOf={}", registration(world).await))
        }
        "readCheckpoint" => Request::to("/audit/checkpoint"),
        "readCheckpointKey" => Request::to("/audit/checkpoint/key"),
        "proveInclusion" => Request::to(format!("/audit/proofs/inclusion?position={}", registration(world).await)),
        "proveConsistency" => Request::to("/audit/proofs/consistency?from=1"),
        _ => return None,
    })
}

/// The position of the registration of A.
async fn registration(world: &World) -> u64 {
    let id = OrganizationId(world.identity.acme).to_string();
    world.identity.node().journal.stream("organization", &id, 0).await.unwrap()[0].position
}

fn of_registrar(operation: &str) -> Option<Request> {
    Some(Request::to(match operation {
        "followEvents" => "/events/stream",
        "readAsyncapiDocument" => "/asyncapi.json",
        "checkHealth" => "/healthz",
        "checkReadiness" => "/readyz",
        "readMetrics" => "/metrics",
        "listKeys" => "/.well-known/jwks.json",
        "findHome" => "/",
        "readDocsPage" => "/docs",
        "findDocsPage" => "/docs/",
        "readDocsFile" => "/docs/swagger-ui.css",
        "readOpenapiDocument" => "/openapi/identity.json",
        _ => return None,
    }))
}
