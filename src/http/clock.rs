//! A clock that no flood holds up. The runtime looks at its timers between two pieces of work, and a server that sends interim
//! answers (103 Early Hints, RFC 8297) without end makes one of them long: they are read and dropped in one go. So limits
//! on requests are kept by a thread that does nothing else.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::Sleep;

/// The runtime that has timers and nothing else; `None` where no thread can be had.
static CLOCK: OnceLock<Option<Handle>> = OnceLock::new();

/// Ends when this time is over, whatever the threads of the program are busy with.
pub fn sleep(time: Duration) -> Sleep {
    let _there = CLOCK.get_or_init(start).as_ref().map(Handle::enter);
    tokio::time::sleep(time)
}

/// The output of a future, or `None` when it is not there in this time.
pub async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    // On the heap: whoever waits for it need not be as large as it is.
    let mut future = Box::pin(future);
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = sleep(time) => None,
    }
}

fn start() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let clock = thread::Builder::new().name("clock".into());
    clock
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .ok()?;
    Some(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_passes_while_the_runtime_is_busy() {
        // Whoever waits for the timer is another thread; the runtime here looks at none.
        let waits = thread::spawn(|| {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(within(
                Duration::from_millis(5),
                std::future::pending::<()>(),
            ))
        });
        assert_eq!(waits.join().unwrap(), None);
        assert_eq!(within(Duration::from_secs(60), async { 1 }).await, Some(1));
    }
}
