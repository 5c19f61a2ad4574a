//! What can be typed behind `sluice capture` and `sluice replay`.

use std::path::PathBuf;

use sluice::capture::CallKind;

use super::{Loading, Where};

#[derive(Debug, clap::Args)]
pub struct CaptureArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
    /// How many calls.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub batches: u32,
    /// Calls of which functions: deliver, submit, poll, stage.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "deliver,submit,poll,stage", value_parser = call_kind)]
    pub calls: Vec<CallKind>,
    /// Write values as they are. They are personal data: mind where you keep the file.
    #[arg(long)]
    pub reveal: bool,
    /// The file [default: the export's name and `.capture.ndjson`, in this folder].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there already.
    #[arg(long)]
    pub force: bool,
    /// How long to wait for the calls. What there is by then is written.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout_seconds: u32,
    /// List the captures of failed calls that the export keeps (`capture_failures`), and capture nothing.
    #[arg(long, conflicts_with_all = ["batches", "calls", "reveal", "output", "force", "timeout_seconds"])]
    pub list: bool,
}

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The capture.
    pub file: PathBuf,
    /// The component's file, or a version that is kept: NAME@VERSION, or the beginning of its SHA-256.
    #[arg(long, value_name = "FILE|VERSION")]
    pub plugin: PathBuf,
    #[command(flatten)]
    pub place: Loading,
    /// For programs.
    #[arg(long)]
    pub json: bool,
    /// Show values as they are, if they are in the capture. They are personal data.
    #[arg(long)]
    pub reveal: bool,
}

fn call_kind(text: &str) -> Result<CallKind, String> {
    let known = CallKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| "expected deliver, submit, poll or stage".to_owned())
}
