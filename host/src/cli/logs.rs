//! Where log lines go: standard error, above the progress bars if there are any.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging.
pub fn start(filter: &str, json: bool, bars: Option<&MultiProgress>) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("--log {filter}: expected error, warn, info, debug or a tracing filter")
    })?;
    let writer = Above(bars.cloned());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
    }
    Ok(())
}

/// Only what goes wrong, for commands whose own output is the point.
pub fn start_quiet() {
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
    // A second start in one process is a test's; the first one stays.
    let _ = builder
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}

struct Above(Option<MultiProgress>);

impl<'a> MakeWriter<'a> for Above {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self.0.as_ref())
    }
}

struct Line<'a>(Option<&'a MultiProgress>);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0 {
            Some(bars) => bars.suspend(|| std::io::stderr().write(bytes)),
            None => std::io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
