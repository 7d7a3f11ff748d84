//! One attempt to deliver, bounded in time. It always ends with an answer.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;

use super::targets::Answer;

/// Returns the answer of an attempt, or a failure after `longest`. A panic in a target fails only this
/// attempt; if it ended the task, the delivery would never be sent again.
pub async fn answer(sending: impl Future<Output = Answer>, longest: Duration) -> Answer {
    let sent = timeout(longest, AssertUnwindSafe(sending).catch_unwind()).await;
    match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            tracing::error!("an attempt to deliver broke");
            Answer::failed("a fault inside the hub")
        }
        Err(_) => Answer::failed(format!("no answer in {} seconds", longest.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn there_is_an_answer_whatever_happens() {
        let willing = answer(async { Answer::default() }, LONGEST).await;
        assert_eq!(willing.error, None);
        let hanging = answer(std::future::pending(), LONGEST).await;
        assert_eq!(hanging.error.as_deref(), Some("no answer in 1 seconds"));
        let broken = answer(async { panic!("on purpose") }, LONGEST).await;
        assert_eq!(broken.error.as_deref(), Some("a fault inside the hub"));
        assert!(!broken.is_final);
    }
}
