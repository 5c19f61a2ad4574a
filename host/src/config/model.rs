//! What the program may rely on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::mistake::Source;
use crate::capability::http::{Addresses, Proxy, RouteGrant};
use crate::export::ExportSpec;
use crate::plugin::LoadLimits;
use crate::plugin::limits::Overrides;
use crate::registry::SigningKey;

/// Everything that a configuration directory says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tenants, by name, whose files hold no mistake.
    pub tenants: Vec<Tenant>,
    /// The tenants that were left out for the mistakes in their files.
    pub left_out: Vec<String>,
}

/// One tenant: one file.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The file's name without `.toml`.
    pub id: String,
    /// Its labelled credentials, by id.
    pub authorizations: BTreeMap<String, Authorization>,
    /// Its exports, in the order of the file.
    pub exports: Vec<ExportConfig>,
    pub(crate) source: Arc<Source>,
}

/// A labelled credential for one account of a destination.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The name that exports know it by.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// More of that.
    pub description: String,
    /// The component.
    pub plugin: PluginSource,
    /// Who must have signed it, and whatever else its exports run; if empty, nobody.
    pub signed_by: Vec<SigningKey>,
    /// One of the plugin's ways to prove who one is; its first, if not said.
    pub method: Option<String>,
    /// Another endpoint than the plugin's own.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be plain http.
    pub allow_http: bool,
    /// The addresses that it may reach besides public ones.
    pub allow_addresses: Addresses,
    /// The routes that the operator grants of those that the manifest asks for; all, if not said.
    pub routes: Option<Vec<RouteGrant>>,
    /// The proxy that its requests go through.
    pub proxy: Option<Proxy>,
    /// Requests that all its exports together may have under way.
    pub requests_in_flight: usize,
    /// What was turned of the plugin's limits, for exports that do not say otherwise.
    pub limits: Overrides,
    /// The limits of loading the plugin.
    pub load_limits: LoadLimits,
    /// Where the values of the credential come from, by the name that the plugin gives them.
    pub secrets: BTreeMap<String, Secret>,
    pub(crate) spans: AuthorizationSpans,
}

#[derive(Clone, Debug)]
pub(crate) struct AuthorizationSpans {
    pub whole: Range<usize>,
    pub plugin: PluginSpans,
    pub method: Range<usize>,
    pub endpoint: Range<usize>,
    pub secrets: BTreeMap<String, Range<usize>>,
    pub routes: Vec<Range<usize>>,
}

/// Which component runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginSource {
    /// Whatever is in a file.
    File(PathBuf),
    /// A version that the registry keeps.
    Kept {
        /// The plugin's name.
        name: String,
        /// Which of its versions.
        which: Which,
    },
}

/// One of the versions of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The one that calls itself so.
    Version(String),
    /// The one that a channel points at.
    Channel(String),
    /// The one with this SHA-256.
    Sha256(String),
}

/// Where a [`PluginSource`] stands: its name, and which version.
#[derive(Clone, Debug)]
pub(crate) struct PluginSpans {
    pub name: Range<usize>,
    pub which: Range<usize>,
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; white space around its content does not count.
    File {
        /// Where it is.
        path: PathBuf,
        /// Whether others on the machine may read it: containers mount secrets like that.
        shared: bool,
    },
    /// What a program writes to its standard output; white space around it does not count.
    Command {
        /// The program: a path, or a name that is looked for where programs are.
        program: PathBuf,
        /// What it is called with. Never shown.
        args: Vec<String>,
    },
    /// The configuration itself, which is warned about.
    Value(zeroize::Zeroizing<String>),
}

impl std::fmt::Display for PluginSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Kept { name, which } => match which {
                Which::Version(version) => write!(f, "{name} {version}"),
                Which::Channel(channel) => write!(f, "{name}, channel {channel}"),
                Which::Sha256(sha256) => write!(f, "{name}, SHA-256 {sha256}"),
            },
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File { path, .. } => write!(f, "File({})", path.display()),
            Self::Command { program, .. } => write!(f, "Command({}, …)", program.display()),
            Self::Value(_) => f.write_str("Value(…)"),
        }
    }
}

/// One audience through one authorization with one field mapping, as the operator wrote it.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// What it works under.
    pub spec: ExportSpec,
    /// More about it, for people.
    pub description: String,
    /// The authorization's id.
    pub authorization: String,
    /// Another component than the authorization's.
    pub plugin: Option<PluginSource>,
    pub(crate) spans: ExportSpans,
}

#[derive(Clone, Debug)]
pub(crate) struct ExportSpans {
    pub whole: Range<usize>,
    pub plugin: Option<PluginSpans>,
    pub fields: Range<usize>,
    pub columns: Vec<Range<usize>>,
    pub options: Range<usize>,
    pub option: BTreeMap<String, Range<usize>>,
    pub members: Range<usize>,
    pub changes: Range<usize>,
}

impl ExportConfig {
    /// The component that it runs: its own, or the authorization's.
    pub fn plugin<'c>(&'c self, authorization: &'c Authorization) -> &'c PluginSource {
        self.plugin.as_ref().unwrap_or(&authorization.plugin)
    }

    pub(crate) fn plugin_spans<'c>(&'c self, authorization: &'c Authorization) -> &'c PluginSpans {
        let own = self.spans.plugin.as_ref();
        own.unwrap_or(&authorization.spans.plugin)
    }
}

/// One mapped attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The name in the source; dots lead into objects where no such name exists.
    pub source: String,
    /// The name in the destination.
    pub destination: String,
}

/// Where changes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesFrom {
    /// An NDJSON file that grows. It may appear later.
    File(PathBuf),
    /// NDJSON on standard input.
    Stdin(StdinResume),
}

/// What standard input holds after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinResume {
    /// What comes next: whoever writes goes on where it was.
    Continue,
    /// Everything from the beginning: lines that were accepted before are passed over.
    Replay,
}

/// Numbers that an operator may turn; the defaults fit an ordinary account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Batches that are delivered side by side; a member is always in the same lane.
    pub lanes: u32,
    /// How long an import job may be pending before the export parks. The vendor speaks of an
    /// hour; a day leaves room for a bad one.
    pub import_timeout_minutes: u64,
    /// Bytes of a staged file, if below the plugin's own limit.
    pub staged_file_max_bytes: Option<u64>,
    /// Rows of a staged file, if below the plugin's own limit.
    pub staged_file_max_rows: Option<u64>,
    /// How large the log of waiting changes may get before the source has to wait: room for
    /// millions of changes, and no more of the disk than an operator expects one export to take.
    pub log_max_mib: u64,
    /// The share of batches that the candidate of a swap is given, in percent; more than half is half. A
    /// tenth shows what is wrong with it, and slows nobody down.
    pub canary_percent: u8,
    /// Batches that a candidate has to get through: enough that rates mean something.
    pub canary_batches: u32,
    /// How many of the calls that failed last are kept as captures. None, since taping every call costs
    /// memory and time.
    pub capture_failures: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            lanes: 4,
            import_timeout_minutes: 24 * 60,
            staged_file_max_bytes: None,
            staged_file_max_rows: None,
            log_max_mib: 1024,
            canary_percent: 10,
            canary_batches: 20,
            capture_failures: 0,
        }
    }
}
