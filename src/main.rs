//! The binary.

use std::process::ExitCode;

/// The hub makes and drops many small values on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    thingshub::cli::run()
}
