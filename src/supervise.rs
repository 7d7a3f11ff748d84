//! Supervision of tasks whose errors are the hub's [`Error`].

pub use base::supervise::{spawn, spawn_vital};

use crate::error::{Error, Result};

/// Runs a piece of work and turns a panic into an error.
pub async fn attempted<T>(name: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match base::supervise::attempted(name, work).await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Error::internal(panic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_breaks_is_an_error() {
        let fine = attempted("work", async { Ok(7) }).await;
        assert_eq!(fine.unwrap(), 7);
        let broken: Result<()> = attempted("work", async { panic!("at {}", 7) }).await;
        assert!(broken.unwrap_err().causes().contains("at 7"));
    }
}
