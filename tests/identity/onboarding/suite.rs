//! The operations on onboarding requests of A and on their codes.

use super::{INFO, KIND, REQUESTS, TEXTS, claims, creation, invitations, path, report};
use crate::conformance::resource::Part::Has;
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query, times};
use crate::matrix::world::{Caller, Request, World, amendment, document};
use crate::suite::Suite;
use serde_json::{Value, json};

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-onboarding-requests", creation::requests_are_listed_by_organization_kind_address_and_individual::TEST),
        ("create-onboarding-request", creation::a_provider_onboards_a_patient_by_mail_and_text_message::TEST),
        ("get-onboarding-request", creation::a_provider_onboards_a_patient_by_mail_and_text_message::TEST),
        ("update-onboarding-request", invitations::a_corrected_address_voids_the_invitation_to_the_former_one::TEST),
        ("resend-onboarding-invitation", invitations::another_invitation_voids_the_one_before::TEST),
        ("update-onboarding-text-status", invitations::programs_report_the_delivery_of_a_text_message::TEST),
        ("get-onboarding-info", claims::a_code_tells_its_holder_who_invites::TEST),
        ("claim-onboarding-request", claims::the_holder_of_an_address_claims_with_their_own_account::TEST),
    ],
    table: "
        list-onboarding-requests       200 stranger sharing operator auditor provider leader managers, 403 others
        create-onboarding-request      201 provider leader managers, 403 participant support service, 400 others
        create-onboarding-request:provider  201 managers, 403 provider leader participant support service, 400 others
        get-onboarding-request         200 provider leader managers, 404 others
        update-onboarding-request      200 provider leader managers, 404 others
        resend-onboarding-invitation   201 provider leader managers, 404 others
        update-onboarding-text-status  201 administrator service system, 403 others
        get-onboarding-info            201 anonymous keys others
        claim-onboarding-request       403 ecg-admins, 201 others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: KIND,
    caller: "admin",
    create: Has(Create {
        operation: "create-onboarding-request",
        listed: Has(|world, data| {
            let address = member(data, "patient-email");
            query(format!("organization={}&with-invite=true&email={address}", world.identity.acme))
        }),
    }),
    read: Has("get-onboarding-request"),
    update: Has("update-onboarding-request"),
    list: Has(List {
        operation: "list-onboarding-requests",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-onboarding-request", 3).await;
                format!("organization={}", world.identity.acme)
            })
        },
        paged: Has(()),
        scope: Has("organization"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/patient-email" }),
};

/// The creation of a request of A for a new individual with a new address and number, which is invited at once.
async fn invitation(world: &World) -> Value {
    let number = world.next();
    let individual = world.identity.individual(world.identity.acme).await;
    document(
        KIND,
        json!({
            "organization": world.identity.acme,
            "patient": individual,
            "patient-email": format!("onboarded-{number}@unknown.example"),
            "phone-number": format!("+1303{:07}", 5_550_000 + number),
            "email-user-now": true,
        }),
    )
}

/// Creates a request of A; answers its resource.
async fn invited(world: &World) -> Value {
    world.made("POST", REQUESTS, invitation(world).await).await["data"].take()
}

/// Creates a request of A; answers its path and the code of its invitation by mail.
async fn invited_by_code(world: &World) -> (String, String) {
    let request = invited(world).await;
    let code = world.identity.referral_code(member(&request, "patient-email")).await;
    (path(id(&request)), code)
}

fn id(request: &Value) -> &str {
    request["id"].as_str().unwrap()
}

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    Some(match operation {
        "create-onboarding-request" => Request::to(REQUESTS).json(invitation(world).await),
        "create-onboarding-request:provider" => {
            let address = format!("{}@unknown.example", world.name("nurse"));
            let organization = world.identity.acme;
            let attributes =
                json!({ "organization": organization, "onboard-type": "provider", "patient-email": address });
            Request::to(REQUESTS).json(document(KIND, attributes))
        }
        "update-onboarding-request" => {
            let request = invited(world).await;
            let address = format!("{}@unknown.example", world.name("corrected"));
            Request::to(path(id(&request))).json(amendment(KIND, id(&request), json!({ "email": address })))
        }
        "resend-onboarding-invitation" => {
            let request = invited(world).await;
            let body = document("onboarding-requests-email", json!({}));
            Request::to(format!("{}email/", path(id(&request)))).json(body)
        }
        "update-onboarding-text-status" => {
            let request = invited(world).await;
            let text = request["attributes"]["last-invite"]["sms"]["id"].as_str().unwrap();
            Request::to(format!("{TEXTS}{text}/update-status/")).json(report(text, json!({ "status": "delivered" })))
        }
        "get-onboarding-info" => {
            let (_, code) = invited_by_code(world).await;
            Request::to(INFO).json(document("onboarding-info", json!({ "code": code })))
        }
        "claim-onboarding-request" => {
            let (path, code) = invited_by_code(world).await;
            // Callers who claim become participants of A.
            Request::to(format!("{path}claim/")).json(json!({ "code": code })).sent_with(world.another(caller).await)
        }
        _ => return None,
    })
}
