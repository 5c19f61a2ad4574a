//! What a running export does about captures: nothing, until somebody wants one or failed calls are to be
//! kept. Then calls are taped, and what came of them is written down beside the work: it delays no batch,
//! and a capture that fails is a line in the log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::call::{Asked, CallKind};
use super::file::{Capture, Header};
use super::mask::Mask;
use super::outcome::Outcome;
use super::taken::{Scene, Taken, Tapes};
use super::{develop, folder};
use crate::blocking::blocking;
use crate::capability::Http;
use crate::capability::http::TAPE_BYTES;
use crate::capability::state::Memory;
use crate::store::{CaptureOrder, OrderStage, Store, StoreError};

/// How long an order that is done may lie there before it is given up: whoever wanted it takes it at once,
/// or was killed.
const TAKEN_WITHIN_MS: i64 = 10 * 60 * 1000;

/// How long the end of an export waits for captures that are being written.
const SETTLE: Duration = Duration::from_secs(20);

/// Bytes that all captures of an export take in memory until they are written: those that are wanted are written
/// with what they have by then.
const CAPTURE_BYTES: usize = 128 << 20;

/// An export's captures.
pub(crate) struct Capturing {
    export: String,
    directory: PathBuf,
    /// How many captures of failed calls are kept.
    failures: usize,
    /// Whether anybody wants anything: all that a call looks at while nobody does.
    watching: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    orders: Vec<Order>,
    /// The numbers of all orders that were seen: none is begun twice.
    seen: BTreeSet<i64>,
    /// The failed call that is written down next. A newer one takes its place, so that a storm of
    /// failures has one call in memory and one at work.
    failed: Option<Arc<Taken>>,
    keeping: bool,
    /// When the next order is overdue to be taken.
    stale_ms: Option<i64>,
    at_work: Vec<JoinHandle<()>>,
}

struct Order {
    id: i64,
    wanted: CaptureOrder,
    store: Store,
    taken: Vec<Arc<Taken>>,
    bytes: usize,
    /// Calls that were wanted, and more than a tape holds.
    too_large: usize,
}

/// Whoever writes down failed calls. If that panics, the next one still finds somebody to do it.
struct Keeper(Arc<Capturing>);

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.book().keeping = false;
        }
    }
}

impl Capturing {
    /// For the export of this name, whose folder this is.
    pub fn new(export: &str, directory: &Path, failures: u32) -> Arc<Self> {
        Arc::new(Self {
            export: export.to_owned(),
            directory: directory.to_owned(),
            failures: failures as usize,
            watching: AtomicBool::new(failures > 0),
            book: Mutex::default(),
        })
    }

    /// Sees what was wanted before the export was started: so its very first call is captured.
    pub fn begin(&self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let orders = store.capture_orders()?;
        let waited_for: Vec<_> = orders.iter().map(|(id, _)| *id).collect();
        if let Err(error) = folder::begin(&self.directory, self.failures) {
            tracing::warn!(export = %self.export, %error, "captures that are left over cannot be removed");
        }
        self.sweep(&waited_for);
        for (id, order) in orders {
            if let Some(order) = order.filter(|order| order.is_open() && now_ms < order.until_ms) {
                self.add(id, order, store);
            }
        }
        Ok(())
    }

    /// Tapes for a call of this function, if anybody wants them.
    pub fn tape(&self, kind: CallKind, http: &Http, memory: &Arc<dyn Memory>) -> Option<Tapes> {
        if !self.watching.load(Ordering::Relaxed) {
            return None;
        }
        let wanted = self.failures > 0 || self.book().orders.iter().any(|order| order.wants(kind));
        wanted.then(|| Tapes::new(http, memory))
    }

    /// A call was made: whoever wanted it gets it.
    pub fn took(
        self: &Arc<Self>,
        scene: &Arc<Scene>,
        asked: Asked<'_>,
        tapes: &Tapes,
        outcome: Outcome,
    ) {
        let kind = asked.kind();
        let failed = self.failures > 0 && outcome.is_failure();
        if !failed && !self.book().orders.iter().any(|order| order.wants(kind)) {
            return;
        }
        let Some(taken) = tapes.taken(scene, asked, outcome) else {
            tracing::warn!(
                export = %self.export, call = kind.name(),
                "a call is in no capture: what it asked for, was answered and remembers is more than {} MiB",
                TAPE_BYTES >> 20
            );
            let mut book = self.book();
            let wanting = book.orders.iter_mut().filter(|order| order.wants(kind));
            wanting.for_each(|order| order.too_large += 1);
            return;
        };
        let taken = Arc::new(taken);
        if failed {
            self.keep(taken.clone());
        }
        let mut book = self.book();
        let of_this = |order: &Order| {
            let version = |scene: &Scene| scene.plugin.inspection.sha256.clone();
            let first = order.taken.first();
            first.is_none_or(|first| version(&first.scene) == version(scene))
        };
        for order in &mut book.orders {
            if order.wants(kind) && of_this(order) {
                order.bytes += taken.bytes;
                order.taken.push(taken.clone());
            }
        }
        let bytes: usize = book.orders.iter().map(|order| order.bytes).sum();
        let full: Vec<_> = book
            .orders
            .extract_if(.., |order| {
                order.is_full() || (bytes > CAPTURE_BYTES && order.bytes > 0)
            })
            .collect();
        self.watch(&book);
        drop(book);
        full.into_iter().for_each(|order| self.finish(order));
    }

    /// Sees what is wanted, if the store was written to from outside, and what is overdue.
    pub async fn look(self: &Arc<Self>, store: &Store, changed: bool, now_ms: i64) {
        let stale = self.book().stale_ms.is_some_and(|at| at <= now_ms);
        // A store that fails is noticed by whoever works with it.
        if (changed || stale)
            && let Ok(orders) = store.run(Store::capture_orders).await
        {
            let _ = self.update(store, orders, now_ms).await;
        }
        let over = self.take_orders(|order| order.wanted.until_ms <= now_ms);
        over.into_iter().for_each(|order| self.finish(order));
    }

    async fn update(
        self: &Arc<Self>,
        store: &Store,
        found: Vec<(i64, Option<CaptureOrder>)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let (mut stale, mut new) = (vec![], vec![]);
        let (mut waited_for, mut stale_ms) = (vec![], None::<i64>);
        for (id, order) in found {
            let over = order
                .as_ref()
                .map_or(0, |order| order.until_ms.saturating_add(TAKEN_WITHIN_MS));
            match order {
                Some(order) if now_ms < over => {
                    waited_for.push(id);
                    stale_ms = Some(stale_ms.map_or(over, |at| at.min(over)));
                    if order.is_open() {
                        new.push((id, order));
                    }
                }
                _ => stale.push(id),
            }
        }
        {
            let mut book = self.book();
            book.stale_ms = stale_ms;
            book.orders.retain(|order| waited_for.contains(&order.id));
        }
        let work = self.clone();
        blocking(move || work.sweep(&waited_for)).await;
        if !stale.is_empty() {
            store
                .run(move |store| store.withdraw_captures(&stale))
                .await?;
        }
        for (id, order) in new {
            self.add(id, order.clone(), store);
            if order.stage == OrderStage::Wanted {
                store.run(move |store| store.saw_capture(id, order)).await?;
            }
        }
        Ok(())
    }

    fn sweep(&self, waited_for: &[i64]) {
        if let Err(error) = folder::sweep(&self.directory, waited_for) {
            tracing::warn!(export = %self.export, %error, "captures that nobody waits for cannot be removed");
        }
    }

    fn add(&self, id: i64, wanted: CaptureOrder, store: &Store) {
        let mut book = self.book();
        if !book.seen.insert(id) {
            return;
        }
        tracing::info!(export = %self.export, calls = wanted.calls, reveal = wanted.reveal, "a capture is wanted");
        book.orders.push(Order {
            id,
            wanted,
            store: store.clone(),
            taken: vec![],
            bytes: 0,
            too_large: 0,
        });
        self.watch(&book);
    }

    /// The export ends: what there is of a capture has to do. Waits until it is written, for a while.
    pub async fn settle(self: &Arc<Self>) {
        let begun = self.take_orders(|order| !order.taken.is_empty());
        begun.into_iter().for_each(|order| self.finish(order));
        let settled = async {
            loop {
                let at_work = std::mem::take(&mut self.book().at_work);
                if at_work.is_empty() {
                    return;
                }
                futures_util::future::join_all(at_work).await;
            }
        };
        let _ = tokio::time::timeout(SETTLE, settled).await;
    }

    fn finish(self: &Arc<Self>, order: Order) {
        let work = self.clone();
        self.spawn(async move {
            let Order {
                id,
                mut wanted,
                store,
                taken,
                too_large,
                ..
            } = order;
            wanted.stage = match taken.is_empty() {
                true if too_large > 0 => OrderStage::Failed(format!(
                    "{too_large} such calls were made, and what they asked for and were answered is more than the \
                     {} MiB that are written down of one; smaller batches fit",
                    TAPE_BYTES >> 20
                )),
                true => OrderStage::Failed("there was no such call in that time".to_owned()),
                false => match work.write(id, &wanted, &taken).await {
                    Ok(()) => OrderStage::Done,
                    Err(error) => OrderStage::Failed(format!("it cannot be written: {error}")),
                },
            };
            tracing::info!(export = %work.export, calls = taken.len(), "captured");
            let noted = store.run(move |store| store.note_capture(id, &wanted));
            // Withdrawn while it was written: nobody will take it. What a store that fails has left is
            // swept at the next start.
            if noted.await.is_ok_and(|waits| !waits) {
                let directory = work.directory.clone();
                blocking(move || folder::remove_asked(&directory, id)).await;
            }
        });
    }

    async fn write(
        &self,
        id: i64,
        wanted: &CaptureOrder,
        taken: &[Arc<Taken>],
    ) -> std::io::Result<()> {
        let bytes = self.developed(wanted.calls, wanted.reveal, taken).await;
        let directory = self.directory.clone();
        blocking(move || folder::write_asked(&directory, id, &bytes)).await
    }

    /// Keeps a failed call, as soon as the one before it is written.
    fn keep(self: &Arc<Self>, taken: Arc<Taken>) {
        let mut book = self.book();
        book.failed = Some(taken);
        if std::mem::replace(&mut book.keeping, true) {
            return;
        }
        drop(book);
        let work = self.clone();
        self.spawn(async move {
            let _keeper = Keeper(work.clone());
            while let Some(taken) = work.next_failed() {
                let bytes = work.developed(1, false, &[taken]).await;
                let (directory, most) = (work.directory.clone(), work.failures);
                let now_ms = jiff::Timestamp::now().as_millisecond();
                let kept = move || folder::keep_failed(&directory, &bytes, now_ms, most);
                if let Err(error) = blocking(kept).await {
                    tracing::warn!(export = %work.export, %error, "a failed call cannot be kept");
                }
            }
        });
    }

    fn next_failed(&self) -> Option<Arc<Taken>> {
        let mut book = self.book();
        let taken = book.failed.take();
        book.keeping = taken.is_some();
        taken
    }

    async fn developed(&self, wanted: u32, reveal: bool, taken: &[Arc<Taken>]) -> Vec<u8> {
        let key: [u8; 32] = rand::random();
        let mask = Arc::new(Mask::new(key));
        let mut calls = vec![];
        for taken in taken {
            calls.push(match reveal {
                true => develop::revealed(taken),
                false => develop::masked(taken, &mask, key).await,
            });
        }
        let scene = &taken[0].scene;
        let mut header = Header::of(&self.export, &scene.plugin, &scene.rig, !reveal);
        (header.wanted, header.calls) = (wanted, calls.len() as u32);
        let capture = Capture { header, calls };
        blocking(move || capture.write()).await
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work = tokio::spawn(work);
        let mut book = self.book();
        book.at_work.retain(|work| !work.is_finished());
        book.at_work.push(work);
    }

    /// Takes orders out that are to be finished.
    fn take_orders(&self, which: impl Fn(&Order) -> bool) -> Vec<Order> {
        let mut book = self.book();
        let taken = book.orders.extract_if(.., |order| which(order)).collect();
        self.watch(&book);
        taken
    }

    fn watch(&self, book: &Book) {
        let watching = self.failures > 0 || !book.orders.is_empty();
        self.watching.store(watching, Ordering::Relaxed);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn wants(&self, kind: CallKind) -> bool {
        self.wanted.of.contains(&kind)
    }

    fn is_full(&self) -> bool {
        self.taken.len() >= self.wanted.calls as usize
    }
}
