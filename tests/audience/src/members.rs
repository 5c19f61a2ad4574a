//! The members, one after the other, each from its number alone.

use serde_json::{Value, json};

use crate::Audience;
use crate::dice::{Dice, Purpose};
use crate::profile::{Profile, email, profile, user_id};
use crate::words::{NO_DATES, NO_EMAILS, NO_JSON};

/// What is wrong with a member, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    MissingEmail,
    /// The email of the given member under another user id.
    EmailAgain(u64),
    /// The given member once more, newer.
    UserAgain(u64),
    InvalidEmail,
    InvalidBirthday,
    NoUserId,
}

/// How far back the member is that comes again: at once, and also in another batch and another
/// file. A fixed list, so that whether a member comes again can be asked without looking at all.
const DISTANCES: [u64; 4] = [30_011, 401, 13, 1];

/// What the number alone says, whether or not there is a member to come again.
fn intention(seed: u64, number: u64) -> Kind {
    if number == 17 {
        return Kind::NoUserId;
    }
    let mut dice = Dice::new(seed, Purpose::Kind, number, 0);
    match dice.below(100_000) {
        0..2_000 => Kind::MissingEmail,
        2_000..2_500 => distance(&mut dice, number, Kind::EmailAgain),
        2_500..2_800 => distance(&mut dice, number, Kind::UserAgain),
        2_800..2_900 => Kind::InvalidEmail,
        2_900..3_000 => Kind::InvalidBirthday,
        3_000..3_005 => Kind::NoUserId,
        _ => Kind::Plain,
    }
}

fn distance(dice: &mut Dice, number: u64, again: impl Fn(u64) -> Kind) -> Kind {
    let first = dice.below(DISTANCES.len() as u64) as usize;
    DISTANCES[first..]
        .iter()
        .find(|distance| **distance <= number)
        .map_or(Kind::Plain, |distance| again(number - distance))
}

pub(crate) fn kind(seed: u64, number: u64) -> Kind {
    match intention(seed, number) {
        // Only a member with nothing else wrong comes again, or one mess would hide the other.
        Kind::EmailAgain(earlier) | Kind::UserAgain(earlier)
            if intention(seed, earlier) != Kind::Plain =>
        {
            Kind::Plain
        }
        kind => kind,
    }
}

/// Whether the member has nothing wrong and shares neither id nor email with another one.
pub(crate) fn is_alone(seed: u64, number: u64, members: u64) -> bool {
    let again = |distance: &u64| {
        let later = number + distance;
        later < members
            && matches!(kind(seed, later), Kind::EmailAgain(n) | Kind::UserAgain(n) if n == number)
    };
    kind(seed, number) == Kind::Plain && !DISTANCES.iter().any(again)
}

pub(crate) fn member(seed: u64, number: u64) -> Profile {
    let mut dice = Dice::new(seed, Purpose::Kind, number, 1);
    let mut user = profile(seed, number, 0);
    match kind(seed, number) {
        Kind::Plain => {}
        Kind::MissingEmail => match dice.below(4) {
            0 => user["email"] = Value::Null,
            1 => user["email"] = json!(""),
            2 => user["email"] = json!(" "),
            _ => {
                user.shift_remove("email");
            }
        },
        Kind::EmailAgain(earlier) => {
            let address = email(seed, earlier, 0);
            let upper = address.to_uppercase();
            user["email"] = json!(if address == upper {
                address.to_lowercase()
            } else {
                upper
            });
        }
        Kind::UserAgain(earlier) => {
            let id = user_id(seed, earlier);
            user["user_id"] = match id.as_u64() {
                // The same id as a text is the same id.
                Some(id) if dice.percent(50) => json!(id.to_string()),
                _ => id,
            };
            if dice.percent(70) {
                user["email"] = json!(email(seed, earlier, 1));
            }
        }
        Kind::InvalidEmail => user["email"] = json!(dice.pick(&NO_EMAILS)),
        Kind::InvalidBirthday => {
            user.insert("birthday".into(), json!(dice.pick(&NO_DATES)));
        }
        Kind::NoUserId => match dice.below(3) {
            0 => user["user_id"] = Value::Null,
            1 => user["user_id"] = json!(""),
            _ => {
                user.shift_remove("user_id");
            }
        },
    }
    user
}

/// The lines, made as they are asked for.
#[derive(Clone, Debug)]
pub struct Members {
    audience: Audience,
    next: u64,
    broken: u64,
}

impl Members {
    pub(crate) fn new(audience: Audience) -> Self {
        Self {
            audience,
            next: 0,
            broken: 0,
        }
    }
}

impl Iterator for Members {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let Audience {
            members,
            seed,
            broken_lines,
            ..
        } = self.audience;
        // Spread evenly, the first not at the beginning.
        let due = |broken: u64| members * (broken + 1) / (broken_lines + 1);
        if self.broken < broken_lines && self.next >= due(self.broken) {
            self.broken += 1;
            let mut dice = Dice::new(seed, Purpose::Broken, self.broken, 0);
            return Some(dice.pick(&NO_JSON).to_owned());
        }
        let number = self.next;
        if number == members {
            return None;
        }
        self.next += 1;
        Some(Value::Object(member(seed, number)).to_string())
    }
}
