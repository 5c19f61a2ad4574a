//! Closed WASI 0.2, for guest languages that cannot do without: everything links, and next to nothing
//! is given.
//!
//! A component has coarse clocks (`clocks`), chance, and lines for the operator (`lines`); no file, no variable, no
//! argument, no input, no socket, no name looked up. `wasi:http` goes through the gate (`http`). What
//! may be imported is a list of names (`given`), which is looked at before anything runs.

mod bodies;
mod clocks;
mod given;
mod http;
mod lines;

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::http::Outgoing;
use self::lines::{Line, Nothing};
use super::grant::Grant;
use super::guard::Guarded;
use super::limits::Limits;
use super::moment::Moment;
use super::types::Level;

pub(super) use given::{GIVEN, is_given};

/// What a request's or an answer's headers may take of the host's memory for each of the bytes that
/// `header_bytes` allows: names, values, and what holds them together.
const HEADERS_TIMES: usize = 4;

/// What a request's or an answer's headers may take, in bytes.
fn headers_bytes(limits: &Limits) -> usize {
    limits.header_bytes.saturating_mul(HEADERS_TIMES)
}

/// The most chance that is made at once, in bytes: a key or a seed is a few dozen.
const RANDOM_BYTES: u64 = 64 << 10;

/// What an instance has of WASI. Made when it first asks for something, so others pay nothing.
pub(super) struct Closed {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

impl Closed {
    pub fn new(grant: &Grant, limits: &Limits) -> Self {
        let line = |level| Line::new(&grant.log, &grant.usage, level);
        let (now, moment) = (Instant::now(), grant.moment.unwrap_or_else(Moment::now));
        let mut chance = StdRng::from_seed(moment.seed);
        // What is not named here is empty or denied: variables, arguments, folders, sockets, names.
        let wasi = WasiCtx::builder()
            .stdin(Nothing)
            .stdout(line(Level::Info))
            .stderr(line(Level::Warn))
            .wall_clock(clocks::Wall {
                began: moment.at,
                since: now,
            })
            .monotonic_clock(clocks::Monotonic(now))
            .insecure_random_seed(chance.random())
            .insecure_random(StdRng::from_rng(&mut chance))
            .secure_random(chance)
            .max_random_size(RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(headers_bytes(limits));
        Self {
            wasi,
            table,
            http,
            outgoing: Outgoing::new(grant, limits),
        }
    }
}

/// Links everything that is given.
pub(super) fn link(linker: &mut Linker<Guarded>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    types::add_to_linker::<_, WasiHttp>(linker, &(&options).into(), Guarded::http)?;
    http::link(linker)
}

/// Why a call ended, if the guest has ended it by itself.
pub(super) fn exited(error: &wasmtime::Error) -> Option<String> {
    let I32Exit(status) = error.downcast_ref()?;
    Some(format!(
        "it called `exit` with status {status}, which ends the call without an answer"
    ))
}

/// Whether a call ended because it held too much on the host.
pub(super) fn overfull(error: &wasmtime::Error) -> bool {
    use wasmtime::component::ResourceTableError;
    matches!(error.downcast_ref(), Some(ResourceTableError::Full))
}

impl Guarded {
    fn closed(&mut self) -> &mut Closed {
        let Self {
            wasi,
            grant,
            limits,
            ..
        } = self;
        wasi.get_or_insert_with(|| Box::new(Closed::new(grant, limits)))
    }
}

impl WasiView for Guarded {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Closed { wasi, table, .. } = self.closed();
        WasiCtxView { ctx: wasi, table }
    }
}

impl WasiHttpView for Guarded {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let mute = self.allowed.mute();
        let Closed {
            table,
            http,
            outgoing,
            ..
        } = self.closed();
        outgoing.mute = mute;
        WasiHttpCtxView {
            hooks: outgoing,
            table,
            ctx: http,
        }
    }
}
