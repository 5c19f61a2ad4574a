//! One member's fields. Identity follows from the number alone, the rest from number and version.

use serde_json::{Map, Value, json};

use crate::dice::{Dice, Purpose};
use crate::time;
use crate::words::*;

pub(crate) type Profile = Map<String, Value>;

/// The first two in the order of most sources; some sources have it the other way round.
const NAMES: [&str; 2] = ["first_name", "last_name"];

pub(crate) fn user_id(seed: u64, number: u64) -> Value {
    if Dice::new(seed, Purpose::Identity, number, 0).below(20) == 0 {
        // Some systems count their users.
        json!(900_000_000 + number)
    } else {
        json!(format!("u{number:06}"))
    }
}

/// The same address for the same number, in a spelling that depends on the version.
pub(crate) fn email(seed: u64, number: u64, version: u64) -> String {
    let mut fixed = Dice::new(seed, Purpose::Identity, number, 1);
    let address = format!(
        "{}.{}{number}@{}",
        fixed.pick(&FIRST).to_lowercase(),
        fixed.pick(&LAST).to_lowercase(),
        fixed.pick(&DOMAINS)
    );
    let mut dice = Dice::new(seed, Purpose::Identity, number, version + 2);
    match dice.below(100) {
        0..=2 => format!("  {address}"),
        3..=4 => format!("{address} \t"),
        5..=9 => address.to_uppercase(),
        10..=13 => address[..1].to_uppercase() + &address[1..],
        _ => address,
    }
}

pub(crate) fn profile(seed: u64, number: u64, version: u64) -> Profile {
    let mut dice = Dice::new(seed, Purpose::Profile, number, version);
    let dice = &mut dice;
    let mut user = Profile::new();
    user.insert("user_id".into(), user_id(seed, number));
    user.insert("email".into(), json!(email(seed, number, version)));
    let mut names = [name(dice, &FIRST, &ODD_FIRST), name(dice, &LAST, &ODD_LAST)].map(Some);
    let turned = dice.percent(5);
    for at in if turned { [1, 0] } else { [0, 1] } {
        put(&mut user, NAMES[at], names[at].take().flatten());
    }
    let phone = format!(
        "+1 ({}) 555-{:04}",
        dice.between(201, 989),
        dice.below(10_000)
    );
    let phone = mostly(dice, json!(phone));
    put(&mut user, "phone", phone);
    let street = format!("{} {}", dice.between(1, 999), dice.pick(&STREETS));
    let street = mostly(dice, json!(street));
    put(&mut user, "street", street);
    let city = json!(dice.pick(&CITIES));
    let city = mostly(dice, city);
    put(&mut user, "city", city);
    let state = json!(dice.pick(&STATES));
    put(&mut user, "state", Some(state));
    let postal = if dice.percent(3) {
        json!(dice.between(10_000, 99_999))
    } else {
        json!(dice.pick(&POSTAL))
    };
    let postal = mostly(dice, postal);
    put(&mut user, "postal_code", postal);
    let country = json!(dice.pick(&COUNTRIES));
    let country = mostly(dice, country);
    put(&mut user, "country", country);
    let birthday = birthday(dice);
    let birthday = mostly(dice, birthday);
    put(&mut user, "birthday", birthday);
    let gender = json!(dice.pick(&GENDERS));
    let gender = mostly(dice, gender);
    put(&mut user, "gender", gender);
    put(&mut user, "signup_at", Some(signup(dice)));
    let credits = credits(dice);
    let credits = mostly(dice, credits);
    put(&mut user, "credits", credits);
    let vip = match dice.below(10) {
        0 => Value::Null,
        n => json!(n < 4),
    };
    put(&mut user, "vip", Some(vip));
    let tags = tags(dice);
    let tags = mostly(dice, tags);
    put(&mut user, "tags", tags);
    let preferences = preferences(dice);
    let preferences = mostly(dice, preferences);
    put(&mut user, "preferences", preferences);
    // In the source, but in no mapping: these must never reach the destination.
    user.insert("newsletter_opt_in".into(), json!(dice.percent(60)));
    let unsubscribed = if dice.percent(10) {
        json!(time::timestamp(
            dice.between(1_600_000_000, 1_760_000_000) * 1_000
        ))
    } else {
        Value::Null
    };
    user.insert("unsubscribed_at".into(), unsubscribed);
    user
}

fn put(user: &mut Profile, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        user.insert(field.into(), value);
    }
}

/// The value, or null, or an empty text, or nothing at all.
fn mostly(dice: &mut Dice, value: Value) -> Option<Value> {
    match dice.below(100) {
        0..=3 => Some(Value::Null),
        4..=5 if value.is_string() => Some(json!("")),
        6 if value.is_string() => Some(json!("  ")),
        7..=10 => None,
        _ => Some(value),
    }
}

fn name(dice: &mut Dice, plain: &[&str], odd: &[&str]) -> Option<Value> {
    let odd = if dice.percent(15) { odd } else { plain };
    let name = json!(dice.pick(odd));
    mostly(dice, name)
}

fn birthday(dice: &mut Dice) -> Value {
    let day = time::date(dice.between(0, 13_000));
    match dice.below(10) {
        0..=6 => json!(day),
        7 => json!(format!("{day}T00:00:00Z")),
        // The date as it is written counts, whatever day it is in Greenwich.
        8 => json!(format!("{day}T23:30:00-08:00")),
        _ => json!(format!("{day}T00:30:00.000+09:00")),
    }
}

fn signup(dice: &mut Dice) -> Value {
    let stamp = time::timestamp(dice.between(1_400_000_000, 1_760_000_000) * 1_000);
    match dice.below(4) {
        0 => json!(stamp),
        1 => json!(stamp.replace(".000Z", "Z")),
        2 => json!(stamp.replace(".000Z", "+02:00")),
        _ => json!(stamp.replace(".000Z", ".123456-11:00")),
    }
}

fn credits(dice: &mut Dice) -> Value {
    let whole = dice.below(5_000);
    match dice.below(10) {
        0 => json!(whole.to_string()),
        1 => json!(format!("{whole}.50")),
        2 => json!(whole as f64 + 0.25),
        3 => json!(-(whole as i64)),
        4 => json!(0),
        _ => json!(whole),
    }
}

fn tags(dice: &mut Dice) -> Value {
    let mut tags: Vec<Value> = Vec::new();
    for _ in 0..dice.below(5) {
        tags.push(match dice.below(30) {
            0 => Value::Null,
            1 => json!([dice.pick(&TAGS), dice.below(10)]),
            2 => json!(dice.below(100)),
            3 => json!(true),
            4 => json!({"since": dice.between(2_015, 2_026), "tag": dice.pick(&TAGS)}),
            _ => json!(dice.pick(&TAGS)),
        });
    }
    Value::Array(tags)
}

fn preferences(dice: &mut Dice) -> Value {
    if dice.percent(5) {
        return json!({});
    }
    let mut map = Map::new();
    // Not in the order of the alphabet, so that whoever sorts keys is found out.
    map.insert("zone".into(), json!(dice.below(24)));
    map.insert("language".into(), json!(dice.pick(&LANGUAGES)));
    if dice.percent(50) {
        map.insert(
            "channels".into(),
            json!({"sms": dice.percent(50), "app": dice.percent(50), "post": null}),
        );
    }
    if dice.percent(30) {
        map.insert("brands".into(), json!([dice.pick(&TAGS), dice.pick(&TAGS)]));
    }
    map.insert("a".into(), json!(1.5));
    Value::Object(map)
}
