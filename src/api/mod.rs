//! Everything HTTP. Each dialect is a module that translates its shapes to commands and queries and back; what they
//! share is in [`common`].

pub mod audit;
pub mod common;
pub mod docs;
pub mod ecg_admins;
pub mod events;
pub mod health;
pub mod site_organizations;

use crate::auth::{Authenticator, PasswordHasher};
use crate::node::Node;
use crate::publisher::PublisherStatus;
use crate::replay::Replays;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use common::boundary::{self, BODY_MAX_BYTES};
use common::error::ErrorDto;
use common::idempotency::Turns;
use ecg_admins::periods::Calendar;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

/// Everything that handlers need. Cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    /// Carries out commands and answers queries.
    pub node: Arc<Node>,
    /// Knows who is asking.
    pub authenticator: Arc<Authenticator>,
    /// Hashes passwords, a few at a time.
    pub passwords: Arc<PasswordHasher>,
    /// How publishing goes.
    pub publisher: PublisherStatus,
    /// How this deployment serves.
    pub settings: Arc<ApiSettings>,
    /// States of the past.
    pub replays: Arc<Replays>,
    turns: Arc<Turns>,
}

/// How a deployment serves HTTP.
#[derive(Default)]
pub struct ApiSettings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How named periods are read.
    pub calendar: Calendar,
    /// Whether followers of the events see personal values, as subscribers on NATS then do.
    pub publish_personal: bool,
    /// Whether the site dialect wants a reason for every change.
    pub reason_mandatory: bool,
    /// What `/metrics` tells; without it there is nothing at that path.
    pub metrics: Option<PrometheusHandle>,
}

impl AppState {
    /// The state of a server over `node`.
    #[must_use]
    pub fn new(
        node: Arc<Node>,
        authenticator: Arc<Authenticator>,
        passwords: Arc<PasswordHasher>,
        publisher: PublisherStatus,
        settings: ApiSettings,
    ) -> Self {
        let replays = Arc::new(Replays::new(Arc::clone(&node.journal), Arc::clone(&node.vault)));
        let (settings, turns) = (Arc::new(settings), Arc::default());
        AppState { node, authenticator, passwords, publisher, settings, replays, turns }
    }
}

/// Names of the OpenAPI documents, each at `/openapi/<name>.json`.
pub const DOCUMENTS: &[&str] = &["ecg-admins", "site-organizations", "audit", "registrar"];

/// Everything that is served.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for name in DOCUMENTS {
        let (routes, _) = dialect(name).unwrap_or_default().split_for_parts();
        router = router.merge(routes);
    }
    router
        .fallback(boundary::no_such_path)
        .method_not_allowed_fallback(boundary::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(state.clone(), boundary::boundary))
        .with_state(state)
}

/// The OpenAPI document of a dialect, made from its code, if there is a dialect of that name.
#[must_use]
pub fn openapi(name: &str) -> Option<OpenApi> {
    dialect(name).map(OpenApiRouter::into_openapi)
}

fn dialect(name: &str) -> Option<OpenApiRouter<AppState>> {
    let (title, description, components, routes) = match name {
        "ecg-admins" => (
            "ECG Organizations API - ECG Admins",
            include_str!("ecg_admins/description.md"),
            ComponentsBuilder::new().schema_from::<ErrorDto>(),
            ecg_admins::routes::routes(),
        ),
        "site-organizations" => (
            "Site service - organizations",
            include_str!("site_organizations/description.md"),
            site_organizations::schemas::components(),
            site_organizations::routes::routes(),
        ),
        "audit" => (
            "Registrar - Audit",
            include_str!("audit/description.md"),
            ComponentsBuilder::new().schema_from::<audit::Problem>(),
            audit::routes(),
        ),
        "registrar" => (
            "Registrar",
            "What Registrar offers besides the dialects: its events, its state, its keys, its documents.",
            ComponentsBuilder::new(),
            OpenApiRouter::new().merge(events::routes()).merge(health::routes()).merge(docs::routes()),
        ),
        _ => return None,
    };
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("JSON Web Token in the Authorization header."));
    let document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).description(Some(description)))
        .components(Some(components.security_scheme("bearer", SecurityScheme::Http(bearer.build())).build()))
        .security(Some([SecurityRequirement::new("bearer", Vec::<String>::new())]));
    Some(OpenApiRouter::with_openapi(document.build()).merge(routes))
}

#[cfg(test)]
mod tests;
