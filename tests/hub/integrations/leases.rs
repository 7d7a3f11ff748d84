//! The lease of an integration, where it can no longer be renewed.

use serde_json::json;

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, hub, integration},
    support::{
        database::{Database, on_postgres, query_text},
        sink::Sink,
    },
};

/// A hub whose lease has ended sends nothing, although it still gets messages for the integration: another hub
/// may deliver for it by now.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_not_renewed_starts_no_attempts() {
    on_postgres(async |database: Database| {
        let (hub, connection) = hub(database).await;
        let (sink, other) = (Sink::willing().await, Sink::willing().await);
        let path = integration(&hub, &sink.url, json!({})).await;
        hub.integration("other", "", &other.url).await;
        hub.uplink(&connection, EUIS[0]).await;
        deliveries(&hub, &path, "delivered", 1).await;
        // The results of attempts do not touch the lease.
        let id = path.rsplit('/').next().unwrap();
        let of_it = format!("OLD.integration_id = {id}");
        hub.refuse("UPDATE OF held_until ON integration_health", &of_it)
            .await;
        let url = hub.database_url();
        let ended = format!(
            "SELECT (held_until < now())::text FROM integration_health WHERE integration_id = {id}"
        );
        eventually("the lease has ended", async || {
            (query_text(&url, &ended).await == "true").then_some(())
        })
        .await;
        for number in 2..=6 {
            hub.uplink(&connection, EUIS[0]).await;
            other.gets(number).await;
        }
        assert_eq!(sink.received().len(), 1);
        // As soon as it can be renewed again, what waits is sent.
        hub.refuse_no_longer("integration_health").await;
        deliveries(&hub, &path, "delivered", 6).await;
        assert_eq!(sink.received().len(), 6);
    })
    .await;
}
