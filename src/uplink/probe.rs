//! Tests whether a connection's broker accepts the hub's credentials and topics, as a separate client
//! next to the active subscription.

use std::time::Duration;

use rumqttc::{Packet, QoS, SubAck};
use tokio::time::timeout;

use super::subscription::Topics;
use crate::{
    error::{Error, Result},
    id::TenantId,
    mqtt::{Incoming, Life, Session},
    outgoing::Guard,
    secret::Vault,
    store::networks::Connection,
};

/// Maximum time for a broker to acknowledge a subscription.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Result of testing a connection's credentials and topics at its broker.
pub enum ProbeResult {
    /// The connection has no broker.
    NoBroker,
    /// The broker accepts the credentials and the topics.
    Passed,
    /// The broker rejects them or cannot be reached; contains the reason.
    Failed(String),
}

/// Tests a connection's broker.
///
/// # Errors
/// If the stored settings cannot be read.
pub async fn broker(
    tenant: TenantId,
    connection: &Connection,
    vault: &Vault,
    guard: &Guard,
) -> Result<ProbeResult> {
    let heard = match Topics::of(tenant, connection, vault) {
        Ok(Some(heard)) => heard,
        Ok(None) => return Ok(ProbeResult::NoBroker),
        // The secret cannot be decrypted, or is unusable.
        Err(error @ (Error::Unavailable { .. } | Error::Rejected { .. })) => {
            return Ok(ProbeResult::Failed(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    Ok(match ask(&heard, guard).await {
        Ok(()) => ProbeResult::Passed,
        Err(why) => ProbeResult::Failed(why),
    })
}

async fn ask(heard: &Topics, guard: &Guard) -> std::result::Result<(), String> {
    // With the same client id, this test would disconnect the active subscription. The last will stays
    // with that one.
    let name = format!("{}test", heard.broker.client_id());
    let broker = heard.broker.beside().as_client(&name);
    let mut session = Session::open(&broker, guard, Life::Connection).await?;
    let filters: Vec<String> = heard
        .filters
        .iter()
        .map(|filter| unshared(filter))
        .collect();
    session.subscribe(&filters, QoS::AtMostOnce).await?;
    let answered = timeout(ANSWER_TIMEOUT, answer(&mut session)).await;
    let answer = answered
        .map_err(|_| "the broker does not answer the subscription in time".to_owned())??;
    session.close().await;
    heard.refusal(&answer).map_or(Ok(()), Err)
}

async fn answer(session: &mut Session) -> std::result::Result<SubAck, String> {
    loop {
        let happening = session.wait().await?;
        if let Some(Incoming::Packet(Packet::SubAck(answer))) = session.handle(happening).await? {
            return Ok(answer);
        }
    }
}

/// Returns the topic of a shared subscription without its group: as a member of the group, this test
/// would take messages from the others.
fn unshared(filter: &str) -> String {
    let shared = filter.strip_prefix("$share/");
    let topic = shared.and_then(|rest| rest.split_once('/'));
    topic.map_or(filter, |(_, topic)| topic).to_owned()
}

#[cfg(test)]
mod tests {
    use super::unshared;

    #[test]
    fn a_group_is_left_alone() {
        assert_eq!(
            unshared("$share/hub/v3/+/devices/+/up"),
            "v3/+/devices/+/up"
        );
        assert_eq!(unshared("a/$share/b"), "a/$share/b");
    }
}
