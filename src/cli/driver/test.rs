//! `driver test`: runs the examples of a project as the hub would.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::arguments::{folder, folder_argument};
use super::bench::{Bench, Outcome};
use super::examples::{self, Found};
use super::project::{Project, script_of};
use crate::cli::{exit::Failure, output};
use crate::driver::examples::Example;

/// `thingshub driver test`.
pub fn command() -> Command {
    Command::new("test")
        .about("Run the examples of a driver without a hub")
        .long_about(
            "Run the examples of a driver's folder in the sandbox of the hub and compare the outputs. The \
             data of uplinks must also match the project's schema.\n\n\
             Examples are in `examples.json` (or `*.examples.json`, also in `examples/`), a list of \
             {\"type\": \"uplink\" | \"downlink-encode\" | \"downlink-decode\", \"description\", \"input\", \
             \"output\"}, where \"function\" instead of \"type\" names another function; or in a codec file \
             of The Things Stack (`*.yaml` with `uplinkDecoder`).",
        )
        .after_help(
            "Exit codes: 0 all examples pass, 1 an example fails, 2 there are no examples or they cannot be \
             read.",
        )
        .arg(folder_argument())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one line of JSON per example"),
        )
}

/// Runs the examples.
pub async fn test(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let project = Project::find(&folder).map_err(Failure::usage)?;
    let found = load(&folder, project.as_ref()).map_err(Failure::usage)?;
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no examples",
            folder.display()
        )));
    }
    let schema = project.map(|project| project.schema_of(&folder));
    let schema = schema.transpose().map_err(Failure::usage)?.flatten();
    let mut bench = Bench::start(schema).await?;
    let as_json = matches.get_flag("json");
    let mut failed = 0;
    for found in &found {
        let outcome = bench.run(found).await;
        failed += usize::from(outcome.problem.is_some());
        output::line(&line(&found.example, outcome, as_json))?;
    }
    bench.end().await;
    if failed > 0 {
        return Err(format!("{failed} of {} examples failed", found.len()).into());
    }
    if !as_json {
        output::line(&format!("{} examples passed", found.len()))?;
    }
    Ok(())
}

/// The examples of a folder, with their scripts.
pub fn load(folder: &Path, project: Option<&Project>) -> Result<Vec<Found>, String> {
    examples::find(folder, || script_of(folder, project))
}

fn line(example: &Example, outcome: Outcome, as_json: bool) -> String {
    let Outcome { function, problem } = outcome;
    let description = example.description.as_deref().unwrap_or_default();
    if as_json {
        let line = json!({
            "function": function,
            "description": description,
            "passed": problem.is_none(),
            "problem": problem,
        });
        return line.to_string();
    }
    let sign = if problem.is_some() { "FAIL" } else { "ok  " };
    let why = problem.map_or(String::new(), |problem| format!("\n       {problem}"));
    format!("{sign} {function}: {description}{why}")
}
