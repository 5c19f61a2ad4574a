//! A checksum over who came to which end, which does not depend on the order in which they did.
//!
//! Lanes run side by side, and a crash repeats work: two runs over the same data settle members in
//! another order. So each row has a digest of its own, and those of one outcome are added up, modulo
//! 2^128: the sums are the same however the rows were interleaved, and differ if one row is
//! missing, is there twice, or came to another end. They guard against mistakes, not against an adversary.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, Transaction};
use sha2::{Digest as _, Sha256};

/// The digest of a row, or a sum of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Half of a SHA-256 over these parts, each with its length.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(u128::from_be_bytes(half))
    }

    /// One more.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// One less.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_be_bytes().to_vec().into())
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes: [u8; 16] = value
            .as_blob()?
            .try_into()
            .map_err(|_| FromSqlError::InvalidType)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

/// The outcomes that sums are kept of. What was superseded counts with what superseded it, so that
/// it does not matter which changes happened to wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// Delivered, or superseded by something newer.
    Settled,
    /// In quarantine.
    Quarantined,
    /// Dropped by a person.
    Dropped,
}

impl Sum {
    pub const ALL: [Self; 3] = [Self::Settled, Self::Quarantined, Self::Dropped];

    fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Quarantined => "quarantined",
            Self::Dropped => "dropped",
        }
    }
}

pub(super) fn sum(db: &rusqlite::Connection, of: Sum) -> rusqlite::Result<Digest> {
    let found = db
        .prepare_cached("SELECT digest FROM sums WHERE outcome = ?1")?
        .query_row([of.name()], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Changes one sum.
pub(super) fn change(
    tx: &Transaction<'_>,
    of: Sum,
    how: impl FnOnce(Digest) -> Digest,
) -> rusqlite::Result<()> {
    let (before, name) = (sum(tx, of)?, of.name());
    let after = how(before);
    if after == before {
        return Ok(());
    }
    tx.prepare_cached("INSERT INTO sums VALUES (?1, ?2) ON CONFLICT DO UPDATE SET digest = ?2")?
        .execute((name, after))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_depend_on_order_and_notices_every_difference() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|row| Digest::of(&[row]));
        assert_eq!(a.plus(b).plus(c), c.plus(a).plus(b));
        assert_eq!(a.plus(b).minus(b), a);
        for other in [a, a.plus(b).plus(b), a.plus(c), Digest::default()] {
            assert_ne!(other, a.plus(b));
        }
        assert_ne!(Digest::of(&[b"ab", b""]), Digest::of(&[b"a", b"b"]));
    }
}
