use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::fields::Kind;
use crate::row;

const LIVE: Manner = Manner {
    source: Source::Live,
    create: true,
    merge: false,
    welcome: true,
};

fn account() -> Account {
    Account::new(&[
        Definition::new("resci", "credits_available", Kind::Number),
        Definition::new("resci", "vip", Kind::Boolean),
    ])
}

fn put(account: &mut Account, user: Value, manner: Manner) -> Result<Done, Refusal> {
    let row = row::from_json(&account.catalogue(), &Config::default(), &user)?;
    account.upsert(row, manner)
}

#[test]
fn finds_a_user_by_email_in_any_letter_case_and_by_record_id_only_exactly() {
    let mut account = account();
    let first = json!({"record_id": "a", "email": "Ann@Example.com"});
    assert_eq!(put(&mut account, first, LIVE), Ok(Done::Created(1)));
    let again = json!({"email": "ANN@example.com", "city": "Bonn"});
    assert_eq!(put(&mut account, again, LIVE), Ok(Done::Updated(1)));
    assert_eq!(
        put(&mut account, json!({"record_id": "A"}), LIVE),
        Ok(Done::Created(2))
    );
}

#[test]
fn two_users_are_a_conflict_unless_they_are_merged() {
    let mut account = account();
    put(
        &mut account,
        json!({"record_id": "a", "city": "Bonn"}),
        LIVE,
    )
    .unwrap();
    put(
        &mut account,
        json!({"email": "b@x.org", "city": "Rome", "zip": "1"}),
        LIVE,
    )
    .unwrap();
    let both = json!({"record_id": "a", "email": "b@x.org"});
    assert!(matches!(
        put(&mut account, both.clone(), LIVE),
        Err(Refusal::Conflict(_))
    ));
    assert_eq!(account.counts.conflicts, 1);

    let merging = Manner {
        merge: true,
        ..LIVE
    };
    assert_eq!(put(&mut account, both, merging), Ok(Done::Updated(1)));
    let users = account.all();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["city"], "Bonn");
    assert_eq!(users[0]["zip"], "1");
    assert_eq!(users[0]["email"], "b@x.org");
    assert_eq!(account.counts.users, 1);
}

#[test]
fn a_changed_email_leaves_the_old_one_free() {
    let mut account = account();
    put(
        &mut account,
        json!({"record_id": "a", "email": "old@x.org"}),
        LIVE,
    )
    .unwrap();
    put(
        &mut account,
        json!({"record_id": "a", "email": "new@x.org"}),
        LIVE,
    )
    .unwrap();
    let other = json!({"record_id": "b", "email": "old@x.org"});
    assert_eq!(put(&mut account, other, LIVE), Ok(Done::Created(2)));
}

#[test]
fn absent_leaves_alone_and_null_clears() {
    let mut account = account();
    let user = json!({"record_id": "a", "city": "Bonn", "zip": "1"});
    put(&mut account, user, LIVE).unwrap();
    put(&mut account, json!({"record_id": "a", "city": null}), LIVE).unwrap();
    let users = account.all();
    assert_eq!(users[0].get("city"), None);
    assert_eq!(users[0]["zip"], "1");
}

#[test]
fn custom_attributes_get_their_type_and_undefined_ones_are_counted() {
    let mut account = account();
    let user = json!({"record_id": "a", "custom_attributes":
        {"resci": {"credits_available": "12", "vip": "True", "colour": "red"}}});
    put(&mut account, user, LIVE).unwrap();
    let users = account.all();
    assert_eq!(
        users[0]["custom_attributes"],
        json!({"resci": {"credits_available": 12, "vip": true}})
    );
    assert_eq!(account.counts.undefined_attributes, 1);
}

#[test]
fn any_date_unsubscribes_for_good() {
    let mut account = account();
    let user = json!({"record_id": "a", "date_unsubscribed": "2024-01-01"});
    put(&mut account, user, LIVE).unwrap();
    put(
        &mut account,
        json!({"record_id": "a", "date_unsubscribed": null}),
        LIVE,
    )
    .unwrap();
    assert_eq!(account.all()[0]["unsubscribed"], true);
}

#[test]
fn only_new_users_of_the_live_way_are_welcomed() {
    let mut account = account();
    let import = Manner {
        source: Source::Import,
        ..LIVE
    };
    let silent = Manner {
        welcome: false,
        ..LIVE
    };
    put(&mut account, json!({"record_id": "a"}), import).unwrap();
    put(&mut account, json!({"record_id": "a"}), LIVE).unwrap();
    put(&mut account, json!({"record_id": "b"}), silent).unwrap();
    assert_eq!(account.counts.mails, 0);
    put(&mut account, json!({"record_id": "c"}), LIVE).unwrap();
    assert_eq!(account.counts.mails, 1);
}

#[test]
fn a_user_without_identity_or_with_a_wrong_date_is_refused() {
    let mut account = account();
    assert!(put(&mut account, json!({"city": "Bonn"}), LIVE).is_err());
    assert!(
        put(
            &mut account,
            json!({"record_id": "a", "birthday": "1.2.2000"}),
            LIVE
        )
        .is_err()
    );
    assert_eq!(account.counts.users, 0);
}
