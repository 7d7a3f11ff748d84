//! The test bench for an author's driver: the hub's sandbox, its examples and its schema.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::workers::{TENANT, host};
use super::{examples::Found, script};
use crate::{
    cli::exit::Failure,
    driver::{Host, Invoke, Limits, Script, schema::Schema},
};

/// One worker, and the scripts that it has run.
pub struct Bench {
    host: Host,
    schema: Option<Arc<Schema>>,
    scripts: HashMap<PathBuf, Result<Checked, String>>,
}

/// A script that was run without an error.
#[derive(Clone)]
pub struct Checked {
    pub script: Arc<Script>,
    /// Functions that it defines.
    pub functions: Arc<[String]>,
}

/// Outcome of an example.
pub struct Outcome {
    /// The function that was called.
    pub function: String,
    /// Difference from the expected result; `None` if there is none.
    pub problem: Option<String>,
}

impl Bench {
    /// Starts the worker.
    pub async fn start(schema: Option<Arc<Schema>>) -> Result<Self, Failure> {
        let limits = Limits {
            workers: 1,
            ..Limits::default()
        };
        Ok(Self {
            host: host(limits).await?,
            schema,
            scripts: HashMap::new(),
        })
    }

    /// Runs a script once and remembers the functions that it defines.
    pub async fn check(&mut self, path: &Path) -> Result<Checked, String> {
        if let Some(checked) = self.scripts.get(path) {
            return checked.clone();
        }
        let checked = self.checked(path).await;
        self.scripts.insert(path.to_owned(), checked.clone());
        checked
    }

    async fn checked(&self, path: &Path) -> Result<Checked, String> {
        let script = Arc::new(script::read(&path.to_string_lossy())?);
        let functions = self.host.check(TENANT, Arc::clone(&script)).await;
        let functions =
            functions.map_err(|error| format!("{}: {}", path.display(), error.at_line()))?;
        Ok(Checked {
            script,
            functions: functions.into(),
        })
    }

    /// Runs an example.
    pub async fn run(&mut self, found: &Found) -> Outcome {
        let example = &found.example;
        let named = || example.function.clone().unwrap_or_default();
        let failed = |function, problem| Outcome {
            function,
            problem: Some(problem),
        };
        let checked = match self.check(&found.script).await {
            Ok(checked) => checked,
            Err(problem) => return failed(named(), problem),
        };
        let function = match example.function(&checked.functions) {
            Ok(function) => function.to_owned(),
            Err(problem) => return failed(named(), problem),
        };
        let invoke = Invoke {
            tenant: TENANT,
            script: checked.script,
            function: function.clone(),
            input: example.input.clone().into(),
            // As in the hub, an example's own `recvTime` stays a text.
            received_at: None,
        };
        let problem = match self.host.invoke(invoke).await {
            Ok(returned) => example.problem(&function, self.schema.as_deref(), &returned.result),
            Err(error) => Some(format!("{}: {}", error.kind.as_str(), error.at_line())),
        };
        Outcome { function, problem }
    }

    /// Ends the worker.
    pub async fn end(self) {
        self.host.shutdown().await;
    }
}
