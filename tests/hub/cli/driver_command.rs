//! `thingshub driver`: the commands that need no hub.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

fn driver(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_thingshub"))
        .arg("driver")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn run_prints_the_result_and_says_what_went_wrong() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.js"),
        "function decodeUplink(i) { console.log('seen %d', i.bytes.length); return { data: [i.bytes[0] / 10, 1e21] } }\n\
         const bad = () => { throw new Error('no') }",
    )
    .unwrap();
    let run = |arguments: &[&str], input: &str| {
        let all = [&["run", "--script", "a.js"], arguments].concat();
        driver(folder.path(), &all, input)
    };
    let good = run(&["--input", "{\"bytes\": \"07\"}"], "");
    assert_eq!(
        (code(&good), out(&good).as_str()),
        (Some(0), "{\"data\":[0.7,1e+21]}\n")
    );
    let piped = run(&["--input", "-"], "{\"bytes\": [7]}");
    assert_eq!(out(&piped), out(&good));
    let bad = run(&["--function", "bad", "--input", "-1"], "");
    assert_eq!(code(&bad), Some(1));
    assert!(
        error(&bad).contains("exception: no (line 2)"),
        "{}",
        error(&bad)
    );
    let no_json = run(&["--input", "{"], "");
    assert_eq!(code(&no_json), Some(2));
    assert!(error(&no_json).contains("--input"));
}

#[test]
fn a_batch_keeps_its_order_and_survives_bad_lines() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.js"),
        "function f(n) { if (n === 3) throw new Error('three'); while (n === 5); return { n } }",
    )
    .unwrap();
    let mut lines: Vec<String> = (0..200)
        .map(|n| json!({"script": "a.js", "function": "f", "input": n}).to_string())
        .collect();
    lines[7] = "{".to_owned();
    lines[8] = String::new();
    lines[9] = json!({"script": "none.js", "function": "f", "input": 1}).to_string();
    let answered = driver(folder.path(), &["run", "--batch"], &lines.join("\n"));
    assert_eq!(code(&answered), Some(0), "{}", error(&answered));
    let answers: Vec<Value> = out(&answered)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 200);
    for (n, answer) in answers.iter().enumerate() {
        let kind = match n {
            3 => "exception",
            5 => "cpu_time",
            7..=9 => "bad_input",
            _ => {
                assert_eq!(answer, &json!({"result": {"n": n}}));
                continue;
            }
        };
        assert_eq!(answer["error"]["kind"], kind, "{n}: {answer}");
        assert!(answer["error"]["message"].is_string());
    }
    assert_eq!(
        answers[3]["error"],
        json!({"kind": "exception", "message": "three", "line": 1})
    );
}

#[test]
fn a_project_is_made_described_tested_and_built() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| driver(folder.path(), arguments, "");
    assert_eq!(code(&run(&["test"])), Some(2));
    assert_eq!(code(&run(&["init", "--name", "thermo"])), Some(0));
    assert_eq!(code(&run(&["init"])), Some(2));
    let unsigned = run(&["build"]);
    assert_eq!(code(&unsigned), Some(2));
    assert!(error(&unsigned).contains("author"));
    assert_eq!(code(&run(&["set", "author", "acme"])), Some(0));
    assert_eq!(code(&run(&["set", "labels", "a", "b"])), Some(0));
    assert_eq!(
        code(&run(&["set", "supports", "ACME", "T1", "1.0"])),
        Some(0)
    );
    assert_eq!(code(&run(&["set", "name", "a", "b"])), Some(2));
    assert_eq!(out(&run(&["get", "author"])), "acme\n");
    assert_eq!(
        out(&run(&["get", "supports", "--json"])),
        "[{\"manufacturer\":\"ACME\",\"model\":\"T1\",\"firmware_version\":\"1.0\"}]\n"
    );
    let tested = run(&["test"]);
    assert_eq!(code(&tested), Some(0), "{}", error(&tested));
    assert!(out(&tested).contains("2 examples passed"));
    let built = run(&["build"]);
    assert_eq!(code(&built), Some(0), "{}", error(&built));
    let package: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("build/driver.json")).unwrap())
            .unwrap();
    assert!(out(&built).contains("(decodeUplink)"), "{}", out(&built));
    assert_eq!(package["supports"][0]["firmware_version"], "1.0");
    assert_eq!(package["labels"], json!(["a", "b"]));
    assert_eq!(package["examples"].as_array().unwrap().len(), 2);

    fs::write(
        folder.path().join("script.js"),
        "function decodeUplink() { return { data: { temperature: 2 } } }",
    )
    .unwrap();
    let failing = run(&["test"]);
    assert_eq!(code(&failing), Some(1));
    assert!(
        out(&failing).contains("output.data.temperature: the example says -1, the driver gives 2"),
        "{}",
        out(&failing)
    );
    let lines = run(&["test", "--json"]);
    let first: Value = serde_json::from_str(out(&lines).lines().next().unwrap()).unwrap();
    assert_eq!(first["passed"], json!(false));
    assert_eq!(code(&run(&["build"])), Some(1));
}

#[test]
fn a_codec_folder_of_the_things_stack_is_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "t1.js",
        "function decodeUplink(i) { return { data: { t: i.bytes[0] } } }\n\
                    function normalizeUplink(i) { return { data: { air: { temperature: i.data.t } } } }\n\
                    function encodeDownlink(i) { return { bytes: [i.data.led], fPort: 3, warnings: [], errors: [] } }",
    );
    write("t1.yaml", "name: not a codec\n");
    write(
        "t1-codec.yaml",
        "
uplinkDecoder:
  fileName: t1.js
  examples:
    - description: seven
      input: { bytes: [0x07], fPort: 1 }
      output: { data: { t: 7 } }
      normalizedOutput: { data: { air: { temperature: 7 } } }
downlinkEncoder:
  fileName: t1.js
  examples:
    - description: on
      input: { data: { led: 1 } }
      output: { bytes: [1], fPort: 3 }
",
    );
    let tested = driver(folder.path(), &["test"], "");
    assert_eq!(code(&tested), Some(0), "{}{}", out(&tested), error(&tested));
    assert!(out(&tested).contains("3 examples passed"));
    write(
        "t1-codec.yaml",
        "uplinkDecoder: { fileName: ../t1.js, examples: [] }",
    );
    assert_eq!(code(&driver(folder.path(), &["test"], "")), Some(2));
}
