//! What all commands on a database begin with.

use super::output;
use crate::auth::{PasswordHasher, keys};
use crate::bootstrap;
use crate::config::{self, FirstAdministrator, Secrets, StoreArgs};
use crate::directory::passwords::Pwned;
use crate::executor::RequestContext;
use crate::node::{Node, OpenError, Store, StoreSettings};
use crate::vault::MasterKeys;
use std::path::Path;

/// Opens the database that the settings name, with its master key.
pub(super) async fn open(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<Node> {
    let key_file = config::master_key_file(&store.data);
    let makes_key = secrets.master_key.is_none() && !key_file.exists();
    let opened = Node::open(store, master_keys(store, secrets)?).await;
    if makes_key && matches!(opened, Err(OpenError::WrongMasterKey | OpenError::FormerKeyMissing)) {
        // The key of this database is somewhere else; the one that was just made opens nothing.
        let _ = std::fs::remove_file(&key_file);
    }
    Ok(opened?)
}

fn master_keys(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<MasterKeys> {
    if secrets.master_key.is_none() {
        make_folder(&store.data).map_err(|error| OpenError::DataFolder {
            path: store.data.display().to_string(),
            reason: error.to_string(),
        })?;
    }
    Ok(config::master_keys(secrets, &store.data)?)
}

/// Nobody but its owner has any business in the data folder.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[derive(Debug, clap::Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Role of the servers on PostgreSQL: gets what they need, and owns nothing of the journal; made if there is none, with
    /// the password of REGISTRAR_SERVER_ROLE_PASSWORD [default: none]
    #[arg(long, env = "REGISTRAR_SERVER_ROLE", value_name = "NAME", hide_env_values = true)]
    server_role: Option<String>,
}

/// Brings the database up to date.
pub(super) async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let store = Store::prepare(&args.store.resolve())?;
    store.migrate().await?;
    if let Some(role) = args.server_role.filter(|role| !role.is_empty()) {
        let password = std::env::var("REGISTRAR_SERVER_ROLE_PASSWORD").ok().filter(|password| !password.is_empty());
        store.grant_server(&role, password.as_deref()).await?;
    }
    tracing::info!("the database is up to date");
    Ok(())
}

/// Registers the first administrator on an empty journal. A password that was generated is printed before anything
/// else can go wrong: it is kept nowhere.
pub(super) async fn first_administrator(
    node: &Node,
    passwords: &PasswordHasher,
    pwned: Option<&Pwned>,
    settings: &FirstAdministrator,
) -> anyhow::Result<()> {
    // Documents of another release cannot be asked whether there are admins, but tell that there were some.
    if node.needs_rebuild() {
        return Ok(());
    }
    if let Some(made) = bootstrap::first_administrator(node, passwords, pwned, settings).await? {
        let (email, password) = (made.email, &*made.password);
        output::line(format_args!("First administrator: {email}\nPassword, shown this once: {password}"))?;
    }
    // Later it might be too late: nothing can be committed while a newer release rebuilds the documents, and a server does
    // not start without a key.
    keys::establish(node, &RequestContext::system()).await?;
    Ok(())
}
