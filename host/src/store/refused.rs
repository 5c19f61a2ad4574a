//! Finding the rows of a staged file by their numbers or identities, once a destination has refused them.

use std::collections::HashSet;
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
    /// By which of the wanted identities it was found.
    pub identities: Vec<Identity>,
    /// What stands there.
    pub text: Vec<u8>,
}

/// Which rows of a file are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By their numbers, from 1, ascending.
    pub numbers: Vec<u64>,
    /// By what the destination knows their members by.
    pub identities: HashSet<Identity>,
}

/// Where one of them stands.
struct Place {
    number: u64,
    member: Identity,
    identities: Vec<Identity>,
    begin: u64,
    length: u64,
    by_number: bool,
}

impl Place {
    fn is_wanted(&self) -> bool {
        self.by_number || !self.identities.is_empty()
    }
}

impl Store {
    /// These rows of a completed file, in their order. Rows that are not there are left out.
    /// Works until the last import job has ended.
    ///
    /// # Errors
    /// The database's or the disk's.
    pub fn file_lines(&self, file: &FileRow, wanted: &Wanted) -> Result<Vec<FileLine>, StoreError> {
        let places = self.read(|db| {
            // A row's first identity is the host's own. Rows that were cut out are not counted,
            // and those behind them have moved forward.
            let mut rows = db.prepare(
                "SELECT start, end, hash, EXISTS (SELECT 1 FROM cuts WHERE cuts.file = ?1
                                                      AND cuts.start = identities.start)
                 FROM identities WHERE file = ?1 ORDER BY start, rowid",
            )?;
            let mut rows = rows.query([file.number])?;
            let mut numbers = wanted.numbers.iter().copied().peekable();
            let (mut places, mut number, mut cut_away, mut seen) = (vec![], 0, 0, None);
            let mut place: Option<Place> = None;
            let mut unseen = wanted.identities.len();
            while let Some(row) = rows.next()? {
                let (start, end, hash, cut): (u64, u64, Identity, bool) = row.try_into()?;
                if seen.replace(start) == Some(start) {
                    if let Some(place) = &mut place
                        && wanted.identities.contains(&hash)
                    {
                        place.identities.push(hash);
                        unseen = unseen.saturating_sub(1);
                    }
                    continue;
                }
                places.extend(place.take().filter(Place::is_wanted));
                if numbers.peek().is_none() && unseen == 0 {
                    break;
                }
                if cut {
                    cut_away += end - start;
                    continue;
                }
                number += 1;
                place = Some(Place {
                    number,
                    member: hash,
                    identities: vec![],
                    begin: start - cut_away,
                    length: end - start,
                    by_number: numbers.next_if_eq(&number).is_some(),
                });
            }
            places.extend(place.filter(Place::is_wanted));
            Ok(places)
        })?;
        let path = self.staged_path(&file.name);
        let read = || -> std::io::Result<Vec<_>> {
            let mut file = File::open(&path)?;
            places
                .into_iter()
                .map(|place| {
                    let mut text = vec![0; place.length as usize];
                    file.seek(SeekFrom::Start(place.begin))?;
                    file.read_exact(&mut text)?;
                    Ok(FileLine {
                        number: place.number,
                        member: place.member,
                        identities: place.identities,
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
