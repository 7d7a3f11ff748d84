//! Ids of requests, which connect an answer with the audit log and the log.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    database::Database,
    server::{Hub, WithJson},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_the_client_is_kept_if_it_is_a_plain_word() {
    let hub = Hub::start(Database::Sqlite).await;
    let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
    for (sent, is_kept) in [
        ("order-4711_A.b", true),
        ("0", true),
        (&longest, true),
        (&too_long, false),
        ("order 4711", false),
        ("order/4711", false),
        ("order\"4711", false),
        ("", false),
    ] {
        let request = hub.request(Method::POST, "devices");
        let request = request.bearer_auth(&hub.token);
        let request = request.header("X-Request-Id", sent).with_json(&json!({}));
        let answer = hub.answer(request).await;
        let told = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        answer.created();
        assert_eq!(told == sent, is_kept, "{sent}: {told}");
        if !is_kept {
            uuid::Uuid::parse_str(&told).unwrap();
        }
        let entries = hub.list("audit-log?action=create_device").await;
        assert_eq!(entries[0]["request_id"], told);
    }
}
