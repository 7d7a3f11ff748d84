//! The hub's metrics.

use reqwest::Method;

use super::server::Hub;

/// The value of the first series that begins so, as an operator's token shows it.
pub async fn metric(hub: &Hub, token: &str, series: &str) -> f64 {
    let request = hub.request(Method::GET, "/metrics").bearer_auth(token);
    let text = hub.answer(request).await.text;
    let line = text.lines().find(|line| line.starts_with(series));
    let value = line.and_then(|line| line.rsplit_once(' '));
    value
        .unwrap_or_else(|| panic!("no {series}"))
        .1
        .parse()
        .unwrap()
}
