//! Runs imports of devices in the background, some rows at a time, each tenant's in turn.
//!
//! Only one transaction runs at a time in the whole hub, and its size follows the time that the last one
//! took, because imports must not block uplinks. If the hub that began an import ends, another continues it.

use crate::{
    error::Result,
    hub::devices::{References, check_id},
    id::{ImportId, TenantId},
    jobs::{Starter, Step, Work, Worker},
    metrics::{Metrics, Rows},
    pace::Pace,
    store::{
        Scope, Store,
        devices::{
            NewDevice,
            imports::{self, Batch, Import, NewImport, Row},
        },
    },
};

/// Maximum number of batches of an import in one transaction.
const BATCHES_MAX: u64 = 16;
/// Number of hexadecimal digits of a DevEUI.
const DEV_EUI_DIGITS: usize = 16;

/// Begins imports.
#[derive(Clone)]
pub struct Imports {
    starter: Starter<ImportId>,
}

/// Worker that runs imports.
pub type Importer = Worker<Importing>;

/// Work of imports.
pub struct Importing {
    metrics: Metrics,
    pace: Pace,
}

impl Imports {
    /// Creates an importer and the handle that begins imports.
    pub fn new(store: Store, metrics: Metrics) -> (Importer, Self) {
        let pace = Pace::new(BATCHES_MAX);
        let (importer, starter) = Worker::new(store, Importing { metrics, pace });
        (importer, Self { starter })
    }

    /// Stores the rows and notifies the importer.
    pub async fn begin(&self, scope: &Scope, new: NewImport) -> Result<Import> {
        let import = imports::insert(scope, new).await?;
        self.starter.start(scope, import.id);
        Ok(import)
    }
}

impl Work for Importing {
    type Id = ImportId;

    const KIND: &'static str = "import";

    async fn unfinished(store: &Store) -> Result<Vec<(TenantId, ImportId)>> {
        store.unfinished_imports().await
    }

    async fn give_up(scope: &Scope, id: ImportId) -> Result<()> {
        imports::give_up(scope, id).await
    }

    fn note_end(&self, id: ImportId, is_failed: bool) {
        if is_failed {
            self.metrics.imports.count_failed();
        } else {
            tracing::info!(job.id = id.0, "import done");
            self.metrics.imports.count_done();
        }
    }

    /// Runs some batches in one transaction.
    async fn step(&mut self, scope: &Scope, id: ImportId) -> Result<Step> {
        let Some((scope, batch)) = imports::next_batch(scope, id, self.pace.size()).await? else {
            return Ok(Step::Done);
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
        self.pace.note(worked.held, scope.hold_aim());
        let counts = worked.counts;
        self.metrics.imports.count_rows(Rows {
            created: counts.created.into(),
            updated: counts.updated.into(),
            skipped: counts.skipped.into(),
            failed: counts.failed.into(),
        });
        Ok(match worked.is_done {
            true => Step::Done,
            false => Step::GoOn,
        })
    }
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
