//! One run of the binary: its streams while it runs, and what it left when it ended.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of a test may take longer; it is then killed and the test fails.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The exit code of a command that was killed.
pub const KILLED: i32 = 128 + 9;

/// What a user saw of a command that has ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; 128 + signal when a signal ended it, as a shell says it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// stdout before it was made text.
    pub stdout_bytes: Vec<u8>,
    command: String,
}

impl Run {
    /// The run, which must have ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.fails(0)
    }

    /// The run, which must have ended with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code, {code} was expected\n{self}");
        self
    }

    /// stdout, which must be one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }

    /// The run, whose stderr must hold this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "stderr does not say {text:?}\n{self}"
        );
        self
    }

    /// The run, which must have printed exactly this on stdout.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "stdout differs\n{self}");
        self
    }

    /// Both streams, for claims about what was printed at all.
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
            command,
            ..
        } = self;
        write!(
            f,
            "$ {command}\nexit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

/// A command that is running; it is killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    deadline: Instant,
    command: String,
    keyboard: Option<ChildStdin>,
}

impl Running {
    /// Watches a child whose stdout and stderr are pipes.
    pub(super) fn watch(mut child: Child, command: String, keyboard: Option<ChildStdin>) -> Self {
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
            deadline: Instant::now() + TIME_LIMIT,
            command,
            keyboard,
        }
    }

    /// Types a line; stdin must have been left open.
    #[track_caller]
    pub fn types(&self, line: &str) {
        let mut keyboard = self.keyboard.as_ref().unwrap();
        keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What it has said so far.
    pub fn so_far(&self) -> String {
        format!(
            "$ {}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command,
            self.stdout.text(),
            self.stderr.text()
        )
    }

    /// The first line of stderr with this text, waiting for it.
    #[track_caller]
    pub fn stderr_line(&self, text: &str) -> String {
        self.line(&self.stderr, text)
    }

    /// The first line of stdout with this text, waiting for it.
    #[track_caller]
    pub fn stdout_line(&self, text: &str) -> String {
        self.line(&self.stdout, text)
    }

    #[track_caller]
    fn line(&self, stream: &Stream, text: &str) -> String {
        stream
            .line(text, self.deadline)
            .unwrap_or_else(|| panic!("no line with {text:?} came\n{}", self.so_far()))
    }

    /// What has come on stdout so far.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.text()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Ctrl-C, and again when the first has arrived: two that wait together would be one.
    #[track_caller]
    pub fn interrupt_twice(&self) {
        self.interrupt();
        let status = format!("/proc/{}/status", self.child.id());
        let has_arrived = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let waiting = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
            waiting.is_none_or(|signals| signals.trim().bytes().all(|digit| digit == b'0'))
        };
        while !has_arrived() {
            assert!(Instant::now() < self.deadline, "the signal does not arrive");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        self.interrupt();
    }

    /// The end without a chance to tidy up.
    pub fn kill(&self) {
        self.signal("-KILL");
    }

    /// The same without another process in between, for kills between two system calls.
    pub fn kill_at_once(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits until a thread of it cannot go on, because nobody reads what it writes.
    #[track_caller]
    pub fn wait_until_stuck_in_a_pipe(&self) {
        let threads = format!("/proc/{}/task", self.child.id());
        let is_stuck = || {
            let threads = std::fs::read_dir(&threads).into_iter().flatten().flatten();
            let mut waits = threads.map(|thread| {
                std::fs::read_to_string(thread.path().join("wchan")).unwrap_or_default()
            });
            waits.any(|wait| wait.contains("pipe_write"))
        };
        while !is_stuck() {
            assert!(Instant::now() < self.deadline, "it is not stuck");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Whether it has closed both streams, as at its end.
    pub fn has_ended(&self) -> bool {
        let now = Instant::now();
        self.stdout.ended(now) && self.stderr.ended(now)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal as `kill` writes it.
    pub fn send(&self, signal: &str) {
        self.signal(signal);
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        // The child has not been waited for, so its id is still its own; it may have ended already.
        let _ = Command::new("kill").args([signal, &id]).output().unwrap();
    }

    /// Waits for the end. What came of it is to be looked at.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self) -> Run {
        let ended = self.stdout.ended(self.deadline) && self.stderr.ended(self.deadline);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        let stdout_bytes = self.stdout.bytes();
        let run = Run {
            code: exit_code(status),
            stdout: String::from_utf8_lossy(&stdout_bytes).into_owned(),
            stderr: self.stderr.text(),
            stdout_bytes,
            command: std::mem::take(&mut self.command),
        };
        assert!(ended, "killed after {} s\n{run}", TIME_LIMIT.as_secs());
        run
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap()
}

/// What has come through a pipe so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream(Arc<(Mutex<Received>, Condvar)>);

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    pub(super) fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let shared = stream.clone();
        thread::spawn(move || {
            let (received, changed) = &*shared.0;
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut received = received.lock().unwrap();
                received.bytes.extend_from_slice(&buffer[..count]);
                received.ended = count == 0;
                changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes.clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `found` gives something or the stream ends.
    fn wait<T>(&self, deadline: Instant, found: impl Fn(&Received) -> Option<T>) -> Option<T> {
        let (received, changed) = &*self.0;
        let mut received = received.lock().unwrap();
        loop {
            if let Some(value) = found(&received) {
                return Some(value);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if received.ended || left.is_zero() {
                return None;
            }
            received = changed.wait_timeout(received, left).unwrap().0;
        }
    }

    fn ended(&self, deadline: Instant) -> bool {
        self.wait(deadline, |received| received.ended.then_some(()))
            .is_some()
    }

    pub(super) fn line(&self, text: &str, deadline: Instant) -> Option<String> {
        self.wait(deadline, |received| {
            let so_far = String::from_utf8_lossy(&received.bytes).into_owned();
            let whole = so_far.rfind('\n').map_or("", |end| &so_far[..end]);
            whole
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }
}
