//! `sluice plugin shadow`: another version of a plugin on copies of live batches.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use sluice::capture::{CallDifference, CallKind, Capture, Replayed, Show, compare};
use sluice::deploy::{Demand, Deployed, deploy};
use sluice::plugin::Plugin;
use sluice::store::Store;
use sluice::usage::Used;

use super::args::ShadowArgs;
use super::exit::Exit;
use super::wanted::{Order, Wanted, unless_stopped};
use super::{difference, engine, logs, remove, select};

/// What came of one export's batches.
#[derive(Serialize)]
struct Shadowed {
    export: String,
    /// The version that works.
    then: String,
    /// The other one.
    now: String,
    batches: usize,
    same: usize,
    differ: usize,
    denied: usize,
    crashed: usize,
    rejected_then: usize,
    rejected_now: usize,
    /// Of the version at work, if it is still the one in its file.
    used_then: Option<Costs>,
    used_now: Costs,
    differences: Vec<CallDifference>,
}

/// What all batches of an export took, made again here.
#[derive(Clone, Copy, Default, Serialize)]
struct Costs {
    cpu_us: u64,
    peak_memory_kib: u64,
}

pub async fn shadow(args: ShadowArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let mut chosen = BTreeSet::new();
    for name in &args.exports {
        match select::export(&config, name) {
            Ok(export) => chosen.insert(export.spec.name()),
            Err(exit) => return Ok(exit),
        };
    }
    let engine = engine::looking(&args.place);
    let data = args.place.data();
    let deployment = deploy(&engine, &config, &data, Demand::Preview, |export| {
        chosen.is_empty() || chosen.contains(&export.spec.name())
    });
    let deployment = deployment.await;
    let wrong = select::show_wrong(&deployment);
    let all: Vec<_> = deployment
        .deployed
        .iter()
        .filter(|deployed| deployed.plugin.manifest.name == args.name)
        .filter(|deployed| Store::exists(&deployed.directory))
        .collect();
    if all.is_empty() {
        eprintln!(
            "error: no export of plugin `{}` has run here yet",
            args.name
        );
        return Ok(match wrong {
            Exit::Fine => Exit::Configuration,
            wrong => wrong,
        });
    }
    // Under the rules of each export, as if it ran there: its limits, and who must have signed it.
    let mut plugins = vec![];
    for deployed in &all {
        match deployed.supply.load_file(&engine, &args.file).await {
            Ok(plugin) => plugins.push(plugin),
            Err(error) => return Ok(remove::refused(&error)),
        }
    }
    if let Some(other) = plugins
        .iter()
        .find(|plugin| plugin.manifest.name != args.name)
    {
        eprintln!(
            "error: {} is plugin `{}`, not `{}`",
            args.file.display(),
            other.manifest.name,
            args.name
        );
        return Ok(Exit::Plugin);
    }
    unless_stopped(try_all(&args, &plugins, &all)).await
}

/// Tries the version that each export has loaded.
async fn try_all(args: &ShadowArgs, plugins: &[Plugin], all: &[&Deployed]) -> anyhow::Result<Exit> {
    let wanted = Wanted {
        calls: args.batches,
        of: vec![CallKind::Deliver],
        // Seen by this process only, and removed before anything else is done.
        reveal: true,
        patience: Duration::from_secs(u64::from(args.timeout_seconds)),
    };
    let mut orders = vec![];
    for deployed in all {
        orders.push(Order::place(
            &deployed.spec.name(),
            &deployed.directory,
            &wanted,
        )?);
    }
    let captures = join_all(orders.into_iter().map(Order::taken)).await;
    let mut shadowed = vec![];
    for ((deployed, plugin), capture) in all.iter().zip(plugins).zip(captures) {
        match capture? {
            Ok(capture) => shadowed.push(compared(&capture, deployed, plugin).await?),
            Err(why) => eprintln!("error: {why}"),
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shadowed)?);
    } else {
        shadowed.iter().for_each(print);
        if !shadowed.is_empty() {
            println!("Nothing was sent. Values are masked: letters as x, digits as 0.");
        }
    }
    Ok(if shadowed.iter().any(|one| one.differ > 0) {
        Exit::Differs
    } else if shadowed.len() < all.len() {
        // Why was told.
        Exit::Unforeseen
    } else {
        Exit::Fine
    })
}

async fn compared(
    capture: &Capture,
    deployed: &Deployed,
    plugin: &Plugin,
) -> anyhow::Result<Shadowed> {
    let (header, rig) = (&capture.header, capture.header.rig()?);
    let old = Some(&deployed.plugin).filter(|old| old.inspection.sha256 == header.plugin.sha256);
    let mut differences = vec![];
    let (mut used_then, mut used_now) = (old.map(|_| Costs::default()), Costs::default());
    let (mut crashed, mut rejected_then, mut rejected_now) = (0, 0, 0);
    for (index, call) in capture.calls.iter().enumerate() {
        let replayed = rig.replay(plugin, call).await;
        used_now.add(&replayed.used);
        crashed += usize::from(replayed.outcome.is_crash() && !call.outcome.is_crash());
        rejected_then += call.outcome.rejected().len();
        rejected_now += replayed.outcome.rejected().len();
        differences.push(compare(header, index + 1, call, &replayed, Show::Masked));
        if let (Some(old), Some(used_then)) = (old, &mut used_then) {
            let Replayed { used, .. } = rig.replay(old, call).await;
            used_then.add(&used);
        }
    }
    let batches = differences.len();
    differences.retain(|call| !call.is_none());
    let denied = differences.iter().flat_map(|call| &call.requests);
    Ok(Shadowed {
        export: header.export.clone(),
        then: format!("{} {}", header.plugin.name, header.plugin.version),
        now: format!("{} {}", plugin.manifest.name, plugin.manifest.version),
        batches,
        same: batches - differences.len(),
        differ: differences.len(),
        denied: denied.filter(|request| request.denied().is_some()).count(),
        crashed,
        rejected_then,
        rejected_now,
        used_then,
        used_now,
        differences,
    })
}

fn print(shadowed: &Shadowed) {
    print!("{}", difference::text(&shadowed.differences));
    let Shadowed {
        export,
        then,
        now,
        batches,
        same,
        differ,
        denied,
        crashed,
        rejected_then,
        rejected_now,
        used_then,
        used_now,
        ..
    } = shadowed;
    println!("{export}: {batches} batches of {then} made again under {now}");
    println!("  {same} the same, {differ} differ");
    println!("  requests that the gate would deny now: {denied}");
    println!("  calls that crash now: {crashed}");
    println!("  rows rejected: {rejected_then} then, {rejected_now} now");
    let costs = |costs: &Costs| {
        format!(
            "{} ms of CPU, {} KiB of memory",
            costs.cpu_us.div_ceil(1000),
            costs.peak_memory_kib
        )
    };
    match used_then {
        Some(used_then) => println!("  took: {} then, {} now", costs(used_then), costs(used_now)),
        None => println!("  took: {} now", costs(used_now)),
    }
}

impl Costs {
    fn add(&mut self, used: &Used) {
        self.cpu_us += used.guest_cpu_ns / 1_000;
        self.peak_memory_kib = self.peak_memory_kib.max(used.peak_memory_bytes >> 10);
    }
}
