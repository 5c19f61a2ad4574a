//! Compiling in a process of its own, which can be given up: wasmtime does not count a hang, a panic
//! or unbounded memory in compilation as bugs of its security.
//!
//! The component goes in by standard input, the code comes out by standard output. The process has an
//! empty environment, so no secret, may write no file, and ends with its parent.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Failed, fits};
use crate::plugin::limits::LoadLimits;
use crate::plugin::tidy;

/// How the process ends for a component that is none.
const DAMAGED: u8 = 65;

/// What is kept of what it says before it ends.
const SAID_BYTES: u64 = 4 << 10;

/// What is told of a component that is none: it quotes names that its author chose.
pub(super) const DAMAGED_BYTES: usize = 1 << 10;

/// Threads that compile: they share their memory limit, and the machine has other work.
const THREADS: &str = "2";

/// Which program compiles: one that calls [`compile_from_stdin`] when it is started like this.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// What stands before the two numbers, stack and memory in bytes.
    pub args: Vec<String>,
}

/// Compiles a component in a child process.
pub(super) async fn compile(
    program: &Program,
    component: &[u8],
    load: &LoadLimits,
) -> Result<Vec<u8>, Failed> {
    let mut child = Command::new(&program.path)
        .args(&program.args)
        .arg(load.stack_bytes.to_string())
        .arg(load.compile_memory_bytes.to_string())
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS)
        // Each arena of glibc's reserves 64 MiB of addresses, which would count.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Failed::Start)?;
    // One more tells that there is more.
    let talk = talk(&mut child, component, load.code_bytes.saturating_add(1));
    match tokio::time::timeout(load.compile, talk).await {
        Ok(talked) => {
            let (status, code, said) = talked.map_err(Failed::Start)?;
            judge(status, code, &said, load)
        }
        Err(_) => {
            let _ = child.kill().await;
            Err(Failed::Limit {
                limit: "compile_seconds",
                value: load.compile.as_secs(),
                found: "compiling it had not ended".to_owned(),
            })
        }
    }
}

/// Hands the component over and takes the answer, both at once: pipes are short.
async fn talk(
    child: &mut Child,
    component: &[u8],
    most: u64,
) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // One that ends early is judged by how it ends.
            let _ = stdin.write_all(component).await;
        }
        drop(stdin);
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (code, said, ()) = tokio::join!(read(stdout, most), read(stderr, SAID_BYTES), write);
    let status = child.wait().await?;
    Ok((status, code?, String::from_utf8_lossy(&said?).into_owned()))
}

async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn judge(
    status: ExitStatus,
    code: Vec<u8>,
    said: &str,
    load: &LoadLimits,
) -> Result<Vec<u8>, Failed> {
    // First: who could not say all of it has ended badly.
    fits(code.len(), load)?;
    if status.success() {
        return Ok(code);
    }
    if status.code() == Some(DAMAGED.into()) {
        return Err(Failed::Damaged(tidy::line(said.trim(), DAMAGED_BYTES)));
    }
    tracing::debug!(%status, "the compiler said: {said}");
    // What the standard library says as it aborts, and what the system says to wasmtime.
    if [
        "out of memory",
        "memory allocation of",
        "Cannot allocate memory",
    ]
    .iter()
    .any(|text| said.contains(text))
    {
        return Err(Failed::Limit {
            limit: "compile_memory_mib",
            value: load.compile_memory_bytes >> 20,
            found: "compiling it needs more".to_owned(),
        });
    }
    Err(Failed::GaveUp(status.to_string()))
}

/// The child's part: compiles what comes by standard input. For a program that was started as
/// [`Program`] says; never returns to anything else.
pub fn compile_from_stdin(stack_bytes: usize, memory_bytes: u64) -> ExitCode {
    let confined = || {
        let at_most = |n| Rlimit {
            current: Some(n),
            maximum: Some(n),
        };
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::setrlimit(Resource::As, at_most(memory_bytes))?;
        rustix::process::setrlimit(Resource::Core, at_most(0))?;
        rustix::process::setrlimit(Resource::Fsize, at_most(0))?;
        rustix::process::nice(10)
    };
    if let Err(error) = confined() {
        eprintln!("the compiler cannot be confined: {error}");
        return ExitCode::FAILURE;
    }
    let mut component = vec![];
    if let Err(error) = std::io::stdin().read_to_end(&mut component) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let engine = match wasmtime::Engine::new(&super::config(stack_bytes)) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    match engine.precompile_component(&component) {
        Ok(code) => match std::io::stdout().write_all(&code) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(DAMAGED)
        }
    }
}
