//! Codes of invitations, looked up by anyone who has one and used by people who are signed in.

use crate::api::common::ApiError;
use crate::api::identity::call::{Attributes, Call, HandlerResult, Parsed, PlainBody, Secret};
use crate::api::identity::documents::{Reply, Resource};
use crate::api::identity::refusals::{CODE_INVALID, into_api_error};
use crate::journal::JournalResult;
use crate::processes::codes::{CodeGuard, Pace};
use crate::processes::onboarding;
use registrar_aggregates::user::Phone;
use registrar_aggregates::values::EmailAddress;
use registrar_projections::OrganizationDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use serde::Deserialize;
use serde_json::json;

/// Answer to codes that are unknown, void or expired, and to codes beside an address that they were not sent to.
const NO_INVITATION: ApiError = ApiError::NotFound("Invitation not found");

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::api::identity) struct Invitation {
    code: Secret,
    email: Option<Parsed<EmailAddress>>,
    phone_number: Option<Parsed<Phone>>,
}

#[derive(Deserialize)]
pub(in crate::api::identity) struct Code {
    code: Secret,
}

/// The status of the request behind a code, with the inviting organization. The answer is held, so that its time does not
/// tell what was found.
pub(in crate::api::identity) async fn get_info(
    call: Call,
    Attributes(invitation): Attributes<Invitation>,
) -> HandlerResult {
    let pace = Pace::start();
    let found = look_up(&call, &invitation).await;
    pace.hold().await;
    found
}

async fn look_up(call: &Call, invitation: &Invitation) -> HandlerResult {
    let (node, failures, client_info) = (&call.app.node, &call.app.failures, call.client_info());
    let invited = async {
        let found = onboarding::invited_by(node, &invitation.code.0).await?;
        JournalResult::Ok(found.filter(|(request, _)| invitation.is_to(request)))
    };
    let found = CodeGuard::look_up(node, failures, &client_info, invited).await.map_err(into_api_error)?;
    let (request, organization) = found.ok_or(NO_INVITATION)?;
    Ok(Reply::created(resource(&request, &organization)))
}

impl Invitation {
    /// Whether the given addresses are those of the request.
    fn is_to(&self, request: &OnboardingDocument) -> bool {
        let email = self.email.as_ref().is_none_or(|Parsed(email)| request.has_email(email));
        let phone = self.phone_number.as_ref().is_none_or(|Parsed(phone)| request.phone.as_ref() == Some(phone));
        email && phone
    }
}

/// Claims a request for the caller. Unknown requests are refused like wrong codes.
pub(in crate::api::identity) async fn claim(call: Call, PlainBody(Code { code }): PlainBody<Code>) -> HandlerResult {
    let by = call.user()?.profile.id;
    call.own_acts_only()?;
    let (node, failures, client_info) = (&call.app.node, &call.app.failures, call.client_info());
    CodeGuard::check(node, failures, &client_info).await.map_err(into_api_error)?;
    let id = call.path_text();
    let claimed = call.commit(Reply::done(), |node, context| onboarding::claim(node, context, id, &code.0, by)).await;
    if let Err(ApiError::Refused { code: CODE_INVALID, .. }) = &claimed {
        CodeGuard::fail(node, failures, &client_info).await.map_err(into_api_error)?;
    }
    claimed
}

fn resource(request: &OnboardingDocument, organization: &OrganizationDocument) -> Resource {
    let attributes = json!({
        "onboarding-request": { "done": request.is_claimed(), "status": request.status },
        "organization": { "display-name": organization.name, "id": organization.id },
    });
    Resource::new("onboarding-info", request.id, attributes)
}
