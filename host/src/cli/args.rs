//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sluice::admin::Place;
use sluice::capture::CallKind;
use sluice::store::QuarantineFilter;

use super::exit::EXIT_CODES;

/// Run a data destination as a sandboxed plugin: scan an audience, import it, then send every
/// change, losing nothing.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show everything that is wrong with the configuration, then ask each destination whether it
    /// accepts the credential.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Show what an export would send, without sending anything.
    ///
    /// Prints the beginning of the CSV, the request that would start the import job, and the
    /// requests that a change of the same members would cause. Values are masked.
    Preview(PreviewArgs),
    /// Show whether the gate would let a request of an export's plugin through, and why.
    ///
    /// Nothing is sent. The endpoint's name is looked up, as it would be for the request.
    #[command(after_help = EXIT_CODES)]
    Explain(ExplainArgs),
    /// Run the exports: backfill first, then every change as it comes.
    ///
    /// Ends on SIGTERM or Ctrl-C after the batches that are under way, with exit code 0. Killed in
    /// any other way it goes on where it was when it is started again.
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Show where each export is and how many rows came to which end.
    Status(StatusArgs),
    /// Show what an export has done: rows by outcome, every import job, and a checksum that is the
    /// same for two runs over the same data which came to the same ends.
    Receipt(ReceiptArgs),
    /// Look at the rows that could not be sent, send them once more, or drop them.
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Write the next calls of a running export's plugin to one file: what they were given, asked for and
    /// answered.
    ///
    /// Members' values are masked: every word and number is another of the same shape, and the calls
    /// were made with these. The file can be replayed anywhere with `sluice replay`.
    #[command(after_help = EXIT_CODES)]
    Capture(CaptureArgs),
    /// Make captured calls again, under any version of the plugin, and show what differs.
    ///
    /// Nothing is sent: answers come from the capture, and no configuration is needed.
    #[command(after_help = EXIT_CODES)]
    Replay(ReplayArgs),
    /// Let an export rest: changes are accepted, nothing is delivered.
    Pause(ControlArgs),
    /// Let an export go on that is paused or parked, without a restart.
    Resume(ControlArgs),
    /// Say how a source goes on that cannot be read on.
    Source {
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// Look at plugins, and try them.
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Compile the component on standard input to code on standard output. sluice calls itself so.
    #[command(name = super::engine::COMPILE, hide = true)]
    CompileComponent {
        stack_bytes: usize,
        memory_bytes: u64,
    },
    /// Print a script that makes a shell complete sluice's commands.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub struct Where {
    /// The directory with one TOML file for each tenant.
    #[arg(long, value_name = "DIR", env = "SLUICE_CONFIG", default_value = ".")]
    pub config: PathBuf,
    /// The directory for logs, staged files and positions [default: .sluice in the configuration
    /// directory].
    #[arg(long, value_name = "DIR", env = "SLUICE_DATA")]
    pub data: Option<PathBuf>,
}

impl Where {
    pub fn data(&self) -> PathBuf {
        self.data
            .clone()
            .unwrap_or_else(|| self.config.join(".sluice"))
    }
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub place: Where,
    /// Do not ask the destinations.
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
    /// How many members.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rows: u16,
    /// Show values as they are. They are personal data: mind where you paste them.
    #[arg(long)]
    pub reveal: bool,
}

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    /// GET, POST, PUT, PATCH, DELETE or HEAD.
    pub method: String,
    /// The path below the endpoint, as the plugin would ask for it: unescaped.
    pub path: String,
    #[command(flatten)]
    pub place: Where,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Run only this export, as `tenant/export`. May be given several times.
    #[arg(long = "export", value_name = "EXPORT")]
    pub exports: Vec<String>,
    #[command(flatten)]
    pub place: Where,
    /// End when every export is live: imported, and caught up with the changes that waited.
    #[arg(long, conflicts_with = "until_idle")]
    pub until_live: bool,
    /// End when every export is live and its sources have nothing more.
    #[arg(long)]
    pub until_idle: bool,
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// What to log: error, warn, info, debug, or a tracing filter.
    #[arg(
        long,
        value_name = "FILTER",
        env = "SLUICE_LOG",
        default_value = "info"
    )]
    pub log: String,
}

#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    /// Where to serve metrics and health: an address with its port (0 for any), or `off`. Another
    /// address than a loopback one needs a token [default: 127.0.0.1:7584, and nowhere if that is
    /// taken].
    #[arg(long, value_name = "ADDR", env = "SLUICE_ADMIN")]
    pub admin: Option<Place>,
    /// A file with the token that whoever asks for metrics must have. It can also be handed over
    /// as SLUICE_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub place: Where,
    /// Show what was used instead: processor time, requests, bytes, memory.
    #[arg(long)]
    pub usage: bool,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ControlArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, clap::Args)]
pub struct ReceiptArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List entries, oldest first.
    List(ListArgs),
    /// Show one entry with everything that is kept of it.
    Show(ShowArgs),
    /// Send entries once more, by the way that every change goes. What a newer change of the same
    /// member has overtaken is superseded.
    Replay(SelectArgs),
    /// Give entries up for good. They stay in the counts, as dropped.
    Drop(SelectArgs),
    /// Write entries to standard output, one JSON object a line.
    Export(ListArgs),
}

#[derive(Debug, clap::Args)]
pub struct FilterArgs {
    /// The entry of this number. May be given several times.
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<i64>,
    /// Entries of this member.
    #[arg(long)]
    pub member: Option<String>,
    /// Entries with this destination field at fault.
    #[arg(long)]
    pub field: Option<String>,
    /// Entries whose reason has this text in it, in any case of letters.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Entries of this phase.
    #[arg(long, value_parser = ["backfill", "live"])]
    pub phase: Option<String>,
}

impl FilterArgs {
    pub fn filter(&self) -> QuarantineFilter {
        QuarantineFilter {
            ids: self.ids.clone(),
            member: self.member.clone(),
            field: self.field.clone(),
            reason: self.reason.clone(),
            phase: self.phase.clone(),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub place: Where,
    /// At most so many entries. `list` shows 50 if not told otherwise, `export` all.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Show values as they are. They are personal data: mind where you paste them.
    #[arg(long)]
    pub reveal: bool,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    /// The entry's number.
    pub id: i64,
    #[command(flatten)]
    pub place: Where,
    /// Show values as they are. They are personal data: mind where you paste them.
    #[arg(long)]
    pub reveal: bool,
}

#[derive(Debug, clap::Args)]
pub struct SelectArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Every entry.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// Accept the present file of changes in the place of the one that was read, and read it from
    /// its beginning.
    ///
    /// For a file that was truncated or replaced, so that nobody knows where to go on. What was not
    /// read of the old file is given up; what was accepted of it is delivered as ever. A running
    /// sluice goes on within seconds. Does nothing as long as the source can be read on.
    Accept(AcceptArgs),
}

#[derive(Debug, clap::Args)]
pub struct AcceptArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show a component's contract version, its imports, and what it says of itself.
    Inspect(InspectArgs),
    /// Run another version of a plugin beside the one that works, on copies of its next batches, and show
    /// what it would send differently.
    ///
    /// Nothing is sent: answers are those that the version at work was given. It runs in this process,
    /// and the one at work does not wait for it.
    #[command(after_help = EXIT_CODES)]
    Shadow(ShadowArgs),
}

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
    /// How long to wait for the calls. What there is by then is written.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout_seconds: u32,
    /// List the captures of failed calls that the export keeps (`capture_failures`), and capture nothing.
    #[arg(long, conflicts_with_all = ["batches", "calls", "reveal", "output", "timeout_seconds"])]
    pub list: bool,
}

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The capture.
    pub file: PathBuf,
    /// The component's file.
    #[arg(long, value_name = "FILE")]
    pub plugin: PathBuf,
    /// For programs.
    #[arg(long)]
    pub json: bool,
    /// Show values as they are, if they are in the capture. They are personal data.
    #[arg(long)]
    pub reveal: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShadowArgs {
    /// The plugin's name.
    pub name: String,
    /// The component's file of the other version.
    pub file: PathBuf,
    /// How many batches of each export.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub batches: u32,
    /// Only this export, as `tenant/export`. May be given several times.
    #[arg(long = "export", value_name = "EXPORT")]
    pub exports: Vec<String>,
    #[command(flatten)]
    pub place: Where,
    /// How long to wait for the batches. What there is by then is tried.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout_seconds: u32,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

fn call_kind(text: &str) -> Result<CallKind, String> {
    let known = CallKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| "expected deliver, submit, poll or stage".to_owned())
}

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The component's file.
    pub file: PathBuf,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}
