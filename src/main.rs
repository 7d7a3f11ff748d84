//! The binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    thingshub::cli::run()
}
