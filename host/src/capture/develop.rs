//! From a call that was made to one that is written down: as it was, or masked.
//!
//! A masked call is one that was really made: the plugin gets masked rows, and is answered from the
//! real call's tape, masked as well. So a masked capture holds nothing of any member, and replays.

use std::sync::Arc;

use super::began::Began;
use super::blind::Blind;
use super::call::{Call, Input, Real};
use super::digest::Digester;
use super::exchange::CapturedRequest;
use super::mask::Mask;
use super::memory::{CapturedChange, CapturedText};
use super::replay::Again;
use super::taken::Taken;
use super::vocabulary::vocabulary;
use crate::blocking::blocking;
use crate::capability::http::Exchange;

/// The call as it was.
pub(super) fn revealed(taken: &Taken) -> Call {
    let exchanges: Vec<_> = taken.exchanges.iter().map(Into::into).collect();
    Call {
        digests: digests(taken, &Digester::Plain),
        began: Some(Began(taken.moment)),
        input: taken.input.clone(),
        exchanges,
        state: taken.memories.state.clone(),
        remembers: taken.memories.remembers.clone(),
        outcome: taken.outcome.clone(),
        real: None,
    }
}

/// What a call is given that is made without anything of a member.
struct Masked {
    input: Input,
    tape: Vec<Exchange>,
    state: Vec<CapturedText>,
}

fn without_members(taken: &Taken, mask: &Mask) -> Masked {
    let (memories, exchanges) = (&taken.memories, &taken.exchanges);
    let kept = vocabulary(&taken.scene);
    let blind = Blind::new(mask, kept, &taken.input, &memories.state, exchanges);
    let input = match &taken.input {
        Input::Stage { offset, rows } => Input::Stage {
            offset: *offset,
            rows: mask.rows(rows),
        },
        Input::Deliver { rows } => Input::Deliver {
            rows: mask.rows(rows),
        },
        Input::Poll { token } => Input::Poll {
            token: blind.token(token),
        },
        // Names and numbers of the host's.
        input @ Input::Submit { .. } => input.clone(),
    };
    Masked {
        input,
        tape: exchanges.iter().map(|one| blind.exchange(one)).collect(),
        state: memories.state.iter().map(|one| blind.state(one)).collect(),
    }
}

/// The call without anything of a member: made once more, of masked rows, from a masked tape.
pub(super) async fn masked(taken: &Arc<Taken>, mask: &Arc<Mask>, key: [u8; 32]) -> Call {
    let scene = &taken.scene;
    let (real, mask) = (taken.clone(), mask.clone());
    let Masked { input, tape, state } = blocking(move || without_members(&real, &mask)).await;
    let again = Again {
        input: &input,
        tape,
        state,
        moment: Some(taken.moment),
        any_path: true,
        over: taken.outcome.of_waiting(),
    };
    let played = scene.rig.play(&scene.plugin, again).await;
    let alike = played.outcome.is_like(&taken.outcome)
        && played.left.is_empty()
        && played.exchanges.iter().all(|(_, of)| of.is_some())
        && made(&played.remembers).eq(made(&taken.memories.remembers));
    Call {
        input,
        began: Some(Began(taken.moment)),
        exchanges: played.exchanges.into_iter().map(|(one, _)| one).collect(),
        state: played.state,
        remembers: played.remembers,
        outcome: played.outcome,
        real: Some(Real {
            ended: taken.outcome.summary(),
            alike,
        }),
        digests: digests(taken, &Digester::Keyed(key)),
    }
}

fn digests(taken: &Taken, digester: &Digester) -> super::Digests {
    let requests: Vec<CapturedRequest> = taken
        .exchanges
        .iter()
        .map(|one| (&one.request).into())
        .collect();
    digester.digests(
        &taken.input,
        requests.iter(),
        &taken.memories.remembers,
        &taken.outcome,
    )
}

/// Which changes were made, whatever they are.
fn made(all: &[CapturedChange]) -> impl Iterator<Item = (bool, bool)> {
    all.iter().map(|one| (one.value.is_some(), one.made))
}
