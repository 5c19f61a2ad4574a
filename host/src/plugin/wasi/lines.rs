//! What a guest writes to its standard output and error: lines for the operator, under the same
//! bounds as those of the `log` capability. And its standard input: nothing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::ClosedInputStream;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::super::types::Level;
use crate::capability::LogSink;
use crate::usage::Usage;

/// What is kept of a line that has not ended: more than the sink takes of one.
const UNFINISHED_BYTES: usize = 2 << 10;

/// What a guest may write at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Standard output or error. Clones go on with each other's line, which ends with the last of them.
#[derive(Clone)]
pub struct Line(Arc<Inner>);

/// Standard input that has ended.
pub struct Nothing;

struct Inner {
    log: LogSink,
    usage: Arc<Usage>,
    level: Level,
    unfinished: Mutex<Unfinished>,
}

/// Cuts bytes into lines.
#[derive(Default)]
struct Unfinished(Vec<u8>);

impl Line {
    pub fn new(log: &LogSink, usage: &Arc<Usage>, level: Level) -> Self {
        Self(Arc::new(Inner {
            log: log.clone(),
            usage: usage.clone(),
            level,
            unfinished: Mutex::default(),
        }))
    }
}

impl Unfinished {
    /// Takes bytes, and hands out every line that they end. What exceeds a line's bound is dropped.
    fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = UNFINISHED_BYTES.saturating_sub(self.0.len());
            self.0.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                self.end(&mut line);
            }
        }
    }

    /// Hands out what there is of a line.
    fn end(&mut self, mut line: impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.0);
        if !text.trim().is_empty() {
            line(text.trim_end());
        }
        self.0.clear();
    }
}

impl Inner {
    fn say(&self, line: &str) {
        if let Err(limit) = self.log.write(self.level, line) {
            self.usage.line_dropped(limit);
        }
    }
}

/// The instance is gone: what it said last is a line, too.
impl Drop for Inner {
    fn drop(&mut self) {
        let unfinished = self.unfinished.get_mut();
        let mut last = std::mem::take(unfinished.unwrap_or_else(PoisonError::into_inner));
        last.end(|line| self.say(line));
    }
}

impl IsTerminal for Line {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Line {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// For other kinds of WASI than the one that is linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for Line {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Line {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Nobody else looks whether a guest keeps to what it was permitted, and no limit ends what is done
        // within one call of the host.
        if bytes.len() > CHUNK_BYTES {
            return Err(StreamError::trap("more was written than was permitted"));
        }
        let unfinished = self.0.unfinished.lock();
        let mut unfinished = unfinished.unwrap_or_else(PoisonError::into_inner);
        unfinished.push(&bytes, |line| self.0.say(line));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK_BYTES)
    }
}

impl IsTerminal for Nothing {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Nothing {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(ClosedInputStream)
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut unfinished, mut lines) = (Unfinished::default(), vec![]);
        for piece in pieces {
            unfinished.push(piece, |line| lines.push(line.to_owned()));
        }
        unfinished.end(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn bytes_become_lines_wherever_they_are_cut() {
        for (pieces, expected) in [
            (&[b"one\ntwo\n" as &[u8]][..], &["one", "two"][..]),
            (&[b"o", b"ne", b"\n", b"two"], &["one", "two"]),
            (&[b"\n\n  \none\r\n"], &["one"]),
            (&[b"z\xc3", b"\xab\n"], &["z\u{eb}"]),
            (&[b"\xff\n"], &["\u{fffd}"]),
            (&[], &[]),
        ] {
            assert_eq!(lines(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn no_more_is_taken_at_once_than_was_permitted() {
        let log = LogSink::keeping(&crate::plugin::Limits::default());
        let mut out = Line::new(&log, &Arc::default(), Level::Info);
        let permitted = out.check_write().unwrap();
        out.write(Bytes::from(vec![b'\n'; permitted])).unwrap();
        let error = out.write(Bytes::from(vec![b'\n'; permitted + 1]));
        assert!(matches!(error, Err(StreamError::Trap(_))), "{error:?}");
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_bound() {
        let mut unfinished = Unfinished::default();
        for _ in 0..1_000 {
            unfinished.push(&[b'x'; 1_000], |_| panic!("no line has ended"));
        }
        assert_eq!(unfinished.0.len(), UNFINISHED_BYTES);
        unfinished.push(b"x\nnext\n", |line| assert!(line.len() <= UNFINISHED_BYTES));
        assert!(unfinished.0.is_empty());
    }
}
