//! First steps of all commands on a database.

use super::output;
use crate::auth::{PasswordHasher, keys};
use crate::checkpoint;
use crate::cli::bootstrap;
use crate::config::{self, FirstAdministrator, Secrets, StoreArgs};
use crate::executor::RequestContext;
use crate::node::{Node, OpenError, Store, StoreSettings};
use crate::processes::passwords::Pwned;
use crate::vault::MasterKeys;
use std::ops::RangeInclusive;
use std::path::Path;

/// Opens the database that the settings name, with its master key.
pub(super) async fn open(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<Node> {
    let key_file = config::master_key_file(&store.data);
    let makes_key = secrets.master_key.is_none() && !key_file.exists();
    let opened = Node::open(store, master_keys(store, secrets)?).await;
    if makes_key && matches!(opened, Err(OpenError::WrongMasterKey | OpenError::FormerKeyMissing)) {
        // The key of this database is elsewhere; the one just made opens nothing.
        let _ = std::fs::remove_file(&key_file);
    }
    Ok(opened?)
}

/// Opens the database of the settings for reading, see [`Node::look`].
pub(super) async fn look(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<Node> {
    anyhow::ensure!(
        secrets.master_key.is_some() || config::master_key_file(&store.data).exists(),
        "the master key is missing\nSet REGISTRAR_MASTER_KEY, or name the folder that holds master.key with --data."
    );
    Ok(Node::look(store, config::master_keys(secrets, &store.data)?).await?)
}

/// Opens the database of the settings without migrating it; a database that may only be read is opened for reading.
pub(super) async fn open_as_it_is(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<Node> {
    let prepared = Store::open_to_look(store)?;
    prepared.look().await?;
    if prepared.may_be_written().await? { open(store, secrets).await } else { look(store, secrets).await }
}

/// As [`look`]. If the journal has no signing key yet, it is opened for writing to make one.
pub(super) async fn look_with_checkpoint_key(store: &StoreSettings, secrets: &Secrets) -> anyhow::Result<Node> {
    let node = look(store, secrets).await?;
    if checkpoint::key(&node).await?.is_some() {
        return Ok(node);
    }
    node.close().await;
    open(store, secrets).await
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

/// Only its owner may read the data folder.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Partitions that are neither too many nor too large to be taken out one by one.
const PARTITION_SIZES: RangeInclusive<u32> = 256..=1 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Role of the servers on PostgreSQL: gets their rights, and owns nothing of the journal; made if there is none, with
    /// the password of REGISTRAR_SERVER_ROLE_PASSWORD [default: none]
    #[arg(long, env = "REGISTRAR_SERVER_ROLE", value_name = "NAME", hide_env_values = true)]
    server_role: Option<String>,
    /// Positions in each partition of events that is made from now on, on PostgreSQL: a multiple of 256. Whole partitions are
    /// archived [default: as it is, at first 1048576]
    #[arg(long, env = "REGISTRAR_PARTITION_SIZE", value_name = "POSITIONS", value_parser = partition_size)]
    partition_size: Option<u32>,
}

/// Empty text is 0, which sets nothing: a variable that is passed on without being set reads so.
fn partition_size(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let size = text.parse().ok().filter(|size: &u32| PARTITION_SIZES.contains(size) && size.is_multiple_of(256));
    let (first, last) = (PARTITION_SIZES.start(), PARTITION_SIZES.end());
    size.ok_or_else(|| format!("must be a multiple of 256 from {first} to {last}"))
}

/// Brings the database up to date.
pub(super) async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.store.resolve())?;
    store.migrate().await?;
    if let Some(size) = args.partition_size.filter(|size| *size > 0) {
        store.set_partition_size(size).await?;
    }
    if let Some(role) = args.server_role.filter(|role| !role.is_empty()) {
        let password = std::env::var("REGISTRAR_SERVER_ROLE_PASSWORD").ok().filter(|password| !password.is_empty());
        store.grant_server(&role, password.as_deref()).await?;
    }
    tracing::info!("the database is up to date");
    Ok(())
}

/// Registers the first administrator on an empty journal. A generated password is printed before any later step can
/// fail, since it is not stored.
pub(super) async fn first_administrator(
    node: &Node,
    passwords: &PasswordHasher,
    pwned: Option<&Pwned>,
    settings: &FirstAdministrator,
) -> anyhow::Result<()> {
    // Documents of another release cannot be queried for admins, but show that there were some.
    if node.needs_rebuild() {
        return Ok(());
    }
    if let Some(made) = bootstrap::first_administrator(node, passwords, pwned, settings).await? {
        let (email, password) = (made.email, &*made.password);
        output::line(format_args!("First administrator: {email}\nPassword, shown this once: {password}"))?;
    }
    // Later may be too late: commits are refused while a newer release rebuilds the documents, and a server does not
    // start without a key.
    keys::establish(node, &RequestContext::system()).await?;
    Ok(())
}
