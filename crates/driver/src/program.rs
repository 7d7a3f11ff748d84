//! The executable that workers are started from.
//!
//! It is opened once. Replacing the program's file, as an upgrade does, does not affect it: a running hub
//! continues to start workers of its own version until it is restarted.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::libc;

/// The hidden command-line argument that makes this program a driver worker.
pub const WORKER_ARGUMENT: &str = "__driver-worker";

/// An open executable.
#[derive(Debug)]
pub struct Program {
    file: File,
    /// The name in lists of processes.
    name: OsString,
}

impl Program {
    /// Opens the program of this process, even if its file has been replaced.
    pub fn running() -> io::Result<Self> {
        let mut program = Self::open(Path::new("/proc/self/exe"))?;
        program.name = std::env::current_exe()?.into();
        Ok(program)
    }

    /// Opens the executable that is at this path now.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            // An executable may not be readable.
            .custom_flags(libc::O_PATH)
            .open(path)?;
        Ok(Self {
            file,
            name: path.into(),
        })
    }

    /// Returns a command that runs it, whichever file is at its path by then.
    pub(super) fn command(&self) -> Command {
        // The descriptor is closed by the start itself, after the new process has found it.
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        command.arg0(&self.name);
        command
    }
}
