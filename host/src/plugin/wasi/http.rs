//! Requests by `wasi:http`: turned into the contract's, and sent by the same gate under the same
//! routes, limits, quota and credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::CONTENT_LENGTH;
use tokio::sync::Semaphore;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use super::bodies::{Room, answer, collect};
use super::{HEADERS_TIMES, headers_bytes};
use crate::capability::http::Asking;
use crate::capability::{Http, LogSink, StagedFile};
use crate::plugin::grant::Grant;
use crate::plugin::guard::{Guarded, asking};
use crate::plugin::limits::Limits;
use crate::plugin::types::{Body, Failure, Level, Request, Response};
use crate::usage::{Usage, cpu};

/// What a guest hands over of a body at a time. Each body that it has begun may hold two of these.
const CHUNK_BYTES: usize = 16 << 10;

/// What a header takes of memory beside its name and value.
const PAIR_BYTES: usize = 72;

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
    /// The function that is being called, if it may make no requests.
    pub mute: Option<&'static str>,
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
            mute: None,
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
            let value = value.to_str().map_err(|_| {
                denied("a header's value holds a character that is no visible ASCII")
            })?;
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
        let refused = AtomicBool::new(false);
        let asking = asking(&self.limits, self.staged.as_ref(), &self.usage, self.mute);
        let asking = Asking {
            refused: Some(&refused),
            ..asking
        };
        let answer = self.http.send_to(&parts.uri, request, &asking).await;
        let refused = refused.load(Ordering::Relaxed);
        self.answered(answer.map_err(|failure| code(failure, refused))?)
    }

    fn answered(&self, response: Response) -> Result<Answered, Error> {
        let pairs = response.headers.iter();
        let pairs = pairs.map(|(name, value)| name.len() + value.len() + PAIR_BYTES);
        let bytes: usize = pairs.sum();
        // A guest can have the host copy them as often as it may hold resources.
        if bytes > headers_bytes(&self.limits) {
            let error = Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok());
            let what = format!("an answer's headers are larger than {HEADERS_TIMES} times");
            return Err(self.over("header_bytes", self.limits.header_bytes, &what, error));
        }
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
        let what = format!("{what} would take more than");
        self.over("memory_mib", self.room.most() >> 20, &what, error)
    }

    /// Tells that something is over a limit; answers the error, which cannot.
    fn over(&self, limit: &'static str, most: usize, what: &str, error: Error) -> Error {
        self.usage.limit(limit);
        let line = format!("wasi:http: {what} limit `{limit}` = {most}");
        // Over its allowance, it is told with the others.
        if let Err(limit) = self.log.write(Level::Warn, &line) {
            self.usage.line_dropped(limit);
        }
        error
    }
}

/// `http-request-denied` has no room for a reason, without which no author finds the mistake.
fn denied(reason: &str) -> Error {
    Error::InternalError(Some(format!("denied: {reason}")))
}

/// What `wasi:http` calls it that there is no answer; `refused`, if it was for the destination's address.
fn code(failure: Failure, refused: bool) -> Error {
    match failure {
        Failure::Denied(reason) => denied(&reason),
        Failure::Unreachable(_) if refused => Error::DestinationIpProhibited,
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

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::capability::http::{Account, Credential, Egress, Endpoint, Gate, Policy};
    use crate::plugin::types;

    /// A gate to an address that nobody granted, with one route.
    fn gate() -> Http {
        let manifest = types::Manifest {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            auth_methods: vec![],
            endpoint: String::new(),
            routes: vec![types::Route {
                method: "GET".to_owned(),
                path: "/users".to_owned(),
                purpose: String::new(),
            }],
            fields: vec![],
            custom_fields: None,
            options_schema: "{}".to_owned(),
            limits: types::Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 0,
                deliver_rows: 0,
            },
            extra: vec![],
        };
        let endpoint = Endpoint::parse("https://127.0.0.1:9", false).unwrap();
        let policy = Policy::new(endpoint, &manifest, &serde_json::Map::new()).unwrap();
        let account = Arc::new(Account::new(Credential::none(), 1));
        Http::Gate(Arc::new(
            Gate::new(policy, account, Egress::default()).unwrap(),
        ))
    }

    #[tokio::test]
    async fn a_guest_is_told_why_a_request_was_denied() {
        let limits = Limits::default();
        let grant = Grant {
            http: gate(),
            ..Grant::none(LogSink::keeping(&limits))
        };
        for (path, header, mute, says) in [
            ("/admin", "fine", None, "denied: no route of the manifest"),
            ("/users", "é", None, "denied: a header's value holds"),
            (
                "/users",
                "fine",
                Some("stage"),
                "denied: `stage` may make no requests",
            ),
            ("/users", "fine", None, "its address"),
        ] {
            let mut outgoing = Outgoing::new(&grant, &limits);
            outgoing.mute = mute;
            let body = Empty::new().map_err(|never| match never {});
            let asked = http::Request::get(format!("https://destination{path}"))
                .header("x-one", header)
                .body(body.boxed_unsync())
                .unwrap();
            match outgoing.exchange(asked).await {
                Err(Error::InternalError(Some(text))) => {
                    assert!(text.starts_with(says), "{path}: {text}");
                }
                // Its name says all of it.
                Err(Error::DestinationIpProhibited) => assert_eq!(says, "its address"),
                other => panic!("{path}: {:?}", other.err()),
            }
        }
    }
}
