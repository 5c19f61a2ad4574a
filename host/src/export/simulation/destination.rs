//! A plugin and its destination in one: keeps the contract, misbehaves as the dice say, and asks
//! the model about everything that takes effect.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::dice::Dice;
use super::killer::killer;
use super::model::{Content, Model};
use crate::capability::StagedFile;
use crate::export::exporter::{Answer, Exporter};
use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::{
    Counts, Delivery, File, ImportStatus, Limits, Manifest, Problem, Progress, Rejection, Report,
    Staged, Throttle,
};
use crate::plugin::{CallError, Reached};
use crate::usage::{Bills, Usage};

use super::flaw::Flaw;

/// The columns of every batch, in order.
pub(super) const COLUMNS: [&str; 6] = ["id", "n", "deed", "first", "last", "city"];

const HEADER: &[u8] = b"header\n";

/// What outlives the program: the destination's own state.
pub(super) struct Remote {
    pub model: Model,
    pub dice: Dice,
    /// In percent: how often something goes wrong.
    pub trouble: u64,
    /// In percent: how many rows of a batch are to be sent again.
    pub again: u64,
    /// The key that it accepts.
    pub key: u64,
    /// Calls that were begun.
    pub calls: u64,
    jobs: Vec<Job>,
    /// Whose turn it is: jobs are worked on one after the other.
    next_job: usize,
}

struct Job {
    rows: Vec<(String, Content)>,
    fails: bool,
    /// The destination has lost it, and says so for ever.
    gone: bool,
    done: Option<bool>,
}

/// The plugin, as one life of the program has it.
pub(super) struct Scripted {
    pub remote: Arc<Mutex<Remote>>,
    /// The key that it sends.
    pub held: Arc<AtomicU64>,
    manifest: Manifest,
    usage: Arc<Usage>,
    component: String,
    flaw: Flaw,
}

/// What happens to a call.
enum Turn {
    Fine,
    /// It fails, and nothing has happened.
    Before(CallError),
    /// It fails, though everything has happened.
    After(CallError),
}

impl Remote {
    pub fn new(seed: u64) -> Self {
        Self {
            model: Model::default(),
            dice: Dice::new(seed),
            trouble: 0,
            again: 0,
            key: 0,
            calls: 0,
            jobs: vec![],
            next_job: 0,
        }
    }

    fn event(&mut self, event: &str) {
        self.model.events.push(event.to_owned());
    }

    fn turn(&mut self, held: u64, call: &'static str) -> Turn {
        if held != self.key {
            self.event("unauthorized");
            return Turn::Before(CallError::Problem(Problem::Unauthorized("no".to_owned())));
        }
        if !self.dice.percent(self.trouble) {
            return Turn::Fine;
        }
        let transient = || CallError::Problem(Problem::Transient("no answer".to_owned()));
        match self.dice.below(6) {
            0 => {
                self.event("throttled");
                let retry_after_ms = self.dice.pick(&[None, Some(0), Some(1_500), Some(90_000)]);
                Turn::Before(CallError::Problem(Problem::Throttled(Throttle {
                    message: "slowly".to_owned(),
                    retry_after_ms,
                })))
            }
            1 | 2 => {
                self.event("no-answer");
                Turn::Before(transient())
            }
            3 => {
                self.event("answer-lost deadline");
                Turn::After(CallError::Limit(Reached {
                    call,
                    limit: "wall_seconds",
                    value: 1,
                    found: String::new(),
                }))
            }
            4 if call != "deliver" && call != "stage" => {
                self.event("crashed");
                Turn::After(trap(call))
            }
            _ => {
                self.event("answer-lost");
                Turn::After(transient())
            }
        }
    }

    /// Works on the jobs up to this one.
    fn work_up_to(&mut self, job: usize) {
        while self.next_job <= job {
            let Job {
                rows, fails, gone, ..
            } = &self.jobs[self.next_job];
            let (rows, fails, gone) = (rows.clone(), *fails, *gone);
            if fails {
                self.event("job-failed");
            } else if !gone {
                for (member, content) in rows {
                    self.model.imported(&member, &content);
                }
            }
            self.jobs[self.next_job].done = Some(!fails);
            self.next_job += 1;
        }
    }
}

fn trap(call: &'static str) -> CallError {
    CallError::Trap {
        call,
        reason: "unreachable".to_owned(),
    }
}

impl Scripted {
    /// The version whose component's digest this is: the digest says what is wrong with it.
    pub fn new(
        remote: Arc<Mutex<Remote>>,
        held: Arc<AtomicU64>,
        bills: &Bills,
        component: &str,
    ) -> Self {
        let flaw = Flaw::of(component);
        let manifest = Manifest {
            name: "scripted".to_owned(),
            version: component.to_owned(),
            description: String::new(),
            auth_methods: vec![],
            endpoint: String::new(),
            routes: vec![],
            fields: vec![],
            custom_fields: None,
            options_schema: "{}".to_owned(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 7,
                stage_rows: 3,
                deliver_rows: 4,
            },
            extra: vec![],
        };
        Self {
            remote,
            held,
            usage: bills.of(&manifest.name, &manifest.version),
            manifest,
            component: component.to_owned(),
            flaw,
        }
    }

    fn remote(&self) -> MutexGuard<'_, Remote> {
        // A model that panics has said what is wrong.
        self.remote
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What every call goes through: a way there, something that may go wrong, a way back.
    async fn call<T>(
        &self,
        call: &'static str,
        effect: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let (there, back) = {
            let dice = &mut self.remote().dice;
            // Now and then as slow as a destination that hangs.
            let back = dice.pick(&[400, 400, 400, 400, 400, 400, 400, 90_000]);
            (dice.below(400), dice.below(back))
        };
        self.usage.call();
        self.remote().calls += 1;
        tokio::time::sleep(Duration::from_millis(there)).await;
        step().await;
        let turn = self.remote().turn(self.held.load(Ordering::Relaxed), call);
        let answer = match turn {
            Turn::Before(error) => Err(error),
            Turn::Fine => effect.await,
            Turn::After(error) => effect.await.and(Err(error)),
        };
        step().await;
        tokio::time::sleep(Duration::from_millis(back)).await;
        answer
    }
}

async fn step() {
    if let Some(killer) = killer() {
        killer.pass().await;
    }
}

/// A row's member and attributes.
fn read(rows: &Rows, row: usize) -> (String, Content) {
    let mut content = Content::new();
    for (name, (kind, text)) in COLUMNS.iter().zip(rows.row(row, COLUMNS.len())) {
        let json = match kind {
            cell::ABSENT => continue,
            cell::TEXT => serde_json::Value::from(text).to_string(),
            cell::NULL => "null".to_owned(),
            _ => text.to_owned(),
        };
        content.insert((*name).to_owned(), json);
    }
    let member = content.remove("id").expect("an id");
    (member, content)
}

impl Exporter for Scripted {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn component(&self) -> &str {
        &self.component
    }

    fn contract(&self) -> &str {
        "0.1.0"
    }

    fn routes(&self) -> Vec<String> {
        match self.flaw {
            Flaw::Greedy => vec!["POST /more".to_owned()],
            _ => vec![],
        }
    }

    fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(self.call("check", async { Ok(()) }))
    }

    fn stage<'a>(&'a self, rows: &'a Rows, offset: u64) -> Answer<'a, Staged> {
        Box::pin(async move {
            step().await;
            let mut staged = Staged {
                bytes: vec![],
                start: 0,
                ends: vec![],
                rejected: vec![],
                identities: String::new(),
                identity_ends: vec![],
                identity_rows: vec![],
                extra: vec![],
            };
            if offset == 0 {
                staged.bytes.extend(HEADER);
                staged.start = HEADER.len() as u32;
            }
            for row in 0..rows.len() {
                let (member, content) = read(rows, row);
                match content["deed"].as_str() {
                    "\"trap\"" => {
                        self.remote().event("trapped");
                        return Err(trap("stage"));
                    }
                    "\"reject\"" => staged.rejected.push(rejection(row)),
                    _ => {
                        let line = serde_json::to_string(&(member, content)).expect("text");
                        staged.bytes.extend(line.bytes().chain([b'\n']));
                    }
                }
                staged.ends.push(staged.bytes.len() as u32);
            }
            Ok(staged)
        })
    }

    fn submit<'a>(&'a self, staged: StagedFile, file: &'a File) -> Answer<'a, String> {
        Box::pin(self.call("submit", async move {
            if self.flaw == Flaw::Refuses {
                self.remote().event("flaw");
                return Err(CallError::Problem(Problem::Fatal("never".to_owned())));
            }
            let text = std::fs::read(&staged.path).expect("the staged file");
            assert_eq!(text.len() as u64, file.bytes, "the staged file's length");
            let rows = text.strip_prefix(HEADER).expect("the header");
            let rows: Vec<_> = String::from_utf8_lossy(rows)
                .lines()
                .map(|line| serde_json::from_str(line).expect("a row"))
                .collect();
            assert_eq!(rows.len() as u64, file.rows, "the staged file's rows");
            let mut remote = self.remote();
            let luck = match remote.trouble {
                0 => 100,
                _ => remote.dice.below(100),
            };
            let (fails, gone) = (luck < 15, (15..25).contains(&luck));
            remote.event("submitted");
            remote.jobs.push(Job {
                rows,
                fails,
                gone,
                done: None,
            });
            // Who began a job is a version's own business.
            Ok(format!("{}:{}", self.component, remote.jobs.len() - 1))
        }))
    }

    fn poll<'a>(&'a self, token: &'a str) -> Answer<'a, ImportStatus> {
        Box::pin(self.call("poll", async move {
            let mut remote = self.remote();
            let (by, job) = token.split_once(':').expect("a token");
            if self.flaw == Flaw::Forgets && by != self.component {
                remote.event("token-unknown");
                return Err(CallError::Problem(Problem::Fatal("whose?".to_owned())));
            }
            let job: usize = job.parse().expect("a token");
            if remote.jobs[job].gone {
                remote.event("job-gone");
                return Err(CallError::Problem(Problem::Fatal("no such job".to_owned())));
            }
            let report = Report {
                message: "done".to_owned(),
                counts: Counts {
                    accepted: None,
                    created: None,
                    updated: None,
                    unchanged: None,
                    refused: None,
                },
                rows: vec![],
                extra: vec![],
            };
            // A job that is stuck is pending for as long as there is trouble.
            let stuck = remote.trouble > 0 && job % 5 == 3;
            if remote.jobs[job].done.is_none() && (stuck || remote.dice.percent(50)) {
                return Ok(ImportStatus::Pending(Progress {
                    message: "processing".to_owned(),
                    done: None,
                    total: None,
                }));
            }
            remote.work_up_to(job);
            Ok(match remote.jobs[job].done {
                Some(true) => ImportStatus::Succeeded(report),
                _ => ImportStatus::Failed(report),
            })
        }))
    }

    fn deliver<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Delivery> {
        let mut delivery = Delivery {
            rejected: vec![],
            retry: vec![],
            why: None,
            extra: vec![],
        };
        if matches!(self.flaw, Flaw::Rejects | Flaw::Stuck) {
            self.usage.call();
            let mut remote = self.remote();
            remote.calls += 1;
            remote.event("flaw");
            match self.flaw {
                Flaw::Rejects => delivery.rejected = (0..rows.len()).map(rejection).collect(),
                _ => {
                    delivery.retry = (0..rows.len() as u32).collect();
                    delivery.why = Some(Problem::Transient("later".to_owned()));
                }
            }
            return Box::pin(async {
                step().await;
                Ok(delivery)
            });
        }
        Box::pin(self.call("deliver", async move {
            if self.flaw == Flaw::Refuses && !rows.is_empty() {
                self.remote().event("flaw");
                return Err(CallError::Problem(Problem::Fatal("never".to_owned())));
            }
            for row in 0..rows.len() {
                // The program may die between two rows of one batch.
                step().await;
                let (member, content) = read(rows, row);
                let kind = rows.kind(row);
                let mut remote = self.remote();
                if self.flaw == Flaw::Traps && remote.dice.percent(30) {
                    remote.event("flaw");
                    return Err(trap("deliver"));
                }
                match content["deed"].as_str() {
                    "\"trap\"" => {
                        remote.event("trapped");
                        if rows.len() == 1 {
                            remote.model.refused(&member, kind, &content);
                        }
                        return Err(trap("deliver"));
                    }
                    "\"reject\"" => {
                        remote.model.refused(&member, kind, &content);
                        delivery.rejected.push(rejection(row));
                    }
                    _ => {
                        let again = remote.again;
                        if remote.dice.percent(again) {
                            remote.event("some-to-retry");
                            delivery.retry.push(row as u32);
                            let problem = Problem::Transient("busy".to_owned());
                            delivery.why = Some(problem);
                            if remote.dice.percent(50) {
                                continue;
                            }
                        }
                        remote.model.taken(&member, kind, &content);
                    }
                }
            }
            Ok(delivery)
        }))
    }
}

fn rejection(row: usize) -> Rejection {
    Rejection {
        row: row as u32,
        field: Some("deed".to_owned()),
        reason: "is bad".to_owned(),
    }
}

/// The kind of a change by its name in a source.
pub(super) fn kind(name: &str) -> Kind {
    match name {
        "enter" => Kind::Enter,
        "exit" => Kind::Exit,
        _ => Kind::Update,
    }
}
