//! Takes away deliveries that were settled long ago, some at a time, so that nothing waits for it.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, error::Result, store::Store};

/// How often it looks for what is old.
const EVERY: Duration = Duration::from_secs(60);
/// What it leaves to others between two chunks.
const BREATH: Duration = Duration::from_millis(50);

/// Works until `stop`. Hubs that share a database may all do it.
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

/// Waits; answers whether it is time to stop.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = sleep(time) => false,
    }
}
