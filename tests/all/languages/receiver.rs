//! A receiver of webhooks: keeps members, takes imports, and can be told to fall silent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::KEY;

/// The receiver. Ends with the test's runtime.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// How many requests were left without an answer.
    silent: watch::Sender<u32>,
}

/// What it holds, and how it behaves.
#[derive(Default)]
pub struct State {
    /// Members by id, attributes merged as they came.
    pub members: BTreeMap<String, Map<String, Value>>,
    /// The lines of each import, as they came.
    pub imports: Vec<Vec<String>>,
    /// What was changed, in order: id and `credits`.
    pub changed: Vec<(String, u64)>,
    /// The next request to this method and path is taken, and never answered.
    pub silent_at: Option<&'static str>,
    /// Statuses for the next requests for changes, which are not taken.
    pub moods: Vec<u16>,
}

impl Receiver {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            silent: watch::Sender::new(0),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = serving.clone();
                // A client that was killed is the test's wish.
                tokio::spawn(async move { drop(shared.serve(client).await) });
            }
        });
        Ok(Self { address, shared })
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Waits until so many requests were left without an answer.
    pub async fn until_silent(&self, times: u32) {
        let mut silent = self.shared.silent.subscribe();
        // The sender lives as long as the receiver.
        let _ = silent.wait_for(|so_far| *so_far >= times).await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, client: TcpStream) -> Result<()> {
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
            let (status, answer) = match head.contains(&format!("authorization: Bearer {KEY}\r\n"))
            {
                true => self.answer(&head, &body)?,
                false => (401, json!({})),
            };
            let asked = head.split(" HTTP").next().unwrap_or_default();
            let silent = self.state().silent_at.take_if(|at| *at == asked).is_some();
            if silent {
                self.silent.send_modify(|times| *times += 1);
                std::future::pending::<()>().await;
            }
            let answer = answer.to_string();
            let wait = if status == 429 {
                "retry-after: 1\r\n"
            } else {
                ""
            };
            let head = format!(
                "HTTP/1.1 {status} Whatever\r\n{wait}content-length: {}\r\n\r\n",
                answer.len()
            );
            client.write_all(head.as_bytes()).await?;
            client.write_all(answer.as_bytes()).await?;
            client.flush().await?;
        }
    }

    fn answer(&self, head: &str, body: &[u8]) -> Result<(u16, Value)> {
        let mut state = self.state();
        let asked = head.split(" HTTP").next().unwrap_or_default();
        match asked {
            "GET /v1/check" | "GET /v1/members" => Ok((200, json!({}))),
            "POST /v1/imports" => {
                let lines = lines_of_part(body)?;
                for line in &lines {
                    state.merge(serde_json::from_str(line)?)?;
                }
                state.imports.push(lines);
                Ok((202, json!({"id": state.imports.len()})))
            }
            "POST /v1/members" => state.changes(body),
            _ => match asked.strip_prefix("GET /v1/imports/") {
                Some(id) => {
                    let lines = &state.imports[id.parse::<usize>()? - 1];
                    Ok((200, json!({"status": "succeeded", "accepted": lines.len()})))
                }
                None => Ok((404, json!({}))),
            },
        }
    }
}

impl State {
    /// Takes an array of changes. It has something against two members: one is named, for the other the
    /// whole request is refused.
    fn changes(&mut self, body: &[u8]) -> Result<(u16, Value)> {
        if let Some(status) = self.moods.pop() {
            return Ok((status, json!({})));
        }
        let changes: Vec<Value> = serde_json::from_slice(body)?;
        if changes
            .iter()
            .any(|change| change["member"]["name"] == "poison")
        {
            return Ok((422, json!({"no": "poison"})));
        }
        let mut rejected = vec![];
        for (index, change) in changes.iter().enumerate() {
            if change["member"]["name"] == "unwanted" {
                rejected.push(json!({"index": index}));
                continue;
            }
            let id = change["member"]["id"].as_str().context("no id")?;
            let credits = change["member"]["credits"].as_u64().context("no credits")?;
            self.changed.push((id.to_owned(), credits));
            self.merge(change["member"].clone())?;
        }
        Ok((200, json!({"rejected": rejected})))
    }

    fn merge(&mut self, member: Value) -> Result<()> {
        let Value::Object(member) = member else {
            anyhow::bail!("no object");
        };
        let id = member["id"].as_str().context("no id")?.to_owned();
        self.members.entry(id).or_default().extend(member);
        Ok(())
    }
}

/// The lines of a form's only part.
fn lines_of_part(body: &[u8]) -> Result<Vec<String>> {
    let text = std::str::from_utf8(body)?;
    let (head, rest) = text.split_once("\r\n\r\n").context("no part")?;
    ensure!(
        head.contains("name=\"file\"") && head.contains("application/x-ndjson"),
        "{head}"
    );
    let (file, _) = rest.rsplit_once("\r\n--").context("no end")?;
    Ok(file.lines().map(str::to_owned).collect())
}
