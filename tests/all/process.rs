//! The real program as a process. Every wait has an end.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// What has not happened by now never will: the slowest step of a test takes seconds, and the
/// machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at something that cannot wake us, like a file of another process.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// The environment variable that test configurations read the key from.
pub const KEY_VARIABLE: &str = "TEST_API_KEY";

/// The built component.
///
/// # Panics
/// It is not there.
pub fn component() -> PathBuf {
    let folder = std::env::var_os("SLUICE_COMPONENTS").map_or_else(
        || {
            let test = std::env::current_exe().unwrap_or_default();
            // target/release/deps/all-0123 -> target/components
            test.ancestors()
                .nth(3)
                .unwrap_or(Path::new(""))
                .join("components")
        },
        PathBuf::from,
    );
    let file = folder.join("retention_science.wasm");
    assert!(
        file.exists(),
        "the component {} is not there: run `cargo xtask test`",
        file.display()
    );
    file
}

/// How the program is called in one folder.
pub struct Sluice {
    folder: PathBuf,
    /// The key that it finds in its environment, if any.
    pub key: Option<String>,
    /// A limit on the size of the files that it writes, in the shell's blocks of 512 or 1024 bytes:
    /// what a full disk is to it.
    pub file_blocks: Option<u32>,
    /// How many files it may have open at a time.
    pub open_files: Option<u32>,
    /// Variables of its environment. Tests run side by side, so that nobody listens where sluice usually does.
    pub environment: Vec<(&'static str, String)>,
    calls: AtomicU32,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A call that has not ended yet, as far as we know. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Sluice {
    pub fn new(folder: &Path, key: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            key: Some(key.to_owned()),
            file_blocks: None,
            open_files: None,
            environment: vec![("SLUICE_ADMIN", "off".to_owned())],
            calls: AtomicU32::new(0),
        }
    }

    /// Starts `sluice ARGS` in the folder. `stdin` is what it reads there.
    pub fn start_with(&self, args: &[&str], stdin: Stdio) -> Result<Running> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // Files, and not pipes: nobody has to read them for the program to go on.
        let output = |kind| self.folder.join(format!("call-{call}.{kind}"));
        let (stdout, stderr) = (output("out"), output("err"));
        let program = env!("CARGO_BIN_EXE_sluice");
        let mut command = Command::new(program);
        if let Some(blocks) = self.file_blocks {
            // The signal that comes with the error stays ignored in the program.
            let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            command = Command::new("sh");
            command.args(["-c", &limited, program]);
        }
        if let Some(files) = self.open_files {
            let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
            command = Command::new("sh");
            command.args(["-c", &limited, program]);
        }
        command
            .args(args)
            .current_dir(&self.folder)
            .stdin(stdin)
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .kill_on_drop(true);
        for name in [
            "SLUICE_CONFIG",
            "SLUICE_DATA",
            "SLUICE_LOG",
            "SLUICE_TRACKS",
            "SLUICE_ADMIN",
            "SLUICE_ADMIN_TOKEN",
            "SLUICE_SIGNED_BY",
            "COLUMNS",
        ] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        match &self.key {
            Some(key) => command.env(KEY_VARIABLE, key),
            None => command.env_remove(KEY_VARIABLE),
        };
        let child = command.spawn().context("cannot start sluice")?;
        Ok(Running {
            child,
            stdout,
            stderr,
        })
    }

    pub fn start(&self, args: &[&str]) -> Result<Running> {
        self.start_with(args, Stdio::null())
    }

    /// Calls it and waits for its end.
    pub async fn call(&self, args: &[&str]) -> Result<Ended> {
        self.start(args)?.ended().await
    }

    /// Calls it with a text on its standard input.
    pub async fn call_with(&self, args: &[&str], stdin: &str) -> Result<Ended> {
        let file = self.folder.join("stdin");
        std::fs::write(&file, stdin)?;
        self.start_with(args, File::open(file)?.into())?
            .ended()
            .await
    }

    /// `status --json`: all exports.
    pub async fn statuses(&self) -> Result<Vec<Value>> {
        let ended = self.call(&["status", "--json"]).await?;
        ensure!(ended.code == Some(0), "status has failed: {ended:?}");
        Ok(serde_json::from_str(&ended.stdout)?)
    }

    /// `status --json`: the only export.
    pub async fn status(&self) -> Result<Value> {
        let [status] = <[Value; 1]>::try_from(self.statuses().await?)
            .map_err(|all| anyhow::anyhow!("{} exports, not one", all.len()))?;
        Ok(status)
    }
}

impl Running {
    /// Waits for its end.
    pub async fn ended(mut self) -> Result<Ended> {
        let status = match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status?,
            Err(_) => bail!("sluice does not end; it says:\n{}", self.said()),
        };
        Ok(Ended {
            code: status.code(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        })
    }

    /// Waits until something happens. An error if the process ends first, or if it never happens.
    pub async fn until(&mut self, what: &str, happens: impl Future<Output = ()>) -> Result<()> {
        match self.unless_it_ends(what, happens).await? {
            Ok(()) => Ok(()),
            Err(ended) => bail!(
                "{what}: sluice ended before ({ended}); it says:\n{}",
                self.said()
            ),
        }
    }

    /// Waits until something happens, or else until the process ends.
    pub async fn unless_it_ends<T>(
        &mut self,
        what: &str,
        happens: impl Future<Output = T>,
    ) -> Result<Result<T, ExitStatus>> {
        tokio::select! {
            happened = happens => Ok(Ok(happened)),
            ended = self.child.wait() => Ok(Err(ended?)),
            () = tokio::time::sleep(PATIENCE) => {
                bail!("{what}: does not happen; sluice says:\n{}", self.said())
            }
        }
    }

    /// Waits until a condition holds that nothing can tell us of.
    pub async fn until_true(&mut self, what: &str, holds: impl FnMut() -> bool) -> Result<()> {
        self.until(what, until_true(holds)).await
    }

    /// Waits until `status` shows what is wanted.
    pub async fn until_status(
        &mut self,
        sluice: &Sluice,
        what: &str,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Result<()> {
        self.until_statuses(sluice, what, |all| matches!(all, [status] if holds(status)))
            .await
    }

    /// Waits until `status` shows what is wanted of all exports.
    pub async fn until_statuses(
        &mut self,
        sluice: &Sluice,
        what: &str,
        mut holds: impl FnMut(&[Value]) -> bool,
    ) -> Result<()> {
        let look = async {
            loop {
                // A store that is just being made cannot be read yet.
                if sluice.statuses().await.is_ok_and(|all| holds(&all)) {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        self.until(what, look).await
    }

    /// Waits until it has said something on its standard error.
    pub async fn until_said(&mut self, text: &str) -> Result<()> {
        let said = self.stderr.clone();
        self.until_true(text, || read(&said).contains(text)).await
    }

    /// Where its admin endpoint listens, once it says so.
    pub async fn admin(&mut self) -> Result<SocketAddr> {
        let mut address = None;
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        let said = || read(&stdout) + &read(&stderr);
        let listens = until_true(|| {
            let said = said();
            let line = said.lines().find(|line| line.contains("admin endpoint:"));
            address = line
                .and_then(|line| line.rsplit_once("address="))
                .and_then(|(_, address)| address.trim().parse().ok());
            address.is_some()
        });
        self.until("the admin endpoint listens", listens).await?;
        address.context("it listens nowhere")
    }

    /// The process's number, as long as it has not ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, now; returns when the process is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGTERM; waits for the end.
    pub async fn terminate(self) -> Result<Ended> {
        let pid = self.child.id().context("it has ended already")?;
        let sent = Command::new("kill").arg(pid.to_string()).status().await?;
        ensure!(sent.success(), "cannot signal process {pid}");
        self.ended().await
    }

    /// The most memory that it has had at a time, in MiB.
    pub fn peak_memory_mib(&self) -> Result<u64> {
        let pid = self.child.id().context("it has ended already")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next());
        Ok(kib.context("no VmHWM")?.parse::<u64>()? >> 10)
    }

    /// Everything that it has said so far.
    pub fn said(&self) -> String {
        read(&self.stdout) + &read(&self.stderr)
    }
}

/// Returns when the condition holds.
pub async fn until_true(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Every file and folder below, the folder itself included.
pub fn everything_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(everything_in(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}
