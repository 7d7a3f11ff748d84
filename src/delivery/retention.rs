//! Takes away deliveries that were settled long ago, some at a time, so that nothing waits for it.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    config::Config,
    store::{Store, deliveries::State},
};

/// How often it looks for what is old.
const EVERY: Duration = Duration::from_secs(60);
/// What it leaves to others between two chunks.
const BREATH: Duration = Duration::from_millis(50);

/// Works until `stop`. Hubs that share a database may all do it.
pub async fn run(store: Store, config: Arc<Config>, stop: CancellationToken) {
    let kept = [
        (State::Delivered, config.delivery_keep_hours),
        (State::Dead, config.delivery_dead_keep_hours),
    ];
    loop {
        for (state, hours) in kept {
            let before = clock::now() - TimeDelta::hours(i64::from(hours));
            loop {
                match store.forget_deliveries(state, before).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!("old deliveries stay for now: {}", error.causes());
                        break;
                    }
                }
                if pause(&stop, BREATH).await {
                    return;
                }
            }
        }
        if pause(&stop, EVERY).await {
            return;
        }
    }
}

/// Waits; answers whether it is time to stop.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = sleep(time) => false,
    }
}
