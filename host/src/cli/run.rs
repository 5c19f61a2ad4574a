//! `sluice run`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use indicatif::MultiProgress;
use sluice::admin::Board;
use sluice::config::{Config, ExportConfig};
use sluice::deploy::{Demand, Watch, deploy_tenant};
use sluice::export::{Ended, Export, ExportError, Reason, Rollouts, StartError};
use sluice::plugin::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::exit::Exit;
use super::{admin, engine, logs, progress, select, status};

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
    let done = CancellationToken::new();
    let engine = engine::keeping(&args.place);
    let mut started = Started::new(&engine, bars, board.clone(), done.clone());
    let mut signals = Signals::listen()?;
    let look = Arc::new(Notify::new());
    let stopped = tokio::select! {
        () = start_all(&args, &engine, &config, &chosen, &mut started) => None,
        signal = signals.stop(&look) => Some(signal),
    };
    if stopped.is_none() && started.exports.is_empty() {
        if started.wrong == Exit::Fine {
            eprintln!("error: the configuration has no exports");
            return Ok(Exit::Configuration);
        }
        return Ok(started.wrong);
    }
    let (wrong, exports) = (started.wrong, started.exports);
    board.started();
    let _watching = AbortOnDrop(tokio::spawn(started.watch.run(look.clone())));
    let signalled = |signal| {
        tracing::info!(signal, "stopping: batches under way are finished");
        None
    };
    let reached = match stopped {
        Some(signal) => signalled(signal),
        None => tokio::select! {
            worst = reach(&exports, goal) => Some(worst),
            signal = signals.stop(&look) => signalled(signal),
        },
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
    for drawing in started.drawing {
        drawing.await?;
    }
    let mut quarantined = false;
    if matches!(goal, Goal::Live | Goal::Idle) {
        let all = config.tenants.iter().flat_map(|tenant| &tenant.exports);
        let ran: Vec<_> = all
            .filter(|export| chosen(&export.spec.tenant, &export.spec.id))
            .collect();
        let reports = status::reports(&args.place, &config, &ran);
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
        None => wrong,
        Some(_) if wrong != Exit::Fine => wrong,
        Some(Exit::Fine) if quarantined => Exit::Quarantined,
        Some(worst) => worst,
    })
}

/// What was started so far, and what could not be.
struct Started {
    exports: Vec<Export>,
    wrong: Exit,
    watch: Watch,
    rollouts: Rollouts,
    board: Arc<Board>,
    bars: Option<MultiProgress>,
    drawing: Vec<JoinHandle<()>>,
    done: CancellationToken,
}

impl Started {
    fn new(
        engine: &Engine,
        bars: Option<MultiProgress>,
        board: Arc<Board>,
        done: CancellationToken,
    ) -> Self {
        Self {
            exports: vec![],
            wrong: Exit::Fine,
            watch: Watch::new(engine),
            rollouts: Rollouts::default(),
            board,
            bars,
            drawing: vec![],
            done,
        }
    }

    fn add(&mut self, export: Export) {
        if let Some(bars) = &self.bars {
            let line = vec![(export.name().to_owned(), export.meters())];
            let draw = progress::draw(bars.clone(), line, self.done.clone());
            self.drawing.push(tokio::spawn(draw));
        }
        self.board.add(export.observer());
        self.exports.push(export);
    }

    /// The first thing that is wrong gives the exit code.
    fn wrong(&mut self, exit: Exit) {
        if self.wrong == Exit::Fine {
            self.wrong = exit;
        }
    }
}

/// Starts each tenant's exports as soon as they are ready: nobody waits for another's plugin, and what
/// cannot be started is told and harms no other.
async fn start_all(
    args: &RunArgs,
    engine: &Engine,
    config: &Config,
    chosen: &impl Fn(&str, &str) -> bool,
    started: &mut Started,
) {
    let data = args.place.data();
    for tenant in &config.left_out {
        started.board.leave_out(tenant);
        started.wrong(Exit::Configuration);
    }
    let wanted = |export: &ExportConfig| chosen(&export.spec.tenant, &export.spec.id);
    let mut ready: FuturesUnordered<_> = config
        .tenants
        .iter()
        .map(async |tenant| {
            let deployment = deploy_tenant(engine, tenant, &data, Demand::Run, &wanted);
            (tenant, deployment.await)
        })
        .collect();
    while let Some((tenant, deployment)) = ready.next().await {
        started.wrong(select::show_wrong(&deployment));
        for export in tenant.exports.iter().filter(|export| wanted(export)) {
            let name = export.spec.name();
            let ready = &deployment.deployed;
            if ready.iter().all(|deployed| deployed.spec.name() != name) {
                started.board.leave_out(&name);
            }
        }
        for deployed in deployment.deployed {
            let name = deployed.spec.name();
            let watched = Watch::of(&deployed);
            match deployed.start(engine, &started.rollouts).await {
                Ok(export) => {
                    started.watch.add(watched);
                    started.add(export);
                }
                Err(error) => {
                    eprintln!("error: export {name} cannot be started: {error}");
                    started.board.leave_out(&name);
                    started.wrong(match error {
                        StartError::NoVersion(_) => Exit::Plugin,
                        StartError::Store(_) => Exit::Unforeseen,
                    });
                }
            }
        }
    }
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

/// What asks the program to stop or to look; heard from the moment that it is listened for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Work that ends with whoever wanted it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        Ok(Self {
            terminate,
            interrupt,
            hangup,
        })
    }

    /// Waits until it is asked to stop. SIGHUP asks it to look at the plugins' files.
    async fn stop(&mut self, look: &Notify) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    tracing::info!("SIGHUP: looking at what the configuration names of plugins");
                    look.notify_one();
                }
            }
        }
    }
}
