//! Members' data as it is shown to people who did not ask to see it.

use serde_json::Value;

/// JSON keeps its names and shapes, any other text its shape.
pub fn shown(text: &str, reveal: bool) -> String {
    if reveal {
        return text.to_owned();
    }
    match serde_json::from_str(text) {
        Ok(mut json @ (Value::Object(_) | Value::Array(_))) => {
            mask_json(&mut json);
            json.to_string()
        }
        _ => mask(text),
    }
}

/// Keeps names and shapes, hides values.
fn mask_json(json: &mut Value) {
    match json {
        Value::String(text) => *text = mask(text),
        Value::Number(number) => *json = mask(&number.to_string()).into(),
        Value::Array(items) => items.iter_mut().for_each(mask_json),
        Value::Object(object) => object.values_mut().for_each(mask_json),
        Value::Bool(_) => *json = "xxxx".into(),
        Value::Null => {}
    }
}

/// Hides letters and digits, keeps the shape.
pub fn mask(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_numeric() => '0',
            c if c.is_ascii_punctuation() || c.is_whitespace() => c,
            _ => 'x',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_shape_and_no_letter_or_digit() {
        assert_eq!(mask("Zoë, 12٣ <z@ü.de>\n🎈"), "xxx, 000 <x@x.xx>\nx");
    }

    #[test]
    fn json_keeps_its_names() {
        let json = r#"{"email":"a@b.c","n":{"credits":12,"vip":true,"none":null}}"#;
        assert_eq!(
            shown(json, false),
            r#"{"email":"x@x.x","n":{"credits":"00","vip":"xxxx","none":null}}"#
        );
        assert_eq!(shown(json, true), json);
        assert_eq!(shown("\"Ada\"", false), "\"xxx\"");
    }
}
