//! `Medplum`: the real binary with a home and a working folder of its own, and nothing of the tester's environment.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::run::{Run, Running};

/// The binary under test: this tree's, or another one that `MEDPLUM_TEST_BINARY` names, to see a test fail on an older one.
pub fn binary() -> PathBuf {
    std::env::var_os("MEDPLUM_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_medplum").into(), PathBuf::from)
}

/// How long to wait for a file.
const PATIENCE: Duration = Duration::from_secs(30);

/// `nobody`, the user that tests take when root runs them.
const NOBODY: u32 = 65534;

/// One user's machine: a home, a working folder, an environment.
#[derive(Debug)]
pub struct Medplum {
    root: TempDir,
    env: Vec<(OsString, OsString)>,
    user: Option<u32>,
}

impl Medplum {
    /// A new machine: empty home, empty working folder, only `PATH` and `HOME` in the environment.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home", "work", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        symlink(binary(), root.path().join("bin/medplum")).unwrap();
        Self {
            root,
            env: Vec::new(),
            user: None,
        }
    }

    /// Sets an environment variable for all commands.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The same for a machine that stands already.
    pub fn set_env(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.env.push((name.into(), value.as_ref().to_owned()));
    }

    /// Makes a profile `x` of a client `me` at this server.
    pub fn set_client(&self, base: &str, flags: &[&str]) {
        let set = ["profile", "set", "x", "--base-url", base];
        let client = ["--client-id", "me"];
        self.run([&set, &client[..], flags].concat()).ok();
    }

    /// The same with a script as `$BROWSER`.
    pub fn opening_with(self, script: &str) -> Self {
        let program = self.home().join("browser");
        fs::write(&program, script).unwrap();
        set_mode(&program, 0o755);
        self.env("BROWSER", program)
    }

    /// A new machine whose user is not root, so that file rights count.
    pub fn of_an_ordinary_user() -> Self {
        let mut medplum = Self::new();
        let root = medplum.root.path();
        if fs::metadata(root).unwrap().uid() == 0 {
            set_mode(root, 0o755);
            // A copy, because the build folder may be closed to others.
            let own = root.join("bin/medplum");
            fs::remove_file(&own).unwrap();
            fs::copy(binary(), &own).unwrap();
            set_mode(&own, 0o755);
            for folder in ["home", "work"] {
                chown(root.join(folder), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            medplum.user = Some(NOBODY);
        }
        medplum
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The folder that holds home and working folder: all that a command can have changed.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in the working folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Writes a file into the working folder.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The text of a file in the working folder.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Waits until a file of the working folder is there.
    #[track_caller]
    pub fn wait_for(&self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.path(name).exists() {
            assert!(Instant::now() < deadline, "{name} does not come");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs `medplum` with these arguments to its end.
    #[track_caller]
    #[must_use]
    pub fn run<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(&self, args: I) -> Run {
        self.command(args).run()
    }

    /// Starts `medplum` with these arguments.
    pub fn spawn<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(&self, args: I) -> Running {
        self.command(args).spawn()
    }

    /// Prepares `medplum` with these arguments.
    pub fn command<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(&self, args: I) -> Invocation<'_> {
        let mut words = vec![self.root.path().join("bin/medplum").into_os_string()];
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        // Names that tell the URL, so that tests tell which file came.
        let has = |word: &str| words.iter().any(|other| other == word);
        if has("bulk") && has("export") && !has("--file-names") {
            words.extend(["--file-names", "medplum"].map(OsString::from));
        }
        self.program(words)
    }

    /// Runs a line of shell as a user would paste it, with `medplum` on the path.
    #[track_caller]
    #[must_use]
    pub fn shell(&self, line: &str) -> Run {
        self.program(["bash", "-c", line]).run()
    }

    /// Prepares another program than `medplum` on this machine.
    pub fn program<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(&self, words: I) -> Invocation<'_> {
        Invocation {
            medplum: self,
            words: words
                .into_iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            keyboard: false,
        }
    }
}

/// A command before it runs.
#[derive(Debug)]
pub struct Invocation<'a> {
    medplum: &'a Medplum,
    words: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    keyboard: bool,
}

impl Invocation<'_> {
    /// Sets an environment variable for this command.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What the command can read from stdin.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// stdin stays open, for `Running::types`.
    pub fn keyboard(mut self) -> Self {
        self.keyboard = true;
        self
    }

    /// A disk that is full: no file can grow beyond this size.
    pub fn file_size_limit(self, bytes: u64) -> Self {
        // The signal is ignored so that the write fails (EFBIG), as it would on a full disk (ENOSPC).
        self.launched_by(r#"trap "" XFSZ; exec prlimit --fsize="$0" -- "$@""#, bytes)
    }

    /// stdout is a pipe that is full and that nobody reads, as that of a pager that waits for its reader.
    pub fn stuck_stdout(self) -> Self {
        const LAUNCHER: &str =
            r#"mkfifo stuck; exec 3<>stuck; rm stuck; head -c "$0" /dev/zero >&3; exec "$@" >&3"#;
        self.launched_by(LAUNCHER, 65536)
    }

    /// A kill in the middle of a write: the command dies when a file of its grows beyond this size.
    pub fn killed_when_a_file_grows_to(self, bytes: u64) -> Self {
        self.launched_by(r#"exec prlimit --core=0 --fsize="$0" -- "$@""#, bytes)
    }

    /// A kill just before a system call: the number-th in any thread of those named as strace names them.
    pub fn killed_before_call(mut self, calls: &str, number: usize) -> Self {
        let (trace, kill) = (
            format!("trace={calls}"),
            format!("inject={calls}:signal=KILL:when={number}"),
        );
        let quiet = ["strace", "-f", "-qq", "-o", "/dev/null"];
        let mut words = [&quiet[..], &["-e", &trace, "-e", &kill]].concat();
        words.push("--");
        let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        words.append(&mut self.words);
        self.words = words;
        self
    }

    fn launched_by(mut self, launcher: &str, bytes: u64) -> Self {
        let mut words = ["bash", "-c", launcher, &bytes.to_string()]
            .map(OsString::from)
            .to_vec();
        words.append(&mut self.words);
        self.words = words;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Run {
        self.spawn().finish()
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        if let Some(user) = self.medplum.user {
            let ids = [format!("--reuid={user}"), format!("--regid={user}")];
            let mut words = vec![OsString::from("setpriv")];
            words.extend(ids.map(OsString::from));
            words.push("--clear-groups".into());
            words.append(&mut self.words);
            self.words = words;
        }
        let mut path = self.medplum.root.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .current_dir(self.medplum.path(""))
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.medplum.home())
            .envs(
                self.medplum
                    .env
                    .iter()
                    .chain(&self.env)
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take();
        if !self.keyboard {
            let (mut pipe, stdin) = (pipe.take().unwrap(), self.stdin);
            // A command that does not read its stdin must not hold up the test.
            thread::spawn(move || pipe.write_all(&stdin));
        }
        let shown = self
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>();
        Running::watch(child, shown.join(" "), pipe)
    }
}

/// A folder nobody can write to, until dropped.
#[derive(Debug)]
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Takes the right to write to a folder away.
    pub fn folder(path: PathBuf) -> Self {
        set_mode(&path, 0o555);
        Self(path)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        set_mode(&self.0, 0o755);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file below a folder with its contents, for "nothing was written".
pub fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("bin") {
                continue;
            }
            if path.is_dir() {
                folders.push(path.clone());
                files.push((path, Vec::new()));
            } else {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
