//! The OpenAPI and AsyncAPI documents and a page to read and try them, served from the binary alone.

use crate::api::common::ApiError;
use crate::api::common::routes::public;
use crate::api::{AppState, DOCUMENTS, openapi};
use crate::publisher::ASYNCAPI;
use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, Url};

const TAG: &str = "Documents";
const PAGE: &str = "index.html";
/// Allows the page's own scripts, styles and images, and calls to this server; nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

/// The operations, all public: their content is in the public source.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(public(routes!(find_home)))
        .routes(public(routes!(read_docs_page)))
        .routes(public(routes!(find_docs_page)))
        .routes(public(routes!(read_docs_file)))
        .routes(public(routes!(read_openapi_document)))
        .routes(public(routes!(read_asyncapi_document)))
}

/// Leads to the docs page.
#[utoipa::path(get, path = "/", operation_id = "findHome", tag = TAG,
    responses((status = 307, description = "The docs page is at /docs.")))]
async fn find_home() -> Redirect {
    Redirect::temporary("/docs")
}

/// The docs page.
#[utoipa::path(get, path = "/docs", operation_id = "readDocsPage", tag = TAG,
    responses((status = 200, description = "The page.", content_type = "text/html", body = String)))]
async fn read_docs_page() -> Result<Response, ApiError> {
    file(PAGE)
}

/// Redirects the address with a trailing slash to the docs page.
#[utoipa::path(get, path = "/docs/", operation_id = "findDocsPage", tag = TAG,
    responses((status = 307, description = "The docs page is at /docs.")))]
async fn find_docs_page() -> Redirect {
    Redirect::temporary("/docs")
}

/// A file of the docs page.
#[utoipa::path(get, path = "/docs/{file}", operation_id = "readDocsFile", tag = TAG,
    params(("file" = String, Path, description = "Name of the file.")),
    responses((status = 200, description = "The file."), (status = 404, description = "There is no such file.")))]
async fn read_docs_file(Path(name): Path<String>) -> Result<Response, ApiError> {
    file(&name)
}

/// An OpenAPI document, made from the code that serves it.
#[utoipa::path(get, path = "/openapi/{document}", operation_id = "readOpenapiDocument", tag = TAG,
    params(("document" = String, Path, description = "Name of the document, such as ecg-admins.json.")),
    responses(
        (status = 200, description = "The document.", content_type = "application/json", body = Object),
        (status = 404, description = "There is no such document."),
    ))]
async fn read_openapi_document(Path(file): Path<String>) -> Result<Response, ApiError> {
    static RENDERED: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
        let render = |name| openapi(name).and_then(|document| document.to_json().ok());
        DOCUMENTS.iter().filter_map(|name| Some((*name, render(name)?))).collect()
    });
    let name = file.strip_suffix(".json").ok_or(ApiError::NoSuchPath)?;
    let (_, document) = RENDERED.iter().find(|(known, _)| *known == name).ok_or(ApiError::NoSuchPath)?;
    Ok(([(CONTENT_TYPE, "application/json")], document.as_str()).into_response())
}

/// The AsyncAPI document of the events on NATS and in the event stream.
#[utoipa::path(get, path = "/asyncapi.json", operation_id = "readAsyncapiDocument", tag = "Events",
    responses((status = 200, description = "The document.", content_type = "application/json", body = Object)))]
async fn read_asyncapi_document() -> Response {
    ([(CONTENT_TYPE, "application/json")], ASYNCAPI).into_response()
}

fn file(name: &str) -> Result<Response, ApiError> {
    static URLS: LazyLock<Vec<String>> =
        LazyLock::new(|| DOCUMENTS.iter().map(|name| format!("/openapi/{name}.json")).collect());
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        let urls = DOCUMENTS.iter().zip(URLS.iter()).map(|(name, url)| Url::new(name, url));
        Arc::new(Config::new(urls).validator_url("none"))
    });
    let file =
        utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).map_err(|error| ApiError::internal(error.to_string()))?;
    let file = file.ok_or(ApiError::NoSuchPath)?;
    let headers = [(CONTENT_TYPE, with_charset(file.content_type)), (CONTENT_SECURITY_POLICY, PAGE_POLICY.to_owned())];
    let bytes = match (name, file.bytes) {
        // The page is at /docs and its files below it, so it must not name them relative to itself.
        (PAGE, bytes) => String::from_utf8_lossy(&bytes)
            .replace("\"./", "\"/docs/")
            .replace("\"index.css", "\"/docs/index.css")
            .into_bytes(),
        (_, Cow::Borrowed(bytes)) => return Ok((headers, bytes).into_response()),
        (_, Cow::Owned(bytes)) => bytes,
    };
    Ok((headers, bytes).into_response())
}

/// Adds the charset of all texts here to the type; without it browsers guess.
fn with_charset(content_type: String) -> String {
    let bare = content_type.starts_with("text/") && !content_type.contains("charset");
    if bare { content_type + "; charset=utf-8" } else { content_type }
}
