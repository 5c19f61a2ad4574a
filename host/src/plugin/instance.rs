//! A component of whichever track, called as if it were of the newest.

use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};

use super::guard::Guarded;
use super::track::Track;
use super::types::{Batch, Delivery, File, ImportStatus, Manifest, Problem, Settings, Staged};
use super::{track_0_1, track_0_2};

/// What an old track's answer is in the newest's words.
pub(super) trait Newest {
    /// The newest's type.
    type Newest;
    /// The same, in the newest's words.
    fn newest(self) -> Self::Newest;
}

impl<T: Newest> Newest for Result<T, Problem> {
    type Newest = Result<T::Newest, Problem>;

    fn newest(self) -> Self::Newest {
        self.map(T::newest)
    }
}

/// A component, ready to be instantiated.
#[derive(Clone)]
pub(super) enum Pre {
    V0_1(track_0_1::DestinationPre<Guarded>),
    V0_2(track_0_2::DestinationPre<Guarded>),
}

/// One instance.
pub(super) enum Instance {
    V0_1(track_0_1::Destination),
    V0_2(track_0_2::Destination),
}

/// What a call answers: the guest's word, or why there is none.
type Answer<T> = wasmtime::Result<T>;
type Said<T> = Answer<Result<T, Problem>>;

/// Gives components of a track what they import.
pub(super) fn link(track: Track, linker: &mut Linker<Guarded>) -> wasmtime::Result<()> {
    match track {
        Track::V0_1 => track_0_1::link(linker),
        Track::V0_2 => track_0_2::link(linker),
    }
}

impl Pre {
    /// Looks the track's functions up; an error if their types are not the track's.
    pub fn new(track: Track, pre: InstancePre<Guarded>) -> wasmtime::Result<Self> {
        match track {
            Track::V0_1 => track_0_1::DestinationPre::new(pre).map(Self::V0_1),
            Track::V0_2 => track_0_2::DestinationPre::new(pre).map(Self::V0_2),
        }
    }

    pub async fn instantiate(&self, store: &mut Store<Guarded>) -> Answer<Instance> {
        match self {
            Self::V0_1(pre) => pre.instantiate_async(store).await.map(Instance::V0_1),
            Self::V0_2(pre) => pre.instantiate_async(store).await.map(Instance::V0_2),
        }
    }
}

/// Calls a function that takes the same in every track.
macro_rules! call {
    ($instance:ident, $store:ident, $method:ident($($argument:expr),*)) => {
        match $instance {
            Self::V0_1(old) => {
                let answer = old.sluice_sink_exporter().$method($store, $($argument),*).await;
                answer.map(Newest::newest)
            }
            Self::V0_2(new) => new.sluice_sink_exporter().$method($store, $($argument),*).await,
        }
    };
}

/// What has never changed.
macro_rules! unchanged {
    ($($kept:ty),*) => {$(
        impl Newest for $kept {
            type Newest = Self;

            fn newest(self) -> Self {
                self
            }
        }
    )*};
}

unchanged!((), String);

impl Instance {
    pub async fn describe(&self, store: &mut Store<Guarded>) -> Answer<Manifest> {
        call!(self, store, call_describe())
    }

    pub async fn open(&self, store: &mut Store<Guarded>, settings: &Settings) -> Said<()> {
        call!(self, store, call_open(settings))
    }

    pub async fn check(&self, store: &mut Store<Guarded>) -> Said<()> {
        call!(self, store, call_check())
    }

    pub async fn stage(
        &self,
        store: &mut Store<Guarded>,
        rows: &Batch,
        offset: u64,
    ) -> Said<Staged> {
        call!(self, store, call_stage(rows, offset))
    }

    pub async fn submit(&self, store: &mut Store<Guarded>, file: &File) -> Said<String> {
        match self {
            Self::V0_1(old) => {
                let exporter = old.sluice_sink_exporter();
                exporter.call_submit(store, &file.into()).await
            }
            Self::V0_2(new) => new.sluice_sink_exporter().call_submit(store, file).await,
        }
    }

    pub async fn poll(&self, store: &mut Store<Guarded>, token: &str) -> Said<ImportStatus> {
        call!(self, store, call_poll(token))
    }

    pub async fn deliver(&self, store: &mut Store<Guarded>, rows: &Batch) -> Said<Delivery> {
        call!(self, store, call_deliver(rows))
    }
}
