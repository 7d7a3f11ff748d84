//! Native code that tries to get out of the sandbox of driver workers, as an intruder would who has
//! taken over the interpreter. `tests/hub/drivers/sandbox.rs` runs it and knows what must come of it.
//!
//! `escape <attempt>` shuts itself in as a worker does and tries one thing; with `escape <attempt>
//! free` it does not shut itself in, which shows that the attempt is a true one. It writes to its
//! standard input, which is the worker's socket, what came of it: `done` or `errno <number>`.
//!
//! Started as a worker is, it becomes one on a kernel without landlock, which it plays by a filter of
//! its own.

use std::{
    ffi::CStr,
    io,
    os::{fd::RawFd, unix::process::CommandExt},
    process::Command,
    ptr,
};

use nix::libc::{self, c_long};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use thingshub::driver;

/// The worker's socket.
const SOCKET: RawFd = 0;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let attempt = arguments.get(1).map_or("", String::as_str);
    if attempt == driver::WORKER_ARGUMENT {
        let error = be_a_worker_without_landlock();
        return eprintln!("{error}");
    }
    // Simulates a descriptor that the host has left open by mistake.
    let inherited = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY) };
    if arguments.get(2).map(String::as_str) != Some("free") {
        let missing = driver::enter_sandbox(32 << 20, 2);
        if !missing.is_empty() {
            return say(&format!("missing {}", missing.join("; ")));
        }
    }
    // SAFETY: every attempt passes valid pointers or none; what it does to this process ends with it.
    let result = unsafe { make(attempt, inherited) };
    match result {
        Some(-1) => {
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            say(&format!("errno {errno}"));
        }
        Some(_) => say("done"),
        None => say("unknown attempt"),
    }
}

/// Returns only where it fails.
fn be_a_worker_without_landlock() -> io::Error {
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let call = (libc::SYS_landlock_create_ruleset, Vec::new());
    let filter = std::env::consts::ARCH
        .try_into()
        .and_then(|arch| SeccompFilter::new([call].into(), SeccompAction::Allow, missing, arch))
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
        .and_then(|filter| seccompiler::apply_filter(&filter).map_err(io::Error::other));
    if let Err(error) = filter {
        return error;
    }
    let hub = std::env::current_exe().map(|probe| probe.with_file_name("../thingshub"));
    match hub {
        Ok(hub) => Command::new(hub).arg(driver::WORKER_ARGUMENT).exec(),
        Err(error) => error,
    }
}

fn say(text: &str) {
    // SAFETY: the text is alive for the call.
    unsafe {
        libc::write(SOCKET, text.as_ptr().cast(), text.len());
    }
}

unsafe fn open(path: &CStr, flags: libc::c_int) -> c_long {
    // SAFETY: a path and flags, as the call takes them.
    unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            0o600,
        )
    }
}

unsafe fn make(attempt: &str, inherited: RawFd) -> Option<c_long> {
    let null = ptr::null::<libc::c_void>();
    let shell = c"/bin/true";
    let arguments = [shell.as_ptr(), ptr::null()];
    let mut buffer = [0_u8; 128];
    let page = 4096_usize;
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 9_u16.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let unlimited = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: see `main`; pointers are to values above, which are alive, of the types that the
    // calls expect, or null where they must fail before they look at them.
    unsafe {
        Some(match attempt {
            "nothing" => 0,
            "read a file" => open(c"/etc/passwd", libc::O_RDONLY),
            "read the environment" => open(c"/proc/self/environ", libc::O_RDONLY),
            "list a folder" => open(c"/", libc::O_RDONLY | libc::O_DIRECTORY),
            "write a file" => open(c"/tmp", libc::O_TMPFILE | libc::O_WRONLY),
            "follow a link" => libc::syscall(
                libc::SYS_readlinkat,
                libc::AT_FDCWD,
                c"/proc/self/exe".as_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
            ),
            "look at a file" => libc::syscall(
                libc::SYS_faccessat,
                libc::AT_FDCWD,
                c"/etc".as_ptr(),
                libc::F_OK,
            ),
            "make a folder" => libc::syscall(
                libc::SYS_mkdirat,
                libc::AT_FDCWD,
                c"/tmp/escaped".as_ptr(),
                0o700,
            ),
            "open by handle" => libc::syscall(
                libc::SYS_open_by_handle_at,
                libc::AT_FDCWD,
                null,
                libc::O_RDONLY,
            ),
            "write to an inherited file" => {
                libc::syscall(libc::SYS_write, inherited, buffer.as_ptr(), 1)
            }
            "copy a descriptor" => libc::syscall(libc::SYS_dup, SOCKET),
            "make a TCP socket" => {
                libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)
            }
            "make a UDP socket" => {
                libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0)
            }
            "make a netlink socket" => {
                libc::syscall(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0)
            }
            "connect" => libc::syscall(
                libc::SYS_connect,
                SOCKET,
                &raw const address,
                size_of::<libc::sockaddr_in>(),
            ),
            "pass a descriptor" => libc::syscall(libc::SYS_sendmsg, SOCKET, null, 0),
            "make a process" => libc::syscall(
                libc::SYS_clone,
                libc::SIGCHLD as c_long,
                null,
                null,
                null,
                null,
            ),
            "make a process anew" => libc::syscall(libc::SYS_clone3, null, 0),
            "run a program" => {
                libc::syscall(libc::SYS_execve, shell.as_ptr(), arguments.as_ptr(), null)
            }
            "run a program by descriptor" => libc::syscall(
                libc::SYS_execveat,
                libc::AT_FDCWD,
                shell.as_ptr(),
                arguments.as_ptr(),
                null,
                0,
            ),
            "run from memory" => libc::syscall(libc::SYS_memfd_create, c"m".as_ptr(), 0),
            "map code" => libc::syscall(
                libc::SYS_mmap,
                null,
                page,
                libc::PROT_READ | libc::PROT_EXEC,
                anonymous,
                -1,
                0,
            ),
            "make memory executable" => {
                let memory = libc::mmap(
                    ptr::null_mut(),
                    page,
                    libc::PROT_READ | libc::PROT_WRITE,
                    anonymous,
                    -1,
                    0,
                );
                libc::syscall(
                    libc::SYS_mprotect,
                    memory,
                    page,
                    libc::PROT_READ | libc::PROT_EXEC,
                )
            }
            "trace" => libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0),
            "read another process" => libc::syscall(
                libc::SYS_process_vm_readv,
                libc::getppid(),
                null,
                0,
                null,
                0,
                0,
            ),
            "write another process" => libc::syscall(
                libc::SYS_process_vm_writev,
                libc::getppid(),
                null,
                0,
                null,
                0,
                0,
            ),
            // Signal 0 asks only whether one could.
            "signal the parent" => libc::syscall(libc::SYS_kill, parent(), 0),
            "signal everybody" => libc::syscall(libc::SYS_kill, -1, 0),
            "signal a thread" => libc::syscall(libc::SYS_tgkill, parent(), parent(), 0),
            "take hold of a process" => libc::syscall(libc::SYS_pidfd_open, parent(), 0),
            "mount" => libc::syscall(
                libc::SYS_mount,
                c"none".as_ptr(),
                c"/tmp".as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                null,
            ),
            "leave the root" => libc::syscall(libc::SYS_chroot, c"/".as_ptr()),
            "make a namespace" => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            "use io_uring" => libc::syscall(libc::SYS_io_uring_setup, 1, buffer.as_mut_ptr()),
            "load a program into the kernel" => libc::syscall(libc::SYS_bpf, 0, null, 0),
            "handle page faults" => libc::syscall(libc::SYS_userfaultfd, 0),
            "watch the processor" => {
                libc::syscall(libc::SYS_perf_event_open, buffer.as_ptr(), 0, -1, -1, 0)
            }
            "raise a limit" => libc::syscall(
                libc::SYS_prlimit64,
                0,
                libc::RLIMIT_AS,
                &raw const unlimited,
                null,
            ),
            "become root" => libc::syscall(libc::SYS_setuid, 0),
            "regain privileges" => {
                libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)
            }
            "name the machine" => libc::syscall(libc::SYS_uname, buffer.as_mut_ptr()),
            "set a name for the machine" => libc::syscall(libc::SYS_sethostname, c"x".as_ptr(), 1),
            "share memory" => libc::syscall(libc::SYS_shmget, libc::IPC_PRIVATE, page, 0o600),
            "stop the CPU timer" => libc::syscall(libc::SYS_timer_create, 0, null, null),
            "use another system call table" => {
                // The x32 table: the same machine, other numbers.
                libc::syscall(
                    0x4000_0000 | libc::SYS_openat,
                    libc::AT_FDCWD,
                    c"/".as_ptr(),
                    0,
                )
            }
            _ => return None,
        })
    }
}

/// Known before, as a worker's host would be.
fn parent() -> libc::pid_t {
    // SAFETY: cannot fail; in the sandbox it is refused, and everybody is meant.
    match unsafe { libc::getppid() } {
        -1 => 1,
        parent => parent,
    }
}
