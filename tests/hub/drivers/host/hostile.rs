//! Scripts that do their worst.

use super::DriverErrorKind as Kind;
use super::*;

/// Each script, with the errors that it may end in (empty: it must work).
async fn assert_contained(limits: Limits, cases: &[(&str, &[Kind])]) {
    let host = host(limits.clone()).await;
    for (statements, kinds) in cases {
        match decode(&host, &body(statements)).await {
            Ok(decoded) => assert!(kinds.is_empty(), "{decoded:?} from {statements}"),
            Err(error) => {
                assert!(kinds.contains(&error.kind), "{error:?} from {statements}");
                assert_bounded(&limits, &error, statements);
            }
        }
        assert_still_works(&host, statements).await;
    }
}

/// The error says which limit it was, and the call was charged no more CPU time than the limit, the
/// kernel's grace of 50 ms and some ticks of its clock.
pub fn assert_bounded(limits: &Limits, error: &DriverError, what: &str) {
    let message = &error.message;
    assert!(
        !message.is_empty() && message.len() < 2_100,
        "{what}: {error:?}"
    );
    let limit = match error.kind {
        Kind::CpuTime => "CPU time limit of ",
        Kind::Memory => "memory limit of ",
        Kind::Stack => "stack limit of ",
        Kind::PendingJobs => "promise jobs reached",
        Kind::Output => "the limit is ",
        _ => "",
    };
    assert!(message.contains(limit), "{what}: {error:?}");
    let bound_us = (limits.cpu_time_ms + 50 + 30) * 1_000;
    assert!(
        (1..=bound_us).contains(&error.cpu_time_us),
        "{what}: {error:?} is beyond {bound_us} us"
    );
}

#[tokio::test]
async fn loops_end_at_the_cpu_limit() {
    assert_contained(one_worker(), &[
        ("for (;;) {}", &[Kind::CpuTime]),
        ("for (;;) { try { for (;;) {} } catch {} finally { for (;;) {} } }", &[Kind::CpuTime]),
        ("const spin = async () => { try { for (;;) {} } catch { for (;;) {} } }; return spin().then(spin, spin)", &[Kind::CpuTime]),
        ("function* g() { try { for (;;) yield 1 } finally { for (;;) {} } } for (const x of g()) ;", &[Kind::CpuTime]),
        ("while (true) new Date().toString()", &[Kind::CpuTime]),
        ("for (;;) eval('1')", &[Kind::CpuTime]),
        ("/^(a+)+$/.test('a'.repeat(40) + '!')", &[Kind::CpuTime]),
        ("/(x+x+)+y/.exec('x'.repeat(5000))", &[Kind::CpuTime]),
        ("return { get a() { for (;;) {} } }", &[Kind::CpuTime]),
        ("return { toJSON() { for (;;) {} } }", &[Kind::CpuTime]),
        ("return new Proxy({}, { ownKeys() { for (;;) {} } })", &[Kind::CpuTime]),
        ("throw { toString() { for (;;) {} }, toJSON() { for (;;) {} } }", &[Kind::CpuTime]),
        ("const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;) {} } }); throw e", &[Kind::CpuTime]),
        ("Error.prepareStackTrace = () => { for (;;) {} }; null.x", &[Kind::CpuTime]),
        ("console.log({ toJSON() { for (;;) {} } })", &[Kind::CpuTime]),
        ("return { then(resolve) { for (;;) {} }, get data() { for (;;) {} } }", &[Kind::CpuTime]),
        ("return Promise.resolve({ then(resolve) { for (;;) {} } })", &[Kind::CpuTime]),
    ]).await;
}

#[tokio::test]
async fn a_cpu_limit_names_its_line() {
    let host = host(one_worker()).await;
    let error = fails(
        &host,
        // Stopped at the loop's start, it is the last call before it, on the same line.
        "function decode() {\n  let i = 0;\n  Math.abs(i); while (true) i = Math.abs(i);\n}",
    )
    .await;
    assert_eq!(error.line, Some(3));
    assert_eq!(error.message, "CPU time limit of 50 ms reached near line 3");
}

#[tokio::test]
async fn native_loops_end_at_the_cpu_limit() {
    const STOPPED: &[Kind] = &[Kind::CpuTime, Kind::Memory, Kind::Stack, Kind::Exception];
    assert_contained(
        one_worker(),
        &[
            ("new Array(1e9).join('x')", STOPPED),
            ("const a = []; a.length = 4e9; a.reverse()", STOPPED),
            ("const a = []; a.length = 4e9; a.indexOf(1)", STOPPED),
            ("const a = []; a.length = 4e9; a.sort()", STOPPED),
            (
                "Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1)",
                STOPPED,
            ),
            (
                "Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
                STOPPED,
            ),
            (
                "Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 1)",
                STOPPED,
            ),
            (
                "const s = 'a'.repeat(1 << 20); for (;;) s.replaceAll('a', 'b')",
                STOPPED,
            ),
            (
                "const s = '\\u1E9B\\u0323'.repeat(1 << 19); for (;;) s.normalize('NFKD')",
                STOPPED,
            ),
            (
                "let s = 'ab'.repeat(1 << 19); for (;;) s.split('').reverse().join('')",
                STOPPED,
            ),
            ("let n = 3n; for (;;) n = n * n", STOPPED),
            (
                "return { a: (2n ** 1000000n).toString() }",
                &[Kind::CpuTime, Kind::Memory, Kind::Output],
            ),
            ("JSON.parse('['.repeat(1e6))", STOPPED),
            ("JSON.stringify(new Array(1e8))", STOPPED),
            ("new Uint8Array(1 << 24).sort(() => 0)", STOPPED),
            ("String.raw({ raw: { length: 2 ** 53 - 1 } })", STOPPED),
            ("new Array(1e8).fill().map(x => x)", STOPPED),
            (
                "const s = '%41'.repeat(1 << 20); for (;;) decodeURIComponent(s)",
                STOPPED,
            ),
            ("new RegExp('('.repeat(1e5) + ')'.repeat(1e5))", STOPPED),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_native_loop_says_so() {
    let host = host(one_worker()).await;
    let error = fails(&host, &body("new Array(1e9).join('x')")).await;
    assert_eq!(error.kind, Kind::CpuTime);
    assert_eq!(
        error.message,
        "CPU time limit of 50 ms reached in native code that decode called"
    );
}

#[tokio::test]
async fn memory_is_bounded() {
    // CPU time enough to get as far as the memory limit.
    let limits = Limits {
        cpu_time_ms: 5_000,
        wall_time_ms: 600_000,
        ..one_worker()
    };
    assert_contained(limits, &[
        ("const a = []; for (;;) a.push(new Array(1000).fill(0))", &[Kind::Memory]),
        ("let a = {}; for (;;) a = { a }", &[Kind::Memory]),
        ("let s = 'x'; for (;;) s += s", &[Kind::Memory, Kind::Exception]),
        ("new Uint8Array(1 << 30)", &[Kind::Memory, Kind::Exception]),
        ("'x'.repeat(1 << 29)", &[Kind::Memory, Kind::Exception]),
        ("const a = []; for (;;) { try { for (;;) a.push([a]) } catch {} }", &[Kind::Memory, Kind::CpuTime]),
        ("const m = new Map(); for (let i = 0; ; i++) m.set('k' + i, i)", &[Kind::Memory]),
        ("for (let i = 0; ; i++) Symbol.for('s' + i) && (globalThis['s' + i] = 1)", &[Kind::Memory]),
        ("new Function('return ' + '['.repeat(100) + 'a,'.repeat(1 << 22) + ']'.repeat(100))", &[Kind::Memory, Kind::CpuTime]),
        ("return { a: 'x'.repeat(50 << 20) }", &[Kind::Memory]),
        ("return { a: 'x'.repeat(2 << 20) }", &[Kind::Output]),
    ]).await;
}

#[tokio::test]
async fn recursion_output_logs_and_jobs_are_bounded() {
    assert_contained(one_worker(), &[
        ("const f = () => f() + 1; f()", &[Kind::Stack]),
        ("decode(payload, port)", &[Kind::Stack]),
        ("let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return { a }", &[Kind::Stack, Kind::CpuTime]),
        ("const p = new Proxy({}, {}); Object.setPrototypeOf(p, p); return { a: p.x }", &[Kind::Stack, Kind::Exception]),
        ("return { a: new Array(20000).fill('1234') }", &[Kind::Output]),
        ("const again = () => Promise.resolve().then(again); return again()", &[Kind::PendingJobs]),
        ("const more = () => { for (let i = 0; i < 3; i++) queueMicrotask(more) }; more(); return new Promise(() => {})", &[Kind::PendingJobs]),
        ("return (async () => { for (;;) await 0 })()", &[Kind::PendingJobs]),
        ("for (;;) console.log('x')", &[Kind::CpuTime]),
        ("for (let i = 0; i < 1e8; i++) console.log('x'.repeat(1e4)); return {}", &[Kind::CpuTime]),
    ]).await;
    let host = host(one_worker()).await;
    let source = body("for (let i = 0; i < 200; i++) console.log('x'.repeat(600)); return {}");
    let logs = decode(&host, &source).await.expect("decodes").logs;
    assert_eq!(logs.len(), 101);
    let cut = format!("{}…", "x".repeat(500));
    assert_eq!(logs[..100], vec![cut; 100]);
    assert_eq!(logs[100], "(further lines were left out)");
}

#[tokio::test]
async fn tricks_with_values_end_in_errors() {
    const ANY: &[Kind] = &[Kind::Exception, Kind::BadResult];
    assert_contained(one_worker(), &[
        ("throw null", &[Kind::Exception]),
        ("throw undefined", &[Kind::Exception]),
        ("throw 1n", &[Kind::Exception]),
        ("throw Symbol('s')", &[Kind::Exception]),
        ("throw { toString() { throw 1 }, toJSON() { throw 2 } }", &[Kind::Exception]),
        ("throw new Proxy({}, { get() { throw 3 } })", &[Kind::Exception]),
        ("const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw e } }); throw e", &[Kind::Exception]),
        ("const e = new Error(); e.name = { toString() { throw 1 } }; e.stack = 5; throw e", &[Kind::Exception]),
        ("return { get a() { throw new Error('get') } }", &[Kind::Exception]),
        ("return { toJSON() { throw new Error('json') } }", &[Kind::Exception]),
        ("return new Proxy({}, { ownKeys() { throw new Error('keys') } })", &[Kind::Exception]),
        ("return new Proxy([], {})", &[Kind::BadResult]),
        ("const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy", ANY),
        ("Object.prototype.toJSON = function () { return 'all' }; return {}", &[Kind::BadResult]),
        ("Object.defineProperty(Object.prototype, 'then', { get() { throw 1 } }); return (async () => ({}))()", ANY),
        ("Array.prototype[Symbol.iterator] = null; JSON.stringify = null; Date = null; return {}", &[]),
        ("Object.defineProperty(Object.prototype, 'bytes', { set() { throw 1 } }); return {}", &[]),
        ("Promise.prototype.then = null; return (async () => ({}))()", &[]),
        ("Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 1e6)", &[Kind::Exception]),
        ("const r = new FinalizationRegistry(() => { for (;;) {} }); r.register({}, 1); return {}", &[]),
    ]).await;
    let host = host(one_worker()).await;
    let source = "function decodeUplink() { return { errors: new Proxy([], { get(t, k) { return k === 'length' ? 1e9 : 'e' } }) } }";
    assert!([Kind::Exception, Kind::CpuTime].contains(&fails(&host, source).await.kind));
    assert_still_works(&host, source).await;
    let source = "function decodeUplink() { return { data: {}, warnings: { length: 1e9 } } }";
    assert_eq!(
        decode(&host, source).await.expect("decodes").warnings.len(),
        1
    );
}

#[tokio::test]
async fn the_host_is_out_of_reach() {
    let host = host(one_worker()).await;
    for name in [
        "std.open('/etc/passwd')",
        "os.exec(['id'])",
        "require('fs')",
        "process.env",
        "Deno.env",
        "setTimeout(() => {})",
        "fetch('http://x')",
        "XMLHttpRequest",
        "print(1)",
        "scriptArgs",
        "load('x')",
        "Worker",
        "navigator.userAgent",
        "WebAssembly",
    ] {
        let error = fails(&host, &body(&format!("return {{ a: {name} }}"))).await;
        assert_eq!(error.kind, Kind::Exception, "{name}");
        assert!(
            error.message.starts_with("ReferenceError"),
            "{name}: {error:?}"
        );
    }
    for import in ["import('std')", "import('/etc/passwd')"] {
        let error = fails(&host, &body(&format!("return {import}"))).await;
        assert_eq!(error.kind, Kind::Exception, "{error:?}");
    }
    assert_still_works(&host, "reaching out").await;
}

#[tokio::test]
async fn hostile_scripts_that_do_not_parse_in_time() {
    let host = host(one_worker()).await;
    for source in [
        "(".repeat(200_000),
        "[".repeat(1 << 20),
        format!("function decode() {{ return {} }}", "a=>".repeat(300_000)),
        format!("/{}/", "(a|".repeat(100_000)),
        "`${".repeat(100_000),
        "{".repeat(300_000),
        "a\0b".to_owned(),
        "\u{FEFF}\u{2028}(".to_owned(),
    ] {
        let kind = fails(&host, &source).await.kind;
        assert!(
            [Kind::Syntax, Kind::CpuTime, Kind::Memory, Kind::Stack].contains(&kind),
            "{kind:?} from {}",
            source.chars().take(40).collect::<String>()
        );
        assert_still_works(&host, "a script that does not parse").await;
    }
}
