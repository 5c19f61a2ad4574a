//! The log sink: a component's lines beside the host's own, cut and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::plugin::types::Level;

/// A line longer than this says nothing more to a person.
const LINE_BYTES: usize = 1024;

/// Lines that one call may write. A guest that wants more is talking to itself.
const LINES: u32 = 100;

/// Takes one instance's lines.
#[derive(Clone, Debug)]
pub struct LogSink {
    origin: Arc<str>,
    written: Arc<AtomicU32>,
}

impl LogSink {
    /// A sink whose lines name `origin`: the export and what is being called.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.into(),
            written: Arc::default(),
        }
    }

    /// Writes one line, if the allowance is not used up.
    pub(crate) fn write(&self, level: Level, message: &str) {
        match self.written.fetch_add(1, Ordering::Relaxed) {
            n if n < LINES => {}
            LINES => {
                tracing::warn!(export = %self.origin, "plugin wrote over {LINES} lines in one call; dropping the rest");
                return;
            }
            _ => return,
        }
        let message = tidy(message);
        let export = &self.origin;
        match level {
            Level::Debug => tracing::debug!(target: "plugin", %export, "{message}"),
            Level::Info => tracing::info!(target: "plugin", %export, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", %export, "{message}"),
            Level::Error => tracing::error!(target: "plugin", %export, "{message}"),
        }
    }
}

/// One line, of bounded length, without control characters that could forge another.
fn tidy(message: &str) -> String {
    let mut end = message.len().min(LINE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(tidy("a\r\nERROR forged\u{1b}[31m"), "a  ERROR forged [31m");
        assert_eq!(tidy(&"é".repeat(LINE_BYTES)).len(), LINE_BYTES);
    }
}
