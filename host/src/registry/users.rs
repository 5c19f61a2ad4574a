//! Who uses which version.

use std::collections::{BTreeMap, BTreeSet};

use super::{Registry, RegistryError};
use crate::config::Config;

/// Exports, as `tenant/export`, by the SHA-256 of what they use.
pub type Users = BTreeMap<String, BTreeSet<String>>;

impl Registry {
    /// Who uses what is kept. What a tenant uses whose file holds a mistake is not known. Blocking.
    ///
    /// # Errors
    /// The disk's, or a file of the index that holds something else.
    pub fn in_use(&self, config: &Config) -> Result<Users, RegistryError> {
        let mut users = Users::new();
        for tenant in &config.tenants {
            for export in &tenant.exports {
                let Some(authorization) = tenant.authorizations.get(&export.authorization) else {
                    continue;
                };
                let entry = match self.resolve(export.plugin(authorization)) {
                    Ok(resolved) => resolved.entry,
                    // What is not kept is used by nobody.
                    Err(error) if error.is_unknown() => None,
                    Err(error) => return Err(error),
                };
                if let Some(entry) = entry {
                    let of_version = users.entry(entry.sha256).or_default();
                    of_version.insert(export.spec.name());
                }
            }
        }
        Ok(users)
    }
}
