//! Documents that people agree to before they go on. They are public: people read them before they sign up.

use super::call::{Call, HandlerResult, Parameters, whole};
use super::documents::{Reply, Resource};
use super::refusals::into_api_error;
use super::{organization_codes, times};
use crate::api::common::ApiError;
use crate::journal::JournalResult;
use crate::processes::codes::CodeGuard;
use crate::processes::onboarding;
use crate::read_store::Documents;
use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use registrar_aggregates::service_document::Translation;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::service_documents::{
    BY_CREATION, CurrentDocuments, DocumentTexts, OWNER, PublishedDocument, Title, owner_key,
};
use registrar_projections::{Direction, Query};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Most documents of a list, oldest first. The contract has no pages here.
const LISTED_MAX: u64 = 1_000;
const NO_TEXT: ApiError = ApiError::NotFound("The document has no text");

/// Style of a page that fits narrow screens.
const REFLOW: &str = "body{margin:0 auto;max-width:42rem;padding:1rem;line-height:1.5;overflow-wrap:anywhere}\
                      table{display:block;overflow-x:auto}pre{white-space:pre-wrap}";

/// A page loads nothing and runs nothing, and has no style but [`REFLOW`]. The stored texts are sanitised already.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(&Sha256::digest(REFLOW)[..]);
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Owners of the listed documents.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Owners {
    latest: bool,
    #[serde(default)]
    organizations: BTreeSet<OrganizationId>,
    organization_code: Option<String>,
    referral_code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    html: bool,
    locale: Option<String>,
    #[serde(default)]
    reflow: bool,
}

/// The documents for all people, and those of the organizations that are named, by their identifiers, by a sign-up code or
/// by the code of an invitation; unknown ones add nothing.
pub(super) async fn list(call: Call, Parameters(mut asked): Parameters<Owners>) -> HandlerResult {
    if let Some(code) = &asked.organization_code {
        let found = organization_codes::look_up(&call, code).await?;
        asked.organizations.extend(found.map(|code| code.terms.organization_id));
    }
    if let Some(code) = &asked.referral_code {
        let (node, failures, client_info) = (&call.app.node, &call.app.failures, call.client_info());
        let found = CodeGuard::look_up(node, failures, &client_info, onboarding::by_referral_code(node, code)).await;
        asked.organizations.extend(found.map_err(into_api_error)?.map(|request| request.organization_id));
    }
    let access = call.access();
    let mut owners = vec![owner_key(None)];
    for organization in asked.organizations {
        if access.is_in_force(organization).await? {
            owners.push(owner_key(Some(organization)));
        }
    }
    let found = published(call.documents(), owners, asked.latest).await?;
    let issuer = call.app.authenticator.issuer();
    Ok(whole(found.iter().map(|document| resource(issuer, document)).collect()))
}

/// A document, or its text as a web page.
pub(super) async fn get(call: Call, Parameters(form): Parameters<Form>) -> HandlerResult {
    let document = call.load::<PublishedDocument>(()).await?;
    if !form.html {
        return Ok(Reply::found(resource(call.app.authenticator.issuer(), &document)));
    }
    let texts = call.documents().find::<DocumentTexts>(&document.id.to_string()).await?.value;
    let text = texts.as_deref().and_then(|texts| texts.text(form.locale.as_deref())).ok_or(NO_TEXT)?;
    Ok(Reply::Html { page: page(text, form.reflow), policy: POLICY.clone() })
}

/// Documents of some owners, oldest first: all versions, or the current ones.
async fn published(
    documents: &Documents,
    owners: Vec<String>,
    latest: bool,
) -> JournalResult<Vec<Arc<PublishedDocument>>> {
    if !latest {
        let query = Query::sorted(&BY_CREATION, Direction::Ascending).one_of(&OWNER, owners);
        let page = documents.page(query.uncounted().page(0, LISTED_MAX)).await?.value;
        return Ok(page.items.into_iter().map(Arc::new).collect());
    }
    let current = documents.find_all::<CurrentDocuments>(owners).await?;
    let versions = current.iter().flat_map(|current| current.versions.values());
    let ids: Vec<_> = versions.map(|version| version.id.to_string()).collect();
    let mut found = documents.find_all::<PublishedDocument>(ids).await?;
    found.sort_by_key(|document| (document.created_at, document.id));
    Ok(found)
}

fn resource(issuer: &str, document: &PublishedDocument) -> Resource {
    let page = format!("{issuer}/v1/service-documents/{}/?html=true", document.id);
    let translation = |Title { locale, title }: &Title| {
        let page = format!("{page}&locale={}", locale.name());
        json!({ "html-link": page, "locale": locale, "title": title })
    };
    let translations: Vec<_> = document.titles.iter().map(translation).collect();
    let attributes = json!({
        "created-time": times::write(document.created_at),
        "html-link": page,
        "organization": document.organization_id.map(|organization| json!({ "id": organization })),
        "title": document.titles.first().map_or(&document.name, |main| &main.title),
        "translations": translations,
        "type": document.name,
        "version": document.number.to_string(),
    });
    Resource::new("service-documents", document.id, attributes).at(document)
}

fn page(text: &Translation, reflow: bool) -> String {
    let Translation { locale, title, html } = text;
    let (language, title) = (locale.name().replace('_', "-"), escaped(title));
    let head = if reflow {
        format!("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>{REFLOW}</style>\n")
    } else {
        String::new()
    };
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         {head}</head>\n<body>\n{html}\n</body>\n</html>\n"
    )
}

/// A text as the content of an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
