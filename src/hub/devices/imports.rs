//! Runs imports of devices in the background, some rows at a time, each tenant's in turn.
//!
//! Only one transaction runs at a time in the whole hub, and its size follows the time that the last one
//! took, because imports must not block uplinks. If the hub that began an import ends, another continues it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    hub::devices::{References, check_id},
    id::{ImportId, TenantId},
    jobs::Jobs,
    pace::Pace,
    store::{
        Scope, Store,
        devices::{
            NewDevice,
            imports::{self, Batch, Import, NewImport, Row},
        },
    },
    supervise::attempted,
};

/// Pause after an error, such as an unavailable database.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of batches of an import in one transaction.
const BATCHES_MAX: u64 = 16;
/// Number of hexadecimal digits of a DevEUI.
const DEV_EUI_DIGITS: usize = 16;

/// Begins imports.
#[derive(Clone)]
pub struct Imports {
    begun: mpsc::UnboundedSender<(TenantId, ImportId)>,
}

/// Runs imports.
pub struct Importer {
    jobs: Jobs<ImportId>,
    store: Store,
    pace: Pace,
}

impl Imports {
    /// Stores the rows and notifies the importer.
    pub async fn begin(&self, scope: &Scope, new: NewImport) -> Result<Import> {
        let import = imports::insert(scope, new).await?;
        // If the importer has already stopped, the import waits in the database.
        let _ = self.begun.send((scope.tenant(), import.id));
        Ok(import)
    }
}

impl Importer {
    /// Creates an importer and the handle that begins imports.
    pub fn new(store: Store) -> (Self, Imports) {
        let (sender, begun) = mpsc::unbounded_channel();
        let jobs = Jobs::new("import", store.clone(), begun);
        let pace = Pace::new(BATCHES_MAX, store.hold_aim());
        (Self { jobs, store, pace }, Imports { begun: sender })
    }

    /// Runs until `stop`; a batch in progress is completed.
    pub async fn run(&mut self, stop: CancellationToken) {
        let unfinished = || self.store.unfinished_imports();
        while let Some((tenant, id)) = self.jobs.next(&stop, unfinished).await {
            let scope = self.store.scope(tenant);
            let outcome = attempted("import", step(&scope, id, &mut self.pace)).await;
            if outcome.is_ok() {
                self.jobs.went_on(id);
            }
            match outcome {
                Ok(true) => {
                    tracing::info!(import.id = id.0, "import done");
                    self.jobs.end(id).await;
                }
                Ok(false) => self.jobs.put_back(tenant, id),
                // The import was deleted with its tenant.
                Err(Error::NotFound(_)) => self.jobs.end(id).await,
                Err(error) if self.jobs.may_pass(id, &error) => {
                    tracing::warn!(import.id = id.0, "import waits: {}", error.causes());
                    self.jobs.put_back(tenant, id);
                    pause(&stop).await;
                }
                Err(error) => {
                    tracing::error!(import.id = id.0, cause = error.causes(), "import given up");
                    if let Err(error) = imports::give_up(&scope, id).await {
                        tracing::warn!(import.id = id.0, "it stays unfinished: {}", error.causes());
                    }
                    self.jobs.end(id).await;
                }
            }
        }
        self.jobs.leave().await;
    }
}

/// Waits for a moment, or until `stop`.
async fn pause(stop: &CancellationToken) {
    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
}

/// Runs some batches in one transaction. Returns true if the import is finished.
async fn step(scope: &Scope, id: ImportId, pace: &mut Pace) -> Result<bool> {
    let Some((scope, batch)) = imports::next_batch(scope, id, pace.size()).await? else {
        return Ok(true);
    };
    let good = || {
        batch
            .rows
            .iter()
            .filter_map(|row| row.content.as_ref().ok())
    };
    let known = References::of(&scope, good()).await?;
    let rows = batch.rows.into_iter().map(|row| checked(row, &known));
    let batch = Batch {
        rows: rows.collect(),
        ..batch
    };
    let worked = imports::work(&scope, id, batch).await?;
    pace.note(worked.held);
    Ok(worked.is_done)
}

fn checked(row: Row, known: &References) -> Row {
    let content = row.content.and_then(|device| {
        let hint = hint_of(&device);
        check_id(&device.id)
            .and_then(|()| known.check(device))
            .map_err(|error| error.to_string())
            .map_err(|error| match hint {
                Some(hint) if error.contains("network_device_id: ") => error + hint,
                _ => error,
            })
    });
    Row { content, ..row }
}

/// Returns a hint for a rejected id that a spreadsheet may have changed, because it looks like a number.
fn hint_of(device: &NewDevice) -> Option<&'static str> {
    let is_short = |id: &str| id.len() < DEV_EUI_DIGITS && id.bytes().all(|b| b.is_ascii_digit());
    let is_hit = device
        .connections
        .iter()
        .any(|address| is_short(&address.network_device_id));
    is_hit.then_some("; if a spreadsheet has removed its leading zeros, format the column as text")
}
