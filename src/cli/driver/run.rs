//! `driver run`: calls one function of a script and prints its result.

use std::io::{self, Read};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::workers::{TENANT, host};
use super::{batch, script};
use crate::cli::{exit::Failure, output};
use crate::driver::{Invoke, Limits};

const EXAMPLES: &str = "\
Examples:
  thingshub driver run --script am102.js --input '{\"bytes\": [1, 117, 92], \"fPort\": 85}'
  thingshub driver run --script am102.js --function Decoder --input '{\"bytes\": \"01755c\", \"fPort\": 85}'
  thingshub driver run --script am102.js --function encodeDownlink --input @downlink.json
  thingshub driver run --batch <calls.ndjson >results.ndjson

Each line of a batch is {\"script\": FILE, \"function\": NAME, \"input\": JSON}. For each line, the output has a
line {\"result\": ...} or {\"error\": {\"kind\": ..., \"message\": ..., \"line\": ...}}, in the same order.";

/// `thingshub driver run`.
pub fn command() -> Command {
    let limits = Limits::default();
    Command::new("run")
        .about("Call one function of a script and print its result")
        .long_about(
            "Call one function of a script in the sandbox of the hub and print its return value as JSON. \
             Log lines of the driver go to standard error.\n\n\
             decodeUplink, encodeDownlink, decodeDownlink and normalizeUplink are called with the input; \
             decode, Decoder, Decode, encode, Encoder and Encode with the members that they take of `bytes`, \
             `data`, `fPort`, `variables` and `state`; any other function with the input as its only \
             argument. `bytes` is an array of \
             numbers or a string of hexadecimal digits; `payload_hex` and `payload_base64` can be used \
             instead.",
        )
        .after_help(EXAMPLES)
        .arg(
            Arg::new("script")
                .long("script")
                .short('s')
                .value_name("FILE")
                .required_unless_present("batch")
                .help("File with the script of the driver"),
        )
        .arg(
            Arg::new("function")
                .long("function")
                .short('f')
                .value_name("NAME")
                .default_value("decodeUplink")
                .help("Name of the function to call"),
        )
        .arg(
            Arg::new("input")
                .long("input")
                .short('i')
                .value_name("JSON")
                .allow_hyphen_values(true)
                .required_unless_present("batch")
                .help("Input of the function: the JSON itself, `@file`, or `-` for standard input"),
        )
        .arg(
            Arg::new("received-at")
                .long("received-at")
                .value_name("TIME")
                .value_parser(|text: &str| text.parse::<DateTime<Utc>>())
                .help("Time of reception (RFC 3339), which the function gets as the Date `recvTime`"),
        )
        .arg(
            Arg::new("batch")
                .long("batch")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["script", "function", "input", "received-at"])
                .help("Read calls from standard input, one line of JSON per call"),
        )
        .arg(
            Arg::new("cpu-time-ms")
                .long("cpu-time-ms")
                .value_name("MS")
                .default_value(limits.cpu_time_ms.to_string())
                .value_parser(value_parser!(u64).range(1..=10_000))
                .help("Maximum CPU time of a call, in milliseconds"),
        )
        .arg(
            Arg::new("workers")
                .long("workers")
                .value_name("NUMBER")
                .requires("batch")
                .value_parser(value_parser!(u64).range(1..=256))
                .help("Number of processes that run calls [default: one per processor]"),
        )
}

/// Runs one call, or a batch.
pub async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let mut limits = Limits {
        workers: 1,
        ..Limits::default()
    };
    if let Some(cpu_time_ms) = matches.get_one("cpu-time-ms") {
        limits.cpu_time_ms = *cpu_time_ms;
    }
    if matches.get_flag("batch") {
        limits.workers = match matches.get_one::<u64>("workers") {
            Some(workers) => usize::try_from(*workers).unwrap_or(1),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        return batch::run(limits).await;
    }
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let invoke = Invoke {
        tenant: TENANT,
        script: Arc::new(script::read(text("script")).map_err(Failure::usage)?),
        function: text("function").to_owned(),
        input: input(text("input"))?,
        received_at: matches.get_one("received-at").copied(),
    };
    let host = host(limits).await?;
    let outcome = host.invoke(invoke).await;
    host.shutdown().await;
    match outcome {
        Ok(returned) => {
            tell(&returned.logs);
            output::line(returned.json.get())
        }
        Err(error) => {
            tell(&error.logs);
            Err(format!("{}: {}", error.kind.as_str(), error.at_line()).into())
        }
    }
}

fn tell(logs: &[String]) {
    for line in logs {
        eprintln!("{line}");
    }
}

fn input(given: &str) -> Result<Value, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file),
        None if given == "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        None => Ok(given.to_owned()),
    };
    let text = text.map_err(|error| Failure::usage(format!("--input {given}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("--input is not JSON: {error}")))
}
