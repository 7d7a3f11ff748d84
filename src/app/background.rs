//! The parts that work by themselves, behind the requests: built before the hub, which hands them work, and
//! ended after all that may hand them some.

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ground::{Ground, joined};
use crate::{
    delivery::{Engine, Handle},
    downlink,
    error::Result as HubResult,
    housekeeping,
    hub::{
        devices::imports::{Importer, Imports},
        removals::Remover,
    },
    supervise,
    uplink::{Replayer, Replays},
};

/// The parts before they run.
pub struct Background {
    deliveries: Engine,
    downlinks: downlink::Engine,
    importer: Importer,
    replayer: Replayer,
    remover: Remover,
}

/// Handles by which others hand work to the parts.
pub struct Handles {
    /// To the deliveries.
    pub wake: Handle,
    /// To the imports.
    pub imports: Imports,
    /// To the replays.
    pub replays: Replays,
}

/// The parts as they run.
pub struct Running {
    stop: CancellationToken,
    delivering: JoinHandle<HubResult<()>>,
    downlinking: JoinHandle<HubResult<()>>,
    housekeeping: JoinHandle<()>,
    importing: JoinHandle<()>,
    replaying: JoinHandle<()>,
    removing: JoinHandle<()>,
}

impl Background {
    /// Builds the parts.
    pub fn build(ground: &Ground) -> Result<(Self, Handles), String> {
        let (deliveries, wake) = Engine::new(
            ground.store.clone(),
            ground.vault.clone(),
            ground.config.clone(),
            ground.guard.clone(),
            ground.publishers.clone(),
        )
        .map_err(|error| error.causes())?;
        let (importer, imports) = Importer::new(ground.store.clone());
        let remover = Remover::new(ground.store.clone());
        let (replayer, replays) = Replayer::new(ground.store.clone(), wake.clone());
        let downlinks = downlink::Engine::new(
            ground.store.clone(),
            ground.vault.clone(),
            ground.config.clone(),
            ground.guard.clone(),
            ground.publishers.clone(),
        );
        let parts = Self {
            deliveries,
            downlinks,
            importer,
            replayer,
            remover,
        };
        let handles = Handles {
            wake,
            imports,
            replays,
        };
        Ok((parts, handles))
    }

    /// Runs them.
    pub fn run(self, ground: &Ground) -> Running {
        let stop = CancellationToken::new();
        let until = stop.clone();
        let delivering = supervise::spawn("delivery engine", self.deliveries, move |engine| {
            engine.run(until.clone()).boxed()
        });
        let until = stop.clone();
        let downlinking = supervise::spawn("downlink engine", self.downlinks, move |downlinks| {
            downlinks.run(until.clone()).boxed()
        });
        let (until, config) = (stop.clone(), ground.config.clone());
        let housekeeping = supervise::spawn("housekeeping", ground.store.clone(), move |store| {
            housekeeping::run(store.clone(), config.clone(), until.clone()).boxed()
        });
        let until = stop.clone();
        let importing = supervise::spawn("importer", self.importer, move |importer| {
            importer.run(until.clone()).boxed()
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
            importing,
            replaying,
            removing,
        }
    }
}

impl Running {
    /// Lets each come to the end of what is under way. Answers the first failure of what was sent, which keeps
    /// nothing else from its end.
    pub async fn end(self) -> Result<HubResult<()>, String> {
        self.stop.cancel();
        joined("the housekeeping", self.housekeeping).await?;
        joined("the importer", self.importing).await?;
        joined("the replayer", self.replaying).await?;
        joined("the remover", self.removing).await?;
        let delivered = joined("the delivery engine", self.delivering).await?;
        let sent = joined("the downlinks", self.downlinking).await?;
        Ok(delivered.and(sent))
    }
}
