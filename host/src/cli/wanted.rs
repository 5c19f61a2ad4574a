//! A capture that is wanted of a running export: asked for through its store, waited for, taken.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sluice::capture::{CallKind, Capture, folder};
use sluice::store::{CaptureOrder, OrderStage, Store};
use tokio::signal::unix::{SignalKind, signal};

use super::stores::now_ms;

/// Between two looks at the store: a person does not notice it.
const LOOK: Duration = Duration::from_millis(50);

/// A running export notices an order within half a second; whoever has not by now may not be there.
const NOTICED: Duration = Duration::from_secs(2);

/// Time for writing a capture, once its time is over.
const WRITTEN: Duration = Duration::from_secs(60);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub calls: u32,
    pub of: Vec<CallKind>,
    pub reveal: bool,
    pub patience: Duration,
}

/// An order that was handed over. Whatever happens, it is withdrawn in the end, and what came of it is
/// removed.
pub struct Order {
    export: String,
    store: Store,
    id: i64,
    directory: PathBuf,
    patience: Duration,
}

impl Order {
    /// Hands an order over to whoever works on the export.
    pub fn place(export: &str, directory: &Path, wanted: &Wanted) -> anyhow::Result<Self> {
        let store = Store::open_beside(directory)?;
        let now = now_ms();
        let patience = i64::try_from(wanted.patience.as_millis()).unwrap_or(i64::MAX);
        let order = CaptureOrder {
            calls: wanted.calls,
            of: wanted.of.clone(),
            reveal: wanted.reveal,
            until_ms: now.saturating_add(patience),
            stage: OrderStage::Wanted,
        };
        let id = store.order_capture(&order, now)?;
        Ok(Self {
            export: export.to_owned(),
            directory: directory.to_owned(),
            store,
            id,
            patience: wanted.patience,
        })
    }

    /// Waits for the capture; `Err` inside says why there is none.
    pub async fn taken(self) -> anyhow::Result<Result<Capture, String>> {
        let began = Instant::now();
        loop {
            let orders = self.store.capture_orders()?;
            let mine = orders.into_iter().find(|(id, _)| *id == self.id);
            let Some((_, Some(order))) = mine else {
                bail!("the order was withdrawn by somebody else; try again");
            };
            match order.stage {
                OrderStage::Done => {
                    return Ok(Ok(folder::read(&folder::asked(&self.directory, self.id))?));
                }
                OrderStage::Failed(why) => return Ok(Err(format!("{}: {why}", self.export))),
                OrderStage::Wanted if began.elapsed() > NOTICED && self.store.is_idle()? => {
                    return Ok(Err(format!(
                        "nothing runs export {}, so there is no call to capture; start `sluice run` first",
                        self.export
                    )));
                }
                OrderStage::Seen
                    if began.elapsed() > self.patience + NOTICED && self.store.is_idle()? =>
                {
                    return Ok(Err(format!(
                        "export {} has stopped before there was a capture",
                        self.export
                    )));
                }
                OrderStage::Wanted | OrderStage::Seen => {}
            }
            if began.elapsed() > self.patience + WRITTEN {
                return Ok(Err(format!(
                    "export {} runs and has not answered; try again",
                    self.export
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        // What cannot be withdrawn now is given up by the running process in a while.
        let _ = self.store.withdraw_captures(&[self.id]);
        folder::remove_asked(&self.directory, self.id);
    }
}

/// Does something unless a signal asks to stop, so that orders are withdrawn then as well.
pub async fn unless_stopped<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => bail!("stopped by SIGTERM; nothing was kept"),
        _ = interrupt.recv() => bail!("stopped; nothing was kept"),
    }
}
