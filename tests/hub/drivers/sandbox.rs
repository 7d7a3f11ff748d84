//! The fence around driver workers, tried by native code from inside: what an intruder gets who has
//! taken over the interpreter.

use std::{
    io::Read,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::libc;
use thingshub::driver::{DecodeCall, Host, Limits, Program, Script};

/// Outcome of an attempt to break out.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The kernel ended the process at once.
    Killed,
    /// Refused with this error number.
    Refused(i32),
    Done,
    Other(String),
}
use Outcome::{Done, Killed, Refused};

/// Each attempt, what must come of it inside, and whether it is known to work outside for anybody.
const ATTEMPTS: [(&str, Outcome, bool); 45] = [
    ("read a file", Refused(libc::EPERM), true),
    ("read the environment", Refused(libc::EPERM), true),
    ("list a folder", Refused(libc::EPERM), true),
    ("write a file", Refused(libc::EPERM), true),
    ("follow a link", Refused(libc::EPERM), true),
    ("look at a file", Refused(libc::EPERM), true),
    ("make a folder", Refused(libc::EPERM), false),
    ("open by handle", Killed, false),
    ("write to an inherited file", Refused(libc::EBADF), true),
    ("copy a descriptor", Refused(libc::EPERM), true),
    ("make a TCP socket", Killed, true),
    ("make a UDP socket", Killed, true),
    ("make a netlink socket", Killed, true),
    ("connect", Killed, false),
    ("pass a descriptor", Refused(libc::EPERM), false),
    ("make a process", Killed, true),
    ("make a process anew", Killed, false),
    ("run a program", Killed, false),
    ("run a program by descriptor", Killed, false),
    ("run from memory", Killed, true),
    ("map code", Refused(libc::EPERM), true),
    ("make memory executable", Refused(libc::EPERM), true),
    ("trace", Killed, true),
    ("read another process", Killed, false),
    ("write another process", Killed, false),
    ("signal the parent", Refused(libc::EPERM), true),
    ("signal everybody", Refused(libc::EPERM), false),
    ("signal a thread", Refused(libc::EPERM), true),
    ("take hold of a process", Killed, true),
    ("mount", Killed, false),
    ("leave the root", Refused(libc::EPERM), false),
    ("make a namespace", Killed, false),
    ("use io_uring", Killed, false),
    ("load a program into the kernel", Killed, false),
    ("handle page faults", Killed, false),
    ("watch the processor", Killed, false),
    ("raise a limit", Refused(libc::EPERM), false),
    ("become root", Refused(libc::EPERM), false),
    ("regain privileges", Refused(libc::EPERM), true),
    ("name the machine", Refused(libc::EPERM), false),
    ("set a name for the machine", Refused(libc::EPERM), false),
    ("share memory", Refused(libc::EPERM), true),
    ("stop the CPU timer", Refused(libc::EPERM), false),
    ("use another system call table", Refused(libc::EPERM), false),
    ("nothing", Done, true),
];

#[test]
fn native_code_does_not_get_out() {
    for (attempt, expected, works_outside) in ATTEMPTS {
        assert_eq!(escape(&[attempt]), expected, "{attempt}");
        if works_outside {
            assert_eq!(escape(&[attempt, "free"]), Done, "{attempt} outside");
        }
    }
}

fn probe() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_thingshub")).with_file_name("examples/escape")
}

fn escape(arguments: &[&str]) -> Outcome {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let mut child = Command::new(probe())
        .args(arguments)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the probe starts (cargo builds it with the tests)");
    let status = child.wait().expect("it ends");
    let mut told = String::new();
    ours.read_to_string(&mut told).expect("what it told");
    if status.signal() == Some(libc::SIGSYS) {
        return Killed;
    }
    match told.strip_prefix("errno ").map(str::parse) {
        Some(Ok(errno)) => Refused(errno),
        _ if told.starts_with("done") => Done,
        _ => Outcome::Other(format!("{told} ({status})")),
    }
}

/// A real worker has the socket as standard input, its copy, and two ends of nothing.
#[tokio::test]
async fn a_worker_has_no_environment_and_no_files() {
    let name = format!(
        "{}/bare-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let _ = std::fs::remove_file(&name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_thingshub"), &name).expect("a link");
    let limits = Limits {
        workers: 1,
        // This kernel has them all: the setting admits it.
        sandbox_required: true,
        ..Limits::default()
    };
    let program = Program::open(name.as_ref()).expect("it is there");
    let _host = Host::start(program, limits).await.expect("workers start");
    let worker = crate::processes_named(&name).remove(0);

    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).expect("its status");
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(value("Seccomp:"), "2", "{status}");
    assert_eq!(value("Seccomp_filters:"), "2", "{status}");
    assert_eq!(value("NoNewPrivs:"), "1", "{status}");
    assert_eq!(value("Threads:"), "1", "{status}");

    let environment = std::fs::read(format!("/proc/{worker}/environ")).expect("its environment");
    assert_eq!(String::from_utf8_lossy(&environment), "TZ=UTC0\0");
    let files = std::fs::read_dir(format!("/proc/{worker}/fd")).expect("its files");
    let mut open: Vec<String> = files
        .map(|file| {
            let file = file.expect("a file");
            let target = std::fs::read_link(file.path()).expect("its target");
            let target = target.to_string_lossy();
            let kind = target.split(':').next().unwrap_or_default();
            format!("{} {kind}", file.file_name().to_string_lossy())
        })
        .collect();
    open.sort();
    assert_eq!(open, ["0 socket", "1 /dev/null", "2 /dev/null", "3 socket"]);
    let limits = std::fs::read_to_string(format!("/proc/{worker}/limits")).expect("its limits");
    for (name, value) in [
        ("Max core file size", "0"),
        ("Max processes", "0"),
        ("Max open files", "0"),
        ("Max file size", "0"),
    ] {
        let line = limits
            .lines()
            .find(|line| line.starts_with(name))
            .expect(name);
        let values: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [value; 2], "{line}");
    }
    let _ = std::fs::remove_file(&name);
}

#[tokio::test]
async fn where_the_kernel_lacks_landlock_the_rest_serves_unless_all_is_required() {
    let limits = |sandbox_required| Limits {
        workers: 1,
        sandbox_required,
        ..Limits::default()
    };
    let program = || Program::open(&probe()).expect("cargo builds it with the tests");
    let refused = Host::start(program(), limits(true)).await.err();
    let refused = refused.expect("it does not start").to_string();
    assert!(refused.contains("landlock"), "{refused}");
    assert!(!refused.contains("seccomp"), "{refused}");

    let host = Host::start(program(), limits(false))
        .await
        .expect("it starts");
    let script = Script {
        digest: "of this test".to_owned(),
        source: "function decode(bytes) { return { first: bytes[0] } }".to_owned(),
    };
    let call = DecodeCall {
        tenant: 1,
        script: script.into(),
        payload: bytes::Bytes::from_static(&[7]),
        f_port: None,
        state: None,
        whole: false,
        received_at: chrono::DateTime::UNIX_EPOCH,
    };
    assert_eq!(host.decode(call).await.expect("decodes").data["first"], 7);
}
