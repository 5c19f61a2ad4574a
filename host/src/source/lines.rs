//! Lines of a file, and the position behind each.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::SourceError;

/// A profile has at most a megabyte; four leave room for how it is written.
pub(super) const LINE_LIMIT_BYTES: u64 = 4 << 20;

/// A place in a file, durable as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FilePosition {
    /// Bytes before it.
    pub offset: u64,
    /// Lines before it.
    pub line: u64,
    /// Which file it is a place in.
    device: u64,
    inode: u64,
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
    pub fn open(path: &Path, from: Option<&str>) -> Result<Self, SourceError> {
        let from: Option<FilePosition> =
            from.map(serde_json::from_str)
                .transpose()
                .map_err(|_| SourceError::Position {
                    path: path.to_owned(),
                })?;
        let read = |source| SourceError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        let (device, inode) = identity(&metadata);
        let position = from.unwrap_or(FilePosition {
            device,
            inode,
            ..FilePosition::default()
        });
        let changed = |what| SourceError::Changed {
            path: path.to_owned(),
            what,
            accepted: position.offset,
        };
        if (position.device, position.inode) != (device, inode) {
            return Err(changed("replaced"));
        }
        if metadata.len() < position.offset {
            return Err(changed("truncated"));
        }
        file.seek(SeekFrom::Start(position.offset)).map_err(read)?;
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
    pub fn stored_position(&self) -> String {
        serde_json::to_string(&self.position).expect("numbers are JSON")
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

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}
