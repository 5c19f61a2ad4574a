//! Whether `open` takes what is sane, and says what is not; and `check`.

use serde_json::{Value, json};

use crate::plugin::types::{Column, Failure, Place, Problem, Settings};

use super::answers::{always, response};
use super::bench::{Bench, decided};
use super::manifest::judge;
use super::report::{Outcome, broken, ensure, skip};
use super::subject::{Subject, custom};

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

/// Options that the schema does not allow.
pub async fn options(bench: &Bench, subject: &Subject) -> Outcome {
    let schema: Value = serde_json::from_str(&bench.manifest().options_schema).unwrap_or_default();
    let good: Value = serde_json::from_str(&subject.settings.options).unwrap_or_default();
    let mut nonsense = vec!["{".to_owned(), "[1]".to_owned()];
    let names = schema["properties"].as_object();
    let first = names.and_then(|names| names.keys().next());
    for name in ["no_such_option_of_any_plugin"]
        .into_iter()
        .chain(first.map(String::as_str))
    {
        let mut options = good.clone();
        options[name] = json!({ "neither": ["text", 1] });
        nonsense.push(options.to_string());
    }
    let judge = judge(&schema);
    for options in nonsense {
        let fits = serde_json::from_str(&options)
            .is_ok_and(|options: Value| judge.as_ref().is_ok_and(|judge| judge.is_valid(&options)));
        if fits {
            continue;
        }
        let settings = Settings {
            options: options.clone(),
            ..subject.settings.clone()
        };
        ensure(refused(bench, &settings).await?.is_some(), || {
            format!("the options `{options}` were accepted")
        })?;
    }
    Ok(())
}

/// Whether settings are refused as invalid, and where.
async fn refused(bench: &Bench, settings: &Settings) -> Result<Option<Vec<Place>>, super::Amiss> {
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
                let asked = top == "no_such_option_of_any_plugin";
                (!known && !asked).then(|| format!("option `{name}`, which there is not"))
            }
        };
        if let Some(wrong) = wrong {
            return broken(format!("a finding is at {wrong}"));
        }
    }
    Ok(())
}

/// What `check` makes of the destination's answers.
pub async fn check(bench: &Bench, subject: &Subject) -> Outcome {
    let Subject {
        settings, policy, ..
    } = subject;
    let ask = async |answer| {
        let called = bench.check(settings, policy, always(answer)).await;
        (called.asked.len(), called.decided())
    };
    let (requests, fine) = ask(Ok(response(200, "{}"))).await;
    ensure(requests > 0, || "it asked nothing".to_owned())?;
    ensure(fine == Ok(Ok(())), || format!("with 200: {}", told(&fine)))?;
    let (_, refused) = ask(Ok(response(401, "{}"))).await;
    ensure(matches!(refused, Ok(Err(Problem::Unauthorized(_)))), || {
        format!("with 401: {}", told(&refused))
    })?;
    let (_, nothing) = ask(Err(Failure::Unreachable("refused".to_owned()))).await;
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
