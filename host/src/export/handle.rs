//! A running export, as the program that embeds it sees it.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::context::Context;
use super::ingest;
use super::machine::{Reason, State};
use super::meters::Meters;
use super::observe::Observer;
use super::versions::{Versions, Wanted};
use crate::plugin::flat::Kind;
use crate::source::Unreadable;
use crate::store::{Incoming, Ledger, Store, StoreError};
use crate::usage::cpu::on_behalf;

/// Why an export does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A change that was handed in is none. Nothing of the call was accepted.
    #[error("change {index}: the user {reason}")]
    Change {
        /// Which change of the call.
        index: usize,
        /// What is wrong with it.
        reason: Unreadable,
    },
    /// The export waits for a person.
    #[error("export {export} is parked: {reason}")]
    Parked {
        /// Which export.
        export: String,
        /// What is to be done.
        reason: Reason,
    },
    /// The export was stopped while something waited for it.
    #[error("export {export} was stopped")]
    Stopped {
        /// Which export.
        export: String,
    },
}

/// A change of one member, handed in by the embedding program.
#[derive(Clone, Debug)]
pub struct Change {
    kind: Kind,
    user: serde_json::Value,
    at: Option<String>,
}

impl Change {
    /// The member entered the audience.
    pub fn enter(user: serde_json::Value) -> Self {
        Self {
            kind: Kind::Enter,
            user,
            at: None,
        }
    }

    /// The member changed while in the audience.
    pub fn update(user: serde_json::Value) -> Self {
        Self {
            kind: Kind::Update,
            user,
            at: None,
        }
    }

    /// The member left the audience.
    pub fn exit(user: serde_json::Value) -> Self {
        Self {
            kind: Kind::Exit,
            user,
            at: None,
        }
    }

    /// When it happened, as RFC 3339. Kept for people; order is the order of arrival.
    pub fn at(self, at: impl Into<String>) -> Self {
        Self {
            at: Some(at.into()),
            ..self
        }
    }
}

/// Proof that changes are durable. Dropping it means nothing: they are delivered all the same.
#[derive(Clone, Debug)]
pub struct Receipt {
    members: Vec<String>,
}

/// How an export has ended.
#[derive(Debug)]
pub enum Ended {
    /// It was asked to; everything is on disk.
    Stopped,
    /// Its store failed; it must not go on.
    Failed(StoreError),
}

/// A running export. Dropping it stops it without waiting for batches that are under way.
pub struct Export {
    pub(super) context: Arc<Context>,
    pub(super) driver: JoinHandle<Result<(), StoreError>>,
    pub(super) ingest: Option<JoinHandle<Result<(), StoreError>>>,
    pub(super) ended: watch::Receiver<bool>,
}

impl Export {
    /// Its name: tenant and export.
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// Where it is; `None` until it has read its store.
    pub fn state(&self) -> Option<State> {
        self.context.meters.state()
    }

    /// What it is doing right now.
    pub fn meters(&self) -> Arc<Meters> {
        self.context.meters.clone()
    }

    /// What may be seen of it from outside, for as long as anybody likes.
    pub fn observer(&self) -> Observer {
        Observer {
            tenant: self.context.spec.tenant.clone(),
            id: self.context.spec.id.clone(),
            bills: self.context.bills.clone(),
            shown: self.context.versions.shown(),
            meters: self.context.meters.clone(),
            directory: self.context.store.directory().to_owned(),
            ended: self.ended.clone(),
        }
    }

    /// Which versions of its plugin it runs.
    pub fn versions(&self) -> Versions {
        self.context.versions.versions()
    }

    /// Says what is wanted of its versions. It is on disk when this returns, and taken up at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn want_version(&self, wanted: Wanted) -> Result<(), StoreError> {
        let now = self.context.now_ms();
        let store = &self.context.store;
        store
            .run(move |store| store.want_version(&wanted, now))
            .await?;
        self.context.versions.tell();
        Ok(())
    }

    /// Its counts.
    ///
    /// # Errors
    /// The store's.
    pub async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.context.store.run(Store::ledger).await
    }

    /// Accepts changes: they are on disk when this returns. A newer change of a member takes the
    /// place of one that still waits. Waits itself while the log is as large as it may get.
    ///
    /// # Errors
    /// One of them is no change, or the store refused; then none was accepted.
    pub async fn append(&self, changes: Vec<Change>) -> Result<Receipt, ExportError> {
        let mut members = vec![];
        let mut incoming = vec![];
        for (index, change) in changes.into_iter().enumerate() {
            let error = |reason| ExportError::Change { index, reason };
            let raw = to_raw_value(&change.user).expect("a JSON value is JSON");
            let projection = &self.context.projection;
            let member = projection.member(raw.get()).map_err(error)?;
            members.push(member.key.clone());
            incoming.push(Incoming::Change {
                payload: projection.payload(&member),
                member: member.key,
                kind: change.kind,
                at: change.at,
                position: "handed in".to_owned(),
            });
        }
        let context = self.context.clone();
        if !ingest::room(&context).await? {
            return Err(ExportError::Stopped {
                export: context.name.clone(),
            });
        }
        let appended = self.context.store.run(move |store| {
            let now = context.now_ms();
            store.append(
                &incoming,
                &context.together,
                None,
                context.by().names(),
                now,
            )
        });
        on_behalf(&self.context.usage, appended).await?;
        self.context.bump();
        Ok(Receipt { members })
    }

    /// Waits until every change of a receipt has come to its end: delivered, superseded by a newer
    /// one that was delivered, or in quarantine.
    ///
    /// # Errors
    /// The export is parked or stopped, or its store failed.
    pub async fn settled(&self, receipt: &Receipt) -> Result<(), ExportError> {
        let members = Arc::new(receipt.members.clone());
        self.until(async |context, _| {
            let members = members.clone();
            context
                .store
                .run(move |store| Ok(!store.any_waiting(&members)?))
                .await
        })
        .await
    }

    /// Waits until the backfill is done and what had waited for it is delivered.
    ///
    /// # Errors
    /// The export is parked or stopped, or its store failed.
    pub async fn until_live(&self) -> Result<(), ExportError> {
        self.until(async |_, state| Ok(*state == State::Live)).await
    }

    /// Waits until it is live, its changes source has nothing more for now, and nothing waits.
    ///
    /// # Errors
    /// The export is parked or stopped, or its store failed.
    pub async fn until_idle(&self) -> Result<(), ExportError> {
        self.until(async |context, state| {
            // In this order: what the source had before its end is in the line by now.
            let at_end = *context.source_at_end.borrow();
            Ok(*state == State::Live && at_end && context.store.run(Store::line).await?.is_none())
        })
        .await
    }

    /// Waits until it has ended by itself, which only a failing store makes it do. A parked export
    /// has not ended: it goes on accepting changes.
    ///
    /// # Errors
    /// It has ended.
    pub async fn until_ended(&self) -> Result<(), ExportError> {
        let mut ended = self.ended.clone();
        // An error means that the driver is gone, which is an end, too.
        let _ = ended.wait_for(|ended| *ended).await;
        Err(ExportError::Stopped {
            export: self.context.name.clone(),
        })
    }

    async fn until(
        &self,
        mut reached: impl AsyncFnMut(&Context, &State) -> Result<bool, StoreError>,
    ) -> Result<(), ExportError> {
        let mut activity = self.context.activity.listen();
        let mut at_end = self.context.source_at_end.subscribe();
        let mut ended = self.ended.clone();
        loop {
            activity.note();
            at_end.borrow_and_update();
            let export = || self.context.name.clone();
            if let Some(state) = self.state() {
                if let State::Parked { reason, .. } = state {
                    return Err(ExportError::Parked {
                        export: export(),
                        reason,
                    });
                }
                if reached(&self.context, &state).await? {
                    return Ok(());
                }
            }
            if *ended.borrow_and_update() {
                return Err(ExportError::Stopped { export: export() });
            }
            tokio::select! {
                biased;
                changed = ended.changed() => if changed.is_err() {
                    return Err(ExportError::Stopped { export: export() });
                },
                () = activity.heard() => {}
                _ = at_end.changed() => {}
            }
        }
    }

    /// Asks it to stop. Batches that are under way are finished.
    pub fn request_stop(&self) {
        self.context.stop.cancel();
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Ended {
        let driver = (&mut self.driver).await;
        self.context.stop.cancel();
        let ingest = match self.ingest.take() {
            Some(ingest) => ingest.await,
            None => Ok(Ok(())),
        };
        for result in [driver, ingest] {
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Ended::Failed(error),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        if let Some(capturing) = self.context.exporter().capturing() {
            capturing.settle().await;
        }
        // Nothing is counted any more.
        self.context.fall_due(self.context.now_ms());
        match self.context.store.run(Store::keep_usage).await {
            Ok(()) => Ended::Stopped,
            Err(error) => Ended::Failed(error),
        }
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(self) -> Ended {
        self.request_stop();
        self.ended().await
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.context.stop.cancel();
    }
}
