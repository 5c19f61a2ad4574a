//! `sluice replay`: captured calls, made again.

use sluice::capture::{Show, compare, folder};
use sluice::plugin::{Limits, Plugin};
use sluice::registry::{Registry, RegistryError};

use super::args::ReplayArgs;
use super::exit::Exit;
use super::{difference, engine, logs, remove, select};

/// The plugin that was named: a file, or else a version that is kept.
async fn plugin(args: &ReplayArgs) -> Result<Plugin, RegistryError> {
    let (limits, load) = (Limits::default(), select::largest(&args.place));
    let engine = engine::alone(
        &args.place.trust,
        args.place.tracks.clone().unwrap_or_default(),
    );
    let kept = match (args.plugin.exists(), args.plugin.to_str()) {
        (false, Some(which)) if which.contains('@') || !which.contains('.') => which,
        _ => return Ok(engine.load(&args.plugin, &limits, &load).await?),
    };
    let registry = Registry::at(&args.place.data());
    let (sha256, _) = registry.find(kept)?;
    let file = registry.open_kept(&sha256, &load)?;
    Ok(engine.load_read(&file, &limits, &load).await?)
}

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
    let plugin = match plugin(&args).await {
        Ok(plugin) => plugin,
        Err(error) => return Ok(remove::refused(&error)),
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
