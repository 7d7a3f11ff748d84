//! Descriptions of what keeps a hub from starting, for the operator.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};

use crate::{config::Config, error::Error, tls};

/// Maximum time to find out why a database server cannot be reached.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// Describes the files named in the settings that the hub could not use, one line each.
pub fn unusable_files(config: &Config) -> Vec<String> {
    tls::check(config).err().into_iter().collect()
}

/// Describes the failure to open the database in one line, with its file or the address of the server.
pub async fn unopened(config: &Config, error: &Error) -> String {
    let causes = error.causes();
    let Some(address) = config.database_address() else {
        return format!("setting database_url: {}: {causes}", config.database_url());
    };
    // The pool of connections tries again for a while, and then only says that it has waited in vain.
    let connected = timeout(ASK_WITHIN, TcpStream::connect(&address)).await;
    let causes = match connected {
        Ok(Err(error)) if !address.starts_with('/') => error.to_string(),
        _ => causes,
    };
    format!("setting database_url: PostgreSQL at {address}: {causes}")
}
