//! The worker processes for scripts.

use crate::cli::exit::Failure;
use crate::driver::{Host, Limits, Program};

/// The only tenant of the command line, whose calls share the workers.
pub const TENANT: i64 = 1;

/// Starts worker processes of this program.
pub async fn host(limits: Limits) -> Result<Host, Failure> {
    let program = Program::running()
        .map_err(|error| format!("cannot open the program's own executable: {error}"))?;
    Host::start(program, limits)
        .await
        .map_err(|error| format!("cannot start a driver worker: {error}").into())
}
