//! From a component's bytes to code: once for each content, whoever asks, and one at a time.
//!
//! `child` compiles in a process of its own, `cache` keeps what came of it, `trusted` is where code
//! is taken at its word.

mod cache;
mod child;
mod trusted;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use self::cache::Cache;
use self::trusted::Trusted;
use super::limits::LoadLimits;
use super::tidy;
use super::track::Tracks;
use crate::blocking::blocking;
use crate::registry::SigningKey;

pub use child::{Program, compile_from_stdin};

/// A file that somebody has begun to write for longer than this will never be whole.
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

/// How plugins are compiled, and which are taken.
#[derive(Clone, Debug, Default)]
pub struct Workshop {
    /// The folder of compiled code. Without one, each process compiles anew.
    pub cache: Option<PathBuf>,
    /// The program that compiles. Without one it is done in this process, where neither
    /// `compile_memory_mib` nor a crash of the compiler can be held back.
    pub compiler: Option<Program>,
    /// Who must have signed whatever is loaded, beside what else is asked for; if empty, nobody.
    pub signed_by: Vec<SigningKey>,
    /// The tracks of the contract that are served.
    pub tracks: Tracks,
}

/// Why there is no code.
#[derive(Debug)]
pub(super) enum Failed {
    /// It would have taken more than it was granted.
    Limit {
        limit: &'static str,
        value: u64,
        found: String,
    },
    /// The bytes are no component; the reason.
    Damaged(String),
    /// The compiler crashed; how it ended.
    GaveUp(String),
    /// The process could not be started.
    Start(std::io::Error),
}

/// Whether code of this length may be run.
fn fits(bytes: usize, load: &LoadLimits) -> Result<(), Failed> {
    match bytes as u64 <= load.code_bytes {
        true => Ok(()),
        false => Err(Failed::Limit {
            limit: "code_mib",
            value: load.code_bytes >> 20,
            found: "the code that is made of it is larger".to_owned(),
        }),
    }
}

/// What every component of this host is compiled and run under.
pub(super) fn config(stack_bytes: usize) -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        // The host's own frames get two mebibytes beside the guest's.
        .async_stack_size(stack_bytes + (2 << 20))
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .concurrency_support(false);
    config
}

/// Hands out code.
pub(super) struct Compiler {
    workshop: Workshop,
    cache: Option<Cache>,
    /// Code that somebody uses and how long it is, by content and stack.
    known: Mutex<HashMap<Key, (Weak<Component>, usize)>>,
    /// One compilation at a time, first come, first served: nobody's takes longer than its limit.
    slot: Semaphore,
}

type Key = (String, usize);

impl Compiler {
    /// A compiler under a workshop. A cache that cannot be used is told, and done without.
    pub fn new(workshop: Workshop) -> Self {
        let cache = workshop.cache.as_ref().and_then(|folder| {
            Cache::open(folder)
                .inspect_err(|error| {
                    // Where no data directory can be made, the stores have more to say about it.
                    if folder.exists() {
                        let folder = folder.display();
                        tracing::warn!(%folder, "compiled code is not kept: {error}");
                    }
                })
                .ok()
        });
        Self {
            workshop,
            cache,
            known: Mutex::default(),
            slot: Semaphore::new(1),
        }
    }

    /// The code of a component with this SHA-256.
    pub async fn code(
        self: &Arc<Self>,
        engine: &wasmtime::Engine,
        sha256: &str,
        component: Arc<Vec<u8>>,
        load: &LoadLimits,
    ) -> Result<Arc<Component>, Failed> {
        let key = (sha256.to_owned(), load.stack_bytes);
        if let Some((code, bytes)) = self.find(engine, &key).await {
            return fits(bytes, load).map(|()| code);
        }
        // Nobody closes it.
        let _slot = self.slot.acquire().await.ok();
        // Whoever had the slot may have compiled this very one.
        if let Some((code, bytes)) = self.find(engine, &key).await {
            return fits(bytes, load).map(|()| code);
        }
        let code = Trusted::fresh(self.compile(&component, load).await?);
        tracing::debug!(sha256, bytes = code.bytes().len(), "compiled");
        let (shared, engine) = (self.clone(), engine.clone());
        let (bytes, cache_bytes) = (code.bytes().len(), load.cache_bytes);
        blocking(move || {
            if let Some(cache) = &shared.cache
                && let Err(error) = cache.write(&name(&engine, &key), &code, cache_bytes)
            {
                tracing::warn!("compiled code cannot be kept: {error}");
            }
            let loaded = code.load(&engine);
            loaded
                .map(|component| shared.keep(key, component, bytes).0)
                .map_err(|error| Failed::GaveUp(format!("{error:#}")))
        })
        .await
    }

    /// The code, if somebody uses it or it lies on disk.
    async fn find(
        self: &Arc<Self>,
        engine: &wasmtime::Engine,
        key: &Key,
    ) -> Option<(Arc<Component>, usize)> {
        let known = self.known().get(key).and_then(used);
        if known.is_some() {
            return known;
        }
        let (shared, engine, key) = (self.clone(), engine.clone(), key.clone());
        blocking(move || {
            let code = shared.cache.as_ref()?.read(&name(&engine, &key))?;
            // Another engine's, which its name should have told: compiled anew.
            let (component, bytes) = (code.load(&engine).ok()?, code.bytes().len());
            Some(shared.keep(key, component, bytes))
        })
        .await
    }

    fn keep(&self, key: Key, component: Component, bytes: usize) -> (Arc<Component>, usize) {
        let mut known = self.known();
        known.retain(|_, (code, _)| code.strong_count() > 0);
        // Two may have read it from disk at once: one of them is enough.
        if let Some(there) = known.get(&key).and_then(used) {
            return there;
        }
        let code = Arc::new(component);
        known.insert(key, (Arc::downgrade(&code), bytes));
        (code, bytes)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Key, (Weak<Component>, usize)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn compile(
        &self,
        component: &Arc<Vec<u8>>,
        load: &LoadLimits,
    ) -> Result<Vec<u8>, Failed> {
        if let Some(program) = &self.workshop.compiler {
            return child::compile(program, component, load).await;
        }
        let (component, stack) = (component.clone(), load.stack_bytes);
        let work = tokio::task::spawn_blocking(move || {
            let engine = wasmtime::Engine::new(&config(stack))?;
            engine.precompile_component(&component)
        });
        match tokio::time::timeout(load.compile, work).await {
            Ok(Ok(Ok(code))) => fits(code.len(), load).map(|()| code),
            Ok(Ok(Err(error))) => Err(Failed::Damaged(tidy::line(
                &format!("{error:#}"),
                child::DAMAGED_BYTES,
            ))),
            Ok(Err(_)) => Err(Failed::GaveUp("it panicked".to_owned())),
            Err(_) => Err(Failed::Limit {
                limit: "compile_seconds",
                value: load.compile.as_secs(),
                found: "compiling it had not ended".to_owned(),
            }),
        }
    }
}

/// Code that is known, if anybody uses it still.
fn used((code, bytes): &(Weak<Component>, usize)) -> Option<(Arc<Component>, usize)> {
    Some((code.upgrade()?, *bytes))
}

/// An entry's name in the cache: the content, and everything about the engine that code depends on.
fn name(engine: &wasmtime::Engine, (sha256, stack): &Key) -> String {
    let mut hash = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hash);
    stack.hash(&mut hash);
    format!("{sha256}-{:016x}", hash.finish())
}
