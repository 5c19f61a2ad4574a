//! Asking a program for a secret: no shell, an end to the wait, nothing of what it says in an error.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// Time for a program to hand a secret out: a vault answers in a second, and an export that starts or
/// was refused waits for it.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a program writes, without white space around it. Blocking.
///
/// # Errors
/// What went wrong. Names the program, and nothing that it said or was called with.
pub(super) fn ask(
    program: &Path,
    args: &[String],
    longest: usize,
) -> Result<Zeroizing<String>, String> {
    ask_within(program, args, longest, DEADLINE)
}

fn ask_within(
    program: &Path,
    args: &[String],
    longest: usize,
    deadline: Duration,
) -> Result<Zeroizing<String>, String> {
    let name = program.display();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let output = runtime.block_on(output(program, args, longest, deadline))?;
    let text =
        std::str::from_utf8(&output).map_err(|_| format!("what {name} wrote is not UTF-8"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

async fn output(
    program: &Path,
    args: &[String],
    longest: usize,
    deadline: Duration,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it says of its troubles may hold more than it should.
        .stderr(Stdio::null())
        // A group of its own, so that what it has started ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let stdout = child.stdout.take();
    // Room for all of it at once: text that moves while it grows would leave copies behind.
    let mut written = Zeroizing::new(Vec::with_capacity(longest + 64));
    let work = async {
        if let Some(stdout) = stdout {
            let mut stdout = stdout.take(longest as u64 + 1);
            stdout.read_to_end(&mut written).await?;
        }
        if written.len() > longest {
            return Ok(None);
        }
        child.wait().await.map(Some)
    };
    let (ended, why) = match tokio::time::timeout(deadline, work).await {
        Ok(Ok(Some(status))) if status.success() => (true, String::new()),
        Ok(Ok(Some(status))) => (true, format!("{name} has failed: {status}")),
        Ok(Ok(None)) => (
            false,
            format!("{name} has written more than {longest} bytes"),
        ),
        Ok(Err(error)) => (false, format!("{name} cannot be read: {error}")),
        Err(_) => (
            false,
            format!("{name} did not end within {} s", deadline.as_secs()),
        ),
    };
    if let (false, Some(group)) = (ended, group) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    match why.is_empty() {
        true => Ok(written),
        false => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: Duration) -> Result<String, String> {
        let args = ["-c".to_owned(), script.to_owned()];
        let said = ask_within(Path::new("sh"), &args, 64, deadline)?;
        Ok(said.as_str().to_owned())
    }

    #[test]
    fn a_program_says_a_secret_or_why_not_and_never_what_it_said() {
        let patience = Duration::from_secs(60);
        assert_eq!(sh("echo '  a-key  '", patience).as_deref(), Ok("a-key"));
        for (script, deadline, says) in [
            (
                "echo sekrit; echo sekrit >&2; exit 3",
                patience,
                "sh has failed: exit status: 3",
            ),
            (
                "while echo sekrit; do :; done",
                patience,
                "more than 64 bytes",
            ),
            ("printf 'sekrit\\377'", patience, "not UTF-8"),
            (
                "echo sekrit; sleep 3600 & sleep 3600",
                Duration::from_millis(50),
                "did not end within",
            ),
            // Its output has ended, and it has not.
            (
                "exec >&-; sleep 3600",
                Duration::from_millis(50),
                "did not end within",
            ),
        ] {
            let error = sh(script, deadline).unwrap_err();
            assert!(error.contains(says), "{script}: {error}");
            assert!(
                !error.contains("sekrit") && !error.contains("sleep"),
                "{error}"
            );
        }
        let missing = ask(Path::new("/no/such/program"), &["sekrit".to_owned()], 64).unwrap_err();
        assert!(
            missing.starts_with("/no/such/program cannot be started"),
            "{missing}"
        );
        assert!(!missing.contains("sekrit"), "{missing}");
    }
}
