//! Scripts below this folder, with the packages of `scripts/requirements.txt`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command that runs a script with an otherwise empty environment, above all without a proxy.
pub fn script(path: &str) -> Command {
    let venv = std::env::var("REGISTRAR_TEST_VENV").expect("REGISTRAR_TEST_VENV; run the tests with ./scripts/test");
    let mut command = Command::new(format!("{venv}/bin/python"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    command.env_clear().env("PYTHONDONTWRITEBYTECODE", "1").arg(folder.join(path));
    command
}

/// Runs a script that reads its whole input before it writes anything; answers its output.
pub fn run(mut command: Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A script that has failed takes no input; its messages say more.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// As [`run`], beside other tasks of the test.
pub async fn run_aside(command: Command, input: String) -> String {
    tokio::task::spawn_blocking(move || run(command, &input)).await.unwrap()
}
