//! Packages of the npm registry, installed beside the program and kept for the next run.

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Made once everything is there, with the list that it was made from.
const MARK: &str = "installed.txt";

/// Installs packages, or says why that cannot be done here; a run goes on without them.
pub(crate) async fn install(beside: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let place = beside.join("registrar-bench-npm");
    let installed = async {
        let list = packages.join("\n");
        if std::fs::read_to_string(place.join(MARK)).is_ok_and(|made_from| made_from == list) {
            return Ok(());
        }
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("package.json"), r#"{"private": true}"#)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]).args(packages);
        let output = npm.current_dir(&place).stdin(Stdio::null()).output().await.context("npm does not start")?;
        ensure!(output.status.success(), "npm: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(std::fs::write(place.join(MARK), list)?)
    };
    installed.await.map(|()| place.join("node_modules")).map_err(|error: anyhow::Error| format!("{error:#}"))
}
