//! Which source field goes where in the demonstration, and what must never arrive.

use serde_json::Value;

const MAPPING: [(&str, &str); 17] = [
    ("user_id", "record_id"),
    ("email", "email"),
    ("first_name", "full_name"),
    ("last_name", "full_name"),
    ("phone", "phone"),
    ("street", "address1"),
    ("city", "city"),
    ("state", "state"),
    ("postal_code", "zip"),
    ("country", "country"),
    ("birthday", "birthday"),
    ("gender", "gender"),
    ("signup_at", "account_created_on"),
    ("credits", "custom_attributes.resci.credits_available"),
    ("vip", "custom_attributes.resci.vip"),
    ("tags", "custom_attributes.resci.tags"),
    ("preferences", "custom_attributes.resci.preferences"),
];

/// Source and destination, in mapping order.
pub fn mapping() -> &'static [(&'static str, &'static str)] {
    &MAPPING
}

/// Group, name and type of the custom attributes that the account must have.
pub fn definitions() -> &'static [(&'static str, &'static str, &'static str)] {
    &[
        ("resci", "credits_available", "number"),
        ("resci", "vip", "boolean"),
        ("resci", "tags", "string"),
        ("resci", "preferences", "string"),
    ]
}

/// Of the fields that the account received, those that touch consent.
pub fn forbidden_fields(stats: &Value) -> Vec<String> {
    const CONSENT: [&str; 6] = [
        "newsletter",
        "unsubscri",
        "opt_in",
        "opt_out",
        "consent",
        "marketing",
    ];
    received(stats)
        .filter(|name| CONSENT.iter().any(|word| name.contains(word)))
        .map(str::to_owned)
        .collect()
}

/// Of the fields that the account received, those that are neither mapped nor among `flags`.
pub fn unexpected_fields(stats: &Value, flags: &[&str]) -> Vec<String> {
    received(stats)
        .filter(|name| !flags.contains(name) && !MAPPING.iter().any(|(_, to)| to == name))
        .map(str::to_owned)
        .collect()
}

fn received(stats: &Value) -> impl Iterator<Item = &str> {
    let fields = stats.get("fields").and_then(Value::as_array);
    fields.into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn consent_is_found_among_the_received_fields() {
        let stats = json!({"fields": ["email", "date_unsubscribed",
            "custom_attributes.resci.newsletter_opt_in", "send_transactional_welcome"]});
        assert_eq!(
            forbidden_fields(&stats),
            [
                "date_unsubscribed",
                "custom_attributes.resci.newsletter_opt_in"
            ]
        );
        assert_eq!(
            unexpected_fields(&stats, &["send_transactional_welcome"]).len(),
            2
        );
    }
}
