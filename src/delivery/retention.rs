//! Deletes deliveries that were settled long ago, in chunks, so that nothing waits for it, and watches
//! the queues of integrations that are paused or disabled.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{handle::Handle, rules::bounds};
use crate::{
    config::Config,
    error::Result,
    store::{Store, deliveries::give_up},
};

/// Interval between two searches for old deliveries.
const EVERY: Duration = Duration::from_secs(60);
/// Pause between two chunks.
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stop` is cancelled. All hubs that share a database may run it.
pub async fn run(store: &Store, config: &Config, stop: &CancellationToken) {
    loop {
        if let Err(error) = forget(store, config, stop).await {
            tracing::warn!("old deliveries stay for now: {}", error.causes());
        }
        if pause(stop, EVERY).await {
            return;
        }
    }
}

/// Minimum time between two checks of the queues of paused or disabled integrations.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The checks may take at most one part in this many of the total time.
const LOOK_SHARE: u32 = 50;

/// Starts the lanes of paused or disabled integrations whose queue exceeds its bounds, until `stop` is
/// cancelled: the lane gives the excess up. Lanes of active integrations check their queues themselves.
pub async fn watch_queues(
    store: &Store,
    config: &Config,
    handle: &Handle,
    stop: &CancellationToken,
) {
    loop {
        let began = Instant::now();
        if let Err(error) = wake_overfull(store, config, handle, stop).await {
            tracing::warn!("long queues stay for now: {}", error.causes());
        }
        if pause(stop, LOOK_EVERY.max(began.elapsed() * LOOK_SHARE)).await {
            return;
        }
    }
}

async fn wake_overfull(
    store: &Store,
    config: &Config,
    handle: &Handle,
    stop: &CancellationToken,
) -> Result<()> {
    let bounds = bounds(config);
    for (tenant, integration) in store.resting_integrations().await? {
        if stop.is_cancelled() {
            return Ok(());
        }
        let scope = store.scope(tenant);
        if give_up::find(&scope, integration, &bounds).await?.is_some() {
            handle.integration(tenant, integration);
        }
    }
    Ok(())
}

async fn forget(store: &Store, config: &Config, stop: &CancellationToken) -> Result<()> {
    let ago = |hours: u32| store.now() - TimeDelta::hours(i64::from(hours));
    let died = ago(config.delivery_dead_keep_hours);
    while store.forget_dead(died).await? > 0 {
        if pause(stop, BREATH).await {
            return Ok(());
        }
    }
    let delivered = ago(config.delivery_keep_hours);
    for integration in store.all_integrations().await? {
        let mut after = None;
        loop {
            after = store
                .forget_delivered(integration, delivered, after)
                .await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            if after.is_none() {
                break;
            }
            pause(stop, BREATH).await;
        }
    }
    Ok(())
}

/// Sleeps; returns true if it is time to stop.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = sleep(time) => false,
    }
}
