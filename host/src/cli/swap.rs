//! `sluice plugin swap`.

use std::collections::BTreeMap;

use sluice::capability::LogSink;
use sluice::config::{Config, ExportConfig};
use sluice::deploy::{Demand, Deployed, Fit, LeftOut, deploy};
use sluice::export::{Plan, Version, Versions, Wanted, swap_id};
use sluice::plugin::{Engine, Grant, Plugin};
use sluice::registry::{Registry, short};
use sluice::store::Store;

use super::args::{Canary, SwapArgs};
use super::exit::Exit;
use super::follow::Following;
use super::runs::{self, Found};
use super::stores::now_ms;
use super::{engine, logs, remove, select};

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
    let mut found = runs::find(&config, &args.place, &args.name);
    for name in &found.unborn {
        eprintln!("{name}: has not run yet; it starts with what its configuration names");
    }
    if found.runs.is_empty() {
        return Ok(found.nobody(&args.name));
    }
    let engine = engine::keeping(&args.place);
    let prepared = prepared(&engine, &config, &args, &mut found).await;
    let (mut candidates, mut fine) = (vec![], true);
    for (deployed, versions) in prepared {
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
        eprintln!("nothing was swapped");
        return Ok(found.at_best);
    };
    let to = first.fit.version.clone();
    for leader in args.leaders() {
        let known = |one: &Candidate| one.deployed.spec.name() == *leader;
        if !candidates.iter().any(known) {
            eprintln!(
                "error: `{leader}` cannot go first: no such export runs {}, or it is left out; nothing was swapped",
                args.name
            );
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
        let exit = remove::refused(&error);
        eprintln!("{to} cannot be kept; nothing was swapped");
        return Ok(exit);
    }
    let now = now_ms();
    let id = swap_id(&to.sha256, now);
    let (mut stores, following) = (vec![], Following::new(&args.name, &id)?);
    // Who removes versions looks into the stores for who needs them.
    let held = Registry::at(&args.place.data()).hold(&to.sha256, || {
        for one in &candidates {
            let name = one.deployed.spec.name();
            let wanted = one.wanted(&id, &to, &args);
            let told = Store::open_beside(&one.deployed.directory)
                .and_then(|store| store.want_version(&wanted, now));
            match told {
                Ok(()) => stores.push((name, one.deployed.directory.clone())),
                Err(error) => {
                    let why = format!("its store cannot be written: {error}");
                    found.leave_out(&name, &why, Exit::Unforeseen);
                }
            }
        }
    });
    if let Err(error) = held {
        found.at_best = remove::refused(&error);
    }
    if stores.is_empty() {
        eprintln!("nothing was swapped");
        return Ok(found.at_best);
    }
    Ok(match following.until_ended(&stores, args.detach).await {
        Exit::Fine => found.at_best,
        ended => ended,
    })
}

/// Prepares the exports that run the plugin. One that cannot be is left out, and says why.
async fn prepared(
    engine: &Engine,
    config: &Config,
    args: &SwapArgs,
    found: &mut Found,
) -> Vec<(Deployed, Versions)> {
    let demand = match args.check {
        true => Demand::Run,
        false => Demand::Preview,
    };
    let mut runs: BTreeMap<String, Versions> = std::mem::take(&mut found.runs)
        .into_iter()
        .map(|one| (one.name, one.versions))
        .collect();
    let data = args.place.data();
    let wanted = |export: &ExportConfig| runs.contains_key(&export.spec.name());
    let deployment = deploy(engine, config, &data, demand, wanted).await;
    let ends = match select::show_wrong(&deployment) {
        Exit::Fine => Exit::Configuration,
        wrong => wrong,
    };
    let mut prepared = vec![];
    for deployed in deployment.deployed {
        if let Some(versions) = runs.remove(&deployed.spec.name()) {
            prepared.push((deployed, versions));
        }
    }
    for name in runs.keys() {
        let of_it = |one: &&LeftOut| one.export == *name;
        let why = deployment.left_out.iter().find(of_it);
        let why = why.map_or("its configuration leads nowhere", |one| one.why.as_str());
        let why = format!("it runs the plugin, and cannot be prepared: {why}");
        found.leave_out(name, &why, ends);
    }
    prepared
}

/// Loads the file under an export's rules, and looks whether it fits the export.
async fn candidate(
    engine: &Engine,
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
async fn granted(engine: &Engine, deployed: &Deployed, versions: &Versions) -> Vec<String> {
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

impl Candidate {
    /// What its store is told.
    fn wanted(&self, id: &str, to: &Version, args: &SwapArgs) -> Wanted {
        let tuning = &self.deployed.spec.tuning;
        Wanted::Begin {
            id: id.to_owned(),
            to: to.clone(),
            configured: None,
            plan: Plan {
                percent: args.percent().unwrap_or(tuning.canary_percent),
                batches: args.batches.unwrap_or(tuning.canary_batches),
                leaders: args.leaders().cloned().collect(),
            },
            routes: self.routes.0.clone(),
        }
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
