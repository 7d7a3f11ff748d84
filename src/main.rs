//! The binary.

use std::process::ExitCode;

/// mimalloc suits the hub, which allocates and frees many small values on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    thingshub::cli::run()
}
