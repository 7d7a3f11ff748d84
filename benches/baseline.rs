//! Baselines of the hub's figures: the hub with the store left out, and a bare handler.
//!
//! `baseline no-store <flags>` is the hub that acknowledges uplinks without writing them;
//! `baseline bare ...` answers every request with a constant device, over the same TLS or in plain,
//! which makes it a receiver for integrations as well.

use std::{collections::HashMap, future::pending, sync::Arc};

use poem::{EndpointExt, Route, handler, web::Json};
use serde_json::{Value, json};
use thingshub::{
    api::http::{
        listener::Listener,
        server::{Server, Stopping},
    },
    app,
    config::Config,
    delivery::Handle,
    driver,
    id::new_uuid,
    metrics::Metrics,
    store::{
        Store,
        uplink_batch::{Content, Outcome},
    },
    tls,
    uplink::writer::Job,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

/// The hub's own allocator, so that only the store is missing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments
        .get(1)
        .is_some_and(|first| first == driver::WORKER_ARGUMENT)
    {
        driver::worker_main();
        return Ok(());
    }
    let (Some(kind), Some(data_dir), Some(listen)) =
        (arguments.get(1), arguments.get(2), arguments.get(3))
    else {
        return Err("usage: baseline no-store|bare <data-dir> <listen>".to_owned());
    };
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let flags = [
        ("data_dir", data_dir.clone()),
        ("listen", listen.clone()),
        ("admin_password", "benchmark-password".to_owned()),
    ];
    let config = Config::load(None, HashMap::new(), &flags)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    match kind.as_str() {
        "no-store" => {
            let worker = driver::Program::running().map_err(|error| error.to_string())?;
            runtime.block_on(app::serve_with(config, worker, pending(), acknowledge))
        }
        "bare" => runtime.block_on(bare(config)),
        other => Err(format!("no baseline \"{other}\"")),
    }
}

/// Takes the batches as the writer does, and says that they are written.
async fn acknowledge(_: Store, mut waiting: mpsc::Receiver<Job>, _: Handle, _: Metrics) {
    let mut jobs = Vec::new();
    while waiting.recv_many(&mut jobs, 512).await > 0 {
        for job in jobs.drain(..) {
            let outcome = match job.message.content {
                Content::Uplink(_) => Outcome::Uplink(new_uuid()),
                _ => Outcome::Recorded,
            };
            let _ = job.done.send(Ok(outcome));
        }
    }
}

#[handler]
fn device(device: poem::web::Data<&Arc<Value>>) -> Json<Arc<Value>> {
    Json(device.0.clone())
}

async fn bare(config: Config) -> Result<(), String> {
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let device_sample = Arc::new(json!({
        "id": "bench-1", "name": "", "description": "", "driver": null, "labels": ["site=berlin"], "metadata": {},
        "connectivity": {"connections": [{"network_connection_id": 1, "network_device_id": "24E124538C194528"}]},
        "state": {"reported": {"temperature": 21.5, "humidity": 54.5, "battery": 100}, "desired": {}},
        "last_data_received": {"received_at": "2026-01-01T00:00:00Z", "raw": "0175640367180104686d"},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    }));
    let app = Route::new().at("/*path", device).data(device_sample);
    let tls = tls::open(&config)?.0;
    let server = Server::new(app, tls, address, &config, Stopping::default());
    let mut accepting = Listener::new(
        listener,
        server,
        &config,
        CancellationToken::new(),
        Metrics::new(&[], &[]),
    );
    println!("baseline listens on https://{address}");
    accepting.run().await;
    Ok(())
}
