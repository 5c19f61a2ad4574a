//! The rules: what each expects, and what to do where it is broken. Pure.

macro_rules! rules {
    ($($rule:ident $name:literal $expected:literal $remedy:literal)*) => {
        /// A promise of the contract that the suite looks at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "what each expects is its own description")]
        pub enum Rule {
            $($rule),*
        }

        impl Rule {
            /// Every rule, in the order in which they are looked at.
            pub const ALL: [Self; [$(Self::$rule),*].len()] = [$(Self::$rule),*];

            /// How it is called.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name),*
                }
            }

            /// What is expected.
            pub fn expected(self) -> &'static str {
                match self {
                    $(Self::$rule => $expected),*
                }
            }

            /// How to mend a plugin that breaks it.
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Self::$rule => $remedy),*
                }
            }
        }
    };
}

rules! {
    ManifestSame "manifest-same"
        "`describe` gives the same answer every time"
        "let the manifest depend on nothing: no clock, no chance, no state"
    ManifestNames "manifest-names"
        "a version like 1.2.3, an https endpoint, a description, and every purpose and credential explained"
        "fill in what is missing: an operator reads it before granting anything"
    ManifestTemplates "manifest-templates"
        "every authorization's headers can be made of its own credentials, and use all of them"
        "name each `{credential}` in a header's template as it is called in `credentials`"
    ManifestRoutes "manifest-routes"
        "every route can be used with the default options, and none stands twice"
        "use `/path/*` or `{option:name}`; give an option that a route names a default or require it"
    ManifestFields "manifest-fields"
        "every field has a name of its own and a description; the form of further names has segments like `<name>`"
        "describe what each field means, and what it causes"
    ManifestSchema "manifest-schema"
        "the options' schema compiles, is closed (`additionalProperties: false`), and has a description and a fitting default for each option that is not required"
        "mend `options-schema`; the host shows it to operators and judges their options by it"
    ManifestLimits "manifest-limits"
        "limits that the host can work with: 0, or at least 1 MiB and 1,000 rows a file, at most 100,000 rows a `stage` and 2,000 a `deliver`"
        "use 0 for what does not matter to the destination"
    OpenAccepts "open-accepts"
        "`open` takes a sane mapping and the default options, and `stage` takes a plain row"
        "if the suite cannot guess what is sane here, say it: `--config FILE` with [options] and [fields], or `without = [\"import\"]` where there are no import jobs"
    OpenField "open-unknown-field"
        "a mapping to a field that neither the catalogue nor the form of further names has is refused at its column"
        "answer `invalid-settings` with a finding at `place::column`"
    OpenMapping "open-mapping"
        "a mapping without a required field is refused, and so is one that maps two sources to a field that is not composable"
        "answer `invalid-settings`: rows of such a mapping can never be right"
    OpenOptions "open-options"
        "options that fit the schema are taken or refused as `invalid-settings`, and the defaults, spelled out, are taken"
        "let the schema and the code know the same options, with the same defaults; the host asks for nothing that does not fit the schema"
    FindingsPlaces "findings-have-places"
        "every finding has a message, and a place within the settings"
        "name columns by their index in the mapping, and options by their name in the schema"
    CheckDecides "check-decides"
        "`check` asks the destination: content when all is well, unauthorized with 401, an error without an answer"
        "if the destination says otherwise that all is well, give it as [answers.checked]; send one harmless request, and judge its answer as those of `deliver`"
    StageSame "stage-same-again"
        "the same rows and offset give the same bytes in a fresh instance"
        "let `stage` depend on rows, offset, mapping and options only, and on no `extra` that is not known"
    StageHeader "stage-header-once"
        "a header only at offset 0, the same whatever rows follow; an empty batch gives the header alone"
        "write the header where `offset` is 0, and begin the rows after it"
    StageChunks "stage-chunks"
        "rows give the same bytes, rejections and identities in whichever batches they come"
        "let each row depend on itself alone: the host cuts batches, and rows, as it needs"
    StageFrames "stage-frames"
        "an awkward cell (quotes, line breaks, NUL, a megabyte, broken JSON) stays within its row and column, or its row is rejected"
        "write with a library for the format (CSV, JSON), not by joining texts"
    StageText "stage-keeps-text"
        "quotes, commas, backslashes, emoji and right-to-left text arrive as they are, or the row is rejected"
        "do not strip, cut or escape by hand"
    StageKind "stage-unknown-kind"
        "a cell of a kind that the plugin does not know is text"
        "let the last arm of the match on kinds be text; newer hosts may have more kinds"
    StageIdentities "stage-identities"
        "the same row has the same identities, none is empty or stands twice, and a rejected row has none"
        "name by what the destination knows a member, as `kind:text`"
    SubmitSends "submit-sends-file"
        "`submit` sends the staged file, and answers a token"
        "send a part whose content is `staged(file.id)`"
    SubmitDecides "submit-decides"
        "401 is unauthorized, 429 throttled with its Retry-After, 5xx and no answer transient (503 may be throttled), 422 neither a job nor to be repeated for ever"
        "judge the answer before you read a job out of it"
    TokenBounded "token-bounded"
        "the token is one line of at most 4 KiB, whatever id the destination gives its job, and the same for the same job"
        "put the job's id into the token and nothing else, and refuse an id that is too long"
    PollFresh "poll-fresh"
        "a fresh instance understands the token: pending, succeeded and failed as the destination says"
        "keep what `poll` needs in the token; if the destination speaks otherwise, give its answers in [answers] of `--config FILE`"
    PollDecides "poll-decides"
        "401 is unauthorized, 429 throttled, 5xx and no answer transient (503 may be throttled); garbage and halves of an answer are never an end of the job"
        "read the status only out of a 2xx answer that can be read whole"
    PollToken "poll-unknown-token"
        "a token that is none is a problem, or a job that has failed"
        "answer `fatal` to a token that you cannot read; never believe it, and do not wait for what nobody is asked about"
    PollGone "poll-job-gone"
        "a job that the destination does not know (404, 410) comes to an end: failed, or fatal; it has not succeeded, and is not waited for for ever"
        "answer `failed` if it is gone for sure, and `fatal` if it may be found again: the operator then has the file sent anew"
    DeliverAccepts "deliver-accepts"
        "with 200 for everything all rows are delivered, and each was in a request"
        "name only exceptions in the answer; send every row, also an update that repeats"
    DeliverExits "deliver-exits"
        "an exit is delivered like any other change: each was in a request"
        "send exits, too; if the destination is not to hear of them, say `exits = \"ignored\"` in `--config FILE`"
    DeliverFrames "deliver-frames"
        "bodies are the JSON, form or table that they say they are, and hold each text of a row as it is"
        "write with a library for the format, not by joining texts: quotes, backslashes, line breaks, control characters and a byte order mark are all a part of a value"
    DeliverNothing "deliver-nothing"
        "an empty batch sends nothing and has no exceptions"
        "return before sending if there is no row"
    DeliverSame "deliver-same-again"
        "the same batch makes the same requests in a fresh instance, for a crash repeats it"
        "no counters, no state and no unknown `extra` in what is sent; the destination must be able to take it twice"
    DeliverSubset "deliver-subset"
        "a part of a batch sends that part's rows, all of them and no others"
        "let a request depend on its own rows only"
    DeliverOrder "deliver-order"
        "after a batch that failed comes one in which the host has merged what is newer: nothing of the older one goes out any more"
        "keep no row for later, in `state` or elsewhere: name it in `retry`, and the host brings it again as it is by then"
    DeliverUnauthorized "deliver-unauthorized"
        "401 is unauthorized, and no row is delivered or rejected"
        "answer `unauthorized`, or all rows in `retry` with it as `why`"
    DeliverThrottled "deliver-throttled"
        "429 is throttled with the Retry-After that came along (7 s are 7000 ms), and no row is delivered or rejected"
        "read `retry-after`; answer `throttled`, or all rows in `retry` with it as `why`"
    DeliverTransient "deliver-transient"
        "5xx, no connection and no whole answer are transient (503 may be throttled), and no row is delivered or rejected"
        "answer `transient`, or all rows in `retry` with it as `why`"
    DeliverOdd "deliver-odd-answers"
        "a status that is no success (redirects, 600, 0) never counts as delivered, an answer that cannot be read is decided on, and without one no row is delivered or rejected"
        "only 2xx is accepted; judge everything else, and fall back to transient"
    DeliverRefused "deliver-refused"
        "422 for a row is a rejection (or `fatal`, or `invalid-settings`): neither delivered nor repeated for ever"
        "reject the rows that the destination will never take"
    DeliverPartial "deliver-partial"
        "a row is judged by the last request that it was in: delivered only if that was accepted, rejected only if it was not refused in passing (401, 429, 5xx, no answer)"
        "judge each request's answer for the rows that are in it"
    Silence "no-early-requests"
        "`describe`, `open` and `stage` ask for no requests; the host denies them"
        "ask in `check`, `submit`, `poll` or `deliver`; what `stage` needs to know is in the options"
    Secrecy "no-values-said"
        "no value of a member stands in a reason, a problem, a report, a log line or a key of `state`, whatever is called, also if the destination quotes it"
        "name field and rule, never the value; do not pass on what the destination says unless it is masked"
    Memory "memory-bounded"
        "memory grows with the batch and not beyond it: at most 8 MiB and 32 times its bytes more than for one row"
        "keep no copies of what is written; free what a row needed"
    Survives "survives"
        "no call traps, breaks the contract or runs into a limit, whatever rows it gets"
        "no `unwrap`, index or slice on what comes from outside; the seed makes the same rows again"
}
