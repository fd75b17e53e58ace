//! `registrar api-key`.

use super::{output, start};
use crate::auth::api_keys::{self, Credentials, KeyRequest};
use crate::config::{Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::node::Node;
use anyhow::Context;
use chrono::{DateTime, SubsecRound, Utc};
use clap::{Args, Subcommand};
use registrar_aggregates::api_key::Role;
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use registrar_projections::{ApiKeyDocument, OrganizationDocument};
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Makes a key of an organization and prints {"keyId","keySecret"}, and nothing else; the secret is shown this once
    Create(CreateArgs),
    /// Gives a key another secret and prints it in the same form; the former is refused from then on
    Roll(RollArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The organization that the key shall belong to
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: OrganizationId,
    /// Role of the key: admin, developer or query_endpoints; may be given more than once
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    /// Name for people
    #[arg(long, default_value = "command line", value_name = "TEXT")]
    name: String,
    /// From when on it is no longer accepted, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    expire_at: Option<DateTime<Utc>>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct RollArgs {
    /// The key
    #[arg(long, value_name = "ID", value_parser = key)]
    key: ApiKeyId,
    #[command(flatten)]
    store: StoreArgs,
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    Uuid::try_parse(text).map(OrganizationId).map_err(|_| "must be a UUID".into())
}

fn key(text: &str) -> Result<ApiKeyId, String> {
    Uuid::try_parse(text).map(ApiKeyId).map_err(|_| "must be a UUID".into())
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc().trunc_subsecs(3));
    time.map_err(|_| "must be a time with an offset such as 2027-01-01T00:00:00Z".into())
}

pub(super) async fn run(command: ApiKeyCommand) -> anyhow::Result<()> {
    match command {
        ApiKeyCommand::Create(args) => create(args).await,
        ApiKeyCommand::Roll(args) => roll(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let CreateArgs { organization, roles, name, expire_at, store } = args;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let found = node.documents.find::<OrganizationDocument>(&organization.to_string()).await?;
    found.value.with_context(|| format!("there is no organization {organization}"))?;
    let request = KeyRequest {
        organization_id: organization,
        name,
        roles: roles.into_iter().collect(),
        enabled: true,
        expires_at: expire_at,
    };
    let credentials = Credentials::generate(ApiKeyId(Uuid::now_v7()));
    let created = api_keys::create(&node, &context(organization), &request, &credentials).await;
    created.with_context(|| format!("no key for organization {organization}"))?;
    print(&node, &credentials).await
}

async fn roll(args: RollArgs) -> anyhow::Result<()> {
    let RollArgs { key, store } = args;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let found = node.documents.find::<ApiKeyDocument>(&key.to_string()).await?;
    let found = found.value.with_context(|| format!("there is no API key {key}"))?;
    let credentials = Credentials::generate(key);
    let rolled = api_keys::roll(&node, &context(found.organization_id), &credentials).await;
    rolled.with_context(|| format!("no other secret for API key {key}"))?;
    print(&node, &credentials).await
}

/// Request context of the server, in the key's organization.
fn context(organization: OrganizationId) -> RequestContext {
    let mut context = RequestContext::system();
    context.metadata.organization_id = Some(organization.to_string());
    context
}

async fn print(node: &Node, credentials: &Credentials) -> anyhow::Result<()> {
    let printed = json!({"keyId": credentials.id, "keySecret": **credentials.secret});
    node.close().await;
    Ok(output::line(printed)?)
}
