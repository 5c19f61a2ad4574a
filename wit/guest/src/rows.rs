//! Reading a flat batch as rows of cells: authors never see offsets.

use crate::Batch;

/// What happened to a row's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Is in the audience: a row of the backfill.
    Scanned,
    /// Entered the audience.
    Entered,
    /// Changed while in the audience.
    Updated,
    /// Left the audience.
    Exited,
}

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The source said nothing: leave the destination's value alone.
    Absent,
    /// The source said that there is no value.
    Null,
    /// Any text.
    Text,
    /// Decimal digits, with `-` in front if negative.
    Integer,
    /// A JSON number that is no integer.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// RFC 3339 with offset.
    Timestamp,
    /// An array or object as JSON text.
    Json,
}

/// One cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text; empty for [`Kind::Absent`] and [`Kind::Null`].
    pub text: &'a str,
}

/// One member's row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its index in the batch, as rejections name it.
    pub index: u32,
    /// What happened to the member.
    pub change: Change,
    batch: &'a Batch,
    columns: usize,
}

impl<'a> Row<'a> {
    /// The cells, in the order of the mapping.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'a>> + use<'a> {
        let row = *self;
        (0..row.columns).map(move |column| row.cell(column))
    }

    /// The cell of one column. Panics where the mapping has no such column.
    pub fn cell(&self, column: usize) -> Cell<'a> {
        assert!(
            column < self.columns,
            "the mapping has {} columns",
            self.columns
        );
        let index = self.index as usize * self.columns + column;
        let start = match index {
            0 => 0,
            _ => self.batch.ends[index - 1] as usize,
        };
        Cell {
            kind: kind(self.batch.kinds[index]),
            text: &self.batch.cells[start..self.batch.ends[index] as usize],
        }
    }
}

/// The rows of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    batch: &'a Batch,
    columns: usize,
}

impl<'a> Rows<'a> {
    /// Reads a batch whose rows have `columns` cells, as many as the settings have columns.
    pub fn new(batch: &'a Batch, columns: usize) -> Self {
        Self { batch, columns }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batch.rows as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'a>> + use<'a> {
        let rows = *self;
        (0..rows.batch.rows).map(move |index| Row {
            index,
            change: change(rows.batch.changes[index as usize]),
            batch: rows.batch,
            columns: rows.columns,
        })
    }
}

fn change(code: u8) -> Change {
    match code {
        0 => Change::Scanned,
        1 => Change::Entered,
        3 => Change::Exited,
        _ => Change::Updated,
    }
}

fn kind(code: u8) -> Kind {
    match code {
        0 => Kind::Absent,
        1 => Kind::Null,
        3 => Kind::Integer,
        4 => Kind::Decimal,
        5 => Kind::Boolean,
        6 => Kind::Timestamp,
        7 => Kind::Json,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cells_of_every_kind_in_order() {
        let batch = Batch {
            rows: 2,
            cells: "añ1[2]true".to_owned(),
            ends: vec![3, 3, 4, 7, 11, 11],
            kinds: vec![2, 0, 3, 7, 5, 1],
            changes: vec![1, 3],
            extra: vec![],
        };
        let rows = Rows::new(&batch, 3);
        let read: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.change,
                    row.cells().map(|c| (c.kind, c.text)).collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                (
                    Change::Entered,
                    vec![(Kind::Text, "añ"), (Kind::Absent, ""), (Kind::Integer, "1")]
                ),
                (
                    Change::Exited,
                    vec![
                        (Kind::Json, "[2]"),
                        (Kind::Boolean, "true"),
                        (Kind::Null, "")
                    ]
                ),
            ]
        );
    }

    #[test]
    fn an_unknown_code_is_text_and_an_update() {
        let batch = Batch {
            rows: 1,
            cells: "x".to_owned(),
            ends: vec![1],
            kinds: vec![99],
            changes: vec![99],
            extra: vec![],
        };
        let row = Rows::new(&batch, 1).iter().next().unwrap();
        assert_eq!(
            (row.change, row.cell(0).kind),
            (Change::Updated, Kind::Text)
        );
    }
}
