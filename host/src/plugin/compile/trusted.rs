//! Taking native code for what it says it is: the one place of this program that the compiler cannot
//! vouch for. [`super::cache`] vouches for the bytes: they are what a compiler of ours has written,
//! under a tag that only this user can make.
#![allow(
    unsafe_code,
    reason = "wasmtime runs whatever machine code it is handed, and has no safe way to take it; the \
              other way is to compile every plugin at every start, in this process"
)]

use wasmtime::component::Component;

/// Machine code that this program's own compiler has made: fresh from it, or out of the cache with
/// its tag verified. Nothing else may make one.
pub(super) struct Trusted(Vec<u8>);

impl Trusted {
    /// What the compiler has just answered.
    pub fn fresh(code: Vec<u8>) -> Self {
        Self(code)
    }

    /// What the cache has verified.
    pub fn verified(code: Vec<u8>) -> Self {
        Self(code)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The component. Code for another engine or version of wasmtime is an error.
    pub fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` asks that the bytes come from `precompile_component` unchanged. They
        // do: both constructors are called with nothing else, and the bytes were ours alone since.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
