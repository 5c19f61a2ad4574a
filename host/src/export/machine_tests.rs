use super::*;

fn submitting(submitting: &[u32], waiting: &[u32]) -> State {
    State::Submitting {
        submitting: submitting.to_vec(),
        waiting: waiting.to_vec(),
    }
}

fn importing(waiting: &[u32]) -> State {
    State::Importing {
        waiting: waiting.to_vec(),
        waited_ms: 0,
        doubted: false,
    }
}

fn lasting(reason: Reason) -> Input {
    Input::Trouble(Trouble::Lasting(reason))
}

#[test]
fn goes_from_the_scan_to_live_over_several_files() {
    let mut state = State::first(true);
    for (input, next, effect) in [
        (Input::Scanned { end: false }, State::Scanning, Effect::Scan),
        (Input::Scanned { end: true }, State::Sealing, Effect::Seal),
        (
            Input::Sealed { files: vec![1, 2] },
            submitting(&[1, 2], &[]),
            Effect::Submit(1),
        ),
        (
            Input::Submitted { file: 1 },
            submitting(&[2], &[1]),
            Effect::Submit(2),
        ),
        (
            Input::Submitted { file: 2 },
            importing(&[1, 2]),
            Effect::Poll(1),
        ),
        (
            Input::Pending {
                waited_ms: 0,
                limit_ms: 1,
            },
            importing(&[1, 2]),
            Effect::Poll(1),
        ),
        (
            Input::Imported {
                file: 1,
                line_end: 3,
            },
            importing(&[2]),
            Effect::Poll(2),
        ),
        (
            Input::Imported {
                file: 2,
                line_end: 9,
            },
            State::CatchingUp { until: 9 },
            Effect::Deliver { until: Some(9) },
        ),
        (
            Input::CaughtUp,
            State::Live,
            Effect::Deliver { until: None },
        ),
    ] {
        let (after, does) = step(state, input.clone());
        assert_eq!((&after, &does), (&next, &effect), "{input:?}");
        assert_eq!(
            resume(after.clone()),
            (next, effect),
            "a restart does the same"
        );
        state = after;
    }
}

#[test]
fn an_audience_without_rows_goes_live_without_a_job() {
    let (state, _) = step(State::Sealing, Input::Sealed { files: vec![] });
    assert_eq!(state, State::CatchingUp { until: 0 });
}

#[test]
fn passing_trouble_changes_nothing_and_is_tried_again() {
    for state in [
        State::Scanning,
        submitting(&[1], &[]),
        importing(&[1]),
        State::Live,
    ] {
        let trouble = Trouble::Passing {
            kind: Passing::Throttled,
            message: String::new(),
            retry_after_ms: Some(9),
        };
        let (after, effect) = step(state.clone(), Input::Trouble(trouble));
        assert_eq!(
            (after, effect),
            (
                state,
                Effect::Again {
                    kind: Passing::Throttled,
                    retry_after_ms: Some(9)
                }
            )
        );
    }
}

#[test]
fn lasting_trouble_parks_and_a_restart_goes_on_where_it_was() {
    for state in [State::Scanning, submitting(&[2], &[1]), State::Live] {
        let reason = Reason::Fatal(String::new());
        let (parked, effect) = step(
            state.clone(),
            Input::Trouble(Trouble::Lasting(reason.clone())),
        );
        assert_eq!(effect, Effect::Rest);
        assert_eq!(
            parked,
            State::Parked {
                reason,
                from: Box::new(state.clone())
            }
        );
        assert_eq!(resume(parked).0, state);
    }
}

#[test]
fn parks_when_the_import_fails_and_submits_only_that_file_anew() {
    let (parked, _) = step(importing(&[2, 3]), Input::ImportFailed("no".to_owned()));
    assert!(matches!(
        &parked,
        State::Parked {
            reason: Reason::ImportFailed(_),
            ..
        }
    ));
    let anew = (submitting(&[2], &[3]), Effect::Submit(2));
    assert_eq!(resume(parked.clone()), anew);
    assert_eq!(step(parked, Input::Resume), anew, "without a restart, too");
}

/// A job that is gone is answered so for ever: two words of a person give it up, and the second is
/// asked for in what the first one finds.
#[test]
fn a_job_that_is_gone_never_strands_an_export() {
    for reason in [Reason::Fatal, Reason::InvalidSettings] {
        let gone = || lasting(reason("404".to_owned()));
        let says = |state: &State| match state {
            State::Parked { reason, .. } => reason.to_string(),
            _ => panic!("{state:?}"),
        };
        let (parked, effect) = step(importing(&[2, 3]), gone());
        assert_eq!(effect, Effect::Rest);
        assert!(says(&parked).contains("404"), "{parked:?}");
        assert!(says(&parked).contains("asks about the import job once more"));

        let (asked, effect) = step(parked, Input::Resume);
        assert_eq!(effect, Effect::Poll(2));
        let (parked, _) = step(asked, gone());
        assert!(says(&parked).contains("submits its file anew"));
        // A pause in between makes no difference.
        let (paused, _) = step(parked.clone(), Input::Pause);
        for parked in [parked, paused] {
            let anew = (submitting(&[2], &[3]), Effect::Submit(2));
            assert_eq!(step(parked, Input::Resume), anew);
        }
    }
}

/// One that may still run is not given up: not by restarts, however many, and not once it was heard of.
#[test]
fn a_job_that_may_still_run_is_asked_about_again() {
    let gone = || lasting(Reason::InvalidSettings("404".to_owned()));
    let mut state = importing(&[2]);
    for _ in 0..3 {
        let (parked, _) = step(state, gone());
        let (again, effect) = resume(parked);
        assert_eq!((&again, effect), (&importing(&[2]), Effect::Poll(2)));
        state = again;
    }
    let (parked, _) = step(state, gone());
    let (asked, _) = step(parked, Input::Resume);
    let pending = Input::Pending {
        waited_ms: 0,
        limit_ms: 1,
    };
    let (heard, _) = step(asked.clone(), pending);
    assert_eq!(heard, importing(&[2]));
    for other in [Reason::Limit, Reason::Source, Reason::PluginFails] {
        let (parked, _) = step(asked.clone(), lasting(other(String::new())));
        assert_eq!(step(parked, Input::Resume).1, Effect::Poll(2));
    }
}

/// What the last release wrote down is read.
#[test]
fn an_import_that_an_older_version_waited_for_is_waited_for() {
    let written = r#"{"phase":"importing","waiting":[2],"waited_ms":0}"#;
    let state: State = serde_json::from_str(written).unwrap();
    assert_eq!(state, importing(&[2]));
}

#[test]
fn a_refused_credential_is_asked_about_until_it_is_accepted() {
    let state = submitting(&[2], &[1]);
    let refused = Input::Trouble(Trouble::Lasting(Reason::Unauthorized("401".to_owned())));
    let (parked, effect) = step(state.clone(), refused.clone());
    assert_eq!(effect, Effect::Recheck);
    let passing = Input::Trouble(Trouble::Passing {
        kind: Passing::Transient,
        message: String::new(),
        retry_after_ms: None,
    });
    for still in [refused, passing] {
        assert_eq!(
            step(parked.clone(), still),
            (parked.clone(), Effect::Recheck)
        );
    }
    assert_eq!(step(parked, Input::Accepted), (state, Effect::Submit(2)));
}

#[test]
fn what_a_person_has_paused_rests_until_a_person_lets_it_go_on() {
    for state in [State::Scanning, submitting(&[2], &[1]), State::Live] {
        let (paused, effect) = step(state.clone(), Input::Pause);
        assert_eq!(effect, Effect::Rest);
        assert_eq!(resume(paused.clone()), (paused.clone(), Effect::Rest));
        let lasting = Input::Trouble(Trouble::Lasting(Reason::Fatal(String::new())));
        for other in [Input::Accepted, Input::Pause, lasting] {
            assert_eq!(step(paused.clone(), other).0, paused);
        }
        assert_eq!(step(paused, Input::Resume).0, state);
    }
    let (failed, _) = step(importing(&[2]), Input::ImportFailed("no".to_owned()));
    let (paused, _) = step(failed, Input::Pause);
    assert_eq!(step(paused, Input::Resume).0, submitting(&[2], &[]));
}

#[test]
fn parks_when_an_import_was_really_waited_for_too_long() {
    let pending = |waited_ms| Input::Pending {
        waited_ms,
        limit_ms: 100,
    };
    let (state, effect) = step(importing(&[1]), pending(60));
    assert_eq!(effect, Effect::Poll(1));
    let (parked, _) = step(state, pending(40));
    assert!(matches!(
        parked,
        State::Parked {
            reason: Reason::ImportTimeout(_),
            ..
        }
    ));
}

#[test]
fn parking_twice_keeps_where_it_was() {
    let lasting =
        |message: &str| Input::Trouble(Trouble::Lasting(Reason::Fatal(message.to_owned())));
    let (parked, _) = step(State::Live, lasting("one"));
    let (parked, _) = step(parked, lasting("two"));
    assert_eq!(
        parked,
        State::Parked {
            reason: Reason::Fatal("two".to_owned()),
            from: Box::new(State::Live)
        }
    );
}

#[test]
fn an_answer_that_comes_late_or_twice_changes_nothing() {
    for (state, input) in [
        (State::Live, Input::Scanned { end: true }),
        (
            State::Live,
            Input::Imported {
                file: 1,
                line_end: 1,
            },
        ),
        (submitting(&[2], &[1]), Input::Submitted { file: 1 }),
        (State::Scanning, Input::CaughtUp),
    ] {
        assert_eq!(step(state.clone(), input).0, state);
    }
}

#[test]
fn every_state_survives_the_way_to_disk() {
    for state in [
        State::Scanning,
        State::Sealing,
        submitting(&[2], &[1]),
        importing(&[1]),
        State::CatchingUp { until: 4 },
        State::Live,
        State::Parked {
            reason: Reason::ImportFailed("x".to_owned()),
            from: Box::new(importing(&[1])),
        },
    ] {
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(
            serde_json::from_str::<State>(&json).unwrap(),
            state,
            "{json}"
        );
    }
}

#[test]
fn every_kind_of_reason_has_the_name_that_is_written_down() {
    let all = [
        Reason::Unauthorized,
        Reason::InvalidSettings,
        Reason::ImportFailed,
        Reason::ImportTimeout,
        Reason::Fatal,
        Reason::PluginFails,
        Reason::Source,
        Reason::Paused,
        Reason::Staged,
        Reason::Limit,
    ];
    let names = all.map(|reason| {
        let reason = reason(String::new());
        let written = serde_json::to_value(&reason).unwrap();
        assert_eq!(written["why"], reason.why());
        reason.why()
    });
    assert_eq!(names, Reason::WHYS);
}
