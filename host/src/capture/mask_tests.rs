use super::*;
use crate::plugin::flat::Kind;

const VALUES: [&str; 12] = [
    "ada@example.com",
    "Zoë Łukasz",
    "O'Brien-Smith",
    "+49 (30) 123-456",
    "0",
    "1990-05-01",
    "1990-05-01T23:30:00.250-08:00",
    "a \"quoted\"\r\nline, with commas",
    "日本 🎈 x",
    "12345678901234567890",
    "x",
    "",
];

fn masks() -> impl Iterator<Item = Mask> {
    (0..200_u8).map(|seed| Mask::new([seed; 32]))
}

/// What a character is: its kind, or itself where it stays.
fn shape(text: &str) -> String {
    let one = |c: char| match c {
        c if c.is_numeric() => '0',
        c if c.is_uppercase() => 'X',
        c if c.is_alphabetic() => 'x',
        c if c.is_ascii() => c,
        _ => SYMBOL,
    };
    text.chars().map(one).collect()
}

#[test]
fn a_mask_keeps_the_shape_and_no_word() {
    for mask in masks() {
        for value in VALUES {
            let masked = mask.text(value);
            assert_eq!(shape(&masked), shape(value), "{value} became {masked}");
            let mut words = Words::default();
            words.add(value);
            let same: Vec<_> = pieces(&masked)
                .into_iter()
                .zip(pieces(value))
                .filter(|(masked, real)| masked == real && !matches!(real, Piece::Between(_)))
                .collect();
            assert!(same.is_empty(), "{value} became {masked}: {same:?}");
        }
    }
}

#[test]
fn a_word_becomes_the_same_one_in_any_case_and_wherever_it_stands() {
    for mask in masks() {
        let (first, last) = (mask.text("Ada"), mask.text("Lovelace"));
        assert_eq!(mask.text("ada"), first.to_lowercase());
        assert_eq!(mask.text("LOVELACE"), last.to_uppercase());
        assert_eq!(mask.text("Ada, Lovelace"), format!("{first}, {last}"));
        assert_eq!(mask.text("ŻÓŁW"), mask.text("żółw").to_uppercase());
    }
    assert_ne!(
        Mask::new([1; 32]).text("Ada"),
        Mask::new([2; 32]).text("Ada")
    );
    let mask = Mask::new([1; 32]);
    assert_ne!(mask.text("member-1001"), mask.text("member-1002"));
}

#[test]
fn two_stay_two_as_long_as_there_are_enough_of_their_shape() {
    use std::collections::BTreeSet;
    for mask in masks().take(20) {
        // Two in three of what there is: chance alone would let hundreds collide.
        let numbers: BTreeSet<_> = (100..700).map(|n: u32| mask.text(&n.to_string())).collect();
        assert_eq!(numbers.len(), 600);
        let letters = ["at", "de", "fr", "us", "ch", "uk", "nl", "be", "dk", "no"];
        let countries: BTreeSet<_> = letters.iter().map(|word| mask.text(word)).collect();
        assert_eq!(countries.len(), letters.len());
        // Where there are not enough, it ends, and is the same again.
        let digits: Vec<_> = (0..10).map(|n: u32| mask.text(&n.to_string())).collect();
        let again: Vec<_> = (0..10).map(|n: u32| mask.text(&n.to_string())).collect();
        assert_eq!(digits, again);
        assert!(digits.iter().all(|digit| digit.len() == 1));
    }
}

#[test]
fn a_day_is_a_day_and_a_number_a_number() {
    for mask in masks() {
        let day = mask.text("1999-12-31");
        assert!(day.parse::<jiff::civil::Date>().is_ok(), "{day}");
        let moment = mask.text("2024-02-29T23:59:59Z");
        assert!(moment.parse::<jiff::Timestamp>().is_ok(), "{moment}");
        for number in [
            "0",
            "-17",
            "12.50",
            "0.5",
            "1.5e10",
            "-2E-3",
            "9223372036854775807",
        ] {
            let masked = mask.number(number);
            assert_eq!(masked.len(), number.len());
            let parsed: serde_json::Number = masked.parse().unwrap();
            assert_eq!(
                parsed.is_f64(),
                number.parse::<serde_json::Number>().unwrap().is_f64()
            );
        }
    }
}

#[test]
fn cells_stay_what_they_are() {
    let cells = [
        (CellKind::Absent, ""),
        (CellKind::Null, ""),
        (CellKind::Text, "Ada"),
        (CellKind::Integer, "17"),
        (CellKind::Boolean, "false"),
        (CellKind::Json, r#"{"likes":["tea",7,true,null],"é\n":"b"}"#),
    ];
    let row = CapturedRow {
        change: Kind::Exit,
        cells: cells
            .map(|(kind, text)| CapturedCell(kind, text.to_owned()))
            .to_vec(),
    };
    for mask in masks() {
        let masked = &mask.rows(std::slice::from_ref(&row))[0];
        assert_eq!(masked.change, Kind::Exit);
        let kinds: Vec<_> = masked
            .cells
            .iter()
            .map(|CapturedCell(kind, _)| *kind)
            .collect();
        assert_eq!(kinds, cells.map(|(kind, _)| kind));
        let texts: Vec<_> = masked
            .cells
            .iter()
            .map(|CapturedCell(_, text)| text.as_str())
            .collect();
        assert_eq!((texts[0], texts[1], texts[4]), ("", "", "true"));
        let json: serde_json::Value = serde_json::from_str(texts[5]).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 2);
        for value in ["Ada", "likes", "tea", "false"] {
            assert!(!texts.iter().any(|text| text.contains(value)), "{texts:?}");
        }
    }
}

#[test]
fn of_an_answer_the_plugins_own_words_stay_unless_a_member_has_them() {
    let (mut kept, mut members) = (Words::default(), Words::default());
    kept.add_names("status succeeded jobs");
    members.add("succeeded@example.com");
    let mask = Mask::new([7; 32]);
    let text = "status: pending /jobs/ada";
    let masked = mask.but(text, &kept, &members);
    assert!(
        masked.starts_with("status: ") && masked.contains("/jobs/"),
        "{masked}"
    );
    assert!(
        !masked.contains("ada") && !masked.contains("pending"),
        "{masked}"
    );
    assert!(!mask.but("succeeded", &kept, &members).contains("succeeded"));
    assert_eq!(
        mask.only("Example in jobs", &members),
        format!("{} in jobs", mask.text("Example"))
    );
}
