//! `sluice replay`: captured calls, made again.

use sluice::capture::{Show, compare, folder};
use sluice::plugin::Tracks;
use sluice::plugin::{Limits, LoadLimits};

use super::args::ReplayArgs;
use super::exit::Exit;
use super::{difference, engine, logs};

pub async fn replay(args: ReplayArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let read = folder::read(&args.file).and_then(|capture| {
        let rig = capture.header.rig()?;
        Ok((capture, rig))
    });
    let (capture, rig) = match read {
        Ok(read) => read,
        Err(error) => {
            eprintln!("error: capture {}: {error}", args.file.display());
            return Ok(Exit::Configuration);
        }
    };
    let (limits, load) = (Limits::default(), LoadLimits::default());
    let plugin = match engine::alone(&args.trust, Tracks::default())
        .load(&args.plugin, &limits, &load)
        .await
    {
        Ok(plugin) => plugin,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Plugin);
        }
    };
    let header = &capture.header;
    let show = match header.masked || args.reveal {
        true => Show::All,
        false => Show::Masked,
    };
    let mut calls = vec![];
    for (index, call) in capture.calls.iter().enumerate() {
        let replayed = rig.replay(&plugin, call).await;
        calls.push(compare(header, index + 1, call, &replayed, show));
    }
    let differ = calls.iter().filter(|call| !call.is_none()).count();
    let (then, now) = (&header.plugin, &plugin.manifest);
    if args.json {
        let all = serde_json::json!({
            "export": header.export,
            "captured": then,
            "replayed": {
                "name": now.name, "version": now.version,
                "sha256": plugin.inspection.sha256, "contract": plugin.inspection.contract,
            },
            "calls": calls.len(),
            "differ": differ,
            "differences": calls.iter().filter(|call| !call.is_none()).collect::<Vec<_>>(),
        });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print!("{}", difference::text(&calls));
        println!(
            "{} calls of {} under {} {} made again under {} {}: {} the same, {differ} differ. Nothing was sent.",
            calls.len(),
            header.export,
            then.name,
            then.version,
            now.name,
            now.version,
            calls.len() - differ
        );
        if show == Show::Masked && differ > 0 {
            println!("Values are masked: letters as x, digits as 0. --reveal shows them.");
        }
    }
    Ok(match differ {
        0 => Exit::Fine,
        _ => Exit::Differs,
    })
}
