//! Connects to a broker: through the guard, with the negotiation of versions and the login.

use std::time::Duration;

use kafka_protocol::{
    messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest},
    protocol::Request,
};
use tokio::time::timeout;

use super::{
    answers::{self, SupportedRequest, version},
    connection::{Connection, unreadable},
    failure::Failure,
    login::log_in,
    settings::{Address, Cluster},
};
use crate::outgoing::{Guard, dial};

/// Maximum time to connect and log in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// Connects to an address that the guard allows, and logs in.
pub async fn open(
    cluster: &Cluster,
    guard: &Guard,
    address: &Address,
) -> Result<Connection, Failure> {
    let opened = timeout(OPEN_TIMEOUT, shake_hands(cluster, guard, address)).await;
    let failed = |failure: Failure| Failure {
        words: format!("{address}: {}", failure.words),
        ..failure
    };
    opened
        .unwrap_or_else(|_| Err(Failure::wait("no handshake in time")))
        .map_err(failed)
}

async fn shake_hands(
    cluster: &Cluster,
    guard: &Guard,
    address: &Address,
) -> Result<Connection, Failure> {
    let host = dial::borrowed(&address.host);
    let stream = dial::open(guard, &host, address.port, cluster.tls.clone())
        .await
        .map_err(Failure::wait)?;
    let mut connection = Connection::over(stream);
    check_versions(&mut connection).await?;
    if let Some(login) = &cluster.login {
        let lifetime = log_in(&mut connection, login, &cluster.heavy).await?;
        connection.note_login(lifetime);
    }
    Ok(connection)
}

/// Rejects a broker that does not support the versions of the requests that the hub sends.
async fn check_versions(connection: &mut Connection) -> Result<(), Failure> {
    let answer = connection
        .ask(version::API_VERSIONS, &ApiVersionsRequest::default())
        .await?;
    let (error, spoken) = answers::api_versions(&answer).ok_or_else(unreadable)?;
    if let Some(error) = error {
        return Err(Failure::of_connection(error));
    }
    for (name, key, version) in [
        ("Metadata", MetadataRequest::KEY, version::METADATA),
        ("Produce", ProduceRequest::KEY, version::PRODUCE),
    ] {
        let speaks = |spoken: &SupportedRequest| {
            spoken.key == key && (spoken.min..=spoken.max).contains(&version)
        };
        if !spoken.iter().any(speaks) {
            let words = format!("the broker does not speak version {version} of {name}");
            return Err(Failure::wait(words));
        }
    }
    Ok(())
}
