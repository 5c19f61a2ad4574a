//! Changes as NDJSON, from a file that grows or from standard input.
//!
//! One line, one change: `{"change":"enter|update|exit","at":"…","audience":"…","user":{…}}`.
//! `at` and `audience` may be missing; a line for another audience is passed over.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::SourceError;
use super::lines::{LINE_LIMIT_BYTES, Line, LineReader};
use super::members::too_long;
use super::project::{Projection, Unreadable, unreadable};
use super::rotation::{Place, parse, place};
use crate::blocking::blocking;
use crate::config::{ChangesFrom, StdinResume};
use crate::plugin::flat::Kind;
use crate::store::{Digest, Incoming, Quarantined};

/// Lines that are accepted in one transaction: one sync for all of them.
const CHUNK_LINES: usize = if cfg!(test) { 3 } else { 1000 };

/// Bytes after which no more lines are added to those of one transaction: a thousand usual lines
/// are far below, a thousand of the longest would be gigabytes of memory.
const CHUNK_BYTES: u64 = 8 << 20;

/// How often a file that grows is looked at. A person does not notice it, and a disk neither.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What was read in one go.
#[derive(Debug, Default)]
pub struct Changes {
    /// The lines.
    pub incoming: Vec<Incoming>,
    /// The position behind them.
    pub position: String,
    /// Whether there is nothing more for now.
    pub at_end: bool,
    /// Whether there will never be more.
    pub closed: bool,
}

/// Where changes come from.
pub enum ChangeSource {
    /// A file that grows.
    File(PathBuf),
    /// Standard input.
    Stdin(Stdin),
}

impl ChangeSource {
    /// The source that the operator named. `accepted` is the stored position.
    pub fn open(from: &ChangesFrom, accepted: Option<&str>) -> Self {
        match from {
            ChangesFrom::File(path) => Self::File(path.clone()),
            ChangesFrom::Stdin(resume) => Self::Stdin(Stdin::start(*resume, accepted)),
        }
    }

    /// The name under which positions of this source are stored.
    pub fn stream(&self) -> &'static str {
        match self {
            Self::File(_) => "changes",
            Self::Stdin(_) => "stdin",
        }
    }

    /// Reads what is there, after `accepted`; waits a moment if there is nothing. Safe to drop:
    /// what was not answered will be answered again.
    ///
    /// # Errors
    /// The file cannot be read, or is not the one that the position is in.
    pub async fn read(
        &mut self,
        accepted: Option<&str>,
        line: &LineFormat,
    ) -> Result<Changes, SourceError> {
        match self {
            Self::File(path) => {
                let (path, accepted, line) =
                    (path.clone(), accepted.map(str::to_owned), line.clone());
                blocking(move || read_file(&path, accepted.as_deref(), &line)).await
            }
            Self::Stdin(stdin) => Ok(stdin.read(line).await),
        }
    }

    /// Waits until it is worth looking again.
    pub async fn wait(&self) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What a line is read by.
#[derive(Clone, Debug)]
pub struct LineFormat {
    /// The mapped attributes.
    pub projection: Arc<Projection>,
    /// The audience whose changes are meant.
    pub audience: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    change: Cow<'a, str>,
    #[serde(borrow, default)]
    at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    audience: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: &'a RawValue,
}

impl LineFormat {
    /// Reads one line; `None` if it is about another audience or empty.
    pub(super) fn read(&self, line: &[u8], position: &str) -> Option<Incoming> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        self.change(line, position)
            .unwrap_or_else(|error| Some(bad(line, position, &error)))
    }

    fn change(&self, line: &[u8], position: &str) -> Result<Option<Incoming>, Unreadable> {
        let text = std::str::from_utf8(line).map_err(|_| Unreadable("is not UTF-8".to_owned()))?;
        let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| {
            let Unreadable(reason) = unreadable(&error);
            Unreadable(format!(
                "{reason}; expected {{\"change\":…,\"user\":{{…}}}}"
            ))
        })?;
        if wire
            .audience
            .as_ref()
            .is_some_and(|audience| **audience != *self.audience)
        {
            return Ok(None);
        }
        let kind = match &*wire.change {
            "enter" => Kind::Enter,
            "update" => Kind::Update,
            "exit" => Kind::Exit,
            _ => {
                return Err(Unreadable(
                    "has a `change` other than enter, update, exit".to_owned(),
                ));
            }
        };
        let member = self.projection.member(wire.user.get())?;
        Ok(Some(Incoming::Change {
            payload: self.projection.payload(&member),
            member: member.key,
            kind,
            at: wire.at.map(Cow::into_owned),
            position: position.to_owned(),
        }))
    }
}

fn bad(line: &[u8], position: &str, error: &Unreadable) -> Incoming {
    Incoming::Bad(Quarantined {
        position: position.to_owned(),
        member: None,
        kind: None,
        field: None,
        reason: format!("the line {error}"),
        payload: Some(String::from_utf8_lossy(line).into_owned()),
        digest: Digest::of(&[b"line", line]),
    })
}

pub(super) fn read_file(
    path: &Path,
    accepted: Option<&str>,
    format: &LineFormat,
) -> Result<Changes, SourceError> {
    let mut changes = Changes::default();
    let Some(Place {
        mut reader,
        mut after,
    }) = place(path, accepted)?
    else {
        // It may appear later.
        changes.at_end = true;
        return Ok(changes);
    };
    let mut buffer = Vec::new();
    let mut bytes = 0;
    while changes.incoming.len() < CHUNK_LINES && bytes < CHUNK_BYTES {
        let before = reader.position.offset;
        // What another file has followed does not grow any more.
        let line = reader.next(&mut buffer, !after.is_empty())?;
        bytes += reader.position.offset - before;
        let position = || format!("{}:{}", reader.name(), reader.position.line);
        match line {
            Line::Text => changes.incoming.extend(format.read(&buffer, &position())),
            Line::TooLong => changes
                .incoming
                .push(bad(&buffer, &position(), &too_long())),
            Line::End => match after.pop_front() {
                None => {
                    changes.at_end = true;
                    break;
                }
                Some(next) => match next.begin()? {
                    Some(next) => reader = next,
                    // Renamed meanwhile: it is found again the next time.
                    None => break,
                },
            },
        }
    }
    changes.position = reader
        .into_position()
        .map_err(|source| SourceError::read(path, source))?;
    Ok(changes)
}

/// How a file of changes can be taken up anew after its source was found in disorder.
#[derive(Debug)]
pub struct Anew {
    /// How much of the old file was accepted: bytes and lines.
    pub accepted: Option<(u64, u64)>,
    /// The position before the present file; `None` if there is none yet.
    pub position: Option<String>,
}

/// Looks whether a file of changes can be read on; if not, answers where to begin anew.
///
/// # Errors
/// The present file cannot be read.
pub fn anew(path: &Path, accepted: &str) -> Result<Option<Anew>, SourceError> {
    match place(path, Some(accepted)) {
        Ok(_) => return Ok(None),
        Err(error @ SourceError::Read { .. }) => return Err(error),
        Err(_) => {}
    }
    let position = match LineReader::begin(path).and_then(LineReader::into_position) {
        Ok(position) => Some(position),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(SourceError::read(path, source)),
    };
    let accepted = parse(path, accepted).ok();
    Ok(Some(Anew {
        accepted: accepted.map(|accepted| (accepted.offset, accepted.line)),
        position,
    }))
}

/// A line, `None` if it was too long, and its share of the bytes that may wait.
type Waiting = (Option<Vec<u8>>, OwnedSemaphorePermit);

/// Standard input, read by a thread of its own, since nothing can interrupt such a read.
pub struct Stdin {
    lines: mpsc::Receiver<Waiting>,
    accepted: u64,
    skip: u64,
    closed: bool,
}

impl Stdin {
    fn start(resume: StdinResume, accepted: Option<&str>) -> Self {
        let accepted = accepted.and_then(|lines| lines.parse().ok()).unwrap_or(0);
        let (sender, lines) = mpsc::channel(CHUNK_LINES);
        let runtime = tokio::runtime::Handle::current();
        let room = Arc::new(Semaphore::new(CHUNK_BYTES as usize));
        std::thread::spawn(move || {
            let mut input = std::io::stdin().lock();
            loop {
                let mut line = Vec::new();
                let mut limited = (&mut input).take(LINE_LIMIT_BYTES + 1);
                match limited.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let whole = line.last() == Some(&b'\n') || line.len() as u64 <= LINE_LIMIT_BYTES;
                if !whole && input.skip_until(b'\n').is_err() {
                    return;
                }
                let share = room.clone().acquire_many_owned(line.len() as u32);
                let Ok(share) = runtime.block_on(share) else {
                    return;
                };
                if sender
                    .blocking_send((whole.then_some(line), share))
                    .is_err()
                {
                    return;
                }
            }
        });
        let skip = if resume == StdinResume::Replay {
            accepted
        } else {
            0
        };
        let accepted = if resume == StdinResume::Replay {
            0
        } else {
            accepted
        };
        Self {
            lines,
            accepted,
            skip,
            closed: false,
        }
    }

    async fn read(&mut self, format: &LineFormat) -> Changes {
        let mut changes = Changes::default();
        let mut lines = Vec::new();
        if !self.closed {
            tokio::select! {
                // Waiting is cancel-safe, and nothing is lost between here and the answer.
                n = self.lines.recv_many(&mut lines, CHUNK_LINES) => self.closed = n == 0,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        for (line, _share) in lines {
            self.accepted += 1;
            if self.accepted <= self.skip {
                continue;
            }
            let position = format!("stdin:{}", self.accepted);
            match line {
                Some(line) => changes.incoming.extend(format.read(&line, &position)),
                None => changes.incoming.push(bad(b"", &position, &too_long())),
            }
        }
        changes.at_end = changes.incoming.is_empty();
        changes.closed = self.closed;
        changes.position = self.accepted.max(self.skip).to_string();
        changes
    }
}
