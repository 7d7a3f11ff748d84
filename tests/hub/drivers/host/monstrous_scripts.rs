//! Scripts that are an attack before any function is called.

use super::DriverErrorKind as Kind;
use super::hostile::assert_bounded;
use super::*;

const HARMLESS: &[Kind] = &[];
/// The allowed failures of a large script, which may also succeed.
const LARGE: &[Kind] = &[Kind::CpuTime, Kind::Memory];

/// Whole scripts, which cost as much as compiling them may.
#[tokio::test]
async fn monstrous_scripts_are_ended_too() {
    let limits = one_worker();
    let host = host(limits.clone()).await;
    let functions = |count: usize| {
        let mut source = String::new();
        for number in 0..count {
            source.push_str(&format!("function f{number}(){{}}\n"));
        }
        source + GOOD
    };
    let scripts = [
        (
            "1 MiB of comment",
            format!("/*{}*/{GOOD}", "x".repeat((1 << 20) - 200)),
            HARMLESS,
        ),
        (
            "1 MiB of text",
            format!("var t = '{}';{GOOD}", "x".repeat((1 << 20) - 200)),
            HARMLESS,
        ),
        ("a hundred thousand functions", functions(100_000), LARGE),
        (
            "10,000 nested parentheses",
            format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            &[Kind::Syntax, Kind::Stack, Kind::NoFunction],
        ),
        (
            "10,000 nested blocks",
            format!("{}{}", "{".repeat(10_000), "}".repeat(10_000)),
            &[Kind::Syntax, Kind::Stack, Kind::NoFunction],
        ),
        (
            "10,000 nested functions",
            format!("{}{}", "()=>(".repeat(10_000), ")".repeat(10_000)),
            &[Kind::Syntax, Kind::Stack],
        ),
        ("a thousand else-ifs", else_ifs(1_000), HARMLESS),
        ("twenty thousand else-ifs", else_ifs(20_000), &[Kind::Stack]),
        (
            "a loop before any function",
            "for (;;) {}".to_owned(),
            &[Kind::CpuTime],
        ),
        (
            "a native loop before any function",
            "new Array(1e9).join('x')".to_owned(),
            &[Kind::CpuTime],
        ),
        (
            "a constant of a million digits",
            format!("var n = {}n;{GOOD}", "9".repeat(900_000)),
            &[Kind::CpuTime, Kind::Memory, Kind::Syntax],
        ),
    ];
    for (name, source, kinds) in scripts {
        match decode(&host, &source).await {
            Ok(_) => assert!(kinds.is_empty() || kinds == LARGE, "{name} works"),
            Err(error) => {
                assert!(kinds.contains(&error.kind), "{name}: {error:?}");
                let compiling = Limits {
                    cpu_time_ms: limits.cpu_time_ms * 5,
                    ..limits.clone()
                };
                assert_bounded(&compiling, &error, name);
            }
        }
        assert_still_works(&host, name).await;
    }
}

/// The form in which generators write a table of registers.
fn else_ifs(count: usize) -> String {
    let mut source = "function decode(p) { const k = p[0]; ".to_owned();
    for number in 0..count {
        source.push_str(&format!(
            "if (k === {number} + 300) {{ return {{}} }} else "
        ));
    }
    source + "{ return { k } } }"
}

#[tokio::test]
async fn a_script_that_is_nested_too_deeply_is_told_so() {
    let host = host(one_worker()).await;
    let error = decode(&host, &else_ifs(20_000)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Stack, "{error:?}");
    assert!(error.message.contains("nested too deeply"), "{error:?}");
}
