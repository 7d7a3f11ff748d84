//! One attempt to send the file of a run.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    targets::{Outlets, Session, Target, place},
    window::{self, RunFile},
};
use crate::{
    error::{Error, Result},
    secret::Vault,
    store::{
        Scope,
        data::{
            run::{Run, State},
            runs::{self, Work},
        },
    },
};

/// Maximum time for one attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(86_400);

/// Reason for which an attempt failed.
pub enum Failure {
    /// The target refuses the file, or does not answer. The text is for the log of runs.
    Target(String),
    /// The hub cannot make the file.
    Hub(Error),
    /// The hub stops.
    Stopped,
}

/// What an attempt has sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// Number of rows.
    pub rows: i64,
    /// Size of the file in bytes; 0 if the file was there already.
    pub bytes: i64,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Hub(error)
    }
}

impl Failure {
    /// Returns the text for the log of runs.
    pub fn text(&self) -> String {
        match self {
            Self::Target(text) => text.clone(),
            Self::Hub(Error::Internal(_)) => "an internal error of the hub; see its log".to_owned(),
            Self::Hub(error) => error.to_string(),
            Self::Stopped => "the hub was stopped".to_owned(),
        }
    }
}

/// Sends the file of a run, if it has rows, and ends the run. Returns `None` for a run without rows. After `stop`, a file
/// that is not whole yet is removed from the target.
pub async fn attempt(
    scope: &Scope,
    vault: &Vault,
    outlets: &Outlets,
    work: &Work,
    stop: &CancellationToken,
) -> Result<Option<Sent>, Failure> {
    let sent = timeout(ATTEMPT_MAX, send(scope, vault, outlets, work, stop)).await;
    let late = |_| Failure::Target("the attempt took longer than 24 hours".to_owned());
    sent.map_err(late)?
}

async fn send(
    scope: &Scope,
    vault: &Vault,
    outlets: &Outlets,
    Work { export, run }: &Work,
    stop: &CancellationToken,
) -> Result<Option<Sent>, Failure> {
    if window::is_empty(scope, export, run).await? {
        runs::finish(scope, run, State::Empty).await?;
        return Ok(None);
    }
    let tenant = scope.tenant();
    let new = &export.provisioned;
    let credentials = vault.open_credentials(&place(tenant, export.id), new.stored())?;
    let target = Target::open(outlets, tenant, &new.kind, &new.settings, &credentials);
    let target = target.map_err(Failure::Target)?;
    let connected = async { target.connect(outlets).await.map_err(Failure::Target) };
    let mut session = unless(stop, connected).await?;
    let found = session.find(&run.file_name).await;
    if let Some(size) = found.map_err(Failure::Target)? {
        // The hub ended after the file had got its name, or the answer to that was lost.
        let is_ours = run
            .bytes
            .is_some_and(|bytes| u64::try_from(bytes) == Ok(size));
        if !is_ours {
            let name = &run.file_name;
            let text = format!("there is a file {name} already, which is not of this run");
            return Err(Failure::Target(text));
        }
        runs::finish(scope, run, State::Succeeded).await?;
        return Ok(Some(Sent::default()));
    }
    let mut file = RunFile::of(scope, export, run).await?;
    let filled = fill(scope, run, &mut session, &mut file);
    let sent = match unless(stop, filled).await {
        Ok(sent) => sent,
        Err(failure) => {
            session.abandon().await;
            return Err(failure);
        }
    };
    if let Err(error) = session.publish().await {
        // The file may have got its name all the same. Then nothing is removed, and the next attempt finds it.
        session.abandon().await;
        return Err(Failure::Target(error));
    }
    runs::finish(scope, run, State::Succeeded).await?;
    Ok(Some(sent))
}

/// Works until `stop`.
async fn unless<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let done = stop.run_until_cancelled(work).await;
    done.unwrap_or(Err(Failure::Stopped))
}

/// Sends all bytes of the file, and notes what it contains.
async fn fill(
    scope: &Scope,
    run: &Run,
    session: &mut Session,
    file: &mut RunFile,
) -> Result<Sent, Failure> {
    let begun = session.begin(&run.file_name, run.attempts).await;
    begun.map_err(Failure::Target)?;
    let mut bytes = 0_i64;
    while let Some(piece) = file.next().await? {
        if piece.is_empty() {
            continue;
        }
        bytes = bytes.saturating_add(i64::try_from(piece.len()).unwrap_or(i64::MAX));
        session.write(piece).await.map_err(Failure::Target)?;
    }
    session.seal().await.map_err(Failure::Target)?;
    let rows = file.rows();
    runs::note_made(scope, run, rows, bytes).await?;
    Ok(Sent { rows, bytes })
}
