//! The background components: built before the hub, which passes work to them, and stopped after everything
//! that can pass work to them.

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::foundation::{Foundation, joined};
use crate::{
    delivery::{Engine, Handle},
    downlink,
    error::Result as HubResult,
    export::exporter::{Exporter, Exports},
    housekeeping::Housekeeper,
    hub::{
        data::imports::{RowImporter, RowImports},
        devices::imports::{Importer, Imports},
        removals::Remover,
    },
    rollups::Roller,
    supervise,
    uplink::{Filler, Fills, Replayer, Replays},
};

/// The components before they run.
pub struct Background {
    deliveries: Engine,
    downlinks: downlink::Engine,
    importer: Importer,
    row_importer: RowImporter,
    filler: Filler,
    exporter: Exporter,
    replayer: Replayer,
    remover: Remover,
    housekeeper: Housekeeper,
    roller: Roller,
}

/// Handles through which others pass work to the components.
pub struct Handles {
    /// Handle of the delivery engine.
    pub wake: Handle,
    /// Handle of the importer.
    pub imports: Imports,
    /// Handle of the importer of rows.
    pub row_imports: RowImports,
    /// Handle of the replayer.
    pub replays: Replays,
    /// Handle of the filler.
    pub fills: Fills,
    /// Handle of the exporter.
    pub exports: Exports,
}

/// The running components.
pub struct Running {
    stop: CancellationToken,
    delivering: JoinHandle<HubResult<()>>,
    downlinking: JoinHandle<HubResult<()>>,
    housekeeping: JoinHandle<()>,
    rolling: JoinHandle<()>,
    importing: JoinHandle<()>,
    importing_rows: JoinHandle<()>,
    filling: JoinHandle<()>,
    exporting: JoinHandle<()>,
    replaying: JoinHandle<()>,
    removing: JoinHandle<()>,
}

impl Background {
    /// Builds the components.
    pub fn build(foundation: &Foundation) -> Result<(Self, Handles), String> {
        let (deliveries, wake) = Engine::new(
            foundation.store.clone(),
            foundation.vault.clone(),
            foundation.config.clone(),
            foundation.guard.clone(),
            foundation.publishers.clone(),
            foundation.metrics.clone(),
        )
        .map_err(|error| error.causes())?;
        let (importer, imports) =
            Imports::new(foundation.store.clone(), foundation.metrics.clone());
        let (row_importer, row_imports) = RowImports::new(foundation.store.clone());
        let remover = Remover::new(foundation.store.clone());
        let housekeeper = Housekeeper::new(
            foundation.store.clone(),
            &foundation.config,
            foundation.metrics.clone(),
        );
        let roller = Roller::new(
            foundation.store.clone(),
            &foundation.config,
            foundation.metrics.clone(),
        );
        let (filler, fills) = Fills::new(foundation.store.clone());
        let (exporter, exports) = Exporter::new(
            foundation.store.clone(),
            foundation.vault.clone(),
            foundation.config.clone(),
            foundation.guard.clone(),
            foundation.metrics.clone(),
        )
        .map_err(|error| error.causes())?;
        let (replayer, replays) = Replays::new(foundation.store.clone(), wake.clone());
        let downlinks = downlink::Engine::new(
            foundation.store.clone(),
            foundation.vault.clone(),
            foundation.config.clone(),
            foundation.guard.clone(),
            foundation.publishers.clone(),
            foundation.metrics.clone(),
        );
        let parts = Self {
            deliveries,
            downlinks,
            importer,
            row_importer,
            filler,
            exporter,
            replayer,
            remover,
            housekeeper,
            roller,
        };
        let handles = Handles {
            wake,
            imports,
            row_imports,
            replays,
            fills,
            exports,
        };
        Ok((parts, handles))
    }

    /// Starts the components.
    pub fn run(self) -> Running {
        let stop = CancellationToken::new();
        let until = stop.clone();
        let delivering = supervise::spawn("delivery engine", self.deliveries, move |engine| {
            engine.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let downlinking = supervise::spawn("downlink engine", self.downlinks, move |downlinks| {
            downlinks.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let housekeeping = supervise::spawn("housekeeping", self.housekeeper, move |housekeeper| {
            housekeeper.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let rolling = supervise::spawn("rollups", self.roller, move |roller| {
            roller.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let importing = supervise::spawn("importer", self.importer, move |importer| {
            importer.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let importing_rows = supervise::spawn("row importer", self.row_importer, move |importer| {
            importer.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let filling = supervise::spawn("filler", self.filler, move |filler| {
            filler.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let exporting = supervise::spawn("exporter", self.exporter, move |exporter| {
            exporter.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let replaying = supervise::spawn("replayer", self.replayer, move |replayer| {
            replayer.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let removing = supervise::spawn("remover", self.remover, move |remover| {
            remover.run(until.clone()).boxed()
        });
        Running {
            stop,
            delivering,
            downlinking,
            housekeeping,
            rolling,
            importing,
            importing_rows,
            filling,
            exporting,
            replaying,
            removing,
        }
    }
}

impl Running {
    /// Waits until each component has finished its current work. Returns the first failure of the delivery
    /// or downlink engine, after all others have ended as well.
    pub async fn end(self) -> Result<HubResult<()>, String> {
        self.stop.cancel();
        joined("the housekeeping", self.housekeeping).await?;
        joined("the rollups", self.rolling).await?;
        joined("the importer", self.importing).await?;
        joined("the importer of rows", self.importing_rows).await?;
        joined("the filler", self.filling).await?;
        joined("the exporter", self.exporting).await?;
        joined("the replayer", self.replaying).await?;
        joined("the remover", self.removing).await?;
        let delivered = joined("the delivery engine", self.delivering).await?;
        let sent = joined("the downlinks", self.downlinking).await?;
        Ok(delivered.and(sent))
    }
}
