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

#[test]
fn a_plugin_is_a_file_or_a_version_that_is_kept() {
    use crate::config::{PluginSource, Which};

    let sha = "0123456789abcdef".repeat(4);
    let of = |which| PluginSource::Kept {
        name: "rs".to_owned(),
        which,
    };
    for (written, expected) in [
        (
            "\"rs.wasm\"".to_owned(),
            PluginSource::File("etc/rs.wasm".into()),
        ),
        (
            "{ name = \"rs\", version = \"0.1.0\" }".to_owned(),
            of(Which::Version("0.1.0".to_owned())),
        ),
        (
            "{ name = \"rs\", channel = \"stable\" }".to_owned(),
            of(Which::Channel("stable".to_owned())),
        ),
        (
            format!("{{ name = \"rs\", sha256 = \"{sha}\" }}"),
            of(Which::Sha256(sha)),
        ),
    ] {
        let of_authorization = GOOD.replace("\"rs.wasm\"", &written);
        let own = format!("label = \"VIP\"\nplugin = {written}");
        let of_export = GOOD.replace("label = \"VIP\"", &own);
        for (text, own) in [(of_authorization, false), (of_export, true)] {
            let (tenant, mistakes) = read(source(&text));
            assert!(mistakes.is_empty(), "{mistakes:?}");
            let tenant = tenant.unwrap();
            let (export, main) = (&tenant.exports[0], &tenant.authorizations["main"]);
            assert_eq!(export.plugin(main), &expected);
            assert_eq!(export.plugin.is_some(), own);
        }
    }
}

#[test]
fn each_mistake_about_a_plugin_names_line_and_remedy() {
    for (written, says) in [
        ("{ name = \"rs\" }", "does not say which version"),
        ("{ version = \"1\" }", "`plugin` has no `name`"),
        ("{ }", "{ name = \"…\", version = \"…\" }"),
        (
            "{ name = \"rs\", version = \"1\", channel = \"stable\" }",
            "exactly one of version, channel, sha256",
        ),
        (
            "{ name = \"rs\", verzion = \"1\" }",
            "did you mean `version`?",
        ),
        (
            "{ name = \"rs\", version = 1 }",
            "expected text in quotes, found integer",
        ),
        (
            "{ name = \"../rs\", version = \"1\" }",
            "cannot be the name of a plugin",
        ),
        (
            "{ name = \"rs\", version = \"1/2\" }",
            "cannot be a version",
        ),
        (
            "{ name = \"rs\", channel = \"Stable\" }",
            "cannot be a channel",
        ),
        (
            "{ name = \"rs\", sha256 = \"0123\" }",
            "`sluice plugin inspect FILE` shows",
        ),
        ("7", "expected text in quotes, found integer"),
        ("\"rs.wasm\"\nsigned_by = []", "so that no plugin could run"),
        (
            "\"rs.wasm\"\nsigned_by = [\"me\"]",
            "this is no minisign public key",
        ),
    ] {
        let text = GOOD.replace("\"rs.wasm\"", written);
        let shown = mistakes(&text);
        assert_eq!(shown.len(), 1, "{written}: {shown:#?}");
        let line = 4 + written.matches('\n').count();
        assert!(
            shown[0].contains(&format!("acme.toml:{line}:")),
            "{written}: {}",
            shown[0]
        );
        assert!(shown[0].contains(says), "{written}: {}", shown[0]);
    }
}
