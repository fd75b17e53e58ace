//! The chapter of the README on how people come in: its commands print what it says.

use crate::process::Server;
use crate::support::Database;
use std::process::Command;

const README: &str = include_str!("../../README.md");
const CHAPTER: &str = "## People come in\n";
/// Mark of a line that the commands before it print; one that ends with dots is the beginning of such a line.
const PRINTED: &str = "# -> ";
/// Address of the server in the chapter.
const ADDRESS: &str = "http://127.0.0.1:8080";
/// The program of these tests in place of the one that cargo would build.
const PRELUDE: &str = r#"set -euo pipefail
cargo() { while [ "$1" != -- ]; do shift; done; shift; "$REGISTRAR" "$@"; }
"#;

/// The shell blocks of the chapter, one after the other.
fn commands() -> String {
    let (_, chapter) = README.split_once(CHAPTER).unwrap();
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let blocks = chapter.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn people_come_in_by_the_commands_of_the_readme() {
    let (database, folder) = (Database::sqlite(), tempfile::tempdir().unwrap());
    let server = Server::start(&database.settings);
    let commands = commands();
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("{PRELUDE}{commands}")).current_dir(folder.path()).env_clear();
    // Some installations of Python look for themselves in the home folder.
    shell.envs(["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    shell.env("API", &server.url);
    shell.env("REGISTRAR", env!("CARGO_BIN_EXE_registrar")).env("REGISTRAR_DATA", &database.settings.data);
    let output = shell.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{stdout}{stderr}");

    let expected: Vec<_> = commands.lines().filter_map(|line| line.strip_prefix(PRINTED)).collect();
    assert_eq!(stdout.lines().count(), expected.len(), "{stdout}{stderr}");
    for (line, expected) in stdout.lines().zip(expected) {
        let expected = expected.replace(ADDRESS, &server.url);
        let is_as_told = match expected.strip_suffix("...") {
            Some(beginning) => line.starts_with(beginning),
            None => line == expected,
        };
        assert!(is_as_told, "{line} in place of {expected}: {stdout}");
    }
}
