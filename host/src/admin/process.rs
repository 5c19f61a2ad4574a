//! The process's own numbers, as the system counts them.

use std::time::Duration;

/// What the process takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub resident_bytes: Option<u64>,
    pub cpu: Duration,
    pub open_files: Option<u64>,
    pub most_files: Option<u64>,
}

impl Process {
    /// Now. Where the system has no `/proc` there is less to say.
    pub fn now() -> Self {
        let pages = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let files = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            resident_bytes: pages.map(|pages| pages * rustix::param::page_size() as u64),
            cpu: cpu.try_into().unwrap_or_default(),
            // One of them is the folder that was just read.
            open_files: files.map(|files| (files.count() as u64).saturating_sub(1)),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_time_and_files() {
        let file = std::fs::File::open("/proc/self/statm").unwrap();
        let now = Process::now();
        assert!(now.resident_bytes > Some(1 << 20), "{now:?}");
        assert!(now.cpu > Duration::ZERO, "{now:?}");
        assert!(now.open_files >= Some(4), "{now:?}");
        assert!(now.most_files > now.open_files, "{now:?}");
        drop(file);
    }
}
