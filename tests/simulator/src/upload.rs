//! The multipart body of an import: read as a stream, its files spooled to disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use tokio::io::AsyncWriteExt;

use crate::config::{Config, Policy};
use crate::fields::{Catalogue, Target};

#[derive(Debug)]
pub(crate) struct Upload {
    pub files: Vec<FilePart>,
    pub fields: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct FilePart {
    /// The name of the part.
    pub entity: String,
    pub file_name: String,
    pub content_type: String,
    pub format: Format,
    pub bytes: u64,
    /// Without the header.
    pub rows: u64,
    /// Has no name on disk, so it goes with the process whatever happens.
    pub file: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    JsonLines,
}

#[derive(Debug)]
pub(crate) enum UploadError {
    Multipart(MultipartError),
    Spool(std::io::Error),
}

impl From<MultipartError> for UploadError {
    fn from(error: MultipartError) -> Self {
        Self::Multipart(error)
    }
}

impl From<std::io::Error> for UploadError {
    fn from(error: std::io::Error) -> Self {
        Self::Spool(error)
    }
}

pub(crate) async fn read(mut multipart: Multipart) -> Result<Upload, UploadError> {
    let mut upload = Upload {
        files: Vec::new(),
        fields: BTreeMap::new(),
    };
    while let Some(field) = multipart.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            upload.files.push(spool(name, field).await?);
        } else {
            upload.fields.insert(name, field.text().await?);
        }
    }
    Ok(upload)
}

async fn spool(entity: String, mut field: Field<'_>) -> Result<FilePart, UploadError> {
    let file_name = field.file_name().unwrap_or_default().to_owned();
    let content_type = field.content_type().unwrap_or_default().to_owned();
    let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
    let mut lines = LineCounter::default();
    let mut bytes = 0;
    while let Some(chunk) = field.chunk().await? {
        lines.feed(&chunk);
        bytes += chunk.len() as u64;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let (format, rows) = lines.finish();
    Ok(FilePart {
        entity,
        file_name,
        content_type,
        format,
        bytes,
        rows,
        file: file.into_std().await,
    })
}

/// Counts rows while they pass: line ends outside of quotes, blank lines not counted.
#[derive(Debug, Default)]
struct LineCounter {
    format: Option<Format>,
    quoted: bool,
    filled: bool,
    lines: u64,
}

impl LineCounter {
    fn feed(&mut self, chunk: &[u8]) {
        for byte in chunk {
            match byte {
                b'\n' if !self.quoted => {
                    self.lines += u64::from(self.filled);
                    self.filled = false;
                }
                b'\r' | b' ' => {}
                _ => {
                    self.filled = true;
                    let format = self.format.get_or_insert(if *byte == b'{' {
                        Format::JsonLines
                    } else {
                        Format::Csv
                    });
                    // A doubled quote opens and closes again, so counting is enough.
                    self.quoted ^= *byte == b'"' && *format == Format::Csv;
                }
            }
        }
    }

    fn finish(self) -> (Format, u64) {
        let lines = self.lines + u64::from(self.filled);
        match self.format.unwrap_or(Format::Csv) {
            Format::Csv => (Format::Csv, lines.saturating_sub(1)),
            Format::JsonLines => (Format::JsonLines, lines),
        }
    }
}

/// Why the request is no import job, in words for its answer.
pub(crate) fn check(
    upload: &mut Upload,
    config: &Config,
    catalogue: &Catalogue,
) -> Result<(), String> {
    let import_type = upload.fields.get("import_type").map(|word| word.trim());
    match import_type {
        None | Some("") => return Err("import_type is required".into()),
        Some(word)
            if !config.import_types.is_empty()
                && !config.import_types.iter().any(|known| known == word) =>
        {
            return Err(format!("import_type {word:?} is not known"));
        }
        Some(_) => {}
    }
    if upload.files.is_empty() {
        return Err("at least one file is required".into());
    }
    for part in &mut upload.files {
        if !config.entities.is_empty() && !config.entities.contains(&part.entity) {
            return Err(format!("entity {:?} is not known", part.entity));
        }
        if part.format == Format::Csv && part.entity == "users" {
            check_header(part, config, catalogue)?;
        }
    }
    Ok(())
}

fn check_header(part: &mut FilePart, config: &Config, catalogue: &Catalogue) -> Result<(), String> {
    let header = header(&mut part.file).map_err(|error| format!("header: {error}"))?;
    let columns: Vec<&str> = header.iter().collect();
    if columns.is_empty() {
        return Err("the file is empty".into());
    }
    for (i, column) in columns.iter().enumerate() {
        if column.chars().any(char::is_uppercase) {
            return Err(format!("header {column:?} must be in lower case"));
        }
        if columns[..i].contains(column) {
            return Err(format!("header {column:?} is there twice"));
        }
        match catalogue.target(column) {
            Target::Unknown if config.unknown_fields == Policy::Reject => {
                return Err(format!("column {column:?} is not known"));
            }
            Target::Undefined if config.undefined_attributes == Policy::Reject => {
                return Err(format!("column {column:?} is not a defined attribute"));
            }
            _ => {}
        }
    }
    for required in &config.required_columns {
        if !columns.contains(&required.as_str()) {
            return Err(format!("column {required:?} is required"));
        }
    }
    if !columns.contains(&"email") && !columns.contains(&"record_id") {
        return Err("a column email or record_id is required".into());
    }
    Ok(())
}

fn header(file: &mut File) -> Result<csv::StringRecord, csv::Error> {
    file.seek(SeekFrom::Start(0))?;
    csv::Reader::from_reader(file).headers().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> (Format, u64) {
        // Byte by byte, as the worst network would deliver it.
        let mut counter = LineCounter::default();
        for byte in text.as_bytes() {
            counter.feed(&[*byte]);
        }
        counter.finish()
    }

    #[test]
    fn rows_are_counted_without_header_blank_lines_and_quoted_line_ends() {
        assert_eq!(
            count("a,b\r\n1,\"x\ny\"\"\n\"\r\n\r\n2,3"),
            (Format::Csv, 2)
        );
        assert_eq!(count("{\"a\":\"\\\"\"}\n{}\n"), (Format::JsonLines, 2));
        assert_eq!(count(""), (Format::Csv, 0));
    }
}
