//! Listening and answering, within bounds: nobody who is slow, or many, holds anything up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

use super::answer::{Asked, asked};
use super::{Board, Token};

/// Connections at a time: a scraper or two, a probe or two, a person. When one more comes, the
/// oldest gives way: so whoever holds many keeps nobody out.
const CONNECTIONS: usize = 16;

/// Time for a request's headers. They are a few hundred bytes.
const HEADERS: Duration = Duration::from_secs(5);

/// Time for a whole connection, which is one request.
const WHOLE: Duration = Duration::from_secs(15);

/// Bytes and number of a request's headers.
const HEADER_BYTES: usize = 8 << 10;
const HEADER_COUNT: usize = 64;

/// After a connection could not be accepted: no file handle is left.
const AGAIN: Duration = Duration::from_millis(100);

/// Why the endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Others would see what is the operator's.
    #[error(
        "the admin endpoint would be open to others on {address}: name a file with a token \
         (--admin-token-file, or SLUICE_ADMIN_TOKEN), listen on a loopback address, or say `--admin off`"
    )]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The address is taken, or not this machine's.
    #[error(
        "the admin endpoint cannot listen on {address}: {source}; choose another with --admin, or `--admin off`"
    )]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The endpoint, listening and not answering yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<Token>,
}

/// The endpoint, answering. Dropping it ends it.
#[derive(Debug)]
pub struct Serving(JoinHandle<()>);

impl Admin {
    /// Listens there.
    ///
    /// # Errors
    /// An address that others can reach without a token, or one that cannot be had.
    pub async fn listen(address: SocketAddr, token: Option<Token>) -> Result<Self, AdminError> {
        if token.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(AdminError::Open { address });
        }
        let error = |source| AdminError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        Ok(Self {
            address: listener.local_addr().map_err(error)?,
            listener,
            token,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what is asked about the board.
    pub fn serve(self, board: Arc<Board>) -> Serving {
        Serving(tokio::spawn(accept(self.listener, board, self.token)))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, board: Arc<Board>, token: Option<Token>) {
    let mut open = Open::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let connection = connection(stream, board.clone(), token.clone());
        open.add(tokio::spawn(connection).abort_handle());
    }
}

/// The connections that are open, oldest first. They end with it.
#[derive(Default)]
struct Open(VecDeque<AbortHandle>);

impl Open {
    fn add(&mut self, connection: AbortHandle) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn connection(stream: TcpStream, board: Arc<Board>, token: Option<Token>) {
    let service = service_fn(|request| {
        let answered = answer(request, &board, token.as_ref());
        async { Ok::<_, Infallible>(answered.await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_COUNT)
        // One request a connection: then a connection that lives is one that is slow.
        .keep_alive(false);
    let serving = server.serve_connection(TokioIo::new(stream), service);
    // An error is the client's going away, or its being too slow; neither concerns anybody.
    let _ = tokio::time::timeout(WHOLE, serving).await;
}

/// What is answered. A body that came with the request is not read.
async fn answer(
    request: Request<Incoming>,
    board: &Board,
    token: Option<&Token>,
) -> Response<Full<Bytes>> {
    let (request, _) = request.into_parts();
    match asked(&request, token) {
        Asked::Health => plain(StatusCode::OK, "ok".to_owned()),
        Asked::Ready { names } => {
            let readiness = board.readiness();
            let status = match readiness.ready {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let text = match names {
                true => serde_json::to_string(&readiness).expect("names are plain data"),
                false => readiness.process.to_owned(),
            };
            plain(status, text)
        }
        Asked::Metrics => {
            let text = board.metrics().await;
            with_type(StatusCode::OK, prometheus_text::CONTENT_TYPE, text)
        }
        Asked::Refused(status, why) => {
            let mut answer = plain(status, why.to_owned());
            if status == StatusCode::UNAUTHORIZED {
                let bearer = HeaderValue::from_static("Bearer");
                answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            }
            answer
        }
    }
}

fn plain(status: StatusCode, mut text: String) -> Response<Full<Bytes>> {
    text.push('\n');
    with_type(status, "text/plain; charset=utf-8", text)
}

fn with_type(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
