//! The system calls of a program, and strace, which disturbs the program at a call.

use crate::support::left_out;
use crate::support::run::Run;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls that change nothing on a disk. Every other call is a point at which to disturb.
const HARMLESS: &str = " access arch_prctl bind brk chdir clock_nanosleep clone clone3 close close_range connect dup dup2 \
    epoll_create1 epoll_ctl epoll_wait eventfd2 execve exit exit_group faccessat faccessat2 fadvise64 fcntl flock fstat \
    fstatfs futex getcwd getdents64 getegid geteuid getgid getpeername getpid getppid getrandom getsockname getsockopt \
    gettid getuid ioctl kill lseek madvise mmap mprotect mremap munmap nanosleep newfstatat pidfd_open pipe2 poll ppoll \
    prctl pread64 prlimit64 read readlink readlinkat readv recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask \
    rt_sigreturn sched_getaffinity sched_yield sendmmsg sendmsg sendto set_robust_list set_tid_address setsid setsockopt \
    shutdown sigaltstack socket socketpair stat statfs statx sysinfo tgkill umask uname vfork wait4 waitid ";

/// The action of strace that kills the program at a call.
pub const KILL: &str = "signal=SIGKILL";

/// A call of a program.
#[derive(Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// Its arguments and its result, as strace shows them with the paths of descriptors.
    pub text: String,
}

impl Call {
    /// Returns `true` if it may change the disk.
    pub fn changes(&self) -> bool {
        match self.name.as_str() {
            "open" | "openat" => self.text.contains("O_CREAT") || self.text.contains("O_TRUNC"),
            name => !HARMLESS.contains(&format!(" {name} ")),
        }
    }

    /// Returns the path of the descriptor that is argument `number`, counted among descriptors.
    pub fn descriptor(&self, number: usize) -> Option<&str> {
        self.text.split('<').nth(number + 1)?.split('>').next()
    }

    /// Returns quoted argument `number`, counted among quoted ones.
    pub fn quoted(&self, number: usize) -> Option<&str> {
        self.text.split('"').nth(2 * number + 1)
    }

    /// Returns `true` if the call succeeded.
    pub fn succeeded(&self) -> bool {
        !self.text.contains(") = -1 ")
    }
}

/// A call at which to disturb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub call: String,
    /// The path that its arguments must name; `None` to count all calls of this name.
    path: Option<String>,
    /// The number of the call among those of its thread, from 1.
    number: usize,
}

impl Point {
    /// Returns the point at the `number`-th call of a name.
    pub fn new(call: &str, number: usize) -> Self {
        Self { call: call.to_owned(), path: None, number }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, path, number } = self;
        write!(f, "{call} {number}{}", path.as_ref().map_or(String::new(), |path| format!(" of {path}")))
    }
}

/// A strace that works on this machine.
pub struct Tracer(PathBuf);

impl Tracer {
    pub fn find() -> Option<Self> {
        let strace = left_out::program("strace")?;
        if Run::of(Command::new(&strace).args(["-f", "-o", "/dev/null", "true"])).code != Some(0) {
            left_out::report("strace may not trace here");
            return None;
        }
        Some(Self(strace))
    }

    /// Runs a program with these options of strace, and returns all its calls.
    pub fn watch(&self, options: &[&str], program: &Command, trace: &Path) -> (Run, Vec<Call>) {
        let run = self.run(&[&["-y", "-s", "4096"], options].concat(), program, trace);
        let text = String::from_utf8_lossy(&std::fs::read(trace).unwrap()).into_owned();
        (run, text.lines().filter_map(call).collect())
    }

    /// Runs a program and disturbs it at a point; returns `None` if it does not reach the point.
    pub fn disturb(&self, program: &Command, what: &str, point: &Point, trace: &Path) -> Option<Run> {
        let Point { call, path, number } = point;
        let (only, inject) = (format!("trace={call}"), format!("inject={call}:{what}:when={number}"));
        let mut options = vec!["-e", &only, "-e", &inject];
        if let Some(path) = path {
            options.extend(["-P", path]);
        }
        let run = self.run(&options, program, trace);
        let trace = std::fs::read_to_string(trace).unwrap();
        (trace.contains("killed by SIGKILL") || trace.contains("(INJECTED)")).then_some(run)
    }

    fn run(&self, options: &[&str], program: &Command, trace: &Path) -> Run {
        let mut command = Command::new(&self.0);
        command.arg("-f").arg("-o").arg(trace).args(options).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Run::of(&mut command)
    }
}

fn call(line: &str) -> Option<Call> {
    let (thread, rest) = line.split_once(' ')?;
    let (name, text) = rest.trim_start().split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Call { thread: thread.parse().unwrap(), name: name.to_owned(), text: text.to_owned() })
}

/// Returns every point of a run.
pub fn points(calls: &[Call]) -> Vec<Point> {
    let mut points: Vec<Point> = changes(calls).into_iter().map(|(_, point)| point).collect();
    points.sort();
    points.dedup();
    points
}

/// Returns the calls that may change the disk, in order, each with the point to disturb it at.
///
/// strace counts the calls of each thread apart. So the path names a call of any thread but the
/// first, and the creation of a file among all calls that open one.
pub fn changes(calls: &[Call]) -> Vec<(&Call, Point)> {
    let mut counts: BTreeMap<(u32, &str, Option<&str>), usize> = BTreeMap::new();
    let first = calls.first().map(|call| call.thread);
    let mut changes = Vec::new();
    for call in calls.iter().filter(|call| call.changes()) {
        let path = match call.name.as_str() {
            "open" | "openat" => call.quoted(0),
            _ if Some(call.thread) != first => call.descriptor(0).filter(|path| path.starts_with('/')),
            _ => None,
        };
        let count = counts.entry((call.thread, &call.name, path)).or_default();
        *count += 1;
        // A write to an eventfd, which wakes another thread, changes no disk.
        if call.descriptor(0).is_some_and(|path| path.starts_with("anon_inode:")) {
            continue;
        }
        changes.push((call, Point { call: call.name.clone(), path: path.map(str::to_owned), number: *count }));
    }
    changes
}
