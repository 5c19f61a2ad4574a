//! `sluice run`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use futures_util::future::join_all;
use indicatif::MultiProgress;
use sluice::admin::Board;
use sluice::deploy::{Demand, DeployError, deploy};
use sluice::export::{Ended, Export, ExportError, Reason};
use sluice::plugin::Engine;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::exit::Exit;
use super::{admin, logs, progress, select, status};

#[derive(Clone, Copy)]
enum Goal {
    Forever,
    Live,
    Idle,
}

pub async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let goal = match (args.until_live, args.until_idle) {
        (true, _) => Goal::Live,
        (_, true) => Goal::Idle,
        _ => Goal::Forever,
    };
    let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
    logs::start(&args.log, args.log_json, bars.as_ref())?;
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let mut wanted = BTreeSet::new();
    for name in &args.exports {
        match select::export(&config, name) {
            Ok(export) => wanted.insert((export.spec.tenant.clone(), export.spec.id.clone())),
            Err(exit) => return Ok(exit),
        };
    }
    let chosen = |tenant: &str, id: &str| {
        wanted.is_empty() || wanted.contains(&(tenant.to_owned(), id.to_owned()))
    };
    let board = Arc::new(Board::default());
    let admin = admin::listen(&args.admin).await?;
    let _serving = admin.map(|admin| admin.serve(board.clone()));
    let (engine, data) = (Engine::new(), args.place.data());
    let deployed = deploy(&engine, &config, &data, Demand::Run, |export| {
        chosen(&export.spec.tenant, &export.spec.id)
    });
    let deployed = match deployed.await {
        Ok(deployed) => deployed,
        Err(error) => {
            let (DeployError::Mistakes(mistakes) | DeployError::Plugins(mistakes)) = &error;
            select::show(&mistakes.0);
            return Ok(Exit::from(&error));
        }
    };
    let exports: Vec<Export> = deployed
        .into_iter()
        .map(|deployed| {
            let name = deployed.spec.name();
            // The error tells its cause itself; as a chain it would be told twice.
            let start = deployed.start();
            start.map_err(|error| anyhow!("export {name} cannot be started: {error}"))
        })
        .collect::<Result<_, _>>()?;
    if exports.is_empty() {
        eprintln!("error: the configuration has no exports");
        return Ok(Exit::Configuration);
    }
    board.started(exports.iter().map(Export::observer).collect());
    let done = CancellationToken::new();
    let drawing = bars.map(|bars| {
        let meters = exports
            .iter()
            .map(|export| (export.name().to_owned(), export.meters()));
        tokio::spawn(progress::draw(bars, meters.collect(), done.clone()))
    });
    let reached = tokio::select! {
        worst = reach(&exports, goal) => Some(worst),
        signal = stop_signal() => {
            tracing::info!(signal = signal?, "stopping: batches under way are finished");
            None
        }
    };
    board.stopping();
    for export in &exports {
        export.request_stop();
    }
    let ends = join_all(
        exports
            .into_iter()
            .map(|export| async { (export.name().to_owned(), export.ended().await) }),
    );
    let ends = ends.await;
    done.cancel();
    if let Some(drawing) = drawing {
        drawing.await?;
    }
    let mut quarantined = false;
    if matches!(goal, Goal::Live | Goal::Idle) {
        let all = config.tenants.iter().flat_map(|tenant| &tenant.exports);
        let ran: Vec<_> = all
            .filter(|export| chosen(&export.spec.tenant, &export.spec.id))
            .collect();
        let reports = status::reports(&args.place, &ran)?;
        status::print(&reports);
        quarantined = reports.iter().any(status::Report::quarantined);
    }
    for (name, end) in ends {
        if let Ended::Failed(error) = end {
            // The error tells its cause itself; as a chain it would be told twice.
            bail!("export {name} has ended: {error}");
        }
    }
    Ok(match reached {
        // Asked to stop, it has done what it was asked.
        None => Exit::Fine,
        Some(Exit::Fine) if quarantined => Exit::Quarantined,
        Some(worst) => worst,
    })
}

/// Waits until every export is where it should be, or cannot get there.
async fn reach(exports: &[Export], goal: Goal) -> Exit {
    let ends = join_all(exports.iter().map(|export| async move {
        let reached = match goal {
            Goal::Forever => export.until_ended().await,
            Goal::Live => export.until_live().await,
            Goal::Idle => export.until_idle().await,
        };
        match reached {
            Ok(()) | Err(ExportError::Stopped { .. }) => Exit::Fine,
            Err(ExportError::Parked {
                reason: Reason::Unauthorized(_),
                ..
            }) => Exit::Refused,
            Err(_) => Exit::Parked,
        }
    }));
    ends.await.into_iter().max().unwrap_or(Exit::Fine)
}

async fn stop_signal() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
