//! What holds an instance within its bounds: memory, tables, CPU.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::grant::Grant;
use super::turn::Turn;

/// How often guest code is interrupted to be counted. Fine enough that a budget of a few hundred
/// milliseconds is kept within a few percent, coarse enough that it costs nothing to notice.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Table elements over all tables. The largest guest language measured needs some ten thousand.
const TABLE_ELEMENTS: usize = 100_000;

/// Core instances, memories and tables in one component: interpreters need a dozen or two.
const PARTS: usize = 64;

/// Bytes that one call may make the host copy out of the guest, for arguments of imports and for
/// results. A batch of 1,000 wide rows is a few megabytes.
const LIFTED_BYTES: usize = 32 << 20;

/// The bounds of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Guest memory in bytes, over all memories of the component. 64 MiB holds a batch of 1,000
    /// rows a hundred times over, and an interpreter beside it.
    pub memory_bytes: usize,
    /// Time that guest code may run, without the time that it waits for the host. A batch takes
    /// milliseconds; 5 s leaves room for an interpreter on a busy machine.
    pub cpu: Duration,
    /// Time that a whole call may take, host work included. Ten times the longest wait for one
    /// answer, for a batch that meets a slow destination.
    pub wall: Duration,
    /// The same for `submit`, which uploads a whole staged file: a gigabyte at 300 kB/s.
    pub upload_wall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(600),
            upload_wall: Duration::from_secs(3600),
        }
    }
}

/// Which bound an instance ran into.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exhausted {
    Cpu,
    Memory { wanted: usize },
}

/// The data of a store: the grant, and the account of what the guest has used.
pub(super) struct Guarded {
    pub(super) grant: Grant,
    pub(super) limits: Limits,
    pub(super) turn: Turn,
    pub(super) exhausted: Option<Exhausted>,
    memory_bytes: usize,
    table_elements: usize,
    ticks: u64,
}

impl Guarded {
    pub(super) fn store(engine: &wasmtime::Engine, grant: Grant, limits: Limits) -> Store<Self> {
        let state = Self {
            turn: Turn::of(&grant.turns),
            grant,
            limits,
            exhausted: None,
            memory_bytes: 0,
            table_elements: 0,
            ticks: 0,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(LIFTED_BYTES);
        store.set_epoch_deadline(1);
        // However long a host call takes, it ends at most one deadline: so this counts ticks in
        // which guest code ran, not time that went by.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            if TICK.saturating_mul(state.ticks.try_into().unwrap_or(u32::MAX)) > state.limits.cpu {
                state.exhausted = Some(Exhausted::Cpu);
                return Ok(UpdateDeadline::Interrupt);
            }
            let turn = state.turn.clone();
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn.next())))
        });
        store
    }
}

impl ResourceLimiter for Guarded {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes + (desired - current);
        if wanted > self.limits.memory_bytes {
            self.exhausted = Some(Exhausted::Memory { wanted });
            return Ok(false);
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table_elements + (desired - current);
        if wanted > TABLE_ELEMENTS {
            return Ok(false);
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}
