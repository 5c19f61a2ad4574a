//! One instance, good for one call: opened with the settings, called, thrown away.

use std::future::Future;

use tokio::time::Instant;
use tokio::time::error::Elapsed;
use wasmtime::Store;

use crate::capability::state::Access;
use crate::usage::cpu;

use super::contract;
use super::error::{CallError, Reached};
use super::flat::Rows;
use super::grant::Grant;
use super::guard::{Allowed, Guarded};
use super::instance::{Instance, Pre};
use super::limits::{Limits, LoadLimits};
use super::tidy;
use super::types::{Delivery, File, ImportStatus, Manifest, Problem, Settings, Staged};
use super::wasi;

/// A component's code, ready to be instantiated.
#[derive(Clone)]
pub(super) struct Code {
    pub engine: wasmtime::Engine,
    pub pre: Pre,
    /// The guest stack that the engine gives.
    pub stack_kib: u64,
}

/// An instance that has accepted its settings.
pub struct Session {
    store: Store<Guarded>,
    instance: Instance,
    columns: usize,
    /// When it was made: what a call may take counts from here, so that whoever takes long to start or to
    /// open has the less for what it is called for.
    began: Instant,
}

/// Makes a call of an instance within so much time since it was made; answers the result with who is to blame.
macro_rules! call {
    ($session:ident, $name:literal, $wall:expr, $method:ident ( $($argument:expr),* )) => {{
        let deadline = $session.began + $wall;
        let watch = $session.store.data().watch.clone();
        $session.store.data_mut().allowed = allowed($name);
        let turn = $session.store.data().turn.clone();
        let call = $session.instance.$method(&mut $session.store, $($argument),*);
        let answer = bounded(deadline, cpu::guest(&watch, turn.during(call))).await;
        $session.answer($name, answer)
    }};
}

impl Session {
    /// Asks a component who it is. It may do nothing but compute and answer, and not even the
    /// answer may be large.
    pub(super) async fn describe(
        code: &Code,
        grant: Grant,
        limits: Limits,
        load: &LoadLimits,
    ) -> Result<Manifest, CallError> {
        let limits = Limits {
            lift_bytes: load.manifest_bytes,
            ..limits
        };
        let mut session = Self::instantiate(code, grant, limits, 0).await?;
        let described = call!(session, "describe", limits.wall, describe());
        match described {
            Ok(manifest) => Ok(manifest),
            Err(CallError::Limit(reached)) if reached.limit == "lift_mib" => {
                Err(CallError::Limit(Reached {
                    limit: "manifest_kib",
                    value: (load.manifest_bytes >> 10) as u64,
                    found: "what it says of itself is larger".to_owned(),
                    ..reached
                }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn open(
        code: &Code,
        settings: &Settings,
        grant: Grant,
        limits: Limits,
    ) -> Result<Self, CallError> {
        let columns = settings.columns.len();
        let mut session = Self::instantiate(code, grant, limits, columns).await?;
        let opened: Result<(), Problem> = call!(session, "open", limits.wall, open(settings))?;
        opened.map_err(said)?;
        Ok(session)
    }

    async fn instantiate(
        code: &Code,
        grant: Grant,
        limits: Limits,
        columns: usize,
    ) -> Result<Self, CallError> {
        grant.usage.call();
        let began = Instant::now();
        let mut store = Guarded::store(&code.engine, grant, limits);
        store.data_mut().stack_kib = code.stack_kib;
        let watch = store.data().watch.clone();
        let turn = store.data().turn.clone();
        let instance = turn.during(code.pre.instantiate(&mut store));
        match bounded(began + limits.wall, cpu::guest(&watch, instance)).await {
            Ok(Ok(instance)) => Ok(Self {
                store,
                instance,
                columns,
                began,
            }),
            Ok(Err(error)) => Err(why(&store, "instantiate", &error)),
            Err(_) => Err(late(&limits, "instantiate")),
        }
    }

    /// Proves endpoint and credential.
    pub async fn check(mut self) -> Result<(), CallError> {
        let wall = self.limits().wall;
        call!(self, "check", wall, check())?.map_err(said)
    }

    /// Turns rows into bytes of the staged file. The answer keeps every promise of the contract.
    pub async fn stage(mut self, rows: &Rows, offset: u64) -> Result<Staged, CallError> {
        let batch = rows.batch(self.columns);
        let wall = self.limits().wall;
        let staged = call!(self, "stage", wall, stage(batch, offset))?;
        let mut staged = staged.map_err(said)?;
        kept("stage", contract::staged(&staged, rows.len()))?;
        tidy::staged(&mut staged);
        Ok(staged)
    }

    /// Starts an import job; answers its token.
    pub async fn submit(mut self, file: &File) -> Result<String, CallError> {
        let wall = self.limits().upload_wall;
        let token = call!(self, "submit", wall, submit(file))?;
        let token = token.map_err(said)?;
        kept("submit", contract::token(&token))?;
        Ok(token)
    }

    /// Asks what became of an import job.
    pub async fn poll(mut self, token: &str) -> Result<ImportStatus, CallError> {
        let wall = self.limits().wall;
        let status = call!(self, "poll", wall, poll(token))?;
        let mut status = status.map_err(said)?;
        tidy::status(&mut status);
        Ok(status)
    }

    /// Sends changes. The answer keeps every promise of the contract.
    pub async fn deliver(mut self, rows: &Rows) -> Result<Delivery, CallError> {
        let batch = rows.batch(self.columns);
        let wall = self.limits().wall;
        let began = Instant::now();
        let delivery = call!(self, "deliver", wall, deliver(batch));
        self.store.data().grant.usage.delivered_in(began.elapsed());
        let mut delivery = delivery?.map_err(said)?;
        kept("deliver", contract::delivery(&delivery, rows.len()))?;
        tidy::delivery(&mut delivery);
        Ok(delivery)
    }

    fn limits(&self) -> &Limits {
        &self.store.data().limits
    }

    fn answer<R>(
        &self,
        call: &'static str,
        answer: Result<wasmtime::Result<R>, Elapsed>,
    ) -> Result<R, CallError> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(why(&self.store, call, &error)),
            Err(_) => Err(late(self.limits(), call)),
        }
    }
}

/// What a function of the contract may use. Those that only compute must answer the same whatever is
/// remembered, and whatever the destination would say.
fn allowed(call: &'static str) -> Allowed {
    let (state, requests) = match call {
        "check" => (Access::Read, true),
        "submit" | "poll" | "deliver" => (Access::Change, true),
        _ => (Access::None, false),
    };
    Allowed {
        call,
        state,
        requests,
    }
}

async fn bounded<R>(deadline: Instant, call: impl Future<Output = R>) -> Result<R, Elapsed> {
    tokio::time::timeout_at(deadline, call).await
}

fn said(problem: Problem) -> CallError {
    CallError::Problem(tidy::problem(problem))
}

fn kept(call: &'static str, promise: Result<(), String>) -> Result<(), CallError> {
    promise.map_err(|reason| CallError::Contract { call, reason })
}

fn late(limits: &Limits, call: &'static str) -> CallError {
    let limit = match call {
        "submit" => "upload_wall_seconds",
        _ => "wall_seconds",
    };
    let found = "it has not ended, its start and the host's work for it included".to_owned();
    CallError::Limit(limits.reached(call, limit, found))
}

/// The reason behind a trap. Only the trap's own words: what wasmtime adds, a guest backtrace, is
/// for the plugin's author and goes no further than the debug log.
fn why(store: &Store<Guarded>, call: &'static str, error: &wasmtime::Error) -> CallError {
    let state = store.data();
    tracing::debug!(call, "plugin trapped: {error:#}");
    let limit = |limit, found: &str| {
        let reached = state.limits.reached(call, limit, found.to_owned());
        CallError::Limit(reached)
    };
    let root = error.root_cause().to_string();
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::StackOverflow) => CallError::Limit(Reached {
            call,
            limit: "stack_kib",
            value: state.stack_kib,
            found: "it recursed too deeply".to_owned(),
        }),
        // The types of these errors are wasmtime's own; tests notice other words.
        None if root.contains("hostcalls has been exhausted") => {
            limit("lift_mib", "it handed over more in one piece")
        }
        None if root.contains("resource limit exceeded") => limit("parts", &root),
        None if root.contains("handle limit exceeded") => {
            limit("resources", "it holds more handles")
        }
        None if wasi::overfull(error) => limit("resources", "it has the host hold more"),
        // What says by itself which limit it was comes first: memory that was refused before may be none
        // of the reasons. What does not is most likely for that.
        trap => match (state.reached(call), trap) {
            (Some(reached), _) => CallError::Limit(reached),
            (None, Some(trap)) => CallError::Trap {
                call,
                reason: trap.to_string(),
            },
            (None, None) => {
                let reason = wasi::exited(error).unwrap_or(root);
                CallError::Trap { call, reason }
            }
        },
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
