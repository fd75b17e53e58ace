//! JSON:API documents, as far as the dialect uses them: a resource or a page, with attributes. Other answers are plain
//! JSON, and web pages.

use crate::api::common::precondition::Revision;
use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// Content type of JSON:API documents.
pub const DOCUMENT: HeaderValue = HeaderValue::from_static("application/vnd.api+json");
/// Content type of plain JSON.
const PLAIN: HeaderValue = HeaderValue::from_static("application/json");
/// Content type of web pages.
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A JSON:API resource.
#[derive(Debug, Clone, Serialize)]
pub struct Resource {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    attributes: Value,
    #[serde(skip)]
    revision: Option<Revision>,
    #[serde(skip)]
    meta: Option<Value>,
}

impl Resource {
    /// A resource of a type, with its identifier and attributes.
    #[must_use]
    pub fn new(kind: &'static str, id: impl ToString, attributes: Value) -> Self {
        Resource { kind, id: Some(Value::String(id.to_string())), attributes, revision: None, meta: None }
    }

    /// A resource whose identifier is a number.
    #[must_use]
    pub fn numbered(kind: &'static str, id: u64, attributes: Value) -> Self {
        Resource { kind, id: Some(id.into()), attributes, revision: None, meta: None }
    }

    /// A row without an identifier of its own.
    #[must_use]
    pub fn row(kind: &'static str, attributes: Value) -> Self {
        Resource { kind, id: None, attributes, revision: None, meta: None }
    }

    /// Adds the revision, which becomes the entity tag of a response with this resource alone.
    #[must_use]
    pub fn at(self, revision: impl Into<Revision>) -> Self {
        Resource { revision: Some(revision.into()), ..self }
    }

    /// Adds `meta` to a response with this resource alone.
    #[must_use]
    pub fn beside(self, meta: Value) -> Self {
        Resource { meta: Some(meta), ..self }
    }
}

/// Requested part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Most rows of the page.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
}

impl Paging {
    /// `meta` of a list.
    #[must_use]
    pub fn meta(self, total: u64) -> Value {
        json!({ "page[limit]": self.limit, "page[offset]": self.offset, "page[total]": total })
    }
}

/// An answer of the dialect.
#[derive(Debug, Clone)]
pub enum Reply {
    /// One resource.
    One(StatusCode, Resource),
    /// A page of resources.
    Page(Vec<Resource>, Paging, u64),
    /// Plain JSON, for responses without a JSON:API document.
    Plain(StatusCode, Value),
    /// A web page.
    Html {
        /// The page.
        page: String,
        /// `Content-Security-Policy` of the page.
        policy: HeaderValue,
    },
    /// No body.
    Empty,
}

impl Reply {
    /// 200 with a resource.
    #[must_use]
    pub fn found(resource: Resource) -> Self {
        Reply::One(StatusCode::OK, resource)
    }

    /// 201 with the resource after a command, whether or not it was created.
    #[must_use]
    pub fn created(resource: Resource) -> Self {
        Reply::One(StatusCode::CREATED, resource)
    }

    /// 201 with null after a command.
    #[must_use]
    pub fn done() -> Self {
        Reply::Plain(StatusCode::CREATED, Value::Null)
    }

    /// 201 with any JSON after a command.
    #[must_use]
    pub fn said(value: Value) -> Self {
        Reply::Plain(StatusCode::CREATED, value)
    }

    /// Entity tag of a versioned resource.
    #[must_use]
    pub fn entity_tag(&self) -> Option<String> {
        match self {
            Reply::One(_, resource) => resource.revision.map(Revision::entity_tag),
            Reply::Page(..) | Reply::Plain(..) | Reply::Html { .. } | Reply::Empty => None,
        }
    }

    /// Status, content type and body.
    #[must_use]
    pub fn parts(&self) -> (StatusCode, HeaderValue, String) {
        let (status, content_type, body) = match self {
            Reply::One(status, resource) => match &resource.meta {
                Some(meta) => (*status, DOCUMENT, json!({ "data": resource, "meta": meta })),
                None => (*status, DOCUMENT, json!({ "data": resource })),
            },
            Reply::Page(resources, paging, total) => {
                (StatusCode::OK, DOCUMENT, json!({ "data": resources, "meta": paging.meta(*total) }))
            }
            Reply::Plain(status, value) => return (*status, PLAIN, value.to_string()),
            Reply::Html { page, .. } => return (StatusCode::OK, HTML, page.clone()),
            Reply::Empty => return (StatusCode::NO_CONTENT, PLAIN, String::new()),
        };
        (status, content_type, body.to_string())
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let (status, content_type, body) = self.parts();
        if status == StatusCode::NO_CONTENT {
            return status.into_response();
        }
        let tag = self.entity_tag().and_then(|tag| HeaderValue::try_from(tag).ok());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(tag) = tag {
            headers.insert(ETAG, tag);
        }
        if let Reply::Html { policy, .. } = self {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(CONTENT_TYPE, content_type);
        response
    }
}
