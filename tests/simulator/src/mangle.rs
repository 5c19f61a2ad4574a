//! What happens to an answer on its way back.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use crate::faults::Kind;
use crate::server::Reset;

/// No answer at all: the accept loop resets the connection.
pub(crate) fn reset() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Reset);
    response
}

pub(crate) fn is_reset(response: &Response) -> bool {
    response.extensions().get::<Reset>().is_some()
}

pub(crate) async fn answer(response: Response, fault: Option<&Kind>) -> Response {
    match fault {
        Some(Kind::ResetAfterEffect) => reset(),
        Some(Kind::TruncatedJson) => {
            let (mut parts, body) = response.into_parts();
            let whole = whole(body).await;
            parts.headers.remove(header::CONTENT_LENGTH);
            // A valid length for half of the text: what a proxy with a bad day sends.
            Response::from_parts(parts, Body::from(whole.slice(..whole.len() / 2)))
        }
        Some(Kind::SlowDrip(ms)) => {
            let (parts, body) = response.into_parts();
            let (whole, pause) = (whole(body).await, Duration::from_millis(*ms));
            let bytes = stream::unfold(0, move |at| {
                let next = (at < whole.len()).then(|| whole.slice(at..=at));
                async move {
                    let next = next?;
                    tokio::time::sleep(pause).await;
                    Some((Ok::<Bytes, std::convert::Infallible>(next), at + 1))
                }
            });
            // Its length stays announced, so the receiver knows that more is to come.
            Response::from_parts(parts, Body::from_stream(bytes))
        }
        Some(Kind::NotJson) => {
            let page = "<!doctype html><title>Please wait</title><p>We are busy.";
            let html = [(header::CONTENT_TYPE, "text/html")];
            (response.status(), html, page).into_response()
        }
        _ => response,
    }
}

async fn whole(body: Body) -> Bytes {
    // Our own answers are small and never fail.
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}
