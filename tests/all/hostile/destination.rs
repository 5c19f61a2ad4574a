//! A destination as a hostile plugin wants one: it takes everything, sends its clients elsewhere, and
//! answers slowly, without end or not at all.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Where it sends its clients: what every cloud keeps its machines' keys at.
const METADATA: &str = "http://169.254.169.254/latest/meta-data/";

/// Between two bytes of the slow answer.
const DRIP: Duration = Duration::from_secs(1);

/// The destination. Ends with the test's runtime.
pub struct Destination {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Taken>>>,
}

/// A request that it took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Request line and header lines.
    pub head: String,
    pub body: Vec<u8>,
}

impl Destination {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Arc::<Mutex<Vec<Taken>>>::default();
        let taken = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let taken = taken.clone();
                // A client that goes away is the test's wish.
                tokio::spawn(async move { drop(serve(client, &taken).await) });
            }
        });
        Ok(Self { address, requests })
    }

    /// The endpoint below which one export's requests arrive.
    pub fn url(&self, export: &str) -> String {
        format!("http://{}/{export}", self.address)
    }

    /// What has arrived of one export.
    pub fn requests(&self, export: &str) -> Vec<Taken> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let below = format!(" /{export}/");
        let mut found = requests.clone();
        found.retain(|request| {
            let line = request.head.lines().next().unwrap_or_default();
            line.contains(&below)
        });
        found
    }
}

async fn serve(client: TcpStream, taken: &Mutex<Vec<Taken>>) -> Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let (mut head, mut length, mut line) = (String::new(), 0, String::new());
        while line != "\r\n" {
            line.clear();
            if client.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            head += &line;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        client.read_exact(&mut body).await?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let said = head.clone();
        taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Taken { head, body });
        let last = path.rsplit('/').next().unwrap_or_default();
        answer(&mut client, last, &said).await?;
    }
}

async fn answer(client: &mut BufReader<TcpStream>, what: &str, head: &str) -> Result<()> {
    match what {
        "redirect" => {
            let head = format!("HTTP/1.1 302 Found\r\nlocation: {METADATA}\r\n");
            client.write_all(head.as_bytes()).await?;
            client.write_all(b"content-length: 0\r\n\r\n").await?;
        }
        // A byte a second, and a million to come.
        "drip" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
            client.write_all(head).await?;
            let mut every = tokio::time::interval(DRIP);
            loop {
                every.tick().await;
                client.write_all(b"x").await?;
            }
        }
        "endless" => {
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                client.write_all(&[b'x'; 64 << 10]).await?;
            }
        }
        "headers" => {
            client.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                client.write_all(b"x-more: and more\r\n").await?;
            }
        }
        // The first hundred of a thousand bytes, and the end; said in two ways.
        "cut" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
            client.write_all(head).await?;
            client.write_all(&[b'x'; 100]).await?;
            client.shutdown().await?;
        }
        "chunk" => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n";
            client.write_all(head).await?;
            client.write_all(&[b'x'; 100]).await?;
            client.shutdown().await?;
        }
        "wide" => {
            let mut head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
            for n in 0..80 {
                head += &format!("x-wide-{n}: {}\r\n", "x".repeat(500));
            }
            client.write_all((head + "\r\n").as_bytes()).await?;
        }
        "silence" => std::future::pending().await,
        // Says the credential back, in a header and in two spellings in the body.
        "users" => {
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "));
            let key = key.unwrap_or_default();
            let twice = BASE64_STANDARD.encode(key);
            let body = serde_json::json!({ "heard": key, "twice": twice }).to_string();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nx-heard: {key}\r\ncontent-length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).await?;
            client.write_all(body.as_bytes()).await?;
        }
        _ => {
            let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            client.write_all(whole).await?;
        }
    }
    Ok(client.flush().await?)
}
