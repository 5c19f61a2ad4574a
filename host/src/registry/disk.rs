//! The folder and its files: each is written beside its place, synced, and renamed, so that whoever
//! is killed at whatever step leaves the old file, the new one, or one that nobody looks at.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// A file that somebody has begun to write for longer than this will never be whole.
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

/// The file that is locked by whoever changes more than one file.
const LOCK: &str = ".lock";

/// Makes the folder for this user alone, if it is not there.
///
/// # Errors
/// The disk's, or others could put something there.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        // The data directory may be new as well.
        for folder in folder.ancestors().skip(1).take(2) {
            match sync(folder) {
                // Then it was not made by us.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
                result => result?,
            }
        }
    }
    only_mine(folder)
}

/// Writes a file into the folder, in the place of one of that name.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    sweep(folder)?;
    // Two threads of a process may write the same one.
    let half = format!(".{name}.{:016x}", rand::random::<u64>());
    let half = folder.join(half);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&half, folder.join(name))
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&half)))?;
    sync(folder)
}

/// Reads a file of the folder.
///
/// # Errors
/// The disk's, or it is a link or no file, or others could have written it or put it there.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;

    if let Some(folder) = path.parent()
        && folder.exists()
    {
        only_mine(folder)?;
    }
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nofollow)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    not_of_others(&metadata)?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes a file of the folder; one that is not there is gone already.
pub(super) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync(folder)),
    }
}

/// Marks a file as needed right now.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).open(path)?;
    file.set_modified(std::time::SystemTime::now())
}

/// Since when nobody has needed a file; nothing if that is not known.
pub(super) fn age(path: &Path) -> Option<Duration> {
    let touched = std::fs::symlink_metadata(path).ok()?.modified().ok()?;
    touched.elapsed().ok()
}

/// The names of the files in the folder, but for those that are half written. None, if there is no
/// folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    only_mine(folder)?;
    let mut names = vec![];
    for entry in entries {
        // What has another name is not ours.
        if let Ok(name) = entry?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Keeps other writers out for as long as what it answers lives. Whoever is killed holds nothing, and
/// readers never wait.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(LOCK))?;
    lock.lock()?;
    Ok(lock)
}

fn sync(folder: &Path) -> io::Result<()> {
    match folder.as_os_str().is_empty() {
        true => File::open(".")?.sync_all(),
        false => File::open(folder)?.sync_all(),
    }
}

/// Removes what a crash has left half written.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name != LOCK {
            // Another writer may have been faster.
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|written| written.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > HALF_WRITTEN) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}

fn only_mine(folder: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("it is no folder"));
    }
    not_of_others(&metadata)
}

/// What others can write is not what was kept. The superuser is nobody else: there is nothing that it
/// could not do anyway.
fn not_of_others(metadata: &std::fs::Metadata) -> io::Result<()> {
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::other(
            "others can write it; `chmod go-w` it, if what it holds is what you have put there",
        )),
    }
}
