//! What can be typed behind `sluice plugin`.

use std::path::PathBuf;

use clap::Subcommand;
use sluice::plugin::Tracks;

use super::super::exit::EXIT_CODES;
use super::{Loading, Trust, Where};

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
    /// Roll a swap under way back, and withdraw one that has not begun; if there is none, go back to the version
    /// before the last swap.
    Rollback(DecideArgs),
    /// Let a channel point at a version: running exports that follow the channel are swapped to it, and
    /// all others run it from their next start on. To go back, pin the older one.
    Pin(PinArgs),
    /// Show what an export's plugin remembers: names and sizes, never the texts.
    State(StateArgs),
    /// Write a new plugin in Rust, which can be built, tested and changed.
    New(NewArgs),
    /// Look whether a component keeps the contract, in the real sandbox and against a scripted
    /// destination. Nothing is sent anywhere.
    ///
    /// Each rule that is broken is told with what was expected, what was seen, and how to mend it.
    /// The exit code is 0 if none is, and 11 if one is.
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
    /// Who goes first: a share of all batches like `10%`, or an export as `tenant/export`, with half of its
    /// batches, which is the most; may be given several times [default: the exports' `canary_percent`].
    #[arg(long, value_name = "SHARE|EXPORT")]
    pub canary: Vec<Canary>,
    /// Batches that the candidate has to get through, over all exports; those that come to nothing do not
    /// count; 0 swaps without a canary
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
