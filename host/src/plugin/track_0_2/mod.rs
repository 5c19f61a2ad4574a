//! The contract's track `0.2.x`, the newest: generated types, which are the host's own, and the host's
//! side of the capabilities.

use wasmtime::component::HasSelf;

use super::guard::Guarded;
use crate::capability::state::Change;
use crate::usage::cpu;

wasmtime::component::bindgen!({
    path: "../wit/0.2",
    world: "destination",
    imports: { default: async | trappable },
    exports: { default: async },
    additional_derives: [PartialEq, serde::Serialize],
});

use self::sluice::sink::{http, log, state, types};

pub(super) fn link(linker: &mut wasmtime::component::Linker<Guarded>) -> wasmtime::Result<()> {
    Destination::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl types::Host for Guarded {}

impl http::Host for Guarded {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::Failure>> {
        self.count_requests(1)?;
        self.turn.release();
        let asking = self.asking();
        let answer = self.grant.http.send(request, &asking);
        Ok(cpu::host(&self.watch, answer).await)
    }

    async fn send_all(
        &mut self,
        requests: Vec<http::Request>,
    ) -> wasmtime::Result<Vec<Result<http::Response, http::Failure>>> {
        self.count_requests(requests.len())?;
        self.turn.release();
        let asking = self.asking();
        let answers = self.grant.http.send_all(requests, &asking);
        Ok(cpu::host(&self.watch, answers).await)
    }
}

impl log::Host for Guarded {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        if let Err(limit) = self.grant.log.write(level, &message) {
            self.grant.usage.line_dropped(limit);
        }
        Ok(())
    }
}

impl state::Host for Guarded {
    async fn get(
        &mut self,
        key: String,
    ) -> wasmtime::Result<Result<Option<String>, state::Failure>> {
        self.count_state_call()?;
        self.turn.release();
        let answer = self.grant.state.get(self.allowed.state, key);
        Ok(cpu::host(&self.watch, answer).await)
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<String>,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), state::Failure>> {
        self.count_state_call()?;
        self.turn.release();
        let change = Change {
            key,
            expected,
            value,
            bounds: self.limits.state(),
        };
        let state = &self.grant.state;
        let answer = state.compare_and_set(self.allowed.state, change);
        Ok(cpu::host(&self.watch, answer).await)
    }
}
