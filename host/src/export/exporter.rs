//! The plugin as the work on an export calls it: each call in a fresh instance.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::spec::ExportSpec;
use crate::capability::{Http, LogSink, StagedFile};
use crate::plugin::flat::Rows;
use crate::plugin::types::{Delivery, File, ImportStatus, Manifest, Settings, Staged};
use crate::plugin::{CallError, Grant, Limits, Plugin, Session, Turns};
use crate::usage::Usage;

/// What a call answers.
pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// The functions of the contract's `exporter`, once it is open.
pub(super) trait Exporter: Send + Sync + 'static {
    /// What it says of itself.
    fn manifest(&self) -> &Manifest;
    /// The SHA-256 of the component.
    fn component(&self) -> &str;
    /// Proves endpoint and credential.
    fn check(&self) -> Answer<'_, ()>;
    /// Turns rows into bytes of the staged file.
    fn stage<'a>(&'a self, rows: &'a Rows, offset: u64) -> Answer<'a, Staged>;
    /// Starts an import job; answers its token.
    fn submit<'a>(&'a self, staged: StagedFile, file: &'a File) -> Answer<'a, String>;
    /// Asks what became of an import job.
    fn poll<'a>(&'a self, token: &'a str) -> Answer<'a, ImportStatus>;
    /// Sends changes.
    fn deliver<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Delivery>;
}

/// A component in its sandbox, with its way to the destination.
pub(super) struct Sandboxed {
    pub plugin: Plugin,
    pub http: Http,
    settings: Settings,
    limits: Limits,
    log: LogSink,
    turns: Turns,
    usage: Arc<Usage>,
}

impl Sandboxed {
    pub fn new(spec: &ExportSpec, plugin: Plugin, http: Http) -> Self {
        Self {
            plugin,
            http,
            settings: spec.settings(),
            limits: spec.limits,
            usage: Arc::default(),
            log: LogSink::new(&spec.name(), &spec.limits),
            turns: Turns::default(),
        }
    }

    async fn session(&self, staged: Option<StagedFile>) -> Result<Session, CallError> {
        let grant = Grant {
            http: self.http.clone(),
            log: self.log.clone(),
            staged,
            turns: self.turns.clone(),
            usage: self.usage.clone(),
        };
        self.plugin.open(&self.settings, grant, self.limits).await
    }
}

impl Exporter for Sandboxed {
    fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    fn component(&self) -> &str {
        &self.plugin.inspection.sha256
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async { self.session(None).await?.check().await })
    }

    fn stage<'a>(&'a self, rows: &'a Rows, offset: u64) -> Answer<'a, Staged> {
        Box::pin(async move { self.session(None).await?.stage(rows, offset).await })
    }

    fn submit<'a>(&'a self, staged: StagedFile, file: &'a File) -> Answer<'a, String> {
        Box::pin(async move { self.session(Some(staged)).await?.submit(file).await })
    }

    fn poll<'a>(&'a self, token: &'a str) -> Answer<'a, ImportStatus> {
        Box::pin(async move { self.session(None).await?.poll(token).await })
    }

    fn deliver<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Delivery> {
        Box::pin(async move { self.session(None).await?.deliver(rows).await })
    }
}
