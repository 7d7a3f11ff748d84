//! A start goes on while sessions with the database end under it: whoever has a machine start the hub is
//! often not there to start it again.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::time::sleep;

use super::failure;
use crate::{
    config::Config,
    error::{Error, Result},
};

/// The wait before it asks again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Asks this of the database, and again while the session ends under it, for `database_timeout_s` at most.
/// A database that is silent has had that time already.
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
