//! `sluice quarantine`: rows that could not be sent, for a person to decide.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde_json::{Value, json};
use sluice::config::ExportConfig;
use sluice::store::{QuarantineRow, Replay, Store};

use super::args::{ListArgs, QuarantineCommand, SelectArgs, ShowArgs};
use super::exit::Exit;
use super::mask::{mask, shown};
use super::stores::{now_ms, time, with_store};

/// Entries that `list` shows if not told otherwise.
const LIST: u32 = 50;

pub fn quarantine(command: &QuarantineCommand) -> anyhow::Result<Exit> {
    match command {
        QuarantineCommand::List(args) => {
            with_store(&args.place, &args.export, |_, store| list(args, store))
        }
        QuarantineCommand::Show(args) => {
            with_store(&args.place, &args.export, |_, store| show(args, store))
        }
        QuarantineCommand::Export(args) => with_store(&args.place, &args.export, |_, store| {
            let entries = store.quarantine(&args.filter.filter(), args.limit)?;
            if args.json {
                print_all(&entries, args.reveal)?;
            } else {
                for entry in &entries {
                    println!("{}", json_of(entry, args.reveal));
                }
            }
            Ok(Exit::Fine)
        }),
        QuarantineCommand::Replay(args) | QuarantineCommand::Drop(args) if !args.says_which() => {
            eprintln!(
                "error: say which entries are meant: --id, --member, --field, --reason, --phase, or --all"
            );
            Ok(Exit::Usage)
        }
        QuarantineCommand::Replay(args) => {
            with_store(&args.place, &args.export, |export, store| {
                replay(args, export, store)
            })
        }
        QuarantineCommand::Drop(args) => with_store(&args.place, &args.export, |_, store| {
            let mut dropped = 0;
            for entry in store.quarantine(&args.filter.filter(), None)? {
                if store.drop_quarantined(entry.id)? {
                    println!("{}  {}: dropped", entry.id, entry.position);
                    dropped += entry.rows;
                }
            }
            println!("{dropped} dropped.");
            Ok(Exit::Fine)
        }),
    }
}

fn list(args: &ListArgs, store: &Store) -> anyhow::Result<Exit> {
    let limit = args.limit.unwrap_or(LIST);
    // One more, to see whether there are more.
    let mut entries = store.quarantine(&args.filter.filter(), Some(limit.saturating_add(1)))?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    if args.json {
        print_all(&entries, args.reveal)?;
        return Ok(Exit::Fine);
    }
    if entries.is_empty() {
        println!("Nothing is in quarantine that fits.");
        return Ok(Exit::Fine);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "id", "since", "position", "member", "field", "reason", "plugin",
    ]);
    for entry in &entries {
        table.add_row([
            entry.id.to_string(),
            time(entry.at_ms),
            entry.position.clone(),
            member(entry, args.reveal).unwrap_or_default(),
            entry.field.clone().unwrap_or_default(),
            entry.reason.clone(),
            format!("{} {}", entry.plugin, entry.plugin_version),
        ]);
    }
    println!("{table}");
    if more {
        println!("There are more: --limit N shows them.");
    }
    Ok(Exit::Fine)
}

fn show(args: &ShowArgs, store: &Store) -> anyhow::Result<Exit> {
    let filter = sluice::store::QuarantineFilter {
        ids: vec![args.id],
        ..Default::default()
    };
    let Some(entry) = store.quarantine(&filter, None)?.pop() else {
        eprintln!("error: there is no entry {} in quarantine", args.id);
        return Ok(Exit::Configuration);
    };
    println!("{:#}", json_of(&entry, args.reveal));
    if !args.reveal {
        // Beside what a program reads.
        eprintln!("Values are masked: letters as x, digits as 0. --reveal shows them.");
    }
    Ok(Exit::Fine)
}

fn replay(args: &SelectArgs, export: &ExportConfig, store: &Store) -> anyhow::Result<Exit> {
    let together = export.spec.together();
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in store.quarantine(&args.filter.filter(), None)? {
        let (end, what) = match store.replay(entry.id, &together, now_ms())? {
            None => continue,
            Some(Replay::Waits) => ("wait", "waits for delivery, behind what waits already"),
            Some(Replay::Superseded) => (
                "superseded",
                "superseded: a newer change of the member was delivered or waits",
            ),
            Some(Replay::NoMember) => (
                "stay",
                "stays: nobody can tell whose it is. Correct it at the source, then drop it here",
            ),
        };
        *ends.entry(end).or_default() += 1;
        println!("{}  {}: {what}", entry.id, entry.position);
    }
    let ends: Vec<_> = ends.iter().map(|(end, n)| format!("{n} {end}")).collect();
    match ends.is_empty() {
        true => println!("Nothing is in quarantine that fits."),
        false => println!("{}.", ends.join(", ")),
    }
    println!("What waits is sent while `sluice run` works; what is refused again comes back here.");
    Ok(Exit::Fine)
}

/// One array with all of them.
fn print_all(entries: &[QuarantineRow], reveal: bool) -> anyhow::Result<()> {
    let all: Vec<_> = entries.iter().map(|entry| json_of(entry, reveal)).collect();
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}

fn member(entry: &QuarantineRow, reveal: bool) -> Option<String> {
    let member = entry.member.as_ref()?;
    Some(if reveal { member.clone() } else { mask(member) })
}

fn json_of(entry: &QuarantineRow, reveal: bool) -> Value {
    let payload = entry.payload.as_ref().map(|payload| {
        let text = shown(payload, reveal);
        serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text))
    });
    json!({
        "id": entry.id,
        "at": time(entry.at_ms),
        "phase": entry.phase,
        "position": entry.position,
        "member": member(entry, reveal),
        "kind": entry.kind,
        "field": entry.field,
        "reason": entry.reason,
        "payload": payload,
        "plugin": entry.plugin,
        "plugin_version": entry.plugin_version,
        "rows": entry.rows,
        "overtaken": entry.overtaken,
    })
}
