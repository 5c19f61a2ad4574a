//! Bodies of `wasi:http` requests and answers, which the host holds: all of them together are as large
//! as the guest's own memory may be, since it can neither have written nor read more than that.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use wasmtime_wasi_http::{Error, WasiBody};

/// How much one call may have held.
#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    taken: AtomicUsize,
    most: usize,
}

/// A part of it that is taken, until it is dropped.
pub struct Taken {
    room: Room,
    bytes: usize,
}

impl Room {
    pub fn of(most: usize) -> Self {
        Self(Arc::new(Inner {
            taken: AtomicUsize::new(0),
            most,
        }))
    }

    /// The most that is held.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// Nothing of it, so far.
    pub fn begin(&self) -> Taken {
        Taken {
            room: self.clone(),
            bytes: 0,
        }
    }
}

impl Taken {
    /// Takes more; whether there was room.
    pub fn more(&mut self, bytes: usize) -> bool {
        let Inner { taken, most } = &*self.room.0;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| sum <= most);
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if took.is_ok() {
            self.bytes += bytes;
        }
        took.is_ok()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads what a guest writes to its end, also of a request that will be denied: engines that are cut
/// off in the middle of a body abort. `None` if there is no room.
pub async fn collect(mut body: WasiBody, room: &Room) -> Result<Option<(Vec<u8>, Taken)>, Error> {
    let (mut bytes, mut taken) = (vec![], room.begin());
    while let Some(frame) = body.frame().await {
        // Trailers are nothing that the contract has.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if !taken.more(data.len()) {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some((bytes, taken)))
}

/// An answer's body; takes its part of the room until the guest has read it or given it up.
pub fn answer(bytes: Vec<u8>, taken: Taken) -> WasiBody {
    Answer {
        bytes: Some(Bytes::from(bytes)).filter(|bytes| !bytes.is_empty()),
        _taken: taken,
    }
    .boxed_unsync()
}

struct Answer {
    bytes: Option<Bytes>,
    _taken: Taken,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn body(bytes: usize) -> WasiBody {
        let full = Full::new(Bytes::from(vec![b'x'; bytes]));
        full.map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test]
    async fn bodies_share_the_room_and_give_it_back() {
        let room = Room::of(100);
        let (bytes, first) = collect(body(60), &room).await.unwrap().unwrap();
        assert_eq!(bytes.len(), 60);
        assert!(collect(body(41), &room).await.unwrap().is_none());
        let (_, second) = collect(body(40), &room).await.unwrap().unwrap();
        assert!(!room.begin().more(1));
        let answer = answer(bytes, first);
        assert!(!room.begin().more(1));
        assert_eq!(answer.collect().await.unwrap().to_bytes().len(), 60);
        assert!(room.begin().more(60) && !room.begin().more(61));
        drop(second);
        assert!(room.begin().more(100));
    }
}
