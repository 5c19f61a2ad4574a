//! `sluice check`.

use sluice::capability::LogSink;
use sluice::deploy::{Demand, DeployError, Deployed, deploy};
use sluice::plugin::{Engine, Grant};

use super::args::CheckArgs;
use super::exit::Exit;
use super::{logs, select};

pub async fn check(args: CheckArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let engine = Engine::new();
    let deployed = deploy(&engine, &config, &args.place.data(), Demand::Run, |_| true).await;
    let exports = match deployed {
        Ok(exports) => exports,
        Err(error) => {
            let (DeployError::Mistakes(mistakes) | DeployError::Plugins(mistakes)) = &error;
            select::show(&mistakes.0);
            return Ok(Exit::from(&error));
        }
    };
    let mut worst = Exit::Fine;
    for export in &exports {
        let name = export.spec.name();
        let plugin = &export.plugin.manifest;
        let what = format!(
            "{name} → {} ({} {})",
            export.policy.endpoint(),
            plugin.name,
            plugin.version
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

async fn ask(export: &Deployed) -> Result<(), sluice::plugin::CallError> {
    let grant = Grant {
        http: export.http(),
        ..Grant::none(LogSink::new(&export.spec.name(), &export.spec.limits))
    };
    export.open(grant).await?.check().await
}
