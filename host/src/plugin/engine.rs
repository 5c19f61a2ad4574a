//! Loading a file as a plugin: read, compiled, seen through, linked, and asked who it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::{Component, Linker};

use super::compile::{Compiler, Failed, Workshop, config};
use super::component::ComponentFile;
use super::error::LoadError;
use super::grant::Grant;
use super::guard::{Guarded, TICK};
use super::inspect::{Inspection, inspect};
use super::limits::{Limits, LoadLimits};
use super::session::{Code, Session};
use super::track::Tracks;
use super::turn::Slots;
use super::types::{Manifest, Settings};
use super::{CallError, contract, instance, wasi};
use crate::blocking::blocking;
use crate::capability::LogSink;
use crate::registry::SigningKey;

/// Compiles and runs plugins. Cheap to clone; one per process is enough.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    /// Who must have signed whatever is loaded; if empty, nobody.
    signed_by: Vec<SigningKey>,
    compiler: Arc<Compiler>,
    tracks: Tracks,
    /// By guest stack, which is the engine's and not an instance's.
    machines: Mutex<BTreeMap<usize, Machine>>,
    slots: Slots,
}

/// wasmtime's engine for one size of stack, with what all of its components are linked with.
#[derive(Clone)]
struct Machine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Guarded>>,
    _ticker: Arc<Ticker>,
}

/// A compiled component that fits the contract. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    code: Code,
    // Keeps the epoch going, and the code known to whoever loads it once more.
    _machine: Machine,
    _component: Arc<Component>,
    slots: Slots,
    /// What the component says of itself.
    pub manifest: Arc<Manifest>,
    /// Whether it has asked for requests to say so, which were denied.
    pub(crate) asked_to_describe: bool,
    /// What was seen on the file.
    pub inspection: Arc<Inspection>,
}

impl Engine {
    /// An engine that compiles in this process and keeps nothing.
    pub fn new() -> Self {
        Self::with(Workshop::default())
    }

    /// An engine with a workshop: where compiled code is kept, who compiles, and what.
    pub fn with(mut workshop: Workshop) -> Self {
        Self(Arc::new(Inner {
            signed_by: std::mem::take(&mut workshop.signed_by),
            tracks: workshop.tracks.clone(),
            compiler: Arc::new(Compiler::new(workshop)),
            machines: Mutex::default(),
            slots: Slots::of_this_machine(),
        }))
    }

    /// Loads a component from its file.
    ///
    /// # Errors
    /// Whatever makes the file no plugin of this host; the message names the file.
    pub async fn load(
        &self,
        path: &Path,
        limits: &Limits,
        load: &LoadLimits,
    ) -> Result<Plugin, LoadError> {
        let (file, most) = (path.to_owned(), *load);
        let file = blocking(move || ComponentFile::read(&file, &most)).await?;
        self.load_read(&file, limits, load).await
    }

    /// Loads a component that was read: compiles it if that was not done before, checks that it fits
    /// the contract, and asks who it is. Two with the same content share their code, never their memory.
    ///
    /// # Errors
    /// Whatever makes it no plugin of this host; the message names the file.
    pub async fn load_read(
        &self,
        file: &ComponentFile,
        limits: &Limits,
        load: &LoadLimits,
    ) -> Result<Plugin, LoadError> {
        // Here, where everything comes by that is ever run.
        if !self.0.signed_by.is_empty() {
            let (file, inner) = (file.clone(), self.0.clone());
            blocking(move || file.judge(&inner.signed_by, "`--signed-by`")).await?;
        }
        let (path, bytes) = (file.path(), file.bytes().clone());
        let sha256 = file.sha256().to_owned();
        let machine = self.machine(load.stack_bytes);
        let compiled = self
            .0
            .compiler
            .code(&machine.engine, &sha256, bytes.clone(), load);
        let component = compiled
            .await
            .map_err(|failed| LoadError::of(path, failed))?;
        let (track, seen) = inspect(
            &machine.engine,
            &component,
            &self.0.tracks,
            path,
            bytes.len() as u64,
            sha256,
        )?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch {
            path: path.to_owned(),
            version: seen.contract.clone(),
            reason: format!("{error:#}"),
        };
        let pre = machine
            .linker
            .instantiate_pre(&component)
            .map_err(mismatch)?;
        let code = Code {
            engine: machine.engine.clone(),
            pre: instance::Pre::new(track, pre).map_err(mismatch)?,
            stack_kib: (load.stack_bytes >> 10) as u64,
        };
        let mut grant = Grant::none(LogSink::new(&path.display().to_string(), limits));
        grant.turns.share(&self.0.slots);
        let usage = grant.usage.clone();
        let manifest = Session::describe(&code, grant, *limits, load)
            .await
            .map_err(|source| LoadError::Describe {
                path: path.to_owned(),
                source,
            })?;
        contract::manifest(&manifest).map_err(|reason| LoadError::Manifest {
            path: path.to_owned(),
            reason,
        })?;
        let asked_to_describe = usage.take().used.denied_to_functions() > 0;
        if asked_to_describe {
            // Said here, where there is no gate yet that would.
            let plugin = path.display();
            tracing::warn!(%plugin, "`describe` has asked for requests, which it may not make: denied");
        }
        Ok(Plugin {
            code,
            _machine: machine,
            _component: component,
            slots: self.0.slots.clone(),
            manifest: Arc::new(manifest),
            asked_to_describe,
            inspection: Arc::new(seen),
        })
    }

    fn machine(&self, stack_bytes: usize) -> Machine {
        let mut machines = self
            .0
            .machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let machine = machines.entry(stack_bytes);
        machine
            .or_insert_with(|| Machine::new(stack_bytes, &self.0.tracks))
            .clone()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    fn new(stack_bytes: usize, tracks: &Tracks) -> Self {
        let engine = wasmtime::Engine::new(&config(stack_bytes))
            .expect("the configuration holds for every size of stack");
        let mut linker = Linker::new(&engine);
        for track in tracks.iter() {
            instance::link(track, &mut linker).expect("the names are constant");
        }
        wasi::link(&mut linker).expect("the names are constant");
        let ticker = Ticker::start(&engine);
        Self {
            engine,
            linker: Arc::new(linker),
            _ticker: ticker,
        }
    }
}

impl Plugin {
    /// A fresh instance that works under these settings with this grant, good for one call.
    ///
    /// # Errors
    /// What the component found wrong with the settings, or why it did not answer.
    pub async fn open(
        &self,
        settings: &Settings,
        mut grant: Grant,
        limits: Limits,
    ) -> Result<Session, CallError> {
        grant.turns.share(&self.slots);
        Session::open(&self.code, settings, grant, limits).await
    }
}

impl LoadError {
    fn of(path: &Path, failed: Failed) -> Self {
        let path = path.to_owned();
        match failed {
            Failed::Limit {
                limit,
                value,
                found,
            } => Self::Limit {
                path,
                limit,
                value,
                found,
            },
            Failed::Damaged(reason) => Self::NotAComponent {
                path,
                found: format!("a damaged one: {reason}"),
            },
            Failed::GaveUp(ended) => Self::Compiler { path, ended },
            Failed::Start(source) => Self::NoCompiler { path, source },
        }
    }
}

/// The thread that advances the epoch; ends with the engine.
struct Ticker;

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> Arc<Self> {
        let ticker = Arc::new(Self);
        let (weak, engine): (Weak<Self>, _) = (Arc::downgrade(&ticker), engine.weak());
        std::thread::Builder::new()
            .name("sluice-epoch".to_owned())
            .spawn(move || {
                while let (Some(_), Some(engine)) = (weak.upgrade(), engine.upgrade()) {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            })
            .expect("a thread can be started at start-up");
        ticker
    }
}
