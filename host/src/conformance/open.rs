//! Whether `open` takes what is sane, and says what is not; and `check`.

use serde_json::{Map, Value, json};

use crate::plugin::types::{Column, Failure, Place, Problem, Settings};

use super::answers::{Good, always, response};
use super::bench::{Bench, decided};
use super::manifest::judge;
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::subject::Subject;
use super::tried::custom;

/// A mapping to a field that there is not.
pub async fn unknown_field(bench: &Bench, subject: &Subject) -> Outcome {
    let manifest = bench.manifest();
    // With one segment more than the form has, or a name that is in no catalogue.
    let name = match custom(manifest) {
        Some(form) if !form.contains('.') => "no.such.field",
        _ => "no_such_field_of_any_destination",
    };
    let mut settings = subject.settings.clone();
    settings.columns.push(Column {
        source: "nothing".to_owned(),
        destination: name.to_owned(),
    });
    let wanted = (settings.columns.len() - 1) as u32;
    match refused(bench, &settings).await? {
        None => broken(format!("a mapping to `{name}` was accepted")),
        Some(places) => ensure(places.contains(&Place::Column(wanted)), || {
            format!("it was refused, but no finding is at column {wanted}")
        }),
    }
}

/// Mappings that no row can be right under.
pub async fn mapping(bench: &Bench, subject: &Subject) -> Outcome {
    let fields = &bench.manifest().fields;
    let columns = &subject.settings.columns;
    let mut tried = 0;
    for field in fields.iter().filter(|field| field.required) {
        let mut settings = subject.settings.clone();
        settings
            .columns
            .retain(|column| column.destination != field.name);
        tried += 1;
        ensure(refused(bench, &settings).await?.is_some(), || {
            format!(
                "a mapping without the required `{}` was accepted",
                field.name
            )
        })?;
    }
    for field in fields.iter().filter(|field| !field.composable) {
        let Some(column) = columns
            .iter()
            .find(|column| column.destination == field.name)
        else {
            continue;
        };
        let mut settings = subject.settings.clone();
        settings.columns.push(Column {
            source: "another source".to_owned(),
            ..column.clone()
        });
        tried += 1;
        ensure(refused(bench, &settings).await?.is_some(), || {
            format!("two sources for `{}` were accepted", field.name)
        })?;
        break;
    }
    match tried {
        0 => skip("no field is required, and those that were mapped are composable"),
        _ => Ok(()),
    }
}

/// Options that fit the schema, for the host opens a plugin with no others: a default that is spelled out
/// is what nothing is, and about any other value the plugin decides.
pub async fn options(bench: &Bench, subject: &Subject) -> Outcome {
    let schema: Value = serde_json::from_str(&bench.manifest().options_schema).unwrap_or_default();
    let good: Map<String, Value> =
        serde_json::from_str(&subject.settings.options).unwrap_or_default();
    let with = |options: Map<String, Value>| Settings {
        options: Value::Object(options).to_string(),
        ..subject.settings.clone()
    };
    let Some(known) = schema["properties"].as_object() else {
        return skip("it has no options");
    };
    let mut spelled = good.clone();
    for (name, option) in known {
        if let Some(default) = option.get("default") {
            spelled.entry(name).or_insert_with(|| default.clone());
        }
    }
    if let Some(places) = refused(bench, &with(spelled)).await? {
        return broken(format!(
            "the options' own defaults, spelled out, were refused: {places:?}"
        ));
    }
    let Ok(judge) = judge(&schema) else {
        return skip("the schema does not compile: see `manifest-schema`");
    };
    for (name, option) in known {
        for value in values(option) {
            let mut options = good.clone();
            options.insert(name.clone(), value.clone());
            if judge.is_valid(&Value::Object(options.clone())) {
                refused(bench, &with(options))
                    .await
                    .map_err(|why| match why {
                        Amiss::Broken(why) => {
                            Amiss::Broken(format!("option `{name}` is {value}: {why}"))
                        }
                        skipped @ Amiss::Skipped(_) => skipped,
                    })?;
            }
        }
    }
    Ok(())
}

/// Values of an option that an operator may come to try.
fn values(option: &Value) -> Vec<Value> {
    let lists = ["enum", "examples"].iter();
    let listed = lists.filter_map(|key| option[key].as_array()).flatten();
    let bounds = ["const", "minimum", "maximum"].iter();
    let bounds = bounds.filter_map(|key| option.get(key));
    let mut values: Vec<_> = listed.chain(bounds).cloned().collect();
    values.extend([
        json!(false),
        json!(true),
        json!(0),
        json!(""),
        json!("/a b?c"),
        json!([]),
    ]);
    values
}

/// Whether settings are refused as invalid, and where.
async fn refused(bench: &Bench, settings: &Settings) -> Result<Option<Vec<Place>>, Amiss> {
    match decided(bench.open(settings).await) {
        Ok(Ok(())) => Ok(None),
        Ok(Err(Problem::InvalidSettings(findings))) => {
            Ok(Some(findings.into_iter().map(|f| f.place).collect()))
        }
        Ok(Err(_)) => broken("`open` answered another problem than `invalid-settings`"),
        Err(error) => broken(error),
    }
}

/// Every finding that was seen, whatever it was about.
pub fn findings(bench: &Bench) -> Outcome {
    let schema: Value = serde_json::from_str(&bench.manifest().options_schema).unwrap_or_default();
    let all = bench.noticed(|noticed| noticed.findings.clone());
    for (finding, columns) in all {
        ensure(!finding.message.trim().is_empty(), || {
            "a finding says nothing".to_owned()
        })?;
        let wrong = match &finding.place {
            Place::Whole | Place::Mapping => None,
            Place::Column(index) if (*index as usize) < columns => None,
            Place::Column(index) => Some(format!("column {index} of {columns}")),
            Place::Option(name) => {
                let top = name.split('.').next().unwrap_or_default();
                let known = schema["properties"].get(top).is_some();
                (!known).then(|| format!("option `{name}`, which there is not"))
            }
        };
        if let Some(wrong) = wrong {
            return broken(format!("a finding is at {wrong}"));
        }
    }
    Ok(())
}

/// What `check` makes of the destination's answers.
pub async fn check(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let Subject {
        settings, policy, ..
    } = subject;
    let ask = async |script| {
        let called = bench.check(settings, policy, script).await;
        (called.asked.len(), called.decided())
    };
    let (requests, fine) = ask(good.checked.script()).await;
    ensure(requests > 0, || "it asked nothing".to_owned())?;
    ensure(fine == Ok(Ok(())), || {
        format!("when all is well: {}", told(&fine))
    })?;
    if subject.authenticates {
        let (_, refused) = ask(always(Ok(response(401, "{}")))).await;
        ensure(matches!(refused, Ok(Err(Problem::Unauthorized(_)))), || {
            format!("with 401: {}", told(&refused))
        })?;
    }
    let (_, nothing) = ask(always(Err(Failure::Unreachable("refused".to_owned())))).await;
    ensure(matches!(nothing, Ok(Err(_))), || {
        format!("without a connection: {}", told(&nothing))
    })
}

/// An answer in a few words, without what the plugin says.
pub fn told<T>(answer: &Result<Result<T, Problem>, String>) -> String {
    match answer {
        Ok(Ok(_)) => "all was well".to_owned(),
        Ok(Err(problem)) => format!("the problem `{}`", kind(problem)),
        Err(error) => error.clone(),
    }
}

/// The contract's name of a problem.
pub fn kind(problem: &Problem) -> &'static str {
    match problem {
        Problem::InvalidSettings(_) => "invalid-settings",
        Problem::Unauthorized(_) => "unauthorized",
        Problem::Throttled(_) => "throttled",
        Problem::Transient(_) => "transient",
        Problem::Fatal(_) => "fatal",
    }
}
