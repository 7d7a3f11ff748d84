//! A network server that takes downlinks, and has each confirmed: often before it has answered.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use poem::{Request, Response};
use rand::RngExt;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::support::http_server::HttpServer;

/// Time that an answer waits for the confirmation that overtakes it.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(500);

/// A downlink in the network server's hands.
#[derive(Clone, Debug)]
pub struct Handover {
    pub downlink: String,
    pub device: String,
    pub begun: Instant,
    pub ended: Option<Instant>,
}

/// A downlink to confirm, and who waits for that.
pub struct ToConfirm {
    pub downlink: String,
    pub device: String,
    pub done: oneshot::Sender<()>,
}

pub struct Network {
    url: String,
    handovers: Arc<Mutex<Vec<Handover>>>,
    /// Downlinks that the player of the network's webhook has to confirm.
    pub to_confirm: AsyncMutex<mpsc::UnboundedReceiver<ToConfirm>>,
    _server: HttpServer,
}

impl Network {
    pub async fn start() -> Self {
        let handovers = Arc::<Mutex<Vec<Handover>>>::default();
        let (confirm, to_confirm) = mpsc::unbounded_channel();
        let kept = handovers.clone();
        let answer = move |request| take(request, kept.clone(), confirm.clone());
        let server = HttpServer::start(answer).await;
        Self {
            url: server.url.clone(),
            handovers,
            to_confirm: AsyncMutex::new(to_confirm),
            _server: server,
        }
    }

    /// Settings for downlinks, of which each version is another.
    pub fn settings(&self, version: &str) -> Value {
        let url = format!("{}/down/{version}", self.url);
        let body = r#"{"id": "{{downlink_id}}", "device": "{{network_device_id}}", "confirmed": {{confirmed}}}"#;
        json!({"settings": {"type": "http", "method": "POST", "url": url, "body": body}})
    }

    pub fn handovers(&self) -> Vec<Handover> {
        self.handovers.lock().unwrap().clone()
    }
}

async fn take(
    mut request: Request,
    handovers: Arc<Mutex<Vec<Handover>>>,
    confirm: mpsc::UnboundedSender<ToConfirm>,
) -> poem::Result<Response> {
    let begun = Instant::now();
    let body = request.take_body().into_string().await.unwrap_or_default();
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (downlink, device) = (text("id"), text("device"));
    let number = {
        let mut handovers = handovers.lock().unwrap();
        handovers.push(Handover {
            downlink: downlink.clone(),
            device: device.clone(),
            begun,
            ended: None,
        });
        handovers.len() - 1
    };
    let pause = Duration::from_millis(rand::rng().random_range(0..15));
    sleep(pause).await;
    if body["confirmed"] == true {
        let (done, is_done) = oneshot::channel();
        let _ = confirm.send(ToConfirm {
            downlink,
            device,
            done,
        });
        if rand::rng().random_range(0..2) == 0 {
            // The confirmation may be recorded, and its own answer lost: then the downlink is over for the hub,
            // which sends the next one while this one still waits here.
            handovers.lock().unwrap()[number].ended = Some(Instant::now());
            let _ = timeout(OVERTAKEN_WITHIN, is_done).await;
            return Ok(Response::builder().body("{}"));
        }
    }
    handovers.lock().unwrap()[number].ended = Some(Instant::now());
    Ok(Response::builder().body("{}"))
}
