//! The driver host against real worker processes: decoders as vendors write them, and scripts that
//! do their worst. After each of those the next good call must work.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thingshub::driver::{DecodeCall, Decoded, DriverError, DriverErrorKind, Host, Limits, Script};

const GOOD: &str =
    "function decode(payload, port) { return { sum: payload[0] + payload[1], port } }";

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_thingshub").into()
}

pub async fn host(limits: Limits) -> Host {
    Host::start(program(), limits).await.expect("workers start")
}

/// One worker, so that every call of a test meets the same one.
pub fn one_worker() -> Limits {
    Limits {
        workers: 1,
        ..Limits::default()
    }
}

pub fn script(source: &str) -> Arc<Script> {
    let digest = hex::encode(Sha256::digest(source));
    Arc::new(Script {
        digest,
        source: source.to_owned(),
    })
}

fn call(source: &str, payload: &[u8], f_port: Option<u8>) -> DecodeCall {
    DecodeCall {
        script: script(source),
        payload: payload.to_vec().into(),
        f_port,
        received_at: "2026-03-01T12:30:00.250Z"
            .parse::<DateTime<Utc>>()
            .expect("a time"),
    }
}

async fn decode(host: &Host, source: &str) -> Result<Decoded, DriverError> {
    host.decode(call(source, &[1, 2, 3], Some(7))).await
}

async fn data(host: &Host, source: &str) -> Value {
    match decode(host, source).await {
        Ok(decoded) => decoded.data.into(),
        Err(error) => panic!("{error:?} from {source}"),
    }
}

async fn fails(host: &Host, source: &str) -> DriverError {
    match decode(host, source).await {
        Ok(decoded) => panic!("{decoded:?} from {source}"),
        Err(error) => error,
    }
}

async fn assert_still_works(host: &Host, after: &str) {
    match decode(host, GOOD).await {
        Ok(decoded) => assert_eq!(Value::from(decoded.data), json!({"sum": 3, "port": 7})),
        Err(error) => panic!("{error:?} after {after}"),
    }
}

/// Statements as the body of a `decode`.
fn body(statements: &str) -> String {
    format!("function decode(payload, port) {{ {statements} }}")
}

mod results {
    use super::*;

    /// As vendors publish them: a switch over type-length-value channels, helpers, implicit
    /// globals, both entry points in one file.
    const VENDOR: &str = r#"
/**
 * Payload decoder for an indoor climate sensor
 */
function decodeUplink(input) {
    var res = Decoder(input.bytes, input.fPort);
    if (res.error) {
        return { errors: [res.error] };
    }
    return { data: res };
}

function Decoder(bytes, port) {
    decoded = {};
    for (i = 0; i < bytes.length; ) {
        var channel_id = bytes[i++];
        var channel_type = bytes[i++];
        if (channel_id === 0x01 && channel_type === 0x75) {
            decoded.battery = bytes[i];
            i += 1;
        } else if (channel_id === 0x03 && channel_type === 0x67) {
            decoded.temperature = readInt16LE(bytes.slice(i, i + 2)) / 10;
            i += 2;
        } else if (channel_id === 0x04 && channel_type === 0x68) {
            decoded.humidity = bytes[i] / 2;
            i += 1;
        } else if (channel_id === 0x20 && channel_type === 0xce) {
            var point = {};
            point.timestamp = readUInt32LE(bytes.slice(i, i + 4));
            point.temperature = readInt16LE(bytes.slice(i + 4, i + 6)) / 10;
            decoded.history = decoded.history || [];
            decoded.history.push(point);
            i += 6;
        } else {
            return { error: "unknown channel " + channel_id };
        }
    }
    return decoded;
}

function readUInt16LE(bytes) {
    var value = (bytes[1] << 8) + bytes[0];
    return value & 0xffff;
}

function readInt16LE(bytes) {
    var ref = readUInt16LE(bytes);
    return ref > 0x7fff ? ref - 0x10000 : ref;
}

function readUInt32LE(bytes) {
    var value = (bytes[3] << 24) + (bytes[2] << 16) + (bytes[1] << 8) + bytes[0];
    return (value & 0xffffffff) >>> 0;
}
"#;

    #[tokio::test]
    async fn a_vendors_decoder_works_unchanged() {
        let host = host(one_worker()).await;
        let payload =
            hex::decode("01755c0367feff04687b20ce9ea55f65ea00").expect("hexadecimal digits");

        let decoded = host
            .decode(call(VENDOR, &payload, Some(85)))
            .await
            .expect("decodes");
        assert_eq!(
            Value::from(decoded.data),
            json!({
                "battery": 92,
                "temperature": -0.2,
                "humidity": 61.5,
                "history": [{"timestamp": 1_700_767_134, "temperature": 23.4}],
            })
        );
        assert!(decoded.cpu_time_us > 0);

        let error = host
            .decode(call(VENDOR, &[9, 9], Some(85)))
            .await
            .expect_err("an error");
        assert_eq!(error.kind, DriverErrorKind::Exception);
        assert_eq!(error.message, "unknown channel 9");
    }

    #[tokio::test]
    async fn every_style_of_entry_function_is_called_with_its_arguments() {
        let host = host(one_worker()).await;
        for (source, expected) in [
            (
                "function decode(payload, port) { return { payload, port, array: Array.isArray(payload) } }",
                json!({"payload": [1, 2, 3], "port": 7, "array": true}),
            ),
            (
                "function decodeUplink(input) { return { data: { bytes: input.bytes, fPort: input.fPort,
                 time: input.recvTime, date: input.recvTime instanceof Date } } }",
                json!({"bytes": [1, 2, 3], "fPort": 7, "time": "2026-03-01T12:30:00.250Z", "date": true}),
            ),
            ("function Decoder(bytes, port, variables) { return { a: bytes[2], port, v: variables.x === undefined } }",
                json!({"a": 3, "port": 7, "v": true})),
            ("function Decode(fPort, bytes) { return { a: bytes[0], fPort } }", json!({"a": 1, "fPort": 7})),
            ("const decodeUplink = ({ bytes }) => ({ data: { n: bytes.length } })", json!({"n": 3})),
            ("exports.decodeUplink = function (input) { return { data: { ok: 1 } } }", json!({"ok": 1})),
            ("module.exports = { decodeUplink(input) { return { data: { ok: 2 } } } }", json!({"ok": 2})),
            ("'use strict'; let module = { exports: {} }; module.exports.decode = () => ({ ok: 3 })", json!({"ok": 3})),
            ("async function decode(p) { await null; return { ok: await Promise.resolve(4) } }", json!({"ok": 4})),
            ("function decode() { return { which: 1 } } function decodeUplink() { return { data: { which: 2 } } }",
                json!({"which": 2})),
        ] {
            assert_eq!(data(&host, source).await, expected, "{source}");
        }
        let no_port = host
            .decode(call(GOOD, &[1, 2], None))
            .await
            .expect("decodes");
        assert_eq!(Value::from(no_port.data), json!({"sum": 3, "port": null}));
    }

    #[tokio::test]
    async fn results_convert_as_json_does() {
        let host = host(one_worker()).await;
        let source = body(
            "return { z: NaN, i: Infinity, u: undefined, f() {}, d: new Date(0), n: null, m: -0, b: atob('AP8=').length,
             s: 'a\\ud800b\\n', e: '\u{1F600}', a: [undefined, 1], t: { toJSON() { return 'j' } }, zone: new Date(2026, 0).getTimezoneOffset() }",
        );
        let expected = json!({
            "z": null, "i": null, "d": "1970-01-01T00:00:00.000Z", "n": null, "m": 0, "b": 2,
            "s": "a\u{FFFD}b\n", "e": "\u{1F600}", "a": [null, 1], "t": "j", "zone": 0,
        });
        assert_eq!(data(&host, &source).await, expected);
        let decoded = decode(&host, &body("return { b: 1, a: 2 }"))
            .await
            .expect("decodes");
        assert_eq!(
            decoded.data.keys().collect::<Vec<_>>(),
            ["b", "a"],
            "the driver's order"
        );
    }

    #[tokio::test]
    async fn warnings_and_logs_come_along() {
        let host = host(one_worker()).await;
        let source = "function decodeUplink() {
            console.log('port', 7, { a: [1] }, null, undefined);
            console.error(new TypeError('odd'));
            return { data: {}, warnings: ['low battery', { code: 3 }] };
        }";
        let decoded = decode(&host, source).await.expect("decodes");
        assert_eq!(decoded.warnings, ["low battery", r#"{"code":3}"#]);
        assert_eq!(
            decoded.logs,
            [r#"port 7 {"a":[1]} null undefined"#, "TypeError: odd"]
        );

        let error = fails(
            &host,
            &body("console.warn('before'); throw new Error('after')"),
        )
        .await;
        assert_eq!(error.logs, ["before"]);
    }

    #[tokio::test]
    async fn a_result_that_is_no_object_says_what_it_is() {
        let host = host(one_worker()).await;
        for (returned, message) in [
            ("null", "decode returned null instead of an object"),
            (
                "undefined",
                "decode returned undefined instead of an object",
            ),
            ("3", "decode returned a number instead of an object"),
            ("'x'", "decode returned a string instead of an object"),
            ("[1]", "decode returned an array instead of an object"),
            ("() => 1", "decode returned a function instead of an object"),
            ("10n", "decode returned a BigInt instead of an object"),
            (
                "Symbol('x')",
                "decode returned a symbol instead of an object",
            ),
            (
                "{ a: 10n }",
                "the result contains a BigInt, which JSON cannot express (use Number(...))",
            ),
            (
                "{ toJSON() { return 3 } }",
                "decode returned something else, by its toJSON, instead of an object",
            ),
            (
                "new Promise(() => {})",
                "decode returned a promise that nothing will ever settle",
            ),
        ] {
            let source = body(&format!("return ({returned});"));
            let error = fails(&host, &source).await;
            assert_eq!(
                (error.kind, error.message.as_str()),
                (DriverErrorKind::BadResult, message)
            );
        }
        let error = fails(&host, "function decodeUplink() { return {} }").await;
        assert_eq!(
            error.message,
            "decodeUplink's data is undefined instead of an object"
        );
        let error = fails(&host, &body("const a = {}; a.a = a; return a")).await;
        assert_eq!(
            error.message,
            "the result refers to itself, which JSON cannot express"
        );
        let deep = body("let a = {}; for (let i = 0; i < 300; i++) a = { a }; return a");
        assert_eq!(fails(&host, &deep).await.kind, DriverErrorKind::BadResult);
        assert_still_works(&host, "bad results").await;
    }

    #[tokio::test]
    async fn errors_name_their_line() {
        let host = host(one_worker()).await;
        for (source, kind, message, line) in [
            (
                "\n\nfunction decode( {",
                DriverErrorKind::Syntax,
                "SyntaxError",
                Some(3),
            ),
            (
                "function decode() {\n\n  null.x\n}",
                DriverErrorKind::Exception,
                "TypeError",
                Some(3),
            ),
            (
                "\nmissing()",
                DriverErrorKind::Exception,
                "ReferenceError",
                Some(2),
            ),
            (
                "async function decode() {\n await 1;\n throw new RangeError('r')\n}",
                DriverErrorKind::Exception,
                "RangeError: r",
                Some(3),
            ),
            (
                "function decode() { throw null }",
                DriverErrorKind::Exception,
                "the driver threw null",
                None,
            ),
            (
                "function decode() { throw 'text' }",
                DriverErrorKind::Exception,
                "the driver threw text",
                None,
            ),
            (
                "function decode() { throw { code: 5 } }",
                DriverErrorKind::Exception,
                r#"the driver threw {"code":5}"#,
                None,
            ),
            (
                "function encode() {}",
                DriverErrorKind::NoFunction,
                "the driver defines no",
                None,
            ),
            (
                "function decodeUplink() { return { errors: ['a', 'b'] } }",
                DriverErrorKind::Exception,
                "a; b",
                None,
            ),
        ] {
            // Twice: from source, and from the worker's cache.
            for _ in 0..2 {
                let error = fails(&host, source).await;
                assert_eq!(
                    (error.kind, error.line),
                    (kind, line),
                    "{error:?} from {source}"
                );
                assert!(
                    error.message.starts_with(message),
                    "{error:?} from {source}"
                );
            }
        }
        let long = fails(&host, &body("throw new Error('x'.repeat(100000))")).await;
        assert!(long.message.chars().count() <= 501);
    }

    #[tokio::test]
    async fn a_check_names_the_entry_functions() {
        let host = host(one_worker()).await;
        let source = "function decodeUplink() {} const encodeDownlink = () => {}; exports.normalizeUplink = function () {};";
        let names = host.check(script(source)).await.expect("a script");
        assert_eq!(names, ["decodeUplink", "encodeDownlink", "normalizeUplink"]);
        assert_eq!(
            host.check(script("var x = 1")).await.expect("a script"),
            [""; 0]
        );

        let error = host
            .check(script("var\nfunction"))
            .await
            .expect_err("no script");
        assert_eq!((error.kind, error.line), (DriverErrorKind::Syntax, Some(2)));
        let error = host.check(script("for (;;) {}")).await.expect_err("no end");
        assert_eq!(error.kind, DriverErrorKind::CpuTime);
    }

    #[tokio::test]
    async fn many_calls_at_once_get_their_own_answers() {
        let host = host(Limits {
            queue: 2_000,
            ..Limits::default()
        })
        .await;
        let mut calls = tokio::task::JoinSet::new();
        for index in 0..500_u32 {
            let host = host.clone();
            calls.spawn(async move {
                let source = match index % 10 {
                    0 => body("for (;;) {}"),
                    _ => format!("{GOOD} // {}", index % 7),
                };
                let payload = [(index % 256) as u8, (index / 256) as u8];
                (index, host.decode(call(&source, &payload, None)).await)
            });
        }
        while let Some(finished) = calls.join_next().await {
            let (index, result) = finished.expect("no panic");
            match result {
                Ok(decoded) => assert_eq!(decoded.data["sum"], index % 256 + index / 256),
                Err(error) => assert_eq!((error.kind, index % 10), (DriverErrorKind::CpuTime, 0)),
            }
        }
    }
}

mod hostile {
    use super::DriverErrorKind as Kind;
    use super::*;

    /// Each script, with the errors that it may end in (empty: it must work).
    async fn assert_contained(limits: Limits, cases: &[(&str, &[Kind])]) {
        let host = host(limits).await;
        for (statements, kinds) in cases {
            match decode(&host, &body(statements)).await {
                Ok(decoded) => assert!(kinds.is_empty(), "{decoded:?} from {statements}"),
                Err(error) => {
                    assert!(kinds.contains(&error.kind), "{error:?} from {statements}");
                    assert!(
                        !error.message.is_empty() && error.message.len() < 2_100,
                        "{error:?}"
                    );
                }
            }
            assert_still_works(&host, statements).await;
        }
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
            "CPU time limit of 50 ms reached in native code"
        );
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        // CPU time enough to get as far as the memory limit.
        let limits = Limits {
            cpu_time_ms: 5_000,
            wall_time_ms: 60_000,
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
        assert!(logs.iter().all(|line| line.chars().count() <= 501));
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
}

mod isolation {
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
    async fn a_worker_killed_from_outside_is_replaced() {
        // Under a name of its own, so that no other test's worker is meant.
        let name = format!(
            "{}/killed-{}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let _ = std::fs::remove_file(&name);
        std::os::unix::fs::symlink(program(), &name).expect("a link");
        let host = Host::start(name.clone().into(), one_worker())
            .await
            .expect("workers start");
        for _ in 0..5 {
            assert_still_works(&host, "a worker was killed").await;
            let workers = workers_named(&name);
            assert_eq!(workers.len(), 1);
            nix::sys::signal::kill(workers[0], nix::sys::signal::Signal::SIGKILL).expect("killed");
        }
        assert_still_works(&host, "the last kill").await;
        let _ = std::fs::remove_file(&name);
    }

    /// Found as an administrator would find them; the dead are not counted.
    fn workers_named(name: &str) -> Vec<nix::unistd::Pid> {
        let processes = std::fs::read_dir("/proc").expect("Linux");
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                command.starts_with(name.as_bytes())
            })
            .map(nix::unistd::Pid::from_raw)
            .collect()
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
        assert!(
            Host::start("/nonexistent/thingshub".into(), one_worker())
                .await
                .is_err()
        );
        assert!(Host::start("/bin/true".into(), one_worker()).await.is_err());
    }
}
