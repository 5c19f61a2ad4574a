//! Finding the rows of a staged file by their numbers, once a destination has refused them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::files::FileRow;
use super::scan::Identity;
use super::{Store, StoreError};

/// One row of a staged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// Which row, from 1.
    pub number: u64,
    /// Whose: the hash of the member's own key.
    pub member: Identity,
    /// What stands there.
    pub text: Vec<u8>,
}

impl Store {
    /// These rows of a completed file; `numbers` ascend. Rows that are not there are left out.
    /// Works until the last import job has ended.
    ///
    /// # Errors
    /// The database's or the disk's.
    pub fn file_lines(&self, file: &FileRow, numbers: &[u64]) -> Result<Vec<FileLine>, StoreError> {
        let places = self.read(|db| {
            // A row's first identity is the host's own. Rows that were cut out are not counted,
            // and those behind them have moved forward.
            let mut rows = db.prepare(
                "SELECT start, end, hash, EXISTS (SELECT 1 FROM cuts WHERE cuts.file = ?1
                                                      AND cuts.start = identities.start)
                 FROM identities WHERE file = ?1 ORDER BY start, rowid",
            )?;
            let mut rows = rows.query([file.number])?;
            let mut wanted = numbers.iter().copied().peekable();
            let (mut places, mut number, mut cut_away, mut seen) = (vec![], 0, 0, None);
            while let (Some(row), Some(&next)) = (rows.next()?, wanted.peek()) {
                let (start, end, member, cut): (u64, u64, Identity, bool) = row.try_into()?;
                if seen.replace(start) == Some(start) {
                    continue;
                }
                if cut {
                    cut_away += end - start;
                    continue;
                }
                number += 1;
                if number == next {
                    places.push((number, member, start - cut_away, end - start));
                    wanted.next();
                }
            }
            Ok(places)
        })?;
        let path = self.staged_path(&file.name);
        let read = || -> std::io::Result<Vec<_>> {
            let mut file = File::open(&path)?;
            places
                .iter()
                .map(|&(number, member, start, length)| {
                    let mut text = vec![0; length as usize];
                    file.seek(SeekFrom::Start(start))?;
                    file.read_exact(&mut text)?;
                    Ok(FileLine {
                        number,
                        member,
                        text,
                    })
                })
                .collect()
        };
        read().map_err(|source| StoreError::Disk {
            path: path.clone(),
            source,
        })
    }
}
