//! `sluice plugin swap`, `promote` and `rollback`.

use std::path::Path;

use sluice::capability::LogSink;
use sluice::deploy::{Demand, Deployed, Fit, deploy};
use sluice::export::{Plan, Version, Versions, Wanted, swap_id};
use sluice::plugin::{Grant, Plugin};
use sluice::registry::short;
use sluice::store::Store;

use super::args::{Canary, DecideArgs, SwapArgs};
use super::exit::Exit;
use super::stores::now_ms;
use super::{engine, follow, logs, select};

/// An export that is to be swapped.
struct Candidate {
    deployed: Deployed,
    versions: Versions,
    plugin: Plugin,
    fit: Fit,
    /// Routes that the candidate has and the active version has not, and the other way round.
    routes: (Vec<String>, Vec<String>),
}

pub async fn swap(args: SwapArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let (engine, data) = (engine::keeping(&args.place), args.place.data());
    let demand = match args.check {
        true => Demand::Run,
        false => Demand::Preview,
    };
    let deployment = deploy(&engine, &config, &data, demand, |_| true).await;
    select::show_wrong(&deployment);
    let (mut candidates, mut fine, mut others) = (vec![], true, vec![]);
    for deployed in deployment.deployed {
        let Some(versions) = versions(&deployed.directory)? else {
            eprintln!(
                "{}: has not run yet; it starts with what its configuration names",
                deployed.spec.name()
            );
            continue;
        };
        if versions.active.name != args.name {
            others.push(versions.active.name);
            continue;
        }
        match candidate(&engine, deployed, versions, &args).await {
            Ok(candidate) => candidates.push(candidate),
            Err(why) => {
                fine = false;
                eprintln!("error: {why}");
            }
        }
    }
    if !fine {
        eprintln!("nothing was swapped");
        return Ok(Exit::Plugin);
    }
    let Some(first) = candidates.first() else {
        return Ok(nobody(&args.name, others));
    };
    let to = first.fit.version.clone();
    for leader in args.leaders() {
        let known = |one: &Candidate| one.deployed.spec.name() == *leader;
        if !candidates.iter().any(known) {
            eprintln!("error: no export `{leader}` runs {}", args.name);
            return Ok(Exit::Configuration);
        }
    }
    show(&candidates, &to);
    let new_routes = candidates.iter().any(|one| !one.routes.0.is_empty());
    if new_routes && !args.consent_routes {
        eprintln!(
            "error: {to} asks for routes that the version before it does not have. If you agree to them say so \
             with --consent-routes; nothing was swapped"
        );
        return Ok(Exit::Swap);
    }
    if args.check && !checked(&candidates).await {
        eprintln!("nothing was swapped");
        return Ok(Exit::Refused);
    }
    if let Err(error) = first.deployed.supply.keep(&first.plugin) {
        eprintln!("error: {to} cannot be kept: {error}; nothing was swapped");
        return Ok(Exit::Unforeseen);
    }
    let now = now_ms();
    let id = swap_id(&to.sha256, now);
    let mut stores = vec![];
    for one in &candidates {
        let tuning = &one.deployed.spec.tuning;
        let wanted = Wanted::Begin {
            id: id.clone(),
            to: to.clone(),
            configured: None,
            plan: Plan {
                percent: args.percent().unwrap_or(tuning.canary_percent),
                batches: args.batches.unwrap_or(tuning.canary_batches),
                leaders: args.leaders().cloned().collect(),
            },
            routes: one.routes.0.clone(),
        };
        Store::open_beside(&one.deployed.directory)?.want_version(&wanted, now)?;
        stores.push((one.deployed.spec.name(), one.deployed.directory.clone()));
    }
    follow::follow(&stores, &id, args.detach).await
}

pub async fn decide(args: DecideArgs, wanted: Wanted) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let (mut told, mut concerned, mut others) = (0, 0, vec![]);
    for export in config.tenants.iter().flat_map(|tenant| &tenant.exports) {
        let directory = sluice::deploy::directory(&args.place.data(), export);
        let Some(versions) = versions(&directory)? else {
            continue;
        };
        let name = export.spec.name();
        if versions.active.name != args.name {
            others.push(versions.active.name);
            continue;
        }
        concerned += 1;
        let what = match (&versions.swap, &versions.before, &wanted) {
            (Some(swap), _, Wanted::Promote) => format!("{} is promoted", swap.to),
            (Some(swap), _, _) => format!("{} is rolled back", swap.to),
            (None, _, Wanted::Promote) => continue,
            (None, Some(before), _) => format!("goes back to {before}"),
            (None, _, _) => continue,
        };
        Store::open_beside(&directory)?.want_version(&wanted, now_ms())?;
        println!("{name}: {what}");
        told += 1;
    }
    if told == 0 {
        if concerned == 0 {
            return Ok(nobody(&args.name, others));
        }
        let undone = match wanted {
            Wanted::Promote => "",
            _ => ", and no version worked before the one that works now",
        };
        eprintln!("error: no swap of {} is under way{undone}", args.name);
        return Ok(Exit::Swap);
    }
    Ok(Exit::Fine)
}

fn nobody(name: &str, mut others: Vec<String>) -> Exit {
    others.sort();
    others.dedup();
    let others = match others.as_slice() {
        [] => "no export has run yet".to_owned(),
        names => format!("exports run: {}", names.join(", ")),
    };
    eprintln!("error: no export runs a plugin named `{name}`; {others}");
    Exit::Configuration
}

fn versions(directory: &Path) -> anyhow::Result<Option<Versions>> {
    match Store::exists(directory) {
        true => Ok(Store::open_read_only(directory)?.versions()?),
        false => Ok(None),
    }
}

/// Loads the file under an export's rules, and looks whether it fits the export.
async fn candidate(
    engine: &sluice::plugin::Engine,
    deployed: Deployed,
    versions: Versions,
    args: &SwapArgs,
) -> Result<Candidate, String> {
    let name = deployed.spec.name();
    let plugin = deployed
        .supply
        .load_file(engine, &args.file)
        .await
        .map_err(|error| format!("{name}: {error}"))?;
    if plugin.manifest.name != args.name {
        return Err(format!(
            "{} is the plugin `{}`, not `{}`",
            args.file.display(),
            plugin.manifest.name,
            args.name
        ));
    }
    let fit = deployed
        .fit(&plugin)
        .await
        .map_err(|error| format!("{name}: {} does not fit: {error}", args.file.display()))?;
    let new = fit.way.policy.granted();
    let old = granted(engine, &deployed, &versions).await;
    let without = |some: &[String], others: &[String]| -> Vec<String> {
        let left = some.iter().filter(|route| !others.contains(route));
        left.cloned().collect()
    };
    let routes = (without(&new, &old), without(&old, &new));
    Ok(Candidate {
        deployed,
        versions,
        plugin,
        fit,
        routes,
    })
}

/// The routes of the version that works now. Those of one that cannot be loaded are those that it had.
async fn granted(
    engine: &sluice::plugin::Engine,
    deployed: &Deployed,
    versions: &Versions,
) -> Vec<String> {
    let active = &versions.active;
    if deployed.plugin.inspection.sha256 == active.sha256 {
        return deployed.policy.granted();
    }
    let Ok(plugin) = deployed.supply.load_kept(engine, &active.sha256).await else {
        return versions.routes.clone();
    };
    match deployed.fit(&plugin).await {
        Ok(fit) => fit.way.policy.granted(),
        Err(_) => versions.routes.clone(),
    }
}

fn show(candidates: &[Candidate], to: &Version) {
    println!("to       {to}, contract {}", to.contract);
    for one in candidates {
        let active = &one.versions.active;
        let same = match active.sha256 == to.sha256 {
            true => " (it is active already)",
            false => "",
        };
        println!(
            "export   {}: from {} ({}){same}; settings accepted",
            one.deployed.spec.name(),
            active.version,
            short(&active.sha256)
        );
        let (new, gone) = &one.routes;
        new.iter().for_each(|route| println!("         + {route}"));
        gone.iter().for_each(|route| println!("         - {route}"));
    }
    if candidates.iter().all(|one| one.routes.0.is_empty()) {
        println!("routes   nothing new");
    }
}

/// Asks each destination, under the new version, whether it accepts the credential.
async fn checked(candidates: &[Candidate]) -> bool {
    let mut fine = true;
    for one in candidates {
        let spec = &one.deployed.spec;
        let state = match one.deployed.memory() {
            Ok(state) => state,
            Err(error) => {
                fine = false;
                eprintln!("error: {}: {error}", spec.name());
                continue;
            }
        };
        let grant = Grant {
            http: one.fit.way.http.clone(),
            state,
            ..Grant::none(LogSink::new(&spec.name(), &spec.limits))
        };
        let asked = async {
            one.deployed
                .open_with(&one.plugin, grant)
                .await?
                .check()
                .await
        };
        match asked.await {
            Ok(()) => println!("checked  {}: endpoint and credential", spec.name()),
            Err(error) => {
                fine = false;
                eprintln!("error: {}: {error}", spec.name());
            }
        }
    }
    fine
}

impl SwapArgs {
    fn percent(&self) -> Option<u8> {
        self.canary.iter().find_map(|canary| match canary {
            Canary::Percent(percent) => Some(*percent),
            Canary::Export(_) => None,
        })
    }

    fn leaders(&self) -> impl Iterator<Item = &String> {
        self.canary.iter().filter_map(|canary| match canary {
            Canary::Export(name) => Some(name),
            Canary::Percent(_) => None,
        })
    }
}
