//! Runs imports of rows into data tables in the background, some rows at a time, each data table's in turn.
//!
//! The size of a transaction follows the time that the last one took, because imports must not block uplinks. If the
//! hub that began an import ends, another continues it.

use crate::{
    error::Result,
    id::{DataTableId, RowImportId, TenantId},
    jobs::{Starter, Step, Work, Worker},
    pace::Pace,
    store::{
        Scope, Store,
        data::{
            importing,
            imports::{self, Import, NewImport},
        },
    },
};

/// Maximum number of batches of an import in one transaction.
const BATCHES_MAX: u64 = 16;

/// Begins imports of rows.
#[derive(Clone)]
pub struct RowImports {
    starter: Starter<RowImportId>,
}

/// Worker that runs imports of rows.
pub type RowImporter = Worker<RowImporting>;

/// Work of imports of rows.
pub struct RowImporting {
    pace: Pace,
}

impl RowImports {
    /// Creates an importer and the handle that begins imports.
    pub fn new(store: Store) -> (RowImporter, Self) {
        let pace = Pace::new(BATCHES_MAX);
        let (importer, starter) = Worker::new(store, RowImporting { pace });
        (importer, Self { starter })
    }

    /// Stores the rows and notifies the importer.
    pub async fn begin(&self, scope: &Scope, table: DataTableId, new: NewImport) -> Result<Import> {
        let import = imports::insert(scope, table, new).await?;
        self.starter.start(scope, import.id);
        Ok(import)
    }
}

impl Work for RowImporting {
    type Id = RowImportId;

    const KIND: &'static str = "row_import";

    async fn unfinished(store: &Store) -> Result<Vec<(TenantId, RowImportId)>> {
        store.running_row_imports().await
    }

    async fn give_up(scope: &Scope, id: RowImportId) -> Result<()> {
        imports::give_up(scope, id).await
    }

    /// Imports some batches in one transaction.
    async fn step(&mut self, scope: &Scope, id: RowImportId) -> Result<Step> {
        let Some(batch) = importing::next_batch(scope, id, self.pace.size()).await? else {
            return Ok(Step::Done);
        };
        let worked = importing::work(scope, id, batch).await?;
        self.pace.note(worked.held, scope.hold_aim());
        Ok(match worked.is_done {
            true => Step::Done,
            false => Step::GoOn,
        })
    }
}
