//! Onboarding requests as JSON.

use crate::api::identity::documents::Resource;
use crate::api::identity::times;
use registrar_aggregates::message::Channel;
use registrar_aggregates::onboarding::{Bounce, BounceKind, InvitationStatus, LastInvitation};
use registrar_projections::onboarding_requests::OnboardingDocument;
use serde_json::{Value, json};

/// Subtype of a bounce whose reason is not known, in the words of mail services.
const GENERAL: &str = "General";

/// A request with the last invitation of each channel.
pub(super) fn resource(request: &OnboardingDocument) -> Resource {
    let mut attributes = attributes(request);
    attributes["last-invite"] = json!({
        "email": invite(Channel::Email, request.email_invitation.as_ref()),
        "sms": invite(Channel::Sms, request.sms_invitation.as_ref()),
    });
    Resource::new("onboarding-requests", request.id, attributes).at(request)
}

/// A request in a list.
pub(super) fn row(request: &OnboardingDocument) -> Resource {
    Resource::new("onboarding-requests", request.id, attributes(request)).at(request)
}

fn attributes(request: &OnboardingDocument) -> Value {
    json!({
        "claimed-by": request.claimed_by,
        "claimed-time": request.claimed_at.map(times::write),
        "created-by": request.created_by,
        "created-time": times::write(request.created_at),
        "done": request.is_claimed(),
        "email-dsn": delivery(request),
        "onboard-type": request.kind,
        "organization": request.organization_id,
        "patient": request.individual_id,
        "patient-email": request.email,
        "phone-number": request.phone,
        "provider-roles": request.roles,
        "registering-time": request.registering_at.map(times::write),
        "status": request.status,
    })
}

fn invite(channel: Channel, last: Option<&LastInvitation>) -> Value {
    last.map_or(Value::Null, |last| {
        json!({
            "created-time": times::write(last.at),
            "error": last.error,
            "id": last.message,
            "respond-time": last.reported_at.map(times::write),
            "status": last.status,
            "type": channel,
        })
    })
}

/// The delivery of the last e-mail to the present address; null until it was sent.
fn delivery(request: &OnboardingDocument) -> Value {
    let (Some(last), Some(email)) = (&request.email_invitation, &request.email) else { return Value::Null };
    let state = match last.status {
        _ if last.complained => "complained",
        InvitationStatus::Created => return Value::Null,
        InvitationStatus::Sent => "sent",
        InvitationStatus::Delivered => "delivered",
        InvitationStatus::Failed => "bounced",
    };
    json!({
        "id": last.message,
        "type": "email-dsn",
        "attributes": {
            "bounce": bounce(last),
            "created-at": times::write(last.at),
            "email": email,
            "state": state,
            "status-at": times::write(last.reported_at.unwrap_or(last.at)),
        },
    })
}

/// The bounce of an invitation that has failed: that is final, from any reporter.
fn bounce(last: &LastInvitation) -> Value {
    if last.status != InvitationStatus::Failed {
        return Value::Null;
    }
    match &last.bounce {
        Some(Bounce { kind, subtype }) => json!({ "type": kind.name(), "subtype": subtype }),
        None => json!({ "type": BounceKind::Permanent.name(), "subtype": last.error.as_deref().unwrap_or(GENERAL) }),
    }
}
