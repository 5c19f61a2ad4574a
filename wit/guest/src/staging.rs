//! Building the answer of `stage`.

use crate::{Rejection, Staged};

/// Collects the bytes of a staged file, row by row.
///
/// Write the header to [`Staging::bytes`] first where one is due, then call [`Staging::begin`];
/// for each row of the batch write its bytes and call [`Staging::accept`], or call
/// [`Staging::reject`], which takes back what was written for it.
#[derive(Debug, Default)]
pub struct Staging {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    start: u32,
    ends: Vec<u32>,
    rejected: Vec<Rejection>,
    identities: String,
    identity_ends: Vec<u32>,
    identity_rows: Vec<u32>,
}

impl Staging {
    /// Ends the header: the next byte is the first row's.
    pub fn begin(&mut self) {
        self.start = self.bytes.len() as u32;
    }

    /// Takes the bytes written since the row before as the next row, known by these identities.
    pub fn accept<'a>(&mut self, identities: impl IntoIterator<Item = &'a str>) {
        let row = self.ends.len() as u32;
        for identity in identities {
            self.identities.push_str(identity);
            self.identity_ends.push(self.identities.len() as u32);
            self.identity_rows.push(row);
        }
        self.ends.push(self.bytes.len() as u32);
    }

    /// Leaves the next row out, with the destination field at fault and the rule that it broke.
    pub fn reject(&mut self, field: Option<&str>, reason: &str) {
        let end = self.ends.last().copied().unwrap_or(self.start);
        self.bytes.truncate(end as usize);
        self.rejected.push(Rejection {
            row: self.ends.len() as u32,
            field: field.map(str::to_owned),
            reason: reason.to_owned(),
        });
        self.ends.push(end);
    }

    /// The answer.
    pub fn finish(self) -> Staged {
        Staged {
            bytes: self.bytes,
            start: self.start,
            ends: self.ends,
            rejected: self.rejected,
            identities: self.identities,
            identity_ends: self.identity_ends,
            identity_rows: self.identity_rows,
            extra: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_row_leaves_no_bytes_and_keeps_its_place() {
        let mut staging = Staging::default();
        staging.bytes.extend(b"email\n");
        staging.begin();
        staging.bytes.extend(b"a@b.c\n");
        staging.accept(["email:a@b.c", "id:1"]);
        staging.bytes.extend(b"half of a ro");
        staging.reject(Some("birthday"), "is not a date");
        staging.bytes.extend(b"d@e.f\n");
        staging.accept(["email:d@e.f"]);
        let staged = staging.finish();
        assert_eq!(staged.bytes, b"email\na@b.c\nd@e.f\n");
        assert_eq!((staged.start, staged.ends), (6, vec![12, 12, 18]));
        assert_eq!(staged.rejected[0].row, 1);
        assert_eq!(staged.identity_rows, [0, 0, 2]);
    }
}
