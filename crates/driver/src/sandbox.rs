//! The kernel's part of the sandbox, for the day when QuickJS itself does not hold.
//!
//! [`enter`] is called once, after start-up and before any driver: landlock, resource limits, then
//! seccomp. Landlock denies the process files, TCP, and signals to others, whichever system call
//! asks for them. Seccomp denies the system calls: two filters work together (the stricter answer wins). The first kills the process on calls that
//! only an intruder makes: start a program, make a process or a socket, read another process, go
//! round the file system. The
//! second is an allow-list of what the loop needs and answers `EPERM` to all else: a C library
//! that tries something new degrades to an error, where killing would stop every driver after an
//! upgrade of the system, and the intruder is denied just the same.
//!
//! [`CpuTimer`] is the limit that a native loop cannot ignore: the kernel sends `SIGPROF`, whose
//! default action ends the process, and the host reads the signal from the exit status.
//!
//! There is no parent-death signal: it fires when the *thread* that started the worker ends, and
//! runtimes end threads. A worker whose host is gone reads end-of-file, and no call outlives its
//! CPU limit.

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use nix::libc;
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use rlimit::Resource;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// The signal by which the kernel ends a worker at its CPU limit.
pub const CPU_SIGNAL: Signal = Signal::SIGPROF;

/// Address space beyond the interpreter's own limit: frames, compiled scripts, fragmentation.
const SPARE_BYTES: u64 = 128 << 20;

/// Shuts the process in, for good. Returns what this kernel refused, in words for an
/// administrator.
///
/// `keep_fd` is the last file descriptor in use; all above it are closed.
pub fn enter(memory_bytes: usize, keep_fd: libc::c_uint) -> Vec<String> {
    let mut missing = Vec::new();
    let mut note = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            missing.push(format!("{what}: {error}"));
        }
    };
    // Against other processes of the same user; a failure changes nothing for the driver.
    let _ = nix::sys::prctl::set_dumpable(false);
    let _ = std::env::set_current_dir("/");
    note("closing inherited files", close_above(keep_fd));
    // While files are in reach.
    let memory = address_space_bytes()
        .saturating_add((memory_bytes as u64).saturating_mul(2))
        .saturating_add(SPARE_BYTES);
    // Before the limits: it needs a file descriptor for a moment.
    note("files and network out of reach (landlock)", fence());
    for (name, resource, value) in [
        ("core dump limit", Resource::CORE, 0),
        ("process limit", Resource::NPROC, 0),
        ("file size limit", Resource::FSIZE, 0),
        ("open file limit", Resource::NOFILE, 0),
        ("address space limit", Resource::AS, memory),
        ("data limit", Resource::DATA, memory),
    ] {
        note(name, resource.set(value, value));
    }
    note("system call filter (seccomp)", filter_system_calls());
    missing
}

/// CPU time that this thread, a worker's only one, has used. Not the process's clock: while a timer
/// is armed on that, it only moves with the kernel's ticks (4 to 10 ms).
pub fn cpu_time_us() -> u64 {
    // The clock exists on every Linux; were it refused, the kernel's timer would still hold.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        u64::try_from(time.num_microseconds()).unwrap_or(0)
    })
}

/// Ends the process when it has used its CPU time, whatever it is doing.
pub struct CpuTimer(Timer);

impl CpuTimer {
    pub fn new() -> io::Result<Self> {
        let signal = SigevNotify::SigevSignal {
            signal: CPU_SIGNAL,
            si_value: 0,
        };
        Ok(Self(Timer::new(
            ClockId::CLOCK_PROCESS_CPUTIME_ID,
            SigEvent::new(signal),
        )?))
    }

    pub fn arm(&mut self, cpu_time_ms: u64) -> io::Result<()> {
        self.set(TimeSpec::milliseconds(
            i64::try_from(cpu_time_ms).unwrap_or(i64::MAX),
        ))
    }

    pub fn disarm(&mut self) -> io::Result<()> {
        self.set(TimeSpec::milliseconds(0))
    }

    fn set(&mut self, time: TimeSpec) -> io::Result<()> {
        Ok(self
            .0
            .set(Expiration::OneShot(time), TimerSetTimeFlags::empty())?)
    }
}

/// Closes all file descriptors above this one.
pub fn close_above(fd: libc::c_uint) -> io::Result<()> {
    // SAFETY: closes descriptors above those that this process uses; nothing owns them here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, fd + 1, libc::c_uint::MAX, 0) };
    match result {
        0 => Ok(()),
        // The call is younger than the oldest kernels that the hub runs on.
        _ => close_each_above(fd),
    }
}

fn close_each_above(fd: libc::c_uint) -> io::Result<()> {
    let open: Vec<libc::c_int> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|open| u32::try_from(*open).is_ok_and(|open| open > fd))
        .collect();
    for descriptor in open {
        // SAFETY: as above. That of the folder is closed by now, and closing it again is an error that
        // does no harm: the process has one thread.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// Denies everything that landlock can deny, without an exception.
fn fence() -> io::Result<()> {
    let all = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(all))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(all)))
        .and_then(|rules| rules.scope(Scope::from_all(all)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self())
        .map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(io::Error::other("this kernel has a part of it")),
        RulesetStatus::NotEnforced => Err(io::Error::other("this kernel does not have it")),
    }
}

/// The address space in use at start, most of it the program itself.
fn address_space_bytes() -> u64 {
    const UNKNOWN: u64 = 256 << 20;
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        })
        .map_or(UNKNOWN, |kibibytes| kibibytes << 10)
}

fn filter_system_calls() -> io::Result<()> {
    let forbidden = forbidden_calls()
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
    let forbidden = program(forbidden, SeccompAction::Allow, SeccompAction::KillProcess)?;

    let mut allowed: std::collections::BTreeMap<_, _> = allowed_calls()
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
    // Memory, but never memory that can be executed: QuickJS makes no machine code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        allowed.insert(call, vec![without_exec()?]);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let allowed = program(allowed, refuse, SeccompAction::Allow)?;

    seccompiler::apply_filter(&forbidden).map_err(io::Error::other)?;
    seccompiler::apply_filter(&allowed).map_err(io::Error::other)
}

fn program(
    rules: std::collections::BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> io::Result<BpfProgram> {
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(io::Error::other)?;
    SeccompFilter::new(rules, otherwise, matched, arch)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

/// Both `mmap` and `mprotect` take the protection as their third argument.
fn without_exec() -> io::Result<SeccompRule> {
    let exec = libc::PROT_EXEC as u64;
    SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(io::Error::other)
}

fn allowed_calls() -> Vec<i64> {
    vec![
        // The loop's frames, and the socket's end.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        // The allocator.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Time, and the timer around each call.
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_gettimeofday,
        libc::SYS_timer_settime,
        libc::SYS_timer_delete,
        // Hash seeds, locks, signal handlers of the Rust runtime, and the end.
        libc::SYS_getrandom,
        libc::SYS_futex,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ]
}

fn forbidden_calls() -> Vec<i64> {
    let mut calls = vec![
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_memfd_create,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_open_by_handle_at,
        libc::SYS_perf_event_open,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_fork, libc::SYS_vfork]);
    calls.sort_unstable();
    calls
}
