//! What can be typed.

mod capture;
mod plugin;
mod quarantine;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sluice::admin::Place;
use sluice::plugin::Tracks;
use sluice::registry::SigningKey;

use super::exit::EXIT_CODES;
pub use capture::{CaptureArgs, ReplayArgs};
pub use plugin::*;
pub use quarantine::{ListArgs, QuarantineCommand, SelectArgs, ShowArgs};

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
    /// Look at plugins, try them, and keep and swap their versions.
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
    /// As for `plugin inspect`, where it is shown: most commands load no plugin.
    #[arg(long, value_name = "TRACKS", env = "SLUICE_TRACKS", hide = true)]
    pub tracks: Option<Tracks>,
}

/// For commands that load plugins.
#[derive(Debug, clap::Args)]
pub struct Loading {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pub trust: Trust,
}

impl std::ops::Deref for Loading {
    type Target = Where;

    fn deref(&self) -> &Where {
        &self.place
    }
}

/// Whose plugins may be loaded.
#[derive(Debug, clap::Args)]
pub struct Trust {
    /// Load only plugins that are signed with this minisign key, whatever the configuration says.
    /// May be given several times: one of them is enough.
    #[arg(
        long,
        value_name = "KEY",
        env = "SLUICE_SIGNED_BY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub signed_by: Vec<SigningKey>,
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
    pub place: Loading,
    /// Do not ask the destinations.
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Loading,
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
    pub place: Loading,
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
    pub place: Loading,
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
