//! Starting an export from a program instead of a configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::capability::Http;
use crate::capability::LogSink;
use crate::capability::http::{
    Account, Addresses, Credential, CredentialError, Egress, Endpoint, EndpointError, Gate,
    GateError, GrantError, Policy, RouteError,
};
use crate::config::{ChangesFrom, Mapping, Tuning};
use crate::export::{Export, ExportSpec};
use crate::plugin::{CallError, Grant, Limits, Plugin};
use crate::store::StoreError;

/// Requests that are under way at a time, if the program does not say.
const REQUESTS_IN_FLIGHT: usize = 16;

/// Why an export cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The endpoint is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// What was granted is no range of addresses.
    #[error(transparent)]
    Addresses(#[from] GrantError),
    /// A route of the plugin cannot be used with these options.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A secret is missing or unusable.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The plugin refused mapping or options.
    #[error(transparent)]
    Settings(#[from] CallError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Collects what an export needs. Made by [`Export::builder`].
pub struct Builder {
    plugin: Plugin,
    endpoint: Option<String>,
    allow_http: bool,
    allow_addresses: Vec<String>,
    secrets: BTreeMap<String, Zeroizing<String>>,
    spec: ExportSpec,
}

impl Export {
    /// An export through this plugin, named `tenant/id`; members are told apart by `user_id_field`.
    pub fn builder(plugin: Plugin, tenant: &str, id: &str, user_id_field: &str) -> Builder {
        Builder {
            plugin,
            endpoint: None,
            allow_http: false,
            allow_addresses: vec![],
            secrets: BTreeMap::new(),
            spec: ExportSpec {
                tenant: tenant.to_owned(),
                id: id.to_owned(),
                label: id.to_owned(),
                audience: id.to_owned(),
                user_id_field: user_id_field.to_owned(),
                fields: vec![],
                options: Map::new(),
                members: None,
                changes: None,
                tuning: Tuning::default(),
                limits: Limits::default(),
            },
        }
    }
}

impl Builder {
    /// Another endpoint than the plugin's own.
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.endpoint = Some(endpoint.to_owned());
        self
    }

    /// Grants plain http.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Grants addresses that are not public: a range like `127.0.0.0/8`, or one address.
    pub fn allow_addresses(mut self, range: &str) -> Self {
        self.allow_addresses.push(range.to_owned());
        self
    }

    /// One value of the credential. Kept in memory that is overwritten when it is given up.
    pub fn secret(mut self, name: &str, value: impl Into<String>) -> Self {
        self.secrets
            .insert(name.to_owned(), Zeroizing::new(value.into()));
        self
    }

    /// Maps a source field to a destination field. The order of calls is the order of columns.
    pub fn field(mut self, source: &str, destination: &str) -> Self {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        self.spec.fields.push(Mapping {
            source,
            destination,
        });
        self
    }

    /// One of the plugin's options.
    pub fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.spec.options.insert(name.to_owned(), value.into());
        self
    }

    /// The file with the whole audience. Without one there is no backfill.
    pub fn members(mut self, file: impl Into<PathBuf>) -> Self {
        self.spec.members = Some(file.into());
        self
    }

    /// A source of changes beside those that the program hands in.
    pub fn changes(mut self, from: ChangesFrom) -> Self {
        self.spec.changes = Some(from);
        self
    }

    /// Numbers that may be turned.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.spec.tuning = tuning;
        self
    }

    /// The bounds of the plugin.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.spec.limits = limits;
        self
    }

    /// Asks the plugin whether it accepts mapping and options, opens the store in `directory`, and
    /// starts to work, going on where an earlier run was.
    ///
    /// # Errors
    /// What is wrong, before anything was sent.
    pub async fn start(self, directory: &Path) -> Result<Export, BuildError> {
        let manifest = &self.plugin.manifest;
        let grant = Grant::none(LogSink::new(&self.spec.name(), &self.spec.limits));
        self.plugin
            .open(&self.spec.settings(), grant, self.spec.limits)
            .await?;
        let endpoint = self.endpoint.as_deref().unwrap_or(&manifest.endpoint);
        let endpoint = Endpoint::parse(endpoint, self.allow_http)?;
        let addresses = Addresses::granting(self.allow_addresses.iter().map(String::as_str))?;
        endpoint.granted_by(&addresses)?;
        let policy = Policy::new(endpoint, manifest, &self.spec.options)?;
        let credential = match manifest.auth_methods.first() {
            Some(method) => Credential::render(method, &self.secrets)?,
            None => return Err(CredentialError::Template("none".to_owned()).into()),
        };
        let account = Arc::new(Account::new(credential, REQUESTS_IN_FLIGHT));
        let gate = Gate::new(policy, account, Egress::new(addresses, None))?;
        let http = Http::Gate(Arc::new(gate.of(self.spec.name())));
        Ok(Export::start(self.spec, self.plugin, http, directory).await?)
    }
}
