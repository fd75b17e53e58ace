//! The private servers of a run: PostgreSQL and NATS, started as in the tests, and Registrar as a process. They listen
//! on loopback, keep their data in the folder of the run, and are ended by process id.

use crate::contenders::Acknowledged;
use crate::contenders::registrar::check;
use crate::workload::{Work, person};
use anyhow::{Context, bail, ensure};
use registrar::auth::permissions::ADMINISTRATOR;
use registrar::auth::{Authenticator, TokenRequest};
use registrar::executor::RequestContext;
use registrar::node::{Node, Store, StoreSettings};
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{Admin, AdminCommand, Granter, Registration};
use registrar_aggregates::values::AdminId;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

/// Program name under which this executable runs as Registrar itself.
pub(crate) const REGISTRAR: &str = "registrar";
/// Master key for the data of a run, and for nothing else.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Longest wait for a server to answer.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn master_key() -> anyhow::Result<MasterKey> {
    Ok(MasterKey::parse(MASTER_KEY, "bench")?)
}

/// The resources of a run; dropping them removes everything.
pub(crate) struct Servers {
    folder: TempDir,
    postgres: String,
}

impl Servers {
    /// Starts PostgreSQL in a new folder in `parent`, which must be on a disk: figures of a memory disk mean nothing.
    pub(crate) fn start(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("registrar-bench-").tempdir_in(parent)?;
        let owner = std::process::id().to_string();
        let postgres = script("postgres", &["start", &text(folder.path()), &owner])?;
        Ok(Servers { folder, postgres })
    }

    /// Folder of the run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to the server's default database.
    pub(crate) async fn postgres(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.postgres).await?)
    }

    /// Creates a database.
    pub(crate) async fn database(&self) -> anyhow::Result<Database> {
        let name = format!("bench_{}", Uuid::now_v7().simple());
        self.postgres().await?.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let (base, _) = self.postgres.rsplit_once('/').context("no URL")?;
        let data = self.folder.path().join(&name);
        std::fs::create_dir(&data)?;
        Ok(Database { url: format!("{base}/{name}"), data })
    }

    /// Drops a database, including its open connections.
    pub(crate) async fn drop(&self, database: Database) -> anyhow::Result<()> {
        let (_, name) = database.url.rsplit_once('/').context("no URL")?;
        self.postgres().await?.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
        Ok(())
    }

    /// A folder for a SQLite database.
    pub(crate) fn sqlite(&self) -> anyhow::Result<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The watchdog of the script would remove it too, half a second later.
        let _ = script("postgres", &["remove", &text(self.folder.path())]);
    }
}

/// A database of the run's PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    data: PathBuf,
}

impl Database {
    pub(crate) fn settings(&self) -> StoreSettings {
        StoreSettings { database_url: Some(self.url.clone()), data: self.data.clone(), archives: None }
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }

    /// Name of the table that serves a collection.
    pub(crate) async fn table(&self, collection: &str) -> anyhow::Result<String> {
        let served = "SELECT generation FROM journal_head";
        let generation: i64 = sqlx::query_scalar(served).fetch_one(&mut self.connect().await?).await?;
        Ok(format!("{collection}_g{generation}"))
    }

    /// Verifies that Registrar has stored everything that it acknowledged.
    pub(crate) async fn check(&self, work: Work, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        check(&self.settings(), &Store::open(&self.settings())?, work, acknowledged).await
    }

    /// A token of an administrator, valid for a day.
    pub(crate) async fn token(&self) -> anyhow::Result<String> {
        let node = Node::open(&self.settings(), &master_key()?).await?;
        let authenticator = Authenticator::open(&node, "http://bench.example".into()).await?;
        let id = Uuid::now_v7();
        let administrator = Registration { policies: vec![ADMINISTRATOR.id.into()], ..person(id) };
        let command = AdminCommand::Register(Box::new(administrator), Granter::System);
        let context = RequestContext::system();
        node.executor.execute::<Admin>(&context, &id.to_string(), command, None).await?;
        let ttl = Duration::from_secs(24 * 60 * 60);
        let request = TokenRequest { admin_id: AdminId(id), ttl, organization: None, permissions: None };
        let token = authenticator.issue(&node, &context, request).await?;
        node.close().await;
        Ok(token)
    }

    /// `registrar` with these arguments on this database, and an otherwise empty environment. Rate limits of callers
    /// are off, since one caller of the bench stands for many.
    pub(crate) fn registrar(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0(REGISTRAR).args(arguments).env_clear().stdin(Stdio::null());
        command.env("REGISTRAR_DATABASE_URL", &self.url).env("REGISTRAR_DATA", &self.data);
        command.env("REGISTRAR_MASTER_KEY", MASTER_KEY).env("REGISTRAR_LOG", "error");
        command.env("REGISTRAR_CALLER_RATE", "none");
        Ok(command)
    }

    /// Runs a `registrar` command to its end.
    pub(crate) async fn run_registrar(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = tokio::process::Command::from(self.registrar(arguments)?).kill_on_drop(true).output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "registrar {}: {told}", arguments.join(" "));
        Ok(())
    }

    /// Starts `registrar serve`.
    pub(crate) async fn serve(&self) -> anyhow::Result<RunningServer> {
        RunningServer::start(self.registrar(&["serve"])?, "Registrar answers at ").await
    }
}

/// A server on a free port; dropping it kills the process.
pub(crate) struct RunningServer {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// The log, on a disk as in production. Every refusal writes a line, whatever the level.
    _log: NamedTempFile,
}

impl RunningServer {
    /// Starts a server and waits for its line with `words` and a URL.
    pub(crate) async fn start(mut command: Command, words: &str) -> anyhow::Result<Self> {
        let log = NamedTempFile::new()?;
        command.env("REGISTRAR_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(log.reopen()?);
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("no output")?;
        let path = log.path().to_owned();
        let mut served = RunningServer { child, address: String::new(), _log: log };
        let output = tokio::process::ChildStdout::from_std(output)?;
        let mut lines = BufReader::new(output).lines();
        let announced = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(url) = line.strip_prefix(words) {
                    return Ok(url.trim_start_matches("http://").to_owned());
                }
            }
            bail!("the server ended before it answered: {}", std::fs::read_to_string(path)?)
        };
        served.address = tokio::time::timeout(PATIENCE, announced).await.context("the server does not answer")??;
        // Further output must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(served)
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.context("no VmRSS")?.trim().parse::<f64>()? / 1024.0)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A NATS server with JetStream.
pub(crate) struct Nats {
    folder: TempDir,
    pub(crate) url: String,
}

impl Nats {
    pub(crate) fn start(servers: &Servers) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(servers.folder())?;
        let url = script("nats", &["start", &text(folder.path()), &std::process::id().to_string()])?;
        Ok(Nats { folder, url })
    }

    /// Stops the server; data and address are kept.
    pub(crate) fn stop(&self) -> anyhow::Result<()> {
        script("nats", &["stop", &text(self.folder.path())]).map(drop)
    }

    pub(crate) fn start_again(&self) -> anyhow::Result<()> {
        script("nats", &["start", &text(self.folder.path())]).map(drop)
    }

    /// The configuration, for the report.
    pub(crate) fn configuration(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("private-nats/nats.conf")).unwrap_or_default();
        let sync = text.lines().map(str::trim).find(|line| line.starts_with("sync_interval"));
        sync.unwrap_or("sync_interval: default, this release knows no other").to_owned()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = script("nats", &["remove", &text(self.folder.path())]);
    }
}

/// Path of a program of the PostgreSQL in use.
pub(crate) fn postgres_program(name: &str) -> anyhow::Result<PathBuf> {
    let output =
        Command::new("bash").args(["-c", ". \"$0\" && postgres_bin"]).arg(scripts().join("servers.sh")).output()?;
    ensure!(output.status.success(), "no PostgreSQL found");
    Ok(Path::new(String::from_utf8(output.stdout)?.trim()).join(name))
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts")
}

fn script(name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(scripts().join(name)).args(arguments).output()?;
    ensure!(output.status.success(), "scripts/{name}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
