//! Tokens for programs: their own, issued for a service account, and synthetic tokens issued for a user.

use super::call::{Attributes, Call, HandlerResult, PlainBody, Secret};
use super::documents::{Reply, Resource};
use super::refusals::{into_api_error, refused};
use super::times;
use crate::access::resource::Guarded;
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::auth::is_reserved;
use crate::processes::sessions::{self, OpenedSession, Person, SessionOpenError, SessionRequest};
use crate::processes::sign_in::SignInError;
use crate::security::{self, Event};
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use registrar_aggregates::session::{Opener, Origin};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::UserDocument;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Default life of a synthetic token, in seconds.
const SYNTHETIC_SECS: u32 = 1_800;

#[derive(Deserialize)]
pub(super) struct Synthetic {
    data: SyntheticToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SyntheticToken {
    user_id: UserId,
    organization_id: Option<OrganizationId>,
    expiration_secs: Option<u32>,
    #[serde(default)]
    additional_claims: Vec<AdditionalClaim>,
}

#[derive(Deserialize)]
struct AdditionalClaim {
    claim: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ServiceAccountDigest {
    namespace: String,
    sa_name: String,
    sa_token_sha512: String,
}

#[derive(Deserialize)]
pub(super) struct ServiceAccountToken {
    token: Secret,
}

/// Issues a token for a user without a sign-in.
pub(super) async fn create_synthetic(call: Call, PlainBody(asked): PlainBody<Synthetic>) -> HandlerResult {
    call.require(call.holder.is_service() && !call.acts_for_another())?;
    let opener = call.account().await.map_err(|_| call.forbidden())?;
    let SyntheticToken { user_id, organization_id: organization, expiration_secs, additional_claims } = asked.data;
    let wrong = |name: &str, detail: &str| {
        ApiError::Wrong(vec![RequestViolation::at(Source::Pointer(format!("/data/{name}")), detail)])
    };
    let mut additional = BTreeMap::new();
    for (index, AdditionalClaim { claim, value }) in additional_claims.into_iter().enumerate() {
        if is_reserved(&claim) || additional.insert(claim, json!(value)).is_some() {
            return Err(wrong(&format!("additional-claims/{index}/claim"), "must not be reserved or given twice"));
        }
    }
    let user = enabled(&call, user_id).await?.ok_or_else(|| wrong("user-id", UserDocument::NAMES_NONE))?;
    // A program acting as a user with system roles would gain rights it was never granted.
    call.require(user.system_roles.is_empty())?;
    let no_membership = || wrong("organization-id", "names none of the user's organizations");
    if organization.is_some_and(|organization| !user.memberships.contains_key(&organization)) {
        return Err(no_membership());
    }
    let seconds = expiration_secs.unwrap_or(SYNTHETIC_SECS);
    let request = SessionRequest {
        organization,
        access_secs: seconds,
        session_secs: u64::from(seconds),
        refreshable: false,
        additional,
        by: Some(Opener { id: opener.id(), account: opener.account() }),
        ..SessionRequest::plain(Origin::Synthetic)
    };
    let (now, person) = (Utc::now(), Person::User(user));
    let prepared = sessions::prepare(&call.app.node, &call.app.authenticator, &person, &request).await;
    let prepared = prepared.map_err(|error| match error {
        SessionOpenError::NotAMember => no_membership(),
        error => into_api_error(error),
    })?;
    let opened = prepared.opened();
    let reply = Reply::said(json!({ "data": {
        "access-token": opened.tokens.access,
        "expiration-secs": opened.access_secs,
        "expiration-time": times::write(now + TimeDelta::seconds(i64::from(opened.access_secs))),
        "session-id": opened.id,
    }}));
    call.commit(reply, |node, context| prepared.commit(node, context)).await
}

/// Tokens of a service account, for a program that sends the digest of its token.
pub(super) async fn internal_v1(call: Call, PlainBody(shown): PlainBody<ServiceAccountDigest>) -> HandlerResult {
    let ServiceAccountDigest { namespace, sa_name, sa_token_sha512 } = shown;
    let (failures, node, client_info) = (&call.app.failures, &call.app.node, call.client_info());
    let name = format!("{namespace}/{sa_name}");
    if let Err(locked) = failures.check_program(node, &name, &client_info) {
        security::refused(Event::SignIn, "too many sign-ins failed");
        return Err(into_api_error(SignInError::from(locked)));
    }
    let workload = call.app.settings.workloads.by_digest(&namespace, &sa_name, &sa_token_sha512);
    let user = match workload.and_then(|workload| workload.user()) {
        Some(user) => enabled(&call, user).await?,
        None => None,
    };
    let user = user.ok_or_else(|| {
        failures.fail_program(node, &name, &client_info);
        unknown_workload()
    })?;
    open_for_program(&call, &user, true, |opened| {
        let refresh = opened.refresh_token.as_ref().map(|token| token.as_str()).unwrap_or_default();
        Reply::said(json!({
            "access-token": opened.tokens.access,
            "id-token": opened.tokens.id,
            "refresh-token": refresh,
            "token-type": "Bearer",
            "expires-in": opened.access_secs,
            "email": user.contacts.email,
            "user-id": user.profile.id,
            "username": user.username_text(),
        }))
    })
    .await
}

/// Access token of a service account, for a program that sends its token.
pub(super) async fn internal(call: Call, Attributes(shown): Attributes<ServiceAccountToken>) -> HandlerResult {
    let workload = call.app.settings.workloads.by_token(&shown.token.0).ok_or_else(unknown_workload)?;
    let user = match workload.user() {
        Some(user) => enabled(&call, user).await?.ok_or_else(|| call.forbidden())?,
        None => return Err(call.forbidden()),
    };
    open_for_program(&call, &user, false, |opened| {
        let attributes = json!({ "access-token": opened.tokens.access });
        Reply::created(Resource::new("internal-auths", opened.id, attributes))
    })
    .await
}

fn unknown_workload() -> ApiError {
    security::refused(Event::SignIn, "no such workload");
    refused(StatusCode::UNAUTHORIZED, "bad-credentials", "no such workload, or another token")
}

async fn enabled(call: &Call, user: UserId) -> Result<Option<Arc<UserDocument>>, ApiError> {
    Ok(call.user_by_id(user).await?.filter(|user| user.state.is_enabled()))
}

/// Opens a session for a program and answers with its tokens.
async fn open_for_program(
    call: &Call,
    user: &Arc<UserDocument>,
    refreshable: bool,
    reply: impl Fn(&OpenedSession) -> Reply,
) -> HandlerResult {
    let person = Person::User(Arc::clone(user));
    let request = SessionRequest { refreshable, ..SessionRequest::plain(Origin::Workload) };
    let prepared = sessions::prepare(&call.app.node, &call.app.authenticator, &person, &request).await;
    let prepared = prepared.map_err(into_api_error)?;
    let opened = prepared.opened();
    let (acts_in, reply) = ((Some(opened.id), opened.organization), reply(opened));
    let client_info = call.client_info();
    call.commit(reply, |node, context| async move {
        prepared.commit(node, &person.context(context, acts_in, &client_info)).await
    })
    .await
}
