//! What ends a process early, and the moments in which it must not: between a rotated token and its place on the disk.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// As long a signal waits for what must not be cut off.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);
/// What a command may handle itself: SIGINT and SIGTERM.
#[cfg(unix)]
const COMMANDS: [i32; 2] = [2, 15];

/// How many moments there are at this time.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Whether a command ends by itself when it is told to.
static HANDLED: AtomicBool = AtomicBool::new(false);
/// Whether a signal has come.
static CAME: AtomicBool = AtomicBool::new(false);
static WATCHED: OnceLock<()> = OnceLock::new();
type Tell = Box<dyn Fn(&str) + Send + Sync>;
static TELL: RwLock<Option<Tell>> = RwLock::new(None);
type Stop = (u64, Box<dyn Fn() + Send + Sync>);
/// What is to be stopped before this process ends.
static STOPS: RwLock<Vec<Stop>> = RwLock::new(Vec::new());
static STOPS_SO_FAR: AtomicU64 = AtomicU64::new(0);

/// A moment in which the process must not end; over when it is dropped.
#[derive(Debug)]
pub struct Hold(());

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Begins such a moment: from now on Ctrl-C, SIGTERM, SIGHUP and SIGQUIT wait for it, for ten seconds at most. Needs a tokio runtime.
pub fn hold() -> Hold {
    HELD.fetch_add(1, Ordering::SeqCst);
    watch();
    Hold(())
}

/// What is stopped when a signal comes, as long as this is kept.
#[derive(Debug)]
pub struct Stopped(u64);

impl Drop for Stopped {
    fn drop(&mut self) {
        stops_mut().retain(|(number, _)| *number != self.0);
    }
}

/// Has something stopped when Ctrl-C or SIGTERM comes: what was started here must not outlive this process. Needs a
/// tokio runtime.
pub fn before_the_end(stop: impl Fn() + Send + Sync + 'static) -> Stopped {
    let number = STOPS_SO_FAR.fetch_add(1, Ordering::SeqCst);
    stops_mut().push((number, Box::new(stop)));
    watch();
    Stopped(number)
}

fn stops_mut() -> std::sync::RwLockWriteGuard<'static, Vec<Stop>> {
    STOPS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Who tells a person why nothing happens.
pub fn tell_by(tell: impl Fn(&str) + Send + Sync + 'static) {
    *TELL.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
}

/// Says something to whoever waits at the terminal.
pub fn tell(text: &str) {
    if let Some(tell) = &*TELL.read().unwrap_or_else(PoisonError::into_inner) {
        tell(text);
    }
}

/// From now on the command that runs ends by itself when a signal comes.
pub fn are_handled() {
    HANDLED.store(true, Ordering::SeqCst);
    watch();
}

/// Whether a signal has come, for what waits without a runtime.
pub fn came() -> bool {
    CAME.load(Ordering::SeqCst)
}

/// Returns unless this process is about to end: what was told to stop begins nothing new.
pub async fn go_on() {
    if came() && !HANDLED.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

/// Waits until nothing is held any more, for ten seconds at most.
pub fn wait_for_holds() {
    let started = Instant::now();
    while HELD.load(Ordering::SeqCst) > 0 && started.elapsed() < LONGEST_HOLD {
        std::thread::sleep(LOOK);
    }
}

/// Looks out for signals, once a process. Without a runtime they do what they always do.
fn watch() {
    #[cfg(unix)]
    WATCHED.get_or_init(|| {
        use tokio::signal::unix::{SignalKind, signal};

        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let others = [SignalKind::hangup(), SignalKind::quit()];
        let others = others
            .into_iter()
            .filter(|kind| is_not_ignored(kind.as_raw_value()));
        for kind in kinds.into_iter().chain(others) {
            // Listens from here on, not from when the task first runs.
            if let Ok(mut signals) = signal(kind) {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        came_now(kind.as_raw_value());
                    }
                });
            }
        }
    });
}

/// Whether a signal would end this process: under `nohup` a hangup does not, and must not when it is looked out for. Where
/// nobody can say, it is left as it is.
#[cfg(unix)]
fn is_not_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) == 0)
}

/// Ends the process as the signal would have, but after what is held. The second signal does not wait.
#[cfg(unix)]
fn came_now(signal: i32) {
    let is_second = CAME.swap(true, Ordering::SeqCst);
    for (_, stop) in STOPS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        stop();
    }
    let is_held = || HELD.load(Ordering::SeqCst) > 0;
    if is_held() && !is_second {
        tell(
            "Finishing the renewal of the login… (Ctrl-C once more ends it at once, and gives the login up: you would have \
             to log in again)",
        );
    }
    // No command handles a terminal that is closed.
    if HANDLED.load(Ordering::SeqCst) && COMMANDS.contains(&signal) {
        return;
    }
    tokio::spawn(async move {
        let started = Instant::now();
        while is_held() && !is_second && started.elapsed() < LONGEST_HOLD {
            tokio::time::sleep(LOOK).await;
        }
        // It fails for signals that cannot be sent to oneself; these can.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    });
}
