//! The real program and a NATS server with authentication: the trust between them, and refusals before anything is
//! sent.

use crate::process::{PATIENCE, Server, fail, registrar};
use crate::publishing::harness::eventually;
use crate::support::{Database, write_private};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "s3cretOfTheBroker";
const SEED: &str = include_str!("nats/user.nk");

/// The keys that `docker compose` creates for its network: an authority, and the broker's certificate. The broker is
/// this machine here.
pub fn network_keys(folder: &Path, broker: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/network-keys");
    let made = Command::new("sh").arg(script).arg(folder).arg(format!("nats={broker}")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The broker configuration of `docker compose`, with its data in `folder`.
fn compose_configuration(folder: &Path) -> String {
    let compose: Vec<_> = include_str!("../../docker-compose.yml").lines().collect();
    let begin = compose.iter().position(|line| *line == "    content: |").unwrap();
    let lines = compose[begin + 1..].iter().take_while(|line| line.is_empty() || line.starts_with("      "));
    let text = lines.map(|line| line.trim_start_matches("      ").to_owned() + "\n").collect::<String>();
    let here = text.replace("0.0.0.0:4222", "127.0.0.1:-1").replace("$$NATS_PASSWORD", "$NATS_PASSWORD");
    let here = here.replace("http: \"127.0.0.1:8222\"", "").replace("/tls/", &format!("{}/nats/", folder.display()));
    assert!(here.contains("tls {") && here.contains("$NATS_PASSWORD"), "{here}");
    let here = here.replace("\"/data\"", &format!("\"{}\"", folder.join("jetstream").display()));
    // Releases before 2.10 reject this setting.
    here.replace("sync_interval: always", "")
}

/// A NATS server with its own configuration; dropping it ends the server.
struct Broker {
    child: Child,
    port: u64,
}

impl Broker {
    fn start(folder: &Path, configuration: &str) -> Self {
        let bin = std::env::var("REGISTRAR_TEST_NATS_SERVER").unwrap_or_else(|_| "/usr/sbin/nats-server".into());
        let file = folder.join("nats.conf");
        std::fs::write(&file, format!("{configuration}\nports_file_dir: \"{}\"\n", folder.display())).unwrap();
        let mut command = Command::new(bin);
        command.env("NATS_PASSWORD", PASSWORD).arg("--config").arg(file);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        loop {
            let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let ports = files.find(|path| path.extension().is_some_and(|extension| extension == "ports"));
            let told = ports.and_then(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).ok());
            if let Some(told) = told {
                let url = told["nats"][0].as_str().unwrap();
                let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
                return Broker { child, port };
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "the broker does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, scheme: &str, credentials: &str) -> String {
        format!("{scheme}://{credentials}127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The NATS status as the server reports it.
async fn nats_status(server: &Server) -> Value {
    let ready = reqwest::get(format!("{}/readyz", server.url)).await.unwrap();
    ready.json::<Value>().await.unwrap()["nats"].clone()
}

async fn publishes(server: &Server) {
    let up_to_date = async || {
        let nats = nats_status(server).await;
        nats["connected"] == true && nats["lag"] == 0 && nats["position"].as_u64().is_some_and(|position| position > 0)
    };
    assert!(eventually(up_to_date).await, "{}", nats_status(server).await);
}

async fn does_not_connect(server: &Server) {
    assert!(eventually(async || nats_status(server).await["error"].is_string()).await, "{}", nats_status(server).await);
    assert_eq!(nats_status(server).await["connected"], false);
}

struct Fixture {
    database: Database,
    folder: tempfile::TempDir,
    authority: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        network_keys(folder.path(), "localhost,127.0.0.1");
        let authority = folder.path().join("authority/ca.pem");
        Fixture { database: Database::sqlite(), folder, authority }
    }

    fn tls(&self, more: &str) -> String {
        let [certificate, key] = ["server.pem", "server.key"].map(|name| self.folder.path().join("nats").join(name));
        let [certificate, key] = [certificate.display(), key.display()];
        format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", {more} }}\n")
    }

    fn serve(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = registrar(&self.database.settings, &["serve"]);
        command.envs(settings.iter().copied());
        command
    }

    fn refused(&self, settings: &[(&str, &str)]) -> String {
        fail(self.serve(settings))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_over_tls_to_the_broker_of_docker_compose_and_to_no_other() {
    let it = Fixture::new();
    let broker = Broker::start(it.folder.path(), &compose_configuration(it.folder.path()));
    let (ca, user) = (it.authority.to_str().unwrap(), format!("registrar:{PASSWORD}@"));
    let server =
        Server::spawn(it.serve(&[("REGISTRAR_NATS_URL", &broker.url("tls", &user)), ("REGISTRAR_NATS_CA", ca)]));
    publishes(&server).await;
    drop(server);
    // With a configured authority TLS is used, whatever the URL.
    let server =
        Server::spawn(it.serve(&[("REGISTRAR_NATS_URL", &broker.url("nats", &user)), ("REGISTRAR_NATS_CA", ca)]));
    publishes(&server).await;
    drop(server);

    // Neither a broker of another authority nor one without TLS gets a password or an event.
    let other = tempfile::tempdir().unwrap();
    network_keys(other.path(), "localhost,127.0.0.1");
    let of_another = other.path().join("authority/ca.pem");
    for (authority, name) in [(of_another.to_str().unwrap(), "another"), ("", "the system's")] {
        let server = Server::spawn(
            it.serve(&[("REGISTRAR_NATS_URL", &broker.url("tls", &user)), ("REGISTRAR_NATS_CA", authority)]),
        );
        does_not_connect(&server).await;
        let (_, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
        assert!(!log.join("\n").contains(PASSWORD), "{name}");
    }
    let plain = tempfile::tempdir().unwrap();
    let store = plain.path().join("jetstream");
    let configuration = format!("listen: \"127.0.0.1:-1\"\njetstream {{ store_dir: \"{}\" }}\n", store.display());
    let in_the_clear = Broker::start(plain.path(), &configuration);
    let server =
        Server::spawn(it.serve(&[("REGISTRAR_NATS_URL", &in_the_clear.url("tls", &user)), ("REGISTRAR_NATS_CA", ca)]));
    does_not_connect(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_certificate_has_another_name_is_not_believed() {
    let it = Fixture::new();
    let other = tempfile::tempdir().unwrap();
    network_keys(other.path(), "broker.example.org");
    let broker = Broker::start(other.path(), &compose_configuration(other.path()));
    let ca = other.path().join("authority/ca.pem");
    let server = Server::spawn(it.serve(&[
        ("REGISTRAR_NATS_URL", &broker.url("tls", &format!("registrar:{PASSWORD}@"))),
        ("REGISTRAR_NATS_CA", ca.to_str().unwrap()),
    ]));
    does_not_connect(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_signs_in_by_nkey_by_credentials_or_by_certificate() {
    let it = Fixture::new();
    let [seed, credentials] = ["user.nk", "user.creds"].map(|name| it.folder.path().join(name));
    write_private(&seed, SEED);
    write_private(&credentials, include_str!("nats/user.creds"));
    let (seed, credentials, ca) =
        (seed.to_str().unwrap(), credentials.to_str().unwrap(), it.authority.to_str().unwrap());
    let public = include_str!("nats/user.pub").trim();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| it.folder.path().join("nats").join(name));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let shown = [("REGISTRAR_NATS_CERT", certificate), ("REGISTRAR_NATS_KEY", key)];
    let of_certificates = it.tls(&format!("ca_file: \"{ca}\", verify_and_map: true"));
    for (configuration, way) in [
        (
            it.tls("") + &format!("authorization {{ users: [{{ nkey: {public} }}] }}\n"),
            &[("REGISTRAR_NATS_NKEY_FILE", seed)][..],
        ),
        (it.tls("") + include_str!("nats/operator.conf"), &[("REGISTRAR_NATS_CREDS", credentials)]),
        (of_certificates + "authorization { users: [{ user: \"localhost\" }] }\n", &shown),
    ] {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("jetstream");
        let here = format!("listen: \"127.0.0.1:-1\"\njetstream {{ store_dir: \"{}\" }}\n", store.display());
        let broker = Broker::start(home.path(), &(here + &configuration));
        let url = broker.url("tls", "");
        let settings = [("REGISTRAR_NATS_URL", url.as_str()), ("REGISTRAR_NATS_CA", ca)];
        // Without the credential the broker refuses; with it events arrive.
        let server = Server::spawn(it.serve(&settings));
        does_not_connect(&server).await;
        drop(server);
        let server = Server::spawn(it.serve(&[&settings, way].concat()));
        publishes(&server).await;
        let (_, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
        assert!(!log.join("\n").contains(SEED.trim()), "{way:?}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_is_sent() {
    let it = Fixture::new();
    let exposed = it.folder.path().join("exposed");
    std::fs::write(&exposed, SEED).unwrap();
    std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = exposed.to_str().unwrap();
    let url = ("REGISTRAR_NATS_URL", "tls://127.0.0.1:1");
    let certificate = it.folder.path().join("nats/server.pem");
    for (settings, words) in [
        (&[url, ("REGISTRAR_NATS_NKEY_FILE", exposed)][..], "REGISTRAR_NATS_NKEY_FILE"),
        (&[url, ("REGISTRAR_NATS_CREDS", exposed)], "REGISTRAR_NATS_CREDS"),
        (
            &[url, ("REGISTRAR_NATS_CERT", certificate.to_str().unwrap()), ("REGISTRAR_NATS_KEY", exposed)],
            "REGISTRAR_NATS_KEY",
        ),
    ] {
        let told = it.refused(settings);
        assert!(told.starts_with(&format!("registrar: {words} ")) && told.contains("chmod 600"), "{told}");
        assert!(!told.contains(SEED.trim()), "{told}");
    }
    let told = it.refused(&[url, ("REGISTRAR_NATS_CA", exposed)]);
    assert!(told.starts_with("registrar: REGISTRAR_NATS_CA ") && told.contains("it holds no certificate"), "{told}");
    assert!(!it.database.file().exists(), "nothing was begun");
}
