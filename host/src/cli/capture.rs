//! `sluice capture`: the next calls of a running export, as a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use comfy_table::{Table, presets};
use sluice::capture::{Capture, folder};
use sluice::deploy::directory;
use sluice::store::Store;

use super::args::CaptureArgs;
use super::exit::Exit;
use super::stores::{grouped, time};
use super::wanted::{Order, Wanted, unless_stopped};
use super::{logs, select};

pub async fn capture(args: CaptureArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let export = match select::export(&config, &args.export) {
        Ok(export) => export,
        Err(exit) => return Ok(exit),
    };
    let (name, directory) = (export.spec.name(), directory(&args.place.data(), export));
    if args.list {
        return list(&directory);
    }
    if !Store::exists(&directory) {
        eprintln!(
            "error: export {name} has no store in {} yet, so nothing runs it; start `sluice run` first",
            directory.display()
        );
        return Ok(Exit::Configuration);
    }
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.capture.ndjson", name.replace('/', "-"))));
    // Before anybody has waited for it.
    if let Err(why) = folder::may_write(&output, args.force) {
        eprintln!("error: {}: {why}", output.display());
        return Ok(Exit::Usage);
    }
    let wanted = Wanted {
        calls: args.batches,
        of: args.calls.clone(),
        reveal: args.reveal,
        patience: Duration::from_secs(u64::from(args.timeout_seconds)),
    };
    let order = Order::place(&name, &directory, &wanted)?;
    let capture = match unless_stopped(order.taken()).await? {
        Ok(capture) => capture,
        Err(why) => {
            eprintln!("error: {why}");
            return Ok(Exit::Unforeseen);
        }
    };
    let bytes = capture.write();
    folder::write(&output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
    told(&capture, &output, bytes.len());
    Ok(Exit::Fine)
}

fn told(capture: &Capture, output: &Path, bytes: usize) {
    let header = &capture.header;
    println!(
        "{}: {} of {} calls under {} {}, {} bytes, {}",
        output.display(),
        header.calls,
        header.wanted,
        header.plugin.name,
        header.plugin.version,
        grouped(bytes as u64),
        match header.masked {
            true => "masked",
            false => "with members' values as they are",
        }
    );
    for (index, call) in capture.calls.iter().enumerate() {
        let real = call.real.as_ref();
        let ended = real.map_or_else(|| call.outcome.summary(), |real| real.ended.clone());
        println!(
            "  {}  {}  {} rows, {} requests: {ended}",
            index + 1,
            call.input.kind().name(),
            call.input.rows().len(),
            call.digests.requests.len()
        );
        if real.is_some_and(|real| !real.alike) {
            println!(
                "     with masked values it goes another way: {}. `--reveal` captures it as it is",
                call.outcome.summary()
            );
        }
    }
    println!("Try `sluice replay {} --plugin FILE`.", output.display());
}

/// The captures of failed calls.
fn list(directory: &Path) -> anyhow::Result<Exit> {
    let kept = folder::kept(directory)?;
    if kept.is_empty() {
        println!(
            "No call that failed is kept. With `capture_failures = N` in the export's `tuning`, the last N are."
        );
        return Ok(Exit::Fine);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "since",
        "call",
        "rows",
        "ended",
        "plugin",
        "masked alike",
        "file",
    ]);
    for kept in kept.iter().rev() {
        let at = kept
            .at
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let at = time(i64::try_from(at.as_millis()).unwrap_or(i64::MAX));
        let file = kept.path.display().to_string();
        let row = match folder::read(&kept.path) {
            Ok(capture) => {
                let plugin = &capture.header.plugin;
                let call = capture.calls.first();
                let real = call.and_then(|call| call.real.clone());
                [
                    at,
                    call.map_or(String::new(), |call| call.input.kind().name().to_owned()),
                    call.map_or(0, |call| call.input.rows().len()).to_string(),
                    real.as_ref()
                        .map_or(String::new(), |real| real.ended.clone()),
                    format!("{} {}", plugin.name, plugin.version),
                    match real.is_some_and(|real| real.alike) {
                        true => "yes".to_owned(),
                        false => "no".to_owned(),
                    },
                    file,
                ]
            }
            Err(error) => {
                let none = String::new;
                [
                    at,
                    none(),
                    none(),
                    format!("cannot be read: {error}"),
                    none(),
                    none(),
                    file,
                ]
            }
        };
        table.add_row(row);
    }
    println!("{table}");
    Ok(Exit::Fine)
}
