//! Declaring routes: each names its required permission beside its path, and that declaration is both enforced and
//! published in the OpenAPI document.

use crate::api::AppState;
use crate::api::common::boundary::PUBLIC_BODY_MAX_BYTES;
use crate::api::common::guard;
use crate::auth::Permission;
use axum::middleware::{Next, from_fn};
use futures::FutureExt;
use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

/// Operations with handlers and descriptions, as `utoipa_axum::routes!` collects them.
pub type Routes = UtoipaMethodRouter<AppState>;

/// OpenAPI extension: required permission of an operation.
pub const PERMISSION: &str = "x-permission";
/// OpenAPI extension: marks a public operation.
pub const PUBLIC: &str = "x-public";

/// Operations restricted to callers with `permission`; writes among them honour `Idempotency-Key`.
pub fn guarded(permission: Permission, routes: Routes) -> Routes {
    let (schemas, paths, router) = declared(permission, routes);
    (schemas, paths, router.route_layer(from_fn(move |request, next| guard::guard(permission, request, next))))
}

/// Operations described as requiring `permission`, enforced by the guard of a dialect, not here.
pub fn declared(permission: Permission, routes: Routes) -> Routes {
    let (schemas, mut paths, router) = routes;
    mark(&mut paths, PERMISSION, &Value::String(permission.to_string()));
    (schemas, paths, router)
}

/// Public operations, authenticated or not: they count against the client's network and use the processor time of
/// strangers.
pub fn public(routes: Routes) -> Routes {
    public_up_to(PUBLIC_BODY_MAX_BYTES, routes)
}

/// As [`public`], with another limit of the body, in bytes.
pub fn public_up_to(max_bytes: usize, routes: Routes) -> Routes {
    let (schemas, paths, router) = probe(routes);
    let router = router.route_layer(from_fn(move |request, next: Next| {
        guard::stranger_up_to(max_bytes, request, |request| next.run(request).boxed())
    }));
    (schemas, paths, router)
}

/// Health probes and metrics: as [`public`], but neither counted nor delayed, so that a busy server is not taken for a
/// dead one.
pub fn probe(routes: Routes) -> Routes {
    let (schemas, mut paths, router) = routes;
    mark(&mut paths, PUBLIC, &Value::Bool(true));
    for operation in paths.paths.values_mut().flat_map(operations_mut) {
        operation.security = Some(Vec::new());
    }
    (schemas, paths, router)
}

fn mark(paths: &mut Paths, name: &str, value: &Value) {
    for operation in paths.paths.values_mut().flat_map(operations_mut) {
        operation.extensions.get_or_insert_default().insert(name.to_owned(), value.clone());
    }
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

/// Operations of a document that declare neither a permission nor public access, as `METHOD path`.
#[must_use]
pub fn undeclared(document: &OpenApi) -> Vec<String> {
    let mut undeclared = Vec::new();
    for (path, item) in &document.paths.paths {
        let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
        let operations = [
            ("GET", get),
            ("PUT", put),
            ("POST", post),
            ("DELETE", delete),
            ("OPTIONS", options),
            ("HEAD", head),
            ("PATCH", patch),
            ("TRACE", trace),
        ];
        for (method, operation) in operations {
            let declared = |operation: &Operation| {
                let says = |name| operation.extensions.as_ref().is_some_and(|members| members.contains_key(name));
                says(PERMISSION) != says(PUBLIC)
            };
            if operation.as_ref().is_some_and(|operation| !declared(operation)) {
                undeclared.push(format!("{method} {path}"));
            }
        }
    }
    undeclared
}
