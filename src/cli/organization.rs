//! `registrar organization`.

use super::{output, start};
use crate::config::{Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::processes::organizations;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use registrar_aggregates::organization::TenancyAmendment;
use registrar_aggregates::values::OrganizationId;
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum OrganizationCommand {
    /// Sends the providers of an organization elsewhere to sign in, or lets them sign in here again
    SignIn(SignInArgs),
}

#[derive(Debug, Args)]
pub(super) struct SignInArgs {
    /// The organization
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: OrganizationId,
    /// Sign-in page of its providers, such as https://idp.example.org/start; empty for this server
    #[arg(long, default_value = "", value_name = "URL")]
    at: String,
    #[command(flatten)]
    store: StoreArgs,
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    Uuid::try_parse(text).map(OrganizationId).map_err(|_| "must be a UUID".into())
}

pub(super) async fn run(command: OrganizationCommand) -> anyhow::Result<()> {
    let OrganizationCommand::SignIn(SignInArgs { organization, at, store }) = command;
    let url = Some(at).filter(|at| !at.is_empty());
    if let Some(url) = &url {
        let usable = url.parse::<axum::http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"));
        ensure!(usable, "--at must look like https://idp.example.org/start");
    }
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let amendment = TenancyAmendment { sign_in_url: Some(url.clone()), ..TenancyAmendment::default() };
    let amended = organizations::amend(&node, &RequestContext::system(), organization, amendment, None).await;
    amended.with_context(|| format!("organization {organization} was not changed"))?;
    node.close().await;
    Ok(output::line(json!({ "organizationId": organization, "signInUrl": url }))?)
}
