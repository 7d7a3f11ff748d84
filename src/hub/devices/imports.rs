//! Does the imports of devices in the background, some rows at a time, each tenant's in turn.
//!
//! One transaction at a time for the whole hub, as short as the pace makes it: imports must not keep uplinks
//! from the database. When the hub
//! that began one dies, another goes on with it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    hub::devices::{Known, check_id},
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

/// How long to wait when the database is away.
const PAUSE: Duration = Duration::from_secs(1);
/// Batches of an import that are done in one transaction, at most.
const BATCHES_MAX: u64 = 16;
/// Digits of a DevEUI.
const DEV_EUI_DIGITS: usize = 16;

/// Begins imports.
#[derive(Clone)]
pub struct Imports {
    begun: mpsc::UnboundedSender<(TenantId, ImportId)>,
}

/// Does imports.
pub struct Importer {
    jobs: Jobs<ImportId>,
    store: Store,
    pace: Pace,
}

impl Imports {
    /// Keeps the rows, and lets the importer know.
    pub async fn begin(&self, scope: &Scope, new: NewImport) -> Result<Import> {
        let import = imports::insert(scope, new).await?;
        // In the last moments of a shutdown, it waits in the database.
        let _ = self.begun.send((scope.tenant(), import.id));
        Ok(import)
    }
}

impl Importer {
    /// An importer and the handle that begins imports.
    pub fn new(store: Store) -> (Self, Imports) {
        let (sender, begun) = mpsc::unbounded_channel();
        let jobs = Jobs::new("import", store.clone(), begun);
        let pace = Pace::new(BATCHES_MAX, store.hold_aim());
        (Self { jobs, store, pace }, Imports { begun: sender })
    }

    /// Works until `stop`; a batch under way comes to its end.
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
                // It has gone with its tenant.
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

/// Waits a moment, unless it is time to stop.
async fn pause(stop: &CancellationToken) {
    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
}

/// Does some batches in one transaction; answers whether the import is at its end.
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
    let known = Known::of(&scope, good()).await?;
    let rows = batch.rows.into_iter().map(|row| checked(row, &known));
    let batch = Batch {
        rows: rows.collect(),
        ..batch
    };
    let worked = imports::work(&scope, id, batch).await?;
    pace.note(worked.held);
    Ok(worked.is_done)
}

fn checked(row: Row, known: &Known) -> Row {
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

/// What may have happened to an id that is refused: a spreadsheet took it for a number.
fn hint_of(device: &NewDevice) -> Option<&'static str> {
    let is_short = |id: &str| id.len() < DEV_EUI_DIGITS && id.bytes().all(|b| b.is_ascii_digit());
    let is_hit = device
        .connections
        .iter()
        .any(|address| is_short(&address.network_device_id));
    is_hit.then_some(
        "; if a spreadsheet took it for a number and dropped the zeros at its start, format the column as text",
    )
}
