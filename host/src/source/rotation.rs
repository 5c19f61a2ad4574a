//! Which file goes on where a position is, and which files were written after it.
//!
//! A writer that rotates renames the file of changes within its folder and makes a new one under
//! the old name. What was read of the old file is found again by device, inode and text, under
//! whatever name. It is read to its end only when a file after it holds something: until then its
//! writer may not have gone over yet. Whatever cannot be told for certain is an error.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Otherwise;
use super::SourceError;
use super::lines::{FilePosition, Known, LineReader, identity};

/// Where reading goes on.
pub(super) struct Place {
    pub reader: LineReader,
    /// The files that were written after this one and hold something, the oldest first. As long as
    /// there is one, this one does not grow any more.
    pub after: VecDeque<Sibling>,
}

/// A file in the folder of changes.
#[derive(Clone)]
pub(super) struct Sibling {
    path: PathBuf,
    identity: (u64, u64),
    bytes: u64,
    modified: SystemTime,
    /// Not every file system knows.
    created: Option<SystemTime>,
}

impl Sibling {
    fn of(path: PathBuf, metadata: &std::fs::Metadata) -> io::Result<Self> {
        Ok(Self {
            path,
            identity: identity(metadata),
            bytes: metadata.len(),
            modified: metadata.modified()?,
            created: metadata.created().ok(),
        })
    }

    fn name(&self) -> String {
        lossy(self.path.file_name())
    }

    /// Reads it from its beginning; `None` if another file has its name by now.
    pub fn begin(&self) -> Result<Option<LineReader>, SourceError> {
        match LineReader::begin(&self.path) {
            Ok(reader) => {
                let found = (reader.position.device, reader.position.inode);
                Ok((found == self.identity).then_some(reader))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SourceError::read(&self.path, source)),
        }
    }
}

/// Where to read on after what was accepted; `None` if nothing was, and there is no file yet.
pub(super) fn place(path: &Path, accepted: Option<&str>) -> Result<Option<Place>, SourceError> {
    let read = |source| SourceError::read(path, source);
    let alone = |reader| {
        Ok(Some(Place {
            reader,
            after: VecDeque::new(),
        }))
    };
    let Some(accepted) = accepted else {
        return match LineReader::begin(path) {
            Ok(reader) => alone(reader),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(read(error)),
        };
    };
    let position = parse(path, accepted)?;
    let what = match LineReader::resume(path, &position, Known::File).map_err(read)? {
        Ok(reader) => return alone(reader),
        Err(what) => what,
    };
    if matches!(what, Otherwise::Missing | Otherwise::Replaced) {
        // Twice: a folder that is read while a file in it is renamed may not show that file.
        for _ in 0..2 {
            if let Some(place) = rotated(path, &position)? {
                return Ok(Some(place));
            }
        }
        if let Ok(reader) = LineReader::resume(path, &position, Known::Text).map_err(read)? {
            return alone(reader);
        }
    }
    Err(SourceError::Changes {
        path: path.to_owned(),
        what,
        accepted: position.offset,
    })
}

/// A stored position.
pub(super) fn parse(path: &Path, accepted: &str) -> Result<FilePosition, SourceError> {
    serde_json::from_str(accepted).map_err(|_| SourceError::Position {
        path: path.to_owned(),
    })
}

/// Finds the file under another name.
fn rotated(path: &Path, position: &FilePosition) -> Result<Option<Place>, SourceError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let siblings = siblings(folder).map_err(|source| SourceError::read(folder, source))?;
    // Once a file is removed, any other may be given its number. Its text tells, if there is one.
    let certain = position.seen.is_some() && position.offset > 0;
    let source = lossy(path.file_name());
    let this = siblings.iter().find(|other| {
        other.identity == (position.device, position.inode)
            && (certain || other.name().starts_with(&source))
    });
    let Some(this) = this else {
        return Ok(None);
    };
    let open = || {
        LineReader::resume(&this.path, position, Known::File)
            .map_err(|source| SourceError::read(&this.path, source))
    };
    if open()?.is_err() {
        return Ok(None);
    }
    let after = written_after(path, this, &siblings, position.offset)?;
    // Only after that look at the others: if one of them holds something, this one is complete.
    let opened = open()?;
    Ok(opened.ok().map(|reader| Place { reader, after }))
}

fn siblings(folder: &Path) -> io::Result<Vec<Sibling>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                found.push(Sibling::of(entry.path(), &metadata)?);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The files that hold something and were written after `this` one, which was renamed, with the
/// present file as the last. In between are those whose names differ from its name in nothing but
/// digits, in the order of their last change. That order is believed only if nothing speaks
/// against it.
fn written_after(
    path: &Path,
    this: &Sibling,
    siblings: &[Sibling],
    accepted: u64,
) -> Result<VecDeque<Sibling>, SourceError> {
    let present = match std::fs::metadata(path) {
        Ok(metadata) => Some(
            Sibling::of(path.to_owned(), &metadata)
                .map_err(|source| SourceError::read(path, source))?,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(SourceError::read(path, source)),
    };
    let unclear = |other: &Sibling, why| SourceError::Order {
        path: path.to_owned(),
        rotated: this.name(),
        accepted,
        other: other.name(),
        why,
    };
    let source = lossy(path.file_name());
    let pattern = without_digits(&this.name());
    let mut between = vec![];
    for other in siblings {
        let known = [Some(this), present.as_ref()].into_iter().flatten();
        if other.bytes == 0
            || known
                .into_iter()
                .any(|known| known.identity == other.identity)
        {
            continue;
        }
        let alike = without_digits(&other.name()) == pattern;
        let newer = other.modified > this.modified;
        let made_later = other.created > this.created && this.created.is_some();
        match (alike, newer) {
            (true, true) => between.push(other.clone()),
            (true, false) if other.modified == this.modified => {
                return Err(unclear(other, "both were changed at the same time"));
            }
            (true, false) if made_later => {
                return Err(unclear(other, "it was made later, but changed earlier"));
            }
            (false, true) if other.name().starts_with(&source) => {
                return Err(unclear(other, "it is newer, and named in another way"));
            }
            _ => {}
        }
    }
    between.sort_by_key(|other| other.modified);
    let mut before = this;
    for next in &between {
        if next.modified == before.modified {
            return Err(unclear(next, "two files were changed at the same time"));
        }
        if next.created.is_some() && next.created < before.created {
            return Err(unclear(next, "it was changed later, but made earlier"));
        }
        before = next;
    }
    let mut after = VecDeque::from(between);
    after.extend(present.filter(|present| present.bytes > 0));
    Ok(after)
}

/// A name with each number as one `#`: what the rotated files of a source have in common.
fn without_digits(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        if !character.is_ascii_digit() {
            pattern.push(character);
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}

fn lossy(name: Option<&OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}
