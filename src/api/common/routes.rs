//! Declaring routes: each says beside its path who may call it, and that declaration is both what is enforced and
//! what the OpenAPI document tells.

use crate::api::AppState;
use crate::api::common::{guard, idempotency};
use crate::auth::Permission;
use axum::middleware::from_fn;
use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

/// Operations with their handlers and descriptions, as `utoipa_axum::routes!` gathers them.
pub type Routes = UtoipaMethodRouter<AppState>;

/// Member of an operation that names the permission it needs.
pub const PERMISSION: &str = "x-permission";
/// Member of an operation that anybody may call.
pub const PUBLIC: &str = "x-public";

/// Operations that only those with `permission` may call; writes among them honour `Idempotency-Key`.
pub fn guarded(permission: Permission, routes: Routes) -> Routes {
    let (schemas, paths, router) = declared(permission, routes);
    let router = router
        .route_layer(from_fn(idempotency::remember))
        .route_layer(from_fn(move |request, next| guard::guard(permission, request, next)));
    (schemas, paths, router)
}

/// Operations described as needing `permission`. Nothing enforces it yet: that is for the guard of a dialect.
pub fn declared(permission: Permission, routes: Routes) -> Routes {
    let (schemas, mut paths, router) = routes;
    mark(&mut paths, PERMISSION, &Value::String(permission.to_string()));
    (schemas, paths, router)
}

/// Operations that anybody may call, known or not: they count for the caller's network and take from the time of strangers.
pub fn public(routes: Routes) -> Routes {
    let (schemas, paths, router) = probe(routes);
    (schemas, paths, router.route_layer(from_fn(guard::stranger)))
}

/// Operations by which other programs see how the server is: as [`public`], but neither counted nor kept waiting, since a
/// server that is busy is not to be taken for one that is dead.
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

/// Operations of a document that declare neither a permission nor that they are public, as `METHOD path`.
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
