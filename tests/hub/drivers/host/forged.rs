//! Workers that somebody has taken over: what they say is believed only as far as it can be true, and
//! the first thing that cannot ends them.

use std::path::Path;

use futures_util::future::join_all;

use super::{reports::Reports, *};

/// A host whose worker does this.
async fn start(behaviour: &str) -> std::io::Result<Host> {
    start_observed(behaviour, Arc::new(Reports::default())).await
}

/// The same with reports about the worker.
pub async fn start_observed(behaviour: &str, reports: Arc<Reports>) -> std::io::Result<Host> {
    let probe = Path::new(env!("CARGO_BIN_EXE_thingshub")).with_file_name("examples/forger");
    let folder = tempfile::tempdir()?;
    let name = folder.path().join(format!("forger-{behaviour}"));
    std::os::unix::fs::symlink(probe, &name)?;
    // The link is of no use any more once the program is open.
    Host::start_observed(Program::open(&name)?, one_worker(), reports).await
}

#[tokio::test]
async fn an_answer_that_no_worker_gives_is_none() {
    for behaviour in ["asking", "costly", "backwards", "overloaded", "other"] {
        let host = start(behaviour).await.expect("it starts");
        let error = fails(&host, GOOD).await;
        assert_eq!(
            error.kind,
            DriverErrorKind::Crashed,
            "{behaviour}: {error:?}"
        );
        assert!(error.message.contains("forged"), "{behaviour}: {error:?}");
        // A worker that was just started has been taken over by nobody else.
        let error = fails(&host, GOOD).await;
        assert_eq!(
            error.kind,
            DriverErrorKind::Crashed,
            "{behaviour}: {error:?}"
        );
    }
}

#[tokio::test]
async fn what_a_worker_says_unasked_answers_nobody() {
    let host = start("eager").await.expect("it starts");
    for _ in 0..3 {
        assert_eq!(
            data(&host, GOOD).await,
            json!({"calls": 1}),
            "a new worker each time"
        );
    }
}

#[tokio::test]
async fn cpu_time_that_a_worker_hides_is_found() {
    let host = start("hiding").await.expect("it starts");
    for _ in 0..2 {
        assert_eq!(
            data(&host, GOOD).await,
            json!({"calls": 1}),
            "a new worker each time"
        );
    }
}

#[tokio::test]
async fn a_call_s_cost_is_no_more_than_its_time() {
    let host = start("honest").await.expect("it starts");
    let decoded = decode(&host, GOOD).await.expect("it answers");
    assert!(decoded.cpu_time_us < 60_000_000, "{decoded:?}");
}

#[tokio::test]
async fn calls_whose_script_is_asked_for_keep_their_order() {
    let host = start("forgetful").await.expect("it starts");
    assert_eq!(data(&host, GOOD).await, json!({"calls": 1}));
    let calls = (0..10).map(|number| host.decode(call(GOOD, &[number], None)));
    let decoded = join_all(calls).await;
    let order: Vec<u64> = decoded
        .iter()
        .map(|one| {
            one.as_ref().expect("it answers").data["calls"]
                .as_u64()
                .expect("a number")
        })
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn a_worker_of_another_version_does_not_start() {
    let error = start("old")
        .await
        .err()
        .expect("it does not start")
        .to_string();
    assert!(error.contains("version 0.0.1"), "{error}");
    assert!(error.contains(env!("CARGO_PKG_VERSION")), "{error}");
}
