//! Guard of API keys: authentication, rate, organization and permission, checked in this order before the query and the
//! body are read.

use super::parameters::check_ids;
use crate::api::AppState;
use crate::api::common::boundary::{self, BODY_MAX_BYTES, RequestFacts};
use crate::api::common::guard::{acting, check_length, denied, remembering, unrecognised};
use crate::api::common::repeat::as_of_one_moment;
use crate::api::common::routes::{Routes, declared};
use crate::api::common::{ApiError, Caller, freshness, limits};
use crate::auth::{AuthError, Permission, Principal, api_keys};
use crate::read_store::Documents;
use crate::security::{self, Event};
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use registrar_projections::OrganizationDocument;
use std::sync::Arc;
use std::time::Instant;

/// Operations restricted to keys with `permission`; writes among them honour `Idempotency-Key`.
pub fn keyed(permission: Permission, routes: Routes) -> Routes {
    let (schemas, paths, router) = declared(permission, routes);
    (schemas, paths, router.route_layer(from_fn(move |request, next| guard(permission, request, next))))
}

/// The organization of the calling key, as of the request.
#[derive(Clone)]
pub struct Tenant {
    /// The organization.
    pub organization: Arc<OrganizationDocument>,
    /// Position that it reflects.
    pub position: u64,
}

impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let tenant = parts.extensions.get::<Tenant>().cloned();
        tenant.ok_or_else(|| ApiError::internal("the operation asks for its tenant and is not guarded"))
    }
}

async fn guard(permission: Permission, request: Request, next: Next) -> Result<Response, ApiError> {
    let (app, facts) = boundary::passed(request.extensions())?;
    let (app, facts, next) = (&app, &*facts, &next);
    let known = app.node.heads.position();
    let mut response = as_of_one_moment(app, request, |request, documents| async move {
        let (mut parts, body) = request.into_parts();
        match admit(app, documents, permission, &mut parts, facts).await {
            Ok((caller, tenant)) => {
                parts.extensions.insert(caller);
                parts.extensions.insert(tenant);
                remembering(next.clone(), Request::from_parts(parts, body)).await
            }
            Err(error) => error.into_response(),
        }
    })
    .await;
    freshness::note_position(&mut response, known);
    Ok(response)
}

async fn admit(
    app: &AppState,
    documents: Documents,
    permission: Permission,
    parts: &mut Parts,
    facts: &RequestFacts,
) -> Result<(Caller, Tenant), ApiError> {
    let principal = recognise(app, facts, &parts.headers).await?;
    security::recognised(acting(&principal));
    let accepted = app.limiter.accept(&principal.actor.id, Instant::now());
    accepted.map_err(limits::too_many)?;
    let parameters = RawPathParams::from_request_parts(parts, app).await.map_err(|_| ApiError::NoSuchPath)?;
    let asked_for = check_ids(&parameters)?;
    freshness::await_position(app, &parts.headers).await?;
    let tenant = tenant_of(app, &documents, facts, &principal).await?;
    // The existence of other organizations is not disclosed.
    if asked_for.is_some_and(|id| id != tenant.organization.id) {
        security::refused(Event::Unseen, "another organization");
        return Err(ApiError::NotFound("organization not found"));
    }
    if !principal.may(permission) {
        return Err(denied(permission.name()));
    }
    check_length(&parts.headers, BODY_MAX_BYTES)?;
    Ok((Caller::new(principal, facts, documents), tenant))
}

async fn recognise(app: &AppState, facts: &RequestFacts, headers: &HeaderMap) -> Result<Principal, ApiError> {
    let credentials = headers.get(AUTHORIZATION);
    let authorization = credentials.and_then(|value| value.to_str().ok());
    match api_keys::authenticate(&app.node, authorization).await {
        Err(AuthError::Unauthenticated(reason)) => Err(unrecognised(app, facts, reason, credentials.is_some()).await),
        recognised => Ok(recognised?),
    }
}

/// Keys of a deleted organization are invalid.
async fn tenant_of(
    app: &AppState,
    documents: &Documents,
    facts: &RequestFacts,
    principal: &Principal,
) -> Result<Tenant, ApiError> {
    let id = principal.organization.as_deref().unwrap_or_default();
    let found = documents.find::<OrganizationDocument>(id).await?;
    let Some(organization) = found.value else {
        return Err(unrecognised(app, facts, "the API key's organization is gone", true).await);
    };
    Ok(Tenant { organization, position: found.position })
}
