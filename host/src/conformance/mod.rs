//! Whether a component keeps the contract: what `sluice plugin test` looks at.
//!
//! `rule` says what is expected. `bench` makes calls in the real sandbox, `answers` is the scripted
//! destination, `subject` finds settings and rows that the plugin accepts (`tried`), `rows` makes those that
//! are hard, `framing` and `bodies` read what was made of them. One file a part of the contract: `manifest`
//! (pure), `open`, `stage`, `import`, `deliver`, `intact`, `decisions`, `secrecy`, `endurance`. *Not here:* what any destination wants; text for people, but for what was seen.

mod answers;
mod author;
mod bench;
mod bodies;
mod decisions;
mod deliver;
mod endurance;
mod framing;
mod import;
mod intact;
mod manifest;
mod open;
mod report;
mod rows;
mod rule;
mod secrecy;
mod stage;
mod subject;
mod tried;

use std::path::Path;

use crate::plugin::{Engine, Limits, LoadError, LoadLimits};

pub use author::{Answer, Answers, Author, AuthorError, Exits, Quotes, Table, Told, Without};
pub use report::{Amiss, Outcome, Report};
pub use rule::Rule;

use answers::Good;
use bench::Bench;
use subject::Subject;

/// Looks at everything that a component promises, with the limits that hold if no operator turns them.
///
/// # Errors
/// It cannot be loaded.
pub async fn examine(
    engine: &Engine,
    file: &Path,
    author: &Author,
    seed: u64,
) -> Result<Report, LoadError> {
    let (limits, load) = (Limits::default(), LoadLimits::default());
    let plugin = engine.load(file, &limits, &load).await?;
    // Once more: it is asked anew who it is.
    let again = engine.load(file, &limits, &load).await?;
    let same = plugin.manifest == again.manifest;
    let bench = Bench::new(plugin);
    let good = Good::of(author);
    let found = subject::find(&bench, author, &good).await;
    let mut outcomes = vec![];
    for rule in Rule::ALL {
        let outcome = match (rule, &found) {
            (Rule::ManifestSame, _) => report::ensure(same, || "two answers differ".to_owned()),
            (Rule::OpenAccepts, found) => found.as_ref().map(drop).map_err(Clone::clone),
            (rule, found) => match of_manifest(rule, &bench, author) {
                Some(outcome) => outcome,
                None => match found {
                    Ok(subject) => of_calls(rule, &bench, subject, &good, seed).await,
                    Err(_) => report::skip("no settings were accepted: see `open-accepts`"),
                },
            },
        };
        outcomes.push((rule, outcome));
    }
    let (calls, peak) = bench.noticed(|noticed| (noticed.calls, noticed.peak));
    let mapping = found.as_ref().map_or(vec![], |subject| {
        let names = subject.settings.columns.iter();
        names.map(|column| column.destination.clone()).collect()
    });
    Ok(Report {
        outcomes,
        mapping,
        options: found.map_or(String::new(), |subject| subject.settings.options),
        calls,
        peak_memory_bytes: peak,
        seed,
    })
}

fn of_manifest(rule: Rule, bench: &Bench, author: &Author) -> Option<Outcome> {
    let said = bench.manifest();
    Some(match rule {
        Rule::ManifestNames => manifest::names(said),
        Rule::ManifestTemplates => manifest::templates(said),
        Rule::ManifestRoutes => manifest::routes(said, &subject::options(said, author)),
        Rule::ManifestFields => manifest::fields(said),
        Rule::ManifestSchema => manifest::schema(said),
        Rule::ManifestLimits => manifest::limits(said),
        _ => return None,
    })
}

/// What says nothing of a plugin that has no import jobs.
const OF_IMPORTS: [Rule; 13] = [
    Rule::StageSame,
    Rule::StageHeader,
    Rule::StageChunks,
    Rule::StageFrames,
    Rule::StageText,
    Rule::StageKind,
    Rule::StageIdentities,
    Rule::SubmitDecides,
    Rule::TokenBounded,
    Rule::PollFresh,
    Rule::PollDecides,
    Rule::PollToken,
    Rule::PollGone,
];

async fn of_calls(rule: Rule, bench: &Bench, subject: &Subject, good: &Good, seed: u64) -> Outcome {
    if !subject.imports && OF_IMPORTS.contains(&rule) {
        return report::skip("the author says that there are no import jobs");
    }
    match rule {
        Rule::OpenField => open::unknown_field(bench, subject).await,
        Rule::OpenMapping => open::mapping(bench, subject).await,
        Rule::OpenOptions => open::options(bench, subject).await,
        Rule::FindingsPlaces => open::findings(bench),
        Rule::CheckDecides => open::check(bench, subject, good).await,
        Rule::StageSame => stage::same_again(bench, subject).await,
        Rule::StageHeader => stage::header_once(bench, subject).await,
        Rule::StageChunks => stage::chunks(bench, subject).await,
        Rule::StageFrames => stage::frames(bench, subject).await,
        Rule::StageText => stage::keeps_text(bench, subject).await,
        Rule::StageKind => stage::unknown_kind(bench, subject).await,
        Rule::StageIdentities => stage::identities(bench, subject).await,
        Rule::SubmitSends => import::sends(bench, subject, good).await,
        Rule::SubmitDecides => import::submit_decides(bench, subject).await,
        Rule::TokenBounded => import::token_bounded(bench, subject, good).await,
        Rule::PollFresh => import::fresh(bench, subject, good).await,
        Rule::PollDecides => import::poll_decides(bench, subject, good).await,
        Rule::PollToken => import::unknown_token(bench, subject, good).await,
        Rule::PollGone => import::gone(bench, subject, good).await,
        Rule::DeliverAccepts => deliver::accepts(bench, subject, good).await,
        Rule::DeliverExits => deliver::exits(bench, subject, good).await,
        Rule::DeliverFrames => intact::frames(bench, subject, good).await,
        Rule::DeliverNothing => deliver::nothing(bench, subject, good).await,
        Rule::DeliverSame => deliver::same_again(bench, subject, good).await,
        Rule::DeliverSubset => deliver::subset(bench, subject, good).await,
        Rule::DeliverOrder => deliver::order(bench, subject, good).await,
        Rule::DeliverUnauthorized => decisions::unauthorized(bench, subject).await,
        Rule::DeliverThrottled => decisions::throttled(bench, subject).await,
        Rule::DeliverTransient => decisions::transient(bench, subject).await,
        Rule::DeliverOdd => decisions::odd(bench, subject, good).await,
        Rule::DeliverRefused => decisions::refused(bench, subject).await,
        Rule::DeliverPartial => decisions::partial(bench, subject, good).await,
        Rule::Silence => endurance::silence(bench),
        Rule::Secrecy => secrecy::secrecy(bench, subject, good).await,
        Rule::Memory => endurance::memory(bench, subject, good).await,
        Rule::Survives => endurance::survives(bench, subject, good, seed).await,
        Rule::ManifestSame
        | Rule::ManifestNames
        | Rule::ManifestTemplates
        | Rule::ManifestRoutes
        | Rule::ManifestFields
        | Rule::ManifestSchema
        | Rule::ManifestLimits
        | Rule::OpenAccepts => Ok(()),
    }
}
