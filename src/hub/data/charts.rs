//! Limits on the requests that read many rows at once, so that charts leave database connections to all others.

use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument;

use crate::{
    error::{Error, Result},
    id::TenantId,
    shares::{Full, Place, Shares},
    turns::{Turn, Turns},
};

/// Maximum number of such requests in progress; an SQLite file has four connections for reads.
const RUNNING_MAX: usize = 2;
/// Maximum number of such requests in progress or waiting.
const WAITING_MAX: usize = 128;
/// Maximum number of such requests in progress or waiting, of one tenant: a dashboard asks for all of its charts at
/// once.
const SHARE_MAX: usize = 32;
/// Maximum time for the reads of one request.
const TIME_MAX: Duration = Duration::from_secs(15);

/// The requests in progress.
pub struct Charts {
    running: Turns<TenantId>,
    waiting: Shares<TenantId>,
}

/// A request in progress. It releases its place on drop.
#[must_use]
struct Chart {
    _turn: Turn<TenantId>,
    _place: Place<TenantId>,
}

impl Default for Charts {
    fn default() -> Self {
        Self {
            running: Turns::new(RUNNING_MAX),
            waiting: Shares::new(WAITING_MAX),
        }
    }
}

impl Charts {
    /// Does the reads of a request of this tenant in its turn, for a limited time. Once they have begun, they go on if
    /// the client hangs up, so that nobody starts more of them at a time by hanging up.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: TenantId,
        reads: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let chart = self.begin(tenant).await?;
        let work = async move {
            let _chart = chart;
            in_time(reads).await
        };
        tokio::spawn(work.in_current_span())
            .await
            .map_err(Error::internal)?
    }

    /// Waits for the turn of a request of this tenant.
    ///
    /// # Errors
    /// Fails if too many requests wait already.
    async fn begin(&self, tenant: TenantId) -> Result<Chart> {
        let place = self.waiting.enter([(tenant, SHARE_MAX)]).map_err(|full| {
            Error::overloaded(match full {
                Full::Share(_) => "too many aggregations of this tenant are in progress; try again",
                Full::All => "too many aggregations are in progress; try again",
            })
        })?;
        Ok(Chart {
            _turn: self.running.take(tenant).await,
            _place: place,
        })
    }
}

/// Awaits the reads of a request, for a limited time.
async fn in_time<T>(reads: impl Future<Output = Result<T>>) -> Result<T> {
    let Ok(read) = timeout(TIME_MAX, reads).await else {
        let seconds = TIME_MAX.as_secs();
        return Err(Error::overloaded(&format!(
            "the database has not read the period within {seconds} seconds; choose a shorter period or fewer devices"
        )));
    };
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tenant_that_waits_leaves_places_to_others() {
        let charts = Charts::default();
        let running = [
            charts.begin(TenantId(1)).await,
            charts.begin(TenantId(1)).await,
        ];
        let mut waiting: Vec<_> = (2..SHARE_MAX)
            .map(|_| Box::pin(charts.begin(TenantId(1))))
            .collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(
            charts.begin(TenantId(1)).await,
            Err(Error::Unavailable { .. })
        ));
        let mut other = Box::pin(charts.begin(TenantId(2)));
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(running);
        assert!(other.await.is_ok());
    }
}
