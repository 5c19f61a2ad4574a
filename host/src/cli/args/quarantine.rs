//! What can be typed behind `sluice quarantine`.

use clap::Subcommand;
use sluice::store::QuarantineFilter;

use super::Where;

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
    /// Write entries to standard output, one JSON object a line; with --json one array.
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
    /// For programs: one JSON array.
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

impl SelectArgs {
    /// Whether it was said which entries are meant.
    pub fn says_which(&self) -> bool {
        self.all || self.filter.filter() != QuarantineFilter::default()
    }
}
