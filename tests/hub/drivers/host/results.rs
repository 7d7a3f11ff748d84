//! Decoders as vendors write them, and what becomes of their results.

use super::*;

/// A decoder as vendors publish them: a switch over type-length-value channels, helpers, implicit globals,
/// both entry points in one file.
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
    let payload = hex::decode("01755c0367feff04687b20ce9ea55f65ea00").expect("hexadecimal digits");

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
        "d": "1970-01-01T00:00:00.000Z", "n": null, "m": 0, "b": 2,
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
    assert_eq!(long.message.chars().count(), 501);
}

#[tokio::test]
async fn a_check_names_the_entry_functions() {
    let host = host(one_worker()).await;
    let source = "function decodeUplink() {} const encodeDownlink = () => {}; exports.normalizeUplink = function () {};";
    let names = host.check(1, script(source)).await.expect("a script");
    assert_eq!(names, ["decodeUplink", "encodeDownlink", "normalizeUplink"]);
    assert_eq!(
        host.check(1, script("var x = 1")).await.expect("a script"),
        [""; 0]
    );

    let error = host
        .check(1, script("var\nfunction"))
        .await
        .expect_err("no script");
    assert_eq!((error.kind, error.line), (DriverErrorKind::Syntax, Some(2)));
    let error = host
        .check(1, script("for (;;) {}"))
        .await
        .expect_err("no end");
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
