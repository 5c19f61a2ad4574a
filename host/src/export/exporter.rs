//! The plugin as the work on an export calls it: each call in a fresh instance.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::clock::Clock;
use super::memory::StoreMemory;
use super::spec::ExportSpec;
use super::versions::Version;
use crate::capability::state::Memory;
use crate::capability::{Http, LogSink, StagedFile, State};
use crate::capture::{Asked, Capturing, Outcome, Rig, Scene, Seen};
use crate::plugin::flat::Rows;
use crate::plugin::types::{Delivery, File, ImportStatus, Manifest, Settings, Staged};
use crate::plugin::{CallError, Grant, Limits, Moment, Plugin, Session, Turns};
use crate::store::Store;
use crate::usage::Usage;

/// What a call answers.
pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// The functions of the contract's `exporter`, once it is open.
pub(super) trait Exporter: Send + Sync + 'static {
    /// What it says of itself.
    fn manifest(&self) -> &Manifest;
    /// The SHA-256 of the component.
    fn component(&self) -> &str;
    /// The version of the contract that it was built for.
    fn contract(&self) -> &str;
    /// The routes that it may use.
    fn routes(&self) -> Vec<String>;
    /// Which version it is.
    fn version(&self) -> Version {
        let manifest = self.manifest();
        Version {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: self.component().to_owned(),
            contract: self.contract().to_owned(),
        }
    }
    /// What calls are counted into.
    fn usage(&self) -> &Arc<Usage>;
    /// Its captures, if it makes any.
    fn capturing(&self) -> Option<&Arc<Capturing>> {
        None
    }
    /// Proves endpoint and credential.
    fn check(&self) -> Answer<'_, ()>;
    /// Turns rows into bytes of the staged file.
    fn stage<'a>(&'a self, rows: &'a Rows, offset: u64) -> Answer<'a, Staged>;
    /// Starts an import job; answers its token.
    fn submit<'a>(&'a self, staged: StagedFile, file: &'a File) -> Answer<'a, String>;
    /// Asks what became of an import job.
    fn poll<'a>(&'a self, token: &'a str) -> Answer<'a, ImportStatus>;
    /// Sends changes.
    fn deliver<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Delivery>;
}

/// A component in its sandbox, with its way to the destination.
pub(super) struct Sandboxed {
    pub plugin: Plugin,
    pub http: Http,
    settings: Settings,
    limits: Limits,
    log: LogSink,
    memory: Arc<dyn Memory>,
    turns: Turns,
    usage: Arc<Usage>,
    capturing: Arc<Capturing>,
    /// Under what captured calls are made again; nothing where no request is allowed.
    scene: Option<Arc<Scene>>,
}

impl Sandboxed {
    pub fn new(
        spec: &ExportSpec,
        plugin: Plugin,
        http: Http,
        store: &Store,
        usage: Arc<Usage>,
        capturing: Arc<Capturing>,
    ) -> Self {
        let memory = StoreMemory {
            store: store.clone(),
            plugin_version: plugin.manifest.version.clone(),
            clock: Clock::System,
        };
        let turns = Turns::default();
        let scene = http.policy().map(|policy| {
            Arc::new(Scene {
                plugin: plugin.clone(),
                rig: Rig {
                    settings: spec.settings(),
                    limits: spec.limits,
                    policy: policy.clone(),
                    // Its own: a masked call is made beside the export's, and takes none of their turns.
                    turns: Turns::default(),
                },
            })
        });
        Self {
            memory: Arc::new(memory),
            plugin,
            http,
            settings: spec.settings(),
            limits: spec.limits,
            usage,
            log: LogSink::new(&spec.name(), &spec.limits),
            turns,
            capturing,
            scene,
        }
    }

    async fn session(
        &self,
        http: Http,
        state: State,
        staged: Option<StagedFile>,
        moment: Option<Moment>,
    ) -> Result<Session, CallError> {
        let grant = Grant {
            http,
            log: self.log.clone(),
            state,
            staged,
            turns: self.turns.clone(),
            usage: self.usage.clone(),
            moment,
        };
        self.plugin.open(&self.settings, grant, self.limits).await
    }

    /// One call in a session of its own. A limit that ends it is counted. It is taped if somebody wants
    /// to see it.
    async fn call<R: Seen, C: Future<Output = Result<R, CallError>>>(
        &self,
        asked: Option<Asked<'_>>,
        staged: Option<StagedFile>,
        call: impl FnOnce(Session) -> C,
    ) -> Result<R, CallError> {
        let watched = asked.zip(self.scene.as_ref()).and_then(|(asked, scene)| {
            let tapes = self
                .capturing
                .tape(asked.kind(), &self.http, &self.memory)?;
            Some((asked, scene, tapes))
        });
        let (http, state, moment) = match &watched {
            Some((_, _, tapes)) => (tapes.http(), tapes.state(), Some(tapes.moment())),
            None => (self.http.clone(), State::Kept(self.memory.clone()), None),
        };
        let answer = match self.session(http, state, staged, moment).await {
            Ok(session) => call(session).await,
            Err(error) => Err(error),
        };
        if let Err(CallError::Limit(reached)) = &answer {
            self.usage.limit(reached.limit);
        }
        if let Some((asked, scene, tapes)) = watched {
            self.capturing
                .took(scene, asked, &tapes, Outcome::of(&answer));
        }
        answer
    }
}

impl Exporter for Sandboxed {
    fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    fn component(&self) -> &str {
        &self.plugin.inspection.sha256
    }

    fn contract(&self) -> &str {
        &self.plugin.inspection.contract
    }

    fn routes(&self) -> Vec<String> {
        self.http.routes()
    }

    fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    fn capturing(&self) -> Option<&Arc<Capturing>> {
        Some(&self.capturing)
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(self.call(None, None, Session::check))
    }

    fn stage<'a>(&'a self, rows: &'a Rows, offset: u64) -> Answer<'a, Staged> {
        let asked = Asked::Stage { rows, offset };
        Box::pin(self.call(Some(asked), None, move |session| {
            session.stage(rows, offset)
        }))
    }

    fn submit<'a>(&'a self, staged: StagedFile, file: &'a File) -> Answer<'a, String> {
        let asked = Asked::Submit(file);
        Box::pin(self.call(Some(asked), Some(staged), move |session| {
            session.submit(file)
        }))
    }

    fn poll<'a>(&'a self, token: &'a str) -> Answer<'a, ImportStatus> {
        let asked = Asked::Poll(token);
        Box::pin(self.call(Some(asked), None, move |session| session.poll(token)))
    }

    fn deliver<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Delivery> {
        let asked = Asked::Deliver(rows);
        Box::pin(self.call(Some(asked), None, move |session| session.deliver(rows)))
    }
}
