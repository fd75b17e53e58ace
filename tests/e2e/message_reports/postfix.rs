//! A private Postfix: configuration, queue and log are in a folder of its own, and it listens on this machine alone. It
//! hands every mail on to one server, and returns to the sender what that one refuses.

use crate::process::PATIENCE;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// User and group of the queue: postfix takes neither root's nor those of `nobody`. Debian has these everywhere.
const OWNER: &str = "daemon";
const GROUP: &str = "mail";
/// Tries to start, since another process may take the free port first.
const STARTS: usize = 5;
/// Folders of the queue that belong to one owner.
const QUEUES: [&str; 11] =
    ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

/// A running Postfix; it ends with the test, and within four minutes in any case.
pub struct Postfix {
    master: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Postfix {
    /// A server that hands on to `next`. `None` if the machine has no Postfix: see `./scripts/test`.
    pub async fn start(next: SocketAddr) -> Option<Self> {
        let root = PathBuf::from(std::env::var_os("REGISTRAR_TEST_POSTFIX")?);
        let mut log = String::new();
        for _ in 0..STARTS {
            match Self::try_start(&root, next).await {
                Ok(postfix) => return Some(postfix),
                Err(failed) => log = failed,
            }
        }
        panic!("Postfix does not start; it has logged {log}");
    }

    /// The server, or its log.
    async fn try_start(root: &Path, next: SocketAddr) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        // Only the first of its processes belongs to root.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        make_folders(folder.path());
        let etc = folder.path().join("etc");
        fs::write(etc.join("main.cf"), main_settings(root, folder.path(), next)).unwrap();
        fs::write(etc.join("master.cf"), services(port)).unwrap();

        let libraries = root.join("usr/lib/postfix");
        let mut command = Command::new(libraries.join("sbin/master"));
        command.args(["-d", "-e", "240", "-c"]).arg(&etc);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("MAIL_CONFIG", &etc).env("LD_LIBRARY_PATH", libraries);
        let master = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut postfix = Postfix { master, port, folder };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if postfix.master.try_wait().unwrap().is_some() || begun.elapsed() > PATIENCE {
                return Err(postfix.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(postfix)
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("postfix.log")).unwrap_or_default()
    }

    /// Whether a process still works in the queue.
    fn is_at_work(&self) -> bool {
        let queue = self.folder.path().join("queue");
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        processes
            .filter_map(|process| fs::read_link(process.path().join("cwd")).ok())
            .any(|cwd| cwd.starts_with(&queue))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
        // The others end when they notice. One that is late would write into the folder while it is removed.
        let begun = Instant::now();
        while self.is_at_work() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn make_folders(home: &Path) {
    let queue = QUEUES.map(|name| format!("queue/{name}"));
    let own: Vec<_> = queue.iter().map(String::as_str).chain(["data"]).collect();
    for (owner, mode, names) in [
        ("root", "0755", ["etc", "queue", "queue/pid"].as_slice()),
        (OWNER, "0700", own.as_slice()),
        (OWNER, "0710", ["queue/public"].as_slice()),
        (OWNER, "0730", ["queue/maildrop"].as_slice()),
    ] {
        let mut command = Command::new("install");
        command.args(["-d", "-o", owner, "-g", GROUP, "-m", mode]).args(names.iter().map(|name| home.join(name)));
        assert!(command.status().unwrap().success());
    }
}

/// The settings. The unpacked programs stand beside those of the machine, and every process needs their own libraries.
fn main_settings(root: &Path, home: &Path, next: SocketAddr) -> String {
    let (root, home) = (root.join("usr").display().to_string(), home.display());
    format!(
        "compatibility_level = 2
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {root}/sbin
daemon_directory = {root}/lib/postfix/sbin
shlib_directory = {root}/lib/postfix
meta_directory = {home}/etc
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
mail_owner = {OWNER}
setgid_group = {GROUP}
default_privs = nobody
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
myhostname = mail.registrar.example
mydestination =
alias_maps =
local_recipient_maps =
relayhost = [{}]:{}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
notify_classes =
fast_flush_domains =
",
        next.ip(),
        next.port()
    )
}

/// The processes, none of them in a root of its own.
fn services(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    )
}
