//! A test on a network of its own, with files of the system's replaced for it alone: in namespaces of its own,
//! where this process may make some.

use std::{io::Write, panic::resume_unwind, process::Command, thread};

use nix::libc::{CLONE_NEWNET, CLONE_NEWNS, unshare};
use tempfile::NamedTempFile;

/// Runs a test, and the processes that it starts, where there is nothing but a loopback interface.
pub fn apart(test: impl AsyncFnOnce() + Send + 'static) {
    let thread = thread::spawn(move || {
        // SAFETY: It takes no pointers, and changes what this thread sees of the system alone.
        if unsafe { unshare(CLONE_NEWNET | CLONE_NEWNS) } != 0 {
            println!("no namespaces can be made here: not run");
            return;
        }
        run("mount", &["--make-rprivate", "/"]);
        run("ip", &["link", "set", "lo", "up"]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(test());
    });
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Gives the loopback interface one more address.
pub fn add_address(address: &str) {
    run("ip", &["address", "add", address, "dev", "lo"]);
}

/// Puts a file with this content in the place of another one.
pub fn replace(path: &str, content: &str) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    run("mount", &["--bind", file.path().to_str().unwrap(), path]);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}
