//! What happens to the members after the scan, each change from its number alone.

use std::ops::Range;

use serde_json::{Value, json};

use crate::Audience;
use crate::dice::{Dice, Purpose};
use crate::members::is_alone;
use crate::profile::{Profile, profile};
use crate::time;

/// 2026-01-01, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_767_225_600_000;
const STEP_MS: u64 = 250;
/// So often a member is looked for that shares nothing with another; most are found at once.
const ATTEMPTS: u64 = 32;
/// Beyond the versions that members have in the scan.
const FIRST_VERSION: u64 = 1_000;

#[derive(Clone, Debug)]
pub struct Changes {
    audience: Audience,
    numbers: Range<u64>,
}

impl Changes {
    pub(crate) fn new(audience: Audience, numbers: Range<u64>) -> Self {
        Self { audience, numbers }
    }
}

impl Iterator for Changes {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let number = self.numbers.next()?;
        Some(change(self.audience, number).to_string())
    }
}

fn dice(audience: Audience, number: u64) -> Dice {
    Dice::new(audience.seed, Purpose::Change, number, 0)
}

/// Whether the change brings a new member, whose number is then beyond those of the scan.
fn is_enter(dice: &mut Dice) -> bool {
    dice.percent(10)
}

fn change(audience: Audience, number: u64) -> Value {
    let mut dice = dice(audience, number);
    let known = if is_enter(&mut dice) {
        None
    } else {
        member(audience, number, &mut dice)
    };
    let seed = audience.seed;
    let version = FIRST_VERSION + number;
    let (change, user) = match known {
        None => ("enter", profile(seed, audience.members + number, version)),
        Some(member) => {
            let whole = profile(seed, member, version);
            let partial = dice.percent(audience.partial_percent);
            match dice.below(8) {
                0 if partial => ("exit", only(whole, &[])),
                0 => ("exit", whole),
                // Somebody who left comes back.
                1 => ("enter", whole),
                _ if partial => ("update", some(whole, &mut dice)),
                _ => ("update", renamed(whole, member, number, &mut dice)),
            }
        }
    };
    let at = time::timestamp(BEGIN_MS + number * STEP_MS);
    json!({"change": change, "at": at, "user": user})
}

/// Some member that exists by then and whose changes no other member's can meet.
fn member(audience: Audience, number: u64, dice: &mut Dice) -> Option<u64> {
    let members = audience.members;
    for _ in 0..ATTEMPTS {
        let at = match dice.below(10) {
            0 if number > 0 => {
                let earlier = dice.below(number);
                if is_enter(&mut self::dice(audience, earlier)) {
                    return Some(members + earlier);
                }
                continue;
            }
            // A few members change again and again.
            1..=3 => dice.below((members / 200).max(5).min(members)),
            _ => dice.below(members),
        };
        if at < members && is_alone(audience.seed, at, members) {
            return Some(at);
        }
    }
    None
}

/// Now and then a member gets a new address, one that nobody else has.
fn renamed(mut user: Profile, member: u64, number: u64, dice: &mut Dice) -> Profile {
    if dice.percent(2) {
        user["email"] = json!(format!("moved.{member}.{number}@example.com"));
    }
    user
}

fn some(user: Profile, dice: &mut Dice) -> Profile {
    let groups: [&[&str]; 6] = [
        // Both or none: one name alone would be taken for the full name.
        &["first_name", "last_name"],
        &["street", "city", "postal_code", "country"],
        &["credits"],
        &["vip", "tags"],
        &["phone"],
        &["preferences", "newsletter_opt_in", "unsubscribed_at"],
    ];
    let (one, other) = (dice.pick(&groups), dice.pick(&groups));
    only(user, &[one, other].concat())
}

/// The user id and the named fields.
fn only(user: Profile, fields: &[&str]) -> Profile {
    user.into_iter()
        .filter(|(name, _)| name == "user_id" || fields.contains(&name.as_str()))
        .collect()
}
