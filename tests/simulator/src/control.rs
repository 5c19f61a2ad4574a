//! The controls under `/__sim`: no part of the vendor's API, and without a key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::message;
use crate::clock::ClockMode;
use crate::faults::{JobRule, Rule};
use crate::fields::Definition;
use crate::{Sim, api};

pub(crate) fn router(sim: Arc<Sim>) -> Router {
    let controls = Router::new()
        .route("/users", get(users))
        .route("/requests", get(requests))
        .route("/jobs", get(jobs))
        .route("/jobs/release", post(release_jobs))
        .route("/stats", get(stats))
        .route("/clock", get(clock).post(set_clock))
        .route("/config", get(config).put(set_config))
        .route("/attributes", put(attributes))
        .route("/faults", get(faults).post(set_faults).delete(no_faults))
        .route("/reset", post(reset))
        .fallback(|| async { message(StatusCode::NOT_FOUND, "there is no such control") });
    Router::new()
        .nest("/__sim", controls)
        .fallback(api::vendor)
        // An import is as large as it is; what is too large is a setting.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(sim)
}

/// So many users are written at a time, so that two million of them are never one text.
const USERS_PER_PIECE: usize = 500;

async fn users(State(sim): State<Arc<Sim>>) -> Response {
    let order = crate::lock(&sim.account).order();
    let pieces = stream::unfold((sim, order, 0), |(sim, order, at)| async move {
        let end = order.len().min(at + USERS_PER_PIECE);
        let slots = order.get(at..end).filter(|slots| !slots.is_empty())?;
        let mut piece = String::new();
        let account = crate::lock(&sim.account);
        for user in slots.iter().filter_map(|slot| account.show(*slot)) {
            piece.push_str(&user.to_string());
            piece.push('\n');
        }
        drop(account);
        let piece = Ok::<Bytes, std::convert::Infallible>(piece.into());
        Some((piece, (sim, order, end)))
    });
    ndjson(Body::from_stream(pieces))
}

fn ndjson(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn lines(values: &[Value]) -> Response {
    let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
    ndjson(Body::from(lines))
}

async fn requests(State(sim): State<Arc<Sim>>) -> Response {
    let entries = crate::lock(&sim.log).entries();
    lines(&entries)
}

async fn jobs(State(sim): State<Arc<Sim>>) -> Response {
    lines(&sim.jobs.list(&sim.config()))
}

async fn release_jobs(State(sim): State<Arc<Sim>>) -> StatusCode {
    sim.jobs.release(sim.clock.now());
    StatusCode::NO_CONTENT
}

async fn stats(State(sim): State<Arc<Sim>>) -> Json<Value> {
    Json(sim.stats())
}

async fn clock(State(sim): State<Arc<Sim>>) -> Json<Value> {
    Json(json!({"mode": sim.clock.mode(), "now_ms": sim.clock.now()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    mode: Option<ClockMode>,
    #[serde(default)]
    advance_ms: u64,
}

/// Answers when every job whose time has come is over.
async fn set_clock(State(sim): State<Arc<Sim>>, Json(set): Json<SetClock>) -> Json<Value> {
    sim.clock.set(set.mode, set.advance_ms);
    sim.jobs.settled(|| sim.clock.now()).await;
    clock(State(sim)).await
}

async fn config(State(sim): State<Arc<Sim>>) -> Response {
    Json(&*sim.config()).into_response()
}

async fn set_config(State(sim): State<Arc<Sim>>, Json(patch): Json<Value>) -> Response {
    match sim.patch(&patch) {
        Ok(()) => config(State(sim)).await,
        Err(error) => message(StatusCode::BAD_REQUEST, &format!("{error:#}")),
    }
}

async fn attributes(
    State(sim): State<Arc<Sim>>,
    Json(definitions): Json<Vec<Definition>>,
) -> StatusCode {
    sim.define(definitions);
    StatusCode::NO_CONTENT
}

async fn faults(State(sim): State<Arc<Sim>>) -> Json<Vec<Rule>> {
    Json(crate::lock(&sim.faults).rules())
}

/// A list of rules, for requests and for jobs as they come.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRule {
    Job(JobRule),
    Request(Box<Rule>),
}

async fn set_faults(State(sim): State<Arc<Sim>>, Json(list): Json<Value>) -> Response {
    let rules: Vec<AnyRule> = match serde_json::from_value(list) {
        Ok(rules) => rules,
        Err(error) => return message(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (mut requests, mut jobs) = (Vec::new(), Vec::new());
    for rule in rules {
        match rule {
            AnyRule::Job(rule) => jobs.push(rule),
            AnyRule::Request(rule) => requests.push(*rule),
        }
    }
    sim.set_faults(requests, jobs);
    StatusCode::NO_CONTENT.into_response()
}

async fn no_faults(State(sim): State<Arc<Sim>>) -> StatusCode {
    sim.set_faults(Vec::new(), Vec::new());
    StatusCode::NO_CONTENT
}

async fn reset(State(sim): State<Arc<Sim>>) -> StatusCode {
    sim.reset();
    StatusCode::NO_CONTENT
}
