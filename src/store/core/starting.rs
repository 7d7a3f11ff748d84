//! Retries at startup while database sessions end, because nobody may be there to start the hub again.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::time::sleep;

use super::failure;
use crate::{
    config::Config,
    error::{Error, Result},
};

/// Delay before the next attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Runs a query and repeats it while its session ends, for at most `database_timeout_s`. A silent connection is not
/// retried, because it has already taken that time.
pub async fn persist<T>(config: &Config, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let within = Duration::from_secs(config.database_timeout_s);
    let began = Instant::now();
    loop {
        match ask().await {
            Err(error) if ended_session(&error) && began.elapsed() < within => {
                tracing::info!("asking the database again: {}", error.causes());
                sleep(AGAIN_AFTER).await;
            }
            outcome => return outcome,
        }
    }
}

fn ended_session(error: &Error) -> bool {
    let Error::Unavailable {
        source: Some(source),
        ..
    } = error
    else {
        return false;
    };
    let cause = source.downcast_ref::<DbErr>();
    cause.is_some_and(|cause| failure::has_lost_session(cause) && !failure::is_silence(cause))
}
