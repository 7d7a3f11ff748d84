//! Calls of one function of a driver, for its whole result: what `JSON.stringify` would give.

use serde_json::{Value, json};
use thingshub::driver::{DriverError, DriverErrorKind, Host, Invoke, Returned};

use crate::drivers::host::{host, one_worker, script};

fn call(source: &str, function: &str, input: Value) -> Invoke {
    Invoke {
        tenant: 1,
        script: script(source),
        function: function.to_owned(),
        input,
        received_at: None,
    }
}

async fn returned(host: &Host, source: &str, function: &str, input: Value) -> Returned {
    match host.invoke(call(source, function, input)).await {
        Ok(returned) => returned,
        Err(error) => panic!("{error:?} from {source}"),
    }
}

async fn fails(host: &Host, source: &str, function: &str, input: Value) -> DriverError {
    match host.invoke(call(source, function, input)).await {
        Ok(returned) => panic!("{returned:?} from {source}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_result_is_the_text_that_json_stringify_gives() {
    let host = host(one_worker()).await;
    for (value, expected) in [
        ("undefined", "null"),
        ("function () {}", "null"),
        ("NaN", "null"),
        ("-0", "0"),
        ("'text'", r#""text""#),
        ("[1, undefined, -Infinity]", "[1,null,null]"),
        ("{ b: 1, a: undefined, 2: 3 }", r#"{"2":3,"b":1}"#),
        ("new Date(0)", r#""1970-01-01T00:00:00.000Z""#),
        ("new Date(NaN)", "null"),
        ("new Uint8Array([7, 8])", r#"{"0":7,"1":8}"#),
        (
            "[1e21, 1e-7, 123456789012345680000, 0.1 + 0.2, 5e-324]",
            "[1e+21,1e-7,123456789012345680000,0.30000000000000004,5e-324]",
        ),
        ("'\\ud800'", r#""\ud800""#),
        ("{ toJSON() { return [1] } }", "[1]"),
        ("new Map([[1, 2]])", "{}"),
        ("Promise.resolve({ later: true })", r#"{"later":true}"#),
    ] {
        let source = format!("const f = () => ({value})");
        let returned = returned(&host, &source, "f", Value::Null).await;
        assert_eq!(returned.json.get(), expected, "{value}");
        assert!(returned.cpu_time_us > 0);
        assert!(returned.memory_peak_bytes > 10_000);
    }
    let lone = returned(&host, "const f = () => '\\ud800'", "f", Value::Null).await;
    assert_eq!(lone.result, json!("\u{fffd}"));
    let big = "function f() { return { a: new Array(200000).fill(1).length } }";
    let plain = returned(&host, "function f() {}", "f", Value::Null).await;
    let big = returned(&host, big, "f", Value::Null).await;
    assert!(big.memory_peak_bytes > plain.memory_peak_bytes + 1_600_000);
}

#[tokio::test]
async fn what_json_cannot_express_is_a_clear_error() {
    let host = host(one_worker()).await;
    for (value, word) in [
        ("{ a: 1n }", "BigInt"),
        (
            "(() => { const a = {}; a.a = a; return a })()",
            "refers to itself",
        ),
    ] {
        let source = format!("const f = () => ({value})");
        let error = fails(&host, &source, "f", Value::Null).await;
        assert_eq!(error.kind, DriverErrorKind::BadResult, "{value}");
        assert!(error.message.contains(word), "{}", error.message);
    }
}

#[tokio::test]
async fn each_dialect_gets_its_arguments() {
    const ECHO: &str = "
        const decodeUplink = (...a) => a, decodeDownlink = decodeUplink, normalizeUplink = decodeUplink;
        function encodeDownlink(...a) { return a }
        const Decoder = (...a) => a, Decode = Decoder, decode = Decoder, Encoder = Decoder, Encode = Decoder;
        module.exports = { other: Decoder };
        exports.gone = 1;
        var driver = { bundled: Decoder };";
    let host = host(one_worker()).await;
    let input = json!({"z": 1e21, "fPort": 2, "bytes": [1, 255], "variables": {"v": "w"}, "data": {"d": 1}});
    for (function, expected) in [
        ("decodeUplink", json!([input])),
        ("decodeDownlink", json!([input])),
        ("encodeDownlink", json!([input])),
        ("normalizeUplink", json!([input])),
        ("other", json!([input])),
        ("bundled", json!([input])),
        ("Decoder", json!([[1, 255], 2, {"v": "w"}])),
        ("decode", json!([[1, 255], 2, {"v": "w"}])),
        ("Decode", json!([2, [1, 255], {"v": "w"}])),
        ("Encoder", json!([{"d": 1}, 2, {"v": "w"}])),
        ("Encode", json!([2, {"d": 1}, {"v": "w"}])),
    ] {
        let returned = returned(&host, ECHO, function, input.clone()).await;
        assert_eq!(returned.result, expected, "{function}");
    }
    let stateful = json!({"bytes": [1], "port": 2, "state": {"n": 1}, "variables": {"v": "w"}});
    let returned_state = returned(&host, ECHO, "decode", stateful).await.result;
    assert_eq!(returned_state, json!([[1], 2, {"n": 1}]));
    for (payload, function) in [
        (json!({"bytes": "01FF", "port": 2}), "Decoder"),
        (json!({"payload": [1, 255], "port": 2}), "Decoder"),
        (json!({"payload_hex": "01ff", "fPort": 2}), "decode"),
        (json!({"payload_base64": "Af8=", "port": 2}), "decode"),
    ] {
        let returned = returned(&host, ECHO, function, payload).await;
        assert_eq!(returned.result, json!([[1, 255], 2, {}]));
    }
    let hexadecimal = returned(&host, ECHO, "decodeUplink", json!({"bytes": "01ff"})).await;
    assert_eq!(hexadecimal.result, json!([{"bytes": [1, 255]}]));
}

#[tokio::test]
async fn the_time_is_a_date_where_the_caller_has_one_and_otherwise_as_given() {
    let host = host(one_worker()).await;
    let source = "function decodeUplink(i) { return [i.recvTime, typeof i.recvTime] }";
    let text = "2023-07-19T07:51:31.598957793Z";
    let as_given = returned(&host, source, "decodeUplink", json!({"recvTime": text})).await;
    assert_eq!(as_given.result, json!([text, "string"]));
    let mut dated = call(source, "decodeUplink", json!({"bytes": []}));
    dated.received_at = text.parse().ok();
    let dated = host.invoke(dated).await.unwrap();
    assert_eq!(dated.result, json!(["2023-07-19T07:51:31.598Z", "object"]));
}

#[tokio::test]
async fn a_call_that_cannot_be_made_says_why() {
    let host = host(one_worker()).await;
    const SOURCE: &str =
        "function decodeUplink(i) { return i } function Decoder(b) { return b } var x = 1";
    for (function, input, kind, word) in [
        ("missing", json!({}), DriverErrorKind::NoFunction, "missing"),
        ("x", json!({}), DriverErrorKind::NoFunction, "x"),
        ("if", json!({}), DriverErrorKind::NoFunction, "if"),
        ("x); y(", json!({}), DriverErrorKind::NoFunction, "x); y("),
        ("", json!({}), DriverErrorKind::NoFunction, "no function"),
        (
            "decodeUplink",
            json!([]),
            DriverErrorKind::BadInput,
            "must be an object",
        ),
        (
            "decodeUplink",
            json!({"bytes": "0"}),
            DriverErrorKind::BadInput,
            "bytes",
        ),
        (
            "decodeUplink",
            json!({"bytes": 7}),
            DriverErrorKind::BadInput,
            "bytes",
        ),
        (
            "Decoder",
            json!({"fPort": 1}),
            DriverErrorKind::BadInput,
            "bytes",
        ),
        (
            "Decoder",
            json!({"payload_base64": "!"}),
            DriverErrorKind::BadInput,
            "Base64",
        ),
    ] {
        let error = fails(&host, SOURCE, function, input).await;
        assert_eq!(error.kind, kind, "{function}: {error:?}");
        assert!(error.message.contains(word), "{function}: {error:?}");
    }
    let thrown = fails(&host, "function f() {\n  null.x;\n}", "f", Value::Null).await;
    assert_eq!(
        (thrown.kind, thrown.line),
        (DriverErrorKind::Exception, Some(2))
    );
}

#[tokio::test]
async fn a_module_is_called_by_what_it_exports() {
    let host = host(one_worker()).await;
    let input = json!({"bytes": [1, 2], "fPort": 1});
    for source in [
        "export function decodeUplink(input) { return {data: {n: input.bytes[1]}}; }",
        "const decodeUplink = (input) => ({data: {n: input.bytes[1]}});\nexport {decodeUplink};",
        "function f(input) { return {data: {n: input.bytes[1]}}; } export {f as decodeUplink}",
        "export default {decodeUplink: (input) => ({data: {n: input.bytes[1]}})}",
        "const n = await Promise.resolve(1);\nexport const decodeUplink = (i) => ({data: {n: i.bytes[n]}});",
        "export const decodeUplink = (i) => ({data: {n: Buffer.from(i.bytes).readUInt8(1)}});",
    ] {
        let returned = returned(&host, source, "decodeUplink", input.clone()).await;
        assert_eq!(returned.json.get(), r#"{"data":{"n":2}}"#, "{source}");
    }
    let thrown = "\nexport function decodeUplink() {\n  throw new Error('x');\n}";
    let error = fails(&host, thrown, "decodeUplink", input.clone()).await;
    assert_eq!((&*error.message, error.line), ("x", Some(3)));
    for (source, kind) in [
        (
            "import fs from 'fs'; export const decodeUplink = fs",
            DriverErrorKind::Syntax,
        ),
        ("export function decodeUplink( {", DriverErrorKind::Syntax),
        (
            "for (;;); export const decodeUplink = 1",
            DriverErrorKind::CpuTime,
        ),
        (
            "await new Promise(() => {}); export const a = 1",
            DriverErrorKind::BadResult,
        ),
        ("export const other = 1", DriverErrorKind::NoFunction),
    ] {
        let error = fails(&host, source, "decodeUplink", input.clone()).await;
        assert_eq!(error.kind, kind, "{source}: {error}");
    }
}

#[tokio::test]
async fn only_buffer_can_be_required() {
    let host = host(one_worker()).await;
    for source in [
        "const f = (b) => require('buffer').Buffer.from(b).readUInt16BE(0)",
        "var Buffer = require(\"buffer\").Buffer; function f(b) { return Buffer.from(b).readUInt16BE() }",
        "const { Buffer: B } = require('node:buffer'); const f = (b) => B.from(b).readUInt16BE()",
    ] {
        let returned = returned(&host, source, "f", json!([1, 2])).await;
        assert_eq!(returned.json.get(), "258", "{source}");
    }
    let other = "require('buffer'); const f = () => require('fs')";
    let error = fails(&host, other, "f", json!(0)).await;
    assert_eq!(error.message, "Cannot find module 'fs'");
    let none = returned(&host, "const f = () => typeof require", "f", json!(0)).await;
    assert_eq!(none.json.get(), r#""undefined""#);
}
