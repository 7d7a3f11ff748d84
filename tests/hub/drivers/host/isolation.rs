//! No call is felt by another, and no worker is missed.

use super::*;

#[tokio::test]
async fn nothing_passes_from_one_call_to_the_next() {
    let host = host(one_worker()).await;
    let leaky = body(
        "leaked = (globalThis.leaked || 0) + 1; globalThis.count = (globalThis.count || 0) + 1;
         const seen = { leaked, count, polluted: {}.polluted, fn: typeof Array.prototype.evil,
            parse: typeof JSON.parse, log: typeof console.log, tag: console.tag, exported: module.exports.x };
         Object.prototype.polluted = 'yes'; Array.prototype.evil = () => 1; JSON.parse = null;
         console.log = 5; console.tag = 'mine'; module.exports.x = 1; Symbol.for('k').description;
         Promise.resolve().then(() => { for (;;) {} });
         Object.defineProperty(seen, 'polluted', { value: seen.polluted, enumerable: true });
         delete Object.prototype.polluted; Object.prototype.toJSON = undefined;
         return seen",
    );
    let first = data(&host, &leaky).await;
    assert_eq!(
        first,
        json!({"leaked": 1, "count": 1, "fn": "undefined", "parse": "function", "log": "function"})
    );
    assert_eq!(
        data(&host, &leaky).await,
        first,
        "the same version of the same driver"
    );
    let other = body(
        "return { names: Object.getOwnPropertyNames(globalThis).filter(n => /leaked|count/.test(n)), p: {}.polluted }",
    );
    assert_eq!(
        data(&host, &other).await,
        json!({"names": []}),
        "another driver"
    );
}

#[tokio::test]
async fn the_last_match_of_a_call_is_none_of_the_next() {
    let host = host(one_worker()).await;
    let matching = body(
        "const before = [RegExp.$1, RegExp.input, RegExp.lastMatch]; /(secret)/.test('my secret');
         RegExp.input = 'kept'; return { before, after: RegExp.$1 }",
    );
    let expected = json!({"before": ["", "", ""], "after": "secret"});
    assert_eq!(data(&host, &matching).await, expected);
    assert_eq!(data(&host, &matching).await, expected);
    let other = body("return { left: [RegExp.$1, RegExp['$&'], RegExp.$_] }");
    assert_eq!(data(&host, &other).await, json!({"left": ["", "", ""]}));
}

/// A missing part of Intl must be named, not silently replaced.
#[tokio::test]
async fn what_drivers_lack_of_intl_is_named() {
    let host = host(one_worker()).await;
    for (expression, lacking) in [
        (
            "new Intl.PluralRules('en')",
            "Intl.PluralRules is not available",
        ),
        (
            "new Intl.RelativeTimeFormat('en')",
            "Intl.RelativeTimeFormat is not",
        ),
        ("new Intl.ListFormat('en')", "Intl.ListFormat is not"),
        (
            "Intl.supportedValuesOf('unit')",
            "Intl.supportedValuesOf is not",
        ),
        (
            "new Intl.DateTimeFormat('ar-EG')",
            "the locale ar-EG is not",
        ),
        (
            "new Date(0).toLocaleString('th-TH')",
            "the locale th-TH is not",
        ),
        (
            "new Date(0).toLocaleString('de-DE-u-ca-hebrew')",
            "the locale de-DE-u-ca-hebrew",
        ),
        (
            "new Date(0).toLocaleString('en', { era: 'short' })",
            "with era",
        ),
        (
            "new Date(0).toLocaleString('en', { calendar: 'hebrew' })",
            "with calendar hebrew",
        ),
        (
            "new Date(0).toLocaleString('en', { dayPeriod: 'long', hour: 'numeric' })",
            "with dayPeriod",
        ),
        (
            "new Date(0).toLocaleString('en', { hour: 'numeric', second: 'numeric' })",
            "hour numeric, second numeric",
        ),
        (
            "new Date(0).toLocaleString('en', { timeZone: 'Asia/Tokyo', timeZoneName: 'long' })",
            "the time zone Asia/Tokyo",
        ),
        (
            "new Intl.DateTimeFormat('en').formatRange(0, 1)",
            "formatRange is not",
        ),
        (
            "(5).toLocaleString('en', { style: 'currency', currency: 'EUR' })",
            "with style currency",
        ),
        (
            "(5).toLocaleString('en', { notation: 'compact' })",
            "with notation compact",
        ),
        (
            "(5).toLocaleString('en', { roundingMode: 'floor' })",
            "with roundingMode floor",
        ),
        ("'a'.localeCompare('b', 'sv')", "sorting in the locale sv"),
        (
            "'a'.localeCompare('b', 'en', { caseFirst: 'upper' })",
            "with caseFirst upper",
        ),
        (
            "'i'.toLocaleUpperCase('tr')",
            "toLocaleUpperCase in the locale tr",
        ),
    ] {
        let error = decode(
            &host,
            &body(&format!("return {{ value: String({expression}) }}")),
        )
        .await
        .expect_err(expression);
        assert!(error.message.contains(lacking), "{expression}: {error:?}");
    }
}

/// The functions that are not JavaScript are made once: no driver may end them.
#[tokio::test]
async fn what_a_driver_throws_away_is_there_for_the_next_one() {
    let host = host(one_worker()).await;
    let works = body(
        "console.log('%s', 'a'); console.assert(false, 'b'); console.time();
         const bytes = new TextEncoder().encode('ä'), text = new TextDecoder('utf-8', { fatal: true });
         return { text: text.decode(bytes), zone: new Date(0).toLocaleString('de-DE', { timeZone: 'Europe/Berlin' }),
             random: typeof Math.random(), keys: Object.keys(Math).length }",
    );
    let first = decode(&host, &works).await.expect("it works");
    assert_eq!(first.logs, ["a", "Assertion failed b"]);
    let destructive = body(
        "for (const name of Object.getOwnPropertyNames(console)) delete console[name];
         delete globalThis.console; delete Math.random; delete globalThis.Math;
         delete globalThis.TextEncoder; delete globalThis.TextDecoder; delete globalThis.Intl;
         delete Date.prototype.toLocaleString; delete globalThis.module; delete globalThis.exports;
         for (const name of Reflect.ownKeys(globalThis)) try { delete globalThis[name] } catch {}
         // Enough for the collector to run, more than once.
         const cycles = []; for (let i = 0; i < 5000; i++) { const a = {}; a.a = a; cycles[i % 10] = a }
         return {}",
    );
    for _ in 0..20 {
        decode(&host, &destructive).await.expect("it may");
        let again = decode(&host, &works).await.expect("it still works");
        assert_eq!(again.data, first.data);
        assert_eq!(again.logs, first.logs);
    }
}

/// Whatever the call before has used up, and however it ended.
#[tokio::test]
async fn every_call_finds_the_same_memory() {
    let limits = Limits {
        cpu_time_ms: 1_000,
        wall_time_ms: 300_000,
        ..one_worker()
    };
    let host = host(limits).await;
    let before = decode(&host, GOOD).await.expect("it works");
    for (source, kind) in [
        (
            body("const a = []; for (;;) a.push(new Array(1000))"),
            DriverErrorKind::Memory,
        ),
        (body("for (;;) {}"), DriverErrorKind::CpuTime),
        (body("(function f() { f() })()"), DriverErrorKind::Stack),
        (body("throw new Error('x')"), DriverErrorKind::Exception),
    ] {
        assert_eq!(fails(&host, &source).await.kind, kind);
        let after = decode(&host, GOOD).await.expect("it works");
        assert_eq!(
            after.memory_peak_bytes, before.memory_peak_bytes,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn chance_is_another_in_every_call() {
    let host = host(one_worker()).await;
    let source = body(
        "const random = Object.getOwnPropertyDescriptor(Math, 'random');
         return { number: Math.random(), name: random.value.name, length: random.value.length,
             is: [random.writable, random.enumerable, random.configurable] }",
    );
    let first = data(&host, &source).await;
    let number = first["number"].as_f64().expect("a number");
    assert!((0.0..1.0).contains(&number));
    assert_eq!(first["name"], "random");
    assert_eq!(first["length"], 0);
    assert_eq!(first["is"], json!([true, false, true]));
    assert_ne!(data(&host, &source).await["number"], first["number"]);
}

#[tokio::test]
async fn a_worker_that_dies_costs_one_call_at_most_and_is_replaced() {
    use nix::sys::signal::Signal;

    // Under a name of its own, so that no other test's worker is meant.
    let name = format!(
        "{}/killed-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let _ = std::fs::remove_file(&name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_thingshub"), &name).expect("a link");
    let limits = Limits {
        cpu_time_ms: 1_000,
        wall_time_ms: 300_000,
        ..one_worker()
    };
    let program = Program::open(name.as_ref()).expect("it is there");
    let host = Host::start(program, limits).await.expect("workers start");
    for signal in [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGABRT,
        Signal::SIGPROF,
    ] {
        assert_still_works(&host, "a worker was killed").await;
        let workers = crate::processes_named(&name);
        assert_eq!(workers.len(), 1);
        nix::sys::signal::kill(workers[0], signal).expect("killed");
        crate::eventually("another worker runs", async || {
            let next = crate::processes_named(&name);
            (!next.is_empty() && next != workers).then_some(())
        })
        .await;
    }

    // While it runs a call, that call alone pays; where the end came from outside, not even that.
    for (signal, kind) in [
        (Signal::SIGSEGV, DriverErrorKind::Crashed),
        (Signal::SIGILL, DriverErrorKind::Crashed),
        (Signal::SIGKILL, DriverErrorKind::CpuTime),
    ] {
        assert_still_works(&host, "a worker was killed").await;
        let worker = crate::processes_named(&name).remove(0);
        let looping = tokio::spawn({
            let host = host.clone();
            async move { decode(&host, &body("for (;;) {}")).await }
        });
        let before_ns = cpu_time_ns(worker);
        crate::eventually("the worker is busy", async || {
            (cpu_time_ns(worker) > before_ns + 20_000_000).then_some(())
        })
        .await;
        // Again, as a true fault would come again: Rust's handler lets the first one pass.
        crate::eventually("the call is over", async || {
            let _ = nix::sys::signal::kill(worker, signal);
            looping.is_finished().then_some(())
        })
        .await;
        let error = looping.await.expect("no panic").expect_err("an error");
        assert_eq!(error.kind, kind, "{signal}: {error:?}");
    }
    assert_still_works(&host, "the last kill").await;
    let _ = std::fs::remove_file(&name);
}

/// CPU time of a worker by the kernel's account.
fn cpu_time_ns(worker: nix::unistd::Pid) -> u64 {
    let account = std::fs::read_to_string(format!("/proc/{worker}/schedstat"));
    let account = account.unwrap_or_default();
    let used = account
        .split_whitespace()
        .next()
        .and_then(|it| it.parse().ok());
    used.unwrap_or(0)
}

#[tokio::test]
async fn a_stopped_worker_is_killed_at_the_wall_time_limit() {
    let limits = Limits {
        wall_time_ms: 500,
        cpu_time_ms: 100_000,
        ..one_worker()
    };
    let host = host(limits).await;
    let error = fails(&host, &body("for (;;) {}")).await;
    assert_eq!(error.kind, DriverErrorKind::WallTime);
    assert_still_works(&host, "the wall time limit").await;
}

#[tokio::test]
async fn calls_behind_a_deadly_one_are_not_lost() {
    let host = host(one_worker()).await;
    let deadly = body("new Array(1e9).join('x')");
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..40 {
        let (host, deadly) = (host.clone(), deadly.clone());
        calls.spawn(async move {
            let source = if index % 8 == 0 { &deadly } else { GOOD };
            (index, decode(&host, source).await)
        });
    }
    while let Some(finished) = calls.join_next().await {
        let (index, result) = finished.expect("no panic");
        match result {
            Ok(_) => assert_ne!(index % 8, 0),
            Err(error) => assert_eq!(
                (error.kind, index % 8),
                (DriverErrorKind::CpuTime, 0),
                "{error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn a_full_queue_says_so_and_a_closed_host_too() {
    let host = host(Limits {
        queue: 2,
        ..one_worker()
    })
    .await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let host = host.clone();
        calls.spawn(async move { decode(&host, GOOD).await });
    }
    let results: Vec<_> = calls.join_all().await;
    let refused = results.iter().filter_map(|result| result.as_ref().err());
    assert!(
        refused
            .clone()
            .all(|error| error.kind == DriverErrorKind::Overloaded)
    );
    assert!(refused.count() > 0);
    assert!(results.iter().any(Result::is_ok));

    host.shutdown().await;
    assert_eq!(fails(&host, GOOD).await.kind, DriverErrorKind::Overloaded);
}

#[tokio::test]
async fn a_program_that_is_no_worker_does_not_start() {
    assert!(Program::open("/nonexistent/thingshub".as_ref()).is_err());
    let program = Program::open("/bin/true".as_ref()).expect("it is there");
    assert!(Host::start(program, one_worker()).await.is_err());
}
