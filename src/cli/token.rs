//! `registrar token`.

use super::{output, start};
use crate::auth::{Authenticator, Permission, TTL_MAX, TokenRequest};
use crate::config::parse::seconds;
use crate::config::{AddressArgs, Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::node::Node;
use crate::processes::sessions::{self, Person};
use anyhow::Context;
use clap::{Args, Subcommand};
use registrar_aggregates::values::{AdminId, EmailAddress, check_name};
use registrar_aggregates::{ClaimKey, admin::Admin};
use registrar_projections::AdminDocument;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Prints a new access token, and nothing else
    Create(CreateArgs),
    /// Ends every access token and every session of an admin
    End(EndArgs),
}

#[derive(Debug, Args)]
pub(super) struct EndArgs {
    /// E-mail that the admin signs in with
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    admin: EmailAddress,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// E-mail that the admin signs in with
    #[arg(long, value_name = "E-MAIL", value_parser = email)]
    admin: EmailAddress,
    /// Lifetime of the token, such as 30s, 15m or 1h; 24h at most
    #[arg(long, default_value = "1h", value_parser = ttl)]
    ttl: Duration,
    /// Narrows it to one organization
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: Option<String>,
    /// Narrows it to this permission; may be given more than once
    #[arg(long = "permission", value_name = "NAME")]
    permissions: Vec<Permission>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    address: AddressArgs,
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|problem| problem.to_string())
}

fn organization(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|problem| problem.to_string())
}

/// Parses a whole number of seconds, minutes or hours.
pub(super) fn ttl(text: &str) -> Result<Duration, String> {
    let in_range = |ttl: &Duration| !ttl.is_zero() && *ttl <= TTL_MAX;
    seconds(text, "smh")
        .map(Duration::from_secs)
        .filter(in_range)
        .ok_or_else(|| "must be a time such as 30s, 15m or 1h, 24h at most".into())
}

pub(super) async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::End(args) => end(args).await,
    }
}

async fn end(args: EndArgs) -> anyhow::Result<()> {
    let node = start::open(&args.store.resolve(), &Secrets::from_env()).await?;
    let id = find_admin(&node, &args.admin).await?;
    let admin = node.documents.find::<AdminDocument>(&id.to_string()).await?.value.context("there is no such admin")?;
    let (context, person) = (RequestContext::system(), Person::Admin(admin));
    sessions::end_all(&node, &context, &person, None).await.context("the tokens were not ended")?;
    node.close().await;
    Ok(())
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let (listen, public_url) = args.address.resolve()?;
    let issuer = public_url.unwrap_or_else(|| format!("http://{listen}"));
    let node = start::open(&args.store.resolve(), &Secrets::from_env()).await?;
    let request = TokenRequest {
        admin_id: find_admin(&node, &args.admin).await?,
        ttl: args.ttl,
        organization: args.organization,
        permissions: (!args.permissions.is_empty()).then_some(args.permissions),
    };
    let authenticator = Authenticator::open(&node, issuer).await?;
    let issued = authenticator.issue(&node, &RequestContext::system(), request).await;
    let token = issued.with_context(|| format!("no token for {}", args.admin))?;
    node.close().await;
    Ok(output::line(token)?)
}

/// The admin with this e-mail.
async fn find_admin(node: &Node, email: &EmailAddress) -> anyhow::Result<AdminId> {
    let key = node.vault.claim(&ClaimKey::account_email(email));
    let holder = node.journal.claim_holder(&key).await?;
    let admin = holder.filter(|(aggregate_type, _)| aggregate_type == <Admin as cqrs_es::Aggregate>::TYPE);
    let (_, id) = admin.with_context(|| {
        format!("no admin signs in as {email}\nThe first administrator is made when `registrar serve` starts for the first time.")
    })?;
    Ok(AdminId(id.parse().context("the e-mail is claimed by something that is no admin")?))
}
