//! A driver worker that somebody has taken over: it speaks the protocol and answers what no worker does.
//! `tests/hub/drivers/host/forged.rs` starts it under names that end in what it is to do, and knows what
//! must come of it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
};

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let name = std::env::args().next().unwrap_or_default();
    let (_, behaviour) = name.rsplit_once("forger-").unwrap_or_default();
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    read(&mut socket)?;
    let version = match behaviour {
        "old" => "0.0.1",
        _ => env!("CARGO_PKG_VERSION"),
    };
    let ready = json!({"version": version, "missing": [], "worker_cpu_time_us": 1000});
    socket.write_all(&frame(&ready))?;
    let mut calls = 0_u64;
    while let Some(batch) = read(&mut socket)? {
        for call in batch["calls"].as_array().into_iter().flatten() {
            calls += 1;
            socket.write_all(&answer(behaviour, call, calls))?;
        }
    }
    Ok(())
}

/// The frames that answer a call.
fn answer(behaviour: &str, call: &Value, calls: u64) -> Vec<u8> {
    let now_us = 1000 + calls;
    let reply = |outcome: Value, worker_cpu_time_us: u64| {
        let reply = json!({"outcome": outcome, "worker_cpu_time_us": worker_cpu_time_us,
            "retiring": false});
        frame(&reply)
    };
    let decoded = |data: Value| {
        json!({"Decoded": {"data": data, "warnings": [], "logs": [], "cpu_time_us": u64::MAX,
            "memory_peak_bytes": 1}})
    };
    let honest = decoded(json!({"calls": calls}));
    match behaviour {
        "asking" => reply(json!("NeedScript"), now_us),
        "forgetful" if call["source"].is_null() => reply(json!("NeedScript"), now_us),
        "eager" => {
            let mut frames = reply(honest, now_us);
            frames.extend(reply(decoded(json!({"forged": true})), now_us));
            frames
        }
        "costly" => reply(honest, u64::MAX),
        "backwards" => reply(honest, 0),
        "hiding" => {
            use_up_ms(100);
            reply(honest, now_us)
        }
        "overloaded" => {
            let error = json!({"kind": "overloaded", "message": "too much", "line": null,
                "logs": [], "cpu_time_us": 0});
            reply(json!({"Failed": error}), now_us)
        }
        "other" => reply(json!({"Checked": {"names": []}}), now_us),
        _ => reply(honest, now_us),
    }
}

/// Uses up so much CPU time.
fn use_up_ms(time_ms: i64) {
    let used_ms = || {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        time.map_or(i64::MAX, |time| {
            time.tv_sec() * 1_000 + time.tv_nsec() / 1_000_000
        })
    };
    let until = used_ms().saturating_add(time_ms);
    while used_ms() < until {
        std::hint::spin_loop();
    }
}

fn frame(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    let mut frame = u32::try_from(body.len())
        .unwrap_or(0)
        .to_le_bytes()
        .to_vec();
    frame.extend(body.bytes());
    frame
}

fn read(socket: &mut File) -> io::Result<Option<Value>> {
    let mut prefix = [0; 4];
    match socket.read_exact(&mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut body = vec![0; u32::from_le_bytes(prefix) as usize];
    socket.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}
