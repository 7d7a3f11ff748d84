//! A connection to PostgreSQL, to its end, and what failed in words.

use std::{
    error::Error as _,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::sleep;
use tokio_postgres::{Client, error::SqlState};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Answer;

/// How long a connection that nobody needs may take to say good-bye.
const GOOD_BYE: Duration = Duration::from_secs(5);

/// A connection; it ends soon after nobody has it any more.
pub struct Link {
    /// What questions are asked by.
    pub client: Client,
    /// Why it ended, where that was the connection's own fault: all that the client says is that it is
    /// closed.
    end: Arc<OnceLock<String>>,
    _in_use: DropGuard,
}

impl Link {
    /// Runs the connection to its end, which the client learns of by itself. A server that does not take its
    /// last words is not waited for.
    pub fn new(
        client: Client,
        connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
    ) -> Self {
        let unused = CancellationToken::new();
        let in_use = unused.clone().drop_guard();
        let end = Arc::new(OnceLock::new());
        let told = end.clone();
        tokio::spawn(async move {
            // It goes, and the client learns of its end, when the reason has been told.
            let mut connection = pin!(connection);
            let too_long = async {
                unused.cancelled().await;
                sleep(GOOD_BYE).await;
            };
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        let _ = told.set(in_words(&error));
                    }
                }
                () = too_long => {}
            }
        });
        Self {
            client,
            end,
            _in_use: in_use,
        }
    }

    /// Why a question failed.
    pub fn failure(&self, error: &tokio_postgres::Error) -> Answer {
        match self.end.get() {
            Some(why) if error.is_closed() => Answer::failed(why.clone()),
            _ => failure(error),
        }
    }
}

fn in_words(error: &tokio_postgres::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// The error in words: the server's own, without the row, or why there was no answer.
pub fn failure(error: &tokio_postgres::Error) -> Answer {
    let Some(refusal) = error.as_db_error() else {
        return Answer::failed(in_words(error));
    };
    let words = format!("{} (SQLSTATE {})", refusal.message(), refusal.code().code());
    // A value that does not fit its column never will.
    let is_the_values = refusal.code().code().starts_with("22")
        || *refusal.code() == SqlState::NOT_NULL_VIOLATION
        || *refusal.code() == SqlState::CHECK_VIOLATION;
    if is_the_values {
        Answer::hopeless(words)
    } else {
        Answer::failed(words)
    }
}
