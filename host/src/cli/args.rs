//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sluice::admin::Place;
use sluice::capture::CallKind;
use sluice::plugin::Tracks;
use sluice::registry::SigningKey;
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
    /// Keep a version of a plugin, so that exports can name it.
    ///
    /// The component is loaded as `inspect` does it, and kept under the name and version that it
    /// gives itself. A version never changes: another file that says it is the same one is refused.
    Add(AddArgs),
    /// List the versions that are kept, and who uses them.
    List(VersionsArgs),
    /// Take a version away that nobody uses, with the channels that point at it.
    Remove(RemoveArgs),
    /// Swap a plugin for another version of it while exports run.
    ///
    /// The component is loaded and put before every export that runs the plugin; then the running sluice
    /// gives it a share of the batches, compares it with the old version, and promotes it or rolls it
    /// back by itself. Whatever it fails on, the old version sends: nothing is lost either way.
    #[command(after_help = EXIT_CODES)]
    Swap(SwapArgs),
    /// Promote the candidate of a swap under way, whatever its batches say.
    Promote(DecideArgs),
    /// Roll a swap under way back; if none is, go back to the version before the last swap.
    Rollback(DecideArgs),
    /// Let a channel point at a version: what follows the channel runs it from its next start on.
    /// To go back, pin the older one.
    Pin(PinArgs),
    /// Show what an export's plugin remembers: names and sizes, never the texts.
    State(StateArgs),
    /// Write a new plugin in Rust, which can be built, tested and changed.
    New(NewArgs),
    /// Look whether a component keeps the contract, in the real sandbox and against a scripted
    /// destination. Nothing is sent anywhere.
    ///
    /// Each rule that is broken is told with what was expected, what was seen, and how to mend it.
    /// The exit code is 0 if none is, and 1 if one is.
    #[command(after_help = EXIT_CODES)]
    Test(TestArgs),
    /// Run another version of a plugin beside the one that works, on copies of its next batches, and show
    /// what it would send differently.
    ///
    /// Nothing is sent: answers are those that the version at work was given. It runs in this process,
    /// and the one at work does not wait for it.
    #[command(after_help = EXIT_CODES)]
    Shadow(ShadowArgs),
}

#[derive(Debug, clap::Args)]
pub struct SwapArgs {
    /// The plugin's name, as its manifest has it.
    pub name: String,
    /// The component's file.
    pub file: PathBuf,
    /// Who goes first: a share of all batches like `10%`, or an export as `tenant/export`, with all of its
    /// batches; may be given several times [default: the exports' `canary_percent`].
    #[arg(long, value_name = "SHARE|EXPORT")]
    pub canary: Vec<Canary>,
    /// Batches that the candidate has to get through, over all exports; 0 swaps without a canary
    /// [default: the exports' `canary_batches`].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub batches: Option<u32>,
    /// Agree to the routes that it asks for and the old version does not have.
    #[arg(long)]
    pub consent_routes: bool,
    /// Ask each destination first whether it accepts the credential under the new version.
    #[arg(long)]
    pub check: bool,
    /// Do not wait for the end.
    #[arg(long)]
    pub detach: bool,
    #[command(flatten)]
    pub place: Loading,
}

/// Who goes first.
#[derive(Clone, Debug)]
pub enum Canary {
    /// So much of all batches.
    Percent(u8),
    /// This export.
    Export(String),
}

impl std::str::FromStr for Canary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(share) = text.strip_suffix('%') {
            return match share.parse() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err("a share is a whole number from 1% to 100%".to_owned()),
            };
        }
        match text.contains('/') {
            true => Ok(Self::Export(text.to_owned())),
            false => Err("write a share like `10%`, or an export as `tenant/export`".to_owned()),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    /// The plugin's name, as its manifest has it.
    pub name: String,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The component's file.
    pub file: PathBuf,
    /// Its signature, made by minisign [default: FILE.minisig, if there is one].
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Let this channel point at it.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    #[command(flatten)]
    pub place: Loading,
}

#[derive(Debug, clap::Args)]
pub struct VersionsArgs {
    #[command(flatten)]
    pub place: Where,
    /// For programs.
    #[arg(long)]
    pub json: bool,
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
    pub place: Loading,
    /// How long to wait for the batches. What there is by then is tried.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout_seconds: u32,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// Which: NAME@VERSION, or at least eight digits of its SHA-256.
    #[arg(value_name = "VERSION")]
    pub which: String,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, clap::Args)]
pub struct PinArgs {
    /// The plugin.
    pub name: String,
    /// The version.
    #[arg(value_name = "VERSION")]
    pub which: String,
    /// The channel. It is made if there is none of that name.
    #[arg(long, value_name = "NAME", default_value = "stable")]
    pub channel: String,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// The component's file.
    pub file: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    /// The plugin's options as a JSON object, in the place of its defaults.
    #[arg(long, value_name = "JSON")]
    pub options: Option<String>,
    /// A TOML file with options, fields to map and answers of the destination, for what cannot be
    /// guessed: docs/write-a-destination.md shows one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    pub json: bool,
    /// Other random rows than the usual ones.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Its name: lower-case letters, digits and `-`. The folder is called so, too, and must be new.
    pub name: String,
    /// Where to make the folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

fn call_kind(text: &str) -> Result<CallKind, String> {
    let known = CallKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| "expected deliver, submit, poll or stage".to_owned())
}

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The component's file.
    pub file: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    /// Take only plugins of these tracks of the contract, like `0.1`: as a sluice that has no others
    /// [default: all].
    #[arg(long, value_name = "TRACKS", env = "SLUICE_TRACKS")]
    pub tracks: Option<Tracks>,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct StateArgs {
    /// The export, as `tenant/export`, or `export` if there is only one of that name.
    pub export: String,
    #[command(flatten)]
    pub place: Where,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}
