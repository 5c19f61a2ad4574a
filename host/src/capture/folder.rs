//! Captures on the disk: in a folder of their export's, readable by its owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::{Capture, CaptureError, LONGEST_FILE};

/// Bytes of all captures of failed calls of one export.
const KEPT_BYTES: u64 = 64 << 20;

/// What captures of failed calls begin with, and those that somebody waits for.
const FAILED: &str = "failed-";
const ASKED: &str = "asked-";

/// A capture of a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub at: SystemTime,
}

/// Where an export's captures lie.
pub fn of(export: &Path) -> PathBuf {
    export.join("captures")
}

/// The capture that an order leads to.
pub fn asked(export: &Path, order: i64) -> PathBuf {
    of(export).join(format!("{ASKED}{order}.ndjson"))
}

/// Reads a capture, from wherever it is.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(path: &Path) -> Result<Capture, CaptureError> {
    let disk = |source| CaptureError::Disk {
        path: path.to_owned(),
        source,
    };
    // Opening a pipe would wait for whoever writes into it.
    if !std::fs::metadata(path).map_err(disk)?.is_file() {
        return Err(disk(io::Error::other("it is no file")));
    }
    let file = File::open(path).map_err(disk)?;
    let mut bytes = vec![];
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(disk)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(CaptureError::Large);
    }
    Capture::read(&bytes)
}

/// Whether a capture may be written there.
///
/// # Errors
/// Why not, and what to do.
pub fn may_write(path: &Path, over: bool) -> Result<(), &'static str> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err("it is no file's name; name one with --output"),
    };
    if !folder.is_dir() {
        return Err("its folder is not there; make it, or name another file with --output");
    }
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => Err("it is a folder; name a file with --output"),
        Ok(_) if over => Ok(()),
        Ok(_) => Err("it is there already; name another with --output, or use --force"),
    }
}

/// Writes a file that only its owner can read: whole, or not at all.
///
/// # Errors
/// The disk's.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let half = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        let _ = std::fs::remove_file(&half);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&half, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&half)))
}

/// The captures of failed calls, the oldest first.
///
/// # Errors
/// The disk's.
pub fn kept(export: &Path) -> io::Result<Vec<Kept>> {
    let mut found = vec![];
    for (name, path) in names(&of(export))? {
        if name.starts_with(FAILED) {
            let metadata = match std::fs::metadata(&path) {
                // It made room for a newer one meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            found.push(Kept {
                path,
                bytes: metadata.len(),
                at: metadata.modified()?,
            });
        }
    }
    // By name, which begins with the time and counts on.
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Removes what an order has led to, once it was taken or is not wanted any more.
pub fn remove_asked(export: &Path, order: i64) {
    // What cannot be removed now is swept later.
    let _ = std::fs::remove_file(asked(export, order));
}

/// Writes what somebody waits for.
pub(super) fn write_asked(export: &Path, order: i64, bytes: &[u8]) -> io::Result<()> {
    make(&of(export))?;
    write(&asked(export, order), bytes)
}

/// Keeps the capture of a failed call, and no more than `most` of them: the oldest go.
pub(super) fn keep_failed(export: &Path, bytes: &[u8], now_ms: i64, most: usize) -> io::Result<()> {
    make(&of(export))?;
    let mut number = 0;
    let path = loop {
        let path = of(export).join(format!("{FAILED}{now_ms:014}-{number:03}.ndjson"));
        match path.exists() {
            false => break path,
            true => number += 1,
        }
    };
    write(&path, bytes)?;
    keep_only(export, most.max(1))
}

/// Keeps so many captures of failed calls, and no more bytes than they may take: the oldest go. One that takes
/// more by itself stays, as the only one.
fn keep_only(export: &Path, most: usize) -> io::Result<()> {
    let mut all = kept(export)?;
    let mut size: u64 = all.iter().map(|kept| kept.bytes).sum();
    while all.len() > most || (size > KEPT_BYTES && all.len() > 1) {
        let oldest = all.remove(0);
        size -= oldest.bytes;
        std::fs::remove_file(oldest.path)?;
    }
    Ok(())
}

/// Before anything is written: what was half written when a process was killed goes, and what is more than is
/// kept now. Nobody else writes here, since a store has one process that works on it.
pub(super) fn begin(export: &Path, most: usize) -> io::Result<()> {
    for (name, path) in names(&of(export))? {
        if name.starts_with('.') {
            std::fs::remove_file(path)?;
        }
    }
    keep_only(export, most)
}

/// Removes what nobody waits for any more.
pub(super) fn sweep(export: &Path, waited_for: &[i64]) -> io::Result<()> {
    let wanted: Vec<PathBuf> = waited_for
        .iter()
        .map(|order| asked(export, *order))
        .collect();
    for (name, path) in names(&of(export))? {
        if name.starts_with(ASKED) && !wanted.contains(&path) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn names(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let name = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ))
    };
    entries.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names_in(export: &Path) -> Vec<String> {
        let mut names: Vec<_> = names(&of(export))
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        names.sort();
        names
    }

    #[test]
    fn of_failed_calls_the_last_ones_are_kept_and_are_nobody_elses_to_read() {
        let export = tempfile::tempdir().unwrap();
        for number in 0..5 {
            keep_failed(export.path(), b"x", 7 + number / 2, 3).unwrap();
        }
        assert_eq!(
            names_in(export.path()),
            [
                "failed-00000000000008-000.ndjson",
                "failed-00000000000008-001.ndjson",
                "failed-00000000000009-000.ndjson"
            ]
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&of(export.path())), 0o700);
        for kept in kept(export.path()).unwrap() {
            assert_eq!(mode(&kept.path), 0o600);
        }
    }

    #[test]
    fn what_nobody_waits_for_and_what_was_half_written_is_swept() {
        let export = tempfile::tempdir().unwrap();
        write_asked(export.path(), 1, b"x").unwrap();
        write_asked(export.path(), 2, b"x").unwrap();
        keep_failed(export.path(), b"x", 7, 3).unwrap();
        // Of a process that had this one's number, as in a container.
        let half = format!(".asked-3.ndjson.{}", std::process::id());
        std::fs::write(of(export.path()).join(half), b"half").unwrap();
        begin(export.path(), 1).unwrap();
        sweep(export.path(), &[2]).unwrap();
        assert_eq!(
            names_in(export.path()),
            ["asked-2.ndjson", "failed-00000000000007-000.ndjson"]
        );
        // With `capture_failures` gone, so are they.
        begin(export.path(), 0).unwrap();
        assert_eq!(names_in(export.path()), ["asked-2.ndjson"]);
    }

    #[test]
    fn a_file_that_is_no_capture_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join("nothing"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("nothing"), "{missing}");
        assert!(
            read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("no file")
        );
    }
}
