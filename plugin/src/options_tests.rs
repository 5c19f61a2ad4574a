//! Tests of `options` and `options_check`.

use super::*;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn valid() -> Options {
    Options {
        import_type: "sluice".to_owned(),
        ..Options::default()
    }
}

#[test]
fn the_defaults_of_the_schema_are_the_defaults_of_the_code() {
    let mut written = Map::new();
    for (name, property) in schema()["properties"].as_object().unwrap() {
        assert!(
            property["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20),
            "{name}"
        );
        match property.get("default") {
            Some(default) => written.insert(name.clone(), default.clone()),
            None => written.insert(name.clone(), Value::String(String::new())),
        };
    }
    let used = serde_json::to_value(Options::default()).unwrap();
    assert_eq!(used, Value::Object(written));
    assert_eq!(schema()["required"], serde_json::json!(["import_type"]));
    assert_eq!(schema()["additionalProperties"], Value::Bool(false));
}

#[test]
fn the_readme_lists_every_option_with_its_default() {
    let readme = include_str!("../README.md");
    let (_, table) = readme.split_once("\n## Options\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut listed = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split(" | ").collect();
        let name = cells[0]
            .trim_start_matches("| ")
            .trim_matches('`')
            .to_owned();
        let property = &schema()["properties"][&name];
        match property.get("default") {
            Some(default) => {
                let written: Value = serde_json::from_str(cells[1].trim_matches('`')).unwrap();
                assert_eq!(written, *default, "{name}");
            }
            None => assert!(cells[1].contains("required"), "{name}"),
        }
        listed.push(name);
    }
    let schema = schema();
    let mut known: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    listed.sort();
    known.sort();
    assert_eq!(listed.iter().collect::<Vec<_>>(), known);
}

#[test]
fn every_mistake_in_the_options_is_found_in_its_place() {
    let text = r#"{"import_type": "x", "exit": "leave", "merge": 1, "misspelt": true}"#;
    let found = Options::parse(text).unwrap_err();
    let mut places: Vec<_> = found.iter().map(|f| format!("{:?}", f.place)).collect();
    places.sort();
    assert_eq!(
        places,
        [
            "Place::Option(\"exit\")",
            "Place::Option(\"merge\")",
            "Place::Option(\"misspelt\")"
        ]
    );
    for text in ["", "[]", "null", "{", "\"x\"", "\0"] {
        let found = Options::parse(text).unwrap_err();
        assert_eq!((found.len(), &found[0].place), (1, &Place::Whole), "{text}");
    }
    assert_eq!(Options::parse("{}"), Ok(Options::default()));
    assert!(
        Options::parse(r#"{"import_type": "x"}"#)
            .unwrap()
            .findings()
            .is_empty()
    );
}

#[test]
fn options_that_can_not_work_are_refused() {
    let text = |text: &str| text.to_owned();
    let list = |words: &[&str]| words.iter().map(|word| text(word)).collect::<Vec<_>>();
    for (name, options) in [
        (
            "import_type",
            Options {
                import_type: text("  "),
                ..valid()
            },
        ),
        (
            "entity",
            Options {
                entity: text(""),
                ..valid()
            },
        ),
        (
            "entity",
            Options {
                entity: text("us\"ers"),
                ..valid()
            },
        ),
        (
            "entity",
            Options {
                entity: text("merge_before_upsert"),
                ..valid()
            },
        ),
        (
            "import_path",
            Options {
                import_path: text("import"),
                ..valid()
            },
        ),
        (
            "import_path",
            Options {
                import_path: text("/a//b"),
                ..valid()
            },
        ),
        (
            "import_path",
            Options {
                import_path: text("/a?b=c"),
                ..valid()
            },
        ),
        (
            "users_path",
            Options {
                users_path: text("/users/{id}"),
                ..valid()
            },
        ),
        (
            "users_path",
            Options {
                users_path: text("/users/*"),
                ..valid()
            },
        ),
        (
            "check_path",
            Options {
                check_path: text("/../x"),
                ..valid()
            },
        ),
        (
            "job_path",
            Options {
                job_path: text("/jobs"),
                ..valid()
            },
        ),
        (
            "job_path",
            Options {
                job_path: text("/jobs/{id}/{id}"),
                ..valid()
            },
        ),
        (
            "job_path",
            Options {
                job_path: text("/jobs/{id}.json"),
                ..valid()
            },
        ),
        (
            "job_id_pointers",
            Options {
                job_id_pointers: list(&["id"]),
                ..valid()
            },
        ),
        (
            "job_status_pointers",
            Options {
                job_status_pointers: list(&[]),
                ..valid()
            },
        ),
        (
            "job_errors_pointers",
            Options {
                job_errors_pointers: list(&["a/b"]),
                ..valid()
            },
        ),
        (
            "status_succeeded",
            Options {
                status_succeeded: list(&[]),
                ..valid()
            },
        ),
        (
            "status_failed",
            Options {
                status_failed: list(&["failed", "DONE"]),
                ..valid()
            },
        ),
        (
            "exit_attribute",
            Options {
                exit_attribute: text("in_audience"),
                ..valid()
            },
        ),
        (
            "welcome_flag",
            Options {
                welcome_flag: text("email"),
                ..valid()
            },
        ),
        (
            "welcome_flag",
            Options {
                welcome_flag: text(""),
                ..valid()
            },
        ),
        (
            "merge_flag",
            Options {
                merge_flag: text("send_transactional_welcome"),
                ..valid()
            },
        ),
        (
            "accepts_marketing_key",
            Options {
                accepts_marketing_key: text("zip"),
                ..valid()
            },
        ),
        (
            "date_formats",
            Options {
                date_formats: list(&["%Y-%m"]),
                ..valid()
            },
        ),
    ] {
        let found = options.findings();
        let places: Vec<_> = found.iter().map(|f| format!("{:?}", f.place)).collect();
        assert_eq!(places, [format!("Place::Option({name:?})")], "{found:?}");
    }
    let free = Options {
        flags_in: FlagsIn::Query,
        welcome_flag: text("email"),
        ..valid()
    };
    assert!(free.findings().is_empty());
}

#[test]
fn flags_follow_their_options() {
    for (welcome_mail, merge, flags_in, live, import) in [
        (false, false, FlagsIn::Body, "w=false", "w=false"),
        (true, false, FlagsIn::Body, "w=true", "w=false"),
        (
            true,
            true,
            FlagsIn::Query,
            "w=true&m=true",
            "w=false&m=true",
        ),
        (true, true, FlagsIn::None, "", ""),
    ] {
        let (welcome_flag, merge_flag) = ("w".to_owned(), "m".to_owned());
        let options = Options {
            welcome_mail,
            merge,
            flags_in,
            welcome_flag,
            merge_flag,
            ..valid()
        };
        let show = |welcome| {
            let flags = options
                .flags(welcome)
                .map(|(name, on)| format!("{name}={on}"));
            flags.collect::<Vec<_>>().join("&")
        };
        assert_eq!((show(true).as_str(), show(false).as_str()), (live, import));
        assert_eq!(options.query(true).is_empty(), flags_in != FlagsIn::Query);
    }
}
