//! `sluice pause` and `sluice resume`: what an operator wants of one export.

use sluice::store::Command;

use super::args::ControlArgs;
use super::exit::Exit;
use super::stores::{now_ms, with_store};

pub fn control(args: &ControlArgs, command: Command) -> anyhow::Result<Exit> {
    with_store(&args.place, &args.export, |export, store| {
        store.command(command, now_ms())?;
        let what = match command {
            Command::Pause => "will rest: changes are accepted, nothing is delivered",
            Command::Resume => "will go on",
        };
        println!(
            "{} {what}. If it runs, within a second; else when it is started.",
            export.spec.name()
        );
        Ok(Exit::Fine)
    })
}
