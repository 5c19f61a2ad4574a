//! The vendor's routes. Paths are settings, so requests are told apart here and not by a router.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Multipart, State};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use crate::Sim;
use crate::account::{Done, Manner, Refusal, Source};
use crate::config::Config;
use crate::faults::{Answer, Kind};
use crate::jobs;
use crate::mangle;
use crate::requests::{Entry, What};
use crate::row;
use crate::upload::{self, UploadError};

/// A single user is small; more than this is a mistake of the sender.
const MAX_USER_BYTES: usize = 4 << 20;
/// How many users the list shows.
const PAGE: usize = 25;

/// Counts a request as in flight, also when its sender goes away before it is answered.
struct InFlight<'a> {
    sim: &'a Sim,
    answered: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.answered {
            crate::lock(&self.sim.log).abandoned();
            self.sim.activity.send_replace(());
        }
    }
}

pub(crate) async fn vendor(State(sim): State<Arc<Sim>>, request: Request<Body>) -> Response {
    let config = sim.config();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let seq = crate::lock(&sim.log).arrived();
    let mut in_flight = InFlight {
        sim: &sim,
        answered: false,
    };
    // From before a rule strikes: whoever replaces it right after lets this request go, too.
    let mut replaced = sim.rules_replaced.subscribe();
    let fault = crate::lock(&sim.faults).strike(method.as_str(), uri.path(), &config.base_path);
    let mut what = What::Other;
    let response = match &fault {
        Some(Kind::ResetBeforeEffect) => mangle::reset(),
        Some(Kind::Status(answer)) => {
            drain(request.into_body()).await;
            planned(answer)
        }
        _ => {
            match fault {
                Some(Kind::LatencyMs(ms)) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Some(Kind::Held) => drop(replaced.changed().await),
                _ => {}
            }
            answer(&sim, config.clone(), request, &mut what).await
        }
    };
    let response = mangle::answer(response, fault.as_ref()).await;
    let entry = Entry {
        seq,
        at_ms: sim.clock.now(),
        wall_us: sim.wall_us(),
        method: method.to_string(),
        path: uri
            .path_and_query()
            .map_or_else(|| uri.path().to_owned(), ToString::to_string),
        status: (!mangle::is_reset(&response)).then(|| response.status().as_u16()),
        fault: fault.as_ref().map(Kind::name),
        what,
    };
    in_flight.answered = true;
    crate::lock(&sim.log).answered(entry, config.log_cap);
    sim.activity.send_replace(());
    response
}

fn planned(answer: &Answer) -> Response {
    let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &answer.body {
        Some(body) => (code, body.clone()).into_response(),
        None if code.is_server_error() => {
            (code, Json(json!({"errors": ["something went wrong"]}))).into_response()
        }
        None => message(code, "refused on the test's wish"),
    };
    retry_after(&mut response, answer.retry_after);
    response
}

fn retry_after(response: &mut Response, seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
}

async fn answer(
    sim: &Arc<Sim>,
    config: Arc<Config>,
    request: Request<Body>,
    what: &mut What,
) -> Response {
    if let Some(refusal) = gate(sim, &config, request.headers()) {
        // Read to the end, or the sender sees a broken pipe and not the answer.
        drain(request.into_body()).await;
        return refusal;
    }
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix(config.base_path.as_str()) else {
        return message(StatusCode::NOT_FOUND, "there is no such path");
    };
    let method = request.method().clone();
    let user_id = path
        .strip_prefix(config.users_path.as_str())
        .and_then(|rest| rest.strip_prefix('/'));
    let job_path = config.job_path();
    if path == config.users_path {
        match method {
            Method::POST | Method::PATCH => user(sim, &config, request, what).await,
            Method::GET => users(sim),
            _ => message(StatusCode::METHOD_NOT_ALLOWED, "use POST, PATCH or GET"),
        }
    } else if path == config.import_path && method == Method::POST {
        import(sim, config, request, what).await
    } else if let Some(id) = job_id(&job_path, path)
        && method == Method::GET
    {
        match sim.jobs.answer(id, &config) {
            Some(job) => Json(job).into_response(),
            None => message(StatusCode::NOT_FOUND, "there is no such import job"),
        }
    } else if let Some(id) = user_id
        && method == Method::GET
    {
        let slot = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        match slot.and_then(|slot| crate::lock(&sim.account).show(slot)) {
            Some(user) => Json(user).into_response(),
            None => message(StatusCode::NOT_FOUND, "there is no such user"),
        }
    } else {
        drain(request.into_body()).await;
        message(StatusCode::NOT_FOUND, "there is no such path")
    }
}

fn job_id<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once("{id}")?;
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// What refuses a request before anybody looks at what it wants.
fn gate(sim: &Sim, config: &Config, headers: &HeaderMap) -> Option<Response> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("ApiKey "));
    if key != Some(config.api_key.as_str()) {
        return Some(message(
            StatusCode::UNAUTHORIZED,
            "the API key is missing or not valid",
        ));
    }
    if let Some(limit) = config.rate_limit {
        let second = sim.clock.now() / 1_000;
        let mut window = crate::lock(&sim.window);
        if window.0 != second {
            *window = (second, 0);
        }
        window.1 += 1;
        if window.1 > limit.per_second.get() {
            crate::lock(&sim.faults).count("rate_limit");
            let mut response = message(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            retry_after(&mut response, limit.retry_after);
            return Some(response);
        }
    }
    if text(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Some(message(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "compressed requests are not understood",
        ));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match (config.max_body_bytes, length) {
        (Some(max), Some(length)) if length > max => Some(too_large()),
        _ => None,
    }
}

fn users(sim: &Sim) -> Response {
    let account = crate::lock(&sim.account);
    let users: Vec<Value> = (0..PAGE).filter_map(|slot| account.show(slot)).collect();
    Json(json!({ "users": users })).into_response()
}

async fn user(sim: &Sim, config: &Config, request: Request<Body>, what: &mut What) -> Response {
    let patch = request.method() == Method::PATCH;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let limit = config
        .max_body_bytes
        .map_or(MAX_USER_BYTES, |max| MAX_USER_BYTES.min(max as usize));
    let Ok(body) = to_bytes(request.into_body(), limit).await else {
        return too_large();
    };
    *what = What::User {
        body: body.clone(),
        effect: None,
    };
    let Ok(user) = serde_json::from_slice::<Value>(&body) else {
        return message(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let flag = |name: &str| match user.get(name).and_then(as_flag) {
        Some(value) => Some(value),
        None => query_flag(&query, name),
    };
    let manner = Manner {
        source: Source::Live,
        create: !patch,
        merge: flag(&config.merge_flag).unwrap_or(false),
        welcome: flag(&config.welcome_flag).unwrap_or(true),
    };
    let names = user.as_object().map(row::names).unwrap_or_default();

    let mut account = crate::lock(&sim.account);
    names.iter().for_each(|name| account.saw(name));
    let row = row::from_json(&account.catalogue(), config, &user).and_then(|row| {
        if patch && row.email.is_none() && !config.patch_by_record_id {
            return Err(Refusal::Invalid("email is required".into()));
        }
        Ok(row)
    });
    let done = row.and_then(|row| account.upsert(row, manner));
    let effects = account.counts.effects;
    drop(account);

    if let (Ok(_), What::User { effect, .. }) = (&done, what) {
        *effect = Some(effects);
    }
    match done {
        Ok(Done::Created(id)) => user_answer(config.create_code, id),
        Ok(Done::Updated(id)) => user_answer(config.update_code, id),
        Err(Refusal::Invalid(text)) => message(StatusCode::BAD_REQUEST, &text),
        Err(Refusal::Unknown(text)) => message(StatusCode::NOT_FOUND, &text),
        Err(Refusal::Conflict(text)) => message(StatusCode::CONFLICT, &text),
    }
}

fn user_answer(code: u16, id: usize) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    (code, Json(json!({ "id": id.to_string() }))).into_response()
}

async fn import(
    sim: &Arc<Sim>,
    config: Arc<Config>,
    request: Request<Body>,
    what: &mut What,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (parts, mut body) = request.into_parts();
    if let Some(max) = config.max_body_bytes {
        body = Body::new(Limited::new(body, max as usize));
    }
    use axum::extract::FromRequest;
    let multipart = match Multipart::from_request(Request::from_parts(parts, body), &()).await {
        Ok(multipart) => multipart,
        Err(_) => return message(StatusCode::BAD_REQUEST, "multipart/form-data is required"),
    };
    let mut upload = match upload::read(multipart).await {
        Ok(upload) => upload,
        Err(UploadError::Multipart(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return too_large();
        }
        Err(UploadError::Multipart(error)) => {
            return message(StatusCode::BAD_REQUEST, &error.body_text());
        }
        Err(UploadError::Spool(error)) => {
            let errors = json!({"errors": [error.to_string()]});
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(errors)).into_response();
        }
    };
    let rows = upload.files.iter().map(|part| part.rows).sum();
    let files = upload.files.iter().map(jobs::describe).collect();
    let fields = upload.fields.clone();
    let catalogue = crate::lock(&sim.account).catalogue();
    let job = upload::check(&mut upload, &config, &catalogue).map(|()| {
        let merge = match upload.fields.get(&config.merge_flag) {
            Some(word) => word_flag(word),
            None => query_flag(&query, &config.merge_flag),
        };
        jobs::submit(sim, config.clone(), upload, merge.unwrap_or(false))
    });
    *what = What::Import {
        job: job.as_ref().ok().copied(),
        files,
        fields,
        rows,
    };
    match job {
        Ok(id) => submitted(&config, id),
        Err(reason) => message(StatusCode::BAD_REQUEST, &reason),
    }
}

fn submitted(config: &Config, id: u64) -> Response {
    let code = StatusCode::from_u16(config.submit_code).unwrap_or(StatusCode::CREATED);
    if config.job_id_at == "location" {
        let place = format!(
            "{}{}",
            config.base_path,
            config.job_path().replace("{id}", &id.to_string())
        );
        return (code, [(header::LOCATION, place)]).into_response();
    }
    let mut body = json!(id.to_string());
    for key in config.job_id_at.rsplit('/').filter(|key| !key.is_empty()) {
        body = json!({ key: body });
    }
    (code, Json(body)).into_response()
}

fn query_flag(query: &str, name: &str) -> Option<bool> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| word_flag(value))
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(word) => word_flag(word),
        _ => None,
    }
}

fn word_flag(word: &str) -> Option<bool> {
    match word {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn too_large() -> Response {
    message(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large")
}

pub(crate) fn message(code: StatusCode, text: &str) -> Response {
    (code, Json(json!({ "message": text }))).into_response()
}

async fn drain(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}
