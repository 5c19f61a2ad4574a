//! What each version of an export's plugin uses.

use std::sync::{Arc, Mutex, PoisonError};

use super::Usage;

/// The bills of one export. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Bills(Arc<Mutex<Vec<Bill>>>);

/// One version's.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The plugin's name.
    pub plugin: String,
    /// Its version. Two builds that call themselves the same share a bill.
    pub version: String,
    /// What its calls are counted into.
    pub usage: Arc<Usage>,
}

impl Bills {
    /// What a version's calls are counted into.
    pub fn of(&self, plugin: &str, version: &str) -> Arc<Usage> {
        let mut bills = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |bill: &&Bill| bill.plugin == plugin && bill.version == version;
        if let Some(bill) = bills.iter().find(known) {
            return bill.usage.clone();
        }
        let bill = Bill {
            plugin: plugin.to_owned(),
            version: version.to_owned(),
            usage: Arc::default(),
        };
        let usage = bill.usage.clone();
        bills.push(bill);
        usage
    }

    /// All of them, in the order in which they were begun.
    pub fn all(&self) -> Vec<Bill> {
        let bills = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bills.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_the_same_version_share_a_bill_and_others_do_not() {
        let bills = Bills::default();
        let first = bills.of("p", "1");
        assert!(Arc::ptr_eq(&first, &bills.clone().of("p", "1")));
        assert!(!Arc::ptr_eq(&first, &bills.of("p", "2")));
        let versions: Vec<_> = bills.all().into_iter().map(|bill| bill.version).collect();
        assert_eq!(versions, ["1", "2"]);
    }
}
