//! The operations of the other dialects: ECG admins, site, cloud, audit, and Registrar's own. Their tests are in
//! `tests/e2e`.

use super::world::{Caller, Request, World};
use crate::ecg_app::{ADMINS, minimal};
use crate::site_app::{self, LIST, ORGANIZATIONS, named};
use crate::suite::Suite;
use crate::{email_logs, url_shorteners};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};

pub const SUITE: Suite = Suite {
    tests: &[],
    table: "
        # ECG admins: by policy.
        listEcgAdmins               200 administrator system operator auditor, 403 others
        createEcgAdmin              201 administrator system, 403 others
        listAllEcgAdminAuditTrails  200 administrator system auditor, 403 others
        getEcgAdmin                 200 administrator system operator auditor, 403 others
        patchEcgAdmin               200 administrator system, 403 others
        patchEcgAdmin:oneself       404 system, 403 others
        activateEcgAdmin            200 administrator system, 403 others
        deactivateEcgAdmin          200 administrator system, 403 others
        listEcgAdminAuditTrails     200 administrator system auditor, 403 others

        # Site: organizations. Their admins see and change them; only the system creates, retires and deletes.
        listOrganizations           403 participant provider leader support service, 200 others
        createOrganization          201 administrator system operator, 403 others
        getOrganization             403 participant provider leader support service, 404 stranger sharing, 200 others
        updateOrganization          204 operator managers, 404 stranger sharing, 403 others
        deleteOrganization          204 administrator system operator, 403 others
        retireOrganization          204 administrator system operator, 403 others

        # Cloud: keys alone, by role.
        organizationGetList         200 key-admin key-developer, 403 key-query, 401 others
        organizationGet             200 key-admin key-developer, 403 key-query, 401 others
        organizationUpdate          200 key-admin, 403 key-developer key-query, 401 others
        activityGetList             200 key-admin key-developer, 403 key-query, 401 others
        activityGet                 200 key-admin key-developer, 403 key-query, 401 others
        openapiKeyGetList           200 key-admin, 403 key-developer key-query, 401 others
        openapiKeyCreate            200 key-admin, 403 key-developer key-query, 401 others
        openapiKeyGet               200 key-admin, 403 key-developer key-query, 401 others
        openapiKeyUpdate            200 key-admin, 403 key-developer key-query, 401 others
        openapiKeyDelete            200 key-admin, 403 key-developer key-query, 401 others

        # Audit: auditors read everything, admins of an organization the events that carried it.
        listEvents                  403 participant provider leader support service operator, 200 others
        findEvent                   200 auditor managers, 404 stranger sharing, 403 others
        listHistory                 200 auditor managers, 404 stranger sharing, 403 others
        findState                   200 auditor managers, 404 stranger sharing, 403 others
        findDifferences             200 auditor managers, 404 stranger sharing, 403 others
        findSnapshot                200 auditor managers, 404 stranger sharing, 403 others
        readCheckpoint              403 participant provider leader support service operator, 200 others
        readCheckpointKey           403 participant provider leader support service operator, 200 others
        proveInclusion              200 auditor managers, 404 stranger sharing, 403 others
        proveConsistency            403 participant provider leader support service operator, 200 others

        # Registrar: the feed of events and reports of mail servers by permission, reports of others by a signature, which
        # nobody here has; the rest is public.
        receiveSesReport            403 anonymous keys others
        receiveTextStatus           403 anonymous keys others
        receiveMailReport           204 administrator system, 403 others
        followShortLink             302 anonymous keys others
        followEvents                200 administrator system operator auditor, 403 others
        readAsyncapiDocument        200 anonymous keys others
        checkHealth                 200 anonymous keys others
        checkReadiness              200 anonymous keys others
        readMetrics                 200 anonymous keys others
        listKeys                    200 anonymous keys others
        readDocsPage                200 anonymous keys others
        readDocsFile                200 anonymous keys others
        readOpenapiDocument         200 anonymous keys others
        findHome                    307 anonymous keys others
        findDocsPage                307 anonymous keys others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[],
};

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
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
    if operation == "followShortLink" {
        let link = url_shorteners::link(world.identity.acme, json!({}));
        let made = world.made("POST", "/v1/url-shorteners/", link).await;
        return Some(Request::to(format!("/s/{}", made["data"]["attributes"]["code"].as_str()?)));
    }
    if operation == "receiveMailReport" {
        return Some(email_logs::mail_report(world).await);
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
        "receiveSesReport" => "/hooks/mail/ses",
        "receiveTextStatus" => "/hooks/sms/status?message=00000000-0000-0000-0000-000000000000",
        _ => return None,
    }))
}
