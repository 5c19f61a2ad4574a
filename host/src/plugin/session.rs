//! One instance, good for one call: opened with the settings, called, thrown away.

use std::future::Future;
use std::time::Duration;

use tokio::time::error::Elapsed;
use wasmtime::Store;

use crate::capability::LogSink;

use super::contract;
use super::error::CallError;
use super::flat::Rows;
use super::grant::Grant;
use super::guard::{Exhausted, Guarded, Limits};
use super::track_0_1::{Destination, DestinationPre};
use super::types::{Delivery, File, ImportStatus, Manifest, Problem, Settings, Staged};

/// An instance that has accepted its settings.
pub struct Session {
    store: Store<Guarded>,
    instance: Destination,
    columns: usize,
}

impl Session {
    pub(super) async fn describe(
        engine: &wasmtime::Engine,
        pre: &DestinationPre<Guarded>,
    ) -> Result<Manifest, CallError> {
        let grant = Grant::none(LogSink::new("describe"));
        let mut session = Self::instantiate(engine, pre, grant, Limits::default(), 0).await?;
        let exporter = session.instance.sluice_sink_exporter();
        let call = exporter.call_describe(&mut session.store);
        let answer = bounded(Limits::default().wall, call).await;
        session.answer("describe", answer.map(|answer| answer.map(Ok)))
    }

    pub(super) async fn open(
        engine: &wasmtime::Engine,
        pre: &DestinationPre<Guarded>,
        settings: &Settings,
        grant: Grant,
        limits: Limits,
    ) -> Result<Self, CallError> {
        let columns = settings.columns.len();
        let mut session = Self::instantiate(engine, pre, grant, limits, columns).await?;
        let exporter = session.instance.sluice_sink_exporter();
        let call = exporter.call_open(&mut session.store, settings);
        let answer = bounded(limits.wall, call).await;
        session.answer("open", answer)?;
        Ok(session)
    }

    async fn instantiate(
        engine: &wasmtime::Engine,
        pre: &DestinationPre<Guarded>,
        grant: Grant,
        limits: Limits,
        columns: usize,
    ) -> Result<Self, CallError> {
        let mut store = Guarded::store(engine, grant, limits);
        let instance = bounded(limits.wall, pre.instantiate_async(&mut store)).await;
        match instance {
            Ok(Ok(instance)) => Ok(Self {
                store,
                instance,
                columns,
            }),
            Ok(Err(error)) => Err(why(&store, "instantiate", &error)),
            Err(_) => Err(CallError::Deadline {
                call: "instantiate",
                deadline: limits.wall,
            }),
        }
    }

    /// Proves endpoint and credential.
    pub async fn check(mut self) -> Result<(), CallError> {
        let exporter = self.instance.sluice_sink_exporter();
        let wall = self.store.data().limits.wall;
        let answer = bounded(wall, exporter.call_check(&mut self.store)).await;
        self.answer("check", answer)
    }

    /// Turns rows into bytes of the staged file. The answer keeps every promise of the contract.
    pub async fn stage(mut self, rows: &Rows, offset: u64) -> Result<Staged, CallError> {
        let batch = rows.batch(self.columns);
        let exporter = self.instance.sluice_sink_exporter();
        let wall = self.store.data().limits.wall;
        let answer = bounded(wall, exporter.call_stage(&mut self.store, batch, offset)).await;
        let staged = self.answer("stage", answer)?;
        contract::staged(&staged, rows.len()).map_err(|reason| CallError::Contract {
            call: "stage",
            reason,
        })?;
        Ok(staged)
    }

    /// Starts an import job; answers its token.
    pub async fn submit(mut self, file: &File) -> Result<String, CallError> {
        let exporter = self.instance.sluice_sink_exporter();
        let wall = self.store.data().limits.upload_wall;
        let answer = bounded(wall, exporter.call_submit(&mut self.store, file)).await;
        let token = self.answer("submit", answer)?;
        contract::token(&token).map_err(|reason| CallError::Contract {
            call: "submit",
            reason,
        })?;
        Ok(token)
    }

    /// Asks what became of an import job.
    pub async fn poll(mut self, token: &str) -> Result<ImportStatus, CallError> {
        let exporter = self.instance.sluice_sink_exporter();
        let wall = self.store.data().limits.wall;
        let answer = bounded(wall, exporter.call_poll(&mut self.store, token)).await;
        self.answer("poll", answer)
    }

    /// Sends changes. The answer keeps every promise of the contract.
    pub async fn deliver(mut self, rows: &Rows) -> Result<Delivery, CallError> {
        let batch = rows.batch(self.columns);
        let exporter = self.instance.sluice_sink_exporter();
        let wall = self.store.data().limits.wall;
        let answer = bounded(wall, exporter.call_deliver(&mut self.store, batch)).await;
        let delivery = self.answer("deliver", answer)?;
        contract::delivery(&delivery, rows.len()).map_err(|reason| CallError::Contract {
            call: "deliver",
            reason,
        })?;
        Ok(delivery)
    }

    fn answer<R>(
        &self,
        call: &'static str,
        answer: Result<wasmtime::Result<Result<R, Problem>>, Elapsed>,
    ) -> Result<R, CallError> {
        match answer {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(problem))) => Err(CallError::Problem(problem)),
            Ok(Err(error)) => Err(why(&self.store, call, &error)),
            Err(_) => {
                let limits = self.store.data().limits;
                let deadline = if call == "submit" {
                    limits.upload_wall
                } else {
                    limits.wall
                };
                Err(CallError::Deadline { call, deadline })
            }
        }
    }
}

async fn bounded<R>(wall: Duration, call: impl Future<Output = R>) -> Result<R, Elapsed> {
    tokio::time::timeout(wall, call).await
}

/// The reason behind a trap. Only the trap's own words: what wasmtime adds, a guest backtrace, is
/// for the plugin's author and goes no further than the debug log.
fn why(store: &Store<Guarded>, call: &'static str, error: &wasmtime::Error) -> CallError {
    let state = store.data();
    match state.exhausted {
        Some(Exhausted::Cpu) => CallError::Cpu {
            call,
            budget: state.limits.cpu,
        },
        Some(Exhausted::Memory { wanted }) => CallError::Memory {
            call,
            wanted,
            limit: state.limits.memory_bytes,
        },
        None => {
            tracing::debug!(call, "plugin trapped: {error:#}");
            let reason = match error.downcast_ref::<wasmtime::Trap>() {
                Some(trap) => trap.to_string(),
                None => error.root_cause().to_string(),
            };
            CallError::Trap { call, reason }
        }
    }
}
