//! Rows on their way to a component: projected cells, encoded flat as `types.wit` says.

use super::types::Batch;

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A row of the backfill: is in the audience.
    Scan,
    /// Entered the audience.
    Enter,
    /// Changed while in the audience.
    Update,
    /// Left the audience.
    Exit,
}

impl Kind {
    /// The contract's code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Scan => 0,
            Self::Enter => 1,
            Self::Update => 2,
            Self::Exit => 3,
        }
    }

    /// The kind of a code that this host has stored.
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Scan,
            1 => Self::Enter,
            3 => Self::Exit,
            _ => Self::Update,
        }
    }
}

/// The contract's codes for what a cell is.
pub mod cell {
    #![allow(missing_docs, reason = "wit/0.2/types.wit says what each is")]
    pub const ABSENT: u8 = 0;
    pub const NULL: u8 = 1;
    pub const TEXT: u8 = 2;
    pub const INTEGER: u8 = 3;
    pub const DECIMAL: u8 = 4;
    pub const BOOLEAN: u8 = 5;
    pub const JSON: u8 = 7;
}

/// Rows of members, growing cell by cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows(Batch);

impl Default for Rows {
    fn default() -> Self {
        Self(Batch {
            rows: 0,
            cells: String::new(),
            ends: vec![],
            kinds: vec![],
            changes: vec![],
            extra: vec![],
        })
    }
}

impl Rows {
    /// Adds a cell to the row that is being built.
    pub fn cell(&mut self, kind: u8, text: &str) {
        self.0.cells.push_str(text);
        self.0.ends.push(self.0.cells.len() as u32);
        self.0.kinds.push(kind);
    }

    /// Completes the row.
    pub fn end_row(&mut self, change: Kind) {
        self.0.changes.push(change.code());
        self.0.rows += 1;
    }

    /// Takes back the cells of the row that is being built, of rows that have `columns` cells.
    pub(crate) fn abandon_row(&mut self, columns: usize) {
        let cells = self.0.changes.len() * columns;
        self.0.ends.truncate(cells);
        self.0.kinds.truncate(cells);
        self.0
            .cells
            .truncate(self.0.ends.last().map_or(0, |&end| end as usize));
    }

    /// How many rows are complete.
    pub fn len(&self) -> usize {
        self.0.changes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.changes.is_empty()
    }

    /// How many bytes of text there are.
    pub(crate) fn text_bytes(&self) -> usize {
        self.0.cells.len()
    }

    /// Rows `range` of these, which have `columns` cells each.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>, columns: usize) -> Self {
        let cells = range.start * columns..range.end * columns;
        let begin = match cells.start {
            0 => 0,
            index => self.0.ends[index - 1],
        };
        let ends: Vec<u32> = self.0.ends[cells.clone()]
            .iter()
            .map(|end| end - begin)
            .collect();
        let end = begin + ends.last().copied().unwrap_or(0);
        Self(Batch {
            rows: range.len() as u32,
            cells: self.0.cells[begin as usize..end as usize].to_owned(),
            ends,
            kinds: self.0.kinds[cells].to_vec(),
            changes: self.0.changes[range].to_vec(),
            extra: vec![],
        })
    }

    /// These rows of these, which have `columns` cells each.
    pub(crate) fn pick(&self, rows: &[usize], columns: usize) -> Self {
        let mut picked = Self::default();
        for &row in rows {
            self.row(row, columns)
                .for_each(|(kind, text)| picked.cell(kind, text));
            picked.end_row(Kind::from_code(self.0.changes[row]));
        }
        picked
    }

    /// The kinds and texts of one row's cells.
    pub(crate) fn row(&self, row: usize, columns: usize) -> impl Iterator<Item = (u8, &str)> {
        (row * columns..(row + 1) * columns).map(|index| {
            let begin = if index == 0 {
                0
            } else {
                self.0.ends[index - 1] as usize
            };
            (
                self.0.kinds[index],
                &self.0.cells[begin..self.0.ends[index] as usize],
            )
        })
    }

    /// What happened to a row's member.
    pub(crate) fn kind(&self, row: usize) -> Kind {
        Kind::from_code(self.0.changes[row])
    }

    /// As the contract wants it: rows of `columns` cells.
    pub(crate) fn batch(&self, columns: usize) -> &Batch {
        debug_assert_eq!(self.0.ends.len(), self.0.changes.len() * columns);
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::default();
        for (a, b) in [("a1", "b1"), ("", "é"), ("a3", "")] {
            rows.cell(cell::TEXT, a);
            rows.cell(cell::TEXT, b);
            rows.end_row(Kind::Scan);
        }
        rows
    }

    #[test]
    fn a_slice_holds_the_same_cells() {
        let all = rows();
        for range in [0..0, 0..1, 1..3, 2..3, 0..3] {
            let slice = all.slice(range.clone(), 2);
            assert_eq!(slice.len(), range.len());
            for (index, row) in range.enumerate() {
                assert!(slice.row(index, 2).eq(all.row(row, 2)));
            }
        }
    }

    #[test]
    fn picked_rows_hold_the_same_cells() {
        let all = rows();
        let picked = all.pick(&[2, 0], 2);
        assert_eq!(picked.len(), 2);
        assert!(picked.row(0, 2).eq(all.row(2, 2)) && picked.row(1, 2).eq(all.row(0, 2)));
        assert!(all.pick(&[], 2).is_empty());
    }

    #[test]
    fn an_abandoned_row_leaves_no_trace() {
        let mut half = rows();
        half.cell(cell::TEXT, "half");
        half.abandon_row(2);
        assert_eq!(half, rows());
    }
}
