//! The real program, as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::config::KEY;

pub struct Sluice {
    program: PathBuf,
    config: PathBuf,
}

impl Sluice {
    pub fn new(program: &Path, config: &Path) -> Result<Self> {
        let program = program.canonicalize().context("the program is not there")?;
        Ok(Self {
            program,
            config: config.to_owned(),
        })
    }

    /// A command, which may be of two words.
    pub fn command(&self, command: &str) -> Command {
        let mut sluice = Command::new(&self.program);
        sluice
            .args(command.split(' '))
            .arg("--config")
            .arg(&self.config)
            .env("RETENTION_SCIENCE_API_KEY", KEY)
            // Whatever else runs on this machine may have the usual port.
            .env("SLUICE_ADMIN", "off")
            .kill_on_drop(true);
        sluice
    }

    /// The only export.
    pub async fn status(&self) -> Result<Value> {
        Ok(self.statuses().await?.swap_remove(0))
    }

    pub async fn statuses(&self) -> Result<Vec<Value>> {
        let output = self.command("status").arg("--json").output().await?;
        ensure!(
            output.status.success(),
            "status: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    pub async fn print_status(&self) -> Result<()> {
        let status = self
            .command("status")
            .stdout(Stdio::inherit())
            .status()
            .await?;
        ensure!(status.success(), "status failed");
        Ok(())
    }
}

/// Asks a process to end, and waits until it has.
pub async fn terminate(mut child: Child) -> Result<std::process::ExitStatus> {
    let pid = child.id().context("it has ended already")?;
    let killed = Command::new("kill").arg(pid.to_string()).status().await?;
    ensure!(killed.success(), "cannot signal process {pid}");
    Ok(child.wait().await?)
}
