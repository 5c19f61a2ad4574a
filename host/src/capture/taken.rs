//! A call as it was made, in memory until it is written down: what it was given, its tapes, and how it ended.

use std::sync::Arc;

use super::call::{Asked, Input};
use super::memory::Memories;
use super::outcome::Outcome;
use super::remembering::Remembering;
use super::replay::Rig;
use crate::capability::http::{Exchange, Taping};
use crate::capability::state::Memory;
use crate::capability::{Http, State};
use crate::plugin::{Moment, Plugin};

/// Under what an export's calls are made. One for each version of the plugin that it runs.
pub(crate) struct Scene {
    pub plugin: Plugin,
    pub rig: Rig,
}

/// A call that was made, with its tape.
pub(super) struct Taken {
    pub scene: Arc<Scene>,
    pub input: Input,
    pub exchanges: Vec<Exchange>,
    pub memories: Memories,
    pub outcome: Outcome,
    pub moment: Moment,
    /// About what it takes in memory.
    pub bytes: usize,
}

/// What is written down while a call is made.
pub(crate) struct Tapes {
    requests: Arc<Taping>,
    memory: Arc<Remembering>,
    moment: Moment,
}

impl Tapes {
    /// For one call, which goes where these lead.
    pub(super) fn new(http: &Http, memory: &Arc<dyn Memory>) -> Self {
        Self {
            requests: Taping::new(http.clone()),
            memory: Remembering::new(memory.clone()),
            moment: Moment::now(),
        }
    }

    /// The call, now that it was made; `None` if it was more than tapes hold.
    pub(super) fn taken(
        &self,
        scene: &Arc<Scene>,
        asked: Asked<'_>,
        outcome: Outcome,
    ) -> Option<Taken> {
        let (exchanges, bytes) = self.requests.take()?;
        let memories = self.memory.take()?;
        let input = asked.input(scene.rig.settings.columns.len());
        let cells = input.rows().iter().flat_map(|row| &row.cells);
        let rows: usize = cells.map(|cell| 32 + cell.1.len()).sum();
        Some(Taken {
            bytes: rows + bytes + memories.bytes() + outcome.bytes(),
            scene: scene.clone(),
            input,
            exchanges,
            memories,
            outcome,
            moment: self.moment,
        })
    }

    /// What sends, and writes down.
    pub fn http(&self) -> Http {
        Http::Taping(self.requests.clone())
    }

    /// What remembers, and writes down.
    pub fn state(&self) -> State {
        State::Kept(self.memory.clone())
    }

    /// When the call begins.
    pub fn moment(&self) -> Moment {
        self.moment
    }
}
