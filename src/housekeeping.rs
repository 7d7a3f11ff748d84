//! Deletes expired idempotency keys and stream keys, and old entries of the audit log, in small chunks so that other writers
//! hardly wait.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{clock, config::Config, error::Result, store::Store};

/// Interval between two runs.
const EVERY: Duration = Duration::from_secs(60);
/// Pause between two chunks, in which others can write.
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stop`. Several hubs that share a database can run it at the same time.
pub async fn run(store: Store, config: Arc<Config>, stop: CancellationToken) {
    let working = async {
        loop {
            if let Err(error) = forget(&store, &config).await {
                tracing::warn!("what is old stays for now: {}", error.causes());
            }
            sleep(EVERY).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(working).await;
}

async fn forget(store: &Store, config: &Config) -> Result<()> {
    while store.forget_keys().await? > 0 {
        sleep(BREATH).await;
    }
    while store.forget_stream_keys().await? > 0 {
        sleep(BREATH).await;
    }
    let kept = TimeDelta::days(i64::from(config.audit_keep_days));
    if !kept.is_zero() {
        let before = clock::now() - kept;
        while store.forget_audit_entries(before).await? > 0 {
            sleep(BREATH).await;
        }
    }
    Ok(())
}
