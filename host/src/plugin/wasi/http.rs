//! Requests by `wasi:http`: turned into the contract's, and sent by the same gate under the same
//! routes, limits, quota and credential.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use tokio::sync::Semaphore;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use super::bodies::{Room, answer, collect};
use crate::capability::{Http, LogSink, StagedFile};
use crate::plugin::grant::Grant;
use crate::plugin::guard::{Guarded, asking};
use crate::plugin::limits::Limits;
use crate::plugin::types::{Body, Failure, Level, Request, Response};
use crate::usage::{Usage, cpu};

/// What a guest hands over of a body at a time. Each body that it has begun may hold two of these.
const CHUNK_BYTES: usize = 16 << 10;

/// What requests need of the call that makes them, which they may outlive by a moment.
#[derive(Clone)]
pub(super) struct Outgoing {
    http: Http,
    log: LogSink,
    staged: Option<StagedFile>,
    usage: Arc<Usage>,
    limits: Limits,
    room: Room,
    at_once: Arc<Semaphore>,
}

type Answered = http::Response<WasiBody>;
type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Outgoing {
    pub fn new(grant: &Grant, limits: &Limits) -> Self {
        Self {
            http: grant.http.clone(),
            log: grant.log.clone(),
            staged: grant.staged.clone(),
            usage: grant.usage.clone(),
            limits: *limits,
            room: Room::of(limits.memory_bytes),
            at_once: Arc::new(Semaphore::new(limits.requests_at_once as usize)),
        }
    }

    async fn exchange(self, request: http::Request<WasiBody>) -> Result<Answered, Error> {
        let (parts, body) = request.into_parts();
        // Before anything is judged, and before the request waits for others.
        let Some((bytes, _taken)) = collect(body, &self.room).await? else {
            return Err(self.no_room("a request's body", Error::HttpRequestBodySize(None)));
        };
        let mut headers = vec![];
        for (name, value) in &parts.headers {
            // What the guest said of the length was compared with what it wrote; the host says it anew.
            if name == CONTENT_LENGTH {
                continue;
            }
            let value = value.to_str().map_err(|_| Error::HttpRequestDenied)?;
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
        let request = Request {
            method: parts.method.as_str().to_owned(),
            path: String::new(),
            query: vec![],
            headers,
            body: match bytes.is_empty() {
                true => Body::None,
                false => Body::Bytes(bytes),
            },
            extra: vec![],
        };
        // Nobody closes it.
        let _permit = self.at_once.acquire().await.ok();
        let asking = asking(&self.limits, self.staged.as_ref(), &self.usage);
        let answer = self.http.send_to(&parts.uri, request, &asking).await;
        self.answered(answer.map_err(code)?)
    }

    fn answered(&self, response: Response) -> Result<Answered, Error> {
        let mut taken = self.room.begin();
        if !taken.more(response.body.len()) {
            let bytes = response.body.len() as u64;
            let error = Error::HttpResponseBodySize(Some(bytes));
            return Err(self.no_room("answers that it has not read", error));
        }
        let mut built = http::Response::builder().status(response.status);
        for (name, value) in &response.headers {
            // It was whole when it came, and is so no more if something was scrubbed from it.
            if CONTENT_LENGTH.as_str() != name {
                built = built.header(name, value);
            }
        }
        let built = built.body(answer(response.body, taken));
        built.map_err(|_| Error::HttpProtocolError)
    }

    fn no_room(&self, what: &str, error: Error) -> Error {
        self.usage.limit("memory_mib");
        let most = self.room.most() >> 20;
        let line = format!("wasi:http: {what} would take more than limit `memory_mib` = {most}");
        // Over its allowance, it is told with the others.
        if let Err(limit) = self.log.write(Level::Warn, &line) {
            self.usage.line_dropped(limit);
        }
        error
    }
}

/// What `wasi:http` calls it that there is no answer.
fn code(failure: Failure) -> Error {
    match failure {
        Failure::Denied(_) => Error::HttpRequestDenied,
        Failure::Unreachable(_) => Error::DestinationUnavailable,
        Failure::Interrupted(_) => Error::ConnectionTerminated,
        Failure::TooLarge(_) => Error::HttpResponseBodySize(None),
        Failure::Other(reason) => Error::InternalError(Some(reason)),
    }
}

impl WasiHttpHooks for Outgoing {
    /// The gate has its own word on whose host it is.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Result<(Answered, Sent), Error>> + Send> {
        let (call, usage) = (self.clone(), self.usage.clone());
        // A task of its own, so that what it takes is not the guest's.
        Box::new(cpu::on_behalf(&usage, async move {
            let answered = call.exchange(request).await?;
            Ok((answered, Box::new(async { Ok(()) }) as Sent))
        }))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

/// Links the one function by which requests leave. By hand, since one that is too many ends the call,
/// which what is generated leaves no room for.
pub(super) fn link(linker: &mut Linker<Guarded>) -> wasmtime::Result<()> {
    let mut handler = linker.instance("wasi:http/outgoing-handler@0.2.0")?;
    handler.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, Guarded>, asked| {
            let (request, options): (Resource<HostOutgoingRequest>, _) = asked;
            store.data_mut().count_requests(1)?;
            let mut view = store.data_mut().http();
            Ok((match view.handle(request, options) {
                Ok(answer) => Ok(answer),
                Err(error) => Err(error.downcast()?),
            },))
        },
    )
}
