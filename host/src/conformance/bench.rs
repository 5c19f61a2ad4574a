//! Calls of the plugin under test: in the real sandbox, with the real limits, each in a fresh
//! instance, and with a destination that is a script.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capability::http::{Asked, Policy, Script, Scripted};
use crate::capability::state::Scratch;
use crate::capability::{Http, LogSink, StagedFile, State};
use crate::plugin::flat::Rows;
use crate::plugin::types::{
    Delivery, File, Finding, ImportStatus, Manifest, Problem, Settings, Staged,
};
use crate::plugin::{CallError, Grant, Limits, Plugin, Session};
use crate::usage::Usage;

/// The file that `submit` is about.
pub const FILE: &str = "c0de-1";

/// The plugin under test, and what was noticed of it whatever it was asked for.
pub struct Bench {
    pub plugin: Plugin,
    pub limits: Limits,
    noticed: Mutex<Noticed>,
    /// What the last `submit` left to remember: `poll` finds it there.
    remembered: Mutex<Arc<Scratch>>,
}

/// What is judged over all calls.
#[derive(Default)]
pub struct Noticed {
    /// How many calls were made.
    pub calls: u64,
    /// The most memory that an instance had.
    pub peak: u64,
    /// Traps, broken promises and limits, each once.
    pub failures: Vec<String>,
    /// Functions that have asked for requests though they may make none.
    pub outspoken: BTreeSet<&'static str>,
    /// Findings, with how many columns there were.
    pub findings: Vec<(Finding, usize)>,
}

/// What came of a call that may make requests.
pub struct Called<T> {
    pub answer: Result<T, CallError>,
    pub asked: Vec<Asked>,
    /// What was written to the log.
    pub lines: Vec<String>,
    /// The names of what is remembered.
    pub keys: Vec<String>,
    /// The most memory that the instance had.
    pub peak: u64,
}

impl<T> Called<T> {
    /// The answer, if the plugin gave one: a problem is an answer, too.
    pub fn decided(self) -> Result<Result<T, Problem>, String> {
        decided(self.answer)
    }
}

/// An answer or a problem; what is neither is told in words.
pub fn decided<T>(answer: Result<T, CallError>) -> Result<Result<T, Problem>, String> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(CallError::Problem(problem)) => Ok(Err(problem)),
        Err(error) => Err(error.to_string()),
    }
}

impl Bench {
    pub fn new(plugin: Plugin) -> Self {
        Self {
            plugin,
            limits: Limits::default(),
            noticed: Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Arc<Scratch>> {
        let remembered = self.remembered.lock();
        remembered.unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.remembered() = Arc::default();
    }

    pub fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    /// Looks at what was noticed so far.
    pub fn noticed<T>(&self, look: impl FnOnce(&mut Noticed) -> T) -> T {
        look(&mut self.noticed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the settings are taken.
    pub async fn open(&self, settings: &Settings) -> Result<(), CallError> {
        let grant = Grant::none(LogSink::keeping(&self.limits));
        let opened = self.session(settings, grant).await;
        opened.map(drop)
    }

    pub async fn stage(&self, settings: &Settings, rows: &Rows, offset: u64) -> Called<Staged> {
        let work = async |session: Session| session.stage(rows, offset).await;
        self.call(settings, None, None, work).await
    }

    pub async fn submit(
        &self,
        settings: &Settings,
        policy: &Policy,
        script: Box<Script>,
    ) -> Called<String> {
        let file = File {
            id: FILE.to_owned(),
            bytes: 1_234,
            rows: 12,
            number: 1,
            created_at: "2026-11-23T10:15:00Z".to_owned(),
            extra: vec![],
        };
        let work = async |session: Session| session.submit(&file).await;
        let way = Scripted::new(policy.clone(), script);
        self.forget();
        self.call(settings, Some(way), Some(file.bytes), work).await
    }

    pub async fn poll(
        &self,
        settings: &Settings,
        policy: &Policy,
        token: &str,
        script: Box<Script>,
    ) -> Called<ImportStatus> {
        let work = async |session: Session| session.poll(token).await;
        let way = Scripted::new(policy.clone(), script);
        self.call(settings, Some(way), None, work).await
    }

    pub async fn check(
        &self,
        settings: &Settings,
        policy: &Policy,
        script: Box<Script>,
    ) -> Called<()> {
        self.forget();
        let work = async |session: Session| session.check().await;
        let way = Scripted::new(policy.clone(), script);
        self.call(settings, Some(way), None, work).await
    }

    pub async fn deliver(
        &self,
        settings: &Settings,
        policy: &Policy,
        rows: &Rows,
        script: Box<Script>,
    ) -> Called<Delivery> {
        // The same batch once more is to ask for the same.
        self.forget();
        self.deliver_on(settings, policy, rows, script).await
    }

    /// The same, with what the call before has left to remember.
    pub async fn deliver_on(
        &self,
        settings: &Settings,
        policy: &Policy,
        rows: &Rows,
        script: Box<Script>,
    ) -> Called<Delivery> {
        let work = async |session: Session| session.deliver(rows).await;
        let way = Scripted::new(policy.clone(), script);
        self.call(settings, Some(way), None, work).await
    }

    async fn call<T>(
        &self,
        settings: &Settings,
        way: Option<Scripted>,
        staged: Option<u64>,
        work: impl AsyncFnOnce(Session) -> Result<T, CallError>,
    ) -> Called<T> {
        let log = LogSink::keeping(&self.limits);
        let usage = Arc::new(Usage::default());
        let remembered = self.remembered().clone();
        let way = way.map(Arc::new);
        let grant = Grant {
            http: way.clone().map_or(Http::Nothing, Http::Scripted),
            staged: staged.map(|bytes| StagedFile {
                id: FILE.to_owned(),
                path: "conformance".into(),
                bytes,
                sent: Arc::default(),
            }),
            usage: usage.clone(),
            state: State::Kept(remembered.clone()),
            ..Grant::none(log.clone())
        };
        let answer = match self.session(settings, grant).await {
            Ok(session) => work(session).await,
            Err(error) => Err(error),
        };
        self.listen("stage", &usage);
        let peak = usage.take().used.peak_memory_bytes;
        self.noticed(|noticed| noticed.peak = noticed.peak.max(peak));
        if let Err(error) = &answer {
            self.notice(error, settings.columns.len());
        }
        Called {
            answer,
            asked: way.map_or(vec![], |way| way.take()),
            lines: log.kept(),
            keys: remembered.keys(),
            peak,
        }
    }

    async fn session(&self, settings: &Settings, grant: Grant) -> Result<Session, CallError> {
        let call = self.noticed(|noticed| {
            noticed.calls += 1;
            noticed.calls
        });
        let mut settings = settings.clone();
        // A name that no plugin knows, with another value in each call: it is to be ignored.
        settings.extra = vec![("conformance-call".to_owned(), call.to_string())];
        let usage = grant.usage.clone();
        let opened = self.plugin.open(&settings, grant, self.limits).await;
        self.listen("open", &usage);
        if let Err(error) = &opened {
            self.notice(error, settings.columns.len());
        }
        opened
    }

    /// Notices whether a function was denied a request for what it is. Of those behind `open` only
    /// `stage` is.
    fn listen(&self, call: &'static str, usage: &Usage) {
        if usage.take().used.denied_to_functions() > 0 {
            self.noticed(|noticed| noticed.outspoken.insert(call));
        }
    }

    fn notice(&self, error: &CallError, columns: usize) {
        self.noticed(|noticed| match error {
            CallError::Problem(Problem::InvalidSettings(findings)) => {
                let findings = findings.iter().map(|finding| (finding.clone(), columns));
                noticed.findings.extend(findings);
            }
            CallError::Problem(_) => {}
            error => {
                let said = error.to_string();
                if !noticed.failures.contains(&said) {
                    noticed.failures.push(said);
                }
            }
        });
    }
}
