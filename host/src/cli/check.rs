//! `sluice check`.

use sluice::capability::LogSink;
use sluice::deploy::{Demand, Deployed, deploy};
use sluice::plugin::Grant;
use sluice::registry::short;

use super::args::CheckArgs;
use super::exit::Exit;
use super::{engine, logs, select};

pub async fn check(args: CheckArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let (engine, data) = (engine::looking(&args.place), args.place.data());
    let deployment = deploy(&engine, &config, &data, Demand::Run, |_| true).await;
    let wrong = select::show_wrong(&deployment);
    if wrong != Exit::Fine || !config.left_out.is_empty() {
        return Ok(match config.left_out.is_empty() {
            true => wrong,
            false => Exit::Configuration,
        });
    }
    let mut worst = Exit::Fine;
    for export in &deployment.deployed {
        let name = export.spec.name();
        let plugin = &export.plugin.manifest;
        let what = format!(
            "{name} → {} ({} {}, SHA-256 {})",
            export.policy.endpoint(),
            plugin.name,
            plugin.version,
            short(&export.plugin.inspection.sha256)
        );
        if args.offline {
            println!("ok  {what}: configuration (the destination was not asked)");
            continue;
        }
        match ask(export).await {
            Ok(()) => println!("ok  {what}: configuration, endpoint and credential"),
            Err(error) => {
                eprintln!("error: {what}: {error}");
                worst = worst.max(Exit::Refused);
            }
        }
    }
    Ok(worst)
}

async fn ask(export: &Deployed) -> anyhow::Result<()> {
    let grant = Grant {
        http: export.http(),
        state: export.memory()?,
        ..Grant::none(LogSink::new(&export.spec.name(), &export.spec.limits))
    };
    Ok(export.open(grant).await?.check().await?)
}
