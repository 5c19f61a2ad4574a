//! Takes the rows of a spooled file into the account.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::sync::Mutex;

use serde::Serialize;

use crate::account::{Account, Manner, Refusal};
use crate::config::Config;
use crate::fields::{Catalogue, Target};
use crate::row::{self, Row};
use crate::upload::Format;

/// The account is locked once for so many rows, so that live requests get in between.
const ROWS_PER_LOCK: usize = 256;

#[derive(Clone, Debug, Serialize)]
pub struct RowError {
    /// From 1, without the header.
    pub row: u64,
    pub message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub rows: u64,
    pub refused: u64,
    /// The first of them.
    pub errors: Vec<RowError>,
}

pub(crate) struct Import<'a> {
    pub account: &'a Mutex<Account>,
    pub config: &'a Config,
    pub manner: Manner,
}

impl Import<'_> {
    pub(crate) fn take(&self, mut file: File, format: Format) -> anyhow::Result<Taken> {
        file.seek(SeekFrom::Start(0))?;
        let catalogue = crate::lock(self.account).catalogue();
        let mut batch = Batch {
            import: self,
            rows: Vec::with_capacity(ROWS_PER_LOCK),
            taken: Taken::default(),
        };
        match format {
            Format::Csv => batch.csv(file, &catalogue)?,
            Format::JsonLines => batch.json_lines(file, &catalogue)?,
        }
        batch.apply();
        Ok(batch.taken)
    }
}

struct Batch<'a> {
    import: &'a Import<'a>,
    rows: Vec<(u64, Result<Row, Refusal>)>,
    taken: Taken,
}

impl Batch<'_> {
    fn csv(&mut self, file: File, catalogue: &Catalogue) -> anyhow::Result<()> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let columns: Vec<(String, Target)> = reader
            .headers()?
            .iter()
            .map(|name| (name.to_owned(), catalogue.target(name)))
            .collect();
        let mut account = crate::lock(self.import.account);
        for (name, _) in &columns {
            account.saw(name);
        }
        drop(account);
        let mut record = csv::StringRecord::new();
        loop {
            let row = match reader.read_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => row::from_csv(&columns, self.import.config, &record),
                Err(error) if error.is_io_error() => return Err(error.into()),
                Err(error) => Err(Refusal::Invalid(error.to_string())),
            };
            self.push(row);
        }
    }

    fn json_lines(&mut self, file: File, catalogue: &Catalogue) -> anyhow::Result<()> {
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row = match serde_json::from_slice::<serde_json::Value>(&line) {
                Ok(user) => {
                    if let Some(user) = user.as_object() {
                        let mut account = crate::lock(self.import.account);
                        row::names(user).iter().for_each(|name| account.saw(name));
                    }
                    row::from_json(catalogue, self.import.config, &user)
                }
                Err(error) => Err(Refusal::Invalid(format!("no JSON: {error}"))),
            };
            self.push(row);
        }
        Ok(())
    }

    fn push(&mut self, row: Result<Row, Refusal>) {
        self.taken.rows += 1;
        let n = self.taken.rows;
        let injected = self
            .import
            .config
            .row_error_every
            .is_some_and(|every| n.is_multiple_of(every.get()));
        let row = if injected {
            Err(Refusal::Invalid(
                "this row was refused on the test's wish".into(),
            ))
        } else {
            row
        };
        self.rows.push((n, row));
        if self.rows.len() == ROWS_PER_LOCK {
            self.apply();
        }
    }

    fn apply(&mut self) {
        let mut account = crate::lock(self.import.account);
        for (n, row) in self.rows.drain(..) {
            let done = row.and_then(|row| account.upsert(row, self.import.manner));
            if let Err(refusal) = done {
                self.taken.refused += 1;
                if self.taken.errors.len() < self.import.config.row_errors_shown {
                    self.taken.errors.push(RowError {
                        row: n,
                        message: refusal.message().to_owned(),
                    });
                }
            }
        }
    }
}
