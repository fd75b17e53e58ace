//! Packages of the npm registry, installed in the target folder and kept for the next run.

use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// The file that marks a complete installation; it contains the list of packages.
const MARK: &str = "installed.txt";

/// Installs packages, one per line, in the folder `name`; the error says why that failed, and the run goes on without
/// them. Without `download` only an earlier installation is used.
pub(crate) async fn install(name: &str, packages: &str, download: bool) -> Result<PathBuf, String> {
    let installed = async {
        let place = crate::program_folder()?.parent().context("no target folder")?.join(name);
        if std::fs::read_to_string(place.join(MARK)).is_ok_and(|made_from| made_from == packages) {
            return Ok(place);
        }
        ensure!(download, "not installed, and a smoke run does not download");
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("package.json"), r#"{"private": true}"#)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]).args(packages.lines());
        let output = npm.current_dir(&place).stdin(Stdio::null()).output().await.context("npm does not start")?;
        ensure!(output.status.success(), "npm: {}", String::from_utf8_lossy(&output.stderr).trim());
        std::fs::write(place.join(MARK), packages)?;
        Ok(place)
    };
    installed.await.map(|place| place.join("node_modules")).map_err(|error: anyhow::Error| format!("{error:#}"))
}
