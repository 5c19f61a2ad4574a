use super::*;
use crate::config::{ChangesFrom, StdinResume};

const GOOD: &str = r#"
[authorizations.main]
label = "Production"
plugin = "rs.wasm"
[authorizations.main.secrets]
api-key = { env = "KEY" }

[exports.vip]
authorization = "main"
label = "VIP"
audience = "vip"
user_id_field = "id"
members = { file = "members.ndjson" }
changes = { stdin = "replay" }
[exports.vip.fields]
mail = "email"
first = "full_name"
last = "full_name"
id = ["record_id", "custom_attributes.resci.id"]
[exports.vip.options]
import_type = "lytics"
date_formats = ["%Y"]
"#;

fn source(text: &str) -> Arc<Source> {
    Arc::new(Source {
        path: "etc/acme.toml".into(),
        text: text.to_owned(),
    })
}

fn mistakes(text: &str) -> Vec<String> {
    read(source(text))
        .1
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_good_file_is_read_with_the_mapping_in_its_order() {
    let (tenant, mistakes) = read(source(GOOD));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let tenant = tenant.unwrap();
    assert_eq!(tenant.id, "acme");
    let export = &tenant.exports[0];
    assert_eq!(
        export.spec.members.as_deref(),
        Some(Path::new("etc/members.ndjson"))
    );
    assert_eq!(
        export.spec.changes,
        Some(ChangesFrom::Stdin(StdinResume::Replay))
    );
    let fields: Vec<_> = export
        .spec
        .fields
        .iter()
        .map(|f| (f.source.as_str(), f.destination.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("mail", "email"),
            ("first", "full_name"),
            ("last", "full_name"),
            ("id", "record_id"),
            ("id", "custom_attributes.resci.id")
        ]
    );
    assert_eq!(
        serde_json::to_string(&export.spec.options).unwrap(),
        r#"{"import_type":"lytics","date_formats":["%Y"]}"#
    );
}

#[test]
fn each_mistake_names_line_and_remedy() {
    for (from, to, line, says) in [
        (
            "label = \"VIP\"",
            "lable = \"VIP\"",
            10,
            "did you mean `label`?",
        ),
        ("label = \"VIP\"", "", 8, "write `label = "),
        (
            "authorization = \"main\"",
            "authorization = \"mian\"",
            9,
            "did you mean `main`?",
        ),
        (
            "label = \"VIP\"",
            "label = 3",
            10,
            "expected text in quotes, found integer",
        ),
        (
            "{ env = \"KEY\" }",
            "\"KEY\"",
            6,
            "does not say where it comes from",
        ),
        (
            "{ env = \"KEY\" }",
            "{ env = \"A\", file = \"b\" }",
            6,
            "exactly one of env, file, command, value",
        ),
        (
            "{ env = \"KEY\" }",
            "{ value = \"k\" }",
            6,
            "stands in the clear",
        ),
        (
            "{ stdin = \"replay\" }",
            "{ stdin = \"again\" }",
            14,
            "begins anew",
        ),
        (
            "{ stdin = \"replay\" }",
            "{ kafka = \"x\" }",
            14,
            "exactly one of: file, stdin",
        ),
        ("mail = \"email\"", "mail = 7", 16, "mapped to no name"),
        (
            "plugin = \"rs.wasm\"",
            "plugin = \"rs.wasm\"\nendpoint = \"http://a\"",
            5,
            "allow_http = true",
        ),
        (
            "[exports.vip]",
            "[exprots.vip]",
            8,
            "did you mean `exports`?",
        ),
        ("[exports.vip]", "[exports.vip", 8, "this is no TOML"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let shown = mistakes(&GOOD.replacen(from, to, 1)).join("\n");
        assert!(
            shown.contains(&format!("acme.toml:{line}:")),
            "{to}: line {line}: {shown}"
        );
        assert!(shown.contains(says), "{to}: {shown}");
    }
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let text = GOOD
        .replace("label", "lable")
        .replace("user_id_field", "user_id");
    assert!(mistakes(&text).len() >= 6, "{:#?}", mistakes(&text));
}

#[test]
fn a_mapping_must_hold_a_field() {
    let text = &GOOD[..GOOD.find("[exports.vip.fields]").unwrap()];
    assert!(mistakes(text)[0].contains("maps no field"));
}
