//! Network connections whose messages the hub fetches itself: one subscription for each, on exactly one
//! of the hubs that share a database.
//!
//! Which hub it is, a lease tells: whoever has it renews it, and the lease of a hub that died is free
//! within [`LEASE`]. A client's change is known at once on this hub and within [`LOOK_EVERY`] on the
//! others. While there is no such connection, nothing runs, and with a database of its own the hub
//! does not even look.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    path::UplinkPath,
    subscription::{Ending, Former, Subscription, Waking},
    taking::Taker,
};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    networks::fetched_kinds,
    outgoing::Guard,
    secret::Vault,
    store::{Store, networks::subscriptions::Subscribing},
    supervise::attempted,
};

/// How long a hub may be silent before another one takes its subscriptions over.
const LEASE: Duration = Duration::from_secs(10);
/// How often leases are renewed and other hubs' changes looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long after its last renewal a hub that cannot renew stops by itself.
const GIVE_UP: Duration = Duration::from_secs(8);

/// How long the database may take to say which connections there are: leases run out meanwhile.
const FOUND_WITHIN: Duration = Duration::from_secs(4);

/// Runs all subscriptions of this hub.
pub struct Subscriber {
    store: Store,
    vault: Vault,
    guard: Guard,
    uplinks: UplinkPath,
    holder: Uuid,
    running: HashMap<ConnectionId, Running>,
    /// Those that were switched off and whose brokers have not forgotten them; their leases are kept.
    resting: HashMap<ConnectionId, oneshot::Sender<Waking>>,
    tasks: JoinSet<()>,
    renewed_at: Instant,
    /// Whether there is any such connection, ours or not.
    is_wanted: bool,
}

struct Running {
    what: Subscribing,
    end: oneshot::Sender<Ending>,
}

impl Subscriber {
    /// One that runs nothing yet.
    pub fn new(store: Store, vault: Vault, guard: Guard, uplinks: UplinkPath) -> Self {
        Self {
            store,
            vault,
            guard,
            uplinks,
            holder: Uuid::new_v4(),
            running: HashMap::new(),
            resting: HashMap::new(),
            tasks: JoinSet::new(),
            renewed_at: Instant::now(),
            is_wanted: false,
        }
    }

    /// Runs until `stop`, then lets what is under way be recorded and gives the leases back.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut news = self.store.connection_news();
        let mut look_at = Some(Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = news.changed() => {}
                () = until(look_at) => {}
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    // One that broke begins again, and the lease of one that was forgotten is given back.
                    let soon = Instant::now() + LOOK_EVERY;
                    look_at = Some(look_at.map_or(soon, |at| at.min(soon)));
                    continue;
                }
            }
            news.mark_unchanged();
            let failed = match self.look().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::warn!("the subscriptions wait for the database: {error}");
                    if self.renewed_at.elapsed() > GIVE_UP {
                        self.give_up();
                    }
                    true
                }
            };
            let must_look = failed
                || self.is_wanted
                || !self.resting.is_empty()
                || self.store.has_other_writers();
            look_at = must_look.then(|| Instant::now() + LOOK_EVERY);
        }
        self.stop().await;
    }

    /// Starts, changes and ends subscriptions so that they are as they must be.
    async fn look(&mut self) -> Result<()> {
        let kinds = fetched_kinds();
        let wanted = timeout(FOUND_WITHIN, self.store.subscribing_connections(&kinds));
        let wanted = wanted
            .await
            .map_err(|_| Error::overloaded("the database does not answer in time"))??;
        self.is_wanted = !wanted.is_empty();
        // A task that broke has told nobody.
        self.running.retain(|_, running| !running.end.is_closed());
        if wanted.is_empty() && self.running.is_empty() && self.resting.is_empty() {
            self.renewed_at = Instant::now();
            return Ok(());
        }
        let names = wanted
            .iter()
            .map(|one| (one.tenant, name(one.id)))
            .collect();
        let asked_at = Instant::now();
        let held = self.store.hold_leases(self.holder, names, LEASE).await?;
        self.renewed_at = asked_at;
        let is_ours = |one: &&Subscribing| held.contains(&name(one.id));
        let ours: HashMap<ConnectionId, &Subscribing> = wanted
            .iter()
            .filter(is_ours)
            .map(|one| (one.id, one))
            .collect();
        let all: HashSet<ConnectionId> = wanted.iter().map(|one| one.id).collect();
        let mut changed = self.end_what_has_changed(&ours, &all);
        for (id, one) in &ours {
            if !self.running.contains_key(id) {
                let former = changed.remove(id).or_else(|| self.wake(*id));
                self.start((*one).clone(), former);
            }
        }
        self.see_to_the_resting(&all).await
    }

    /// Ends the subscriptions that are not as they must be; answers what those of changed connections,
    /// which go on, were subscribed to.
    fn end_what_has_changed(
        &mut self,
        ours: &HashMap<ConnectionId, &Subscribing>,
        all: &HashSet<ConnectionId>,
    ) -> HashMap<ConnectionId, Former> {
        let has_ended = |id: &ConnectionId, running: &mut Running| {
            ours.get(id).is_none_or(|one| **one != running.what)
        };
        let ended: Vec<_> = self.running.extract_if(has_ended).collect();
        let mut changed = HashMap::new();
        for (id, running) in ended {
            let ending = if ours.contains_key(&id) {
                let (tell, former) = oneshot::channel();
                changed.insert(id, former);
                Ending::Changed(tell)
            } else if all.contains(&id) {
                Ending::Stopped
            } else {
                let (wake, waking) = oneshot::channel();
                self.resting.insert(id, wake);
                Ending::Gone(waking)
            };
            let _ = running.end.send(ending);
        }
        changed
    }

    /// Lets one that was switched off and is on again go on as it was.
    fn wake(&mut self, id: ConnectionId) -> Option<Former> {
        let resting = self.resting.remove(&id)?;
        let (tell, former) = oneshot::channel();
        resting.send(Waking::On(tell)).ok()?;
        Some(former)
    }

    /// Keeps the leases of those that may be switched on again, so that no other hub uses a session that
    /// this one has forgotten, and gives those back that are forgotten.
    async fn see_to_the_resting(&mut self, all: &HashSet<ConnectionId>) -> Result<()> {
        let ids: Vec<ConnectionId> = self.resting.keys().copied().collect();
        let mut forgotten = Vec::new();
        for id in ids {
            if self.resting[&id].is_closed() {
                self.resting.remove(&id);
                forgotten.push(name(id));
            } else if all.contains(&id)
                || !self.store.keep_lease(self.holder, &name(id), LEASE).await?
            {
                self.leave(id);
            }
        }
        if forgotten.is_empty() {
            return Ok(());
        }
        self.store.release_leases(self.holder, forgotten).await
    }

    fn leave(&mut self, id: ConnectionId) {
        if let Some(resting) = self.resting.remove(&id) {
            let _ = resting.send(Waking::Left);
        }
    }

    fn start(&mut self, what: Subscribing, former: Option<Former>) {
        let (end, told) = oneshot::channel();
        let subscription = Arc::new(Subscription {
            taker: Arc::new(Taker::new(
                self.store.scope(what.tenant),
                what.id,
                self.uplinks.clone(),
            )),
            vault: self.vault.clone(),
            guard: self.guard.of(what.tenant.0),
        });
        self.tasks.spawn(async move {
            let running = async {
                subscription.run(told, former).await;
                Ok(())
            };
            // It begins again with the next look.
            let _ = attempted("subscription", running).await;
        });
        self.running.insert(what.id, Running { what, end });
    }

    /// Ends everything, as other hubs may go on with it by now.
    fn give_up(&mut self) {
        self.end_all();
        let resting: Vec<ConnectionId> = self.resting.keys().copied().collect();
        for id in resting {
            self.leave(id);
        }
    }

    fn end_all(&mut self) {
        for (_, running) in self.running.drain() {
            let _ = running.end.send(Ending::Stopped);
        }
    }

    async fn stop(&mut self) {
        let ids = self.running.keys().chain(self.resting.keys());
        let names: Vec<String> = ids.copied().map(name).collect();
        self.end_all();
        // What is off stays so: nobody else knows that its broker is to forget it.
        self.resting.clear();
        while self.tasks.join_next().await.is_some() {}
        if !names.is_empty()
            && let Err(error) = self.store.release_leases(self.holder, names).await
        {
            tracing::warn!("other hubs wait for the leases to run out: {error}");
        }
    }
}

fn name(id: ConnectionId) -> String {
    format!("network_connection/{id}")
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
