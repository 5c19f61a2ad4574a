//! The engine of the program: it compiles in a child process, and keeps what came of it beside the stores.

use std::path::PathBuf;

use sluice::plugin::{Engine, Program, Tracks, Workshop};

use super::args::{Loading, Trust, Where};

/// The hidden command that the child process is started with.
pub const COMPILE: &str = "compile-component";

/// An engine that keeps compiled code in the data directory.
pub fn keeping(place: &Loading) -> Engine {
    Engine::with(Workshop {
        cache: Some(cache(place)),
        compiler: Some(compiler()),
        signed_by: place.trust.signed_by.clone(),
        tracks: place.tracks.clone().unwrap_or_default(),
    })
}

/// An engine that uses what is kept there, and makes no data directory if there is none: for commands
/// that only look.
pub fn looking(place: &Loading) -> Engine {
    Engine::with(Workshop {
        cache: Some(cache(place)).filter(|folder| folder.exists()),
        compiler: Some(compiler()),
        signed_by: place.trust.signed_by.clone(),
        tracks: place.tracks.clone().unwrap_or_default(),
    })
}

/// An engine that leaves nothing behind.
pub fn alone(trust: &Trust, tracks: Tracks) -> Engine {
    Engine::with(Workshop {
        cache: None,
        compiler: Some(compiler()),
        signed_by: trust.signed_by.clone(),
        tracks,
    })
}

fn cache(place: &Where) -> PathBuf {
    place.data().join(".compiled")
}

/// This very program, also after its file was replaced.
fn compiler() -> Program {
    Program {
        path: "/proc/self/exe".into(),
        args: vec![COMPILE.to_owned()],
    }
}
