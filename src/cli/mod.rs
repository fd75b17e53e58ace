//! The command line. Only results go to standard output; progress and errors go to standard error. A command that fails
//! reports why in a few lines and ends with 1.

mod api_key;
mod backup;
mod bootstrap;
mod document;
mod failure;
mod health;
mod inbox;
mod journal;
mod keys;
mod openapi;
mod organization;
mod output;
mod progress;
mod projections;
mod seed;
mod serve;
mod start;
mod template;
mod token;
mod user;

use crate::config::{ClearTextArgs, ServeArgs};
use crate::node::priority::give_way;
use crate::telemetry;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

const VARIABLES: &str = "\
Every option can be set by the variable shown with it. Variables without an option, since they hold secrets or belong \
to others:
  REGISTRAR_MASTER_KEY         32 random bytes in base64 [default: master.key in the data folder, made if missing]
  REGISTRAR_ADMIN_PASSWORD     password of the first administrator [default: generated and printed once]
  REGISTRAR_LOG                what is logged, such as info,registrar=debug [default: info]
  OTEL_EXPORTER_OTLP_ENDPOINT  where traces are sent [default: nowhere]";

/// A directory of admins, organizations, groups and users in which every change is an event.
#[derive(Debug, Parser)]
#[command(name = "registrar", version, after_help = VARIABLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the APIs; the default without a command
    #[command(after_help = VARIABLES)]
    Serve(Box<ServeArgs>),
    /// Asks the server on this machine whether it lives; ends with 1 if it does not say so
    Health(health::HealthArgs),
    /// Brings the database up to date and ends
    Migrate(start::MigrateArgs),
    /// Copies the embedded database as of one moment, also beside a running server
    Backup(backup::BackupArgs),
    /// Access tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// API keys of organizations
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Users: people and programs that sign in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Organizations
    #[command(subcommand)]
    Organization(organization::OrganizationCommand),
    /// Documents that people agree to before they go on
    #[command(subcommand)]
    Document(document::DocumentCommand),
    /// Prints captured messages: those of channels without a server, one JSON object a line
    Inbox(inbox::InboxArgs),
    /// Templates of messages
    #[command(subcommand)]
    Template(template::TemplateCommand),
    /// The keys that sign access tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// The read models
    #[command(subcommand)]
    Projections(projections::ProjectionsCommand),
    /// The journal: checking it, taking it out of a database and into another
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Registers fictitious people to try things with
    Seed(seed::SeedArgs),
    /// Prints the OpenAPI document of an API
    Openapi(openapi::OpenapiArgs),
}

impl Command {
    /// Default log level. A caller who asks for a token wants only the token.
    fn log_level(&self) -> &'static str {
        match self {
            Command::Serve(_)
            | Command::Migrate(_)
            | Command::Projections(_)
            | Command::Seed(_)
            | Command::Journal(_) => "info,async_nats=warn",
            Command::Token(_)
            | Command::Health(_)
            | Command::Backup(_)
            | Command::ApiKey(_)
            | Command::User(_)
            | Command::Organization(_)
            | Command::Document(_)
            | Command::Inbox(_)
            | Command::Template(_)
            | Command::Keys(_)
            | Command::Openapi(_) => "warn",
        }
    }

    /// Connections that may be in the clear, for the traces that every command sends.
    fn clear_text(&self) -> ClearTextArgs {
        match self {
            Command::Serve(args) => args.clear_text.clone(),
            _ => ClearTextArgs::from_env(),
        }
    }

    /// Whether the command may run at low priority: it takes long, and its user waits less urgently than clients of the
    /// servers beside it.
    fn can_wait(&self) -> bool {
        matches!(self, Command::Projections(_) | Command::Journal(_))
    }

    async fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Serve(args) => serve::serve(*args).await,
            Command::Health(args) => health::run(args).await,
            Command::Backup(args) => backup::run(args).await,
            Command::Migrate(args) => start::migrate(args).await,
            Command::Token(command) => token::run(command).await,
            Command::ApiKey(command) => api_key::run(command).await,
            Command::User(command) => user::run(command).await,
            Command::Organization(command) => organization::run(command).await,
            Command::Document(command) => document::run(command).await,
            Command::Inbox(args) => inbox::run(args).await,
            Command::Template(command) => template::run(command).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Projections(command) => projections::run(command).await,
            Command::Journal(command) => Box::pin(journal::run(command)).await,
            Command::Seed(args) => seed::seed(args).await,
            Command::Openapi(args) => openapi::print(&args),
        }
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.serve)));
    match try_run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn try_run(command: Command) -> anyhow::Result<()> {
    command.clear_text().resolve()?.check_traces()?;
    let _telemetry = telemetry::start(command.log_level())?;
    if command.can_wait() {
        give_way();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command.run());
    // Background work without a waiting caller, such as a hash, is abandoned.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests;
