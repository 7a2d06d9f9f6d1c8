//! A real Secret Service: gnome-keyring on a session bus of its own, unlocked with a test password.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::run::Stream;

const PATIENCE: Duration = Duration::from_secs(60);

/// The session: a bus, the daemon, and then nothing until stdin ends.
const SESSION: &str = r#"
printf secret-of-the-keyring | gnome-keyring-daemon --unlock --foreground --components=secrets >/dev/null &
daemon=$!
trap 'kill $daemon' EXIT
# Asked before it is there, the bus would start another one, locked.
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
  org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true &&
  dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
  org.freedesktop.Secret.Service.ReadAlias string:default 2>/dev/null | grep -q collection/; do
  kill -0 $daemon || exit 1
  sleep 0.05
done
echo "address $DBUS_SESSION_BUS_ADDRESS"
cat >/dev/null
"#;

/// A keyring that is there until it is dropped.
#[derive(Debug)]
pub struct Keyring {
    address: String,
    child: Child,
    stdin: Option<ChildStdin>,
    _home: TempDir,
}

impl Keyring {
    /// An empty keyring, unlocked.
    pub fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("dbus-run-session")
            .args(["--", "bash", "-c", SESSION])
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dbus-run-session is missing: run tests/run, which installs it");
        let stdin = child.stdin.take();
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        let line = stdout.line("address", Instant::now() + PATIENCE);
        let line = line.unwrap_or_else(|| {
            let said = stderr.text();
            panic!("no keyring: is gnome-keyring there? tests/run installs it:\n{said}")
        });
        Self {
            address: line.trim_start_matches("address ").to_owned(),
            child,
            stdin,
            _home: home,
        }
    }

    /// The value of `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many entries of `medplum` it holds, asked for without the code under test.
    #[track_caller]
    pub fn entries(&self) -> usize {
        let reply = self.ask(&[
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.SearchItems",
            "dict:string:string:service,medplum",
        ]);
        reply.matches("object path").count()
    }

    /// Locks it; nobody is there to unlock it again.
    #[track_caller]
    pub fn lock(&self) {
        let _ = self.ask(&[
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            "array:objpath:/org/freedesktop/secrets/collection/login",
        ]);
    }

    #[track_caller]
    fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("dbus-send")
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
            ])
            .args(words)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        // The session ends with its stdin.
        self.stdin = None;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
