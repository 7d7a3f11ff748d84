//! Ports for servers that are started later, or again at the same place.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
/// Distance between the first tries of two tests, each of which is a process of its own. It shares no factor with
/// `COUNT`.
const APART: u32 = 37;

/// Returns a free port below the range from which the kernel takes ports of outgoing connections. From that range, a
/// client that calls while the server is away could be given the very port, and find itself.
pub fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(APART) % COUNT;
    (0..COUNT)
        .map(|_| FIRST + (start + TRIED.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("it is below 32,000"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}
