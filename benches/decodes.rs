//! Decodes a second through the driver host with one worker: `decodes <seconds> <path> <script>...`.
//!
//! The path is `warm` (the same script, one call after another), `batch` (the same, 64 waiting at a
//! time), `many` (a thousand scripts in turn) or `cold` (a script never seen before each time). For
//! each script it prints one line of JSON: decodes a second of the whole exchange, of the worker's
//! CPU time, and the worker's memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use thingshub::driver::{self, DecodeCall, Host, Limits, Script};

/// Scripts in use at a time on the path `many`.
const MANY: usize = 1_000;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(driver::WORKER_ARGUMENT) {
        driver::worker_main();
        return Ok(());
    }
    let [seconds, path, scripts @ ..] = arguments.as_slice() else {
        return Err("usage: decodes <seconds> warm|batch|many|cold <script>...".to_owned());
    };
    let seconds: f64 = seconds.parse().map_err(|_| "seconds: no number")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    for file in scripts {
        let source = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        runtime.block_on(measure(path, &source, Duration::from_secs_f64(seconds)))?;
    }
    Ok(())
}

async fn measure(path: &str, source: &str, time: Duration) -> Result<(), String> {
    let program = driver::Program::running().map_err(|error| error.to_string())?;
    let limits = Limits {
        workers: 1,
        ..Limits::default()
    };
    let host = Host::start(program, limits)
        .await
        .map_err(|error| error.to_string())?;
    let (concurrency, variants) = match path {
        "warm" => (1, 1),
        "batch" => (64, 1),
        "many" => (64, MANY),
        "cold" => (1, usize::MAX),
        _ => return Err(format!("no path {path}")),
    };
    let kept: Vec<_> = (0..variants.min(MANY))
        .map(|n| variant(source, n))
        .collect();
    let script = |n: usize| match variants {
        usize::MAX => variant(source, n),
        _ => Arc::clone(&kept[n % variants]),
    };
    for n in 0..kept.len() {
        decode(&host, script(n)).await?;
    }
    let idle_kib = worker_memory_kib();
    let started = Instant::now();
    let calls = stream::iter(MANY..)
        .take_while(|_| std::future::ready(started.elapsed() < time))
        .map(|n| decode(&host, script(n)))
        .buffer_unordered(concurrency)
        .collect::<Vec<_>>()
        .await;
    let elapsed = started.elapsed().as_secs_f64();
    let cpu_time_us = calls.iter().cloned().sum::<Result<u64, String>>()?;
    let count = calls.len() as f64;
    println!(
        "{{\"path\": \"{path}\", \"a_second\": {:.0}, \"cpu_us\": {:.1}, \"worker_kib\": {idle_kib}}}",
        count / elapsed,
        cpu_time_us as f64 / count,
    );
    host.shutdown().await;
    Ok(())
}

fn variant(source: &str, n: usize) -> Arc<Script> {
    let source = format!("{source}\n// {n}");
    Arc::new(Script {
        digest: hex::encode(Sha256::digest(&source)),
        source,
    })
}

async fn decode(host: &Host, script: Arc<Script>) -> Result<u64, String> {
    let call = DecodeCall {
        tenant: 1,
        script,
        payload: bytes::Bytes::from_static(&[
            0x01, 0x75, 0x64, 0x03, 0x67, 0x18, 0x01, 0x04, 0x68, 0x6d,
        ]),
        f_port: Some(85),
        state: None,
        whole: false,
        received_at: chrono::DateTime::UNIX_EPOCH,
    };
    let decoded = host.decode(call).await.map_err(|error| error.at_line())?;
    Ok(decoded.cpu_time_us)
}

/// Proportional set size of the one worker.
fn worker_memory_kib() -> u64 {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children"));
    let memory = children.ok().and_then(|children| {
        let worker = children.split_whitespace().next()?.to_owned();
        let rollup = std::fs::read_to_string(format!("/proc/{worker}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse().ok()
    });
    memory.unwrap_or(0)
}
