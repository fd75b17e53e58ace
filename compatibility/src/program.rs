//! The program `registrar`, started as users start it, and requests to it over HTTP.

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::{Connection, Executor, PgConnection};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// Longest wait, with a margin for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Sign-in name of the first administrator.
const ADMINISTRATOR: &str = "admin@registrar.local";

/// A fresh database for the program.
#[derive(Debug)]
pub struct Installation {
    /// `postgres://...`; `None` for SQLite.
    pub database_url: Option<String>,
    folder: TempDir,
}

/// An event as the program exports it, with payload and metadata byte by byte as stored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedEvent {
    /// Position in the order of all events.
    pub position: u64,
    /// Type of the aggregate.
    pub aggregate_type: String,
    /// Identifier of the aggregate.
    pub aggregate_id: String,
    /// Version of the stream after this event.
    pub sequence: u64,
    /// Stable name of the event.
    pub event_type: String,
    /// Version of the payload's shape.
    pub event_version: String,
    /// The payload as stored.
    pub payload: Box<RawValue>,
    /// The metadata as stored: actor, request, causation.
    pub metadata: Box<RawValue>,
}

impl Installation {
    /// A SQLite database in a folder of its own.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn sqlite() -> anyhow::Result<Self> {
        Ok(Installation { database_url: None, folder: tempfile::tempdir()? })
    }

    /// A database of its own on the private PostgreSQL.
    ///
    /// # Errors
    /// The server is not reachable, or refuses the database.
    pub async fn postgres() -> anyhow::Result<Self> {
        let server = variable("REGISTRAR_TEST_DATABASE_URL")?;
        let (base, _) = server.rsplit_once('/').context("no URL of a database")?;
        let name = format!("compatibility_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server).await?;
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await?;
        Ok(Installation { database_url: Some(format!("{base}/{name}")), folder: tempfile::tempdir()? })
    }

    /// File of the SQLite database.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("registrar.sqlite3")
    }

    /// The program with these arguments on this database, and an otherwise empty environment.
    fn registrar(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(variable("REGISTRAR_TEST_BINARY")?);
        command.env_clear().env("REGISTRAR_DATA", self.folder.path()).args(arguments).stdin(Stdio::null());
        if let Some(url) = &self.database_url {
            command.env("REGISTRAR_DATABASE_URL", url);
        }
        Ok(command)
    }

    /// Runs a command that ends by itself; answers its output.
    ///
    /// # Errors
    /// The command fails.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.registrar(arguments)?.output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts a server and waits until it answers; its caller is the first administrator.
    ///
    /// # Errors
    /// The server does not start.
    pub fn serve(&self) -> anyhow::Result<Server> {
        let mut command = self.registrar(&["serve"])?;
        let mut child = command.env("REGISTRAR_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let mut server = Server { child, url: String::new(), token: String::new(), http: reqwest::Client::new() };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let begun = Instant::now();
        while server.url.is_empty() {
            let line = lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).context("no server answers")?;
            if let Some(url) = line.strip_prefix("Registrar answers at ") {
                url.clone_into(&mut server.url);
            }
        }
        self.run(&["token", "create", "--admin", ADMINISTRATOR])?.trim().clone_into(&mut server.token);
        Ok(server)
    }

    /// All events of the journal, in order; the export verifies their hashes.
    ///
    /// # Errors
    /// The journal is corrupt.
    pub fn export(&self) -> anyhow::Result<Vec<ExportedEvent>> {
        let path = self.folder.path().join(format!("{}.ndjson", Uuid::now_v7()));
        self.run(&["journal", "export", "--output", path.to_str().context("no path")?])?;
        let text = std::fs::read_to_string(path)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run the tests with ./scripts/test"))
}

/// A server; dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Server {
    /// Sends a request as the first administrator; answers the body of a success.
    ///
    /// # Errors
    /// The request fails, or has another status.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// The server does not stop, or exits with an error.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(told.success(), "it cannot be told to stop");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("it does not end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
