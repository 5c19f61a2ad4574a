//! Lines of a file, and the position behind each.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Otherwise, SourceError};

/// A profile has at most a megabyte; four leave room for how it is written.
pub(super) const LINE_LIMIT_BYTES: u64 = 4 << 20;

/// What is remembered of a file's text, at its beginning and before the position: enough to tell
/// two files of changes apart, and little enough to be read again every time.
const SEEN_BYTES: u64 = 1 << 10;

/// A place in a file, durable as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FilePosition {
    /// Bytes before it.
    pub offset: u64,
    /// Lines before it.
    pub line: u64,
    /// Which file it is a place in.
    pub device: u64,
    pub inode: u64,
    /// A hash of the text at the file's beginning and just before the place: an inode may be given
    /// to another file, and a file may be written anew. Positions of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// By what a file is known again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is the same file, with the same text.
    File,
    /// It has the same text: the old file was put back.
    Text,
}

/// One line, or what is wrong with it.
pub(super) enum Line {
    /// Its text is in the buffer, without the line break.
    Text,
    /// Longer than any line may be; passed over.
    TooLong,
    /// The end of the file, for now.
    End,
}

/// Reads a file line by line from a position on.
pub(super) struct LineReader {
    path: PathBuf,
    reader: BufReader<File>,
    /// Behind the last line read.
    pub position: FilePosition,
    /// How long the file was when it was opened.
    pub length: u64,
}

impl LineReader {
    /// Reads a file from its beginning.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let (device, inode) = identity(&metadata);
        let position = FilePosition {
            device,
            inode,
            ..FilePosition::default()
        };
        Self::at(path, file, position, &metadata)
    }

    /// Reads on in a file, or answers what is there instead of it.
    pub fn resume(
        path: &Path,
        from: &FilePosition,
        known: Known,
    ) -> io::Result<Result<Self, Otherwise>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Otherwise::Missing));
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let (device, inode) = identity(&metadata);
        // What was read of it says nothing as long as that is nothing.
        let by_text = known == Known::Text && from.seen.is_some() && from.offset > 0;
        if (device, inode) != (from.device, from.inode) && !by_text {
            return Ok(Err(Otherwise::Replaced));
        }
        if metadata.len() < from.offset {
            return Ok(Err(Otherwise::Truncated {
                bytes: metadata.len(),
            }));
        }
        if from.seen.is_some() && seen(&mut file, from.offset)? != from.seen {
            return Ok(Err(Otherwise::Overwritten));
        }
        let position = FilePosition {
            device,
            inode,
            ..from.clone()
        };
        Self::at(path, file, position, &metadata).map(Ok)
    }

    fn at(
        path: &Path,
        mut file: File,
        position: FilePosition,
        metadata: &Metadata,
    ) -> io::Result<Self> {
        file.seek(SeekFrom::Start(position.offset))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(256 << 10, file),
            position,
            length: metadata.len(),
        })
    }

    /// Reads the next line into `buffer`. A last line without a line break counts only if
    /// `whole_file`: in a file that grows, the rest of it may be still to come.
    pub fn next(&mut self, buffer: &mut Vec<u8>, whole_file: bool) -> Result<Line, SourceError> {
        buffer.clear();
        let path = &self.path;
        let read = |source| SourceError::Read {
            path: path.clone(),
            source,
        };
        let mut limited = (&mut self.reader).take(LINE_LIMIT_BYTES + 1);
        let bytes = limited.read_until(b'\n', buffer).map_err(read)? as u64;
        if bytes == 0 {
            return Ok(Line::End);
        }
        if buffer.last() == Some(&b'\n') {
            self.position.offset += bytes;
            self.position.line += 1;
            buffer.pop();
            if buffer.last() == Some(&b'\r') {
                buffer.pop();
            }
            return Ok(Line::Text);
        }
        if bytes <= LINE_LIMIT_BYTES {
            if whole_file {
                self.position.offset += bytes;
                self.position.line += 1;
                return Ok(Line::Text);
            }
            // Read again from the line's beginning once there is more.
            self.reader
                .seek(SeekFrom::Start(self.position.offset))
                .map_err(read)?;
            return Ok(Line::End);
        }
        let mut skipped = bytes;
        loop {
            let rest = self.reader.fill_buf().map_err(read)?;
            if rest.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', rest);
            let step = end.map_or(rest.len(), |at| at + 1);
            self.reader.consume(step);
            skipped += step as u64;
            if end.is_some() {
                break;
            }
        }
        self.position.offset += skipped;
        self.position.line += 1;
        Ok(Line::TooLong)
    }

    /// The position behind the last line, as it is stored.
    pub fn into_position(mut self) -> io::Result<String> {
        let seen = seen(self.reader.get_mut(), self.position.offset)?;
        // Without it the file has just been truncated, and nothing of it may be accepted.
        let Some(seen) = seen else {
            return Err(io::Error::other("it was truncated while it was read"));
        };
        self.position.seen = Some(seen);
        Ok(serde_json::to_string(&self.position).expect("numbers and a text are JSON"))
    }

    /// The file's name for messages about a line of it.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// Half a SHA-256 over the text at the beginning and before a place; `None` if that much is not
/// there.
fn seen(file: &mut File, offset: u64) -> io::Result<Option<String>> {
    let bytes = offset.min(SEEN_BYTES);
    let mut hash = Sha256::new();
    for start in [0, offset - bytes] {
        let mut text = Vec::with_capacity(SEEN_BYTES as usize);
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(bytes).read_to_end(&mut text)?;
        if text.len() as u64 != bytes {
            return Ok(None);
        }
        hash.update(&text);
    }
    let hash = hash.finalize();
    Ok(Some(
        hash[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    ))
}

#[cfg(unix)]
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
pub(super) fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}
