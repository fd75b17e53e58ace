//! `registrar document`.

use super::{output, start};
use crate::config::{Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::processes::service_documents;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use registrar_aggregates::service_document::Publication;
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{OrganizationId, ServiceDocumentId};
use registrar_projections::service_documents::PublishedDocument;
use serde_json::json;
use std::path::PathBuf;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum DocumentCommand {
    /// Publishes a version of a document, for good, and prints {"id","name","version","binding","organizationId"}
    Publish(PublishArgs),
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Name of the document, the same in all its versions, such as terms
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Number of the version; the highest one counts
    #[arg(long, value_name = "NUMBER")]
    version: u32,
    /// The organization whose people the document is for [default: all people]
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: Option<OrganizationId>,
    /// Whether people must agree to the document before they go on
    #[arg(long)]
    binding: bool,
    /// File with the text in one language, as HTML, such as en_US=terms.html; may be given once for each language
    #[arg(long, value_name = "LOCALE=FILE", value_parser = text_file, required = true)]
    html: Vec<TextFile>,
    #[command(flatten)]
    store: StoreArgs,
}

/// A file with the text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TextFile {
    locale: Locale,
    path: PathBuf,
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    Uuid::try_parse(text).map(OrganizationId).map_err(|_| "must be a UUID".into())
}

fn text_file(text: &str) -> Result<TextFile, String> {
    let named = text.split_once('=').filter(|(_, path)| !path.is_empty()).and_then(|(name, path)| {
        let locale = Locale::ALL.into_iter().find(|locale| locale.name() == name)?;
        Some(TextFile { locale, path: path.into() })
    });
    let locales = || Locale::ALL.map(Locale::name).join(" or ");
    named.ok_or_else(|| format!("must be a locale and a file, such as en_US=terms.html; the locale is {}", locales()))
}

pub(super) async fn run(command: DocumentCommand) -> anyhow::Result<()> {
    let DocumentCommand::Publish(args) = command;
    let PublishArgs { name, version, organization, binding, html, store } = args;
    let mut translations = Vec::with_capacity(html.len());
    for TextFile { locale, path } in html {
        let read = service_documents::read_file(&path);
        let page = read.map_err(|problem| anyhow!("{} cannot be used: {problem}", path.display()))?;
        translations.push(service_documents::translation(locale, &name, &page));
    }
    let (id, organization_id) = (ServiceDocumentId(Uuid::now_v7()), organization);
    let publication = Publication { id, organization_id, name, version, binding, translations };
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let context = RequestContext::system().belonging_to(organization);
    let published = service_documents::publish(&node, &context, &[publication]).await;
    let published = published.context("the document was not published")?;
    let document = published.document::<PublishedDocument>().context("the document was not published")?;
    let printed = json!({
        "id": document.id,
        "name": document.name,
        "version": document.number,
        "binding": document.binding,
        "organizationId": document.organization_id,
    });
    node.close().await;
    Ok(output::line(printed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_with_the_language_of_its_text() {
        let file = |locale, path: &str| Ok(TextFile { locale, path: path.into() });
        assert_eq!(text_file("en_US=terms.html"), file(Locale::EnUs, "terms.html"));
        assert_eq!(text_file("es_US=/a=b/terms.html"), file(Locale::EsUs, "/a=b/terms.html"));
        for unclear in ["terms.html", "en_US", "en_US=", "=terms.html", "en_us=terms.html", "de_AT=terms.html"] {
            let told = text_file(unclear).unwrap_err();
            assert!(told.ends_with("the locale is en_US or es_US"), "{told}");
        }
    }
}
