//! The HTTP layer. Each dialect is a module that translates its shapes to commands and queries and back; shared parts
//! are in [`common`].

pub mod audit;
pub mod cloud_organizations;
pub mod common;
pub mod docs;
pub mod ecg_admins;
pub mod events;
pub mod health;
pub mod hooks;
pub mod identity;
pub mod redirects;
pub mod site_organizations;

use crate::api::audit::replay::Replays;
use crate::auth::workloads::Workloads;
use crate::auth::{Authenticator, PasswordHasher, Rate, RateLimiter};
use crate::config::FIRST_PASSWORD_LIFE;
use crate::messages::reports::ReportSources;
use crate::messages::{Composer, DeliveryStatus};
use crate::node::Node;
use crate::processes::codes::Shadows;
use crate::processes::passwords::Pwned;
use crate::processes::second_factor::Requirement;
use crate::processes::sign_in::Failures;
use crate::processes::sign_up::SignUpLimits;
use crate::processes::visits::Visits;
use crate::publisher::PublisherStatus;
use axum::Router;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use chrono::TimeDelta;
use cloud_organizations::refusals::ErrorResponse;
use common::error::ErrorDto;
use common::idempotency::KeyLocks;
use common::limits::Limits;
use common::strangers::Allowance;
use common::{ApiError, boundary};
use ecg_admins::periods::Calendar;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use registrar_aggregates::url_shortener::target::LinkHosts;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

/// Rate of look-ups of hidden addresses: enough for an admin who adds people by hand, too few to try a list.
const ADDRESS_LOOKUPS: Rate = Rate { requests: 30, window: Duration::from_secs(60 * 60) };

/// Shared state of handlers. Cloning is cheap: it is done several times a request.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// Contents of an [`AppState`].
pub struct Parts {
    /// Executes commands and answers queries.
    pub node: Arc<Node>,
    /// Identifies callers.
    pub authenticator: Arc<Authenticator>,
    /// Hashes passwords, a few concurrently.
    pub passwords: Arc<PasswordHasher>,
    /// Status of the publisher.
    pub publisher: PublisherStatus,
    /// Settings of the deployment.
    pub settings: ApiSettings,
    /// Rate limits of callers and strangers.
    pub limits: Limits,
    /// Processor time for requests of strangers.
    pub strangers: Allowance,
    /// Rate limits of API keys.
    pub limiter: RateLimiter,
    /// Rate limits of look-ups of addresses hidden from the caller.
    pub lookups: RateLimiter,
    /// Failed sign-ins and wrong codes that no event records.
    pub failures: Failures,
    /// Tries of codes and requests for messages by name, as callers see them.
    pub shadows: Shadows,
    /// Limits of public answers about sign-ups.
    pub sign_up_limits: SignUpLimits,
    /// Visits of short links that no event records yet.
    pub visits: Arc<Visits>,
    /// Status of the deliveries of messages.
    pub deliveries: DeliveryStatus,
    /// Replays past states.
    pub replays: Replays,
    key_locks: KeyLocks,
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// HTTP settings of a deployment.
#[derive(Default)]
pub struct ApiSettings {
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Time zone and weeks of named periods.
    pub calendar: Calendar,
    /// Whether clients of the event stream see personal values, as NATS subscribers then do.
    pub publish_personal: bool,
    /// Whether the site dialect requires a reason for every change.
    pub reason_mandatory: bool,
    /// Rate per API key, on each node.
    pub api_key_rate: Rate,
    /// Rate per caller, on each node; `None` is unlimited.
    pub caller_rate: Option<Rate>,
    /// Rate of unrecognised requests per network, on each node.
    pub stranger_rate: Option<Rate>,
    /// Programs identified by the cluster that they run in.
    pub workloads: Workloads,
    /// Service that knows stolen passwords; without it passwords are not checked for that.
    pub pwned: Option<Pwned>,
    /// Life of passwords that their owners did not set.
    pub first_password_life: FirstPasswordLife,
    /// Accounts that require a second factor to sign in.
    pub second_factor: Requirement,
    /// Whether persons confirm by password changes of how they sign in, and the end of other sessions.
    pub confirm_changes: bool,
    /// Whether every refresh rotates the refresh token, even if the client does not ask for it.
    pub rotate_refresh: bool,
    /// Hosts that short links may lead to.
    pub link_hosts: LinkHosts,
    /// Composes messages to people.
    pub composer: Composer,
    /// Senders of reports about messages.
    pub reports: ReportSources,
    /// Whether the paths of the documents answer 404: docs page, OpenAPI, AsyncAPI.
    pub hide_docs: bool,
    /// Whether browsers are told to use TLS only.
    pub strict_transport: bool,
    /// Source of `/metrics`; without it that path answers 404.
    pub metrics: Option<PrometheusHandle>,
}

/// Life of passwords that their owners did not set.
#[derive(Debug, Clone, Copy)]
pub struct FirstPasswordLife(pub TimeDelta);

impl Default for FirstPasswordLife {
    fn default() -> Self {
        FirstPasswordLife(FIRST_PASSWORD_LIFE)
    }
}

impl AppState {
    /// Creates the state of a server over `node`.
    #[must_use]
    pub fn new(
        node: Arc<Node>,
        authenticator: Arc<Authenticator>,
        passwords: Arc<PasswordHasher>,
        publisher: PublisherStatus,
        settings: ApiSettings,
    ) -> Self {
        let replays = Replays::new(node.journal.clone(), Arc::clone(&node.vault), node.histories());
        let limits = Limits::new(settings.caller_rate, settings.stranger_rate);
        let limiter = RateLimiter::new(settings.api_key_rate);
        let (lookups, key_locks) = (RateLimiter::new(ADDRESS_LOOKUPS), KeyLocks::default());
        AppState(Arc::new(Parts {
            node,
            authenticator,
            passwords,
            publisher,
            settings,
            limits,
            strangers: Allowance::for_this_machine(),
            limiter,
            lookups,
            failures: Failures::default(),
            shadows: Shadows::default(),
            sign_up_limits: SignUpLimits::default(),
            visits: Arc::default(),
            deliveries: DeliveryStatus::default(),
            replays,
            key_locks,
        }))
    }
}

/// Names of the OpenAPI documents, each at `/openapi/<name>.json`.
pub const DOCUMENTS: &[&str] =
    &["ecg-admins", "site-organizations", "cloud-organizations", "cloud-keys", "identity", "audit", "registrar"];

/// All routes of the server. Every layer of a route is cloned and boxed by each request, so a route has two: the
/// boundary, and its own guard.
pub fn router(state: AppState) -> Router {
    let (mut router, with_docs) = (Router::new(), !state.settings.hide_docs);
    for name in DOCUMENTS {
        let (routes, _) = dialect(name, with_docs).unwrap_or_default().split_for_parts();
        router = router.merge(routes);
    }
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(boundary::no_such_method)
        .layer(from_fn_with_state(state.clone(), boundary::boundary))
        .with_state(state)
}

/// Fallback for paths that no dialect knows.
async fn no_such_path(uri: Uri) -> Result<Response, ApiError> {
    identity::routes::with_slash(&uri).ok_or(ApiError::NoSuchPath)
}

/// The OpenAPI document of a dialect, generated from its code; `None` for an unknown name.
#[must_use]
pub fn openapi(name: &str) -> Option<OpenApi> {
    dialect(name, true).map(OpenApiRouter::into_openapi)
}

fn dialect(name: &str, with_docs: bool) -> Option<OpenApiRouter<AppState>> {
    if name == "identity" {
        return identity::document().map(identity::routes::routes);
    }
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
        "cloud-organizations" => (
            "Cloud database - organizations",
            include_str!("cloud_organizations/description.md"),
            ComponentsBuilder::new().schema_from::<ErrorResponse>(),
            cloud_organizations::routes::routes(),
        ),
        "cloud-keys" => (
            "Cloud database - keys of an organization",
            include_str!("cloud_organizations/description.md"),
            ComponentsBuilder::new().schema_from::<ErrorResponse>(),
            cloud_organizations::keys::routes(),
        ),
        "audit" => (
            "Registrar - Audit",
            include_str!("audit/description.md"),
            ComponentsBuilder::new().schema_from::<audit::Problem>(),
            audit::routes(),
        ),
        "registrar" => (
            "Registrar",
            "What Registrar offers besides the dialects: its events, its state, its keys, its documents, redirects, and \
             where reports about messages arrive.",
            ComponentsBuilder::new(),
            own_routes(with_docs),
        ),
        _ => return None,
    };
    let (scheme_name, scheme) = scheme(name);
    let document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).description(Some(description)))
        .components(Some(components.security_scheme(scheme_name, SecurityScheme::Http(scheme.build())).build()))
        .security(Some([SecurityRequirement::new(scheme_name, Vec::<String>::new())]));
    Some(OpenApiRouter::with_openapi(document.build()).merge(routes))
}

/// Routes of no dialect.
fn own_routes(with_docs: bool) -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::new().merge(events::routes()).merge(health::routes());
    let routes = routes.merge(redirects::routes()).merge(hooks::routes());
    if with_docs { routes.merge(docs::routes()) } else { routes }
}

/// Security scheme of a dialect.
fn scheme(name: &str) -> (&'static str, HttpBuilder) {
    if name.starts_with("cloud-") {
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        return ("basicAuth", basic.description(Some("User name is the key id, password the key secret.")));
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    ("bearer", bearer.description(Some("JSON Web Token in the Authorization header.")))
}

#[cfg(test)]
mod tests;
