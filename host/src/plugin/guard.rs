//! What holds an instance within its bounds: memory, tables, CPU, requests.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::error::Reached;
use super::grant::Grant;
use super::limits::Limits;
use super::turn::Turn;
use super::wasi::Closed;
use crate::capability::StagedFile;
use crate::capability::http::Asking;
use crate::capability::state::Access;
use crate::usage::Usage;
use crate::usage::cpu::Stopwatch;

/// How often guest code is interrupted to be looked at. Fine enough that a budget of a few hundred
/// milliseconds is kept within a few percent, coarse enough that it costs nothing to notice.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Which bound an instance ran into, by its key, and what it had asked for.
#[derive(Clone, Debug)]
pub(super) struct Exhausted {
    limit: &'static str,
    found: String,
}

/// What the function that is being called may use of the grant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// Its name in the contract.
    pub call: &'static str,
    /// What it may do with what the plugin remembers.
    pub state: Access,
    /// Whether it may make requests.
    pub requests: bool,
}

impl Allowed {
    /// The function, if it may make no requests.
    pub fn mute(&self) -> Option<&'static str> {
        (!self.requests).then_some(self.call)
    }
}

/// The data of a store: the grant, and the account of what the guest has used.
pub(super) struct Guarded {
    pub(super) grant: Grant,
    pub(super) limits: Limits,
    pub(super) turn: Turn,
    pub(super) watch: Arc<Stopwatch>,
    pub(super) stack_kib: u64,
    /// Another with each call.
    pub(super) allowed: Allowed,
    /// Nothing, until the guest asks for something of WASI.
    pub(super) wasi: Option<Box<Closed>>,
    exhausted: Option<Exhausted>,
    memory_bytes: usize,
    table_elements: usize,
    requests: u32,
    state_calls: u32,
}

impl Guarded {
    /// A store for one call.
    pub(super) fn store(engine: &wasmtime::Engine, grant: Grant, limits: Limits) -> Store<Self> {
        let state = Self {
            turn: Turn::of(&grant.turns),
            grant,
            limits,
            watch: Arc::default(),
            stack_kib: 0,
            allowed: Allowed {
                call: "instantiate",
                state: Access::None,
                requests: false,
            },
            wasi: None,
            exhausted: None,
            memory_bytes: 0,
            table_elements: 0,
            requests: 0,
            state_calls: 0,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.lift_bytes);
        // Of its own resources as well, which no host function sees.
        store.set_max_component_handles(limits.resources as usize);
        store.set_epoch_deadline(1);
        // An epoch says when to look; what is looked at is the time that guest code has computed,
        // not the time that went by: a host call may take long, and the thread be interrupted.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            let spent = state.watch.guest_now();
            if spent > state.limits.cpu {
                state.exhausted = Some(Exhausted {
                    limit: "cpu_ms",
                    found: format!("it has computed for {} ms", spent.as_millis()),
                });
                return Ok(UpdateDeadline::Interrupt);
            }
            let turn = state.turn.clone();
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn.next())))
        });
        store
    }

    /// Counts requests that the guest makes; an error, which ends the call, if they are too many.
    /// Fewer rows make fewer requests, so a batch that asks for too many is tried in halves.
    pub(super) fn count_requests(&mut self, more: usize) -> wasmtime::Result<()> {
        let all = self
            .requests
            .saturating_add(more.try_into().unwrap_or(u32::MAX));
        if all > self.limits.requests {
            let found = format!("it asked for {all} requests");
            return Err(self.exhaust("requests", found));
        }
        self.requests = all;
        Ok(())
    }

    /// Counts a look at what the plugin remembers, or a change of it; an error, as for requests, if they
    /// are too many.
    pub(super) fn count_state_call(&mut self) -> wasmtime::Result<()> {
        if self.state_calls == self.limits.state_calls {
            let found = "it asked for one more".to_owned();
            return Err(self.exhaust("state_calls", found));
        }
        self.state_calls += 1;
        Ok(())
    }

    /// Who asks when the guest makes a request, and within which bounds.
    pub(super) fn asking(&self) -> Asking<'_> {
        let mute = self.allowed.mute();
        asking(
            &self.limits,
            self.grant.staged.as_ref(),
            &self.grant.usage,
            mute,
        )
    }

    /// The bound that the instance ran into, if it did, with its value.
    pub(super) fn reached(&self, call: &'static str) -> Option<Reached> {
        let Exhausted { limit, found } = self.exhausted.clone()?;
        Some(self.limits.reached(call, limit, found))
    }

    /// It went on with less than it was refused: what goes wrong later is not for that.
    fn forgive(&mut self, limit: &str) {
        self.exhausted.take_if(|reached| reached.limit == limit);
    }

    fn exhaust(&mut self, limit: &'static str, found: String) -> wasmtime::Error {
        let error = wasmtime::Error::msg(format!("limit {limit}: {found}"));
        self.exhausted = Some(Exhausted { limit, found });
        error
    }
}

/// The same, for a request that may outlive the call.
pub(super) fn asking<'a>(
    limits: &Limits,
    staged: Option<&'a StagedFile>,
    usage: &'a Usage,
    mute: Option<&'static str>,
) -> Asking<'a> {
    Asking {
        mute,
        staged,
        header_bytes: limits.header_bytes,
        answer_bytes: limits.answer_bytes,
        all_bytes: limits.memory_bytes,
        room: None,
        at_once: limits.requests_at_once as usize,
        usage,
        refused: None,
    }
}

impl Limits {
    /// Says that a call ran into a limit.
    pub(super) fn reached(
        &self,
        call: &'static str,
        limit: &'static str,
        found: String,
    ) -> Reached {
        let key = super::limits::KEYS.iter().find(|key| key.name == limit);
        Reached {
            call,
            limit,
            value: key.map_or(0, |key| (key.get)(self)),
            found,
        }
    }
}

/// Also a call that was given up is paid for.
impl Drop for Guarded {
    fn drop(&mut self) {
        let (guest, host) = (self.watch.guest(), self.watch.host());
        self.grant.usage.cpu(guest, host);
    }
}

impl ResourceLimiter for Guarded {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // It fails at what the component itself has said, and is none of ours.
        if maximum.is_some_and(|most| desired > most) {
            return Ok(true);
        }
        // Over all memories: a limit on each would hold as often as there are memories.
        let wanted = self.memory_bytes.saturating_add(desired - current);
        if wanted > self.limits.memory_bytes {
            self.exhaust("memory_mib", format!("it asked for {wanted} bytes"));
            return Ok(false);
        }
        self.memory_bytes = wanted;
        self.forgive("memory_mib");
        self.grant.usage.memory(wanted as u64);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(true);
        }
        let wanted = self.table_elements.saturating_add(desired - current);
        if wanted > self.limits.table_elements {
            self.exhaust("table_elements", format!("it asked for {wanted} elements"));
            return Ok(false);
        }
        self.table_elements = wanted;
        self.forgive("table_elements");
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.parts
    }

    fn tables(&self) -> usize {
        self.limits.parts
    }

    fn memories(&self) -> usize {
        self.limits.parts
    }
}
