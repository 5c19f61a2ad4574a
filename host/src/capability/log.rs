//! The log sink: a component's lines beside the host's own, cut, and no more of them than a person
//! can read.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::plugin::Limits;
use crate::plugin::tidy;
use crate::plugin::types::Level;

/// A line longer than this says nothing more to a person.
const LINE_BYTES: usize = 1024;

/// Takes the lines of one export's plugin. Clones share what may be written.
#[derive(Clone)]
pub struct LogSink(Arc<Inner>);

struct Inner {
    origin: String,
    lines_per_second: u32,
    bytes_per_second: u32,
    lines: DefaultDirectRateLimiter,
    bytes: DefaultDirectRateLimiter,
    /// How often it is told that lines are dropped.
    warnings: DefaultDirectRateLimiter,
    /// Where lines are kept instead of being shown.
    kept: Option<Mutex<Vec<String>>>,
}

impl LogSink {
    /// A sink whose lines name `origin`: the export, or what is being called.
    pub fn new(origin: &str, limits: &Limits) -> Self {
        Self(Arc::new(Inner::new(origin, limits, None)))
    }

    /// A sink that shows nothing, for whoever wants to look at the lines.
    pub(crate) fn keeping(limits: &Limits) -> Self {
        let kept = Some(Mutex::default());
        Self(Arc::new(Inner::new("", limits, kept)))
    }

    /// The lines that were kept.
    pub(crate) fn kept(&self) -> Vec<String> {
        let kept = self.0.kept.iter();
        kept.flat_map(|lines| lines.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// Writes one line, if the allowance is not used up; else answers with the limit that it is over.
    pub(crate) fn write(&self, level: Level, message: &str) -> Result<(), &'static str> {
        let message = tidy::line(message, LINE_BYTES);
        if let Err(limit) = self.0.allows(message.len()) {
            if self.0.kept.is_none() && self.0.warnings.check().is_ok() {
                let Inner {
                    origin,
                    lines_per_second,
                    bytes_per_second,
                    ..
                } = &*self.0;
                tracing::warn!(
                    export = %origin,
                    "plugin writes more lines than its limits allow (`log_lines_per_second` = {lines_per_second}, \
                     `log_kib_per_second` = {}); dropping what is over",
                    bytes_per_second >> 10
                );
            }
            return Err(limit);
        }
        if let Some(kept) = &self.0.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(message);
            return Ok(());
        }
        let export = &self.0.origin;
        match level {
            Level::Debug => tracing::debug!(target: "plugin", %export, "{message}"),
            Level::Info => tracing::info!(target: "plugin", %export, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", %export, "{message}"),
            Level::Error => tracing::error!(target: "plugin", %export, "{message}"),
        }
        Ok(())
    }
}

impl Inner {
    fn new(origin: &str, limits: &Limits, kept: Option<Mutex<Vec<String>>>) -> Self {
        let quota = |per_second: u32| {
            let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(per_second))
        };
        // The longest line must fit, or none that long could ever be written.
        let bytes_per_second = limits.log_bytes_per_second.max(LINE_BYTES as u32);
        Self {
            origin: origin.to_owned(),
            lines_per_second: limits.log_lines_per_second,
            bytes_per_second,
            lines: quota(limits.log_lines_per_second),
            bytes: quota(bytes_per_second),
            warnings: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
            kept,
        }
    }

    fn allows(&self, bytes: usize) -> Result<(), &'static str> {
        let bytes = NonZeroU32::new(bytes as u32).unwrap_or(NonZeroU32::MIN);
        self.lines.check().map_err(|_| "log_lines_per_second")?;
        match self.bytes.check_n(bytes) {
            Ok(Ok(())) => Ok(()),
            _ => Err("log_kib_per_second"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_allowance_are_dropped_and_clones_share_it() {
        let few = LogSink::new(
            "t/e",
            &Limits {
                log_lines_per_second: 3,
                ..Limits::default()
            },
        );
        let clone = few.clone();
        let written = (0..1_000).filter(|n| {
            let sink = if n % 2 == 0 { &few } else { &clone };
            match sink.write(Level::Info, "a line") {
                Ok(()) => true,
                Err(limit) => {
                    assert_eq!(limit, "log_lines_per_second");
                    false
                }
            }
        });
        // Three at once; what a second brings anew is a few more on a slow machine, and no flood.
        assert!((3..100).contains(&written.count()));

        let short = LogSink::new(
            "t/e",
            &Limits {
                log_bytes_per_second: 2 << 10,
                ..Limits::default()
            },
        );
        let long = "x".repeat(LINE_BYTES * 2);
        assert_eq!(short.write(Level::Info, &long), Ok(()));
        assert_eq!(short.write(Level::Info, &long), Ok(()));
        let third = short.write(Level::Info, &long);
        assert_eq!(third, Err("log_kib_per_second"));
    }
}
