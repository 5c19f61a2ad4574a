//! The audience and the account together: a hand-written export of a thousand members must leave
//! the account as the model says.

use std::collections::HashMap;

use sluice_audience::{Audience, Expected, definitions, forbidden_fields, unexpected_fields};

use super::*;

/// The columns, as the exporter's README has them; rules by hand, for the few that need one.
const COLUMNS: [(&str, &str); 16] = [
    ("record_id", "user_id"),
    ("email", "email"),
    ("full_name", "first_name"),
    ("phone", "phone"),
    ("address1", "street"),
    ("city", "city"),
    ("state", "state"),
    ("zip", "postal_code"),
    ("country", "country"),
    ("birthday", "birthday"),
    ("gender", "gender"),
    ("account_created_on", "signup_at"),
    ("custom_attributes.resci.credits_available", "credits"),
    ("custom_attributes.resci.vip", "vip"),
    ("custom_attributes.resci.tags", "tags"),
    ("custom_attributes.resci.preferences", "preferences"),
];

/// The text of each column; nothing for a member that cannot be sent.
fn cells(user: &Value) -> Option<Vec<String>> {
    let text = |field: &str| match &user[field] {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let cell = |(column, source): &(&str, &str)| match *column {
        "full_name" => [text("first_name"), text("last_name")]
            .join(" ")
            .trim()
            .to_owned(),
        "gender" => text(source).to_lowercase().chars().take(1).collect(),
        "birthday" | "account_created_on" => text(source).chars().take(10).collect(),
        "country" => match text(source).to_lowercase().as_str() {
            "" => String::new(),
            "gb" | "gbr" | "uk" | "united kingdom" => "UK".into(),
            "germany" | "deu" => "DE".into(),
            "japan" | "jpn" => "JP".into(),
            "spain" => "ES".into(),
            "israel" => "IL".into(),
            word => word[..2].to_uppercase().replace("UN", "US"),
        },
        "custom_attributes.resci.tags" => {
            let tags = user[source].as_array().cloned().unwrap_or_default();
            let tags: Vec<String> = tags
                .iter()
                .filter(|tag| !tag.is_null())
                .map(|tag| tag.as_str().map_or_else(|| tag.to_string(), str::to_owned))
                .collect();
            tags.join(", ")
        }
        _ => text(source),
    };
    let cells: Vec<String> = COLUMNS.iter().map(cell).collect();
    let email = &cells[1];
    let wrong = email.matches('@').count() != 1
        || email.contains(' ')
        || email.starts_with('@')
        || email.ends_with('@');
    let birthday = &cells[9];
    let wrong_day = !birthday.is_empty() && !crate::fields::is_date(birthday);
    let sent = !cells[0].is_empty() && (email.is_empty() || !wrong) && !wrong_day;
    sent.then_some(cells)
}

fn json_of(cells: &[String]) -> Value {
    let mut user = json!({});
    for ((column, _), cell) in COLUMNS
        .iter()
        .zip(cells)
        .filter(|(_, cell)| !cell.is_empty())
    {
        match column.strip_prefix("custom_attributes.resci.") {
            Some(name) => user["custom_attributes"]["resci"][name] = json!(cell),
            None => user[*column] = json!(cell),
        }
    }
    user
}

fn csv_of(members: impl Iterator<Item = String>) -> String {
    let mut rows: Vec<Option<Vec<String>>> = Vec::new();
    let mut places = HashMap::new();
    for line in members {
        let user = serde_json::from_str(&line).unwrap_or_default();
        let Some(cells) = cells(&user) else { continue };
        let identities = [cells[0].clone(), cells[1].to_lowercase()];
        let place = rows.len();
        for identity in identities.into_iter().filter(|text| !text.is_empty()) {
            if let Some(earlier) = places.insert(identity, place) {
                rows[earlier] = None;
            }
        }
        rows.push(Some(cells));
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(COLUMNS.map(|(column, _)| column)).unwrap();
    for row in rows.into_iter().flatten() {
        csv.write_record(row).unwrap();
    }
    String::from_utf8(csv.into_inner().unwrap()).unwrap()
}

#[tokio::test]
async fn an_audience_sent_by_hand_leaves_the_account_as_the_model_says() {
    let account = Account::plain().await;
    let attributes = definitions()
        .iter()
        .map(|(group, name, kind)| Definition::new(group, name, kind.parse().unwrap()))
        .collect();
    account.sim.define(attributes);
    let audience = Audience::new(1_000, 42).broken_lines(3);
    let changes: Vec<String> = audience.changes(0..300).collect();
    let expected = Expected::of(audience.members(), changes.clone());

    let id = account.import(csv_of(audience.members())).await;
    account.sim.settled().await;
    let (_, job) = account.job(&id).await;
    assert_eq!(job["row_errors"], json!([]));
    assert_eq!(job["rows"], expected.counts().staged);
    for line in changes {
        let change: Value = serde_json::from_str(&line).unwrap();
        let mut user = json_of(&cells(&change["user"]).unwrap());
        let said = |name: &str| change["user"].get(name).is_some();
        if change["change"] != "enter" && !(said("first_name") && said("last_name")) {
            // Half of a name leaves the whole name alone.
            user.as_object_mut().unwrap().remove("full_name");
        }
        assert!(account.post(user).await.unwrap().status().is_success());
    }

    let found = expected.compare(account.sim.users());
    assert!(found.is_clean(), "{found}");
    let stats = account.sim.stats();
    assert_eq!(forbidden_fields(&stats), [""; 0]);
    assert_eq!(unexpected_fields(&stats, &[]), [""; 0]);
}
