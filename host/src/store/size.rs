//! How large the log is, and giving back what it does not need any more.

use super::{Store, StoreError};

/// Free pages of the database that are kept for what comes next; more go back to the disk.
const SPARE_PAGES: u64 = 4096;

impl Store {
    /// Bytes of the changes that wait, about as many as they take on disk. The database keeps the
    /// sum as they come and go.
    ///
    /// # Errors
    /// The database's.
    pub fn log_bytes(&self) -> Result<u64, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT bytes FROM log_size")?
                .query_row([], |row| row.get(0))
        })
    }

    /// Gives space back to the disk if there is much that nothing needs.
    ///
    /// # Errors
    /// The database's.
    pub fn trim(&self) -> Result<(), StoreError> {
        self.read(|db| {
            let free: u64 = db
                .prepare_cached("PRAGMA freelist_count")?
                .query_row([], |row| row.get(0))?;
            if free <= SPARE_PAGES {
                return Ok(());
            }
            // Each step of the pragma frees one page; it is done when it answers no more rows.
            let mut vacuum = db.prepare(&format!(
                "PRAGMA incremental_vacuum({})",
                free - SPARE_PAGES / 2
            ))?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
    }
}
