//! The real program, started as users start it.

use registrar::node::StoreSettings;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest wait, with a margin for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `registrar` with these arguments on this database, with an otherwise empty environment.
pub fn registrar(settings: &StoreSettings, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registrar"));
    command.env_clear().env("REGISTRAR_DATA", &settings.data).args(arguments).stdin(Stdio::null());
    if let Some(url) = &settings.database_url {
        command.env("REGISTRAR_DATABASE_URL", url);
    }
    command
}

/// Runs a command that ends by itself; answers its output.
pub fn run(settings: &StoreSettings, arguments: &[&str]) -> String {
    let output = registrar(settings, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that must fail; answers its standard error.
pub fn fail(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A few lines fit into the pipes, so the command ends before they are read.
    wait(&mut child);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert_eq!(stdout, "");
    let lines = stderr.lines().count();
    assert!((1..=3).contains(&lines), "{lines} lines: {stderr}");
    stderr
}

/// Runs a command that must fail after printing something; see [`fail`].
pub fn fail_after_start(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(&mut child);
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    text(&stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server; dropping it kills the process.
pub struct Server {
    child: Child,
    /// Root URL.
    pub url: String,
    /// Lines printed until the URL.
    pub printed: Vec<String>,
    /// The log, complete once the process has ended.
    log: std::thread::JoinHandle<Vec<String>>,
}

impl Server {
    /// Starts a server on a free port and waits until it answers there.
    pub fn start(settings: &StoreSettings) -> Self {
        Server::spawn(registrar(settings, &["serve"]))
    }

    /// Starts a prepared command as a server; see [`Server::start`]. The command must not set a listen address.
    pub fn spawn(mut command: Command) -> Self {
        command.env("REGISTRAR_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log = std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).collect());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut printed = Vec::new();
        let started = Instant::now();
        let url = loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Ok(line) = lines.recv_timeout(left) else {
                let _ = child.kill();
                panic!("it does not announce itself; it logs {:?}", log.join().unwrap());
            };
            let url = line.strip_prefix("Registrar answers at ").map(str::to_owned);
            printed.push(line);
            if let Some(url) = url {
                break url;
            }
        };
        Server { child, url, printed, log }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the server; answers its exit status and its log.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = wait(&mut self.child);
        let log = std::mem::replace(&mut self.log, std::thread::spawn(Vec::new));
        (status, log.join().unwrap())
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
