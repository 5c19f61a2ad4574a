//! From a name to the addresses that may be connected to. What is judged here is what the connection
//! is made to: nobody asks for the name a second time, so a name that changes its mind gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address::Addresses;

/// Who knows the addresses of names.
pub trait Lookup: Send + Sync {
    /// The addresses of a name, the preferred first.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Look-ups of an authorization that are under way at a time. Connections are kept, so a destination's name
/// is looked up now and then, and not for every request.
const EACH: usize = 4;

/// Look-ups of all authorizations that are under way at a time. Each has a thread for as long as the name
/// servers take, and the threads are those of the databases too, of which there are 512.
static ALL: Semaphore = Semaphore::const_new(64);

/// The system: its hosts file, its name servers. One for each authorization.
pub struct System {
    own: Arc<Semaphore>,
    all: &'static Semaphore,
    ask: fn(&str) -> io::Result<Vec<IpAddr>>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            own: Arc::new(Semaphore::new(EACH)),
            all: &ALL,
            ask: |name| {
                let found = (name, 0).to_socket_addrs()?;
                Ok(found.map(|found| found.ip()).collect())
            },
        }
    }
}

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (own, all, ask) = (self.own.clone(), self.all, self.ask);
        Box::pin(async move {
            // First its own, so that one whose names lead nowhere waits in the common line with few.
            // Nobody closes them.
            let own = own.acquire_owned().await.ok();
            let all = all.acquire().await.ok();
            let asked = tokio::task::spawn_blocking(move || {
                // Held until the thread is free, also if nobody waits for the answer any more.
                let _held = (own, all);
                ask(&name)
            });
            asked
                .await
                .unwrap_or_else(|_| Err(io::Error::other("the look-up has failed")))
        })
    }
}

/// Looks names up for the client, and lets through what may be connected to.
pub(super) struct Resolver {
    pub lookup: Arc<dyn Lookup>,
    pub addresses: Addresses,
    /// The proxy's name, whose address the operator grants by naming it.
    pub proxy: Option<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let is_proxy = self.proxy.as_ref() == Some(&name);
        let addresses = self.addresses.clone();
        let found = self.lookup.lookup(name.clone());
        Box::pin(async move {
            let mut found = found.await?;
            if !is_proxy {
                found = addresses.pick(&name, found)?;
            }
            if found.is_empty() {
                return Err(format!("the name {name} has no address").into());
            }
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use futures_util::poll;

    use super::*;

    /// Only a test that fails waits so long.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Threads that wait for an answer, and whether it has come.
    static ASKING: AtomicUsize = AtomicUsize::new(0);
    static ANSWERED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// Name servers that are silent on one name until they are told to answer.
    fn silent(name: &str) -> io::Result<Vec<IpAddr>> {
        if name == "silent" {
            ASKING.fetch_add(1, Ordering::SeqCst);
            let (answered, told) = &ANSWERED;
            let held = answered.lock().unwrap();
            drop(told.wait_while(held, |answered| !*answered).unwrap());
        }
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    fn authorization() -> System {
        System {
            ask: silent,
            ..System::default()
        }
    }

    /// What waits for a name has a thread, and of these there are few: also if whoever asked has gone.
    #[test]
    fn a_silent_name_server_holds_up_neither_the_databases_nor_others_names() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(EACH + 1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (slow, quick) = (authorization(), authorization());
            let ask = || slow.lookup("silent".to_owned());
            let mut waiting: Vec<_> = (0..EACH * 10).map(|_| ask()).collect();
            for lookup in &mut waiting {
                assert!(poll!(lookup).is_pending());
            }
            // Those that have threads are given up, and others come.
            waiting.drain(..EACH);
            waiting.extend((0..EACH).map(|_| ask()));
            for lookup in &mut waiting {
                assert!(poll!(lookup).is_pending());
            }
            let others = async {
                let found = quick.lookup("quick".to_owned()).await;
                let work = tokio::task::spawn_blocking(|| "a transaction").await;
                (found.map(|found| found.len()).ok(), work.ok())
            };
            let others = tokio::time::timeout(PATIENCE, others).await;
            let asking = ASKING.load(Ordering::SeqCst);
            // Whatever came of it: the runtime waits for its threads.
            let (answered, told) = &ANSWERED;
            *answered.lock().unwrap() = true;
            told.notify_all();
            assert_eq!(others.ok(), Some((Some(1), Some("a transaction"))));
            assert!(asking <= EACH, "{asking}");
            for lookup in waiting {
                assert_eq!(lookup.await.unwrap().len(), 1);
            }
        });
    }
}
