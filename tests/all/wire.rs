//! A wire between sluice and an account that remembers what goes over it, byte by byte, can be cut
//! in the middle of an upload, and can be dead at the other end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where an upload is held: far enough that it is well under way.
const HELD_AFTER_BYTES: usize = 100_000;

/// A wire. Dropping it leaves open connections alone.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    account: SocketAddr,
    /// What went to the account: one text for each connection.
    sent: Mutex<Vec<Vec<u8>>>,
    hold: AtomicBool,
    silent: AtomicBool,
    /// Whether an upload is being held.
    held: watch::Sender<bool>,
    cut: watch::Sender<u64>,
}

impl Wire {
    /// A wire to the account at this endpoint.
    pub async fn to(endpoint: &str) -> Result<Self> {
        let account = endpoint
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next())
            .context("no address in the endpoint")?
            .parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            account,
            sent: Mutex::default(),
            hold: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            held: watch::Sender::new(false),
            cut: watch::Sender::new(0),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = accepting.clone();
                // A connection that breaks is the test's or the client's wish.
                tokio::spawn(async move { drop(connection(client, &shared).await) });
            }
        });
        Ok(Self { address, shared })
    }

    /// The endpoint at this end.
    pub fn url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// From now on no upload gets through.
    pub fn hold_uploads(&self) {
        self.shared.held.send_replace(false);
        self.shared.hold.store(true, Ordering::Relaxed);
    }

    /// Waits until an upload is being held.
    pub async fn holding(&self) {
        let mut held = self.shared.held.subscribe();
        let _ = held.wait_for(|held| *held).await;
    }

    /// From now on connections are taken, and nothing is ever answered.
    pub fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    /// Cuts the connections that are held; everything gets through again.
    pub fn cut(&self) {
        self.shared.hold.store(false, Ordering::Relaxed);
        self.shared.silent.store(false, Ordering::Relaxed);
        self.shared.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Every request that went over the wire to its end, as it was sent, in the order within each
    /// connection.
    pub fn requests(&self) -> Vec<Sent> {
        let sent = self
            .shared
            .sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        sent.iter().flat_map(|bytes| split(bytes)).collect()
    }
}

async fn connection(mut client: TcpStream, shared: &Shared) -> Result<()> {
    let mut cut = shared.cut.subscribe();
    if shared.silent.load(Ordering::Relaxed) {
        return Ok(cut.changed().await?);
    }
    let account = TcpStream::connect(shared.account).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_account, mut to_account) = account.into_split();
    let number = {
        let mut sent = shared.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(vec![]);
        sent.len() - 1
    };
    let there = async {
        let mut buffer = vec![0; 64 << 10];
        let mut upload = 0;
        loop {
            let n = from_client.read(&mut buffer).await?;
            if n == 0 {
                return to_account.shutdown().await;
            }
            let bytes = &buffer[..n];
            if upload > 0 || bytes.starts_with(b"POST /v3/import_jobs") {
                upload += n;
            }
            if upload > HELD_AFTER_BYTES && shared.hold.load(Ordering::Relaxed) {
                cut.mark_unchanged();
                shared.held.send_replace(true);
                let _ = cut.changed().await;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            shared.sent.lock().unwrap_or_else(PoisonError::into_inner)[number]
                .extend_from_slice(bytes);
            to_account.write_all(bytes).await?;
        }
    };
    let back = tokio::io::copy(&mut from_account, &mut to_client);
    tokio::select! {
        there = there => there?,
        back = back => drop(back?),
    }
    Ok(())
}

/// One request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Request line and header lines.
    pub head: String,
    pub body: String,
}

impl Sent {
    pub fn starts_with(&self, line: &str) -> bool {
        self.head.starts_with(line)
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Requests without a `Content-Length` have no body here, as none of ours may.
fn split(mut bytes: &[u8]) -> Vec<Sent> {
    let mut requests = vec![];
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut request = Sent {
            head,
            body: String::new(),
        };
        let length = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let Some(body) = bytes.get(end + 4..end + 4 + length) else {
            break;
        };
        request.body = String::from_utf8_lossy(body).into_owned();
        requests.push(request);
        bytes = &bytes[end + 4 + length..];
    }
    requests
}
