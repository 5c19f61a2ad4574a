//! The command line: what was typed, turned into calls of the library and into text for people.

mod add;
mod admin;
pub mod args;
mod capture;
mod check;
mod conform;
mod control;
mod decide;
mod difference;
pub mod dumps;
mod engine;
mod exit;
mod explain;
mod follow;
mod inspect;
mod list;
mod logs;
mod mask;
mod new;
mod pin;
mod plugin_state;
mod preview;
mod progress;
mod quarantine;
mod receipt;
mod remove;
mod replay;
mod run;
mod runs;
mod select;
mod shadow;
mod source;
mod status;
mod stores;
mod swap;
mod usage;
mod versions;
mod wanted;

pub use exit::Exit;

use args::{Args, Command, PluginCommand, SourceCommand};
use decide::Decision;

/// Does what was asked.
///
/// # Errors
/// Whatever has no exit code of its own; the message says what failed.
pub async fn main(args: Args) -> anyhow::Result<Exit> {
    if !matches!(args.command, Command::Run(_)) {
        // `sluice status | head` ends like any other program whose reader has had enough.
        sigpipe::reset();
    }
    match args.command {
        Command::Check(args) => check::check(args).await,
        Command::Preview(args) => preview::preview(args).await,
        Command::Explain(args) => explain::explain(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Status(args) => status::status(&args),
        Command::Receipt(args) => receipt::receipt(&args),
        Command::Quarantine { command } => quarantine::quarantine(&command),
        Command::Capture(args) => capture::capture(args).await,
        Command::Replay(args) => replay::replay(args).await,
        Command::Pause(args) => control::control(&args, sluice::store::Command::Pause),
        Command::Resume(args) => control::control(&args, sluice::store::Command::Resume),
        Command::Source {
            command: SourceCommand::Accept(args),
        } => source::accept(&args),
        Command::Plugin { command } => match command {
            PluginCommand::Inspect(args) => inspect::inspect(args).await,
            PluginCommand::Add(args) => add::add(args).await,
            PluginCommand::List(args) => list::list(&args),
            PluginCommand::Remove(args) => remove::remove(&args),
            PluginCommand::New(args) => new::new(&args),
            PluginCommand::Test(args) => conform::test(args).await,
            PluginCommand::Pin(args) => pin::pin(&args),
            PluginCommand::Shadow(args) => shadow::shadow(args).await,
            PluginCommand::Swap(args) => swap::swap(args).await,
            PluginCommand::Promote(args) => Ok(decide::decide(&args, Decision::Promote)),
            PluginCommand::State(args) => plugin_state::state(&args),
            PluginCommand::Rollback(args) => Ok(decide::decide(&args, Decision::RollBack)),
        },
        // `main` has done it, before there were threads.
        Command::CompileComponent { .. } => Ok(Exit::Fine),
        Command::Completions { shell } => {
            let mut command = <Args as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "sluice", &mut std::io::stdout());
            Ok(Exit::Fine)
        }
    }
}
