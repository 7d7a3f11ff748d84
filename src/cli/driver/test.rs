//! `driver test`: the examples of a project, run as the hub would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::examples::{self, Example};
use super::project::{Project, script_of};
use super::{folder, folder_argument, host, script};
use crate::cli::{exit::Failure, output};
use crate::driver::{Host, Invoke, Limits, Script};

/// `thingshub driver test`.
pub fn command() -> Command {
    Command::new("test")
        .about("Run the examples of a driver, without a hub")
        .long_about(
            "Run the examples of a driver's folder in the hub's own sandbox and compare the results. \
             Examples are `examples.json` (or `*.examples.json`, also in `examples/`), a list of \
             {\"type\": \"uplink\" | \"downlink-encode\" | \"downlink-decode\", \"description\", \"input\", \
             \"output\"}, or a codec file of The Things Stack (`*.yaml` with `uplinkDecoder`).",
        )
        .after_help("Exit codes: 0 all pass, 1 some fail, 2 there is nothing to test or it cannot be read.")
        .arg(folder_argument())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("One line of JSON for each example"),
        )
}

/// Runs the examples.
pub async fn test(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = folder(matches);
    let found = load(&folder).map_err(Failure::usage)?;
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no examples",
            folder.display()
        )));
    }
    let host = host(Limits {
        workers: 1,
        ..Limits::default()
    })
    .await?;
    let as_json = matches.get_flag("json");
    let mut scripts = HashMap::new();
    let mut failed = 0;
    for example in &found {
        let problem = run(&host, &mut scripts, example).await.err();
        failed += usize::from(problem.is_some());
        output::line(&if as_json {
            line(example, problem.as_deref()).to_string()
        } else {
            let sign = if problem.is_some() { "FAIL" } else { "ok  " };
            let why = problem.map_or(String::new(), |problem| format!("\n       {problem}"));
            format!("{sign} {}: {}{why}", example.function, example.description)
        })?;
    }
    host.shutdown().await;
    if failed > 0 {
        return Err(format!("{failed} of {} examples failed", found.len()).into());
    }
    if !as_json {
        output::line(&format!("{} examples passed", found.len()))?;
    }
    Ok(())
}

/// The examples of a folder, with their scripts.
pub fn load(folder: &Path) -> Result<Vec<Example>, String> {
    let project = Project::find(folder)?;
    examples::find(folder, || script_of(folder, project.as_ref()))
}

/// Runs one; what is wrong, where it does not give what it should.
pub async fn run(
    host: &Host,
    scripts: &mut HashMap<PathBuf, Arc<Script>>,
    example: &Example,
) -> Result<(), String> {
    let script = match scripts.get(&example.script) {
        Some(script) => Arc::clone(script),
        None => {
            let script = Arc::new(script::read(&example.script.to_string_lossy())?);
            scripts.insert(example.script.clone(), Arc::clone(&script));
            script
        }
    };
    let invoke = Invoke {
        tenant: super::TENANT,
        script,
        function: example.function.to_owned(),
        input: example.input.clone(),
        received_at: None,
    };
    let returned = host
        .invoke(invoke)
        .await
        .map_err(|error| format!("{}: {}", error.kind.as_str(), error.at_line()))?;
    match examples::difference(&example.output, &returned.result) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

fn line(example: &Example, problem: Option<&str>) -> Value {
    json!({
        "function": example.function,
        "description": example.description,
        "passed": problem.is_none(),
        "problem": problem,
    })
}
