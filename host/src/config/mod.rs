//! What the operator wrote, turned into what the program may rely on. Pure but for [`load`].
//!
//! One file a tenant: its authorizations and exports. Every mistake is collected with the place
//! where it stands, so that one run shows them all.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod load;
mod mistake;
mod model;
mod read;
mod tenant;

pub use load::load;
pub use mistake::{Mistake, Mistakes};
pub use model::{
    Authorization, ChangesFrom, Config, ExportConfig, Mapping, PluginSource, Secret, StdinResume,
    Tenant, Tuning, Which,
};

pub(crate) use mistake::nearest;
pub(crate) use model::PluginSpans;
