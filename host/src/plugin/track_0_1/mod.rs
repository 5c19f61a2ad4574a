//! The contract's track `0.1.x`, by way of the newest: what did not change is the newest's own type, and
//! what did is converted in `convert`.

mod convert;

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::guard::Guarded;
use super::track_0_2;

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "destination",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "sluice:sink/types": super::track_0_2::sluice::sink::types,
        "sluice:sink/http": super::track_0_2::sluice::sink::http,
        "sluice:sink/log": super::track_0_2::sluice::sink::log,
    },
});

use track_0_2::sluice::sink::{http, log};

/// The capabilities under this track's names. They are the newest's functions; a component whose types
/// were others would not link.
pub(super) fn link(linker: &mut Linker<Guarded>) -> wasmtime::Result<()> {
    type Context<'a> = StoreContextMut<'a, Guarded>;
    let mut instance = linker.instance("sluice:sink/http@0.1.0")?;
    instance.func_wrap_async(
        "send",
        |mut caller: Context<'_>, (request,): (http::Request,)| {
            Box::new(async move { Ok((http::Host::send(caller.data_mut(), request).await?,)) })
        },
    )?;
    instance.func_wrap_async(
        "send-all",
        |mut caller: Context<'_>, (requests,): (Vec<http::Request>,)| {
            Box::new(async move { Ok((http::Host::send_all(caller.data_mut(), requests).await?,)) })
        },
    )?;
    linker.instance("sluice:sink/log@0.1.0")?.func_wrap_async(
        "write",
        |mut caller: Context<'_>, (level, message): (log::Level, String)| {
            Box::new(async move { log::Host::write(caller.data_mut(), level, message).await })
        },
    )
}
