//! Looks for runs of scheduled exports that are due, and works on some of them at a time.
//!
//! Of the hubs that share a database, the one that holds an export's lease works on it. If it ends, another one goes on
//! with the same rows and the same name of the file.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    run::{self, Failure},
    schedule::Schedule,
    targets::{Outlets, Target, place},
};
use crate::{
    clock::Time,
    config::Config,
    error::{Error, Result},
    id::{ExportId, TenantId, new_uuid},
    metrics::{ExportOutcome, Metrics},
    outgoing::{Client, Guard},
    retry::retry_at,
    secret::Vault,
    store::{
        Scope, Store,
        data::{
            runs::{self, Work},
            scheduled::ScheduledExport,
        },
    },
    supervise::attempted,
};

/// Interval between two looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Minimum interval between two looks.
const REST: Duration = Duration::from_millis(100);
/// Maximum number of exports that this hub works on at a time.
const AT_ONCE: usize = 8;
/// Maximum number of them that belong to one tenant.
const TENANT_AT_ONCE: usize = 2;
/// Maximum number of exports that one look finds.
const FOUND_MAX: u64 = 200;
/// Life of a lease.
const LEASE: Duration = Duration::from_secs(10);
/// Interval between two renewals of a lease.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// Time after which work stops whose lease could not be renewed.
const KEPT_FOR: Duration = Duration::from_secs(6);
/// Pause after an error, such as an unavailable database.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum time that attempts may take to end when the hub stops.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Maximum time for the test of a target.
const TEST_MAX: Duration = Duration::from_secs(20);

/// Works on scheduled exports.
pub struct Exporter {
    woken: mpsc::Receiver<()>,
    parts: Parts,
}

/// Handle for others that begin runs and test targets.
#[derive(Clone)]
pub struct Exports {
    wake: mpsc::Sender<()>,
    vault: Vault,
    outlets: Outlets,
}

/// Result of a test.
pub struct Tested {
    /// Reason for which files cannot be sent; `None` if they can.
    pub error: Option<String>,
    /// Fingerprint of the key that the server has shown.
    pub host_key: Option<String>,
}

#[derive(Clone)]
struct Parts {
    store: Store,
    vault: Vault,
    outlets: Outlets,
    config: Arc<Config>,
    metrics: Metrics,
    /// Identifies this hub among those that share the database.
    holder: Uuid,
}

impl Exporter {
    /// Creates an exporter and its handle.
    pub fn new(
        store: Store,
        vault: Vault,
        config: Arc<Config>,
        guard: Guard,
        metrics: Metrics,
    ) -> Result<(Self, Exports)> {
        let (wake, woken) = mpsc::channel(1);
        let timeout = Duration::from_secs(config.export_timeout_s);
        let client = Client::new(guard.clone(), timeout);
        let outlets = Outlets {
            client: client.map_err(Error::internal)?,
            guard,
            folder: config.export_folder.clone(),
            timeout,
        };
        let handle = Exports {
            wake,
            vault: vault.clone(),
            outlets: outlets.clone(),
        };
        let parts = Parts {
            store,
            vault,
            outlets,
            config,
            metrics,
            holder: new_uuid(),
        };
        Ok((Self { woken, parts }, handle))
    }

    /// Runs until `stop` is cancelled. A file that is being sent then is sent again after the next start, or by another
    /// hub, and the attempt does not count as one that has failed.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut under_way = FuturesUnordered::<BoxFuture<'static, Option<ExportId>>>::new();
        let mut held: HashMap<ExportId, TenantId> = HashMap::new();
        let mut look_at = Instant::now();
        while !stop.is_cancelled() {
            if Instant::now() >= look_at {
                look_at = Instant::now() + LOOK_EVERY;
                for (tenant, id) in self.find(&held).await {
                    held.insert(id, tenant);
                    let parts = self.parts.clone();
                    let stop = stop.clone();
                    under_way.push(async move { parts.work(tenant, id, stop).await }.boxed());
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = under_way.next() => {
                    if let Some(id) = ended {
                        held.remove(&id);
                    }
                    look_at = look_at.min(Instant::now() + REST);
                }
                Some(()) = self.woken.recv() => look_at = Instant::now(),
                () = sleep_until(look_at) => {}
            }
        }
        let ends = async {
            while let Some(ended) = under_way.next().await {
                if let Some(id) = ended {
                    held.remove(&id);
                }
            }
        };
        if timeout(STOP_MAX, ends).await.is_err() {
            tracing::debug!("attempts of scheduled exports are broken off");
        }
        drop(under_way);
        self.parts.put_back(&held).await;
        self.parts.release(held.into_keys()).await;
    }

    /// Returns exports with something to do, as many as there is room for, with their leases.
    async fn find(&self, held: &HashMap<ExportId, TenantId>) -> Vec<(TenantId, ExportId)> {
        let mut room = AT_ONCE.saturating_sub(held.len());
        let mut by_tenant: HashMap<TenantId, usize> = HashMap::new();
        for tenant in held.values() {
            *by_tenant.entry(*tenant).or_default() += 1;
        }
        if room == 0 {
            return Vec::new();
        }
        let due = match self.parts.store.due_exports(FOUND_MAX).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(cause = error.causes(), "scheduled exports wait");
                return Vec::new();
            }
        };
        let mut wanted = Vec::new();
        for (tenant, id) in due {
            let of_tenant = by_tenant.entry(tenant).or_default();
            if room > 0 && *of_tenant < TENANT_AT_ONCE && !held.contains_key(&id) {
                *of_tenant += 1;
                room -= 1;
                wanted.push((tenant, id));
            }
        }
        let names = wanted.iter().map(|(tenant, id)| (*tenant, lease(*id)));
        let leases = self
            .parts
            .store
            .hold_leases(self.parts.holder, names.collect(), LEASE);
        let leases: HashSet<String> = match leases.await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(
                    cause = error.causes(),
                    "scheduled exports wait for their leases"
                );
                HashSet::new()
            }
        };
        wanted.retain(|(_, id)| leases.contains(&lease(*id)));
        wanted
    }
}

impl Parts {
    /// Works on an export while its lease is held, and releases the lease. Returns `None`, with the lease, if the hub
    /// stops meanwhile.
    async fn work(
        self,
        tenant: TenantId,
        id: ExportId,
        stop: CancellationToken,
    ) -> Option<ExportId> {
        let step = attempted("scheduled export", self.step(tenant, id, &stop));
        let is_done = tokio::select! {
            done = step => match done {
                Ok(()) => true,
                Err(error) => {
                    let cause = error.causes();
                    tracing::warn!(export.id = id.0, cause, "scheduled export waits");
                    false
                }
            },
            () = self.keep(id) => {
                tracing::warn!(export.id = id.0, "the lease of a scheduled export is lost");
                false
            }
        };
        if stop.is_cancelled() {
            return None;
        }
        if !is_done {
            sleep(PAUSE).await;
        }
        self.release([id].into_iter()).await;
        Some(id)
    }

    /// Renews a lease; returns when it is lost.
    async fn keep(&self, id: ExportId) {
        let mut kept_at = Instant::now();
        while kept_at.elapsed() < KEPT_FOR {
            sleep(KEEP_EVERY).await;
            let name = lease(id);
            let kept = self.store.keep_lease(self.holder, &name, LEASE);
            match timeout(KEEP_EVERY, kept).await {
                Ok(Ok(true)) => kept_at = Instant::now(),
                Ok(Ok(false)) => return,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Makes runs that a stop has interrupted wait as before their attempts.
    async fn put_back(&self, held: &HashMap<ExportId, TenantId>) {
        for (id, tenant) in held {
            let scope = self.store.scope(*tenant);
            if let Err(error) = runs::put_back(&scope, *id).await {
                let cause = error.causes();
                tracing::warn!(
                    export.id = id.0,
                    cause,
                    "an interrupted attempt counts as failed"
                );
            }
        }
    }

    async fn release(&self, ids: impl Iterator<Item = ExportId>) {
        let names = ids.map(lease).collect();
        if let Err(error) = self.store.release_leases(self.holder, names).await {
            tracing::debug!("leases run out by themselves: {}", error.causes());
        }
    }

    /// Makes the next attempt of an export that is due.
    async fn step(&self, tenant: TenantId, id: ExportId, stop: &CancellationToken) -> Result<()> {
        let scope = self.store.scope(tenant);
        let until = self.store.recorded_until().await?;
        let now = self.store.now();
        let next = |export: &ScheduledExport| next_after(export, now);
        let Some(work) = runs::take(&scope, id, until, next).await? else {
            return Ok(());
        };
        let waits = &self.config.export_schedule_s.0;
        let most = i32::try_from(waits.len() + 1).unwrap_or(i32::MAX);
        let sent = match work.run.round > most {
            true => Err(Failure::Target(
                "the hub ended each time while it sent the file".to_owned(),
            )),
            false => run::attempt(&scope, &self.vault, &self.outlets, &work, stop).await,
        };
        match sent {
            Ok(Some(sent)) => self.metrics.exports.count_sent(sent.rows, sent.bytes),
            Ok(None) => self.metrics.exports.count(ExportOutcome::Empty),
            Err(Failure::Stopped) => {}
            Err(failure) => self.fail(&scope, &work, &failure).await?,
        }
        Ok(())
    }

    async fn fail(&self, scope: &Scope, work: &Work, failure: &Failure) -> Result<()> {
        let (id, number) = (work.export.id.0, work.run.number);
        if let Failure::Hub(error) = failure {
            let cause = error.causes();
            tracing::warn!(
                export.id = id,
                run = number,
                cause,
                "run of a scheduled export"
            );
            if matches!(error, Error::Unavailable { .. }) {
                // The run stays due. The number of its attempts is bounded as that of others.
                sleep(PAUSE).await;
            }
        }
        let now = self.store.now();
        let again_at = retry_at(&self.config.export_schedule_s.0, work.run.round, None, now);
        let next = |export: &ScheduledExport| next_after(export, now);
        runs::fail(scope, &work.run, &failure.text(), again_at, next).await?;
        self.metrics.exports.count(match again_at {
            Some(_) => ExportOutcome::Retry,
            None => ExportOutcome::Failed,
        });
        Ok(())
    }
}

impl Exports {
    /// Announces that something may be due.
    pub fn wake(&self) {
        // A full channel has announced it already.
        let _ = self.wake.try_send(());
    }

    /// Writes a small file to the target of an export, and removes it.
    pub async fn test(&self, tenant: TenantId, export: &ScheduledExport) -> Result<Tested> {
        let new = &export.provisioned;
        let place = place(tenant, export.id);
        let credentials = self.vault.open_credentials(&place, new.stored())?;
        let outlets = &self.outlets;
        let target = Target::open(outlets, tenant, &new.kind, &new.settings, &credentials);
        let target = match target {
            Ok(target) => target,
            Err(error) => {
                return Ok(Tested {
                    error: Some(error),
                    host_key: None,
                });
            }
        };
        let tried = match timeout(TEST_MAX, try_out(&target, outlets)).await {
            Ok(tried) => tried,
            Err(_) => Err(format!("no answer within {} seconds", TEST_MAX.as_secs())),
        };
        Ok(Tested {
            error: tried.err(),
            host_key: target.host_key(),
        })
    }
}

async fn try_out(target: &Target, outlets: &Outlets) -> Result<(), String> {
    let mut session = target.connect(outlets).await?;
    let name = format!("thingshub-test-{}.txt", new_uuid());
    session.begin(&name, 1).await?;
    let written = async {
        session.write(b"A test of thingshub.\n".to_vec()).await?;
        session.seal().await
    };
    if let Err(error) = written.await {
        session.abandon().await;
        return Err(error);
    }
    session.publish().await?;
    session.remove(&name).await
}

/// Returns the time of an export's schedule after this one; `None` if it is disabled.
pub fn next_after(export: &ScheduledExport, now: Time) -> Option<Time> {
    let new = &export.provisioned;
    let schedule = Schedule::parse(&new.schedule, &new.timezone).ok()?;
    schedule.next(now).filter(|_| new.enabled)
}

/// Name of the lease of an export.
fn lease(id: ExportId) -> String {
    format!("export/{id}")
}
