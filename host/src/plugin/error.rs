//! Why a component could not be loaded, or a call did not answer.

use std::path::PathBuf;

use crate::registry::Unsigned;

/// Why a file is not a plugin that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("plugin {path}: cannot read the file: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("plugin {path}: expected a WebAssembly component, found {found}")]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        found: String,
    },
    /// A component, but none of ours.
    #[error(
        "plugin {path}: the component does not export `sluice:sink/exporter`, so it is no \
         destination; build it against the contract in wit/"
    )]
    NotADestination {
        /// The file.
        path: PathBuf,
    },
    /// A destination for another host.
    #[error(
        "plugin {path}: built for contract sluice:sink@{found}; this host serves {supported}. {remedy}"
    )]
    OtherContract {
        /// The file.
        path: PathBuf,
        /// The versions that it was built for.
        found: String,
        /// The versions that this host serves.
        supported: String,
        /// Which sluice serves it, as far as that is known, and what else can be done.
        remedy: String,
    },
    /// It wants more than the contract.
    #[error(
        "plugin {path}: imports {import}, which this host does not give; a plugin may import {given}"
    )]
    ForeignImport {
        /// The file.
        path: PathBuf,
        /// The first such import.
        import: String,
        /// What may be imported.
        given: &'static str,
    },
    /// The component does not fit the contract's types.
    #[error("plugin {path}: does not fit the contract sluice:sink@{version}: {reason}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The version that it says it was built for.
        version: String,
        /// What does not fit.
        reason: String,
    },
    /// What should be its signature cannot be read.
    #[error("plugin {path}: cannot read its signature {signature}: {why}")]
    Signature {
        /// The file.
        path: PathBuf,
        /// Where its signature should be.
        signature: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Nobody has signed it whose plugins may run.
    #[error(
        "plugin {path}: {unsigned}. It runs only with a minisign signature by one of: {keys}; expected \
         it in {signature}"
    )]
    Unsigned {
        /// The file.
        path: PathBuf,
        /// Where its signature should be.
        signature: PathBuf,
        /// Whose signature would do, and who asks for it.
        keys: String,
        /// What is wrong.
        unsigned: Unsigned,
    },
    /// It would take more than it was granted.
    #[error("plugin {path}: loading it ran into its limit `{limit}` = {value}: {found}")]
    Limit {
        /// The file.
        path: PathBuf,
        /// The key by which an operator turns it.
        limit: &'static str,
        /// Its value, in the key's unit.
        value: u64,
        /// What was found.
        found: String,
    },
    /// The compiler crashed on it.
    #[error(
        "plugin {path}: the compiler gave up on it ({ended}); the file is damaged or made to do that. \
         Build it anew from sources that you trust"
    )]
    Compiler {
        /// The file.
        path: PathBuf,
        /// How the compiler ended.
        ended: String,
    },
    /// The compiler's process could not be started.
    #[error("plugin {path}: the process that compiles it cannot be run: {source}")]
    NoCompiler {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The component could not say who it is.
    #[error("plugin {path}: {source}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: CallError,
    },
    /// What it says of itself makes no sense.
    #[error("plugin {path}: its manifest is not usable: {reason}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What was found and expected.
        reason: String,
    },
}

/// Why a call of a component did not answer. The instance is gone in every case.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// It trapped: a panic, an out-of-bounds access, a broken promise of the guest language.
    #[error("`{call}` trapped: {reason}")]
    Trap {
        /// The function of the contract.
        call: &'static str,
        /// The trap, without any guest data.
        reason: String,
    },
    /// It ran into one of its limits.
    #[error("{0}")]
    Limit(Reached),
    /// It answered something that the contract rules out.
    #[error("`{call}` broke the contract: {reason}")]
    Contract {
        /// The function of the contract.
        call: &'static str,
        /// The promise that it broke.
        reason: String,
    },
    /// It answered with a decision.
    #[error("{}", describe(.0))]
    Problem(super::types::Problem),
}

/// A limit that a call ran into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{call}` ran into its limit `{limit}` = {value}: {found}")]
pub struct Reached {
    /// The function of the contract.
    pub call: &'static str,
    /// The key by which an operator turns it.
    pub limit: &'static str,
    /// Its value, in the key's unit.
    pub value: u64,
    /// What was asked for or done.
    pub found: String,
}

impl Reached {
    /// Whether the rows may be at fault, so that others fare better. How long the destination takes
    /// is no fault of a row.
    pub fn by_rows(&self) -> bool {
        !["wall_seconds", "upload_wall_seconds"].contains(&self.limit)
    }
}

/// A problem in a sentence.
pub(crate) fn describe(problem: &super::types::Problem) -> String {
    use super::types::Problem;
    match problem {
        Problem::InvalidSettings(findings) => {
            let all: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
            format!("invalid settings: {}", all.join("; "))
        }
        Problem::Unauthorized(message) => format!("the credential was refused: {message}"),
        Problem::Throttled(throttle) => format!("too many requests: {}", throttle.message),
        Problem::Transient(message) | Problem::Fatal(message) => message.clone(),
    }
}
